import { Option, type Command } from "commander";
import { attachedWebFunction, attachLayer } from "../functions/attach-layer";
import { logOf } from "../runs/comparison";
import { logInLine } from "../runs/log-in";
import type { Verdict } from "../runs/verdict";
import { webTable } from "../runs/web-table";
import {
  runWeb,
  webAdvice,
  webStorm,
  webStormVerdict,
  webVerdict,
  type WebRunConfig,
  type WebRunResult,
} from "../runs/web-run";
import type { WebRequest } from "../lambda/web-environment";
import type { CommandContext } from "./command-context";
import { chosen, withRunOptions, type HandlerOptions } from "./handler-options";
import { showResult } from "./result-output";
import { UsageError } from "./usage-error";
import { wholeNumber } from "./whole-number";

export interface WebOptions extends HandlerOptions {
  /** A Web Function: an HTTP server. @default false */
  readonly web?: boolean;
  /** Requests side by side. @default DEFAULT_REQUESTS */
  readonly concurrency?: number;
  readonly logs?: boolean;
}

/** As many as AWS allows in one environment. */
const MOST_REQUESTS = 128;
const DEFAULT_REQUESTS = 8;

/** What a Web Function does not have, and what the lab does not play of it. */
const NOT_WITH_WEB = [
  ...["extension", "extensionProgram", "layer", "image", "provisioned"],
  ...["managedInstances", "emulator", "events", "freezeBetween"],
];

/** The options of `run`, `compare` and `storm`, and those of a Web Function. */
export function withWebOptions(command: Command, withOptions = withRunOptions): Command {
  return withOptions(command)
    .option(
      "--web",
      "a Web Function: an HTTP server, index.js or the file in AWS_LAMBDA_NODEJS_ENTRYPOINT (--env); an event is a request such as " +
        '{"method":"POST","path":"/orders","body":"…"}, and --slow-event is in flight at its end',
    )
    .addOption(
      new Option(
        "--concurrency <n>",
        `requests side by side, with --web, 1 to ${MOST_REQUESTS} (default: ${DEFAULT_REQUESTS})`,
      ).argParser(wholeNumber(1, MOST_REQUESTS)),
    );
}

/** @throws UsageError if an option says nothing of a Web Function, or nothing without one */
export function checkWeb(options: WebOptions & { readonly end?: string }): void {
  if (options.web !== true) {
    if (options.concurrency !== undefined) throw new UsageError("--concurrency needs --web");
    return;
  }
  if (options.handler === undefined) throw new UsageError("--web needs --handler <path>: a directory with your server");
  const isGiven = (name: string): boolean => (options as unknown as Record<string, unknown>)[name] !== undefined;
  const option = NOT_WITH_WEB.find(isGiven);
  if (option !== undefined) throw new UsageError(`--web cannot be used with --${kebabCase(option)}`);
  if (options.end !== undefined && options.end !== "spindown") {
    throw new UsageError(`--web cannot be used with --end ${options.end}: a Web Function ends by SIGTERM`);
  }
  if (options.runtime?.startsWith("nodejs") === false) {
    throw new UsageError(`--web does not run on ${options.runtime}: AWS has Web Functions on nodejs24.x`);
  }
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The server as it was brought, and with the preload. */
async function webConfigs(
  context: CommandContext,
  options: WebOptions,
): Promise<{ readonly asBrought: WebRunConfig; readonly attached: WebRunConfig }> {
  const { attach, ...others } = options;
  const { subject, runtime, events } = await chosen(context, others);
  const layer = attachLayer(context.project.root);
  const config = {
    ...{ runtime: await context.runtime(runtime), database: await context.database() },
    ...{ concurrency: options.concurrency ?? DEFAULT_REQUESTS, request: events.quick as WebRequest },
    ...("slowEvent" in options ? { slowRequest: options.slowEvent as WebRequest } : {}),
  };
  const preloaded = layer === undefined && attach !== true ? subject : attachedWebFunction(subject, layer);
  return { asBrought: { ...config, subject }, attached: { ...config, subject: preloaded } };
}

async function play(context: CommandContext, config: WebRunConfig): Promise<WebRunResult> {
  const { subject, concurrency } = config;
  const title = `${subject.name}: Web Function, ${concurrency} requests side by side, Shutdown`;
  return context.step(
    title,
    () => runWeb(config),
    () => title,
  );
}

export async function runAsWebFunction(context: CommandContext, options: WebOptions): Promise<Verdict> {
  const { asBrought, attached } = await webConfigs(context, options);
  const config = options.attach === true ? attached : asBrought;
  const result = await play(context, config);
  const { answered, cutOff, runtimeMs } = result.shutdown;
  return showResult(
    {
      command: "run",
      subject: config.subject.name,
      verdict: webVerdict(result),
      change: webAdvice(result),
      details: { runtime: config.runtime, result },
      text: `${options.logs === true ? `${logOf("its log", result.logs)}\n` : ""}${logInLine(result.logIn)}\n\n`,
      notes: [
        `${result.inFlight} requests in flight at SIGTERM: ${answered} answered, ${cutOff} cut off; gone after ${runtimeMs.toFixed(0)} ms`,
      ],
    },
    options,
  );
}

/** A server as it is, and attached. The verdict is about the first. */
export async function compareWebFunctions(context: CommandContext, options: WebOptions): Promise<Verdict> {
  if (options.attach === true) throw new UsageError("compare --web has --attach beside your server: leave it out");
  const { asBrought, attached } = await webConfigs(context, options);
  const configs = attached.subject === asBrought.subject ? [asBrought] : [asBrought, attached];
  const results: WebRunResult[] = [];
  for (const config of configs) results.push(await play(context, config));
  const [first] = results;
  if (first === undefined) throw new Error("nothing was compared");
  return showResult(
    {
      command: "compare",
      subject: first.subject,
      verdict: webVerdict(first),
      change: webAdvice(first),
      details: { runtime: asBrought.runtime, results },
      text: `\n${webTable(results)}\n\n`,
    },
    options,
  );
}

/** Many environments of one server. */
export async function stormWebFunctions(
  context: CommandContext,
  options: WebOptions & { readonly environments: number },
): Promise<Verdict> {
  const { asBrought, attached } = await webConfigs(context, options);
  const config = options.attach === true ? attached : asBrought;
  const { environments } = options;
  const title = `${config.subject.name}: ${environments} environments of a Web Function`;
  const result = await context.step(
    title,
    () => webStorm(config, environments),
    () => title,
  );
  return showResult(
    {
      command: "storm",
      subject: config.subject.name,
      verdict: webStormVerdict(result),
      details: { ...result },
      text: `\nconnections held, at the most: ${result.heldAtMost}, with ${config.concurrency} requests side by side in each\n\n`,
    },
    options,
  );
}
