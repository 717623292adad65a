/** The streams that the Telemetry API has. */
export const TELEMETRY_TYPES = ["platform", "function", "extension"] as const;
export type TelemetryType = (typeof TELEMETRY_TYPES)[number];

export type TelemetryDestination =
  | { readonly protocol: "HTTP"; readonly port: number; readonly path: string }
  | { readonly protocol: "TCP"; readonly port: number };

/** When a batch is sent: as soon as one of these is reached. */
export interface Buffering {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** What an extension wants, and where. */
export interface Subscription {
  readonly types: ReadonlySet<TelemetryType>;
  readonly destination: TelemetryDestination;
  readonly buffering: Buffering;
}

/** A subscription that the API refuses; the message lists everything that is wrong, as AWS's does. */
export class SubscriptionError extends Error {
  override readonly name = "SubscriptionError";
}

const SCHEMA_VERSIONS: readonly unknown[] = ["2022-07-01", "2022-12-13", "2025-01-29"];
const MANAGED_SCHEMA_VERSIONS: readonly unknown[] = ["2025-01-29"];

/** The emulator takes the first two. `sandbox.localdomain` is no name on this machine, so the lab takes the address too. */
const HOSTS = ["sandbox.localdomain", "sandbox", "127.0.0.1"];

/** Minimum, maximum and default: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html */
const BUFFERING = {
  maxItems: [1_000, 10_000, 10_000],
  maxBytes: [262_144, 1_048_576, 262_144],
  timeoutMs: [25, 30_000, 1_000],
} as const;

/**
 * Reads the body of a subscription.
 *
 * @throws SubscriptionError
 */
export function parseSubscription(body: string, isManaged = false): Subscription {
  const request = parseObject(body);
  const problems: string[] = [];
  const versions = isManaged ? MANAGED_SCHEMA_VERSIONS : SCHEMA_VERSIONS;
  if (!versions.includes(request["schemaVersion"])) problems.push(`schemaVersion should be ${versions.join(", ")}`);
  const types = Array.isArray(request["types"]) ? (request["types"] as readonly unknown[]) : [];
  if (types.length === 0) problems.push("types should not be empty");
  if (!types.every(isType)) problems.push(`types should be of ${TELEMETRY_TYPES.join(", ")}`);
  const destination = destinationOf(request["destination"], problems);
  const buffering = bufferingOf(request["buffering"], problems);
  if (problems.length > 0 || destination === undefined) throw new SubscriptionError(problems.join("; "));
  return { types: new Set(types.filter(isType)), destination, buffering };
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    throw new SubscriptionError("the body is not JSON");
  }
  if (!isObject(request)) throw new SubscriptionError("the body is not a JSON object");
  return request;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isType(type: unknown): type is TelemetryType {
  return (TELEMETRY_TYPES as readonly unknown[]).includes(type);
}

function isPort(port: unknown): port is number {
  return typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function destinationOf(destination: unknown, problems: string[]): TelemetryDestination | undefined {
  const { protocol, URI: uri, port } = isObject(destination) ? destination : {};
  if (protocol === "TCP") {
    if (isPort(port)) return { protocol, port };
    problems.push("port is not provided");
  } else if (protocol !== "HTTP") {
    problems.push("protocol should be HTTP or TCP");
  } else if (typeof uri !== "string" || !URL.canParse(uri)) {
    problems.push("URI is not valid");
  } else {
    const { protocol: scheme, hostname, port: digits, pathname, search } = new URL(uri);
    if (scheme !== "http:") problems.push("URI should begin with http://");
    if (!HOSTS.includes(hostname)) problems.push("URI host should be sandbox.localdomain");
    if (digits === "") problems.push("URI port is not provided");
    return { protocol, port: Number(digits), path: `${pathname}${search}` };
  }
  return undefined;
}

function bufferingOf(buffering: unknown, problems: string[]): Buffering {
  const given = isObject(buffering) ? buffering : {};
  const limit = (name: keyof Buffering): number => {
    const [least, most, otherwise] = BUFFERING[name];
    const value = given[name] ?? otherwise;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    problems.push(`${name} should be from ${least} to ${most}`);
    return otherwise;
  };
  return { maxItems: limit("maxItems"), maxBytes: limit("maxBytes"), timeoutMs: limit("timeoutMs") };
}
