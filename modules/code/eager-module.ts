import { parse, type Program, type Property } from "acorn";

/** What the bundler calls with a CommonJS module: an object of one method, named by the module's path. */
const WRAPPER = "__commonJS";

const OPEN = ":(function";

/**
 * Has V8 compile the bundler's CommonJS modules while it reads the file. It skips the body of a function that it does
 * not expect to be called, and of each function inside, and reads all of it again at the call. It does expect a call of
 * a function in parentheses (https://v8.dev/blog/preparser#pife), and the modules are called in Init.
 *
 * @returns the code, as long as it was, so that the source map's columns stay right; where there is no room for the
 *   parentheses, the module is as it was
 */
export function eagerModules(code: string): string {
  const eager: string[] = [];
  let done = 0;
  const replace = (at: number, text: string): void => {
    eager.push(code.slice(done, at), text);
    done = at + text.length;
  };
  const statements = statementsOf(code);
  for (const [index, statement] of statements.entries()) {
    const { key, value } = moduleOf(statement) ?? {};
    const next = statements[index + 1];
    if (key === undefined || value === undefined || next === undefined) continue;
    // "../node_modules/mysql2/index.js"(exports){…}});var  becomes  "s/mysql2/index.js":(function(exports){…})}),
    const end = code.slice(value.end, next.start + "var ".length);
    const name = code.slice(key.start + 1, key.end - 1);
    if (end !== "});var " || name.length < OPEN.length || name.includes("\\")) continue;
    replace(key.start, `"${name.slice(OPEN.length)}"${OPEN}`);
    replace(value.end, ")}),".padEnd(end.length));
  }
  return [...eager, code.slice(done)].join("");
}

/** None if the bundler knows more of the language than the parser does. */
function statementsOf(code: string): Program["body"] {
  try {
    return parse(code, { ecmaVersion: "latest", sourceType: "module" }).body;
  } catch {
    return [];
  }
}

function moduleOf(statement: Program["body"][number]): Property | undefined {
  if (statement.type !== "VariableDeclaration" || statement.kind !== "var") return undefined;
  const [declared, ...others] = statement.declarations;
  const call = declared?.init;
  if (others.length > 0 || call?.type !== "CallExpression") return undefined;
  if (call.callee.type !== "Identifier" || call.callee.name !== WRAPPER) return undefined;
  const [object] = call.arguments;
  const property = object?.type === "ObjectExpression" ? object.properties[0] : undefined;
  return property?.type === "Property" && property.method && property.key.type === "Literal" ? property : undefined;
}
