import { oneLine } from "aparte/adapter";
import { describe, expect, it } from "vitest";

describe("oneLine", () => {
  it("gives a short text without its breaks and the space around it", () => {
    expect(oneLine(" two\n lines\tand  more ", 18)).toBe("two lines and more");
  });

  it.each([
    ["one two three", 13, "one two three"],
    ["one two three", 12, "one two thr…"],
    ["one two three", 9, "one two…"],
    ["one two three", 8, "one two…"],
    ["ab👍👍", 6, "ab👍👍"],
    ["ab👍👍", 5, "ab👍…"],
    ["ab👍👍", 4, "ab…"],
    ["", 3, ""],
  ])("gives the beginning of what is longer, and splits no character: %j in %i", (text, most, line) => {
    expect(oneLine(text, most)).toBe(line);
    expect(line.length).toBeLessThanOrEqual(most);
  });
});
