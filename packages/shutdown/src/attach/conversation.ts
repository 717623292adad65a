/** What is known of one connection, from the bytes that went over it. */
export interface Conversation {
  readonly name: string;
  /** An answer is missing, or the log-in is not complete. */
  readonly isBusy: boolean;
  readonly isInTransaction?: boolean;
  /** The driver has said goodbye itself. */
  readonly isClosing?: boolean;
  /** The server answers the goodbye. RabbitMQ logs an error if the FIN comes first. @default - the FIN may follow at once */
  readonly awaitsCloseOk?: boolean;
  /** The next bytes are TLS. */
  readonly startsTls?: boolean;
  sent(chunk: Buffer): void;
  received(chunk: Buffer): void;
  /** The bytes that end the connection. @default - the FIN is enough */
  goodbye?(): Buffer;
  /** Goes to the server on a connection of its own, and stops the running statement. */
  cancelRequest?(): Buffer | undefined;
}
