import type { Message } from "aparte";
import type { AnyThreadChannel, Message as DiscordMessage } from "discord.js";
import type { ReplyAddress } from "./address.ts";
import type { AttachmentFiles } from "./files.ts";
import type { DiscordSettings } from "./options.ts";

export const platform = "discord";

/**
 * The tenant of direct messages. A Discord user has one id everywhere, so the person alone names the session: one
 * in each guild, where the tenant is the guild, and one in direct messages. What was said in private is never
 * part of a guild's session.
 */
const directTenant = "dm";

/** The message as the mapper takes it; undefined when it is not for the bot. */
export async function readMessage(
  event: DiscordMessage,
  settings: DiscordSettings,
  files: AttachmentFiles,
): Promise<Message | undefined> {
  if (!isPersons(event) || !isForBot(event, settings)) return undefined;
  const text = withoutMention(event);
  const attached = files.of(event);
  // A bare mention or a sticker: there is nothing to answer.
  if (text === "" && attached.length === 0) return undefined;
  const replyTo: ReplyAddress = { channelId: event.channelId, messageId: event.id };
  return {
    platform,
    bot: event.client.user.id,
    ...(event.guildId === null ? { direct: true } : {}),
    tenant: event.guildId ?? directTenant,
    user: event.author.id,
    ...(event.channel.isThread() ? await threadPlace(event.channel) : { channel: event.channelId }),
    id: event.id,
    text,
    files: attached,
    replyTo: { ...replyTo },
  };
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

/** The role that Discord makes for each bot: people pick it from the list in place of the bot. */
function botRole({ mentions, client }: DiscordMessage): string | undefined {
  return mentions.roles.find((role) => role.tags?.botId === client.user.id)?.id;
}

function withoutMention(event: DiscordMessage): string {
  const { id } = event.client.user;
  // `<@!id>` is the mention of a nickname, which old clients still send.
  const mention = new RegExp(`<@!?${id}>|<@&${botRole(event) ?? id}>`, "g");
  return event.content.replace(mention, "").trim();
}

/** A thread is a channel with an id of its own, in a parent channel. */
async function threadPlace(thread: AnyThreadChannel): Promise<Pick<Message, "channel" | "thread">> {
  // A thread that this client has not seen yet is known by its id alone. The parent must not change with what a
  // client happens to know: it may be part of the session's key.
  const known = thread.parentId === null ? await thread.fetch().catch(() => thread) : thread;
  return { thread: thread.id, ...(known.parentId === null ? {} : { channel: known.parentId }) };
}
