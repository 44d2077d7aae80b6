import { checkText, milliseconds, optionInvalid, readBaseURL, refuseUnknown } from "../../check.ts";
import { consoleLogger, type Logger } from "../../logger.ts";
import { pasted } from "../http/pasted-key.ts";
import { isConversationLost, type SonaopsRefusal } from "./failure.ts";
import type { SonaopsQuotaNotice } from "./quota.ts";
import { type SonaopsReader, sonaopsReader } from "./reader.ts";
import { profiles, type SonaopsSign, type SonaopsSigner } from "./signing.ts";

/** What `sonaops` takes. */
export interface SonaopsOptions {
  /** The API's address. The service publishes none: it comes with your key. */
  readonly baseURL: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** The agent's id, as `/v1/agent/list` gives it. */
  readonly agentId?: string;
  /** The agent's name in that list, in place of `agentId`. The list is fetched before the first turn. */
  readonly agentName?: string;
  /**
   * Which agents may answer at all. The service also hosts agents unfit for a workplace: with one list for all
   * configurations, a wrong `agentId` is refused at start, and a wrong `agentName` at the first turn. @default all
   */
  readonly allowedAgents?: readonly string[];
  /**
   * How requests are signed; see docs/sonaops.md. Not together with `sign`. @default "A", and "B" where the service
   * refuses that
   */
  readonly profile?: "A" | "B";
  /** Signs in place of the profiles. */
  readonly sign?: SonaopsSign;
  /** Where an event of the stream has the answer's next piece: names joined by dots. @default "text" */
  readonly textPath?: string;
  /** Reads the stream's events in place of aparte's own reader. Not together with `textPath`. */
  readonly reader?: SonaopsReader;
  /**
   * Whether a refused turn means that its conversation is gone, so that a new one is opened.
   * @default code 10404 or HTTP 404 that does not speak of the agent, or a message that calls the conversation unknown
   */
  readonly isConversationLost?: (refusal: SonaopsRefusal) => boolean;
  /** The longest that opening a conversation may take, in milliseconds, each attempt. @default 30_000 */
  readonly requestTimeout?: number;
  /** The longest silence of an answer, its first sign included, in milliseconds. @default 120_000 */
  readonly idleTimeout?: number;
  /** The longest a whole answer may take, in milliseconds. @default 600_000 */
  readonly chatTimeout?: number;
  /** How long a stream may stay open in silence after `message_saved`, in milliseconds. @default 5000 */
  readonly savedTimeout?: number;
  /** The first pause before a request is repeated, in milliseconds; doubled each time. @default 500 */
  readonly retryDelay?: number;
  /** How long nothing is sent once the key's calls are used up, in milliseconds. @default 900_000 (15 minutes) */
  readonly quotaPause?: number;
  /** Called when the key's calls are used up, once for each pause. */
  readonly onQuota?: (notice: SonaopsQuotaNotice) => void;
  /** Is told of the same. @default the console */
  readonly logger?: Logger;
  /** The clock, in Unix milliseconds. @default Date.now */
  readonly now?: () => number;
  /**
   * Used in place of the global `fetch`. The body of a turn is a stream, so that it is written at the last moment: what
   * repeats requests by itself cannot repeat it, and need not.
   */
  readonly fetch?: typeof fetch;
}

/** The options, checked and with their defaults. */
export interface SonaopsSettings {
  /** Without a trailing slash. */
  readonly baseURL: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** By id; or by its name in the service's list. */
  readonly agent: { readonly id: string } | { readonly name: string };
  readonly allowedAgents: readonly string[] | undefined;
  readonly signer: SonaopsSigner;
  /** Tried where the first one is refused; undefined where the options say which it is. */
  readonly otherSigner: SonaopsSigner | undefined;
  readonly reader: SonaopsReader;
  readonly isConversationLost: (refusal: SonaopsRefusal) => boolean;
  readonly requestTimeout: number;
  readonly idleTimeout: number;
  readonly chatTimeout: number;
  readonly savedTimeout: number;
  readonly retryDelay: number;
  readonly quotaPause: number;
  readonly onQuota: SonaopsOptions["onQuota"];
  readonly logger: Logger;
  readonly now: () => number;
  readonly fetch: typeof fetch;
}

