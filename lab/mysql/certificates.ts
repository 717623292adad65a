import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface ServerCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Paths of PEM files. */
export interface Certificates {
  /** The authority that has signed both server certificates. */
  readonly authorityFile: string;
  /** An authority that has signed neither. */
  readonly otherAuthorityFile: string;
  /** For localhost and 127.0.0.1. */
  readonly rightName: ServerCertificate;
  readonly wrongName: ServerCertificate;
  /** For 127.0.0.1, but for no name. */
  readonly addressOnly: ServerCertificate;
  /** For localhost, but not for its address. */
  readonly nameOnly: ServerCertificate;
}

/** Lifetime in days: they are made for one run. */
const DAYS = "2";

/**
 * Makes certificates with the `openssl` command.
 *
 * @param directory an existing directory, which is the caller's to remove
 */
export function createCertificates(directory: string): Certificates {
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const request = (name: string, subject: string): readonly string[] => [
    ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"],
    ...["-keyout", file(`${name}.key`), "-subj", `/CN=${subject}`],
  ];
  const authority = (name: string): string => {
    openssl(...request(name, `the lab's ${name}`), "-x509", "-days", DAYS, "-out", file(`${name}.pem`));
    return file(`${name}.pem`);
  };
  const server = (name: string, subject: string, alternativeNames: string): ServerCertificate => {
    writeFileSync(file(`${name}.ext`), `subjectAltName=${alternativeNames}\n`);
    openssl(...request(name, subject), "-out", file(`${name}.csr`));
    openssl(
      ...["x509", "-req", "-in", file(`${name}.csr`), "-extfile", file(`${name}.ext`), "-sha256", "-days", DAYS],
      ...["-CA", file("authority.pem"), "-CAkey", file("authority.key"), "-CAcreateserial"],
      ...["-out", file(`${name}.pem`)],
    );
    return { certificateFile: file(`${name}.pem`), keyFile: file(`${name}.key`) };
  };
  return {
    authorityFile: authority("authority"),
    otherAuthorityFile: authority("other-authority"),
    rightName: server("right-name", "localhost", "DNS:localhost,IP:127.0.0.1"),
    wrongName: server("wrong-name", "elsewhere.invalid", "DNS:elsewhere.invalid"),
    addressOnly: server("address-only", "the lab's server", "IP:127.0.0.1"),
    nameOnly: server("name-only", "localhost", "DNS:localhost"),
  };
}
