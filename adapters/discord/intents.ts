import type { Logger } from "aparte";
import { optionInvalid } from "aparte/adapter";
import type { Client, GatewayIntentsString } from "discord.js";
import type { DiscordSettings } from "./options.ts";

// discord.js' Partials.Channel, written here so that only types are imported from discord.js.
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
  const needed: GatewayIntentsString[] = [];
  // Without Guilds no channel is known, and discord.js drops the messages of channels that it does not know.
  if (respond !== "never") needed.push("Guilds", "GuildMessages");
  const isWordless = respond === "mentions" || respond === "never" || typeof respond === "function";
  if (!isWordless) needed.push("MessageContent");
  if (directMessages) needed.push("DirectMessages");
  const { intents, partials = [] } = client.options;
  const missing = needed.filter((name) => !intents.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `GatewayIntentBits.${name}`).join(", ");
    throw optionInvalid("client.intents", `of the discord.js client lack ${names}. Add them${otherwise}`);
  }
  if (respond !== "never" && !intents.has("MessageContent")) {
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
