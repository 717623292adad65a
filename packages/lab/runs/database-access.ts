import { Relay } from "../mysql/relay";
import type { DatabaseServer } from "../mysql/server";
import { templateVariables, type Addresses, type Subject } from "../functions/subject";

/** The way from one execution environment to its database. */
export interface DatabaseAccess {
  readonly relay: Relay;
  /** All variables of the function, those that lead it to the relay among them. */
  readonly variables: (tcp?: Addresses) => Readonly<Record<string, string>>;
}

export async function databaseAccess(subject: Subject, database: DatabaseServer): Promise<DatabaseAccess> {
  const { host, port, user, password, database: name } = database;
  const relay = await Relay.start({ host, port, ...(subject.tls === undefined ? {} : { tls: subject.tls }) });
  const login = { host: "127.0.0.1", port: relay.port, user, password, database: name };
  return {
    relay,
    variables: (tcp) => ({
      ...subject.lambdaFunction.environment,
      ...(subject.variables ?? templateVariables)(login, tcp),
    }),
  };
}
