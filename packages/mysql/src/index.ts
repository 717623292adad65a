export {
  CommitOutcomeUnknownError,
  Database,
  DatabaseUnreachableError,
  NotRunError,
  ShuttingDownError,
  StatementTimeoutError,
  StatementTooLongError,
  TransactionEndedError,
  type CloseResult,
  type DatabaseOptions,
  type Query,
  type StatementOptions,
  type WriteResult,
} from "./database.ts";
export { databaseSettings, DatabaseSettingsError, type DatabaseSettings, type Login } from "./settings.ts";
