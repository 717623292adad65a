import type { Metafile } from "esbuild";
import path from "node:path";

/**
 * CommonJS modules of dependencies that most execution environments never use: the names of the server's errors,
 * integers of 64 bits, encodings besides UTF-8. In the bundle, Init would read and compile them (`npm run bench` prints
 * Init). So each has a file of its own, which is loaded at the first use of a property.
 */
const DEFERRED = ["mysql2/lib/constants/errors.js", "long/umd/index.js", "iconv-lite/encodings/index.js"];

/** Modules of Node.js that mysql2 requires at its start and uses in a log-in only. */
const DEFERRED_OF_NODE = ["tls", "crypto"];

/** Where the files are in the archive. */
const DIRECTORY = "deferred";

type Imports = Metafile["outputs"][string]["imports"];

/** What the bundler leaves out of the bundle, in the form of its option `external`. */
export function deferredPatterns(directory: string): string[] {
  // From the root on: esbuild compares it with the absolute path of the file.
  const { root } = path.parse(directory);
  return DEFERRED.map((name) => `${root}*${path.sep}${name.replaceAll("/", path.sep)}`);
}

/** Whether an ES module imports a deferred module. Its `import` statement would name a file that is not deployed. */
export function hasImportStatement(imports: Imports): boolean {
  return imports.some((each) => each.kind !== "require-call" && deferredName(each.path) !== undefined);
}

export interface DeferredModule {
  /** Path in the archive. */
  readonly file: string;
  /** An absolute path. */
  readonly source: string;
}

/**
 * @param imports what the bundle loads from elsewhere
 * @param directory that their paths are relative to
 * @returns by the names that the bundle requires them by
 */
export function deferredModules(imports: Imports, directory: string): ReadonlyMap<string, DeferredModule> {
  const modules = new Map<string, DeferredModule>();
  const names = imports.filter(({ kind }) => kind === "require-call").map((each) => each.path);
  for (const name of [...new Set(names)].sort()) {
    const [packageName] = deferredName(name)?.split("/") ?? [];
    if (packageName === undefined) continue;
    // Two versions of a package are two files.
    const count = [...modules.values()].filter(({ file }) => file.startsWith(`${DIRECTORY}/${packageName}`)).length;
    const file = `${DIRECTORY}/${packageName}${count === 0 ? "" : `-${count + 1}`}.cjs`;
    modules.set(name, { file, source: path.resolve(directory, name) });
  }
  return modules;
}

function deferredName(file: string): string | undefined {
  return DEFERRED.find((name) => file.replaceAll("\\", "/").endsWith(`/${name}`));
}

/**
 * Declares `require` for the CommonJS modules in the bundle, which is an ES module. esbuild gives the code's own
 * top-level `require` another name. For a deferred module, it returns a proxy that loads the module when it is used.
 */
export function requireStatement(modules: ReadonlyMap<string, DeferredModule>): string {
  const node = DEFERRED_OF_NODE.flatMap((name) => [name, `node:${name}`]).map((name) => [name, name] as const);
  const files = [...modules].map(([name, { file }]) => [name, `./${file}`] as const);
  const create = `globalThis.process.getBuiltinModule("module").createRequire(import.meta.url)`;
  return `const require=(${LAZY_REQUIRE})(${create},${JSON.stringify(Object.fromEntries([...node, ...files]))});`;
}

/** Runs in the function. The traps list and describe properties as well, so that a copy of a module is whole. */
const LAZY_REQUIRE = `(load,deferred)=>{
const proxies={};
const traps=(module)=>({
get:(_,key)=>Reflect.get(module(),key),
set:(_,key,value)=>Reflect.set(module(),key,value),
getOwnPropertyDescriptor:(_,key)=>{const found=Reflect.getOwnPropertyDescriptor(module(),key);return found&&{...found,configurable:true}},
...Object.fromEntries(["apply","construct","has","ownKeys","deleteProperty","defineProperty","getPrototypeOf"].map((trap)=>[trap,(_,...rest)=>Reflect[trap](module(),...rest)])),
});
const lazy=(name)=>{let loaded;const isFile=name.startsWith(".");return new Proxy(isFile?function(){}.bind():{},traps(()=>loaded??=load(name)))};
return new Proxy(load,{apply:(_,self,[name])=>Object.hasOwn(deferred,name)?proxies[deferred[name]]??=lazy(deferred[name]):load(name)});
}`.replaceAll("\n", "");
