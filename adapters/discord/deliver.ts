import { cut, type Delivery, ReplyText, type Texts, tablesAsCode } from "aparte/adapter";
import type { RawFile } from "discord.js";
import { liveInteraction, type ReplyAddress } from "./address.ts";
import type { DiscordApi, PostText } from "./api.ts";
import { answerRows, draftRows, fitButtons } from "./buttons.ts";
import { type CarriedFile, carriedFiles } from "./carried.ts";
import type { Channels } from "./channels.ts";
import { discloseLinks } from "./links.ts";
import type { DiscordSettings } from "./options.ts";
import { Posts, type PostsState } from "./posts.ts";

/**
 * The most that one message holds. Discord counts characters; `cut` counts UTF-16 code units, of which there are
 * never fewer.
 */
const messageLength = 2_000;

// Subtext, Discord's small print: https://support.discord.com/hc/en-us/articles/210298617
const subtext = "-# ";

export interface DeliverOptions {
  readonly api: DiscordApi;
  readonly channels: Channels;
  readonly address: ReplyAddress;
  readonly delivery: Delivery;
  readonly settings: DiscordSettings;
  /** The bot that posts. */
  readonly botId: string;
  /** The person who asked. */
  readonly userId: string;
}

/** Shows a reply as it comes, and resolves when all of it is on Discord. */
export async function deliver(options: DeliverOptions): Promise<void> {
  const { api, channels, delivery, settings, userId } = options;
  const { interaction, messageId, channelId } = options.address;
  const isLate = () => interaction?.canPost === false && liveInteraction(options.address) === undefined;
  const text = new ReplyText(delivery.texts);
  let questions: readonly string[] = [];
  let answer: string | undefined;
  let carried: readonly CarriedFile[] = [];
  const isByToken = interaction !== undefined;
  const channel = channels.enter(isByToken ? messageId : channelId, () => delivery.permit(), isByToken);
  const { buttons } = settings;
  const texts = (state: PostsState): PostText[] => {
    // Further messages by a token could come twice: what one does not hold is in the file.
    const maxMessages = interaction?.canPost === false && !isLate() ? 1 : settings.maxMessages;
    const shown = textsOf(text, state, maxMessages, carried, delivery.texts);
    // Discord would show for a quarter of an hour that the bot is thinking.
    if (isByToken && state.isComplete && shown.length === 0)
      return [{ content: subtext + delivery.texts("no-answer") }];
    const last = shown.at(-1);
    if (last === undefined) return shown;
    const rows = state.isComplete
      ? answerRows(settings, userId, questions, answer, delivery.texts)
      : draftRows(buttons, userId, delivery.texts);
    return [...shown.slice(0, -1), { ...last, rows }];
  };
  const show = (address: ReplyAddress, isMoved: boolean) =>
    new Posts({ ...options, channel, address, texts, isMoved });
  let posts = show(options.address, false);
  try {
    for await (const event of delivery) {
      if (event.type === "suggestions" && fitButtons(buttons, event.items)) questions = event.items;
      else text.add(event);
      if (event.type === "message") answer = event.id;
      posts.changed();
    }
  } catch (error) {
    text.fail(error);
  }
  try {
    carried = await carriedFiles(text.text, settings.attachFrom, AbortSignal.timeout(loadMs));
    channel.stopTyping();
    if (isLate()) {
      // What the bot cannot show there any more goes to the person alone.
      await delivery.permit();
      const direct = await api.directChannel(userId, AbortSignal.timeout(directMs));
      posts = show({ channelId: direct, messageId }, true);
    }
    await posts.finish();
  } finally {
    channel.leave();
  }
}

/** How long opening a channel may take, in milliseconds. */
const directMs = 15_000;

/** How long the files of an answer may take to load, in milliseconds: then it is shown with their links alone. */
const loadMs = 30_000;

function textsOf(
  text: ReplyText,
  { isComplete, canAttach }: PostsState,
  maxMessages: number,
  carried: readonly CarriedFile[],
  texts: Texts,
): PostText[] {
  const inFile = `\n\n${subtext}${texts("whole-in-file")}`;
  const status = isComplete || text.status === "" ? "" : `\n\n${subtext}${text.status} …`;
  const files = isComplete && canAttach ? carried.map(({ name, data }) => ({ name, data })) : [];
  let words = text.text;
  // The image itself stands below.
  if (files.length > 0) for (const { markup } of carried) if (markup) words = words.replaceAll(markup, "");
  const whole = discloseLinks(tablesAsCode(words) + status).trimStart();
  if (isComplete && !canAttach) return parts(whole);
  // A few messages are all that is shown of it, with one more to see that there is more.
  const shown = parts(whole.slice(0, (maxMessages + 1) * messageLength));
  if (shown.length <= maxMessages) return files.length === 0 ? shown : withFiles(shown, files);
  const beginning = shown.slice(0, maxMessages);
  if (!isComplete) return beginning;
  const [content = ""] = cut(beginning.at(-1)?.content ?? "", messageLength - inFile.length);
  const last = { content: content + inFile };
  return withFiles([...beginning.slice(0, -1), last], [{ name: fileName, data: text.text }, ...files]);
}

/** The files stand below the last message. */
function withFiles(shown: readonly PostText[], files: readonly RawFile[]): PostText[] {
  return [...shown.slice(0, -1), { content: shown.at(-1)?.content ?? "", files }];
}

const fileName = "answer.md";

function parts(text: string): PostText[] {
  return cut(text, messageLength).map((content) => ({ content }));
}
