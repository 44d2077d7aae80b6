/** A fence line of a markdown code block: its marker and what follows (the language). */
const fence = /^ {0,3}(`{3,}|~{3,})(.*)$/;

/** The weakest place is last: a paragraph's end is better than a line's, a sentence's, a word's. */
const boundaries = [/\n{2,}/g, /\n/g, /[.!?。！？…]["'”’)\]]*\s+|[。！？]/g, /\s+/g] as const;

/**
 * Cuts a text into parts of at most `limit` units, at paragraphs, lines, sentences or words, in that order.
 * A code fence that is cut is closed and opened again with its language. Nothing is dropped but the white
 * space at the cuts; no surrogate pair is split.
 *
 * @param limit the platform's bound for one message, in units of `size`.
 * @param size how the platform counts; by default UTF-16 code units.
 */
export function cut(
  text: string,
  limit: number,
  size: (text: string) => number = (part) => part.length,
): string[] {
  if (size(text) <= limit) return text.trim() === "" ? [] : [text];
  const parts: string[] = [];
  let rest = text;
  let opener = "";
  while (rest !== "") {
    const whole = opener === "" ? rest : `${opener}\n${rest}`;
    if (size(whole) <= limit) {
      parts.push(whole);
      break;
    }
    const room = roomFor(rest, (part) => size(close(opener, part)) <= limit);
    const end = bestEnd(rest, room, opener);
    const head = rest.slice(0, end);
    parts.push(close(opener, head));
    opener = openFence(opener, head);
    rest = opener === "" ? rest.slice(end).trimStart() : rest.slice(end).replace(/^\n/, "");
  }
  return parts.filter((part) => part.trim() !== "");
}

/** How many code units of `text` fit, never splitting a surrogate pair; at least one character. */
function roomFor(text: string, fits: (part: string) => boolean): number {
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(text.slice(0, middle))) low = middle;
    else high = middle - 1;
  }
  const splitsPair = isHighSurrogate(text, low - 1) && low < text.length;
  const room = splitsPair ? low - 1 : low;
  return room > 0 ? room : isHighSurrogate(text, 0) ? 2 : 1;
}

function isHighSurrogate(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** The last good place to cut at or before `room`; a cut in the first third would waste messages. */
function bestEnd(text: string, room: number, opener: string): number {
  const window = text.slice(0, room);
  for (const boundary of boundaries) {
    let best = -1;
    for (const match of window.matchAll(boundary)) best = match.index + match[0].length;
    if (best > room / 3 && !isFenceLine(window.slice(0, best), opener)) return beforeFenceLine(text, best);
  }
  return beforeFenceLine(text, room);
}

/** `end`, or the start of the fence line that a cut at `end` would tear apart. */
function beforeFenceLine(text: string, end: number): number {
  const start = text.lastIndexOf("\n", end - 1) + 1;
  if (start === 0 || start === end) return end;
  const next = text.indexOf("\n", end);
  return fence.test(text.slice(start, next === -1 ? undefined : next)) ? start : end;
}

/** Whether a part would end right behind an opening fence, which would leave an empty code block. */
function isFenceLine(head: string, opener: string): boolean {
  const lastLine = head.trimEnd().split("\n").at(-1) ?? "";
  return fence.test(lastLine) && openFence(opener, head) !== "";
}

/** The fence that is open at the end of `part`, given the one that was open before it; "" for none. */
function openFence(opener: string, part: string): string {
  let open = opener;
  for (const line of part.split("\n")) {
    const match = fence.exec(line);
    if (match === null) continue;
    const [, marker = "", info = ""] = match;
    if (open === "") open = line.trim();
    else if (
      open.startsWith(marker.slice(0, 3)) &&
      info.trim() === "" &&
      marker.length >= markerLength(open)
    ) {
      open = "";
    }
  }
  return open;
}

function markerLength(opener: string): number {
  return fence.exec(opener)?.[1]?.length ?? 0;
}

/** A part as it is sent: with the fence that was open before it, and closed if one is open at its end. */
function close(opener: string, part: string): string {
  const text = part.trimEnd();
  const start = opener === "" ? text : `${opener}\n${text}`;
  const open = openFence(opener, part);
  return open === "" ? start : `${start}\n${open.slice(0, markerLength(open))}`;
}
