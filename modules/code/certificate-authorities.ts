import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { projectDirectory, projectPath } from "./project-directory";
import { isKnown, problem } from "../terraform/construct-settings-error";

/** Where the function looks for the authorities that it trusts, next to its code. */
export const AUTHORITIES_FILE = "certificate-authorities.pem";

/** Of the settings of a database. */
interface Server {
  readonly host: string;
  readonly caFile?: string;
}

/** Roots of RDS by region. The roots of RDS Proxy have the region `any`. */
const ROOTS_FILE = path.join(__dirname, "rds-roots.pem");

const CERTIFICATE = /-----BEGIN CERTIFICATE-----\r?\n[\s\S]*?-----END CERTIFICATE-----/g;

/** What is wrong with the authorities of a database; empty if nothing is. */
export function authorityProblems({ host, caFile }: Server, region: string): string[] {
  if (caFile !== undefined) return caFileProblems(caFile);
  const available = new Set(roots().map((root) => root.region));
  return regionsOf(region, host)
    .filter((each) => !available.has(each))
    .map((each) =>
      problem(
        "region",
        each,
        `has no roots of Amazon RDS in modules/code/rds-roots.pem. Download https://truststore.pki.rds.amazonaws.com/${each}/${each}-bundle.pem (other addresses for China and GovCloud) and set database.caFile to the file`,
      ),
    );
}

/**
 * The file of authorities for the archive: RDS's roots of the region, or of all regions where only Terraform knows it,
 * those of RDS Proxy, and those of `caFile`.
 */
export function authoritiesPem({ host, caFile }: Server, region: string): string {
  const regions = regionsOf(region, host);
  const chosen = roots().filter((root) => !isKnown(region) || [...regions, "any"].includes(root.region));
  const own = caFile === undefined ? [] : certificatesOf(readFileSync(projectPath(caFile), "utf8"));
  const further = own.filter((pem) => !chosen.some((root) => root.pem === pem));
  return [...chosen.map(({ region: name, pem }) => `# region: ${name}\n${pem}`), ...further]
    .map((each) => `${each}\n`)
    .join("\n");
}

/** The function's region, and that of an RDS endpoint elsewhere, as far as they are known. */
function regionsOf(region: string, host: string): string[] {
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RegionsAndAvailabilityZones.html; In China the
  // parts are in another order.
  if (!isKnown(host)) return [region].filter(isKnown);
  const [, elsewhere, inChina] =
    /\.(?:([a-z]+(?:-[a-z]+)+-\d+)\.rds|rds\.(cn-[a-z]+-\d+))\.amazonaws\.[a-z.]+$/.exec(host.toLowerCase()) ?? [];
  return [...new Set([region, elsewhere ?? inChina ?? region])].filter(isKnown);
}

function roots(): { readonly region: string; readonly pem: string }[] {
  const blocks = readFileSync(ROOTS_FILE, "utf8")
    .split(/^# region: /m)
    .slice(1);
  return blocks.map((block) => ({
    region: /^\S+/.exec(block)?.[0] ?? "",
    pem: certificatesOf(block)[0] ?? "",
  }));
}

function caFileProblems(caFile: string): string[] {
  const file = projectPath(caFile);
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  const wrong = isFile
    ? textProblem(readFileSync(file, "utf8"))
    : `is not a file. Paths are relative to ${projectDirectory()}`;
  return wrong === undefined ? [] : [problem("database.caFile", caFile, wrong)];
}

function textProblem(text: string): string | undefined {
  if (text.includes("PRIVATE KEY-----"))
    return "contains a private key, which must not be deployed. Name a file that has only certificates";
  const certificates = certificatesOf(text);
  if (certificates.length === 0) return "contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)";
  return certificates.map(certificateProblem).find((each) => each !== undefined);
}

function certificateProblem(pem: string, index: number): string | undefined {
  try {
    const { subject, ca, validTo } = new X509Certificate(pem);
    const name = subject.replaceAll("\n", ", ");
    if (!ca) return `contains the certificate of a server, not of an authority: ${name}`;
    return new Date(validTo) < new Date() ? `contains an expired certificate: ${name}` : undefined;
  } catch {
    return `contains a certificate that cannot be read: number ${index + 1}`;
  }
}

function certificatesOf(text: string): string[] {
  return text.match(CERTIFICATE) ?? [];
}
