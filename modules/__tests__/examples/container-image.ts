import type { TerraformStack } from "cdktf";
import { GracefulFunction } from "../../graceful-function/graceful-function";

export function containerImage(stack: TerraformStack): void {
  new GracefulFunction(stack, "orders", {
    region: "us-east-1",
    functionName: "orders",
    code: { image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/orders:1" },
  });
}
