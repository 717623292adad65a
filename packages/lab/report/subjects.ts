/** The functions that a report may show, by the name that the lab gives each, explained for new readers. */
const KNOWN: Readonly<Record<string, string>> = {
  "this function": "what cdktf synth wrote",
  "the article's way":
    'the handler of the article "AWS Lambda Graceful Shutdown": on SIGTERM it calls end() without waiting for it, then process.exit()',
  "no extension": "the same code without an extension, so that Lambda sends SIGKILL instead of SIGTERM",
  "close-with-grace": "a handler that closes its connection through the package close-with-grace",
  "serverless-mysql": "a handler that uses the package serverless-mysql",
  "mysql2 alone": "a handler that uses mysql2 and does not listen to SIGTERM",
};

/** What each of these is; names that the lab did not give are left out. */
export function introductions(names: Iterable<string>): readonly (readonly [name: string, what: string])[] {
  return [...new Set(names)].flatMap((name) => {
    const what = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
    return what === undefined ? [] : [[name, what] as const];
  });
}

/** As notes of a figure that stands alone. Without those that explain themselves there. */
export function subjectNotes(names: Iterable<string>): readonly string[] {
  const unexplained = new Set(["the article's way", "no extension"]);
  return introductions(names)
    .filter(([name]) => unexplained.has(name))
    .map(([name, what]) => `${name}: ${what}.`);
}
