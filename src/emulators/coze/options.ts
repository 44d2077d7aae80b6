import { createPrivateKey } from "node:crypto";
import { AparteError } from "../../errors.ts";
import { type Hostile, isHostile } from "../kit/chance.ts";

/** A bot of the emulated Coze. */
export interface CozeBot {
  /** Decimal digits. Without it the emulator makes one up (and keeps it, with `persist`). */
  readonly id?: string;
  /** Whether it is published to the API channel; chats with others are refused with 4015. @default true */
  readonly published?: boolean;
}

/** What `startCozeEmulator` takes. */
export interface CozeEmulatorOptions {
  /** The port; 0 takes a free one. @default 0 */
  readonly port?: number;
  /** A loopback host: `127.…`, `::1` or `localhost`. @default "127.0.0.1" */
  readonly host?: string;
  /**
   * A SQLite file (made when missing, readable by its owner alone) that keeps keys, bots, tokens, conversations,
   * messages, chats and files over restarts. Needs the package `libsql`. Without it all is gone with the emulator.
   */
  readonly persist?: string;
  /** The bots of the account; `botId` is the first one. @default one published bot */
  readonly bots?: readonly CozeBot[];
  /**
   * The OAuth app's RSA key as PKCS#8 PEM. Making one takes some tenths of a second: tests that start many emulators
   * may give them the same.
   * @default the kept one, else a new one
   */
  readonly privateKey?: string;
  /** No token lives longer than this many seconds, whatever is asked for. @default 86399 */
  readonly tokenTtlSeconds?: number;
  /** Milliseconds before each word of an answer; 0 streams word by word without waiting. @default 0 */
  readonly wordDelayMs?: number;
  /** The largest upload, in bytes. @default 536870912 (512 MiB) */
  readonly maxFileBytes?: number;
  /**
   * Whose `aud` the token endpoint takes: `api.coze.cn` or `api.coze.com`. Its own host is always taken.
   * @default both regions
   */
  readonly region?: "cn" | "com";
  /**
   * Makes this share of the requests (from 0 to 1) go wrong, the same ones for the same seed: connections reset at
   * any byte, torn events, answers of gateways, refusals. @default none; share 0.3
   */
  readonly hostile?: Hostile;
  /** The emulator's clock, in Unix milliseconds; for tests of expiry and of clocks that differ. @default Date.now */
  readonly now?: () => number;
}

/** The options with their defaults. */
export interface ReadOptions {
  readonly port: number;
  readonly host: string;
  readonly persist: string | undefined;
  readonly bots: readonly CozeBot[];
  readonly privateKey: string | undefined;
  readonly tokenTtlSeconds: number;
  readonly wordDelayMs: number;
  readonly maxFileBytes: number;
  readonly region: "cn" | "com" | undefined;
  readonly hostile: Hostile | undefined;
  readonly now: () => number;
}

type Check = { readonly holds: (value: unknown) => boolean; readonly expected: string };

const integer = (min: number, max: number): Check => ({
  holds: (value) => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max,
  expected: `an integer from ${min} to ${max}`,
});

const checks: { readonly [Name in keyof CozeEmulatorOptions]-?: Check } = {
  port: integer(0, 65_535),
  host: {
    holds: (value) => typeof value === "string" && /^(127(\.\d{1,3}){3}|::1|localhost)$/.test(value),
    expected: "a loopback host, e.g. 127.0.0.1",
  },
  persist: {
    holds: (value) => typeof value === "string" && value !== "",
    expected: "the path of a file",
  },
  bots: {
    holds: (value) => Array.isArray(value) && value.length > 0 && value.every(isBot),
    expected: "a list of at least one { id?: digits, published?: boolean }, each id once",
  },
  privateKey: { holds: isRsaKey, expected: "an RSA private key as PKCS#8 PEM" },
  tokenTtlSeconds: integer(1, 86_399),
  wordDelayMs: integer(0, 60_000),
  maxFileBytes: integer(1, 2 ** 40),
  region: { holds: (value) => value === "cn" || value === "com", expected: '"cn" or "com"' },
  hostile: { holds: isHostile, expected: "{ seed, share } with a whole number and one from 0 to 1" },
  now: { holds: (value) => typeof value === "function", expected: "a function that returns milliseconds" },
};

/** Checks the options at once, so that a wrong one is told by its name. */
export function readOptions(options: CozeEmulatorOptions): ReadOptions {
  for (const [name, value] of Object.entries(options)) {
    const check: Check | undefined = Object.hasOwn(checks, name)
      ? checks[name as keyof CozeEmulatorOptions]
      : undefined;
    if (check === undefined) {
      const names = Object.keys(checks).join(", ");
      throw new AparteError(
        "option-invalid",
        `\`${name}\` is no option of the Coze emulator. Known: ${names}.`,
        {
          field: name,
        },
      );
    }
    if (value !== undefined && !check.holds(value)) {
      throw new AparteError("option-invalid", `\`${name}\` must be ${check.expected}.`, { field: name });
    }
  }
  return {
    port: options.port ?? 0,
    host: options.host ?? "127.0.0.1",
    persist: options.persist,
    bots: options.bots ?? [{}],
    privateKey: options.privateKey,
    tokenTtlSeconds: options.tokenTtlSeconds ?? 86_399,
    wordDelayMs: options.wordDelayMs ?? 0,
    maxFileBytes: options.maxFileBytes ?? 512 * 1024 * 1024,
    region: options.region,
    hostile: options.hostile,
    now: options.now ?? Date.now,
  };
}

function isRsaKey(value: unknown): boolean {
  if (typeof value !== "string" || !value.includes("BEGIN PRIVATE KEY")) return false;
  try {
    return createPrivateKey(value).asymmetricKeyType === "rsa";
  } catch {
    return false;
  }
}

function isBot(value: unknown, index: number, all: readonly unknown[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, published } = value as { id?: unknown; published?: unknown };
  if (published !== undefined && typeof published !== "boolean") return false;
  if (id === undefined) return true;
  if (typeof id !== "string" || !/^\d{1,19}$/.test(id)) return false;
  return all.findIndex((other) => (other as { id?: unknown } | null)?.id === id) === index;
}
