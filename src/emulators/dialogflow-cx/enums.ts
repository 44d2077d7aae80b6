/** The protocol's numbers for the enum values that the emulator sends. */
const numbers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  responseType: { PARTIAL: 1, FINAL: 2 },
  matchType: { INTENT: 1, DIRECT_INTENT: 2, PARAMETER_FILLING: 3, NO_MATCH: 4, NO_INPUT: 5, EVENT: 6 },
};

/** The same value with its enums as numbers: Google's clients ask for that with `$alt=json;enum-encoding=int`. */
export function withNumbers(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, member: unknown) =>
      typeof member === "string" ? (numbers[key]?.[member] ?? member) : member,
    ),
  );
}
