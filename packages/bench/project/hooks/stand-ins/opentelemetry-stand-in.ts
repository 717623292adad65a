/** Stands in for @opentelemetry/sdk-node: the calls that docs/hooks.md makes. */
import { say } from "./say";

export class NodeSDK {
  constructor(readonly options: { readonly serviceName: string }) {}

  start(): void {
    console.log("stand-in: telemetry start");
  }

  async shutdown(): Promise<void> {
    await say("telemetry shutdown");
  }
}
