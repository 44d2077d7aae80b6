import { AparteError } from "aparte";
import type { AddressedMessage, PostingPlatform, Texts } from "aparte/adapter";
import type { ConversationReference, TurnContext } from "botbuilder";
import type { BotkitMessage, BotWorker } from "botkit";
import type { Controller } from "./controller.ts";

/** Where a reply goes: all that another process needs to deliver it. */
export interface ReplyAddress {
  readonly reference: Partial<ConversationReference>;
}

/** A turn of Botkit that waits for the reply: its HTTP request is answered with it. */
export interface OpenTurn {
  readonly bot: BotWorker;
  readonly message: BotkitMessage;
}

/** The calls that a reply is made of. */
export type Sender = Pick<PostingPlatform<string>, "post" | "edit" | "suggest" | "remove">;

/** Channels whose clients show that the bot is writing. */
const typingChannels: ReadonlySet<string> = new Set(["websocket", "webchat", "msteams", "emulator"]);

/** Channels that show suggested actions; elsewhere the questions are told as text. */
const suggestingChannels: ReadonlySet<string> = new Set([
  ...["msteams", "webchat", "directline", "emulator", "facebook"],
]);

/**
 * Channels whose messages can be edited. Not Slack: Botkit's adapter only prints what Slack refused, so that the end
 * of an answer could be missing and nobody would know.
 */
const editChannels: ReadonlySet<string> = new Set(["msteams"]);

/** Of Slack's posts: a link loads no preview, which could carry the answer's words away. */
const noPreviews = { unfurl_links: false, unfurl_media: false };

/** @param drafts whether messages are edited; undefined where the channel tells */
export async function senderFor(
  controller: Controller,
  message: AddressedMessage<ReplyAddress>,
  turn: OpenTurn | undefined,
  drafts: boolean | undefined,
  texts: Texts,
): Promise<Sender> {
  // The Web adapter's HTTP requests are answered with what was said before the turn's end, and only so.
  if (turn !== undefined) {
    return { post: async (text) => void (await turn.bot.reply(turn.message, text)) };
  }
  const { reference } = message.replyTo;
  const { channelId = "", user } = reference;
  if (channelId === "webhook") {
    throw new AparteError(
      "answer-lost",
      "The HTTP request that this reply was for is gone with its process.",
    );
  }
  const bot = await controller.spawn();
  await bot.changeContext(reference);
  if (typingChannels.has(channelId)) await bot.say({ type: "typing" });
  const post: Sender["post"] = async (text) => {
    // The Web adapter would only print that there is nobody, and the reply would count as sent.
    if (channelId === "websocket" && !controller.adapter.isConnected?.(user?.id ?? "")) {
      throw new AparteError("answer-lost", "The person's web socket is closed, or is another process's.");
    }
    const sent = (await bot.say(channelId === "slack" ? { text, channelData: noPreviews } : text)) as
      | { readonly id?: string }
      | undefined;
    // Slack's adapter only prints what Slack refused.
    if (channelId === "slack" && sent === undefined) {
      throw new AparteError("answer-lost", "Slack did not take the message; Botkit's adapter printed why.");
    }
    return sent?.id;
  };
  const suggest: Sender["suggest"] = async (questions) => {
    const actions = questions.map((title) => ({ type: "imBack", title, value: title }));
    const sent = await bot.say({
      text: texts("you-could-ask"),
      suggestedActions: { actions, to: user === undefined ? [] : [user.id] },
    });
    return (sent as { readonly id?: string } | undefined)?.id;
  };
  const offers = suggestingChannels.has(channelId) ? { suggest } : {};
  if (!(drafts ?? editChannels.has(channelId))) return { post, ...offers };
  const context = bot.getConfig("context") as TurnContext;
  return {
    post,
    ...offers,
    edit: async (id, text) => void (await context.updateActivity({ type: "message", id, text })),
    remove: (id) => context.deleteActivity(id),
  };
}
