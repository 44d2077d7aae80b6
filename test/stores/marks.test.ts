import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { Marks } from "../../src/stores/marks.ts";
import { eventMemoryMs } from "../../src/stores/store.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function usedBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** As long as those of events, and cut from a longer text as those are. */
const mark = (n: number) => `${String(n).padStart(22, "mark ")} and the rest`.slice(0, 22);

describe("Marks", () => {
  it("take at most 60 bytes each, however many there are", () => {
    const marks = new Marks(0);
    const before = usedBytes();
    let count = 0;
    for (const upTo of [20_000, 50_000, 100_000, 200_000]) {
      for (; count < upTo; count += 1) marks.add(mark(count), 0);
      expect((usedBytes() - before) / count).toBeLessThanOrEqual(60);
    }
    expect(marks.has(mark(0))).toBe(true);
  });

  it("are those that were added, and no others", () => {
    const marks = new Marks(0);
    for (let n = 0; n < 50_000; n += 2) marks.add(mark(n), 0);
    const found = Array.from({ length: 50_000 }, (_, n) => n).filter((n) => marks.has(mark(n)));
    expect(found).toEqual(Array.from({ length: 25_000 }, (_, n) => n * 2));
  });

  it("can be removed and come again, among thousands of others", () => {
    const marks = new Marks(0);
    for (let n = 0; n < 5_000; n += 1) marks.add(mark(n), 0);
    for (let n = 0; n < 5_000; n += 3) marks.delete(mark(n));
    for (let n = 5_000; n < 10_000; n += 1) marks.add(mark(n), 0);
    expect([0, 1, 2, 3, 4_998, 4_999, 5_001].map((n) => marks.has(mark(n)))).toEqual([
      ...[false, true, true, false],
      ...[false, true, true],
    ]);
    marks.add(mark(3), 0);
    marks.add(mark(3), 0);
    expect(marks.has(mark(3))).toBe(true);
    marks.delete(mark(3));
    expect(marks.has(mark(3))).toBe(false);
  });

  it("can be removed from the day before", () => {
    const marks = new Marks(0);
    marks.add("yesterday", 0);
    marks.add("today", eventMemoryMs + 1);
    marks.delete("yesterday");
    expect(["yesterday", "today"].filter((text) => marks.has(text))).toEqual(["today"]);
  });

  it("may be any text", () => {
    const marks = new Marks(0);
    const texts = [
      "",
      "\u0000",
      "é",
      "e\u0301",
      "李",
      "x".repeat(127),
      "x".repeat(256),
      "x".repeat(4_096),
      "李".repeat(1_365),
    ];
    for (const text of texts) marks.add(text, 0);
    expect(texts.filter((text) => !marks.has(text))).toEqual([]);
    expect(
      ["\u0000\u0000", "e", "x".repeat(128), "李".repeat(1_364)].filter((text) => marks.has(text)),
    ).toEqual([]);
  });

  it("are remembered for a day, and for two at most while others come", () => {
    const marks = new Marks(0);
    marks.add("morning", 0);
    marks.add("evening", eventMemoryMs);
    marks.add("next day", eventMemoryMs + 1);
    expect(["morning", "evening", "next day"].filter((text) => marks.has(text))).toHaveLength(3);
    marks.add("late", 2 * eventMemoryMs + 1);
    expect(["morning", "evening"].filter((text) => marks.has(text))).toHaveLength(2);
    marks.add("third day", 2 * eventMemoryMs + 2);
    expect(["morning", "evening", "next day", "late"].filter((text) => marks.has(text))).toEqual([
      "next day",
      "late",
    ]);
  });
});
