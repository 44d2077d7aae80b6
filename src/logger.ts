import { inspect } from "node:util";

/** Where aparte tells the operator. Fields hold codes, ids of our own and counts; never words, tokens or keys. */
export interface Logger {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** A logger that takes the fields first, as pino's do: it is known by its `bindings`. */
export interface FieldsFirstLogger {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
  bindings(): object;
}

/**
 * A logger of either order, as one that takes the message first. What it throws is told on the console: a turn that is
 * about to tell its person what failed must not fail over its log line.
 */
export function messageFirst(logger: Logger | FieldsFirstLogger): Logger {
  if (logger === consoleLogger) return consoleLogger;
  const tell = (level: keyof Logger) => (message: string, fields?: Record<string, unknown>) => {
    try {
      if ("bindings" in logger) logger[level](fields ?? {}, message);
      else if (fields === undefined) logger[level](message);
      else logger[level](message, fields);
    } catch (error) {
      consoleLogger.error("the option logger failed", describeError(error));
    }
  };
  return { info: tell("info"), warn: tell("warn"), error: tell("error") };
}

/** The default: the console. */
export const consoleLogger: Logger = {
  info: (message, fields) => console.info(lineOf(message, fields)),
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

/**
 * What may be logged of an error: our own message; of foreign errors only the class and code. What the app's own code
 * failed with is the app's to see: its message and stack are told.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const code: { code?: string } =
    "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  const ofTheApp =
    code.code === "hook-failed" && error.cause instanceof Error ? { stack: error.cause.stack } : {};
  const cause = error.cause === undefined ? {} : { cause: { ...describeError(error.cause), ...ofTheApp } };
  if ("reference" in error) return { ...code, message: error.message, reference: error.reference, ...cause };
  return { error: error.name, ...code, ...cause };
}
