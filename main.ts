import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, TerraformStack, TerraformVariable } from "cdktf";
import {
  ConstructSettingsError,
  GracefulFunction,
  MysqlDatabase,
  removeEarlierOutput,
  type Database,
  type GracefulFunctionConfig,
  type MysqlDatabaseConfig,
} from "lambda-graceful-shutdown-cdktf";

/** What a fork changes. */
const STACK_NAME = "graceful-shutdown";
export const SETTINGS = {
  region: "us-east-1",
  functionName: "graceful-shutdown",
  code: { entry: "function/index.ts" },
  architecture: "arm64",
  runtime: "nodejs24.x",
  memorySize: 1024,
  timeout: 60,
} satisfies GracefulFunctionConfig;

/** true: a second stack with a MySQL server of the function's own; `npx cdktf deploy '*'` brings up both. */
const CREATE_DATABASE = false as boolean;
const DATABASE = {
  region: SETTINGS.region,
  name: "graceful-shutdown",
  databaseName: "app",
} satisfies MysqlDatabaseConfig;

class DatabaseStack extends TerraformStack {
  public readonly database: MysqlDatabase;

  public constructor(app: App) {
    super(app, `${STACK_NAME}-database`);
    new AwsProvider(this, "aws", { region: DATABASE.region });
    this.database = new MysqlDatabase(this, "database", DATABASE);
  }
}

class GracefulShutdownStack extends TerraformStack {
  /** @param created the server to use; without it, the stack asks for one that exists. */
  public constructor(app: App, created?: MysqlDatabase) {
    super(app, STACK_NAME);
    new AwsProvider(this, "aws", { region: SETTINGS.region });
    new ArchiveProvider(this, "archive");
    new GracefulFunction(this, "function", {
      ...SETTINGS,
      ...(created ? { database: created.settings, vpc: created.vpc } : { database: this.existingDatabase() }),
    });
  }

  private existingDatabase(): Database {
    const text = (name: string, description: string): string =>
      new TerraformVariable(this, name, { type: "string", description }).stringValue;
    const port = { type: "number", description: "Port of the MySQL server", default: 3306 };
    return {
      host: text("db_host", "Host name of the MySQL server"),
      port: new TerraformVariable(this, "db_port", port).numberValue,
      name: text("db_name", "Name of the database"),
      auth: { type: "secret", secretArn: text("db_secret_arn", "ARN of the Secrets Manager secret with the log-in") },
    };
  }
}

const app = new App();
try {
  new GracefulShutdownStack(app, CREATE_DATABASE ? new DatabaseStack(app).database : undefined);
  removeEarlierOutput(app);
  app.synth();
} catch (error) {
  if (!(error instanceof ConstructSettingsError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
