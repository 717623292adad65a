/** Stands in for @aws-sdk/client-sqs: the calls that docs/hooks.md makes. */
import { say } from "./say";

interface Answer {
  readonly Failed?: readonly { readonly Id: string; readonly Code: string }[];
}

export class SendMessageBatchCommand {
  constructor(
    readonly input: {
      readonly QueueUrl: string | undefined;
      readonly Entries: readonly { readonly Id: string; readonly MessageBody: string }[];
    },
  ) {}
}

export class SQSClient {
  constructor(readonly options: object) {}

  /** Refuses the messages that say so, as SQS does within a request that succeeds. */
  async send({ input }: SendMessageBatchCommand, options: { readonly abortSignal?: AbortSignal }): Promise<Answer> {
    await say(`sqs ${input.Entries.map(({ MessageBody }) => MessageBody).join()} to ${String(input.QueueUrl)}`);
    options.abortSignal?.throwIfAborted();
    const refused = input.Entries.filter(({ MessageBody }) => MessageBody === "refuse this");
    return { Failed: refused.map(({ Id }) => ({ Id, Code: "InvalidMessageContents" })) };
  }
}
