import { describe, expect, it } from "vitest";
import { withTableHeads } from "../../../adapters/slack/table-heads.ts";

const size = (text: string) => text.length;

describe("Parts of a text with a table", () => {
  it("each have the table's head", () => {
    expect(
      withTableHeads(["Look:\n| a | b |\n| --- | :-: |\n| 1 | 2 |", "| 3 | 4 |", "| 5 | 6 |\n\nEnd."], size),
    ).toEqual([
      "Look:\n| a | b |\n| --- | :-: |\n| 1 | 2 |",
      "| a | b |\n| --- | :-: |\n| 3 | 4 |",
      "| a | b |\n| --- | :-: |\n| 5 | 6 |\n\nEnd.",
    ]);
  });

  it.each([
    ["rows without a rule", "| a | b |\n| 1 | 2 |"],
    ["a row that only ends as a rule does", "| a | b |\n| x |---|"],
    ["a row that only begins as a rule does", "| a | b |\n|---| x |"],
    ["a table that ended before", "| a | b |\n| --- | --- |\n| 1 | 2 |\nText."],
    ["a rule alone", "| --- | --- |"],
  ])("have none after %s", (_, before) => {
    expect(withTableHeads([before, "| 3 | 4 |"], size)).toEqual([before, "| 3 | 4 |"]);
  });

  it("have none that takes too much room", () => {
    const head = (size: number) => `| ${"a".repeat(size - 12)} |\n| --- |`;
    const second = (before: string) => withTableHeads([`${before}\n| 1 |`, "| 3 |"], size)[1];
    expect(second(head(900))).toBe(`${head(900)}\n| 3 |`);
    expect(second(head(901))).toBe("| 3 |");
  });
});
