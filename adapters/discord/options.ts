import type { Speaker } from "aparte";
import {
  areHosts,
  checkOptions as check,
  isAboveZero,
  isFlag,
  isFunction,
  isListOf,
  isOneOf,
  isWhole,
  type OptionCheck,
} from "aparte/adapter";
import type { Message as DiscordMessage } from "discord.js";
import { isSnowflake } from "./address.ts";
import type { Button } from "./buttons.ts";
import type { DiscordCommand } from "./commands.ts";

/** What `discord` takes. */
export interface DiscordOptions {
  /**
   * Which messages of a guild's channels and threads are for the bot: those that mention it or reply to it; these and
   * all in threads and forum posts where it was called (`"threads"`); these and all in the channels of a list of ids;
   * all; none; or those that a function chooses. All but `"mentions"` and `"never"` need the privileged intent
   * MessageContent. @default "mentions"
   */
  readonly respond?: Respond;
  /** Whether the links of an answer load previews, which could carry its words away to whoever has the link's address. @default false */
  readonly embeds?: boolean;
  /** Whether each question in a guild's channel gets a thread of its own, named after it. @default false */
  readonly openThreads?: boolean;
  /**
   * What the agent answers by itself, of what `respond` lets through: all of it; what none of your own listeners asked
   * a session for before they first waited (`"unheard"`); or nothing. @default "all"
   */
  readonly answer?: "all" | "unheard" | "none";
  /** Whether a person is somebody else in each guild, or the same in all of them. @default "apart" */
  readonly guilds?: "apart" | "together";
  /**
   * Commands: `/ask`, `/new`, `/title`, `/agent`, `/stop`, `/privacy`, `/forget`, and "Ask about this" on messages.
   * They are registered when the client is ready, where Discord does not have them as they are. A function changes
   * them: gives their names in other languages (`name_localizations`), or leaves some out. @default false
   */
  readonly commands?: boolean | ((commands: DiscordCommand[]) => readonly DiscordCommand[]);
  /**
   * The buttons of an answer, for its asker alone: to stop it, to ask its follow-up questions, to begin a new
   * conversation, to say what they think of it (`"feedback"`: where the agent's service takes it, or `onFeedback` is given). @default []
   */
  readonly buttons?: readonly Button[];
  /** Told what people think of answers, besides the agent's service. */
  readonly onFeedback?: (feedback: DiscordFeedback) => unknown;
  /** False for a bot that talks in guilds only. @default true */
  readonly directMessages?: boolean;
  /**
   * The pause between two edits in one channel, in milliseconds. Discord takes about five calls in five seconds
   * from a bot in a channel. @default 1200
   */
  readonly editInterval?: number;
  /** How many messages an answer takes at most: a longer one comes as a file, with its beginning shown. @default 5 */
  readonly maxMessages?: number;
  /**
   * After each new session of the gateway the messages of so long ago are looked through for those that nobody
   * answered: what came while no session was there. In milliseconds; 0: never. @default 900_000
   */
  readonly lookBack?: number;
  /** The largest attachment that is handed to the agent, in bytes. @default 20_971_520 */
  readonly maxFileBytes?: number;
  /**
   * Hosts, with the port where there is one, whose images and files are attached to an answer that has links to them:
   * those of the agent's service. Whoever owns one learns what an agent was talked into writing into a link to it. @default []
   */
  readonly attachFrom?: readonly string[];
  /**
   * Further hosts from which attachments may be loaded, with the port where there is one, also over plain http:
   * a proxy of your own, a test's server. Discord's are known.
   */
  readonly fileHosts?: readonly string[];
}

/** What a person thinks of an answer. */
export interface DiscordFeedback {
  readonly speaker: Speaker;
  /** The message that shows the answer, and the channel or thread in which it stands. */
  readonly channelId: string;
  readonly messageId: string;
  readonly isPositive: boolean;
}

export type Respond =
  | "mentions"
  | "threads"
  | "all"
  | "never"
  | readonly string[]
  | ((event: DiscordMessage) => boolean);

export type DiscordSettings = Required<Omit<DiscordOptions, "onFeedback">> & {
  readonly onFeedback: DiscordOptions["onFeedback"];
};

const [isRespondWord] = isOneOf("mentions", "threads", "all", "never");
const [areChannels] = isListOf([isSnowflake, ""]);
const isRespond: OptionCheck = [
  (value) => typeof value === "function" || isRespondWord(value) || areChannels(value),
  'must be "mentions", "threads", "all", "never", a list of channels or a function',
];

const areCommands: OptionCheck = [
  (value) => typeof value === "boolean" || typeof value === "function",
  "must be true, false or a function",
];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: DiscordOptions): DiscordSettings {
  return check<DiscordSettings>(options, {
    respond: [isRespond, "mentions"],
    openThreads: [isFlag, false],
    embeds: [isFlag, false],
    answer: [isOneOf("all", "unheard", "none"), "all"],
    guilds: [isOneOf("apart", "together"), "apart"],
    commands: [areCommands, false],
    buttons: [isListOf(isOneOf("stop", "questions", "new", "feedback")), []],
    onFeedback: [isFunction("(feedback) => …")],
    directMessages: [isFlag, true],
    editInterval: [isAboveZero, 1_200],
    maxMessages: [isWhole(1), 5],
    lookBack: [isWhole(0), 900_000],
    attachFrom: [areHosts, []],
    maxFileBytes: [isAboveZero, 20_971_520],
    fileHosts: [areHosts, []],
  });
}
