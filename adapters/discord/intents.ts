import type { Logger } from "aparte";
import { optionInvalid } from "aparte/adapter";
import type { Client } from "discord.js";
import type { DiscordSettings } from "./options.ts";

// Values of discord.js' GatewayIntentBits and Partials. They are Discord's own numbers and do not change; writing
// them here keeps discord.js out of the adapter's runtime.
const intent = { Guilds: 1 << 0, GuildMessages: 1 << 9, DirectMessages: 1 << 12, MessageContent: 1 << 15 };
const partialChannel = 1;

/**
 * Checks that the client will hear what the adapter is to answer: Discord leaves out silently what was not asked
 * for when the client logged in.
 * @returns the names of the intents that are needed
 * @throws {AparteError} `option-invalid` that names the intent or partial to add.
 */
export function checkClient(
  client: Client,
  { respond, directMessages }: DiscordSettings,
  logger: Logger,
): readonly string[] {
  const needed: (keyof typeof intent)[] = [];
  // Without Guilds no channel is known, and discord.js drops the messages of channels that it does not know.
  if (respond !== "never") needed.push("Guilds", "GuildMessages");
  const isWordless = respond === "mentions" || respond === "never" || typeof respond === "function";
  if (!isWordless) needed.push("MessageContent");
  if (directMessages) needed.push("DirectMessages");
  const { intents, partials = [] } = client.options;
  const missing = needed.filter((name) => !intents.has(intent[name]));
  if (missing.length > 0) {
    const names = missing.map((name) => `GatewayIntentBits.${name}`).join(", ");
    throw optionInvalid("client.intents", `of the discord.js client lack ${names}. Add them${otherwise}`);
  }
  if (respond !== "never" && !intents.has(intent.MessageContent)) {
    logger.warn(
      "the discord.js client lacks the intent Message Content: replies that do not ping the bot cannot be read, nor " +
        "the messages that people refer to. Mentions, pinging replies and direct messages can",
    );
  }
  // A direct message comes in a channel that the client has not seen, so it must be allowed to be partial.
  if (directMessages && !partials.some((partial) => Number(partial) === partialChannel)) {
    throw optionInvalid(
      "client.partials",
      `of the discord.js client lack Partials.Channel. Add it${otherwise}`,
    );
  }
  return needed;
}

const otherwise =
  ', or tell the adapter not to listen there: { directMessages: false } or { respond: "mentions" | "never" }';
