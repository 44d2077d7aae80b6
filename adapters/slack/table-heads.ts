/** The longest head that is repeated, in characters after escaping: there is so much more room than a part takes. */
const headLength = 900;

const row = /^ {0,3}\|.*\|\s*$/;
const rule = /^ {0,3}\|(?:\s*:?-+:?\s*\|)+\s*$/;

/**
 * Parts of a text, each of which shows its tables: one that begins within a table gets the table's head.
 * @param size how long a text is
 */
export function withTableHeads(parts: readonly string[], size: (text: string) => number): string[] {
  let before = "";
  return parts.map((part) => {
    const head = row.test(firstLine(part)) ? openHead(before) : undefined;
    before = head === undefined || size(head) > headLength ? part : `${head}\n${part}`;
    return before;
  });
}

/** The head of the table that a part ends in. */
function openHead(part: string): string | undefined {
  const lines = part.split("\n");
  let start = lines.length;
  while (row.test(lines[start - 1] ?? "")) start -= 1;
  const [head, below] = lines.slice(start);
  return head !== undefined && below !== undefined && rule.test(below) ? `${head}\n${below}` : undefined;
}

function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return end === -1 ? text : text.slice(0, end);
}
