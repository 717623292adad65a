import type { Conversation } from "./conversation.ts";
import { PROTOCOLS } from "./protocols.ts";

/** A side, its bytes, and whether the connection is busy after them. */
type Step = readonly [side: "client" | "server", bytes: Buffer, isBusy: boolean];

const text = (latin1: string): Buffer => Buffer.from(latin1, "latin1");
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(" ", ""), "hex");

function mysqlPacket(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, payload]);
}

const OK = hex("00 00 00 02 00 00 00");
const EOF = hex("fe 00 00 02 00");
const GREETING = mysqlPacket(
  0,
  Buffer.concat([text("\x0a10.11.6-MariaDB\0"), Buffer.alloc(13), hex("ff ff 2d 02 00 ff ff"), Buffer.alloc(30)]),
);
const command = (code: number, rest = ""): Buffer => mysqlPacket(0, text(String.fromCharCode(code) + rest));
const DEFINITION = text("\x03def".padEnd(60, "x"));
const logIn = (flags: number): Buffer => {
  const payload = Buffer.alloc(60);
  payload.writeUInt32LE(flags);
  return mysqlPacket(1, payload);
};
const mysqlLogIn = (flags: number): readonly Step[] => [
  ["server", GREETING, true],
  ["client", logIn(flags), true],
  ["server", mysqlPacket(2, hex("01 03")), true],
  ["server", mysqlPacket(3, OK), false],
];
const result = (...packets: readonly Buffer[]): Buffer =>
  Buffer.concat(packets.map((packet, index) => mysqlPacket(index + 1, packet)));
const WITH_EOF = 0x200;
const WITHOUT_EOF = 0x200 | (1 << 24);

const pgMessage = (type: string, rest = ""): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(4 + rest.length, 1);
  return Buffer.concat([head, text(rest)]);
};
const PG_LOG_IN: readonly Step[] = [
  ["client", text("\0\0\0\x17\0\x03\0\0user\0postgres\0\0"), true],
  ["server", Buffer.concat([pgMessage("R", "\0\0\0\0"), pgMessage("K", "\0\0\0\x07KEY!"), pgMessage("Z", "I")]), false],
];

const mongodb = (id: number, answerTo: number, body: string, flags = 0): Buffer => {
  const head = Buffer.alloc(20);
  [20 + body.length, id, answerTo, 2_013, flags].forEach((value, index) => head.writeInt32LE(value, 4 * index));
  return Buffer.concat([head, text(body)]);
};
const amqp = (content: string): Buffer => {
  const head = Buffer.alloc(7, 0);
  head[0] = 1;
  head.writeUInt32BE(content.length, 3);
  return Buffer.concat([head, text(content), hex("ce")]);
};

