/** A fence of a markdown code block that is open: its marker, and the first word behind it, which is the language. */
export interface Fence {
  readonly marker: string;
  readonly language: string;
}

/** At most three spaces and a marker. Behind backticks there are no others: those are code in the middle of text. */
const fenceLine = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)/s;

/** The fence that is open behind `line`, by the rules of CommonMark, given the one that was open before it. */
export function fenceAfter(line: string, open: Fence | undefined): Fence | undefined {
  const match = fenceLine.exec(line);
  if (match === null) return open;
  const [, marker = "", info = ""] = match;
  if (open === undefined) return { marker, language: info.trim().replace(/\s.*/s, "") };
  return marker.startsWith(open.marker) && info.trim() === "" ? undefined : open;
}
