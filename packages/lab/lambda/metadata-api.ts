import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { json, refuseMethod } from "./http-answer";

export const METADATA_PATH = "/2026-01-15/metadata/execution-environment";

/** As AWS names zones for all accounts alike. */
const AVAILABILITY_ZONE_ID = "use1-az1";
const MAX_AGE_SECONDS = 43_200;

/**
 * The metadata endpoint of an execution environment, for runtimes and extensions, with the refusals of AWS's emulator:
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lmds/handler.go)
 */
export class MetadataApi {
  private readonly token = randomUUID();

  /** @param address host and port of the server that hands its requests to {@link handle} */
  variables(address: string): Readonly<Record<string, string>> {
    return { AWS_LAMBDA_METADATA_API: address, AWS_LAMBDA_METADATA_TOKEN: this.token };
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET") {
      refuseMethod(response);
    } else if (request.headers.authorization !== `Bearer ${this.token}`) {
      response.writeHead(401, { "Content-Length": 0 }).end();
    } else {
      response.setHeader("Cache-Control", `private, max-age=${MAX_AGE_SECONDS}, immutable`);
      json(response, 200, { AvailabilityZoneID: AVAILABILITY_ZONE_ID });
    }
  }
}
