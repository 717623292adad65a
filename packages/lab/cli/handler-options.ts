import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import { fromInvocationDirectory } from "./invocation-directory";
import type { LambdaFunction } from "../lambda/lambda-function";
import { canReplaceOpt } from "../lambda/mount-namespace";
import { RUNTIMES } from "../lambda/lambda-runtime";
import type { LambdaError } from "../lambda/runtime-api";
import type { FakeAws } from "../functions/fake-aws";
import { AUTH_KINDS, authOf, deployed, deployedVariables, type AuthKind } from "../functions/log-in";
import { attached, attachLayer } from "../functions/attach-layer";
import { filledIn, userFunction, userVariables } from "../functions/user-function";
import type { Events, Project } from "../functions/project";
import type { SynthesizedFunction } from "../functions/synthesized-function";
import {
  EXTENSION_KINDS,
  articleSubject,
  noExtension,
  templateVariables,
  thisFunction,
  withExtension,
  type ExtensionKind,
  type Subject,
  type TcpServer,
} from "../functions/subject";
import type { AdviceContext } from "../runs/advice";
import type { CommandContext } from "./command-context";
import { event } from "./events";
import { checkReporters, withReporter, type Reporter } from "./reporters";
import { UsageError } from "./usage-error";

/** Whose function a command is about; without a handler it is the synthesized one. */
export interface HandlerOptions {
  readonly handler?: string;
  readonly entry?: string;
  readonly name?: string;
  readonly runtime?: string;
  readonly image?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly extension?: ExtensionKind;
  readonly auth?: AuthKind;
  readonly provisioned?: boolean;
  /** @default none */
  readonly layer?: readonly string[];
  readonly attach?: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** @default none */
  readonly tcp?: readonly TcpServer[];
  readonly event?: unknown;
  readonly slowEvent?: unknown;
  readonly json?: boolean;
  /** @default none */
  readonly reporter?: readonly Reporter[];
}

/** What runs, and on which runtime. */
export interface Chosen {
  readonly subject: Subject;
  readonly runtime: string;
  /** The lab chose the extension, because the command line names none. */
  readonly extensionIsAssumed: boolean;
  readonly events: Events;
  /** The handler of somebody's with the layer of this project, where that can be had. @default - it cannot */
  readonly attached?: Subject;
  /** What the advice has to know of the command line. */
  readonly adviceContext: AdviceContext;
  /** The synthesized function, if that is what runs. */
  readonly synthesized?: SynthesizedFunction;
}

/** As in Lambda, where nothing else is said. */
const DEFAULTS = { timeoutMs: 3_000, memorySizeMb: 128 };

export const VARIABLES_HELP = `
A handler of your own finds the server in the usual variables: DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME and
DB_DATABASE; MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD and MYSQL_DATABASE; MYSQL_URL and DATABASE_URL.
For others, --env NAME=VALUE fills in {host} {port} {user} {password} {database} {url}. The server takes TLS as well:
{ca} is the file of the lab's certificate authority. With --auth secret, {secret} is the ARN of the lab's secret, and
AWS_ENDPOINT_URL_SECRETS_MANAGER leads to the lab's fake.`;

/** Adds what `run`, `compare` and `faults` have in common. */
export function withHandlerOptions(command: Command, extensions: readonly ExtensionKind[] = EXTENSION_KINDS): Command {
  return withReporter(withJson(withFunctionOptions(command, extensions)));
}

/** The same, and what `run` and `compare` have beside it: one log-in, and one time limit. */
export function withRunOptions(command: Command): Command {
  return withHandlerOptions(command).addOption(timeoutOption()).addOption(authOption());
}

function withJson(command: Command): Command {
  return command.option("--json", "print the result as JSON, and nothing else, on standard output");
}

