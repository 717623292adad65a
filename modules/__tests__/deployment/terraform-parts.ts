import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** What a deployment needs and this machine has. */
export interface TerraformParts {
  /** Value of TF_CLI_CONFIG_FILE: where Terraform finds its providers. */
  readonly cliConfigFile: string;
  readonly awsVersion: string;
  /** The provider is older than the bindings, and may not know what is new in them. */
  readonly awsIsOlder: boolean;
  /** Whether the registry or a mirror has hashicorp/archive. */
  readonly hasArchive: boolean;
  /** One line for the reader. */
  readonly description: string;
}

/** What is missing, each with what to do about it. */
export interface MissingParts {
  readonly missing: readonly string[];
}

interface Provider {
  readonly version: string;
  readonly mirror: string;
}

/** Where images and package managers put mirrors; the directories below these are looked at as well. */
const MIRROR_ROOTS = ["/opt", "/usr/share", "/usr/local/share"];

/**
 * Not asynchronous: jest has to know its tests before it runs the first.
 *
 * @param directory of the test, for the files that Terraform needs
 */
export function findTerraformParts(directory: string): TerraformParts | MissingParts {
  const missing: string[] = [];
  if (!isOnPath("moto_server")) missing.push("no moto_server on PATH (pip install 'moto[server]')");
  const hasTerraform = isOnPath("terraform");
  if (!hasTerraform) missing.push("no terraform on PATH (https://developer.hashicorp.com/terraform/install)");

  const aws = hasTerraform ? findProvider("aws", directory) : undefined;
  const archive = hasTerraform ? findProvider("archive", directory) : undefined;
  if (hasTerraform && aws === undefined) {
    missing.push(
      "no provider hashicorp/aws: the registry does not answer, and no mirror (terraform providers mirror <directory>) " +
        `is in ${["$TF_PLUGIN_CACHE_DIR", "~/.terraform.d", ...MIRROR_ROOTS].join(", ")}`,
    );
  }
  if (missing.length > 0 || aws === undefined) return { missing };

  const cliConfigFile = join(directory, "terraform.rc");
  writeFileSync(cliConfigFile, cliConfig({ aws, archive }));
  const from = (provider: Provider): string => `${provider.version} from ${provider.mirror}`;
  return {
    cliConfigFile,
    awsVersion: aws.version,
    awsIsOlder: byNumber(aws.version, versionOfBindings("aws")) < 0,
    hasArchive: archive !== undefined,
    description:
      `hashicorp/aws ${from(aws)}, ` +
      (archive === undefined ? "a fake of the test's own for hashicorp/archive" : `hashicorp/archive ${from(archive)}`),
  };
}

function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function findProvider(name: string, directory: string): Provider | undefined {
  const { platform, arch } = process;
  const target = `${platform === "win32" ? "windows" : platform}_${arch === "x64" ? "amd64" : arch}`;
  for (const mirror of mirrors()) {
    const versions = join(mirror, "registry.terraform.io/hashicorp", name);
    const version = directories(versions)
      .filter((each) => existsSync(join(versions, each, target)))
      .sort(byNumber)
      .at(-1);
    if (version !== undefined) return { version, mirror };
  }
  return inRegistry(name, join(directory, `probe-${name}`));
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

function mirrors(): string[] {
  const own = join(homedir(), ".terraform.d");
  const roots = [own, ...MIRROR_ROOTS];
  const cache = process.env["TF_PLUGIN_CACHE_DIR"];
  return [
    ...(cache === undefined ? [] : [cache]),
    ...roots,
    ...roots.flatMap((root) => directories(root).map((each) => join(root, each))),
  ];
}

function directories(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Asks as Terraform does, proxies and all. */
function inRegistry(name: string, directory: string): Provider | undefined {
  const version = versionOfBindings(name);
  mkdirSync(directory);
  const required = { [name]: { source: `hashicorp/${name}`, version } };
  writeFileSync(join(directory, "main.tf.json"), JSON.stringify({ terraform: { required_providers: required } }));
  const cliConfigFile = join(directory, "terraform.rc");
  writeFileSync(cliConfigFile, "");
  const { status } = spawnSync("terraform", [`-chdir=${directory}`, "init"], {
    env: { ...process.env, TF_CLI_CONFIG_FILE: cliConfigFile },
    timeout: 300_000,
  });
  // What was downloaded has a mirror's layout.
  return status === 0 ? { version, mirror: join(directory, ".terraform/providers") } : undefined;
}

/** The provider's version that the bindings were made from. */
function versionOfBindings(name: string): string {
  const manifest = readFileSync(require.resolve(`@cdktf/provider-${name}/package.json`), "utf8");
  return (JSON.parse(manifest) as { readonly cdktf: { readonly provider: { readonly version: string } } }).cdktf
    .provider.version;
}

function cliConfig(providers: Readonly<Record<string, Provider | undefined>>): string {
  const mirrored = Object.entries(providers).flatMap(([name, provider]) =>
    provider === undefined
      ? []
      : `  filesystem_mirror {\n    path    = ${JSON.stringify(provider.mirror)}\n    include = ["hashicorp/${name}"]\n  }\n`,
  );
  return `disable_checkpoint = true\nprovider_installation {\n${mirrored.join("")}}\n`;
}
