import { LambdaCodeSigningConfig } from "@cdktf/provider-aws/lib/lambda-code-signing-config";
import { SignerSigningProfile } from "@cdktf/provider-aws/lib/signer-signing-profile";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function codeSigning(stack: TerraformStack, orders: GracefulFunction): void {
  const profile = new SignerSigningProfile(stack, "profile", { platformId: "AWSLambda-SHA384-ECDSA" });
  const signing = new LambdaCodeSigningConfig(stack, "signing", {
    allowedPublishers: { signingProfileVersionArns: [profile.versionArn] },
    // The construct does not sign its archive: "Enforce" would refuse it.
    policies: { untrustedArtifactOnDeployment: "Warn" },
  });
  orders.resource.codeSigningConfigArn = signing.arn;
}
