import { stripVTControlCharacters } from "node:util";

const MAX_LENGTH = 300;

/** An error in one line, which may be part of a sentence: without the request's id, and not too long. */
export function firstLine(text = ""): string {
  const [line = ""] = text.trim().split("\n");
  return shortened(line.replace(/^([\w.]+: )?RequestId: [\da-f-]+ Error: /, "$1"), MAX_LENGTH);
}

/** What a terminal shows as it is, without the colours and the cursor moves of the function's. */
export function shortened(text: string, length: number): string {
  const plain = stripVTControlCharacters(text);
  return plain.length > length ? `${plain.slice(0, length)}… (${plain.length} characters)` : plain;
}
