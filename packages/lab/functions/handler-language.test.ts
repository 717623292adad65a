import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { handlerLanguage } from "./handler-language";

const directory = mkdtempSync(join(tmpdir(), "language-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

test.each([
  ["nodejs24.x", "nodejs"],
  ["python3.13", "python"],
])("%s is %s, whatever is in the directory", (runtime, language) => {
  expect(handlerLanguage(directory, runtime)).toBe(language);
});

test("no bootstrap at all is none that can be told", () => {
  expect(handlerLanguage(join(directory, "nowhere"), "provided")).toBe("other");
});

test.each([
  ["a program of Go's", Buffer.from("\x7fELF\0\xff Go buildinf:\b\x02go1.26", "latin1"), "go"],
  ["a program of Rust's", Buffer.from(`\x7fELF\0/rustc/${"0a".repeat(20)}/library/core`, "latin1"), "rust"],
  ["a script in Python", Buffer.from("#!/usr/bin/env python3\n"), "python"],
  ["a script for Node.js", Buffer.from("#!/usr/bin/env node\n"), "nodejs"],
  ["a shell that starts Java", Buffer.from('#!/bin/sh\nexec java -cp "lib/*" com.example.Main\n'), "java"],
  ["a shell with curl", Buffer.from("#!/bin/sh\ncurl http://python\n"), "other"],
  ["a program in C", Buffer.from("\x7fELF\0#!/usr/bin/env python3"), "other"],
  ["what is empty", Buffer.from(""), "other"],
])("a bootstrap: %s", (_, content, language) => {
  writeFileSync(join(directory, "bootstrap"), content);
  expect(handlerLanguage(directory, "provided.al2023")).toBe(language);
});

test("a mark across the border of two reads, behind megabytes", () => {
  const content = Buffer.alloc(9 * 1024 * 1024);
  content.write("\xff Go buildinf:", 4 * 1024 * 1024 - 5, "latin1");
  writeFileSync(join(directory, "bootstrap"), content);
  expect(handlerLanguage(directory, "provided")).toBe("go");
});
