// A Telegram bot with grammY. Every person has a private conversation of their own, and one in each group.
import { openStore, SessionMapper, type Speaker } from "aparte";
import { coze } from "aparte/coze";
import { Bot, type Context } from "grammy";
import { telegram } from "./telegram.ts";

const { env } = process;
const bot = new Bot(env.TELEGRAM_TOKEN ?? "", {
  client: { apiRoot: env.TELEGRAM_API_URL ?? "https://api.telegram.org" },
});
const mapper = new SessionMapper({
  agents: {
    helper: coze({
      appId: env.COZE_APP_ID ?? "",
      keyId: env.COZE_KEY_ID ?? "",
      privateKey: env.COZE_PRIVATE_KEY ?? "",
      botId: env.COZE_BOT_ID ?? "",
      baseURL: env.COZE_BASE_URL ?? "https://api.coze.cn",
    }),
  },
  store: await openStore(env.APARTE_STORE ?? "sqlite:./telegram.db"),
  secret: env.APARTE_SECRET ?? "",
});
mapper.connect(telegram(bot.api));

/** What is said in private is never part of a group's session. Telegram tells the person's language. */
function speakerOf({ chat, from, msg }: Context): Speaker {
  const { id = 0, type } = chat ?? {};
  const thread = msg?.message_thread_id;
  return {
    platform: "telegram",
    user: `${from?.id ?? ""}`,
    channel: `${id}`,
    ...(type === "private" ? { direct: true } : { tenant: `${id}` }),
    ...(thread === undefined ? {} : { thread: `${thread}` }),
    ...(from?.language_code === undefined ? {} : { locale: from.language_code }),
  };
}

bot.command("reset", async (context) => {
  const speaker = speakerOf(context);
  await mapper.reset(speaker);
  await context.reply(mapper.texts(speaker)("begun-anew"));
});

// grammY confirms an update when its handler has ended: this one ends when the message is recorded.
bot.on("message:text", async (context) => {
  const { chat, msg, update } = context;
  const thread = msg.message_thread_id;
  await mapper.receive({
    ...speakerOf(context),
    id: `${update.update_id}`,
    text: msg.text,
    replyTo: { chat: chat.id, ...(thread === undefined ? {} : { thread }) },
  });
});

bot.catch(({ error }) => console.error(error instanceof Error ? error.message : error));
process.once("SIGTERM", async () => {
  await bot.stop();
  await mapper.close();
});
await bot.start({ onStart: () => console.log("ready") });
