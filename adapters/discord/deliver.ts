import { cut, type Delivery, ReplyText } from "aparte";
import type { ReplyAddress } from "./address.ts";
import type { DiscordApi, PostText } from "./api.ts";
import type { Channels } from "./channels.ts";
import { discloseLinks } from "./links.ts";
import { Posts, type PostsState } from "./posts.ts";

/**
 * The most that one message holds. Discord counts characters; `cut` counts UTF-16 code units, of which there are
 * never fewer.
 */
const messageLength = 2_000;

/** Subtext, Discord's small print: https://support.discord.com/hc/en-us/articles/210298617 */
const inFile = "\n\n-# The whole answer is in the file.";

/** Shows a reply as it comes, and resolves when all of it is on Discord. */
export async function deliver(
  api: DiscordApi,
  channels: Channels,
  address: ReplyAddress,
  delivery: Delivery,
  maxMessages: number,
): Promise<void> {
  const text = new ReplyText();
  const channel = channels.enter(address.channelId, () => delivery.permit());
  const texts = ({ isComplete, canAttach }: PostsState) => {
    const status = isComplete || text.status === "" ? "" : `\n\n-# ${text.status} …`;
    const whole = discloseLinks(text.text + status).trimStart();
    if (isComplete && !canAttach) return parts(whole);
    // A few messages are all that is shown of it, with one more to see that there is more.
    const shown = parts(whole.slice(0, (maxMessages + 1) * messageLength));
    if (shown.length <= maxMessages) return shown;
    const last = shown[maxMessages - 1]?.content ?? "";
    const beginning = shown.slice(0, maxMessages - 1);
    if (!isComplete) return [...beginning, { content: last }];
    const [content = ""] = cut(last, messageLength - inFile.length);
    return [...beginning, { content: content + inFile, file: text.text }];
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

function parts(text: string): PostText[] {
  return cut(text, messageLength).map((content) => ({ content }));
}
