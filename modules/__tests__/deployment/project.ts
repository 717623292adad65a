import { execFile, type ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { TerraformParts } from "./terraform-parts";

export interface CommandResult {
  readonly status: number | null;
  /** What it wrote, on either stream. */
  readonly output: string;
}

export interface ProjectConfig {
  /** An empty directory for a copy of this project. */
  readonly directory: string;
  readonly parts: TerraformParts;
  /** Where the API is. */
  readonly apiUrl: string;
}

interface StateFile {
  readonly resources: readonly {
    readonly mode: "managed" | "data";
    readonly type: string;
    readonly instances: readonly { readonly attributes: Readonly<Record<string, unknown>> }[];
  }[];
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const ROOT = join(__dirname, "../../..");
const STACK = "graceful-shutdown";
const COPIED = ["main.ts", "cdktf.json", "tsconfig.json", "package.json", "modules", "function"];
const ENDPOINTS = ["cloudwatchlogs", "ec2", "iam", "kms", "lambda", "rds", "secretsmanager", "sns", "sqs", "sts"];

/** This project in a directory of its own, where it can be changed, with its commands. */
export class Project {
  credentials: Credentials = { accessKeyId: "test", secretAccessKey: "test" };
  /** Of the stack. */
  readonly variables = {
    db_host: "db.example.com",
    db_name: "orders",
    db_secret_arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf",
  };
  /** Value of TF_REATTACH_PROVIDERS. */
  reattach: string | undefined;
  /** The program of the CLI, in front of its options. */
  cli: readonly [string, ...string[]] = [join(ROOT, "node_modules/.bin/cdktf")];
  /** More variables for the programs. */
  environment: Readonly<Record<string, string>> = {};

  constructor(private readonly config: ProjectConfig) {
    const { directory } = config;
    const filter = (file: string): boolean => basename(file) !== "node_modules"; // CDK Terrain's are hundreds of megabytes
    for (const name of COPIED) cpSync(join(ROOT, name), join(directory, name), { recursive: true, filter });
    symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
    mkdirSync(join(directory, "home"));
    writeFileSync(join(directory, "override.tf.json"), JSON.stringify(this.override()));
  }

  /** Where Terraform runs. */
  get stackDirectory(): string {
    return join(this.config.directory, "cdktf.out/stacks", STACK);
  }

  get synthesizedFile(): string {
    return join(this.stackDirectory, "cdk.tf.json");
  }

  /** The managed resources in Terraform's state, by type. */
  get state(): Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> {
    return this.stateOf(STACK);
  }

  stateOf(stack: string): Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> {
    const file = join(this.config.directory, `terraform.${stack}.tfstate`);
    if (!existsSync(file)) return {};
    const { resources } = JSON.parse(readFileSync(file, "utf8")) as StateFile;
    const managed: Record<string, Readonly<Record<string, unknown>>[]> = {};
    for (const { mode, type, instances } of resources) {
      if (mode === "managed") (managed[type] ??= []).push(...instances.map(({ attributes }) => attributes));
    }
    return managed;
  }

  /** Changes a source file, which has to have that text. */
  edit(file: string, from: RegExp, to: string): void {
    const text = readFileSync(join(this.config.directory, file), "utf8");
    if (!from.test(text)) throw new Error(`${file} has nothing like ${String(from)}`);
    this.write(file, text.replace(from, to));
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.config.directory, file), text);
  }

  /** @param options and names of stacks, which may be left out if there is one. */
  cdktf(command: "deploy" | "diff" | "destroy", ...options: readonly string[]): Promise<CommandResult> {
    const { app } = JSON.parse(readFileSync(join(this.config.directory, "cdktf.json"), "utf8")) as { app: string };
    // Terraform merges a file of that name: what is deployed is what main.ts makes, at another address.
    const withOverride = `${app} && for stack in "$CDKTF_OUTDIR"/stacks/*/; do cp override.tf.json "$stack"; done`;
    const [program, ...first] = this.cli;
    return this.command(program, [
      ...[...first, command, "--app", withOverride, "--skip-provider-lock", "--no-color", ...options],
      ...(command === "diff" ? [] : ["--auto-approve"]),
    ]);
  }

  /**
   * Terraform itself, on what was synthesized last.
   *
   * @param onStart is given the process, to interrupt it
   * @param directory with another copy of what was synthesized
   */
  terraform(
    args: readonly string[],
    onStart?: (child: ChildProcess) => void,
    directory = this.stackDirectory,
  ): Promise<CommandResult> {
    // Options come before the name of a plan.
    const [command = "", ...rest] = args;
    return this.command(
      "terraform",
      [`-chdir=${directory}`, command, ...(command === "state" ? [] : ["-no-color"]), ...rest],
      onStart,
    );
  }

  private command(
    program: string,
    args: readonly string[],
    onStart: (child: ChildProcess) => void = () => undefined,
  ): Promise<CommandResult> {
    const options = { cwd: this.config.directory, env: this.processEnvironment(), maxBuffer: 64 * 1024 * 1024 };
    return new Promise((settle, fail) => {
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        if (child.exitCode === null) fail(new Error(`${program} did not end by itself`, { cause: error }));
        else settle({ status: child.exitCode, output: stdout + stderr });
      });
      onStart(child);
    });
  }

  private processEnvironment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(AWS|TF|CDKTF)_/.test(name));
    return {
      ...Object.fromEntries(inherited),
      HOME: join(this.config.directory, "home"),
      // What cdktf-cli does without a terminal, too.
      CI: "1",
      CHECKPOINT_DISABLE: "1",
      // The schema of the AWS provider is large: a plan takes 6.8 s of CPU time instead of 10.0 (measured).
      GOGC: "400",
      AWS_ACCESS_KEY_ID: this.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
      TF_CLI_CONFIG_FILE: this.config.parts.cliConfigFile,
      ...(this.reattach === undefined ? {} : { TF_REATTACH_PROVIDERS: this.reattach }),
      ...this.environment,
      ...Object.fromEntries(Object.entries(this.variables).map(([name, value]) => [`TF_VAR_${name}`, value])),
    };
  }

  private override(): object {
    const { apiUrl, parts } = this.config;
    return {
      terraform: { required_providers: { aws: { source: "hashicorp/aws", version: parts.awsVersion } } },
      provider: {
        aws: [
          {
            endpoints: [Object.fromEntries(ENDPOINTS.map((service) => [service, apiUrl]))],
            skip_credentials_validation: true,
            skip_metadata_api_check: "true",
            skip_requesting_account_id: true,
          },
        ],
      },
    };
  }
}
