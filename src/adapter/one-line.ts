/**
 * A text in one line, for titles and labels that a platform bounds. Of one that is longer the beginning, with an ellipsis;
 * no character is split.
 * @param most how long it may be, in UTF-16 code units: no platform counts fewer
 */
export function oneLine(text: string, most: number): string {
  const line = text.trim().replace(/\s+/g, " ");
  if (line.length <= most) return line;
  let short = "";
  for (const character of line) {
    if (short.length + character.length >= most) break;
    short += character;
  }
  return `${short.trimEnd()}…`;
}
