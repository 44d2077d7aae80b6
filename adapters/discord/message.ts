import type { Message } from "aparte";
import type { AnyThreadChannel, Client, Message as DiscordMessage } from "discord.js";
import { type ReplyAddress, replyAddress } from "./address.ts";
import { isGone } from "./api.ts";
import type { AttachmentFiles } from "./files.ts";
import type { DiscordSettings } from "./options.ts";
import { botRole, isUnreadable, readWords } from "./words.ts";

export const platform = "discord";

/**
 * The tenant of direct messages. A Discord user has one id everywhere, so the person alone names the session: one
 * in each guild, where the tenant is the guild, and one in direct messages. What was said in private is never
 * part of a guild's session.
 */
const directTenant = "dm";

/** The message as the mapper takes it. */
export async function readMessage(event: DiscordMessage, files: AttachmentFiles): Promise<Message> {
  const replyTo: ReplyAddress = { channelId: event.channelId, messageId: event.id };
  return {
    platform,
    bot: event.client.user.id,
    ...(event.guildId === null ? { direct: true } : {}),
    tenant: event.guildId ?? directTenant,
    user: event.author.id,
    ...(event.channel.isThread() ? await threadPlace(event.channel) : { channel: event.channelId }),
    id: event.id,
    ...(await readWords(event, files)),
    replyTo: { ...replyTo },
  };
}

/** Whether a message is a person's, and for the bot. */
export function isToAnswer(event: DiscordMessage, settings: DiscordSettings): boolean {
  return isPersons(event) && isForBot(event, settings);
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
  const { channelId, messageId } = replyAddress(message);
  const channel = await client.channels.fetch(channelId);
  if (channel?.isTextBased() !== true) return message;
  try {
    const event = await channel.messages.fetch({ message: messageId, force: true });
    return event.editedTimestamp === null || isUnreadable(event)
      ? message
      : { ...message, ...(await readWords(event, files)) };
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
  if (respond !== "mentions") return respond === "all";
  const { id } = event.client.user;
  const { users, repliedUser } = event.mentions;
  return users.has(id) || repliedUser?.id === id || botRole(event) !== undefined;
}

/** A thread is a channel with an id of its own, in a parent channel. */
async function threadPlace(thread: AnyThreadChannel): Promise<Pick<Message, "channel" | "thread">> {
  // A thread that this client has not seen yet is known by its id alone. The parent must not change with what a
  // client happens to know: it may be part of the session's key.
  const known = thread.parentId === null ? await thread.fetch().catch(() => thread) : thread;
  return { thread: thread.id, ...(known.parentId === null ? {} : { channel: known.parentId }) };
}
