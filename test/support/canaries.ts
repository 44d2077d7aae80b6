import { inspect } from "node:util";

/** Which of these are in a text, by their names. */
export function found(text: string, canaries: Readonly<Record<string, string>>): string[] {
  return Object.entries(canaries).flatMap(([name, canary]) => (text.includes(canary) ? [name] : []));
}

/** All that can be seen of a value, as a debugger or a careless `console.error` shows it. */
export function allOf(value: unknown): string {
  return inspect(value, {
    ...{ depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true },
    ...{ maxArrayLength: null, maxStringLength: null },
  });
}

/** The middle of a PEM file, which no other text has. */
export const keyOf = (pem: string): string => pem.split("\n")[5] ?? pem;
