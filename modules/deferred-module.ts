/**
 * CommonJS modules of dependencies that are run when somebody first reads from them, and not when they are loaded.
 *
 * mysql2's table of error codes sets eight thousand properties, which takes a sixth of the sample's whole import
 * (`npm run bench` prints Init), to name an error that most execution environments never meet. A module may stand here
 * if it does nothing but fill `exports`, and is only ever asked for `exports.<name>`.
 */
const DEFERRED = /(=)__commonJS(\(\{"[^"]*\/mysql2\/lib\/constants\/errors\.js"\()/;

/** As long as esbuild's own `__commonJS`, so that the source map's columns stay right; no name that code would declare. */
const WRAPPER = "$lazyLoads";

/** Goes before the code. */
export const DEFERRED_BANNER = `const ${WRAPPER}=parts=>{let module;const load=()=>{if(!module){module={exports:{}};Object.values(parts)[0](module.exports,module)}return module.exports};const lazy=new Proxy({},{get:(_,name)=>load()[name]});return()=>lazy};`;

/** The code with those modules deferred; as it was where it has none of them. */
export function deferModules(code: string): string {
  return code.replace(DEFERRED, `$1${WRAPPER}$2`);
}
