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

type Row = readonly [check: OptionCheck, byDefault?: unknown];

/** How each option is checked, and what it is by default; one without a default may be missing. */
export type OptionTable<Settings> = {
  readonly [Name in keyof Settings]: undefined extends Settings[Name]
    ? readonly [OptionCheck]
    : readonly [OptionCheck, Settings[Name]];
};

/**
 * An adapter's options as they were given, or by default.
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function checkOptions<Settings extends object>(
  options: object,
  table: OptionTable<Settings>,
): Settings {
  refuseUnknown(options, Object.keys(table));
  const given: { readonly [name: string]: unknown } = { ...options };
  const settings: { [name: string]: unknown } = {};
  for (const [name, [[isRight, problem], byDefault]] of Object.entries<Row>(table)) {
    const value = given[name];
    if (value !== undefined && !isRight(value)) throw optionInvalid(name, problem);
    settings[name] = value === undefined ? byDefault : value;
  }
  return settings as Settings;
}

function isHost(host: unknown): boolean {
  if (typeof host !== "string" || !URL.canParse(`https://${host}`)) return false;
  return new URL(`https://${host}`).host === host;
}
