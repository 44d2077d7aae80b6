import type { EmulatorOptions } from "../emulator.ts";
import { checkOptions, commonChecks, oneOf, rsaKey, wholeNumber, wordDelay } from "../kit/options.ts";

/** A bot of the emulated Coze. */
export interface CozeBot {
  /** Decimal digits. Without it the emulator makes one up (and keeps it, with `persist`). */
  readonly id?: string;
  /** Whether it is published to the API channel; chats with others are refused with 4015. @default true */
  readonly published?: boolean;
}

/** What `startCozeEmulator` takes. */
export interface CozeEmulatorOptions extends EmulatorOptions {
  /**
   * A SQLite file (made when missing, readable by its owner alone) that keeps keys, bots, tokens, conversations,
   * messages, chats and files over restarts. Needs the package `libsql`. Without it all is gone with the emulator.
   */
  readonly persist?: string;
  /** The bots of the account; `botId` is the first one. @default one published bot */
  readonly bots?: readonly CozeBot[];
  /** The ids of the published chatflows, which answer as the bots do. @default none */
  readonly workflows?: readonly string[];
  /**
   * The application's RSA key as PKCS#8 PEM.
   * @default the kept one, else one that all emulators of this process share
   */
  readonly privateKey?: string;
  /** How many chats the account may begin in a second: others get HTTP 429 with code 4013. @default as many as come */
  readonly qps?: number;
  /** Milliseconds before each word of an answer; 0 streams word by word without waiting. @default 0 */
  readonly wordDelayMs?: number;
  /**
   * Whose `aud` the token endpoint takes: `api.coze.cn` or `api.coze.com`. Its own host is always taken.
   * @default "cn"
   */
  readonly region?: "cn" | "com";
}

/** The options with their defaults. */
export type Settings = CozeEmulatorOptions &
  Required<Omit<CozeEmulatorOptions, "persist" | "privateKey" | "hostile" | "qps">>;

/** Checks the options at once, so that a wrong one is told by its name. */
export function readOptions(options: CozeEmulatorOptions): Settings {
  checkOptions(options, {
    ...commonChecks,
    persist: {
      holds: (value) => typeof value === "string" && value !== "",
      expected: "the path of a file",
    },
    bots: {
      holds: (value) => Array.isArray(value) && value.length > 0 && value.every(isBot),
      expected: "a list of at least one { id?: digits, published?: boolean }, each id once",
    },
    workflows: {
      holds: (value) => Array.isArray(value) && value.every((id) => /^\d{1,19}$/.test(String(id))),
      expected: "a list of ids of digits",
    },
    privateKey: rsaKey,
    qps: wholeNumber(1, 1e6),
    wordDelayMs: wordDelay,
    region: oneOf("cn", "com"),
  });
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    port: 0,
    region: "cn",
    bots: [{}],
    workflows: [],
    wordDelayMs: 0,
    now: Date.now,
    ...Object.fromEntries(given),
  };
}

function isBot(value: unknown, index: number, all: readonly unknown[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, published } = value as { id?: unknown; published?: unknown };
  if (published !== undefined && typeof published !== "boolean") return false;
  if (id === undefined) return true;
  if (typeof id !== "string" || !/^\d{1,19}$/.test(id)) return false;
  return all.findIndex((other) => (other as { id?: unknown } | null)?.id === id) === index;
}
