import { createPrivateKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { optionInvalid, refuseUnknown } from "../../check.ts";
import type { EmulatorOptions } from "../emulator.ts";

export interface Check {
  readonly holds: (value: unknown) => boolean;
  /** What it must be, after the words "must be". */
  readonly expected: string;
}

type Checks<Options> = { readonly [Name in keyof Options]-?: Check };

/**
 * Checks the options at once, so that a wrong one is told by its name.
 * @throws {AparteError} `option-invalid` with the option's name.
 */
export function checkOptions<Options extends object>(options: Options, checks: Checks<Options>): void {
  refuseUnknown(options, Object.keys(checks));
  for (const name of Object.keys(options) as (keyof Options & string)[]) {
    const { holds, expected } = checks[name];
    if (options[name] !== undefined && !holds(options[name]))
      throw optionInvalid(name, `must be ${expected}`);
  }
}

export function wholeNumber(min: number, max: number): Check {
  return {
    holds: (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    expected: `a whole number from ${min} to ${max}`,
  };
}

export function oneOf(...values: readonly unknown[]): Check {
  return {
    holds: (value) => values.includes(value),
    expected: values.map((each) => JSON.stringify(each)).join(" or "),
  };
}

/** Milliseconds before each word of an answer. */
export const wordDelay: Check = wholeNumber(0, 60_000);

export const commonChecks: Checks<EmulatorOptions> = {
  port: wholeNumber(0, 65_535),
  now: { holds: (value) => typeof value === "function", expected: "a function that returns milliseconds" },
  hostile: {
    holds(value) {
      if (typeof value !== "object" || value === null) return false;
      const { seed, share = 0 } = value as { seed?: unknown; share?: unknown };
      return Number.isInteger(seed) && typeof share === "number" && share >= 0 && share <= 1;
    },
    expected: "{ seed, share } with a whole number and one from 0 to 1",
  },
};

export const rsaKey: Check = {
  holds(value) {
    if (typeof value !== "string" || !value.includes("BEGIN PRIVATE KEY")) return false;
    try {
      return createPrivateKey(value).asymmetricKeyType === "rsa";
    } catch {
      return false;
    }
  },
  expected: "an RSA private key as PKCS#8 PEM",
};

let processKey: Promise<string> | undefined;

/**
 * An RSA key as PKCS#8 PEM, as the services' consoles hand them out. One for all emulators of a process, since making one
 * takes a tenth of a second: tests start many.
 */
export function rsaKeyOfProcess(): Promise<string> {
  processKey ??= promisify(generateKeyPair)("rsa", { modulusLength: 2048 }).then(({ privateKey }) =>
    privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  return processKey;
}
