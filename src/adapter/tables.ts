import { type Fence, fenceAfter } from "./fence.ts";

/** The widest column that is filled up, in characters: longer cells stand out of line. */
const columnWidth = 40;

/** Characters that take the room of two where all are equally wide: Chinese, Japanese, Korean, emoji. */
const wide = /[ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹯！-｠￠-￦]|\p{Emoji_Presentation}/gu;

/**
 * The tables of a markdown text as blocks of code, with their columns below each other: for platforms that do not show
 * tables. Code is left as it is, and a table that has a code fence in a cell.
 */
export function tablesAsCode(text: string): string {
  if (!text.includes("|")) return text;
  const lines = text.split("\n");
  const shown: string[] = [];
  let fence: Fence | undefined;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const end = fence === undefined ? tableEnd(lines, at) : at;
    const table = lines.slice(at, end);
    if (end > at && !table.some((row) => row.includes("```"))) {
      shown.push("```", ...asCode(table), "```");
      at = end - 1;
    } else {
      fence = fenceAfter(line, fence);
      shown.push(line);
    }
  }
  return shown.join("\n");
}

/** Behind the last line of the table whose head is the line `at`; `at` where there is none. */
function tableEnd(lines: readonly string[], at: number): number {
  const [head = "", rule = ""] = lines.slice(at, at + 2);
  const isTable = head.includes("|") && isRule(rule) && cellsOf(head).length === cellsOf(rule).length;
  if (!isTable) return at;
  let end = at + 2;
  while (lines[end]?.includes("|")) end += 1;
  return end;
}

/** The line below a table's head: `|---|:--:|`. */
function isRule(line: string): boolean {
  return line.includes("|") && cellsOf(line).every((cell) => /^:?-+:?$/.test(cell));
}

function cellsOf(line: string): string[] {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function asCode([head = "", rule = "", ...body]: readonly string[]): string[] {
  const rows = [head, ...body].map(cellsOf);
  const columns = cellsOf(rule).map((mark, column) => ({
    isRight: /^-+:$/.test(mark),
    width: rows.reduce((most, row) => Math.max(most, Math.min(columnWidth, widthOf(row[column] ?? ""))), 1),
  }));
  const [shownHead = "", ...shownBody] = rows.map((row) =>
    row
      .map((cell, column) => {
        const { isRight = false, width = 0 } = columns[column] ?? {};
        const room = " ".repeat(Math.max(0, width - widthOf(cell)));
        return isRight ? room + cell : cell + room;
      })
      .join(" | ")
      .trimEnd(),
  );
  return [shownHead, columns.map(({ width }) => "-".repeat(width)).join("-|-"), ...shownBody];
}

function widthOf(cell: string): number {
  return [...cell].length + (cell.match(wide)?.length ?? 0);
}
