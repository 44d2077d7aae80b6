import { describe, expect, it } from "vitest";
import { type Digest, DigestSet } from "../../src/stores/digest-set.ts";

/** Digests that stand side by side, and two that want the same place. */
const [before, one, same, after]: Digest[] = [
  [1, 11, 12, 13],
  [2, 21, 22, 23],
  [2, 31, 32, 33],
  [4, 41, 42, 43],
];

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

  it("deletes nothing where it has nothing", () => {
    const set = new DigestSet();
    set.add(before as Digest);
    set.delete(one as Digest);
    expect([set.has(before as Digest), set.has(one as Digest), set.size]).toEqual([true, false, 1]);
  });

  it("keeps all while it grows", () => {
    const set = new DigestSet();
    const digests = Array.from({ length: 1_000 }, (_, n): Digest => [(n % 7) + 1, n, n, n]);
    for (const digest of digests) set.add(digest);
    expect(set.size).toBe(1_000);
    expect(digests.every((digest) => set.has(digest))).toBe(true);
    expect(set.has([1, 1, 1, 1])).toBe(false);
  });
});
