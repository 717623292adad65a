export { closeOnShutdown, type Closable, type CloseOptions } from "./close-on-shutdown.ts";
export { registerExtension } from "./extension.ts";
export { onShutdown, type HookOptions, type ShutdownContext, type ShutdownHook } from "./shutdown.ts";
