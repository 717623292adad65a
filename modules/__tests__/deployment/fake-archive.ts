import {
  Server,
  ServerCredentials,
  loadPackageDefinition,
  type sendUnaryData,
  type ServerUnaryCall,
} from "@grpc/grpc-js";
import type { ServiceClientConstructor } from "@grpc/grpc-js/build/src/make-client";
import { loadSync } from "@grpc/proto-loader";
import { decode, encode } from "@msgpack/msgpack";
import { zipSync, type Zippable } from "fflate";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

export interface FakeArchive {
  /** Value of TF_REATTACH_PROVIDERS: Terraform then uses this process and installs no hashicorp/archive. */
  readonly reattach: string;
  stop(): void;
}

interface ArchiveFile {
  readonly type: string;
  readonly source_dir: string;
  readonly excludes: readonly string[] | null;
  readonly output_path: string;
  readonly output_file_mode: string | null;
}

interface DynamicValue {
  readonly msgpack: Uint8Array;
}

const ARGUMENTS = {
  type: { type: "string", required: true },
  source_dir: { type: "string", required: true },
  output_path: { type: "string", required: true },
  excludes: { type: ["set", "string"], optional: true },
  output_file_mode: { type: "string", optional: true },
};
const HASHES = {
  output_md5: ["md5", "hex"],
  output_sha: ["sha1", "hex"],
  output_sha256: ["sha256", "hex"],
  output_base64sha256: ["sha256", "base64"],
  output_sha512: ["sha512", "hex"],
  output_base64sha512: ["sha512", "base64"],
} as const;

/**
 * A fake of the provider hashicorp/archive, for machines that neither reach the registry nor have a mirror of it:
 * its data source `archive_file`, for a zip of a directory, and nothing else. It is served over Terraform's plugin
 * protocol, as providers under a debugger are:
 * https://developer.hashicorp.com/terraform/plugin/debugging#running-terraform-with-a-provider-in-debug-mode
 *
 * @param workingDirectory Terraform's, which a provider that Terraform starts inherits
 */
export async function startFakeArchive(workingDirectory: string): Promise<FakeArchive> {
  const loaded = loadPackageDefinition(
    loadSync(join(__dirname, "fake-archive.proto"), { keepCase: true, enums: String }),
  ) as unknown as { readonly tfplugin5: { readonly Provider: ServiceClientConstructor } };

  const server = new Server();
  server.addService(loaded.tfplugin5.Provider.service, provider(workingDirectory));
  const port = await new Promise<number>((settle, fail) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error) fail(error);
      else settle(bound);
    });
  });
  return {
    reattach: JSON.stringify({
      "registry.terraform.io/hashicorp/archive": {
        Protocol: "grpc",
        ProtocolVersion: 5,
        Pid: process.pid,
        // Else Terraform would end the process that serves it, which is the test's.
        Test: true,
        Addr: { Network: "tcp", String: `127.0.0.1:${port}` },
      },
    }),
    stop: () => {
      server.forceShutdown();
    },
  };
}

function provider(workingDirectory: string) {
  return {
    GetSchema: unary(() => ({
      provider: { block: { attributes: [] } },
      data_source_schemas: { archive_file: { block: { attributes: attributes() } } },
    })),
    PrepareProviderConfig: unary(({ config }: { config: DynamicValue }) => ({ prepared_config: config })),
    ValidateDataSourceConfig: unary(() => ({})),
    Configure: unary(() => ({})),
    ReadDataSource: unary(({ config }: { config: DynamicValue }) => {
      try {
        return { state: { msgpack: encode(archive(decode(config.msgpack) as ArchiveFile, workingDirectory)) } };
      } catch (error) {
        const summary = "the fake of hashicorp/archive failed";
        return { diagnostics: [{ severity: "ERROR", summary, detail: String(error) }] };
      }
    }),
    Stop: unary(() => ({})),
  };
}

function unary<Request, Response>(answer: (request: Request) => Response) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    callback(null, answer(call.request));
  };
}

function attributes(): object[] {
  const type = (name: unknown): Uint8Array => Buffer.from(JSON.stringify(name));
  return [
    ...Object.entries(ARGUMENTS).map(([name, argument]) => ({ name, ...argument, type: type(argument.type) })),
    ...["id", ...Object.keys(HASHES)].map((name) => ({ name, type: type("string"), computed: true })),
    { name: "output_size", type: type("number"), computed: true },
  ];
}

function archive(config: ArchiveFile, workingDirectory: string): object {
  if (config.type !== "zip") throw new Error(`type "${config.type}" is not zip`);
  const directory = resolve(workingDirectory, config.source_dir);
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(directory, name)).isFile() && !(config.excludes ?? []).includes(name))
    .sort();
  const files: Zippable = {};
  for (const name of names) {
    const { mode: own } = statSync(join(directory, name));
    const mode = config.output_file_mode === null ? own & 0o777 : Number.parseInt(config.output_file_mode, 8);
    // Three is Unix, whose permissions are the upper half of the attributes.
    files[name] = [readFileSync(join(directory, name)), { os: 3, attrs: ((0o100_000 | mode) << 16) >>> 0 }];
  }
  // The moment that hashicorp/archive gives to every file, so that the hash depends on content only.
  const zip = zipSync(files, { mtime: new Date(2049, 0, 1) });
  writeFileSync(resolve(workingDirectory, config.output_path), zip);

  const hashes = Object.entries(HASHES).map(([name, [algorithm, encoding]]) => [
    name,
    createHash(algorithm).update(zip).digest(encoding),
  ]);
  return {
    ...config,
    ...(Object.fromEntries(hashes) as object),
    id: createHash("sha1").update(zip).digest("hex"),
    output_size: zip.length,
  };
}
