/** What the package gives a function: docs/package.md. */
export {
  Database,
  DatabaseUnreachableError,
  ShuttingDownError,
  type CloseResult,
  type DatabaseOptions,
  type Query,
} from "./database";
export { registerExtension } from "./extension";
export { databaseSettings, SettingsError, type DatabaseSettings, type Login } from "./settings";
export { onShutdown, tracked, type HookOptions, type ShutdownContext, type ShutdownHook } from "./shutdown";
