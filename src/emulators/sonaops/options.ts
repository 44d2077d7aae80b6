import type { EmulatorOptions } from "../emulator.ts";
import { checkOptions, commonChecks, oneOf, wordDelay } from "../kit/options.ts";

/** What `startSonaopsEmulator` takes. */
export interface SonaopsEmulatorOptions extends EmulatorOptions {
  /** How requests must be signed. @default "B" */
  readonly profile?: "A" | "B";
  /** The agents' ids; `agentId` is the first one. @default one agent with a new id */
  readonly agents?: readonly string[];
  /** Milliseconds before each word of an answer; 0 streams word by word without waiting. @default 0 */
  readonly wordDelayMs?: number;
}

/** Checks the options at once, so that a wrong one is told by its name. */
export function readOptions(options: SonaopsEmulatorOptions): SonaopsEmulatorOptions {
  const isAgent = (id: unknown): boolean => typeof id === "string" && id.trim() === id && id !== "";
  checkOptions(options, {
    ...commonChecks,
    profile: oneOf("A", "B"),
    agents: {
      holds: (value) => Array.isArray(value) && value.length > 0 && value.every(isAgent),
      expected: "a list of at least one agent id",
    },
    wordDelayMs: wordDelay,
  });
  return options;
}
