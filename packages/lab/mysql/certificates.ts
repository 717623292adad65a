import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCertificate, type X509Certificate } from "./x509";

export interface ServerCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Paths of PEM files. */
export interface Certificates {
  /** The authority that has signed the server certificates. */
  readonly authorityFile: string;
  /** An authority that has signed none of them. */
  readonly otherAuthorityFile: string;
  /** For localhost and 127.0.0.1. */
  readonly rightName: ServerCertificate;
  readonly wrongName: ServerCertificate;
  /** For 127.0.0.1, but for no name. */
  readonly addressOnly: ServerCertificate;
  /** For localhost, but not for its address. */
  readonly nameOnly: ServerCertificate;
  /** Makes one more, for this name, localhost and 127.0.0.1. */
  readonly named: (name: string) => ServerCertificate;
}

/**
 * Makes an authority of the lab's own and server certificates that it signs.
 *
 * @param directory an existing directory, which is the caller's to remove
 */
export function createCertificates(directory: string): Certificates {
  const write = (name: string, text: string, mode: number): string => {
    const file = join(directory, name);
    writeFileSync(file, text, { mode });
    return file;
  };
  const authority = (name: string): X509Certificate => createCertificate(`the lab's ${name}`, { authority: true });
  const signer = authority("authority");
  const server = (
    name: string,
    commonName: string,
    dnsNames: readonly string[],
    addresses: readonly string[] = [],
  ): ServerCertificate => {
    const { pem, privateKey } = createCertificate(commonName, { dnsNames, addresses }, signer);
    const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    return { certificateFile: write(`${name}.pem`, pem, 0o644), keyFile: write(`${name}.key`, key, 0o600) };
  };
  return {
    authorityFile: write("authority.pem", signer.pem, 0o644),
    otherAuthorityFile: write("other-authority.pem", authority("other-authority").pem, 0o644),
    rightName: server("right-name", "localhost", ["localhost"], ["127.0.0.1"]),
    wrongName: server("wrong-name", "elsewhere.invalid", ["elsewhere.invalid"]),
    addressOnly: server("address-only", "the lab's server", [], ["127.0.0.1"]),
    nameOnly: server("name-only", "localhost", ["localhost"]),
    named: (name) => server(`named-${name}`, name, [name, "localhost"], ["127.0.0.1"]),
  };
}
