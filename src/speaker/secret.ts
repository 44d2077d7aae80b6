/** Makes a secret that nobody can guess. */
export const secretCommand = `node -p "require('crypto').randomBytes(32).toString('base64url')"`;

/** The fewest bits of chance that a key may have: those of sixteen letters and digits that were drawn at random. */
const fewestBits = 95;

/** Words that people choose, and that those who guess try first. */
const words =
  /aparte|pass(?:word|wort|phrase|w)?|secret|geheim|change[-_ ]?(?:me|it|this)|admin|default|example|welcome|letmein|qwert[yz](?:uiop)?|asdf(?:gh)?|your|token|test(?:ing)?|dev(?:elopment)?|prod(?:uction)?|hello|world|master|access|login|key/gi;

/** What is wrong with a secret, if something is: it is too short, or too easy to guess. */
export function secretProblem(secret: string): string | undefined {
  if (secret.length < 16) return "too short: at least 16 characters";
  if (bitsOf(secret) < fewestBits) return "too easy to guess";
  return undefined;
}

/** How many bits of chance a text has at most: each character counts as one of its kind unless the text foretells it. */
function bitsOf(text: string): number {
  const unforeseen = unforeseenOf(text.replace(words, (word) => word.slice(0, 2)));
  return unforeseen * Math.log2(alphabetOf(text));
}

/** From how many characters on a row or a repetition is no chance. */
const foretold = 5;

/** How many of a text's characters do not follow from those before: as a repetition, or as the next in a row. */
function unforeseenOf(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; ) {
    const length = Math.max(rowAt(text, at), repetitionAt(text, at));
    count += length >= foretold ? 2 : 1;
    at += length >= foretold ? length : 1;
  }
  return count;
}

/** How long a row such as `1111`, `4567` or `dcba` is. */
function rowAt(text: string, at: number): number {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at);
  if (!(Math.abs(step) <= 1)) return 1;
  let end = at + 1;
  while (text.charCodeAt(end) - text.charCodeAt(end - 1) === step) end += 1;
  return end - at;
}

/** How long a piece begins here that stood before, or of which what stood before is repeated. */
function repetitionAt(text: string, at: number): number {
  let longest = 0;
  for (let from = 0; from < at; from++) {
    let length = 0;
    while (at + length < text.length && text[from + length] === text[at + length]) length += 1;
    longest = Math.max(longest, length);
  }
  return longest;
}

function alphabetOf(text: string): number {
  if (/^[0-9]+$/.test(text)) return 10;
  if (/^[0-9a-f]+$/i.test(text)) return 16;
  const kinds: [RegExp, number][] = [
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[0-9]/, 10],
    [/[^a-zA-Z0-9]/, 33],
  ];
  return kinds.reduce((size, [kind, more]) => size + (kind.test(text) ? more : 0), 0);
}
