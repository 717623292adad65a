export { registerExtension } from "./extension.ts";
export { onShutdown, type HookOptions, type ShutdownContext, type ShutdownHook } from "./shutdown.ts";
