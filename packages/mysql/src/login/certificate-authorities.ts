import { resolve } from "node:path";
import { fs } from "../node-runtime.ts";
import { CredentialsError } from "./aws-error.ts";
import { rdsRegion } from "./aws-endpoint.ts";
import type { DatabaseSettings } from "../settings.ts";

/** Written next to the code when that is bundled: the roots of RDS in its region, and those of `caFile`. */
const BUNDLED_FILE = "certificate-authorities.pem";

/** A certificate, and the comment lines right before it. */
const CERTIFICATE = /((?:^#.*\n)*)^(-----BEGIN CERTIFICATE-----\r?\n[\s\S]*?-----END CERTIFICATE-----)/gm;

/**
 * The authorities that may have signed the server's certificate, as PEM: those of DB_TLS_CA_FILE, or of the file next
 * to the code, and those of NODE_EXTRA_CA_CERTS. A certificate after a line `# region: <name>` is taken only if the
 * function or the RDS endpoint is in that region: parsing all regions' costs 6 ms of CPU at the first connect.
 *
 * @throws CredentialsError if there are none, or DB_TLS_CA_FILE cannot be read
 */
export function certificateAuthorities({ host, tlsServerName = host, tlsCaFile }: DatabaseSettings): string[] {
  const directory = process.env["LAMBDA_TASK_ROOT"] ?? "";
  const extra = process.env["NODE_EXTRA_CA_CERTS"];
  const regions = [process.env["AWS_REGION"], rdsRegion(tlsServerName), "any", undefined];
  const certificates = [
    ...(tlsCaFile === undefined
      ? pemOf(resolve(directory, BUNDLED_FILE))
      : needed("DB_TLS_CA_FILE", tlsCaFile, pemOf(resolve(directory, tlsCaFile)))),
    // Node.js only warns if it cannot read this file.
    ...(extra ? pemOf(extra) : []),
  ].flatMap(({ region, pem }) => (regions.includes(region) ? [pem] : []));
  if (certificates.length > 0) return certificates;
  throw new CredentialsError(
    `no certificate authority can verify ${tlsServerName}: ${BUNDLED_FILE} is not next to the code, or has no authority for the region; name a PEM file with DB_TLS_CA_FILE or NODE_EXTRA_CA_CERTS (environment of the function)`,
  );
}

interface Certificate {
  readonly region: string | undefined;
  readonly pem: string;
}

/** Empty if the file cannot be read. */
function pemOf(file: string): Certificate[] {
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return Array.from(text.matchAll(CERTIFICATE), ([, comments = "", pem = ""]) => ({
    region: /^# region: (\S+)/m.exec(comments)?.[1],
    pem,
  }));
}

function needed(variable: string, file: string, certificates: Certificate[]): Certificate[] {
  if (certificates.length > 0) return certificates;
  throw new CredentialsError(
    `${variable} "${file}" cannot be read or has no PEM certificate; the path is relative to the code's directory (environment of the function)`,
  );
}
