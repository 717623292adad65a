/**
 * A mulberry32 generator of numbers from 0 to 1. Each environment has its own, so that its events do not depend on the
 * speed of the other environments.
 */
export function randomNumbers(seed: number, slot: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) ^ Math.imul(slot + 1, 0x85ebca6b);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
