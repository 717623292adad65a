export { createCertificates, type Certificates, type ServerCertificate } from "./certificates.ts";
export { FakeMysql, type FakeMysqlConfig, type RecordedKill, type Script } from "./fake-mysql.ts";
export { isTlsRequest, type AuthPlugin } from "./log-in.ts";
export { CAPABILITIES, greeting, ok, type Row } from "./packets.ts";
export { answer, farewell, hangUp, refuse, refuseAndEnd, reset, silent, wait, type Reaction } from "./reaction.ts";
export type { Session } from "./session.ts";
