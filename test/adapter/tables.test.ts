import { tablesAsCode } from "aparte/adapter";
import { describe, expect, it } from "vitest";

describe("tablesAsCode", () => {
  it("shows a table as lines of code with columns that stand below each other", () => {
    const table = "| Name | Age |\n|:-----|----:|\n| Ann | 31 |\n| Bartholomew | 7 |";
    expect(tablesAsCode(`Here:\n\n${table}\n\nThat is all.`)).toBe(
      [
        "Here:\n",
        "```",
        "Name        | Age",
        "------------|----",
        "Ann         |  31",
        "Bartholomew |   7",
        "```",
        "\nThat is all.",
      ].join("\n"),
    );
  });

  it.each([
    ["without outer bars", "a | b\n--|--\n1 | 2", "```\na | b\n--|--\n1 | 2\n```"],
    ["of one column", "| a |\n|---|\n| 1 |", "```\na\n-\n1\n```"],
    ["of a head alone", "| a | b |\n|---|---|", "```\na | b\n--|--\n```"],
    [
      "with an escaped bar",
      "| a | b |\n|---|---|\n| x \\| y | 2 |",
      "```\na     | b\n------|--\nx | y | 2\n```",
    ],
    ["with a row of another length", "|a|b|\n|-|-|\n|1|\n|1|2|3|", "```\na | b\n--|--\n1\n1 | 2 | 3\n```"],
    ["of wide characters", "|名字|b|\n|-|-|\n|李|2|", "```\n名字 | b\n-----|--\n李   | 2\n```"],
    ["that words follow at once", "|a|b|\n|-|-|\n|1|2|\nwords", "```\na | b\n--|--\n1 | 2\n```\nwords"],
    ["with a column in the middle", "|abc|\n|:-:|\n|d|", "```\nabc\n---\nd\n```"],
    ["with an empty cell at the end", "|a|b|\n|-|-|\n|1||", "```\na | b\n--|--\n1 |\n```"],
    ["with an empty head", "||b|\n|-|-|", "```\n  | b\n--|--\n```"],
    ["of one line, with words below", "|a|b|\n|-|-|\nwords", "```\na | b\n--|--\n```\nwords"],
    ["with Windows' line ends", "|a|b|\r\n|-|-|\r\n|1|2|\r\nwords", "```\na | b\n--|--\n1 | 2\n```\nwords"],
  ])("a table %s", (_, text, expected) => {
    expect(tablesAsCode(text)).toBe(expected);
  });

  it.each([
    ["no table", "a | b\nc | d"],
    ["a rule below a line", "words\n-----\nmore"],
    ["a head and a line below it of different lengths", "| a | b |\n|---|"],
    ["a table in code", "```\n| a | b |\n|---|---|\n| 1 | 2 |\n```"],
    ["a table in code that is still open", "```md\n| a | b |\n|---|---|"],
    ["a table that would end its code", "| a | b |\n|---|---|\n| ``` | 2 |"],
    ["a line below a head that is none: at its end", "| a | b |\n|---|--x|"],
    ["a line below a head that is none: at its beginning", "| a | b |\n|---|x--|"],
    ["a list", "- a | b\n- - -\n- c"],
  ])("leaves %s as it is", (_, text) => {
    expect(tablesAsCode(text)).toBe(text);
  });

  it.each([40, 41])("fills up to 40 characters where a cell has %i", (length) => {
    const lines = tablesAsCode(`|${"w".repeat(length)}|y|\n|-|-|\n|a|b|`).split("\n");
    expect(lines[3]).toBe(`a${" ".repeat(39)} | b`);
  });

  it("takes no room without end: a wide column is filled up to a bound", () => {
    const rows = Array.from({ length: 1_000 }, () => "|x|y|").join("\n");
    const text = `|a|b|\n|-|-|\n|${"w".repeat(100_000)}|y|\n${rows}`;
    const shown = tablesAsCode(text);
    expect(shown).toContain("w".repeat(100_000));
    expect(shown.length).toBeLessThan(150_000);
  });
});
