import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";
import { onShutdown } from "lambda-graceful-shutdown";

const sqs = new SQSClient({});
const waiting: string[] = [];

/** Sends what waits, ten messages a request. Resolves with the number of messages that were sent. */
async function flush(options: { readonly abortSignal?: AbortSignal } = {}): Promise<number> {
  let sent = 0;
  while (waiting.length > 0) {
    const batch = waiting.splice(0, 10); // no other flush sends these
    const Entries = batch.map((MessageBody, index) => ({ Id: String(index), MessageBody }));
    const command = new SendMessageBatchCommand({ QueueUrl: process.env["QUEUE_URL"], Entries });
    try {
      const { Failed = [] } = await sqs.send(command, options);
      // The request succeeds even if SQS refuses some of its messages.
      if (Failed.length > 0) throw new Error(`SQS refused ${Failed.length} messages: ${Failed[0]?.Code ?? ""}`);
    } catch (error) {
      waiting.unshift(...batch); // the next flush sends the whole batch again
      throw error;
    }
    sent += batch.length;
  }
  return sent;
}

// The signal ends a request that takes too long. `sent` goes into the line at the shutdown.
onShutdown("queue", async ({ signal }) => ({ sent: await flush({ abortSignal: signal }) }));

export const handler = async (event: { readonly message: string }) => {
  waiting.push(event.message);
  if (waiting.length >= 10) await flush();
  return { waiting: waiting.length };
};
