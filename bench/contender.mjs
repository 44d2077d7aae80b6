import { subscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryState } from "@chat-adapter/state-memory";
import { createRedisState } from "@chat-adapter/state-redis";
import { sequentialize } from "@grammyjs/runner";
import { ActivityTypes, ConversationState, MemoryStorage, TestAdapter } from "botbuilder";
import { Chat, Message, parseMarkdown } from "chat";
import { Bot, session } from "grammy";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { instantAgent } from "./agent.mjs";
import { median } from "./measure.mjs";

// One of the contenders, alone in its process as it would be in a bot: told how many turns to run, it answers with the
// median of the microseconds. On Redis they are those of whole turns, otherwise those until the agent is asked.
const redis = process.argv[3];
const folder = mkdtempSync(join(tmpdir(), "aparte-bench-"));
const contenders = {
  memory: async () => aparte(await openStore("memory:")),
  sqlite: async () => aparte(await openStore(`sqlite:${join(folder, "bench.db")}`)),
  grammy,
  botbuilder,
  "chat-drop": () => vercelChat("drop"),
  "chat-queue": () => vercelChat("queue"),
  redis: async () => aparte(await openStore(redis)),
  "chat-queue-redis": () => vercelChat("queue", createRedisState({ url: redis, logger: silent })),
};
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
const run = await contenders[process.argv[2]]();
process.on("message", async (turns) => process.send(await run(turns)));
process.on("disconnect", () => process.exit());
process.on("exit", () => rmSync(folder, { recursive: true }));
process.send("ready");

function aparte(store) {
  let asked = 0;
  const backend = instantAgent(() => {
    asked = performance.now();
  });
  const mapper = new SessionMapper({
    agents: { helper: backend },
    store,
    secret: "a secret for the benchmark",
  });
  let ended = () => {};
  if (redis !== undefined) subscribe("aparte:turn:end", () => ended());
  let id = 0;
  return async (turns) => {
    const times = [];
    for (let turn = 0; turn < turns; turn += 1) {
      id += 1;
      const whole = redis === undefined ? undefined : new Promise((resolve) => (ended = resolve));
      const from = performance.now();
      const reply = mapper.handle({
        id: `m${id}`,
        platform: "web",
        tenant: "t",
        user: `u${turn % 100}`,
        text: "hi",
      });
      await reply.text();
      await whole;
      times.push(((whole === undefined ? asked : performance.now()) - from) * 1_000);
    }
    return median(times);
  };
}

function grammy() {
  let asked = 0;
  const bot = new Bot("1:token", {
    botInfo: { id: 1, is_bot: true, first_name: "b", username: "b", can_join_groups: true },
  });
  const getSessionKey = (context) => `${context.chat?.id}:${context.from?.id}`;
  bot.use(sequentialize(getSessionKey));
  bot.use(session({ initial: () => ({ conversation: "conversation" }), getSessionKey }));
  bot.on("message", (context) => {
    if (context.session.conversation === "conversation") asked = performance.now();
  });
  let id = 0;
  return async (turns) => {
    const times = [];
    for (let turn = 0; turn < turns; turn += 1) {
      id += 1;
      const person = { id: turn % 100, is_bot: false, first_name: "p" };
      const message = {
        message_id: id,
        date: 1,
        chat: { id: 1, type: "group", title: "g" },
        from: person,
        text: "hi",
      };
      const from = performance.now();
      await bot.handleUpdate({ update_id: id, message });
      times.push((asked - from) * 1_000);
    }
    return median(times);
  };
}

function botbuilder() {
  let asked = 0;
  const state = new ConversationState(new MemoryStorage());
  const known = state.createProperty("agent");
  const adapter = new TestAdapter(async (context) => {
    const { conversation } = await known.get(context, { conversation: "conversation" });
    if (conversation === "conversation") asked = performance.now();
    await state.saveChanges(context);
  });
  return async (turns) => {
    const times = [];
    for (let turn = 0; turn < turns; turn += 1) {
      const from = performance.now();
      await adapter.receiveActivity({
        type: ActivityTypes.Message,
        text: "hi",
        channelId: "test",
        from: { id: `u${turn % 100}`, name: "p" },
        conversation: { id: `c${turn % 100}` },
      });
      times.push((asked - from) * 1_000);
    }
    return median(times);
  };
}

async function vercelChat(concurrency, state = createMemoryState()) {
  let asked = 0;
  const adapter = {
    name: "bench",
    userName: "bot",
    initialize: async () => {},
    encodeThreadId: (thread) => thread,
    decodeThreadId: (id) => id,
    channelIdFromThreadId: (id) => id.split(":").slice(0, 2).join(":"),
    isDM: () => true,
    startTyping: async () => {},
    fetchThread: async (id) => ({ id, channelId: id, metadata: {} }),
    renderFormatted: () => "",
  };
  const chat = new Chat({
    userName: "bot",
    adapters: { bench: adapter },
    state,
    concurrency,
    logger: silent,
  });
  chat.onDirectMessage(async (thread) => {
    const state = await thread.state;
    if (state?.conversation === "conversation") asked = performance.now();
    else await thread.setState({ conversation: "conversation" });
  });
  await chat.initialize();
  let id = 0;
  return async (turns) => {
    const times = [];
    for (let turn = 0; turn < turns; turn += 1) {
      id += 1;
      const threadId = `bench:c${turn % 100}:t`;
      const message = new Message({
        id: `m${id}`,
        threadId,
        text: "hi",
        formatted: parseMarkdown("hi"),
        raw: {},
        author: { userId: `u${turn % 100}`, userName: "p", fullName: "p", isBot: false, isMe: false },
        metadata: { dateSent: new Date(), edited: false },
        attachments: [],
      });
      asked = 0;
      const from = performance.now();
      await chat.handleIncomingMessage(adapter, threadId, message);
      if (asked > 0) times.push(((redis === undefined ? asked : performance.now()) - from) * 1_000);
    }
    return median(times);
  };
}
