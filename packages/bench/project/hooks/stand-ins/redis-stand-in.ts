/** Stands in for redis 5: the calls that docs/hooks.md makes. */
import { EventEmitter } from "node:events";
import { say } from "./say";

class RedisStandIn extends EventEmitter {
  constructor(readonly options: { readonly url: string }) {
    super();
  }

  async connect(): Promise<this> {
    await say("redis connect");
    return this;
  }

  async get(key: string): Promise<string> {
    await say(`redis get ${key}`);
    return "hello";
  }

  async close(): Promise<void> {
    await say("redis close");
  }
}

export function createClient(options: { readonly url: string }): RedisStandIn {
  return new RedisStandIn(options);
}
