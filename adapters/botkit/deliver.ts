import { AparteError, cut, type JsonValue, type Message, type Reply, ReplyText } from "aparte";
import type { ConversationReference } from "botbuilder";
import type { BotkitMessage, BotWorker } from "botkit";
import type { Controller } from "./controller.ts";

/** Where a reply goes: all that another process needs to deliver it. */
export interface ReplyAddress {
  readonly reference: Partial<ConversationReference>;
}

/** Channels whose clients show that the bot is writing. */
const typingChannels: ReadonlySet<string> = new Set(["websocket", "webchat", "msteams", "emulator"]);

/** Sends the messages of a reply as they are finished: not all of Botkit's adapters can change one later. */
export async function deliver(
  controller: Controller,
  message: Message,
  reply: Reply,
  turn: { readonly bot: BotWorker; readonly message: BotkitMessage } | undefined,
  maxLength: number,
): Promise<void> {
  const send = await sender(controller, message, turn);
  let sent = 0;
  // How many messages an earlier owner of this turn has sent.
  let earlier: number | undefined;
  const flush = async (text: string) => {
    earlier ??= Number(reply.earlierPost ?? 0);
    for (const part of cut(text, maxLength)) {
      sent += 1;
      if (sent <= earlier) continue;
      if (!reply.held) return;
      await send(part);
      reply.posted(sent satisfies JsonValue);
    }
  };
  let text = new ReplyText();
  try {
    for await (const event of reply) {
      text.add(event);
      if (event.type !== "message") continue;
      await flush(text.text);
      text = new ReplyText();
    }
  } catch (error) {
    text.fail(error);
  }
  if (text.text !== "") await flush(text.text);
}

async function sender(
  controller: Controller,
  message: Message,
  turn: { readonly bot: BotWorker; readonly message: BotkitMessage } | undefined,
): Promise<(text: string) => Promise<unknown>> {
  // The Web adapter's HTTP requests are answered with what was said before the turn's end, and only so.
  if (turn !== undefined) return (text) => turn.bot.reply(turn.message, text);
  const { reference } = message.replyTo as unknown as ReplyAddress;
  if (reference.channelId === "webhook") {
    throw new AparteError(
      "answer-lost",
      "The HTTP request that this reply was for is gone with its process.",
    );
  }
  const bot = await controller.spawn();
  await bot.changeContext(reference);
  if (typingChannels.has(reference.channelId ?? "")) await bot.say({ type: "typing" });
  return async (text) => {
    // The Web adapter would only print that there is nobody, and the reply would count as sent.
    if (reference.channelId === "websocket" && !controller.adapter.isConnected?.(reference.user?.id ?? "")) {
      throw new AparteError("answer-lost", "The person's web socket is closed, or is another process's.");
    }
    const sent: unknown = await bot.say(text);
    // Slack's adapter only prints what Slack refused.
    if (reference.channelId === "slack" && sent === undefined) {
      throw new AparteError("answer-lost", "Slack did not take the message; Botkit's adapter printed why.");
    }
  };
}
