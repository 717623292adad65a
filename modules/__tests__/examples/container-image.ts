import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

/** The function has `shutdownExtension: ShutdownExtension.internal()`, since an image takes no layers. */
export function containerImage(_stack: TerraformStack, orders: GracefulFunction): void {
  const { resource } = orders;
  resource.packageType = "Image";
  resource.imageUri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/orders:1";
  resource.resetFilename();
  resource.resetSourceCodeHash();
  resource.resetHandler();
  resource.resetRuntime();
}
