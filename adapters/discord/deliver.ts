import { cut, type Delivery, ReplyText } from "aparte";
import type { ReplyAddress } from "./address.ts";
import type { DiscordApi } from "./api.ts";
import type { Channels } from "./channels.ts";
import { Posts } from "./posts.ts";

/**
 * The most that one message holds. Discord counts characters; `cut` counts UTF-16 code units, of which there are
 * never fewer.
 */
const messageLength = 2_000;

/** Shows a reply as it comes, and resolves when all of it is on Discord. */
export async function deliver(
  api: DiscordApi,
  channels: Channels,
  address: ReplyAddress,
  delivery: Delivery,
): Promise<void> {
  const text = new ReplyText();
  const channel = channels.enter(address.channelId, () => delivery.permit());
  const texts = (isComplete: boolean) => {
    // Subtext, Discord's small print: https://support.discord.com/hc/en-us/articles/210298617
    const status = isComplete || text.status === "" ? "" : `\n\n-# ${text.status} …`;
    return cut((text.text + status).trimStart(), messageLength);
  };
  const posts = new Posts({ api, channel, address, delivery, texts });
  try {
    for await (const event of delivery) {
      text.add(event);
      posts.changed();
    }
  } catch (error) {
    text.fail(error);
  }
  try {
    channel.stopTyping();
    await posts.finish();
  } finally {
    channel.leave();
  }
}
