import type { Message } from "aparte";
import { oneLine } from "aparte/adapter";
import type { Client, Message as DiscordMessage } from "discord.js";
import { replyAddress } from "./address.ts";
import type { DiscordApi } from "./api.ts";
import { withEvent } from "./event.ts";
import { isGone } from "./failures.ts";
import type { AttachmentFiles } from "./files.ts";
import type { DiscordSettings } from "./options.ts";
import { directTenant, guildTenant, placeIn } from "./place.ts";
import { botRole, isUnreadable, readWords } from "./words.ts";

export const platform = "discord";

/** The message as the mapper takes it. */
export async function readMessage(
  event: DiscordMessage,
  settings: DiscordSettings,
  files: AttachmentFiles,
): Promise<Message> {
  return {
    platform,
    bot: event.client.user.id,
    ...(event.guildId === null ? { direct: true } : {}),
    tenant: event.guildId === null ? directTenant : guildTenant(event.guildId, settings),
    user: event.author.id,
    ...(await placeIn(event.channelId, event.channel)),
    id: event.id,
    ...(await readWords(event, files)),
    replyTo: { channelId: event.channelId, messageId: event.id },
  };
}

/** Whether a message is a person's, and for the bot. */
export function isToAnswer(event: DiscordMessage, settings: DiscordSettings): boolean {
  return isPersons(event) && isForBot(event, settings);
}

/** The longest name of a thread, in characters. */
const nameLength = 100;

/** The message in a thread that is opened for it, where that is asked for and possible. */
export async function inThread(
  event: DiscordMessage,
  message: Message,
  api: DiscordApi,
  { openThreads }: DiscordSettings,
): Promise<Message> {
  if (!openThreads || event.guildId === null || event.channel.isThread()) return message;
  const name = oneLine(message.text, nameLength) || "Question";
  if (!(await api.openThread(event, name))) return message;
  return { ...message, thread: event.id, replyTo: { channelId: event.id, messageId: event.id } };
}

/**
 * A message that has waited, as it stands now; undefined when it was deleted.
 * @throws what Discord fails with
 */
export async function rereadMessage(
  client: Client,
  message: Message,
  files: AttachmentFiles,
): Promise<Message | undefined> {
  const { channelId, messageId, interaction } = replyAddress(message);
  // A command cannot be changed.
  if (interaction !== undefined) return message;
  // The message for which a thread was opened stands outside of it.
  const id = channelId === messageId ? (message.channel ?? channelId) : channelId;
  // Of a guild of another shard the client knows nothing.
  const channel = await client.channels.fetch(id, { allowUnknownGuild: true });
  if (channel?.isTextBased() !== true) return message;
  try {
    const event = await channel.messages.fetch({ message: messageId, force: true });
    return event.editedTimestamp === null || isUnreadable(event)
      ? message
      : withEvent({ ...message, ...(await readWords(event, files)) }, event);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Not from a bot (this one included), a webhook, or Discord itself (joins, pins, boosts …). */
function isPersons({ author, webhookId, system }: DiscordMessage): boolean {
  return !author.bot && !author.system && webhookId === null && !system;
}

function isForBot(event: DiscordMessage, { respond, directMessages }: DiscordSettings): boolean {
  if (event.guildId === null) return directMessages;
  if (typeof respond === "function") return respond(event);
  if (respond === "all" || respond === "never") return respond === "all";
  const { channel } = event;
  if (respond === "threads" && channel.isThread() && channel.joined) return true;
  const isNamed = (id: string | null) => Array.isArray(respond) && respond.includes(id);
  if (isNamed(channel.id) || (channel.isThread() && isNamed(channel.parentId))) return true;
  const { id } = event.client.user;
  const { users, repliedUser } = event.mentions;
  return users.has(id) || repliedUser?.id === id || botRole(event) !== undefined;
}