const CASES: readonly (readonly [what: string, name: string, steps: readonly Step[], goodbye: string | undefined])[] = [
  [
    "MySQL: OK, rows with EOF packets, an error",
    "mysql",
    [
      ...mysqlLogIn(WITH_EOF),
      ["client", command(3, "DO 1"), true],
      ["server", result(OK), false],
      ["client", command(3, "SELECT ''"), true],
      ["server", result(hex("01"), DEFINITION, EOF), true],
      ["server", mysqlPacket(4, hex("00")), true],
      ["server", mysqlPacket(5, EOF), false],
      ["client", command(3, "x"), true],
      ["server", result(text("\xff\x28\x04#42000no")), false],
    ],
    "0100000001",
  ],
  [
    "MySQL: rows without EOF packets, then another result",
    "mysql",
    [
      ...mysqlLogIn(WITHOUT_EOF),
      ["client", command(3, "SELECT 1; DO 1"), true],
      ["server", result(hex("01"), DEFINITION, hex("01 31"), hex("fe 00 00 08 00 00 00")), true],
      ["server", mysqlPacket(5, OK), false],
    ],
    "0100000001",
  ],
  [
    "MySQL: a prepared statement, closed without an answer",
    "mysql",
    [
      ...mysqlLogIn(WITH_EOF),
      ["client", command(0x16, "SELECT ?"), true],
      ["server", result(hex("00 01 00 00 00 01 00 01 00 00 00 00"), DEFINITION, EOF, DEFINITION), true],
      ["server", mysqlPacket(5, EOF), false],
      ["client", command(0x19, "\x01\0\0\0"), false],
    ],
    "0100000001",
  ],
  [
    "MySQL with compression: the answer has come and nothing follows",
    "mysql",
    [
      ...mysqlLogIn(0x20).slice(0, 3),
      ["server", mysqlPacket(3, OK), false],
      ["client", hex("09 00 00 00 00 00 00 05 00 00 00 03 44 4f 20 31"), true],
    ],
    "050000000000000100000001",
  ],
  [
    "PostgreSQL: simple and extended query, a transaction",
    "postgresql",
    [
      ...PG_LOG_IN,
      ["client", pgMessage("Q", "SELECT 1\0"), true],
      ["server", Buffer.concat([pgMessage("T", "x".repeat(40)), pgMessage("D", "\0\x01")]), true],
      ["server", Buffer.concat([pgMessage("C", "SELECT 1\0"), pgMessage("Z", "I")]), false],
      ["client", Buffer.concat([pgMessage("P", "\0SELECT 1\0\0\0"), pgMessage("B", "x"), pgMessage("E", "x")]), true],
      ["client", pgMessage("S"), true],
      ["server", pgMessage("Z", "T"), false],
    ],
    "5800000004",
  ],
  [
    "PostgreSQL: a cursor waits for its next fetch, and COPY for its rows",
    "postgresql",
    [
      ...PG_LOG_IN,
      ["client", Buffer.concat([pgMessage("P", "\0x\0\0\0"), pgMessage("B", "x"), pgMessage("H")]), true],
      ["client", Buffer.concat([pgMessage("E", "\0\0\0\0\x0a"), pgMessage("H")]), true],
      ["server", Buffer.concat([pgMessage("D", "\0\x01"), pgMessage("s")]), false],
      ["client", Buffer.concat([pgMessage("E", "\0\0\0\0\x0a"), pgMessage("H")]), true],
      ["server", Buffer.concat([pgMessage("C", "SELECT 1\0"), pgMessage("N", "x")]), true],
      ["client", pgMessage("S"), true],
      ["server", pgMessage("Z", "I"), false],
      ["client", pgMessage("Q", "COPY t FROM STDIN\0"), true],
      ["server", pgMessage("G", "\0\0\0"), false],
      ["client", pgMessage("d", "row"), false],
    ],
    "6600000005005800000004",
  ],
  [
    "Redis: a subscription and a command that waits for others",
    "redis",
    [
      ["client", text("*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n"), false],
      ["client", text("*1\r\n$4\r\nPING\r\n*3\r\n$5\r\nblpop\r\n$1\r\na\r\n$1\r\n0\r\n"), true],
      ["server", text("+PONG\r\n"), false],
      ["client", text("*1\r\n$4\r\nPING\r\n"), false],
      ["server", text("*-1\r\n"), true],
      ["server", text("+PONG\r\n"), false],
    ],
    undefined,
  ],
  [
    "Redis: commands in a pipeline, nested answers, a push message",
    "redis",
    [
      ["client", text("*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n"), true],
      ["server", text("+PONG\r\n"), true],
      ["server", text(">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n"), true],
      ["server", text("*3\r\n$5\r\nab\r\nc\r\n*2\r\n:1\r\n$-1\r\n%1\r\n+k\r\n#t\r\n"), false],
    ],
    undefined,
  ],
  [
    "MongoDB: the monitor's hello keeps nothing busy",
    "mongodb",
    [
      ["client", mongodb(1, 0, "\0\x50\0\0\0\x10hello\0\x01\0\0\0".padEnd(80, "x")), false],
      ["client", mongodb(2, 0, "\0\x50\0\0\0\x02find\0".padEnd(80, "x")), true],
      ["server", mongodb(9, 1, "x".repeat(40)), true],
      ["server", mongodb(10, 2, "x".repeat(40)), false],
      ["client", mongodb(3, 0, "\0\x50\0\0\0\x02insert\0".padEnd(80, "x"), 2), false],
    ],
    undefined,
  ],
  [
    "AMQP 0-9-1",
    "amqp",
    [
      ["client", text("AMQP\0\0\x09\x01"), true],
      ["server", amqp("\0\x0a\0\x0a".padEnd(60, "x")), true],
      ["client", amqp("\0\x0a\0\x28".padEnd(20, "x")), true],
      ["server", amqp("\0\x0a\0\x29\0"), false],
    ],
    "01000000000013000a003200c80873687574646f776e00000000ce",
  ],
  [
    "another protocol",
    "other",
    [
      ["client", text("EHLO host\r\n"), true],
      ["server", text("250 host\r\n"), false],
    ],
    undefined,
  ],
];

