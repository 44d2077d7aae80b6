import { optionInvalid, refuseUnknown } from "aparte/adapter";
import type { Message as DiscordMessage } from "discord.js";
import { isSnowflake } from "./address.ts";
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
  /** Buttons: to stop the answer, to ask its follow-up questions, to begin anew; for the asker alone. @default false */
  readonly buttons?: boolean;
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
   * Further hosts from which attachments may be loaded, with the port where there is one, also over plain http:
   * a proxy of your own, a test's server. Discord's are known.
   */
  readonly fileHosts?: readonly string[];
}

export type Respond =
  | "mentions"
  | "threads"
  | "all"
  | "never"
  | readonly string[]
  | ((event: DiscordMessage) => boolean);

export type DiscordSettings = Required<DiscordOptions>;

const known = [
  "respond",
  "openThreads",
  "answer",
  "guilds",
  "commands",
  "buttons",
  "directMessages",
  "editInterval",
  "maxMessages",
  "lookBack",
  "maxFileBytes",
  "fileHosts",
] as const satisfies readonly (keyof DiscordOptions)[];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: DiscordOptions): DiscordSettings {
  refuseUnknown(options, known);
  const { respond = "mentions", directMessages = true, fileHosts = [] } = options;
  const { editInterval = 1_200, maxMessages = 5, lookBack = 900_000, maxFileBytes = 20_971_520 } = options;
  const isChosen = typeof respond === "function" || (Array.isArray(respond) && respond.every(isSnowflake));
  if (!isChosen && !["mentions", "threads", "all", "never"].includes(respond as string)) {
    throw optionInvalid(
      "respond",
      'must be "mentions", "threads", "all", "never", a list of channels or a function',
    );
  }
  const { openThreads = false, answer = "all" } = options;
  if (typeof openThreads !== "boolean") throw optionInvalid("openThreads", "must be true or false");
  if (answer !== "all" && answer !== "unheard" && answer !== "none")
    throw optionInvalid("answer", 'must be "all", "unheard" or "none"');
  const { guilds = "apart", commands = false, buttons = false } = options;
  if (guilds !== "apart" && guilds !== "together")
    throw optionInvalid("guilds", 'must be "apart" or "together"');
  if (typeof commands !== "boolean" && typeof commands !== "function")
    throw optionInvalid("commands", "must be true, false or a function");
  if (typeof buttons !== "boolean") throw optionInvalid("buttons", "must be true or false");
  if (typeof directMessages !== "boolean") throw optionInvalid("directMessages", "must be true or false");
  for (const [field, value] of Object.entries({ editInterval, maxFileBytes })) {
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      throw optionInvalid(field, "must be a number above 0");
    }
  }
  if (typeof lookBack !== "number" || !Number.isFinite(lookBack) || lookBack < 0)
    throw optionInvalid("lookBack", "must be a number of milliseconds, or 0");
  if (!Number.isInteger(maxMessages) || maxMessages < 1)
    throw optionInvalid("maxMessages", "must be a whole number above 0");
  if (!Array.isArray(fileHosts) || fileHosts.some((host) => typeof host !== "string" || !isHost(host))) {
    throw optionInvalid("fileHosts", 'must be a list of hosts, e.g. ["files.example.com", "127.0.0.1:8080"]');
  }
  return {
    ...{ respond, openThreads, answer, guilds, commands, buttons },
    ...{ directMessages, editInterval, maxMessages, lookBack, maxFileBytes, fileHosts },
  };
}

function isHost(host: string): boolean {
  return URL.canParse(`https://${host}`) && new URL(`https://${host}`).host === host;
}
