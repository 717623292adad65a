import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { LambdaRuntime } from "../lambda/runtime";
import type { DatabaseServer } from "../mysql/server";
import { startPostgresql, startRedis, type ThrowawayTcpServer } from "../mysql/throwaway-tcp-server";
import { prismaClient } from "../functions/prisma-client";
import { withExtension, type Subject } from "../functions/subject";
import { userFunction, userVariables } from "../functions/user-function";
import { advice } from "./advice";
import { run, type RunResult } from "./run";
import type { UserHandler } from "./user-handlers";
import { runVerdict, type Verdict } from "./verdict";

/** What the lab makes of a handler. */
export interface Judged {
  readonly verdict: Verdict;
  /** @default - nothing is to be changed */
  readonly change: string | undefined;
  readonly result: RunResult;
}

const STARTS = { PostgreSQL: startPostgresql, Redis: startRedis } as const;
const URLS = {
  PostgreSQL: { POSTGRESQL_URL: "postgresql://postgres:postgres@{PostgreSQL.host}:{PostgreSQL.port}/postgres" },
  Redis: { REDIS_URL: "redis://{Redis.host}:{Redis.port}" },
} as const;

/** Runs small handlers, with the packages and the servers that they need. */
const providerOf = (server: UserHandler["server"]) => (server === "PostgreSQL" ? "postgresql" : "mysql");

export class HandlerJudge {
  private readonly scratch: string;
  private readonly servers = new Map<keyof typeof STARTS, Promise<ThrowawayTcpServer>>();

  constructor(private readonly database: DatabaseServer) {
    // Below the lab, where a handler finds the packages of the lab and of the project.
    const cache = join(__dirname, "../node_modules/.cache");
    mkdirSync(cache, { recursive: true });
    this.scratch = mkdtempSync(join(cache, "handlers-"));
  }

  /** Why this handler cannot run on this machine; nothing if it can. */
  async missing({ code, server, usesPrisma }: UserHandler): Promise<string | undefined> {
    const packages = missingPackages(code, this.scratch);
    if (packages.length > 0) return `no ${packages.join(", no ")}`;
    try {
      if (usesPrisma === true) prismaClient(providerOf(server));
      if (server !== undefined) await this.started(server);
      return undefined;
    } catch (error) {
      return `no ${server ?? "Prisma"}: ${(error instanceof Error ? error.message : String(error)).split("\n")[0] ?? ""}`;
    }
  }

  async subject({ name, file = "index.js", code, server, usesPrisma }: UserHandler): Promise<Subject> {
    const directory = mkdtempSync(join(this.scratch, "handler-"));
    writeFileSync(join(directory, file), code);
    if (usesPrisma === true)
      cpSync(join(prismaClient(providerOf(server)), "client.mjs"), join(directory, "client.mjs"));
    const { compiledFrom, ...found } = userFunction(directory, mkdtempSync(join(this.scratch, "scratch-")));
    const isTypeScript = file.endsWith(".ts");
    if ((compiledFrom !== undefined) !== isTypeScript) throw new Error(`${name}: compiled from ${compiledFrom ?? "–"}`);
    const { host, port } = server === undefined ? { host: "", port: 0 } : await this.started(server);
    const env = server === undefined ? {} : URLS[server];
    return withExtension(
      {
        name,
        lambdaFunction: { ...found, memorySizeMb: 128, timeoutMs: 5_000, environment: {} },
        extensions: [],
        variables: (login, addresses) => userVariables(login, env, addresses),
        ...(server === undefined ? {} : { tcp: [{ name: server, host, port }] }),
      },
      "external",
    );
  }

  async judge(handler: UserHandler, runtime: LambdaRuntime): Promise<Judged> {
    const subject = await this.subject(handler);
    const result = await run(subject, runtime, this.database);
    const change = advice(result, true);
    return { verdict: runVerdict(result), change, result };
  }

  async close(): Promise<void> {
    const servers = await Promise.allSettled(this.servers.values());
    await Promise.all(servers.flatMap((each) => (each.status === "fulfilled" ? [each.value.stop()] : [])));
    rmSync(this.scratch, { recursive: true, force: true });
  }

  private started(server: keyof typeof STARTS): Promise<ThrowawayTcpServer> {
    const started = this.servers.get(server) ?? STARTS[server]();
    this.servers.set(server, started);
    return started;
  }
}

/** The packages that the lab has for its own tests only. */
function missingPackages(code: string, directory: string): readonly string[] {
  const names = [...code.matchAll(/(?:from |require\()["']((?:@[\w-]+\/)?[\w-]+)(?:\/[^"']*)?["']/g)].map(
    ([, name = ""]) => name,
  );
  const { resolve } = createRequire(join(directory, "index.js"));
  const folders = resolve.paths("package") ?? [];
  return [...new Set(names)].filter(
    (name) => name !== ABSENT && !folders.some((folder) => existsSync(join(folder, name, "package.json"))),
  );
}

/** What the handler is about that lacks it. */
const ABSENT = "a-package-that-is-not-there";
