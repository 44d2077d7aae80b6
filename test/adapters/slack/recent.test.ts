import { describe, expect, it } from "vitest";
import { Recent } from "../../../adapters/slack/recent.ts";

describe("A map of recent entries", () => {
  it("has those that were set last", () => {
    const recent = new Recent<string, number>(2);
    recent.set("a", 1).set("b", 2);
    expect([...recent]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    recent.set("a", 3).set("c", 4);
    expect([...recent]).toEqual([
      ["a", 3],
      ["c", 4],
    ]);
  });
});
