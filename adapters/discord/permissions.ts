import type { Logger, Message } from "aparte";
import type { Texts } from "aparte/adapter";
import type { Client, PermissionsString } from "discord.js";
import { replyAddress } from "./address.ts";
import type { DiscordApi } from "./api.ts";

const needed: readonly PermissionsString[] = ["ViewChannel", "SendMessages", "ReadMessageHistory"];
const neededInThreads: readonly PermissionsString[] = [
  "ViewChannel",
  "SendMessagesInThreads",
  "ReadMessageHistory",
];

/** Says which permissions the bot lacks where it was to answer: in the log, and to the person, in private. */
export async function tellMissing(
  client: Client,
  api: DiscordApi,
  message: Message,
  { logger, texts }: { readonly logger: Logger; readonly texts: Texts },
): Promise<void> {
  const { channelId, messageId } = replyAddress(message);
  const channel = client.channels.cache.get(channelId);
  if (channel === undefined || channel.isDMBased()) return;
  const all = channel.isThread() ? neededInThreads : needed;
  const granted = client.user === null ? null : channel.permissionsFor(client.user);
  const missing = granted?.missing([...all]) ?? all;
  logger.error("the bot lacks permissions to answer", { channelId, permissions: missing });
  // In words, as Discord's settings show them.
  const names = (missing.length > 0 ? missing : all).map((name) => name.replace(/(?<=[a-z])(?=[A-Z])/g, " "));
  const text = texts("permissions-missing", { channel: `<#${channelId}>`, permissions: names.join(", ") });
  // Not everybody takes direct messages.
  await api.tellPrivately(message.user, messageId, text).catch(() => {});
}
