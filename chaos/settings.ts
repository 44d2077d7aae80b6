import { parseArgs } from "node:util";

export interface Settings {
  readonly store: "redis" | "sqlite";
  /** How long people talk and faults happen, in milliseconds. */
  readonly runMs: number;
  readonly processes: number;
  readonly seed: number;
  /** How many people talk at the same time. */
  readonly talkers: number;
  /** How long nothing may move at the end while something is not answered yet, in milliseconds. */
  readonly settleMs: number;
}

/** The bots' lease, in milliseconds. */
export const leaseMs = 3_000;

/** @throws {Error} that names the option which is wrong */
export function readSettings(args: readonly string[]): Settings {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { store: text, minutes: text, processes: text, seed: text, talkers: text, settle: text },
  });
  const { store = "redis" } = values;
  if (store !== "redis" && store !== "sqlite") throw new Error('--store must be "redis" or "sqlite".');
  const number = (name: Exclude<keyof typeof values, "store">, otherwise: number) => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name} must be a number above 0.`);
    return value;
  };
  return {
    store,
    runMs: number("minutes", 10) * 60_000,
    processes: Math.ceil(number("processes", 4)),
    seed: Math.floor(number("seed", 1 + Math.floor(Math.random() * 1_000_000))),
    talkers: Math.ceil(number("talkers", 24)),
    settleMs: number("settle", 120) * 1_000,
  };
}
