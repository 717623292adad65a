/** Stands in for pg 8: the calls that docs/hooks.md makes. */
import { EventEmitter } from "node:events";
import { say } from "./say";

export class Pool extends EventEmitter {
  constructor(readonly options: { readonly max: number; readonly ssl: boolean; readonly statement_timeout: number }) {
    super();
  }

  async query(sql: string): Promise<{ readonly rows: readonly object[] }> {
    await say(`pg ${sql}`);
    return { rows: [{ now: "2026-11-25" }] };
  }

  async end(): Promise<void> {
    await say("pg end");
  }
}
