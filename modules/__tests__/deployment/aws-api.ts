import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { FunctionSettings } from "./function-settings";

/** One request that changes something, as it came in. */
export interface Change {
  /** Of the signature: `iam`, `lambda`. */
  readonly service: string;
  /** The action, or method and path where the service has no actions. */
  readonly action: string;
  readonly body: Buffer;
  /** Resolves when the client has given the request up, or has its answer. */
  readonly over: Promise<unknown>;
}

export interface AwsApiConfig {
  /** The account that every request works in. */
  readonly account: string;
}

const READY_WITHIN_MS = 30_000;

// Ends moto however the test ends: its standard input is a pipe from the test.
const GUARDIAN =
  'moto_server "$@" </dev/null & server=$!; { read -r _; kill -KILL "$server"; } <&3 & wait "$server"; kill "$!"';

/** moto_server behind a door that sees every request. */
export class AwsApi {
  /** What was changed since {@link AwsApi.forget}. */
  readonly changes: Change[] = [];
  /** Called before a change is passed on, which waits for it; what its client has given up by then is not. */
  beforeChange: (change: Change) => Promise<void> | void = () => undefined;

  private readonly settings = new FunctionSettings();

  private constructor(
    private readonly motoPort: number,
    readonly url: string,
    readonly stop: () => Promise<void>,
  ) {}

  static async start({ account }: AwsApiConfig): Promise<AwsApi> {
    const moto = spawn("/bin/sh", ["-c", `exec 3<&0; ${GUARDIAN}`, "aws-api", "-H", "127.0.0.1", "-p", "0"], {
      stdio: ["pipe", "ignore", "pipe"],
      env: { ...process.env, MOTO_ACCOUNT_ID: account },
    });
    const ended = once(moto, "close");
    let log = "";
    moto.stderr.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-4_000);
    });
    const deadline = performance.now() + READY_WITHIN_MS;
    let port: string | undefined;
    while ((port = /Running on http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1]) === undefined) {
      if (moto.exitCode !== null || performance.now() > deadline) {
        moto.stdin.end();
        throw new Error(`moto_server did not start; the end of its log:\n${log}`);
      }
      await sleep(50);
    }

    const door = createServer((incoming, response) => {
      api.pass(incoming, response).catch(() => response.destroy());
    }).listen(0, "127.0.0.1");
    await once(door, "listening");
    const api: AwsApi = new AwsApi(
      Number(port),
      `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
      async () => {
        door.close();
        door.closeAllConnections();
        moto.stdin.end();
        await ended;
      },
    );
    return api;
  }

  /** An empty account, and no record of changes. */
  async reset(): Promise<void> {
    await this.control("reset");
    this.forget();
  }

  forget(): void {
    this.changes.length = 0;
  }

  /** From now on signatures and permissions count, as they do at AWS; or no longer. */
  async enforceIam(enforced: boolean): Promise<void> {
    await this.control("reset-auth", enforced ? "0" : "inf");
  }

  private async control(path: string, body = ""): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.motoPort}/moto-api/${path}`, { method: "POST", body });
    if (!response.ok) throw new Error(`moto: /moto-api/${path} answered ${response.status}`);
  }

  private async pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming);
    const change = changeOf(incoming, body, once(response, "close"));
    if (change !== undefined) {
      this.changes.push(change);
      await this.beforeChange(change);
      if (response.destroyed) return;
    }
    const { method = "GET", url: path = "/", headers } = incoming;
    // With the host of the door, which is what was signed.
    const outgoing = request({ host: "127.0.0.1", port: this.motoPort, method, path, headers });
    outgoing.end(body);
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    const { statusCode = 502 } = answer;
    if (!this.settings.isAboutFunction(path) || statusCode >= 300) {
      response.writeHead(statusCode, answer.headers);
      answer.pipe(response);
      return;
    }
    this.settings.note(method, path, body);
    const completed = this.settings.complete(await buffer(answer));
    response.writeHead(statusCode, { ...answer.headers, "content-length": completed.length });
    response.end(completed);
  }
}

const READS = /^(Get|List|Describe|Lookup|GET |HEAD )/;

function changeOf({ headers, method, url }: IncomingMessage, body: Buffer, over: Promise<unknown>): Change | undefined {
  const service = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? "")?.[1] ?? "unsigned";
  const target = headers["x-amz-target"];
  const form = /^application\/x-www-form-urlencoded/.test(headers["content-type"] ?? "");
  const action =
    (typeof target === "string" ? target.replace(/^.*\./, "") : undefined) ??
    (form ? new URLSearchParams(body.toString()).get("Action") : undefined) ??
    `${method ?? ""} ${url ?? ""}`;
  return READS.test(action) ? undefined : { service, action, body, over };
}
