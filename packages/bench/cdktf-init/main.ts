/**
 * The stack of this project's main.ts, written by hand into what `cdktf init --template=typescript` gives: its
 * tsconfig.json, its command, and the bindings imported by their names, as the bindings' own pages do.
 */
import * as archive from "@cdktf/provider-archive";
import * as aws from "@cdktf/provider-aws";
import { App, AssetType, Fn, TerraformAsset, TerraformOutput, TerraformStack, TerraformVariable } from "cdktf";
import { Construct } from "constructs";
import * as path from "path";

const REGION = "us-east-1";
const NAME = "graceful-shutdown";
const LAYER = "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:27";

class MyStack extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);

    new aws.provider.AwsProvider(this, "aws", { region: REGION });
    new archive.provider.ArchiveProvider(this, "archive");

    const host = new TerraformVariable(this, "db_host", { type: "string" });
    const port = new TerraformVariable(this, "db_port", { type: "number", default: 3306 });
    const database = new TerraformVariable(this, "db_name", { type: "string" });
    const secretArn = new TerraformVariable(this, "db_secret_arn", { type: "string" });

    const { partition } = new aws.dataAwsPartition.DataAwsPartition(this, "partition");
    const { accountId } = new aws.dataAwsCallerIdentity.DataAwsCallerIdentity(this, "caller");
    const logGroupArn = (name: string) => `arn:${partition}:logs:${REGION}:${accountId}:log-group:${name}:*`;

    const logGroup = new aws.cloudwatchLogGroup.CloudwatchLogGroup(this, "log-group", {
      name: `/aws/lambda/${NAME}`,
      retentionInDays: 365,
    });
    const role = new aws.iamRole.IamRole(this, "role", {
      name: `${NAME}-${REGION}`,
      assumeRolePolicy: Fn.jsonencode({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Action: "sts:AssumeRole",
            Principal: { Service: "lambda.amazonaws.com" },
            Condition: { StringEquals: { "aws:SourceAccount": accountId } },
          },
        ],
      }),
    });
    const write = ["logs:CreateLogStream", "logs:PutLogEvents"];
    const policies = {
      logging: [
        { Effect: "Allow", Action: write, Resource: logGroupArn(`/aws/lambda/${NAME}`) },
        { Effect: "Allow", Action: ["logs:CreateLogGroup", ...write], Resource: logGroupArn("/aws/lambda-insights") },
      ],
      database: [{ Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn.stringValue }],
    };
    const attachments = Object.entries(policies).map(([name, statements]) => {
      const policy = new aws.iamPolicy.IamPolicy(this, name, {
        name: `${NAME}-${REGION}-${name}`,
        policy: Fn.jsonencode({ Version: "2012-10-17", Statement: statements }),
      });
      return new aws.iamRolePolicyAttachment.IamRolePolicyAttachment(this, `${name}-attachment`, {
        role: role.name,
        policyArn: policy.arn,
      });
    });

    const code = new TerraformAsset(this, "code", {
      path: path.resolve(__dirname, "../../function"),
      type: AssetType.DIRECTORY,
    });
    const zip = new archive.dataArchiveFile.DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir: `\${path.module}/${code.path}`,
      outputPath: "${path.module}/function.zip",
    });
    const lambda = new aws.lambdaFunction.LambdaFunction(this, "lambda", {
      functionName: NAME,
      role: role.arn,
      filename: zip.outputPath,
      sourceCodeHash: zip.outputBase64Sha256,
      handler: "index.handler",
      runtime: "nodejs24.x",
      architectures: ["arm64"],
      memorySize: 1024,
      timeout: 60,
      layers: [LAYER],
      environment: {
        variables: {
          DB_HOST: host.stringValue,
          DB_PORT: port.stringValue,
          DB_NAME: database.stringValue,
          DB_AUTH: "secret",
          DB_SECRET_ARN: secretArn.stringValue,
          DB_CONNECT_TIMEOUT_MS: "3000",
          SHUTDOWN_EXTENSION: "external",
          SHUTDOWN_BUDGET_MS: "300",
        },
      },
      dependsOn: [logGroup, ...attachments],
    });

    new TerraformOutput(this, "function_name", { value: lambda.functionName });
    new TerraformOutput(this, "function_arn", { value: lambda.arn });
    new TerraformOutput(this, "function_invoke_arn", { value: lambda.invokeArn });
    new TerraformOutput(this, "function_role_arn", { value: role.arn });
    new TerraformOutput(this, "function_log_group_name", { value: logGroup.name });
    new TerraformOutput(this, "function_insights_layer_arn", { value: Fn.element(lambda.layers, 0) });
  }
}

const app = new App();
new MyStack(app, NAME);
app.synth();