/** The same without --json, for the command that has its own. */
export function withFunctionOptions(command: Command, extensions: readonly ExtensionKind[] = EXTENSION_KINDS): Command {
  return withInputOptions(
    withCodeOptions(command)
      .option(
        "--provisioned",
        "with provisioned concurrency: Init may take 130 seconds, or --timeout if that is longer",
      )
      .option(
        "--image <name>",
        "a container image as the runtime, such as public.ecr.aws/lambda/nodejs:24; needs Docker",
        text,
      )
      .addOption(
        new Option(
          "--extension <kind>",
          "what makes Lambda send SIGTERM; internal: the handler registers it itself (default: the stack's; external for a handler of yours)",
        ).choices(extensions),
      ),
  );
}

function withCodeOptions(command: Command): Command {
  return command
    .option(
      "--handler <path>",
      "a handler of yours: a directory or a zip, as you would deploy it, or TypeScript, which the lab compiles",
      text,
    )
    .option(
      "--entry <file.export>",
      'file and export of the handler (default: "index.handler"; "lambda_function.lambda_handler" in Python)',
    )
    .option("--name <name>", "name of the handler in the output (default: the name of its directory or zip)", text)
    .addOption(
      new Option(
        "--runtime <name>",
        "what it runs on; provided: the program bootstrap in the directory, in any language (default: nodejs24.x)",
      ).choices(RUNTIMES),
    )
    .option(
      "--layer <path>",
      "a layer: a directory or a zip with what is to be at /opt; may be repeated; needs a mount namespace",
      layerPath,
    )
    .option(
      "--attach",
      "with the layer of lambda-graceful-shutdown, from dist/layer or the installed package, which also is the extension",
    );
}

function withInputOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--env <NAME=VALUE>", "a variable for the function; may be repeated")
        .argParser(variable)
        .default({}, "none"),
    )
    .option(
      "--tcp <name=host:port>",
      "another server to watch: PostgreSQL, Redis or any other; --env fills in {name.host} {name.port}; may be repeated",
      tcpServer,
    )
    .option(
      "--event <json>",
      "an event for which the function runs a statement (default: the project's, else {})",
      event,
    )
    .option("--slow-event <json>", "an event whose statement takes 30 seconds (default: the project's)", event);
}

/**
 * The chosen function and what stands beside it: for a handler of somebody's the project's own function, if there is
 * one, then the article's way and no extension.
 */
export async function besideOthers(
  context: CommandContext,
  first: Chosen,
  isAttachedToo = false,
): Promise<readonly Subject[]> {
  const synthesized = first.synthesized ?? (hasApp(context.project) ? await context.synthesized() : undefined);
  const like = synthesized ?? { ...first.subject.lambdaFunction, handler: "index.handler", layerPaths: [] };
  return [
    first.subject,
    ...(isAttachedToo && first.attached !== undefined ? [first.attached] : []),
    ...(first.synthesized === undefined && synthesized !== undefined ? [await asDeployed(context, synthesized)] : []),
    articleSubject(like, join(context.scratch, "article")),
    noExtension(first.subject),
  ];
}

/** A project without a CDKTF app has no function of its own to put beside the handler. */
function hasApp({ root }: Project): boolean {
  return existsSync(join(root, "cdktf.json"));
}

/**
 * The synthesized function with the log-in that its stack says. It logs in with a password and without TLS if the stack
 * does not say how.
 *
 * @param auth another log-in than the stack's
 */
async function asDeployed(
  context: CommandContext,
  synthesized: SynthesizedFunction,
  auth?: AuthKind,
): Promise<Subject> {
  const aws = await context.fakeAws();
  const ours = { ...thisFunction(synthesized), tls: aws.tls() };
  const kind = auth ?? authOf(synthesized);
  if (kind === undefined) return ours;
  return {
    ...(await deployed(ours, kind, aws)),
    ...(kind === "iam" ? { database: await context.iamDatabase() } : {}),
  };
}

/** For the commands that play one log-in; the faults play each. */
export function authOption(): Option {
  return new Option(
    "--auth <kind>",
    "how the function logs in, over verified TLS (default: the stack's; a password without TLS for a handler of yours)",
  ).choices(AUTH_KINDS);
}

/** For the commands in which a time-out is not of the command's making. */
function timeoutOption(): Option {
  const description = "time that an invocation may take (default: the stack's; 3 for a handler of yours)";
  return new Option("--timeout <seconds>", description).argParser(seconds);
}

