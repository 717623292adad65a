/** `tracked` wraps what AWS's runtime client reads from a handler: its parameters, its marks, and how it answers. */
import { runInThisContext } from "node:vm";
import { tracked } from "../../function/shutdown";

type Callback = (error: Error | null, answer?: unknown) => void;

const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HIGH_WATER_MARK = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");

/** As AWS's client has it (aws-lambda-ric 4.0.2, setupGlobals). */
function streamifyResponse<Handler extends object>(handler: Handler, options?: { highWaterMark: number }): Handler {
  const marks = { [STREAMING]: "response", ...(options && { [HIGH_WATER_MARK]: options.highWaterMark }) };
  return Object.assign(handler, marks);
}

function underWay(): number {
  return globalThis.lambdaGracefulShutdown?.invocations ?? NaN;
}

/** What keeps a test's handler from its end. */
let proceed: () => void;
let waits: Promise<void>;
beforeEach(() => {
  waits = new Promise((resolve) => (proceed = resolve));
});
afterEach(() => {
  expect(underWay()).toBe(0);
});

test("counts an async handler until it settles, and passes on its arguments and its answer", async () => {
  const handler = tracked(async function (this: unknown, event: { n: number }, context: string) {
    await waits;
    return [this, event.n, context];
  });
  const answer: Promise<unknown> = handler.call("self", { n: 1 }, "context");
  expect(underWay()).toBe(1);
  proceed();
  expect(await answer).toEqual(["self", 1, "context"]);
});

test.each<[string, () => unknown]>([
  ["rejects", () => Promise.reject(new Error("why"))],
  [
    "throws",
    () => {
      throw new Error("why");
    },
  ],
])("a handler that %s does so to its caller", async (_, fails) => {
  const handler = tracked(fails);
  await expect(
    new Promise((resolve) => {
      resolve(handler());
    }),
  ).rejects.toThrow("why");
});

test("a lazy answer, such as a query builder, is asked once, and counted until it settles", async () => {
  let runs = 0;
  const builder: PromiseLike<string> = {
    then: (resolve, reject) => {
      runs += 1;
      return waits.then(() => "inserted").then(resolve, reject);
    },
  };
  const answer = tracked(() => builder)();
  expect(underWay()).toBe(1);
  proceed();
  expect(await answer).toBe("inserted");
  expect(runs).toBe(1);
});

test("a handler that returns a value at once returns that value", () => {
  expect(tracked((n: number) => n + 1)(1)).toBe(2);
});

test("a handler with a callback is counted until it calls back, whatever it returns", () => {
  let callBack: Callback = () => undefined;
  const handler = tracked((_event: unknown, _context: unknown, callback: Callback) => {
    callBack = callback;
  });
  expect(handler).toHaveLength(3);
  const answers: unknown[] = [];
  handler({}, {}, (...args) => answers.push(args));
  expect(underWay()).toBe(1);
  callBack(null, "answer");
  callBack(null, "again");
  expect([underWay(), answers]).toEqual([
    0,
    [
      [null, "answer"],
      [null, "again"],
    ],
  ]);
});

describe("response streaming", () => {
  const stream = async (_event: unknown, _stream: unknown, context: unknown): Promise<unknown> => {
    await waits;
    return context;
  };

  test.each<[string, () => typeof stream]>([
    ["streamifyResponse(tracked(handler))", () => streamifyResponse(tracked(stream.bind(null)), { highWaterMark: 7 })],
    ["tracked(streamifyResponse(handler))", () => tracked(streamifyResponse(stream.bind(null), { highWaterMark: 7 }))],
  ])("%s is a streaming handler that is counted", async (_, make) => {
    const handler = make();
    expect(handler).toHaveLength(3);
    expect([Reflect.get(handler, STREAMING), Reflect.get(handler, HIGH_WATER_MARK)]).toEqual(["response", 7]);
    const answer = handler({}, "stream", "context");
    expect(underWay()).toBe(1);
    proceed();
    expect(await answer).toBe("context");
  });
});

test("each kind of function can be wrapped, and wrapped twice", () => {
  const handlers = [
    function named() {
      return 1;
    },
    tracked(() => 1),
    runInThisContext("(function sloppy() { return 1; })") as () => number, // has properties of its own
    { method: () => 1 }.method,
  ];
  expect(handlers.map((handler) => tracked(handler)())).toEqual([1, 1, 1, 1]);
});

test("anything but a function is refused at Init", () => {
  expect(() => tracked(undefined as never)).toThrow(new TypeError("tracked: undefined is not a function"));
});
