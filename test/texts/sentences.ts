/** A string or template of a source file, and in whose parentheses it stands, innermost last: `["push", "AparteError"]`. */
export interface Literal {
  readonly text: string;
  readonly line: number;
  readonly calls: readonly string[];
}

/** What may stand before a regular expression, where a number or name would mean a division. */
const beforeRegex = /(?:^|[([{,;:=!&|?+~<>]|\breturn|\bcase)\s*$/;

/** The strings of a TypeScript source, without comments. `{…}` stands for what a template fills in. */
export function literalsOf(source: string): Literal[] {
  const found: Literal[] = [];
  const calls: string[] = [];
  let line = 1;
  let at = 0;
  read(source.length, "");
  return found;

  /** Reads to the bracket that closes a template's place, or to the end. */
  function read(end: number, closing: string): void {
    let depth = 0;
    for (; at < end; at += 1) {
      const char = source[at] as string;
      const rest = source.slice(at, at + 2);
      if (char === "\n") line += 1;
      else if (rest === "//") at = source.indexOf("\n", at) - 1;
      else if (rest === "/*") skip(source.indexOf("*/", at) + 1);
      else if (char === "/" && beforeRegex.test(source.slice(Math.max(0, at - 20), at))) skipRegex();
      else if (char === '"' || char === "'") quoted(char);
      else if (char === "`") template();
      else if (char === "(")
        calls.push(/([\w#]+)\s*(?:<[^()]*>)?\s*$/.exec(source.slice(Math.max(0, at - 60), at))?.[1] ?? "");
      else if (char === ")") calls.pop();
      else if (char === "{") depth += 1;
      else if (char === "}") {
        if (closing === "}" && depth === 0) return;
        depth -= 1;
      }
    }
  }

  function assertInside(): void {
    if (at >= source.length || source[at] === undefined) throw new Error(`Not understood: line ${line}`);
  }

  function skip(to: number): void {
    line += source.slice(at, to).split("\n").length - 1;
    at = to;
  }

  function skipRegex(): void {
    let isInClass = false;
    for (at += 1; isInClass || source[at] !== "/"; at += 1) {
      assertInside();
      if (source[at] === "\\") at += 1;
      else if (source[at] === "[") isInClass = true;
      else if (source[at] === "]") isInClass = false;
    }
  }

  function quoted(quote: string): void {
    const start = at + 1;
    for (at += 1; source[at] !== quote; at += 1) {
      assertInside();
      if (source[at] === "\\") at += 1;
    }
    found.push({ text: source.slice(start, at), line, calls: [...calls] });
  }

  function template(): void {
    const from = line;
    let text = "";
    for (at += 1; source[at] !== "`"; at += 1) {
      assertInside();
      if (source[at] === "\n") line += 1;
      if (source[at] === "\\") at += 1;
      if (source.startsWith("${", at)) {
        at += 2;
        read(source.length, "}");
        text += "{…}";
      } else text += source[at];
    }
    found.push({ text, line: from, calls: [...calls] });
  }
}