function start(side: Step[0], bytes: Buffer): Conversation | undefined {
  return PROTOCOLS.find((protocol) => protocol[side]?.(bytes))?.start?.();
}

function feed(conversation: Conversation, side: Step[0], bytes: Buffer): void {
  if (side === "client") conversation.sent(bytes);
  else conversation.received(bytes);
}

test.each(CASES)("%s", (_, name, steps, goodbye) => {
  const [[side, bytes] = ["client", Buffer.alloc(0)] as const] = steps;
  const conversation = start(side, bytes) as Conversation;
  const seen = steps.map(([who, what]) => {
    feed(conversation, who, what);
    return conversation.isBusy;
  });
  expect(seen).toEqual(steps.map(([, , isBusy]) => isBusy));
  expect(conversation.name).toBe(name);
  expect(conversation.goodbye?.().toString("hex")).toBe(goodbye);
});

test.each(CASES.filter(([, name]) => name !== "other" && name !== "amqp"))("%s, byte by byte", (_, _name, steps) => {
  const [[side, first] = ["client", Buffer.alloc(0)] as const] = steps;
  const conversation = start(side, first) as Conversation;
  const seen = steps.map(([who, bytes]) => {
    for (const byte of bytes) feed(conversation, who, Buffer.of(byte));
    return conversation.isBusy;
  });
  expect(seen).toEqual(steps.map(([, , isBusy]) => isBusy));
});

test("PostgreSQL's CancelRequest has the number and the key that the server has told", () => {
  const [[, startup] = ["client", Buffer.alloc(0)] as const, [, answer] = ["server", Buffer.alloc(0)] as const] =
    PG_LOG_IN;
  const conversation = start("client", startup) as Conversation;
  conversation.sent(startup);
  expect(conversation.cancelRequest?.()).toBeUndefined();
  conversation.received(answer);
  expect(conversation.cancelRequest?.()).toEqual(hex("00000010 04d2162e 00000007 4b455921"));
  expect(conversation.isInTransaction).toBe(false);
});

test.each(["GET / HTTP/1.1\r\n", "POST /2015 HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])(
  "%p is left alone",
  (bytes) => {
    expect(start("client", text(bytes))).toBeUndefined();
  },
);

test("bytes of no sense neither throw nor loop", () => {
  let seed = 1;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647);
  for (let round = 0; round < 2_000; round += 1) {
    const [, , steps] = CASES[round % CASES.length] as (typeof CASES)[number];
    const [[side, first] = ["client", Buffer.alloc(0)] as const, ...rest] = steps;
    const conversation = start(side, first) as Conversation;
    for (const [who, bytes] of [[side, first] as const, ...rest]) {
      const changed = Buffer.from(bytes);
      if (random() % 3 === 0 && bytes !== first) changed[random() % changed.length] = random() % 256;
      feed(conversation, who, changed);
      expect(typeof conversation.isBusy).toBe("boolean");
    }
  }
});
