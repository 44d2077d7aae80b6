/** The longest label of a link that is looked at, in characters. */
const labelLength = 500;

/** What people see nothing of, and what only decorates. */
const unseen = /[\u00ad\u200b-\u200f\u2060\ufeff*_~`|\\\s]/g;

const address = /(https?:\/\/|www\.)?((?:[\p{L}\p{N}-]+\.)+(\p{L}{2,}))/giu;

/** Names of files and programs look like addresses, too. */
const fileEnding =
  /^(?:[jt]sx?|json|md|py|rs|go|rb|sh|java|cpp|html?|css|ya?ml|toml|txt|sql|xml|csv|pdf|png|jpe?g|docx?|xlsx?)$/i;

/**
 * Parts links whose label is another address than the one that they lead to: Discord then shows both. An agent could
 * be talked into `[https://your-bank.com](https://thief.com)`. Code is left as it is.
 */
export function discloseLinks(text: string): string {
  if (!text.includes("](")) return text;
  const codes = codeSpans(text);
  let code = 0;
  return text.replace(
    /\]\((\s*<?\s*)(https?:\/\/[^\s<>)]*)/gi,
    (link, gap: string, url: string, at: number) => {
      while ((codes[code]?.end ?? Number.POSITIVE_INFINITY) <= at) code += 1;
      const isCode = (codes[code]?.start ?? Number.POSITIVE_INFINITY) < at;
      return isCode || !isMisleading(labelBefore(text, at), url) ? link : `] (${gap}${url}`;
    },
  );
}

function isMisleading(label: string, url: string): boolean {
  const leadsTo = withoutWww(URL.canParse(url) ? new URL(url).hostname : "");
  const named = label.normalize("NFKC").replace(unseen, "").matchAll(address);
  return [...named].some(([, prefix, host = "", ending = ""]) => {
    const isFile = prefix === undefined && fileEnding.test(ending);
    return !isFile && withoutWww(host.toLowerCase()) !== leadsTo;
  });
}

function withoutWww(host: string): string {
  return host.replace(/^www\./, "");
}

/** What stands between the brackets that close at a place; "" where none is open. */
function labelBefore(text: string, end: number): string {
  let depth = 1;
  for (let at = end - 1; at >= 0 && end - at <= labelLength; at -= 1) {
    if (text[at] === "]") depth += 1;
    if (text[at] === "[") depth -= 1;
    if (depth === 0) return text.slice(at + 1, end);
  }
  return "";
}

/** Code, as Discord reads it: from a run of backticks to the next one that is as long. In time that grows with the text. */
function codeSpans(text: string): { readonly start: number; readonly end: number }[] {
  const runs = [...text.matchAll(/`+/g)].map(({ index, 0: { length } }) => ({ index, length }));
  const nextOfLength = new Map<number, number>();
  const closers = new Array<number | undefined>(runs.length);
  for (let run = runs.length - 1; run >= 0; run -= 1) {
    const length = runs[run]?.length ?? 0;
    closers[run] = nextOfLength.get(length);
    nextOfLength.set(length, run);
  }
  const spans: { start: number; end: number }[] = [];
  for (let run = 0; run < runs.length; run += 1) {
    const [opener, closer] = [runs[run], runs[closers[run] ?? -1]];
    if (opener === undefined || closer === undefined) continue;
    spans.push({ start: opener.index, end: closer.index + closer.length });
    run = closers[run] ?? run;
  }
  return spans;
}
