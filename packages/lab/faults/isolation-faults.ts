import { quitsWithin, survivesLogLevel } from "./checks";
import { NONE, ONE_CANCELLED, ONE_CLOSED } from "./expected";
import type { Fault } from "./fault";
import { begin, init, invoke, statementRuns, wait } from "./steps";

const IDLE = { hooks: { mysql: ONE_CLOSED } } as const;

/** Rows in which other code interferes, or the surroundings are unusual. */
export const ISOLATION_FAULTS: readonly Fault[] = [
  ...["exits", "throws", "rejects"].map((does): Fault => ({
    name: `another SIGTERM listener ${does}`,
    happens: "A library has a SIGTERM listener of its own.",
    answer: "Its effect waits until the hooks are done.",
    environment: { FAULT_LISTENER: does },
    needs: ["the faults' events"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: IDLE,
  })),
  {
    name: "statement that nobody awaits",
    happens: "SIGTERM cancels the statement, so its promise rejects.",
    answer: "The rejection does not end the process before the hooks.",
    needs: ["the faults' events"],
    steps: [init, invoke({ unawaited: 30 }), statementRuns],
    invocations: ["ok"],
    line: { hooks: { mysql: ONE_CANCELLED } },
  },
  {
    name: "handler computes in slices",
    happens: "A handler computes 100 ms at a time.",
    answer: "COM_QUIT leaves in the first turn that hears SIGTERM.",
    needs: ["the faults' events"],
    steps: [init, begin({ slices: 2_000 }), wait(350)],
    invocations: ["any"],
    mayBeKilled: true,
    // The budget: a slice, and what a busy machine takes.
    afterwards: [quitsWithin(300, 1)],
    line: { hooks: { mysql: ONE_CLOSED } },
  },
  {
    name: "JSON log at level WARN",
    happens: "CloudWatch drops lines below WARN.",
    answer: "The line has a level that CloudWatch keeps.",
    environment: { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "WARN" },
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    afterwards: [survivesLogLevel],
    line: IDLE,
  },
  {
    name: "TLS, address",
    happens: "DB_HOST is an IP address that the certificate names.",
    answer: "It connects, and closes with COM_QUIT.",
    trusts: "authority",
    ownServer: { certificate: "address only" },
    environment: { DB_HOST: "127.0.0.1" },
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick")],
    invocations: ["ok"],
    line: IDLE,
  },
  {
    name: "TLS, address that the certificate lacks",
    happens: "The check of the certificate fails.",
    answer: "The invocation fails and says why.",
    trusts: "authority",
    ownServer: { certificate: "name only" },
    environment: { DB_HOST: "127.0.0.1" },
    needs: ["DB_AUTH, DB_TLS"],
    steps: [init, invoke("quick")],
    invocations: [/does not match certificate's altnames|IP: 127\.0\.0\.1 is not in/],
    line: { hooks: { mysql: NONE } },
  },
];
