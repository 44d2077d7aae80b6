/** Numbers that a seed decides: the same seed gives the same numbers on every machine. From 0 on, below 1. */
export type Random = () => number;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return scrambled(state);
  };
}

/** One such number for several: where others are drawn or not, this one stays the same. */
export function drawn(...numbers: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const number of numbers) state = Math.imul(state ^ number, 0x85ebca6b) + 0x6d2b79f5;
  return scrambled(state >>> 0);
}

function scrambled(state: number): number {
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}
