/** How many invocations are under way. */
interface Counter {
  invocations: number;
}

/** Any handler that the runtime client calls: async, with a callback, or with a response stream. */
export type AnyHandler = (...args: never[]) => unknown;

/** Own properties of a function that are not a mark on it. */
const OWN_OF_EACH_FUNCTION: readonly (string | symbol)[] = ["prototype", "arguments", "caller"];

/** The handler, counted: with its number of parameters and the marks of response streaming, which the client reads. */
export function trackedBy<Handler extends AnyHandler>(counter: Counter, handler: Handler): Handler {
  // A caller without types may pass undefined, if its import found nothing.
  if (typeof (handler as unknown) !== "function") throw new TypeError(`tracked: ${String(handler)} is not a function`);
  const wrapper = function (this: unknown, ...args: unknown[]): unknown {
    counter.invocations += 1;
    let isUnderWay = true;
    const end = (): void => {
      if (isUnderWay) counter.invocations -= 1;
      isUnderWay = false;
    };
    const [event, context, callback, ...rest] = args;
    // A streaming handler has the context in the third place.
    const answer = typeof callback === "function" ? calledBack(callback as AnyHandler, end) : undefined;
    try {
      const passed = answer === undefined ? args : [event, context, answer, ...rest];
      const result: unknown = Reflect.apply(handler, this, passed);
      if (isThenable(result)) {
        // `then` is called once, by the promise: a query builder runs its statement at each call. A promise stays itself.
        const promise = Promise.resolve(result);
        promise.then(end, end);
        return promise;
      }
      if (answer === undefined || handler.length < 3) end();
      return result;
    } catch (error) {
      end();
      throw error;
    }
  };
  for (const key of Reflect.ownKeys(handler)) {
    const property = Object.getOwnPropertyDescriptor(handler, key);
    if (property !== undefined && !OWN_OF_EACH_FUNCTION.includes(key)) Object.defineProperty(wrapper, key, property);
  }
  return wrapper as unknown as Handler;
}

function calledBack(callback: AnyHandler, end: () => void): (...args: never[]) => unknown {
  return (...args) => {
    end();
    return callback(...args);
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}
