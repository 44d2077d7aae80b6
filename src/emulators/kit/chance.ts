/**
 * Numbers from 0 up to 1, the same ones for the same seed (the generator is mulberry32).
 * @param seed any whole number
 */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Picks what goes wrong with a request.
 * @param share how many of the requests something happens to, from 0 to 1
 * @param kinds each makes one fault out of a random number from 0 up to 1
 */
export function chanceOf<Fault>(
  seed: number,
  share: number,
  kinds: readonly ((random: () => number) => Fault)[],
): () => Fault | undefined {
  const random = randomOf(seed);
  return () => {
    if (random() >= share) return undefined;
    return kinds[Math.floor(random() * kinds.length)]?.(random);
  };
}

/** A whole number from 0 up to `most`, small ones more often: most of what breaks, breaks early. */
export function early(random: () => number, most: number): number {
  return Math.floor(random() ** 2 * most);
}

/** How hostile an emulator is. */
export interface Hostile {
  readonly seed: number;
  readonly share?: number;
}
