/** What the package gives an app: docs/package.md. */
export { removeEarlierOutput } from "./terraform/earlier-output";
export type { CodeBundleConfig } from "./code/code-bundle";
export type { CodeDirectoryConfig } from "./code/code-directory";
export type { CopiedPath } from "./code/copied-files";
export type { Database, DatabaseAuth } from "./graceful-function/database";
export { ExecutionRole, type ExistingRole } from "./graceful-function/execution-role";
export {
  GracefulFunction,
  RUNTIMES,
  type CodeImageConfig,
  type GracefulFunctionConfig,
  type Runtime,
  type VpcConfig,
} from "./graceful-function/graceful-function";
export { ARCHITECTURES, type Architecture } from "./code/native-code";
export { InsightsLayer } from "./graceful-function/insights-layer";
export type { LogGroup } from "./graceful-function/log-group";
export { MysqlDatabase, type MysqlDatabaseConfig } from "./mysql-database/mysql-database";
export type { PolicyStatement } from "./graceful-function/permissions";
export { ConstructSettingsError } from "./terraform/construct-settings-error";
export { ShutdownExtension } from "./graceful-function/shutdown-extension";
export { attachShutdown, type AttachShutdownConfig } from "./shutdown-layer/attach-shutdown";
export { ShutdownLayer, type ShutdownLayerConfig } from "./shutdown-layer/shutdown-layer";
