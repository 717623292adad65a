/** Tells the test what was called, and takes a moment, as a network does. */
export async function say(what: string): Promise<void> {
  console.log(`stand-in: ${what}`);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
