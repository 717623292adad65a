import { constants, createHash, generateKeyPairSync, privateDecrypt, type KeyObject } from "node:crypto";
import { authMoreData, authSwitch, CAPABILITIES, PacketFields } from "./packets.ts";
import type { Wire } from "./wire.ts";

/** How an account's password is proven. The last one is that of IAM tokens. */
export type AuthPlugin = "caching_sha2_password" | "mysql_native_password" | "mysql_clear_password";

export interface Account {
  readonly user: string;
  readonly password: string;
  readonly plugin: AuthPlugin;
  /** Other passwords in clear text that are as good, such as IAM tokens. @default none */
  readonly token?: RegExp | undefined;
}

/** What a client says of itself: Protocol::HandshakeResponse41. */
export interface ClientHello {
  readonly capabilities: number;
  readonly user: string;
  readonly proof: Buffer;
  readonly database: string | undefined;
  readonly plugin: string;
}

/** How the password was proven: `fast` by a hash, `full` by the password itself, under TLS or the server's RSA key. */
export type Proof = "fast" | "full" | "refused";

const FAST_AUTH_SUCCESS = Buffer.of(3);
const PERFORM_FULL_AUTHENTICATION = Buffer.of(4);
const REQUEST_PUBLIC_KEY = Buffer.of(2);

export function isTlsRequest(payload: Buffer): boolean {
  return payload.length === 32 && (payload.readUInt32LE() & CAPABILITIES.SSL) !== 0;
}

export function clientHello(payload: Buffer): ClientHello {
  const fields = new PacketFields(payload);
  const capabilities = fields.integer(4);
  const offers = (capability: number): boolean => (capabilities & capability) !== 0;
  fields.bytes(4 + 1 + 23); // largest packet, character set, filler
  const user = fields.text();
  const proof = offers(CAPABILITIES.PLUGIN_AUTH_LENENC_CLIENT_DATA)
    ? fields.lengthCodedBytes()
    : fields.bytes(fields.integer(1));
  const database = offers(CAPABILITIES.CONNECT_WITH_DB) ? fields.text() : undefined;
  const plugin = offers(CAPABILITIES.PLUGIN_AUTH) ? fields.text() : "mysql_native_password";
  return { capabilities, user, proof, database, plugin };
}

export interface LoginContext {
  readonly wire: Wire;
  readonly scramble: Buffer;
  readonly greetedWith: AuthPlugin;
  readonly encrypted: boolean;
  /** Users whose hash the server knows from a full log-in, as caching_sha2_password keeps them. */
  readonly cached: Set<string>;
}

/** Carries the log-in on from the client's first packet, which answers the plugin that the greeting has named. */
export async function proveLogin(
  { user, proof, plugin }: ClientHello,
  account: Account,
  context: LoginContext,
): Promise<Proof> {
  const { wire, scramble, greetedWith, encrypted } = context;
  let given: Buffer | undefined = proof;
  if (plugin !== account.plugin || greetedWith !== account.plugin) {
    await wire.write(authSwitch(account.plugin, scramble));
    given = await wire.read();
  }
  if (given === undefined || user !== account.user) return "refused";
  switch (account.plugin) {
    case "mysql_native_password":
      return given.equals(nativeProof(account.password, scramble)) ? "fast" : "refused";
    case "mysql_clear_password":
      return encrypted && isPassword(given, account) ? "full" : "refused";
    case "caching_sha2_password":
      return proveBySha2(given, account, context);
  }
}

async function proveBySha2(
  given: Buffer,
  account: Account,
  { wire, scramble, encrypted, cached }: LoginContext,
): Promise<Proof> {
  if (cached.has(account.user) && given.equals(sha2Proof(account.password, scramble))) {
    await wire.write(authMoreData(FAST_AUTH_SUCCESS));
    return "fast";
  }
  await wire.write(authMoreData(PERFORM_FULL_AUTHENTICATION));
  const password = encrypted ? await wire.read() : await readEncryptedPassword(wire, scramble);
  if (password === undefined || !isPassword(password, account)) return "refused";
  cached.add(account.user);
  return "full";
}

async function readEncryptedPassword(wire: Wire, scramble: Buffer): Promise<Buffer | undefined> {
  const { publicKey, privateKey } = serverKeys();
  let answer = await wire.read();
  if (answer?.equals(REQUEST_PUBLIC_KEY) === true) {
    await wire.write(authMoreData(Buffer.from(publicKey)));
    answer = await wire.read();
  }
  if (answer === undefined) return undefined;
  try {
    const mixed = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, answer);
    return Buffer.from(mixed.map((byte, index) => byte ^ (scramble[index % scramble.length] ?? 0)));
  } catch {
    return undefined; // it was not encrypted with this key
  }
}

let keys: { readonly publicKey: string; readonly privateKey: KeyObject } | undefined;

/** Made when the first client asks: it takes a tenth of a second. */
function serverKeys(): NonNullable<typeof keys> {
  if (keys === undefined) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    keys = { publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(), privateKey };
  }
  return keys;
}

/** A password in clear text ends with a NUL, which not every client sends. */
function isPassword(given: Buffer, { password, token }: Account): boolean {
  const text = given.toString().replace(/\0$/, "");
  return text === password || token?.test(text) === true;
}

function sha2Proof(password: string, scramble: Buffer): Buffer {
  const stage1 = hash("sha256", Buffer.from(password));
  return xor(stage1, hash("sha256", hash("sha256", stage1), scramble));
}

function nativeProof(password: string, scramble: Buffer): Buffer {
  const stage1 = hash("sha1", Buffer.from(password));
  return xor(stage1, hash("sha1", scramble, hash("sha1", stage1)));
}

function hash(algorithm: string, ...parts: readonly Buffer[]): Buffer {
  const hashing = createHash(algorithm);
  for (const part of parts) hashing.update(part);
  return hashing.digest();
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)));
}
