import { AssertionError } from "node:assert";
import { isDeepStrictEqual } from "node:util";

/** @param call the call that answered, for the message */
export function expectAnswer(call: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const message = `${call} answers ${show(actual)}; expected is ${show(expected)}`;
  throw new AssertionError({ message, actual, expected, operator: "deepStrictEqual" });
}

/** @param claim a whole sentence: what must hold */
export function expectThat(claim: string, holds: boolean): void {
  if (!holds)
    throw new AssertionError({ message: `This does not hold: ${claim}`, actual: holds, expected: true });
}

const shown = 300;

/** A value for people, cut where it is long. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > shown ? `${text.slice(0, shown)}… (${text.length} characters)` : text;
}
