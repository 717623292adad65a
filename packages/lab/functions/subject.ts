import { join } from "node:path";
import type { SecureContext } from "node:tls";
import type { DatabaseServer, Login } from "../mysql/server";
import { AWS_LIMITS, type ExternalExtension, type LambdaFunction } from "../lambda/execution-environment";
import { FAKE_INSIGHTS } from "../lambda/fake-insights";
import type { SynthesizedFunction } from "./synthesized-function";
import { stageUnbundled } from "./unbundled-code";

/** One way for a function to meet its Shutdown phase. */
export interface Subject {
  readonly name: string;
  readonly lambdaFunction: LambdaFunction;
  readonly extensions: readonly ExternalExtension[];
  /** The environment variables that tell it where the database and the servers in {@link tcp} are. @default templateVariables */
  readonly variables?: (login: Login, tcp?: Addresses) => Readonly<Record<string, string>>;
  /**
   * What the lab's relay shows to a function that asks for TLS.
   * @default - TLS passes through to the server, and COM_QUIT in it cannot be seen
   */
  readonly tls?: SecureContext;
  /** A server of its own, where it cannot log in to the others. @default - the one that all are run with */
  readonly database?: DatabaseServer;
  /** Servers beside the database that the lab watches. @default none */
  readonly tcp?: readonly TcpServer[];
}

/** A server of any protocol; PostgreSQL's, Redis' and MySQL's are recognized. */
export interface TcpServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Where the function reaches each server, by the server's name. */
export type Addresses = Readonly<Record<string, { readonly host: string; readonly port: number }>>;

export const EXTENSION_KINDS = ["external", "internal", "none"] as const;
/** Whose registration makes Lambda send SIGTERM. */
export type ExtensionKind = (typeof EXTENSION_KINDS)[number];

export function isFakeInsights(extension: ExternalExtension): boolean {
  return extension === FAKE_INSIGHTS;
}

/** What the function of this template reads with a password and without TLS, which it takes on loopback only. */
export function templateVariables({ host, port, user, password, database }: Login): Readonly<Record<string, string>> {
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: database,
    DB_USER: user,
    DB_AUTH: "password",
    DB_PASSWORD: password,
    DB_TLS: "off",
  };
}

/** The synthesized function as it would be deployed: an Insights layer becomes the fake Insights extension. */
export function thisFunction(lambdaFunction: SynthesizedFunction): Subject {
  const insights = lambdaFunction.layers.some(
    (layer) => layer.includes("LambdaInsightsExtension") || layer.includes("insights"),
  );
  return { name: "this function", lambdaFunction, extensions: insights ? [FAKE_INSIGHTS] : [] };
}

/** The same code, which logs in the same way, without anything that makes Lambda send SIGTERM. */
export function noExtension(subject: Subject): Subject {
  return { ...subject, name: "no extension", extensions: [] };
}

/** The same code with this kind of extension: an internal one is the function's own to register. */
export function withExtension(subject: Subject, kind: ExtensionKind): Subject {
  const budgetMs = kind === "internal" ? AWS_LIMITS.runtimeWithInternalMs : AWS_LIMITS.runtimeWithExternalMs;
  return {
    ...subject,
    extensions: kind === "external" ? [FAKE_INSIGHTS] : [],
    lambdaFunction: {
      ...subject.lambdaFunction,
      environment: {
        ...subject.lambdaFunction.environment,
        SHUTDOWN_EXTENSION: kind,
        SHUTDOWN_BUDGET_MS: String(budgetMs),
      },
    },
  };
}

/**
 * The article's handler in the same execution environment.
 *
 * @param directory an empty directory for its code and packages
 */
export function articleSubject(lambdaFunction: LambdaFunction, directory: string): Subject {
  stageUnbundled(join(__dirname, "article"), directory, ["mysql2"]);
  return {
    name: "the article's way",
    lambdaFunction: { ...lambdaFunction, directory },
    extensions: [FAKE_INSIGHTS],
  };
}
