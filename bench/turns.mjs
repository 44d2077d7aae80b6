import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryState } from "@chat-adapter/state-memory";
import { sequentialize } from "@grammyjs/runner";
import { ActivityTypes, ConversationState, MemoryStorage, TestAdapter } from "botbuilder";
import { Chat, Message, parseMarkdown } from "chat";
import { Bot, session } from "grammy";
import { openStore, SessionMapper } from "../dist/src/index.js";
import { median, row, sideBySide } from "./measure.mjs";

/**
 * The same job everywhere: a message of a known person comes in; the time until the code that asks the agent
 * runs and has the person's conversation id. In microseconds, median of one run.
 */
export async function benchTurns() {
  const folder = mkdtempSync(join(tmpdir(), "aparte-bench-"));
  const contenders = [
    await aparte("aparte, memory store", await openStore("memory:")),
    await aparte("aparte, SQLite store", await openStore(`sqlite:${join(folder, "bench.db")}`)),
    grammy(),
    botbuilder(),
    await vercelChat("drop"),
    await vercelChat("queue"),
  ];
  const medians = await sideBySide(contenders, { turns: 2_000 });
  const own = medians.get("aparte, memory store");
  for (const [name, micros] of medians) {
    const goal = name.includes("memory store")
      ? "reach: <= 15 µs, and less than the peers"
      : `${(micros / own).toFixed(1)} x`;
    row(`before the agent is asked: ${name}`, `${micros.toFixed(1)} µs`, goal);
  }
  await Promise.all(contenders.map(({ close }) => close?.()));
  rmSync(folder, { recursive: true, force: true });
  return medians;
}

async function aparte(name, store) {
  let asked = 0;
  const backend = {
    name: "bench",
    open: async () => "conversation",
    async *ask() {
      asked = performance.now();
      yield { type: "message", text: "ok" };
    },
  };
  const mapper = new SessionMapper({
    agents: { helper: backend },
    store,
    secret: "a secret for the benchmark",
  });
  let id = 0;
  return {
    name,
    close: () => mapper.close(),
    async run(turns) {
      const times = [];
      for (let turn = 0; turn < turns; turn += 1) {
        id += 1;
        const from = performance.now();
        const reply = mapper.handle({
          id: `m${id}`,
          platform: "web",
          tenant: "t",
          user: `u${turn % 100}`,
          text: "hi",
        });
        await reply.text();
        times.push((asked - from) * 1_000);
      }
      return median(times);
    },
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
  return {
    name: "grammY, session + sequentialize",
    async run(turns) {
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
    },
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
  return {
    name: "botbuilder, ConversationState",
    async run(turns) {
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
    },
  };
}

async function vercelChat(concurrency) {
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
  const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
  const chat = new Chat({
    userName: "bot",
    adapters: { bench: adapter },
    state: createMemoryState(),
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
  return {
    name: `vercel/chat core, ${concurrency}, thread.state`,
    async run(turns) {
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
        if (asked > 0) times.push((asked - from) * 1_000);
      }
      return median(times);
    },
  };
}
