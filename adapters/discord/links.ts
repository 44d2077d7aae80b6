/** The longest label of a link that is looked at, in characters. */
const labelLength = 500;

/** What people see nothing of, and what only decorates. */
const unseen = /[\p{Default_Ignorable_Code_Point}\p{Format}*_~`|\\\s]/gu;

const address = /(https?:\/\/|www\.)?((?:[\p{L}\p{N}-]+\.)+(\p{L}{2,}|\d+))/giu;

/** Names of files and programs, and versions, look like addresses, too. */
const fileEnding =
  /^(?:\d+|[jt]sx?|json|md|py|rs|go|rb|sh|java|cpp|html?|css|ya?ml|toml|txt|sql|xml|csv|pdf|png|jpe?g|docx?|xlsx?)$/i;

/**
 * Parts links whose label is another address than the one that they lead to: Discord then shows both. An agent could
 * be talked into `[https://your-bank.com](https://thief.com)`. Code is left as it is.
 */
export function discloseLinks(text: string): string {
  if (!text.includes("](")) return text;
  const codes = codeSpans(text);
  let code = 0;
  return text.replace(/\]\((\s*<?\s*)(https?:[^\s)]*)/gi, (link, gap: string, url: string, at: number) => {
    while ((codes[code]?.end ?? Number.POSITIVE_INFINITY) <= at) code += 1;
    const isCode = (codes[code]?.start ?? Number.POSITIVE_INFINITY) < at;
    return isCode || !isMisleading(labelBefore(text, at), url) ? link : `] (${gap}${url}`;
  });
}

function isMisleading(label: string | undefined, url: string): boolean {
  if (label === undefined) return true;
  // As Discord reads it: `\@` is an `@`.
  const leadsTo = hostOf(url.replace(/\\([^\p{L}\p{N}\s])/gu, "$1").replace(/>$/, ""));
  const named = label.normalize("NFKC").replace(unseen, "").matchAll(address);
  return [...named].some(([, prefix, host = "", ending = ""]) => {
    const isFile = prefix === undefined && fileEnding.test(ending);
    return !isFile && hostOf(`https://${host}`) !== leadsTo;
  });
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^www\./, "") : "";
}

/** What stands between the brackets that close at a place, or may; "" where none is open, undefined where it is too long. */
function labelBefore(text: string, end: number): string | undefined {
  const from = Math.max(0, end - labelLength);
  let depth = 1;
  for (let at = end - 1; at >= from; at -= 1) {
    if (text[at] === "]") depth += 1;
    if (text[at] === "[") depth -= 1;
    if (depth === 0) return text.slice(at + 1, end);
  }
  if (from > 0) return undefined;
  // Discord takes a bracket that closes within a label for a part of it.
  const first = text.indexOf("[");
  return first === -1 ? "" : text.slice(first, end);
}

/** Code, as Discord reads it: from a run of backticks to the next one that is as long. In time that grows with the text. */
function codeSpans(text: string): { readonly start: number; readonly end: number }[] {
  const runs: Run[] = [...text.matchAll(/(\\*)(`+)/g)].map(({ index, 1: slashes = "", 2: ticks = "" }) => ({
    start: index + slashes.length,
    end: index + slashes.length + ticks.length,
    length: ticks.length,
    // A backslash takes the first one out, but not within code.
    opens: ticks.length - (slashes.length % 2),
  }));
  const nextOfLength = new Map<number, Run>();
  const closers = new Map<Run, Run | undefined>();
  for (const run of runs.toReversed()) {
    closers.set(run, nextOfLength.get(run.opens));
    nextOfLength.set(run.length, run);
  }
  const spans: { start: number; end: number }[] = [];
  let end = 0;
  for (const run of runs) {
    const closer = closers.get(run);
    if (run.start < end || closer === undefined) continue;
    end = closer.end;
    spans.push({ start: run.start, end });
  }
  return spans;
}

/** Backticks in a row. */
interface Run {
  readonly start: number;
  readonly end: number;
  readonly length: number;
  /** How many of them open code. */
  readonly opens: number;
}
