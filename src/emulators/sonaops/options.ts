import { optionInvalid, refuseUnknown } from "../../check.ts";
import { type Hostile, isHostile } from "../kit/chance.ts";

/** What `startSonaopsEmulator` takes. */
export interface SonaopsEmulatorOptions {
  /** The port on 127.0.0.1; 0 takes a free one. @default 0 */
  readonly port?: number;
  /** How requests must be signed. @default "B" */
  readonly profile?: "A" | "B";
  /** The agents' ids; `agentId` is the first one. @default one agent with a new id */
  readonly agents?: readonly string[];
  /** Whether conversation ids have hyphens: the pages of the two profiles differ. @default true for B, false for A */
  readonly hyphens?: boolean;
  /** Milliseconds before each word of an answer; 0 streams word by word without waiting. @default 0 */
  readonly wordDelayMs?: number;
  /** The emulator's clock, in Unix milliseconds, by which the age of a signature is judged. @default Date.now */
  readonly now?: () => number;
  /**
   * Makes this share of the requests (from 0 to 1) go wrong, the same ones for the same seed. @default none; share 0.3
   */
  readonly hostile?: Hostile;
}

const names: Record<keyof SonaopsEmulatorOptions, true> = {
  port: true,
  profile: true,
  agents: true,
  hyphens: true,
  wordDelayMs: true,
  hostile: true,
  now: true,
};

/** Checks the options at once, so that a wrong one is told by its name. */
export function checkOptions(options: SonaopsEmulatorOptions): void {
  refuseUnknown(options, Object.keys(names));
  const { port, profile, agents, hyphens, wordDelayMs, hostile, now } = options;
  if (hostile !== undefined && !isHostile(hostile)) {
    throw optionInvalid("hostile", "must be { seed, share } with a whole number and one from 0 to 1");
  }
  if (!isWhole(port, 65_535)) throw optionInvalid("port", "must be a whole number from 0 to 65535");
  if (profile !== undefined && profile !== "A" && profile !== "B") {
    throw optionInvalid("profile", 'must be "A" or "B"');
  }
  const isAgent = (id: unknown): boolean => typeof id === "string" && id.trim() === id && id !== "";
  if (agents !== undefined && !(Array.isArray(agents) && agents.length > 0 && agents.every(isAgent))) {
    throw optionInvalid("agents", "must be a list of at least one agent id");
  }
  if (hyphens !== undefined && typeof hyphens !== "boolean") {
    throw optionInvalid("hyphens", "must be true or false");
  }
  if (!isWhole(wordDelayMs, 60_000)) {
    throw optionInvalid("wordDelayMs", "must be a whole number from 0 to 60000");
  }
  if (now !== undefined && typeof now !== "function") throw optionInvalid("now", "must be a function");
}

function isWhole(value: unknown, max: number): boolean {
  if (value === undefined) return true;
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
}
