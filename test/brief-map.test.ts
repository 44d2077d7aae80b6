import { describe, expect, it } from "vitest";
import { BriefMap } from "../src/brief-map.ts";

describe("A map of what comes and goes", () => {
  it("has what was set and not deleted, whatever its key", () => {
    const map = new BriefMap<number>();
    const keys = ["a1_x m1", "__proto__", "constructor", "", "7", "toString"];
    for (const [index, key] of keys.entries()) {
      expect(map.get(key)).toBeUndefined();
      map.set(key, index);
      expect(map.get(key)).toBe(index);
    }
    map.set("7", 8);
    map.delete("constructor");
    map.delete("never there");
    expect(map.get("constructor")).toBeUndefined();
    expect(map.keys().sort()).toEqual(["", "7", "__proto__", "a1_x m1", "toString"]);
    expect(map.values().sort()).toEqual([0, 1, 3, 5, 8]);
    expect(map.get("7")).toBe(8);
  });

  it("lists what it has at that moment", () => {
    const map = new BriefMap<number>();
    map.set("a", 1);
    map.set("b", 2);
    for (const [key] of map.entries()) map.delete(key);
    expect(map.entries()).toEqual([]);
    map.set("c", 3);
    map.clear();
    expect([map.keys(), map.values()]).toEqual([[], []]);
  });
});
