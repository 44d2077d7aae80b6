import { inspect } from "node:util";

/** Where aparte tells the operator. Fields hold codes, ids of our own and counts; never words, tokens or keys. */
export interface Logger {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** The default: warnings and errors to the console. */
export const consoleLogger: Logger = {
  info: () => {},
  warn: (message, fields) => console.warn(lineOf(message, fields)),
  error: (message, fields) => console.error(lineOf(message, fields)),
};

/** With the causes of causes, where the reason is found. */
function lineOf(message: string, fields?: Record<string, unknown>): string {
  const told =
    fields === undefined
      ? ""
      : ` ${inspect(fields, { depth: 10, compact: true, breakLength: Number.POSITIVE_INFINITY })}`;
  return `aparte: ${message}${told}`;
}

/** What may be logged of an error: our own message; of foreign errors only the class and code. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  if ("reference" in error) return { ...code, message: error.message, reference: error.reference, ...cause };
  return { error: error.name, ...code, ...cause };
}
