const LINE = "x".repeat(999);

export function writeLog(bytes: number): void {
  for (let written = 0; written < bytes; written += LINE.length + 1) console.info(LINE);
}
