import { type Fence, fenceAfter } from "./fence.ts";

/** The weakest place is last: a paragraph's end is better than a line's, a sentence's, a word's. */
const boundaries = [/\n\s*\n/g, /\n/g, /[.!?。！？…]["'”’)\]]*\s+|[。！？]/g, /\s+/g] as const;

/** A markdown link or image. */
const link = /!?\[[^[\]]*\]\([^\s()]*(?:\([^\s()]*\)[^\s()]*)*\)/y;

/** Where the next part begins: at which character, what the next untouched line is, and which fence is open there. */
interface Place {
  readonly start: number;
  readonly line: number;
  readonly fence: Fence | undefined;
}

/**
 * Cuts a text into parts of at most `limit` units, at paragraphs, lines, sentences or words, in that order.
 * A code fence that is cut is closed and opened again with its language; one whose marker takes more than an eighth
 * of a part is text like any other. A link is cut only where it takes half a part. Nothing is dropped but the white space at the cuts; no surrogate pair is split.
 * A text of n units makes at most 2n/limit + 2 parts, in time that grows with n.
 *
 * @param limit the platform's bound for one message, in units of `size`. A single character may be longer.
 * @param size how the platform counts; by default UTF-16 code units. Two texts together count as their sum.
 */
export function cut(
  text: string,
  limit: number,
  size: (text: string) => number = (part) => part.length,
): string[] {
  if (size(text) <= limit) return text.trim() === "" ? [] : [text];
  const length = text.trimEnd().length;
  const parts: string[] = [];
  let place = skipBlankLines({ start: 0, line: 0, fence: undefined });
  while (place.start < length) {
    const head = opening(place.fence);
    const end = partEnd(place, head);
    const part = text.slice(place.start, end).trimEnd();
    // Indentation alone may be longer than a part.
    if (part !== "") parts.push(end === length ? head + part : closed(head + part));
    place = skipClosing(skipBlankLines({ ...passLines(place, end), start: end }));
  }
  return parts;

  /** The end of the part that begins at a place, behind the line that opens its fence again. */
  function partEnd(place: Place, head: string): number {
    const { start } = place;
    const whole = lastFitting(start, limit - size(head));
    if (whole === length) return whole;
    const room = lastFitting(start, limit - size(head) - closingSize(head + text.slice(start, whole)));
    const window = text.slice(start, room);
    for (const boundary of boundaries) {
      const last = [...window.matchAll(boundary)].at(-1);
      if (last === undefined) continue;
      const end = wholeEnd(place, start + last.index + last[0].length);
      if (end !== undefined) return end;
    }
    return wholeEnd(place, room) ?? room;
  }

  /** `end`, or a place before it where a cut tears less; undefined where the part would be too short. */
  function wholeEnd(place: Place, end: number): number | undefined {
    const { start } = place;
    return [beforeLink(start, end), end]
      .map((one) => beforeFenceLine(place, one))
      .find((one) => isHalf(start, one));
  }

  /** `end`, or the start of the link that a cut there would tear. */
  function beforeLink(start: number, end: number): number {
    const bracket = start + text.slice(start, end).lastIndexOf("[");
    link.lastIndex = text[bracket - 1] === "!" ? bracket - 1 : bracket;
    const first = link.lastIndex;
    return link.test(text) && link.lastIndex > end ? first : end;
  }

  /** Whether a part is long enough for few parts in all: two of them have more than one could hold. */
  function isHalf(start: number, end: number): boolean {
    return 2 * size(text.slice(start, end)) >= limit;
  }

  /** The last end at which the text from `start` fits, white space at the end apart; at least one character on. */
  function lastFitting(start: number, room: number): number {
    const fits = (end: number) => size(text.slice(start, end).trimEnd()) <= room;
    let high = start + 1;
    // The step doubles, so that the work depends on what fits and not on how much text is left.
    while (high < length && fits(high)) high += high - start;
    high = Math.min(high, length);
    let low = start;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (fits(middle)) low = middle;
      else high = middle - 1;
    }
    const first = start + (isPair(start) ? 2 : 1);
    return Math.max(first, isPair(low - 1) ? low - 1 : low);
  }

  function isPair(index: number): boolean {
    return Number(text.codePointAt(index)) > 0xffff;
  }

  /** `end`, or the start of the fence line that a cut there would tear or have as its last: the block is empty or over. */
  function beforeFenceLine(place: Place, end: number): number {
    const part = text.slice(place.start, end).trimEnd();
    const line = place.start + part.lastIndexOf("\n") + 1;
    if (line < place.line) return end;
    const { fence } = passLines(place, line);
    return nextFence(line, fence) === fence ? end : line;
  }

  /** The line and the fence after all lines that begin before `end`. A line is passed once a part has its first character. */
  function passLines({ line, fence }: Pick<Place, "line" | "fence">, end: number): Omit<Place, "start"> {
    let next = line;
    let open = fence;
    for (; next < end; next = lineEnd(next) + 1) open = nextFence(next, open);
    return { line: next, fence: open };
  }

  /** Drops blank lines at a cut, but no indentation: that has a meaning in lists and in code. */
  function skipBlankLines(place: Place): Place {
    const blankLines = /(?:\s*\n)?/y;
    blankLines.lastIndex = Math.min(place.start, text.length); // Behind the end it would begin anew.
    blankLines.test(text);
    const start = blankLines.lastIndex;
    return { ...passLines(place, start), start };
  }

  /** Drops the line that closes the fence if a part begins with it: the part before has been closed. */
  function skipClosing(place: Place): Place {
    const { line, start, fence } = place;
    if (fence === undefined || line !== start || nextFence(line, fence) !== undefined) return place;
    const next = lineEnd(line) + 1;
    return skipBlankLines({ line: next, start: next, fence: undefined });
  }

  function lineEnd(line: number): number {
    const end = text.indexOf("\n", line);
    return end === -1 ? text.length : end;
  }

  /** The fence that is open behind the line that begins at `line`. */
  function nextFence(line: number, open: Fence | undefined): Fence | undefined {
    return shortFenceAfter(text.slice(line, lineEnd(line)), open);
  }

  function shortFenceAfter(line: string, open: Fence | undefined): Fence | undefined {
    const fence = fenceAfter(line, open);
    return fence === undefined || isShort(fence.marker) ? fence : open;
  }

  function isShort(marker: string): boolean {
    return 8 * size(`\n${marker}`) <= limit;
  }

  /** The line that opens a fence again: without its language if both lines would take more than a quarter of a part. */
  function opening(fence: Fence | undefined): string {
    if (fence === undefined) return "";
    const { marker, language } = fence;
    const line = `${marker}${language}\n`;
    return 4 * size(`${line}\n${marker}`) <= limit ? line : `${marker}\n`;
  }

  /** A part with the fence closed that is open at its end. */
  function closed(part: string): string {
    let open: Fence | undefined;
    for (const line of part.split("\n")) open = shortFenceAfter(line, open);
    return open === undefined ? part : `${part}\n${open.marker}`;
  }

  /** What closing takes at most, wherever the part ends: within a marker too, which leaves one that is short enough. */
  function closingSize(part: string): number {
    let most = 0;
    for (const [, marker = ""] of part.matchAll(/^ {0,3}(`{3,}|~{3,})/gm)) {
      if (isShort(marker.slice(0, 3))) most = Math.max(most, Math.min(size(`\n${marker}`), limit / 8));
    }
    return most;
  }
}