export async function chosen(context: CommandContext, options: HandlerOptions): Promise<Chosen> {
  const { handler, extension, image, layer } = options;
  checkReporters(options.reporter, options.json);
  if (image !== undefined && (options.attach === true || layer !== undefined)) {
    throw new UsageError("--layer and --attach cannot be used with --image: a container image has no layers");
  }
  if (options.attach === true && extension !== undefined && extension !== "internal") {
    throw new UsageError(`--attach registers an internal extension; leave --extension ${extension} out`);
  }
  if (handler !== undefined) return chosenHandler(context, options, handler);
  for (const option of ["entry", "name", "runtime"] as const) {
    if (options[option] !== undefined) throw new UsageError(`--${option} needs --handler <path>, a handler of yours`);
  }
  return chosenProject(context, options);
}

async function chosenHandler(context: CommandContext, options: HandlerOptions, handler: string): Promise<Chosen> {
  const { extension, env } = options;
  const aws = await context.fakeAws();
  const { subject: brought, compiledFrom } = userSubject(handler, context.scratch, options, aws);
  const asBrought = options.auth === "iam" ? { ...brought, database: await context.iamDatabase() } : brought;
  const layer = attachLayer(context.project.root);
  const subject = options.attach === true ? attached(asBrought, layer, env) : asBrought;
  const runtime = options.runtime ?? RUNTIMES[0];
  if (compiledFrom !== undefined) context.say(`compiled     ${compiledFrom}, with esbuild`);
  const { handler: entry, directory } = subject.lambdaFunction;
  context.say(`function     ${entry} on ${runtime}, code in ${directory}`);
  const canAttach = options.attach !== true && runtime.startsWith("nodejs") && canReplaceOpt();
  return {
    ...{ subject, runtime, extensionIsAssumed: extension === undefined && options.attach !== true },
    ...(canAttach && layer !== undefined
      ? { attached: { ...attached(asBrought, layer, {}), name: `${asBrought.name}, attached` } }
      : {}),
    events: eventsOf(options, { quick: {} }),
    adviceContext: { given: Object.keys(env) },
  };
}

async function chosenProject(context: CommandContext, options: HandlerOptions): Promise<Chosen> {
  const { extension, env } = options;
  const synthesized = await context.synthesized();
  const directory = relative(process.cwd(), synthesized.directory);
  context.say(`function     ${synthesized.handler} on ${synthesized.runtime}, code in ${directory}`);
  const asItIs = await asDeployed(context, synthesized, options.auth);
  const ours = extension === undefined ? asItIs : withExtension(asItIs, extension);
  const { variables = templateVariables } = ours;
  const filled = withFakeAws(env, await context.fakeAws());
  const timeoutMs = options.timeout === undefined ? synthesized.timeoutMs : options.timeout * 1_000;
  const subject: Subject = {
    ...ours,
    lambdaFunction: { ...ours.lambdaFunction, timeoutMs, ...settings(options) },
    variables: (login, addresses) => ({ ...variables(login), ...filledIn(filled, login, addresses) }),
    ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
  };
  return {
    subject: options.attach === true ? attached(subject, attachLayer(context.project.root), env) : subject,
    runtime: synthesized.runtime,
    extensionIsAssumed: false,
    events: eventsOf(options, context.project.events),
    adviceContext: {},
    synthesized,
  };
}

/** What Lambda knows of a function beside its code. */
function settings({ provisioned, layer }: HandlerOptions): Pick<LambdaFunction, "isProvisioned" | "layerPaths"> {
  return {
    ...(provisioned === true ? { isProvisioned: true } : {}),
    ...(layer === undefined ? {} : { layerPaths: layer }),
  };
}

/** A value that goes into a line of the output. */
function text(value: string): string {
  if (value.trim() !== "" && !/\p{Cc}/u.test(value)) return value;
  throw new InvalidArgumentError("Expected a text in one line, which is not empty.");
}

