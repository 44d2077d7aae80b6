import { describe, expect, it } from "vitest";
import { type Digest, DigestSet, digestOf } from "../../src/stores/digest-set.ts";

/** Digests that stand side by side, and two that want the same place. */
const [before, one, same, after]: Digest[] = [
  [1, 1, 12, 13],
  [1, 2, 22, 23],
  [1, 66, 32, 33],
  [1, 4, 42, 43],
];

it("A digest is the beginning of SHA-256, in which no first word is 0", () => {
  // FIPS 180-2, appendix B.1 and B.2.
  const known = {
    abc: "ba7816bf8f01cfea414140de5dae2223",
    abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq: "248d6a61d20638b8e5c026930c3e6039",
  };
  for (const [text, beginning] of Object.entries(known)) {
    const bytes = Buffer.from(beginning, "hex");
    const [first = 0, ...rest] = [0, 4, 8, 12].map((at) => bytes.readInt32LE(at));
    expect(digestOf(text)).toEqual([first % 2 === 0 ? first + 1 : first, ...rest]);
  }
});

describe("A set of digests", () => {
  it("loses nothing but what is deleted", () => {
    const set = new DigestSet();
    const all = [before, one, same, after] as Digest[];
    for (const digest of all) set.add(digest);
    set.delete(one as Digest);
    expect(all.map((digest) => set.has(digest))).toEqual([true, false, true, true]);
    set.add(one as Digest);
    expect(all.map((digest) => set.has(digest))).toEqual([true, true, true, true]);
  });

  it("has none of which a word differs", () => {
    const set = new DigestSet();
    const digest: Digest = [1, 2, 3, 4];
    set.add(digest);
    const others = digest.map((word, at) => digest.with(at, word + 64) as unknown as Digest);
    expect(others.map((other) => set.has(other))).toEqual([false, false, false, false]);
    expect(set.has(digest)).toBe(true);
  });

  it("deletes nothing where it has nothing", () => {
    const set = new DigestSet();
    set.add(before as Digest);
    set.delete(one as Digest);
    expect([set.has(before as Digest), set.has(one as Digest), set.size]).toEqual([true, false, 1]);
  });

  it("keeps all while it grows", () => {
    const set = new DigestSet();
    const digests = Array.from({ length: 1_000 }, (_, n): Digest => [n + 1, n % 7, n, n]);
    for (const digest of digests) {
      set.add(digest);
      // Looked for until there is room, which there always is.
      expect(set.has([1, 1, 1, 1])).toBe(false);
    }
    expect(set.size).toBe(1_000);
    expect(digests.every((digest) => set.has(digest))).toBe(true);
  });
});
