import { logInCell, logInLine, logInOf } from "./log-in";

const PLAIN = { encrypted: false };
const AT_THE_RELAY = { encrypted: false, tls: "at the relay" } as const;
const UP_TO_THE_SERVER = { encrypted: true };
const FAILED = { encrypted: false, tls: "failed" } as const;

test.each([
  [{ DB_AUTH: "secret", DB_TLS: "verify" }, [AT_THE_RELAY], "secret", "verified"],
  [{ DB_AUTH: "iam", DB_TLS: "verify" }, [AT_THE_RELAY, AT_THE_RELAY], "iam", "verified"],
  [{ DB_AUTH: "secret", DB_TLS: "verify" }, [AT_THE_RELAY, PLAIN], "secret", "in part"],
  [{ DB_AUTH: "secret", DB_TLS: "verify" }, [PLAIN], "secret", "none"],
  [{ DB_AUTH: "secret", DB_TLS: "verify" }, [FAILED], "secret", "none"],
  [{ DB_AUTH: "password", DB_TLS: "off" }, [UP_TO_THE_SERVER], "password", "used"],
  [{ DB_AUTH: "of somebody else's" }, [PLAIN], "password", "none"],
  [{ DB_AUTH: "secret", DB_TLS: "verify" }, [], "secret", "unknown"],
])("%j and %j: %s, TLS %s", (environment, connections, auth, tls) => {
  expect(logInOf(environment, connections)).toEqual({ auth, tls });
});

test("the line and the table's cell say it in words", () => {
  expect(logInLine({ auth: "secret", tls: "verified" })).toBe(
    "log-in: secret from the lab's fake of Secrets Manager, TLS verified against the lab's certificate authority",
  );
  expect(logInCell({ auth: "secret", tls: "verified" })).toBe("secret, TLS verified");
  expect(logInLine({ auth: "password", tls: "none" })).toBe("log-in: password, no TLS");
  expect(logInCell({ auth: "iam", tls: "in part" })).toBe("IAM token, partly TLS");
});
