import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";

/**
 * X.509 certificates of P-256 keys, for the lab's own servers. Node.js reads certificates but makes none, and not every
 * machine has the `openssl` command. https://www.rfc-editor.org/rfc/rfc5280
 */
export interface X509Certificate {
  readonly pem: string;
  readonly name: Buffer;
  readonly publicKey: Buffer;
  readonly privateKey: KeyObject;
}

/** Of whom the certificate is: a server under these names, or an authority that signs. */
export type X509Purpose =
  { readonly authority: true } | { readonly dnsNames: readonly string[]; readonly addresses: readonly string[] };

/** They are made for one run. */
const LIFETIME_MS = 2 * 24 * 3_600_000;
/** Clocks of containers may differ from the machine's. */
const VALID_BEFORE_MS = 3_600_000;

// Tags of https://www.itu.int/rec/T-REC-X.690
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

const OID = {
  ecdsaWithSha256: "2a8648ce3d040302",
  commonName: "550403",
  subjectKeyIdentifier: "551d0e",
  keyUsage: "551d0f",
  subjectAltName: "551d11",
  basicConstraints: "551d13",
  authorityKeyIdentifier: "551d23",
} as const;

/** @param issuer who signs it @default - it signs itself */
export function createCertificate(
  commonName: string,
  purpose: X509Purpose,
  issuer?: Omit<X509Certificate, "pem">,
): X509Certificate {
  const { publicKey: key, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = key.export({ type: "spki", format: "der" });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, oid("commonName"), der(UTF8_STRING, Buffer.from(commonName)))));
  const signer = issuer ?? { name, publicKey, privateKey };
  const algorithm = der(SEQUENCE, oid("ecdsaWithSha256"));
  const now = Date.now();
  const content = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.of(2))), // version 3
    der(INTEGER, Buffer.concat([Buffer.of(1), randomBytes(15)])), // positive
    algorithm,
    signer.name,
    der(SEQUENCE, time(now - VALID_BEFORE_MS), time(now + LIFETIME_MS)),
    name,
    publicKey,
    der(0xa3, der(SEQUENCE, ...extensions(purpose, publicKey, signer.publicKey))),
  );
  const signature = sign("sha256", content, signer.privateKey);
  const certificate = der(SEQUENCE, content, algorithm, der(BIT_STRING, Buffer.of(0), signature));
  const lines = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return { pem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`, name, publicKey, privateKey };
}

function extensions(purpose: X509Purpose, ownKey: Buffer, issuersKey: Buffer): readonly Buffer[] {
  const isAuthority = "authority" in purpose;
  const usage = isAuthority ? Buffer.of(1, 0x06) : Buffer.of(7, 0x80); // signs certificates and CRLs; signs handshakes
  return [
    extension("basicConstraints", der(SEQUENCE, ...(isAuthority ? [der(BOOLEAN, Buffer.of(0xff))] : [])), true),
    extension("keyUsage", der(BIT_STRING, usage), true),
    extension("subjectKeyIdentifier", der(OCTET_STRING, keyIdentifier(ownKey))),
    extension("authorityKeyIdentifier", der(SEQUENCE, der(0x80, keyIdentifier(issuersKey)))),
    ...(isAuthority ? [] : [extension("subjectAltName", alternativeNames(purpose))]),
  ];
}

function alternativeNames(purpose: Extract<X509Purpose, { readonly dnsNames: unknown }>): Buffer {
  const names = purpose.dnsNames.map((name) => der(DNS_NAME, Buffer.from(name, "latin1")));
  const addresses = purpose.addresses.map((each) => der(IP_ADDRESS, Buffer.from(each.split(".").map(Number))));
  return der(SEQUENCE, ...names, ...addresses);
}

function extension(name: keyof typeof OID, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der(BOOLEAN, Buffer.of(0xff))] : [];
  return der(SEQUENCE, oid(name), ...critical, der(OCTET_STRING, value));
}

function keyIdentifier(publicKey: Buffer): Buffer {
  return createHash("sha1").update(publicKey).digest();
}

function oid(name: keyof typeof OID): Buffer {
  return der(OBJECT_IDENTIFIER, Buffer.from(OID[name], "hex"));
}

/** YYMMDDHHMMSSZ, until 2049. */
function time(at: number): Buffer {
  const text = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "");
  return der(UTC_TIME, Buffer.from(text.slice(2)));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}
