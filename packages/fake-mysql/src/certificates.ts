import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generate, type GenerateResult, type SelfsignedOptions } from "selfsigned";

export interface ServerCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Paths of PEM files. */
export interface Certificates {
  /** The authority that has signed the server certificates. */
  readonly authorityFile: string;
  readonly otherAuthorityFile: string;
  /** For localhost and 127.0.0.1. */
  readonly rightName: ServerCertificate;
  readonly wrongName: ServerCertificate;
  /** For 127.0.0.1, but for no name. */
  readonly addressOnly: ServerCertificate;
  /** For localhost, but not for its address. */
  readonly nameOnly: ServerCertificate;
  /** Makes one more, for these names and addresses. */
  readonly signed: (dnsNames: readonly string[], addresses: readonly string[]) => Promise<ServerCertificate>;
}

/** They are made for one run. */
const LIFETIME_MS = 2 * 24 * 3_600_000;
/** Clocks of containers may differ from the machine's. */
const VALID_BEFORE_MS = 3_600_000;

/** Numbers of RFC 5280, 4.2.1.6. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/**
 * Makes an authority of the lab's own and server certificates that it signs. Not every machine has the `openssl`
 * command.
 *
 * @param directory an existing directory, which is the caller's to remove
 */
export async function createCertificates(directory: string): Promise<Certificates> {
  const write = (name: string, text: string, mode: number): string => {
    const file = join(directory, name);
    writeFileSync(file, text, { mode });
    return file;
  };
  const [signer, other] = await Promise.all([authority("authority"), authority("other-authority")]);
  const server = async (name: string, dnsNames: readonly string[], addresses: readonly string[]) => {
    const made = await serverCertificate(dnsNames, addresses, signer);
    return {
      certificateFile: write(`${name}.pem`, made.cert, 0o644),
      keyFile: write(`${name}.key`, made.private, 0o600),
    };
  };
  return {
    authorityFile: write("authority.pem", signer.cert, 0o644),
    otherAuthorityFile: write("other-authority.pem", other.cert, 0o644),
    rightName: await server("right-name", ["localhost"], ["127.0.0.1"]),
    wrongName: await server("wrong-name", ["elsewhere.invalid"], []),
    addressOnly: await server("address-only", [], ["127.0.0.1"]),
    nameOnly: await server("name-only", ["localhost"], []),
    signed: (dnsNames, addresses) =>
      server([...dnsNames, ...addresses].join("-").replaceAll("*", "any"), dnsNames, addresses),
  };
}

function authority(name: string): Promise<GenerateResult> {
  return create(`the lab's ${name}`, {
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

function serverCertificate(
  dnsNames: readonly string[],
  addresses: readonly string[],
  signer: GenerateResult,
): Promise<GenerateResult> {
  const altNames = [
    ...dnsNames.map((value) => ({ type: DNS_NAME, value }) as const),
    ...addresses.map((ip) => ({ type: IP_ADDRESS, ip }) as const),
  ];
  return create(dnsNames[0] ?? "the lab's server", {
    ca: { key: signer.private, cert: signer.cert },
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, critical: true },
      { name: "subjectAltName", altNames },
    ],
  });
}

function create(commonName: string, options: SelfsignedOptions): Promise<GenerateResult> {
  const now = Date.now();
  return generate([{ name: "commonName", value: commonName }], {
    ...options,
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(now - VALID_BEFORE_MS),
    notAfterDate: new Date(now + LIFETIME_MS),
  });
}
