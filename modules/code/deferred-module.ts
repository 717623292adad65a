import type { Metafile } from "esbuild";
import path from "node:path";

/**
 * CommonJS modules of dependencies that get a file of their own in the archive, read when somebody first asks for
 * something in them. Most execution environments need none of them: the
 * names of the server's errors, the encodings besides UTF-8, and integers of 64 bits. In the code they would be read and
 * compiled in each Init (`npm run bench` prints Init).
 *
 * A module may stand here if nothing notices that it runs later. One that is required as soon as the code starts gets a
 * stand-in, which can be read from, constructed and called, but does not list its properties.
 */
const DEFERRED = [
  { name: "mysql2/lib/constants/errors.js", isRequiredAtOnce: true },
  { name: "long/umd/index.js", isRequiredAtOnce: true },
  { name: "iconv-lite/encodings/index.js", isRequiredAtOnce: false },
] as const;

/**
 * Modules of Node.js that mysql2 requires at once and needs in a log-in only. Not for other
 * packages, which may list what a module has.
 */
const DEFERRED_OF_NODE = ["tls", "crypto"];
const THEIR_USER = /^"[^"]*\/node_modules\/mysql2\/lib\//;

/** What the bundler puts before the name of a CommonJS module and its code. */
const MODULE = "__commonJS({";

/** Where the files are in the archive. */
const DIRECTORY = "deferred";

/** A `require` that the bundler has left, with the path of the module. */
const REQUIRED = /__require\("([^"]+)"\)/g;

/** As long as `__require`, for the source map. */
const WRAPPER = "$lazyLoad";

/** Goes before the code, in which `demand` is Node's `require`. */
export function deferredBanner(demand: string): string {
  const traps = [
    "get:(_,key)=>load()[key]",
    "set:(_,key,value)=>Reflect.set(load(),key,value)",
    "has:(_,key)=>key in load()",
    "apply:(_,self,args)=>Reflect.apply(load(),self,args)",
    "construct:(_,args)=>Reflect.construct(load(),args)",
  ];
  return `const ${WRAPPER}=name=>{let parts;const load=()=>parts??=${demand}(name);return new Proxy(function(){},{${traps.join()}})};`;
}

/**
 * What the bundler is told to leave out, in the form of its option `external`.
 *
 * @param directory an absolute path
 * @param imports what the code was found to import from elsewhere: an ES module's `import` cannot be deferred
 */
export function deferredPatterns(directory: string, imports: Metafile["outputs"][string]["imports"] = []): string[] {
  const statements = imports
    .filter(({ kind }) => kind !== "require-call")
    .map((each) => path.resolve(directory, each.path));
  return DEFERRED.map(({ name }) => path.sep + name.replaceAll("/", path.sep))
    .filter((end) => !statements.some((file) => file.endsWith(end)))
    .map((end) => `${path.parse(directory).root}*${end}`); // from the root on: held against the file that was found
}

export interface DeferredModules {
  /** The code, which names the files. As long as it was, so that the source map's columns stay right. */
  readonly code: string;
  /** Path in the archive → the module's own file, an absolute path. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * @param demand Node's `require` in the code
 * @param directory from which the bundler has named the modules
 */
export function deferModules(code: string, demand: string, directory: string): DeferredModules {
  const files = new Map<string, string>();
  const deferred = code.replaceAll(REQUIRED, (whole, name: string, at: number) => {
    if (DEFERRED_OF_NODE.includes(name)) {
      const user = code.lastIndexOf(MODULE, at) + MODULE.length;
      return THEIR_USER.test(code.slice(user, at)) ? `${WRAPPER}("${name}")` : whole;
    }
    const source = path.resolve(directory, name);
    const known = DEFERRED.find((each) => source.endsWith(`${path.sep}${each.name.replaceAll("/", path.sep)}`));
    if (known === undefined) return whole;
    const load = known.isRequiredAtOnce ? WRAPPER : demand;
    return `${load}("./${target(files, source, known.name)}")`.padEnd(whole.length);
  });
  return { code: deferred, files };
}

/** Two versions of a package are two files. */
function target(files: Map<string, string>, source: string, name: string): string {
  const [wanted = ""] = name.split("/");
  for (let count = 1; ; count += 1) {
    const file = `${DIRECTORY}/${count === 1 ? wanted : `${wanted}-${count}`}.cjs`;
    const taken = files.get(file);
    if (taken !== undefined && taken !== source) continue;
    files.set(file, source);
    return file;
  }
}
