import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { event, events } from "./events";

const directory = mkdtempSync(join(tmpdir(), "events-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function read(text: string): readonly unknown[] {
  const file = join(directory, "events");
  writeFileSync(file, text);
  return events(file);
}

test.each([
  ["a JSON array", '[{"a":1},\n {"b":2}]', [{ a: 1 }, { b: 2 }]],
  ["JSON lines, empty ones left out", '{"a":1}\n\n{"b":2}\n', [{ a: 1 }, { b: 2 }]],
  ["one event over several lines", '{\n  "a": 1\n}\n', [{ a: 1 }]],
  ["one that is null", "null", [null]],
  ["no event", "[]", []],
])("%s", (_, text, expected) => {
  expect(read(text)).toEqual(expected);
});

test.each([
  ["nothing", " \n", "It is empty."],
  ["a bad line among good ones", '{"a":1}\n{"b":2}\n{c:3}\n{"d":4}', "Line 3: "],
  ["an array that breaks off", '[{"a":1},\n{"b":2}\n', "Line 3: the array has no end."],
  ["an array with a bad line", '[\n  {"a":1},\n  {"b":2,},\n  {"c":3}\n]', "Line 3: "],
  ["an array with something behind it", "[1,\n2]\n[3]", "Line 3: "],
])("%s is refused, with its line and what is allowed", (_, text, message) => {
  expect(() => read(text)).toThrow(message);
  expect(() => read(text)).toThrow("Expected a JSON array of events, or one event a line.");
});

test("a file that is not there is refused, and commander names it", () => {
  expect(() => events(join(directory, "none.json"))).toThrow("There is no such file");
});

test("an event on the command line is JSON", () => {
  expect(event('{"orderId":7}')).toEqual({ orderId: 7 });
  expect(() => event("orderId=7")).toThrow("It is not JSON");
});
