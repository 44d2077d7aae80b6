/** The name of those that there are which was most likely meant, if one is near enough. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const close = names
    .map((other) => ({ other, slips: slipsBetween(name.toUpperCase(), other.toUpperCase()) }))
    .filter(
      ({ other, slips }) => slips <= Math.max(2, Math.floor(other.length / 4)) || sharesWords(name, other),
    )
    .sort((one, two) => one.slips - two.slips);
  return close[0]?.other;
}

/** How many characters have to be put in, taken out or replaced to make one of the other (Levenshtein). */
function slipsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (const [index, character] of [...one].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= other.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (character === other[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

/** Whether one is the other with words between: `DISCORD_BOT_TOKEN` for `DISCORD_TOKEN`. */
function sharesWords(one: string, other: string): boolean {
  const [words, others] = [one, other].map((name) => name.toUpperCase().split(/[_-]/));
  if (words === undefined || others === undefined || Math.min(words.length, others.length) < 2) return false;
  return words.every((word) => others.includes(word)) || others.every((word) => words.includes(word));
}
