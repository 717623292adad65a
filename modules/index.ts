/** What the package gives an app: docs/package.md. */
export type { CodeBundleConfig } from "./code-bundle";
export type { CodeDirectoryConfig } from "./code-directory";
export type { CopiedPath } from "./copied-files";
export type { Database, DatabaseAuth } from "./database";
export { ExecutionRole, type ExistingRole } from "./execution-role";
export {
  GracefulFunction,
  RUNTIMES,
  type GracefulFunctionConfig,
  type Runtime,
  type VpcConfig,
} from "./graceful-function";
export { ARCHITECTURES, type Architecture } from "./architecture";
export { InsightsLayer } from "./insights-layer";
export type { LogGroup } from "./log-group";
export { MysqlDatabase, type MysqlDatabaseConfig } from "./mysql-database";
export type { PolicyStatement } from "./permissions";
export { SettingsError } from "./settings-error";
export { ShutdownExtension } from "./shutdown-extension";
