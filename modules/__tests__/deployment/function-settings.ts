const FUNCTION = /^\/2015-03-31\/functions(?:\/([\w-]+))?(?:\/(configuration|code))?\/?(?:\?|$)/;
const KEPT = ["EphemeralStorage", "LoggingConfig", "TracingConfig"] as const;

type Settings = Partial<Record<(typeof KEPT)[number], unknown>>;

/** What AWS remembers of a function and moto does not: the log's settings, and changes of storage and tracing. */
export class FunctionSettings {
  readonly #functions = new Map<string, Settings>();

  /** Whether an answer to this request has a function's configuration in it. */
  isAboutFunction(url: string): boolean {
    return FUNCTION.test(url);
  }

  note(method: string, url: string, body: Buffer): void {
    const [, name, part] = FUNCTION.exec(url) ?? [];
    const isCreated = method === "POST" && name === undefined;
    if (!isCreated && !(method === "PUT" && part === "configuration")) return;
    const request = JSON.parse(body.toString()) as Settings & { readonly FunctionName?: string };
    const key = name ?? request.FunctionName ?? "";
    const given = Object.fromEntries(KEPT.filter((each) => request[each]).map((each) => [each, request[each]]));
    this.#functions.set(key, isCreated ? given : { ...this.#functions.get(key), ...given });
  }

  /** The answer with what the function has. */
  complete(answer: Buffer): Buffer {
    const json = parsed(answer);
    const configuration = (json?.["Configuration"] ?? json) as Record<string, unknown> | undefined;
    const name = configuration?.["FunctionName"];
    if (configuration === undefined || typeof name !== "string") return answer;
    Object.assign(configuration, this.#functions.get(name));
    return Buffer.from(JSON.stringify(json));
  }
}

function parsed(text: Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
