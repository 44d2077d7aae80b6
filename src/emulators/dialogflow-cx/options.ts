import { createPrivateKey } from "node:crypto";
import { optionInvalid, refuseUnknown } from "../../check.ts";
import { type Hostile, isHostile } from "../kit/chance.ts";

/** What `startDialogflowCxEmulator` takes. */
export interface DialogflowCxEmulatorOptions {
  /** The port; 0 takes a free one. @default 0 */
  readonly port?: number;
  /** @default "aparte-emulator" */
  readonly project?: string;
  /** Where the agent lives. @default "global" */
  readonly location?: string;
  /** @default "7c0f6a3e-0a51-4d0c-9a43-5a1d0a2f4c10" */
  readonly agentId?: string;
  /** The ids of the agent's environments, beside the draft. @default ["production"] */
  readonly environments?: readonly string[];
  /**
   * The service account's RSA key as PKCS#8 PEM. Making one takes some tenths of a second: tests that start many
   * emulators may give them the same. @default a new one
   */
  readonly privateKey?: string;
  /** Turns a minute, of all sessions together; more are refused with RESOURCE_EXHAUSTED. @default no limit */
  readonly requestsPerMinute?: number;
  /** The most characters of a text. @default 500 */
  readonly maxTextLength?: number;
  /** The emulator's clock, in Unix milliseconds. @default Date.now */
  readonly now?: () => number;
  /**
   * Makes this share of the requests (from 0 to 1) go wrong, the same ones for the same seed. @default none; share 0.3
   */
  readonly hostile?: Hostile;
}

export interface Settings {
  readonly port: number;
  readonly project: string;
  readonly location: string;
  readonly agentId: string;
  readonly environments: readonly string[];
  readonly privateKey: string | undefined;
  readonly requestsPerMinute: number;
  readonly maxTextLength: number;
  readonly now: () => number;
}

const known: Record<keyof DialogflowCxEmulatorOptions, true> = {
  port: true,
  project: true,
  location: true,
  agentId: true,
  environments: true,
  privateKey: true,
  requestsPerMinute: true,
  maxTextLength: true,
  hostile: true,
  now: true,
};

export function readOptions(options: DialogflowCxEmulatorOptions): Settings {
  refuseUnknown(options, Object.keys(known));
  const {
    project = "aparte-emulator",
    location = "global",
    agentId = "7c0f6a3e-0a51-4d0c-9a43-5a1d0a2f4c10",
    environments = ["production"],
    privateKey,
    now = Date.now,
  } = options;
  for (const [name, value] of Object.entries({ project, location, agentId })) {
    if (!isId(value)) throw optionInvalid(name, "must be letters, digits, dots and dashes");
  }
  if (!Array.isArray(environments) || !environments.every(isId)) {
    throw optionInvalid("environments", "must be a list of ids");
  }
  if (privateKey !== undefined && !isRsaKey(privateKey)) {
    throw optionInvalid("privateKey", "must be an RSA private key as PKCS#8 PEM");
  }
  if (options.hostile !== undefined && !isHostile(options.hostile)) {
    throw optionInvalid("hostile", "must be { seed, share } with a whole number and one from 0 to 1");
  }
  if (typeof now !== "function") throw optionInvalid("now", "must be a function that returns milliseconds");
  return {
    port: wholeNumber("port", options.port ?? 0, 0, 65_535),
    project,
    location,
    agentId,
    environments,
    privateKey,
    requestsPerMinute: wholeNumber("requestsPerMinute", options.requestsPerMinute ?? 1_000_000_000, 1),
    maxTextLength: wholeNumber("maxTextLength", options.maxTextLength ?? 500, 1),
    now,
  };
}

function isId(value: unknown): boolean {
  return typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(value);
}

function isRsaKey(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    return createPrivateKey(value).asymmetricKeyType === "rsa";
  } catch {
    return false;
  }
}

function wholeNumber(field: string, value: number, min: number, max = 1_000_000_000): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw optionInvalid(field, `must be a whole number from ${min} to ${max}`);
}