const optionNames: Record<keyof SonaopsOptions, true> = {
  baseURL: true,
  apiKey: true,
  apiSecret: true,
  agentId: true,
  agentName: true,
  allowedAgents: true,
  profile: true,
  sign: true,
  textPath: true,
  reader: true,
  isConversationLost: true,
  requestTimeout: true,
  idleTimeout: true,
  chatTimeout: true,
  savedTimeout: true,
  retryDelay: true,
  quotaPause: true,
  onQuota: true,
  logger: true,
  now: true,
  fetch: true,
};

/**
 * Checks the options.
 * @throws {AparteError} `option-invalid` with the option's name.
 */
export function readOptions(options: SonaopsOptions): SonaopsSettings {
  refuseUnknown(options, Object.keys(optionNames));
  for (const name of ["baseURL", "apiKey", "apiSecret"] as const) checkText(name, options[name]);
  // It becomes a header, where other characters cannot go.
  const [apiKey, apiSecret] = [pasted(options.apiKey), pasted(options.apiSecret)];
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw optionInvalid("apiKey", "must be of visible ASCII characters, without blanks or line ends");
  }
  for (const name of ["sign", "reader", "isConversationLost", "onQuota", "now", "fetch"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function") {
      throw optionInvalid(name, "must be a function");
    }
  }
  const agent = readAgent(options);
  return {
    baseURL: readBaseURL(options.baseURL, "https://api.example.com"),
    apiKey,
    apiSecret,
    agent,
    allowedAgents: options.allowedAgents,
    ...readSigners(options),
    reader: readReader(options),
    isConversationLost: options.isConversationLost ?? isConversationLost,
    requestTimeout: milliseconds("requestTimeout", options.requestTimeout, 30_000),
    idleTimeout: milliseconds("idleTimeout", options.idleTimeout, 120_000),
    chatTimeout: milliseconds("chatTimeout", options.chatTimeout, 600_000),
    savedTimeout: milliseconds("savedTimeout", options.savedTimeout, 5000),
    retryDelay: milliseconds("retryDelay", options.retryDelay, 500),
    quotaPause: milliseconds("quotaPause", options.quotaPause, 900_000),
    onQuota: options.onQuota,
    logger: readLogger(options.logger),
    now: options.now ?? Date.now,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
  };
}

function readAgent({ agentId = "", agentName, allowedAgents }: SonaopsOptions): SonaopsSettings["agent"] {
  const isList =
    Array.isArray(allowedAgents) && allowedAgents.every((id) => typeof id === "string" && id !== "");
  if (allowedAgents !== undefined && !isList)
    throw optionInvalid("allowedAgents", "must be a list of agent ids");
  if (agentName !== undefined) {
    checkText("agentName", agentName);
    if (agentId !== "") throw optionInvalid("agentName", "and agentId exclude each other: give one of them");
    return { name: agentName };
  }
  checkText("agentId", agentId);
  if (agentId !== agentId.trim()) throw optionInvalid("agentId", "must not begin or end with a blank");
  if (allowedAgents?.includes(agentId) === false)
    throw optionInvalid("agentId", "is not in allowedAgents: only agents of that list may answer");
  return { id: agentId };
}

function readSigners({ profile, sign }: SonaopsOptions): Pick<SonaopsSettings, "signer" | "otherSigner"> {
  if (sign !== undefined && profile !== undefined) {
    throw optionInvalid("sign", "and profile exclude each other: give one of them");
  }
  if (profile !== undefined && profile !== "A" && profile !== "B") {
    throw optionInvalid("profile", 'must be "A" or "B"');
  }
  if (sign !== undefined) return { signer: { profile: "own", sign }, otherSigner: undefined };
  return { signer: profiles[profile ?? "A"], otherSigner: profile === undefined ? profiles.B : undefined };
}

function readReader({ textPath, reader }: SonaopsOptions): SonaopsReader {
  if (reader !== undefined && textPath !== undefined) {
    throw optionInvalid("reader", "and textPath exclude each other: give one of them");
  }
  if (textPath !== undefined && (typeof textPath !== "string" || !/^[^.]+(\.[^.]+)*$/.test(textPath))) {
    throw optionInvalid("textPath", 'must be names joined by dots, such as "data.text"');
  }
  return reader ?? sonaopsReader(textPath ?? "text");
}

function readLogger(logger: SonaopsOptions["logger"]): Logger {
  if (logger === undefined) return consoleLogger;
  const isLogger = (["info", "warn", "error"] as const).every((name) => typeof logger?.[name] === "function");
  if (!isLogger) throw optionInvalid("logger", "must have the functions info, warn and error");
  return logger;
}
