/** What the package gives a function: docs/package.md. */
export {
  CommitOutcomeUnknownError,
  Database,
  DatabaseUnreachableError,
  NotRunError,
  ShuttingDownError,
  StatementTimeoutError,
  TransactionEndedError,
  type CloseResult,
  type DatabaseOptions,
  type Query,
  type StatementOptions,
  type WriteResult,
} from "./database";
export { registerExtension } from "./extension";
export { databaseSettings, SettingsError, type DatabaseSettings, type Login } from "./settings";
export { onShutdown, tracked, type HookOptions, type ShutdownContext, type ShutdownHook } from "./shutdown";
