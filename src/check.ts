import { AparteError } from "./errors.ts";

/** An option is wrong: the error names it. */
export function optionInvalid(field: string, problem: string, cause?: unknown): AparteError {
  return new AparteError("option-invalid", `Option "${field}" ${problem}.`, { field, cause });
}

/**
 * Refuses option names that do not exist, so that a slip of the pen is found at start.
 * @param prefix stands before the name in the error's field, e.g. `"coze."`.
 */
export function refuseUnknown(options: object, known: readonly string[], prefix = ""): void {
  if (typeof options !== "object" || options === null) {
    throw optionInvalid(prefix === "" ? "options" : prefix.slice(0, -1), "must be an object");
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw optionInvalid(`${prefix}${name}`, `does not exist. There are: ${known.join(", ")}`);
    }
  }
}

/** @throws {AparteError} `option-invalid` unless it is a text with something in it. */
export function checkText(field: string, value: unknown): void {
  if (typeof value !== "string" || value.trim() === "") {
    throw optionInvalid(field, "must be a string and not empty");
  }
}

/** Longer timers, in milliseconds, fire at once. */
export const longestTimer = 2_147_483_647;

/** @throws {AparteError} `option-invalid` unless it is a time that a timer can wait. */
export function milliseconds(field: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isFinite(value) || value <= 0 || value > longestTimer) {
    throw optionInvalid(field, "must be a number of milliseconds above 0");
  }
  return value;
}

/** A span of time: `"90d"`, `"24h"`, `"30m"`, `"10s"`, or a number of milliseconds. */
export type Duration = number | `${number}${"d" | "h" | "m" | "s"}`;

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };

/**
 * @returns milliseconds
 * @throws {AparteError} `option-invalid` unless it is a span above 0
 */
export function duration(field: string, value: Duration): number {
  const [, count = "", unit] = /^([1-9]\d{0,8})([dhms])$/.exec(String(value)) ?? [];
  const ms = unit === undefined ? value : Number(count) * units[unit as keyof typeof units];
  if (typeof ms === "number" && Number.isFinite(ms) && ms > 0) return ms;
  throw optionInvalid(field, 'must be a span of time such as "90d", "24h", "30m" or "10s", or milliseconds');
}

/**
 * The address of a service, without a slash at its end.
 * @param example of such an address
 * @throws {AparteError} `option-invalid`
 */
export function readBaseURL(baseURL: unknown, example: string): string {
  const url = typeof baseURL === "string" && URL.canParse(baseURL) ? new URL(baseURL) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw optionInvalid("baseURL", `must be an http or https address such as "${example}"`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw optionInvalid("baseURL", "must be an address alone, without a user name, a query or a fragment");
  }
  return url.href.replace(/\/+$/, "");
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
