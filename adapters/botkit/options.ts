import type { IncomingMessage } from "node:http";
import type { Speaker } from "aparte";
import { optionInvalid, refuseUnknown } from "aparte/adapter";
import type { BotkitMessage } from "botkit";

/** What `botkit` takes. */
export interface BotkitOptions {
  /**
   * What the agent answers by itself: what no `hears` or `on` took, all that people say (handlers run, too), or
   * nothing (handlers ask it through {@link getSession}). What a running dialog or an `interrupts` took is theirs.
   * @default "unheard"
   */
  readonly answer?: "unheard" | "all" | "none";
  /**
   * Who sends this, for the Web adapter, whose clients name themselves: the id of the person whom a cookie, a
   * header or a token in the message proves, or undefined to refuse. Ids must be unique in this bot. With the Web
   * adapter it must be given.
   * @param request the HTTP request, or the one that opened the web socket
   * @param message what the client sent
   */
  readonly authenticate?: (
    request: IncomingMessage,
    message: Readonly<Record<string, unknown>>,
  ) => string | undefined | Promise<string | undefined>;
  /**
   * Who spoke, for adapters that need more than the activity's channel, team, user and conversation. Undefined
   * leaves it to these.
   */
  readonly speaker?: (message: BotkitMessage) => Speaker | undefined;
  /** Names this bot, where several share a mapper or a store: each has sessions of its own. */
  readonly bot?: string;
  /**
   * Channels whose clients name themselves (`"directline"`, `"webchat"`, `"emulator"`) and are believed. Without this
   * or `speaker`, they are refused: anybody could be anybody.
   */
  readonly trustedChannels?: readonly string[];
  /** The largest attachment that is handed to the agent, in bytes. @default 20_971_520 */
  readonly maxFileBytes?: number;
  /**
   * Further hosts from which attachments may be loaded, with the port where there is one, also over plain http. Those
   * of Teams, Facebook and Twilio are known.
   */
  readonly fileHosts?: readonly string[];
  /** The longest message that the platform takes, in characters; longer replies are cut. @default 4000 */
  readonly maxLength?: number;
  /**
   * Whether an answer is shown while it is written, by edits: for adapters that carry out `updateActivity`, and throw
   * when they cannot. @default on Teams
   */
  readonly drafts?: boolean;
  /** The shortest time between two edits of a draft, in milliseconds. @default 1500 */
  readonly editInterval?: number;
  /**
   * Gets what handlers, dialogs and the storage throw: none of it ends the process or hangs the turn. It may hold
   * words of people. @default console.error
   */
  readonly onError?: (error: unknown) => void;
}

type Optional = "authenticate" | "speaker" | "drafts" | "bot";

export type BotkitSettings = Required<Omit<BotkitOptions, Optional>> & {
  readonly [Name in Optional]: BotkitOptions[Name] | undefined;
};

const known = [
  "answer",
  "authenticate",
  "speaker",
  "bot",
  "trustedChannels",
  "maxFileBytes",
  "fileHosts",
  "maxLength",
  "drafts",
  "editInterval",
  "onError",
] as const satisfies readonly (keyof BotkitOptions)[];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: BotkitOptions): BotkitSettings {
  refuseUnknown(options, known);
  const { answer = "unheard", maxLength = 4000, editInterval = 1500, onError = console.error } = options;
  const { authenticate, speaker, drafts, bot, trustedChannels = [], fileHosts = [] } = options;
  const { maxFileBytes = 20_971_520 } = options;
  if (answer !== "unheard" && answer !== "all" && answer !== "none") {
    throw optionInvalid("answer", 'must be "unheard", "all" or "none"');
  }
  if (!Number.isInteger(maxLength) || maxLength < 100) {
    throw optionInvalid("maxLength", "must be a whole number of at least 100");
  }
  if (!Number.isInteger(editInterval) || editInterval < 1) {
    throw optionInvalid("editInterval", "must be a whole number of milliseconds above 0");
  }
  if (bot !== undefined && (typeof bot !== "string" || bot === ""))
    throw optionInvalid("bot", "must be a string that is not empty");
  for (const [field, list] of Object.entries({ trustedChannels, fileHosts })) {
    if (!Array.isArray(list) || list.some((one) => typeof one !== "string"))
      throw optionInvalid(field, "must be a list of strings");
  }
  if (!Number.isInteger(maxFileBytes) || maxFileBytes < 1)
    throw optionInvalid("maxFileBytes", "must be a whole number of bytes above 0");
  if (drafts !== undefined && typeof drafts !== "boolean")
    throw optionInvalid("drafts", "must be true or false");
  for (const [field, hook] of Object.entries({ authenticate, speaker, onError })) {
    if (hook !== undefined && typeof hook !== "function") throw optionInvalid(field, "must be a function");
  }
  return {
    ...{ answer, maxLength, editInterval, onError, authenticate, speaker, drafts },
    ...{ bot, trustedChannels, maxFileBytes, fileHosts },
  };
}
