import { hash } from "node:crypto";

/** 128 bits of a text's digest in four words, as a {@link DigestSet} looks it up. The first one is never 0. */
export type Digest = readonly [number, number, number, number];

export function digestOf(text: string): Digest {
  const bytes = hash("sha256", text, "buffer");
  return [bytes.readInt32LE(0) | 1, bytes.readInt32LE(4), bytes.readInt32LE(8), bytes.readInt32LE(12)];
}

/**
 * A set of many texts, of which it keeps the digests alone: in a third of the room that a `Set` of strings takes, and
 * with nothing for the garbage collector to walk through.
 */
export class DigestSet {
  /** How many entries were made, also those that were removed. */
  #used = 0;
  /** Four words an entry, which stands at its digest's place or after it. The first word is 0 where there is none. */
  #words = new Int32Array(4 * 64);

  get size(): number {
    return this.#used;
  }

  has(digest: Digest): boolean {
    return this.#words[this.#find(digest)] !== 0;
  }

  add(digest: Digest): void {
    // Not before: also while it grows, an entry takes less than 60 bytes.
    if ((this.#used + 1) * 4 > this.#words.length * (7 / 8)) this.#grow();
    const at = this.#find(digest);
    if (this.#words[at] === 0) this.#used += 1;
    this.#words.set(digest, at);
  }

  /** Its place stays taken, by what is no text's digest: one half is 0. */
  delete(digest: Digest): void {
    const at = this.#find(digest);
    if (this.#words[at] !== 0) this.#words.fill(0, at + 2, at + 4);
  }

  /** Where it stands, or where there is room for it. */
  #find([first, second, third, fourth]: Digest): number {
    const words = this.#words;
    // Where the last entry stands; and, since lengths are powers of two, the bits that a place may have.
    const last = words.length - 4;
    for (let at = (second << 2) & last; ; at = (at + 4) & last) {
      if (words[at] === 0) return at;
      if (words[at] !== first || words[at + 1] !== second) continue;
      if (words[at + 2] === third && words[at + 3] === fourth) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    const words = new Int32Array(old.length * 2);
    const last = words.length - 4;
    for (let from = 0; from < old.length; from += 4) {
      const first = old[from] as number;
      if (first === 0) continue;
      let at = ((old[from + 1] as number) << 2) & last;
      while (words[at] !== 0) at = (at + 4) & last;
      for (let word = 0; word < 4; word += 1) words[at + word] = old[from + word] as number;
    }
    this.#words = words;
  }
}
