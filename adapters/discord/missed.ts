import type { Client, Message as DiscordMessage, TextBasedChannel } from "discord.js";
import { idAt } from "./address.ts";

/** How many channels are looked at after one gap, those with the newest messages first, and how many pages of each. */
const maxChannels = 100;
const maxPages = 5;
const pageLength = 100;

/**
 * The messages of the last while in the channels of a shard, oldest first in each, but those that have an answer: what
 * came while there was no session of the gateway is never told. Direct messages are found where this process has seen
 * their channel.
 * @param whileMs how far to look back, in milliseconds
 */
export async function* missedMessages(
  client: Client<true>,
  shardId: number,
  whileMs: number,
): AsyncGenerator<DiscordMessage> {
  const since = idAt(Date.now() - whileMs);
  const channels = [...client.channels.cache.values()]
    .filter((channel): channel is TextBasedChannel => channel.isTextBased())
    .filter((channel) => isOfShard(channel, shardId) && mayHave(channel, since))
    .sort((one, other) => Number(BigInt(other.lastMessageId ?? 0) - BigInt(one.lastMessageId ?? 0)));
  for (const channel of channels.slice(0, maxChannels)) {
    const messages = await messagesSince(channel, since).catch(() => []);
    const answered = new Set(
      messages.flatMap(({ author, reference }) =>
        author?.id === client.user.id && reference?.messageId !== undefined ? [reference.messageId] : [],
      ),
    );
    for (const message of messages) if (!answered.has(message.id)) yield message;
  }
}

function isOfShard(channel: TextBasedChannel, shardId: number): boolean {
  return channel.isDMBased() ? shardId === 0 : channel.guild.shardId === shardId && channel.viewable;
}

/** Of a channel of direct messages Discord does not say what came last. */
function mayHave(channel: TextBasedChannel, since: string): boolean {
  return channel.isDMBased() || BigInt(channel.lastMessageId ?? 0) > BigInt(since);
}

async function messagesSince(channel: TextBasedChannel, since: string): Promise<DiscordMessage[]> {
  const found: DiscordMessage[] = [];
  let after = since;
  for (let page = 0; page < maxPages; page += 1) {
    // Not into the cache: discord.js would not tell anybody of a message that it has there.
    const fetched = await channel.messages.fetch({ after, limit: pageLength, cache: false });
    found.push(...fetched.values());
    if (fetched.size < pageLength) break;
    after = [...fetched.keys()].reduce((one, other) => (BigInt(one) > BigInt(other) ? one : other));
  }
  return found.sort(
    (one, other) => one.createdTimestamp - other.createdTimestamp || (one.id < other.id ? -1 : 1),
  );
}
