import type { ServerConnection } from "./connection.ts";

/** A statement that waits for a connection. */
export class Waiter {
  readonly connection: Promise<ServerConnection>;
  resolve!: (connection: ServerConnection) => void;
  reject!: (error: Error) => void;
  isSettled = false;

  /** @param since when it began to wait, by `now()` */
  constructor(readonly since: number) {
    this.connection = new Promise((resolve, reject) => {
      this.resolve = (connection) => {
        this.isSettled = true;
        resolve(connection);
      };
      this.reject = (error) => {
        this.isSettled = true;
        reject(error);
      };
    });
  }
}

/** First in, first out. A waiter that has given up stays until its turn: to find it would make n waiters cost n². */
export class WaitQueue {
  private waiters: (Waiter | undefined)[] = [];
  private head = 0;

  /** @returns how many stand in it, those that have given up included */
  get length(): number {
    this.skipSettled();
    return this.waiters.length - this.head;
  }

  get first(): Waiter | undefined {
    this.skipSettled();
    return this.waiters[this.head];
  }

  push(waiter: Waiter): void {
    this.waiters.push(waiter);
  }

  /** For a statement that has had its turn, and did not run. */
  pushFirst(waiter: Waiter): void {
    if (this.head === 0) this.waiters.unshift(waiter);
    else this.waiters[(this.head -= 1)] = waiter;
  }

  shift(): Waiter | undefined {
    const { first } = this;
    if (first !== undefined) this.drop();
    return first;
  }

  takeAll(): readonly Waiter[] {
    const all = this.waiters.slice(this.head).filter((waiter) => waiter !== undefined);
    this.waiters = [];
    this.head = 0;
    return all;
  }

  private skipSettled(): void {
    while (this.waiters[this.head]?.isSettled === true) this.drop();
  }

  private drop(): void {
    this.waiters[this.head] = undefined;
    this.head += 1;
    if (this.head < this.waiters.length / 2) return;
    this.waiters = this.waiters.slice(this.head);
    this.head = 0;
  }
}
