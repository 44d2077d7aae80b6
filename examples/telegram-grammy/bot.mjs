// A Telegram bot with grammY. Every person has a private conversation of their own, and one in each group.
import { cut, openStore, ReplyText, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { Bot } from "grammy";

const { env } = process;
const bot = new Bot(env.TELEGRAM_TOKEN, {
  client: { apiRoot: env.TELEGRAM_API_URL ?? "https://api.telegram.org" },
});
const mapper = new SessionMapper({
  agents: {
    helper: coze({
      appId: env.COZE_APP_ID,
      keyId: env.COZE_KEY_ID,
      privateKey: env.COZE_PRIVATE_KEY,
      botId: env.COZE_BOT_ID,
      baseURL: env.COZE_BASE_URL ?? "https://api.coze.cn",
    }),
  },
  store: await openStore(env.APARTE_STORE ?? "sqlite:./telegram.db"),
  secret: env.APARTE_SECRET,
});

const messageLength = 4096;
const editPauseMs = 1500;

mapper.connect({
  platform: "telegram",
  // Works from the message alone: when this process dies, the next one goes on with the reply.
  async deliver({ replyTo }, delivery) {
    const text = new ReplyText();
    const shown = [];
    let posts;
    const show = async () => {
      posts ??= [...(delivery.posts ?? [])];
      for (const [index, part] of cut(text.text, messageLength).entries()) {
        if (shown[index] === part) continue;
        await delivery.permit();
        if (posts[index] === undefined) {
          const { message_id } = await bot.api.sendMessage(replyTo.chat, part, {
            message_thread_id: replyTo.thread,
          });
          posts[index] = message_id;
          delivery.posted([...posts]);
        } else {
          // Telegram refuses an edit that changes nothing; an earlier process may have made it.
          await bot.api.editMessageText(replyTo.chat, posts[index], part).catch((error) => {
            if (!error.description?.includes("not modified")) throw error;
          });
        }
        shown[index] = part;
      }
    };
    let editAt = 0;
    try {
      for await (const event of delivery) {
        text.add(event);
        if (text.text === "" || performance.now() < editAt) continue;
        await show();
        editAt = performance.now() + editPauseMs;
      }
    } catch (error) {
      text.fail(error);
    }
    await show();
  },
});

/** What is said in private is never part of a group's session. */
const speakerOf = ({ chat, from, msg }) => ({
  platform: "telegram",
  ...(chat.type === "private" ? { direct: true } : { tenant: `${chat.id}` }),
  user: `${from.id}`,
  channel: `${chat.id}`,
  ...(msg.message_thread_id === undefined ? {} : { thread: `${msg.message_thread_id}` }),
});

bot.command("reset", async (context) => {
  await mapper.reset(speakerOf(context));
  await context.reply("Let's start over.");
});

// grammY confirms an update when its handler has ended: this one ends when the message is recorded.
bot.on("message:text", async (context) => {
  const { chat, msg, update } = context;
  await mapper.receive({
    ...speakerOf(context),
    id: `${update.update_id}`,
    text: msg.text,
    replyTo: {
      chat: chat.id,
      ...(msg.message_thread_id === undefined ? {} : { thread: msg.message_thread_id }),
    },
  });
});

bot.catch(({ error }) => console.error(error.message));
process.once("SIGTERM", async () => {
  await bot.stop();
  await mapper.close();
});
await bot.start({ onStart: () => console.log("ready") });
