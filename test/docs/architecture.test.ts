import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { transition } from "../../src/lane/machine.ts";
import { commandOf, laneOf } from "../support/lane-notation.ts";

const page = await readFile("docs/architecture.md", "utf8");

/** The rows of the table under a heading, each with its cells; code marks are taken off. */
function tableUnder(heading: string): string[][] {
  const [, section = ""] = page.split(`${heading}\n`);
  const [table = ""] = section.split(/\n#/, 1);
  return table
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(1)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("`", "")),
    );
}

function listOf(cell: string): string[] {
  return cell === "" ? [] : cell.split(", ");
}

const rows = tableUnder("### The table of transitions");

describe("The table of transitions", () => {
  it.each(rows)("%s on %s: %s, %s", (written, before, outcome, after, wakes, freed) => {
    const lane = laneOf(before ?? "");
    const { command, now } = commandOf(written ?? "");
    expect(transition(lane, command, now)).toStrictEqual({
      lane: after === "same" ? lane : laneOf(after ?? ""),
      outcome,
      wakes: listOf(wakes ?? ""),
      freed: listOf(freed ?? ""),
    });
  });

  it("has every command, and every outcome", () => {
    const commands = new Set(rows.map(([command = ""]) => command.split(" ")[0]));
    expect([...commands]).toEqual([
      "take",
      "advance",
      "end",
      "withdraw",
      "takeOver",
      "release",
      "stop",
      "restore",
    ]);
    expect([...new Set(rows.map(([, , outcome]) => outcome))].sort()).toEqual([
      "busy",
      "done",
      "duplicate",
      "full",
      "lost",
      "merged",
      "runs",
      "waits",
    ]);
  });
});

describe("The pages of the architecture", () => {
  it("name files that exist", () => {
    const named = [...page.matchAll(/`((?:src|adapters|docs)\/[\w./-]+)`/g)].map(([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });
});
