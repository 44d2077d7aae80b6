import { optionInvalid, refuseUnknown } from "aparte";

export interface DiscordOptions {
  /**
   * Which messages of a guild's channels and threads are for the bot: those that mention it or reply to it, all
   * of them (needs the privileged intent MessageContent), or none. @default "mentions"
   */
  readonly respond?: "mentions" | "all" | "never";
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

export type DiscordSettings = Required<DiscordOptions>;

const known = [
  "respond",
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
  if (respond !== "mentions" && respond !== "all" && respond !== "never") {
    throw optionInvalid("respond", 'must be "mentions", "all" or "never"');
  }
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
  return { respond, directMessages, editInterval, maxMessages, lookBack, maxFileBytes, fileHosts };
}

function isHost(host: string): boolean {
  return URL.canParse(`https://${host}`) && new URL(`https://${host}`).host === host;
}
