// A bot on Vercel's Chat SDK, whose people get a conversation each: the SDK brings the platforms, aparte the isolation.

import { createMemoryState } from "@chat-adapter/state-memory";
import { createTelegramAdapter } from "@chat-adapter/telegram";
import { AparteError, openStore, type Reply, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { Chat, type Message, type Thread } from "chat";

const { env } = process;
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
  store: await openStore(env.APARTE_STORE ?? "sqlite:./chat.db"),
  secret: env.APARTE_SECRET ?? "",
});

const chat = new Chat({
  userName: "helper",
  adapters: {
    telegram: createTelegramAdapter({
      botToken: env.TELEGRAM_TOKEN ?? "",
      ...(env.TELEGRAM_API_URL === undefined ? {} : { apiUrl: env.TELEGRAM_API_URL }),
      mode: "polling",
      longPolling: { timeout: 10, retryDelayMs: 100 },
    }),
  },
  state: createMemoryState(),
  // aparte keeps the order of each person's messages, across threads and processes.
  concurrency: "concurrent",
  logger: "error",
});

/** The words of a reply as they come, for the SDK to show; where there is no answer, why. */
async function* words(reply: Reply): AsyncGenerator<string> {
  try {
    yield* reply.textStream;
  } catch (error) {
    yield error instanceof AparteError ? error.say : "Something went wrong.";
  }
}

const answer = async (thread: Thread, message: Message): Promise<void> => {
  const reply = mapper.handle({
    platform: thread.adapter.name,
    tenant: thread.isDM ? "" : thread.channelId,
    user: message.author.userId,
    channel: thread.channelId,
    thread: thread.id,
    id: message.id,
    text: message.text,
  });
  // False for an event that was delivered twice: it has its answer already.
  if (await reply.taken) await thread.post(words(reply));
};

chat.onDirectMessage(answer);
chat.onNewMention(answer);

process.once("SIGTERM", async () => {
  await chat.shutdown();
  await mapper.close();
  process.exit(0);
});
await chat.initialize();
console.log("ready");