function layerPath(value: string, before: readonly string[] = []): readonly string[] {
  const path = fromInvocationDirectory(text(value));
  if (existsSync(path)) return [...before, path];
  throw new InvalidArgumentError("Expected a directory or a zip that exists.");
}

/** @throws UsageError if Lambda did not find what `--entry` names */
export function checkEntry({ entry }: Pick<HandlerOptions, "entry">, initError: LambdaError | undefined): void {
  if (entry === undefined || initError?.errorType !== "Runtime.HandlerNotFound") return;
  throw new UsageError(
    `--entry "${entry}": ${initError.errorMessage}. Expected file.export, with a function that the file exports.`,
  );
}

interface Brought {
  readonly subject: Subject;
  /** The TypeScript file that the lab has compiled. @default - it came as it would be deployed */
  readonly compiledFrom?: string;
}

function userSubject(path: string, scratch: string, options: HandlerOptions, aws: FakeAws): Brought {
  const { entry, name, runtime, timeout, extension, auth } = options;
  const { compiledFrom, ...found } = userFunction(fromInvocationDirectory(path), scratch, entry, runtime);
  const timeoutMs = timeout === undefined ? DEFAULTS.timeoutMs : timeout * 1_000;
  const env = withFakeAws(options.env, aws);
  const subject: Subject = {
    name: name ?? found.name,
    lambdaFunction: {
      ...{ ...DEFAULTS, ...found, name: functionName(found.name), timeoutMs },
      ...settings(options),
      environment: {},
    },
    extensions: [],
    variables: (login, addresses) => {
      const usual = userVariables(login, {}, addresses);
      const own = filledIn(env, login, addresses);
      if (auth === undefined) return { ...usual, ...own };
      const known = auth === "password" ? usual : withoutPassword(usual);
      return { ...known, ...deployedVariables(auth, { ...login, host: "localhost" }, aws), ...own };
    },
    tls: aws.tls(),
    ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
  };
  return {
    subject: withExtension(subject, extension ?? "external"),
    ...(compiledFrom === undefined ? {} : { compiledFrom }),
  };
}

/** What Lambda allows in a name, which stands in headers. A directory may have any name. */
function functionName(name: string): string {
  return name.replace(/[^\w-]/g, "_").slice(0, 64);
}

/** `{secret}` and `{ca}` filled in. */
function withFakeAws(
  env: HandlerOptions["env"],
  { secretArn, authorityFile }: FakeAws,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      value.replaceAll("{secret}", secretArn).replaceAll("{ca}", authorityFile),
    ]),
  );
}

/** The usual variables that hold no password. */
function withoutPassword(variables: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !/PASSWORD|URL/.test(name)));
}

/**
 * What the command line says goes first. lab.config.json is about the project's own function, not about a --handler.
 */
function eventsOf(options: Pick<HandlerOptions, "event" | "slowEvent">, defaults: Events): Events {
  return {
    ...defaults,
    ...("event" in options ? { quick: options.event } : {}),
    ...("slowEvent" in options ? { slow: options.slowEvent } : {}),
  };
}

function seconds(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0 && number <= 900) return number;
  throw new InvalidArgumentError("Expected seconds, more than 0 and at most 900.");
}

function variable(text: string, before: HandlerOptions["env"]): HandlerOptions["env"] {
  const [, name, value = ""] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("Expected NAME=VALUE.");
  return { ...before, [name]: value };
}

function tcpServer(text: string, before: readonly TcpServer[] = []): readonly TcpServer[] {
  const [, name = "", host = "", digits = ""] =
    /^([A-Za-z_][\w-]*)=(?:tcp:\/\/)?(\[[^\]]+\]|[^:[\]/]+):(\d+)$/.exec(text) ?? [];
  const port = Number(digits);
  if (name === "" || port < 1 || port > 65_535) throw new InvalidArgumentError("Expected NAME=HOST:PORT.");
  if (before.some((each) => each.name === name)) throw new InvalidArgumentError(`The name "${name}" is used twice.`);
  return [...before, { name, host: host.replace(/^\[|\]$/g, ""), port }];
}
