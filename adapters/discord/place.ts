import type { Speaker } from "aparte";
import type { AnyThreadChannel, Channel } from "discord.js";
import type { DiscordSettings } from "./options.ts";

/**
 * The tenant of direct messages. A Discord user has one id everywhere, so the person alone names the session: one
 * in each guild, where the tenant is the guild, and one in direct messages. What was said in private is never
 * part of a guild's session.
 */
export const directTenant = "dm";

/** The tenant of a guild: its own, or one for all guilds where people are the same in each. */
export function guildTenant(guildId: string, { guilds }: DiscordSettings): string {
  return guilds === "together" ? "guilds" : guildId;
}

/** Where something was said: a thread is a channel with an id of its own, in a parent channel. */
export async function placeIn(
  channelId: string,
  channel: Channel | null,
): Promise<Pick<Speaker, "channel" | "thread">> {
  return channel?.isThread() === true ? threadPlace(channel) : { channel: channelId };
}

async function threadPlace(thread: AnyThreadChannel): Promise<Pick<Speaker, "channel" | "thread">> {
  // A thread that this client has not seen yet is known by its id alone. The parent must not change with what a
  // client happens to know: it may be part of the session's key.
  const known = thread.parentId === null ? await thread.fetch().catch(() => thread) : thread;
  return { thread: thread.id, ...(known.parentId === null ? {} : { channel: known.parentId }) };
}
