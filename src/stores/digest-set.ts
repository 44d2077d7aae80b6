/** A text's digest, 128 bits in four words, as a {@link DigestSet} looks it up. */
export type Digest = readonly [number, number, number, number];

/** cyrb128: quick, and good enough for texts that nobody can choose, since marks are cut from cryptographic digests. */
export function digestOf(text: string): Digest {
  let [a, b, c, d] = [0x5b_ad_1d_ea, 0x3c_6e_f3_72, 0x12_3f_98_e5, 0x68_e3_1d_a4];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = b ^ Math.imul(a ^ code, 0x23_8f_1e_29);
    b = c ^ Math.imul(b ^ code, 0xb3_94_ea_a7);
    c = d ^ Math.imul(c ^ code, 0x8c_9b_6c_05);
    d = a ^ Math.imul(d ^ code, 0x9e_37_79_b1);
  }
  a = Math.imul(c ^ (a >>> 18), 0x23_8f_1e_29);
  b = Math.imul(d ^ (b >>> 22), 0xb3_94_ea_a7);
  c = Math.imul(a ^ (c >>> 17), 0x8c_9b_6c_05);
  d = Math.imul(b ^ (d >>> 19), 0x9e_37_79_b1);
  return [a === 0 ? 1 : a, b, c, d];
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

  /** Its place stays taken, by what is no text's digest. */
  delete(digest: Digest): void {
    const at = this.#find(digest);
    if (this.#words[at] !== 0) this.#words.fill(0, at + 1, at + 4);
  }

  /** Where it stands, or where there is room for it. */
  #find([first, second, third, fourth]: Digest): number {
    const words = this.#words;
    const last = words.length - 1;
    for (let at = (first << 2) & last; ; at = (at + 4) & last) {
      if (words[at] === 0) return at;
      if (words[at] !== first || words[at + 1] !== second) continue;
      if (words[at + 2] === third && words[at + 3] === fourth) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    const words = new Int32Array(old.length * 2);
    const last = words.length - 1;
    for (let from = 0; from < old.length; from += 4) {
      const first = old[from] as number;
      if (first === 0) continue;
      let at = (first << 2) & last;
      while (words[at] !== 0) at = (at + 4) & last;
      for (let word = 0; word < 4; word += 1) words[at + word] = old[from + word] as number;
    }
    this.#words = words;
  }
}
