import { optionInvalid, refuseUnknown } from "../check.ts";

/** Whether an option has a right value, and what is wrong with another one. */
export type OptionCheck = readonly [isRight: (value: unknown) => boolean, problem: string];

/** True or false. */
export const isFlag: OptionCheck = [(value) => typeof value === "boolean", "must be true or false"];

/** A text that is not empty. */
export const isText: OptionCheck = [
  (value) => typeof value === "string" && value !== "",
  "must be a text that is not empty",
];

/** A number above 0. */
export const isAboveZero: OptionCheck = [
  (value) => Number.isFinite(value) && Number(value) > 0,
  "must be a number above 0",
];

/** Hosts, with the port where there is one. */
export const areHosts: OptionCheck = isListOf([
  isHost,
  'must be a host, e.g. "files.example.com" or "127.0.0.1:8080"',
]);

/**
 * A function.
 * @param shape of it, e.g. `(error) => …`
 */
export function isFunction(shape: string): OptionCheck {
  return [(value) => typeof value === "function", `must be a function: ${shape}`];
}

/**
 * A whole number.
 * @param least the lowest that is right
 */
export function isWhole(least: number): OptionCheck {
  return [
    (value) => Number.isInteger(value) && Number(value) >= least,
    `must be a whole number of at least ${least}`,
  ];
}

/** One of these texts. */
export function isOneOf(...names: readonly string[]): OptionCheck {
  const list = names.map((name) => `"${name}"`).join(", ");
  return [(value) => names.includes(value as string), `must be one of ${list}`];
}

/** A list, of which each is right. */
export function isListOf([isRight, problem]: OptionCheck): OptionCheck {
  return [
    (value) => Array.isArray(value) && value.every(isRight),
    `must be a list, of which each ${problem}`,
  ];
}

/** The same for an option that may be missing. */
export function orNothing([isRight, problem]: OptionCheck): OptionCheck {
  return [(value) => value === undefined || isRight(value), problem];
}

/**
 * An adapter's options as they were given, or by default.
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function checkOptions<Settings extends object>(
  options: object,
  checks: { readonly [Name in keyof Settings]: OptionCheck },
  defaults: Settings,
): Settings {
  refuseUnknown(options, Object.keys(checks));
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings: Settings = { ...defaults, ...Object.fromEntries(given) };
  for (const [name, [isRight, problem]] of Object.entries<OptionCheck>(checks)) {
    if (!isRight(settings[name as keyof Settings])) throw optionInvalid(name, problem);
  }
  return settings;
}

function isHost(host: unknown): boolean {
  if (typeof host !== "string" || !URL.canParse(`https://${host}`)) return false;
  return new URL(`https://${host}`).host === host;
}
