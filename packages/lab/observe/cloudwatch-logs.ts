import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import type { LogEvent } from "./environment-history";

/** What is read, and from when on. */
export interface LogQuery {
  readonly logGroup: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly region?: string;
}

export interface FunctionLog {
  readonly events: readonly LogEvent[];
  /** When each stream got its last event, milliseconds since 1970. CloudWatch is up to an hour late with it. */
  readonly lastEvents: ReadonlyMap<string, number>;
}

/** Both forms of the log: plain text, and JSON. */
const PATTERN = '?INIT_START ?"platform.initStart" ?"event\\":\\"shutdown"';

/**
 * Reads a function's log with the credentials and the endpoint that AWS's SDK finds in the environment.
 *
 * @param onProgress called with the number of events so far
 * @throws Error if the log group does not exist, or the credentials do not allow logs:FilterLogEvents and
 * logs:DescribeLogStreams
 */
export async function readFunctionLog(
  { logGroup, since, region }: LogQuery,
  onProgress: (count: number) => void = () => undefined,
): Promise<FunctionLog> {
  // Here, because the other commands do not need the SDK, which takes a second to load.
  const { CloudWatchLogsClient, paginateDescribeLogStreams, paginateFilterLogEvents } =
    await import("@aws-sdk/client-cloudwatch-logs");
  const client: CloudWatchLogsClient = new CloudWatchLogsClient(region === undefined ? {} : { region });
  try {
    const events: LogEvent[] = [];
    const filter = { logGroupName: logGroup, startTime: since, filterPattern: PATTERN };
    for await (const page of paginateFilterLogEvents({ client }, filter)) {
      for (const { logStreamName, timestamp, message } of page.events ?? []) {
        events.push({ stream: logStreamName ?? "", timestamp: timestamp ?? 0, message: message ?? "" });
      }
      onProgress(events.length);
    }
    const lastEvents = new Map<string, number>();
    const newestFirst = { logGroupName: logGroup, orderBy: "LastEventTime", descending: true } as const;
    for await (const { logStreams = [] } of paginateDescribeLogStreams({ client }, newestFirst)) {
      for (const { logStreamName = "", lastEventTimestamp = 0 } of logStreams) {
        lastEvents.set(logStreamName, lastEventTimestamp);
      }
      if ((logStreams.at(-1)?.lastEventTimestamp ?? 0) < since) break;
    }
    return { events, lastEvents };
  } finally {
    client.destroy();
  }
}
