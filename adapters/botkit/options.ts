import type { IncomingMessage } from "node:http";
import type { Speaker } from "aparte";
import {
  areHosts,
  checkOptions as check,
  isFlag,
  isFunction,
  isListOf,
  isOneOf,
  isText,
  isWhole,
} from "aparte/adapter";
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
   * leaves it to these. The platform is `"botkit"`, and the bot this one, but where handlers alone ask (`answer: "none"`).
   */
  readonly speaker?: (message: BotkitMessage) => Speaker | undefined;
  /** Names this bot, where several share a mapper or a store: each has sessions of its own. */
  readonly bot?: string;
  /**
   * Channels whose clients name themselves (`"directline"`, `"webchat"`, `"emulator"`) and are believed. Without this
   * or `speaker`, anybody could be anybody there: each conversation is then a person of its own.
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

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: BotkitOptions): BotkitSettings {
  return check<BotkitSettings>(options, {
    answer: [isOneOf("unheard", "all", "none"), "unheard"],
    authenticate: [isFunction("(request, message) => id")],
    speaker: [isFunction("(message) => Speaker")],
    bot: [isText],
    drafts: [isFlag],
    trustedChannels: [isListOf(isOneOf("directline", "webchat", "emulator")), []],
    maxFileBytes: [isWhole(1), 20_971_520],
    fileHosts: [areHosts, []],
    maxLength: [isWhole(100), 4_000],
    editInterval: [isWhole(1), 1_500],
    onError: [isFunction("(error) => …"), (error) => console.error(error)],
  });
}
