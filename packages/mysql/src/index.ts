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
} from "./database.ts";
export { databaseSettings, SettingsError, type DatabaseSettings, type Login } from "./settings.ts";
