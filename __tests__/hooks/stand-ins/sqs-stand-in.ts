/** Stands in for @aws-sdk/client-sqs: the calls that docs/hooks.md makes. */
import { say } from "./say";

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

  async send({ input }: SendMessageBatchCommand, options: { readonly abortSignal?: AbortSignal }): Promise<void> {
    await say(`sqs ${input.Entries.map(({ MessageBody }) => MessageBody).join()} to ${String(input.QueueUrl)}`);
    options.abortSignal?.throwIfAborted();
  }
}
