/** Settles as `work` does, but rejects with the signal's reason as soon as that is aborted. */
export function before<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const settled = (): void => {
      signal.removeEventListener("abort", abort);
    };
    work.then(resolve, reject).then(settled, settled);
  });
}
