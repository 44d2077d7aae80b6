import { readFileSync } from "node:fs";
import { AparteError } from "../errors.ts";

/**
 * The variables of a `.env` file; undefined where there is none. Node's own reader passes over what it does not
 * understand, and takes the lines around it for something else: here a file that can be read in two ways is refused.
 * @throws {AparteError} `option-invalid` with the line, never with its value
 */
export function readEnvFile(path: string): Record<string, string> | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  return Object.fromEntries([...entriesOf(path, text)].map(([name, { value }]) => [name, value]));
}

function readText(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable";
    if (code === "ENOENT") return undefined;
    throw new AparteError("option-invalid", `The file ${path} cannot be read (${code}).`, {
      field: path,
      cause,
    });
  }
  try {
    // UTF-16 without a mark is UTF-8, too: of characters that no such file has.
    if (bytes.includes(0)) throw new TypeError("There is a NUL in it.");
    // It takes off the mark that some editors put before UTF-8.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.replaceAll("\r\n", "\n");
  } catch (cause) {
    const problem = `The file ${path} is not UTF-8 (PowerShell's ">" writes UTF-16). Save it as UTF-8.`;
    throw new AparteError("option-invalid", problem, { field: path, cause });
  }
}

interface Entry {
  readonly value: string;
  readonly line: number;
}

const blank = /^[ \t]*(?:#[^\n\r]*)?(?:\n|$)/;
const start = /^ *(?:export +)?([A-Za-z_][A-Za-z0-9_]*) *=/;
const end = String.raw` *(?:#[^\n\r]*)?(?:\n|$)`;
const values = [
  new RegExp(`^ *"([^"]*)"${end}`),
  new RegExp(`^ *'([^']*)'${end}`),
  new RegExp(`^ *\`([^\`]*)\`${end}`),
  // Without quotes, a comment begins only after a space.
  /^ *([^\n\r\t"'`#“”‘’]*?)(?: *$| *\n| +#[^\n\r]*(?:\n|$))/,
];

/** What the file says, by a grammar in which nothing can be read in two ways. */
function entriesOf(path: string, text: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let rest = text;
  let line = 1;
  const skip = (length: number) => {
    line += rest.slice(0, length).split("\n").length - 1;
    rest = rest.slice(length);
  };
  while (rest !== "") {
    const empty = blank.exec(rest);
    if (empty !== null) {
      skip(empty[0].length);
      continue;
    }
    const [head, name] = start.exec(rest) ?? [];
    if (head === undefined || name === undefined)
      throw wrong(path, line, "is neither NAME=value nor a comment");
    const before = entries.get(name);
    if (before !== undefined)
      throw wrong(path, line, `sets ${name} a second time, after line ${before.line}`);
    const after = rest.slice(head.length);
    const found = values.map((form) => form.exec(after)).find((match) => match !== null);
    if (found === undefined) {
      throw wrong(
        path,
        line,
        `has a "#", a quote or a tab in the value of ${name}. Put the whole value in "…" or '…'`,
      );
    }
    const [whole, value = ""] = found;
    // As in a shell's $'…', and in all readers of such files.
    entries.set(name, {
      value: whole.trimStart().startsWith('"') ? value.replaceAll("\\n", "\n") : value,
      line,
    });
    skip(head.length + whole.length);
  }
  return entries;
}

function wrong(path: string, line: number, problem: string): AparteError {
  return new AparteError("option-invalid", `Line ${line} of ${path} ${problem}.`, { field: path });
}
