import { Assistant } from "@slack/bolt";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { StoredMessage } from "../../fakes/slack-server.ts";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

/** A store whose commits wait until they are let through. */
function slowStore() {
  const store = memoryStore();
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  return {
    open,
    isAsked,
    store: {
      ...store,
      commit: async (commit: Parameters<typeof store.commit>[0]) => {
        asked();
        await opened;
        return store.commit(commit);
      },
    },
  };
}

it.each([
  [
    "processBeforeResponse",
    { processBeforeResponse: true },
    [expect.stringContaining("processBeforeResponse")],
  ],
  ["nothing", {}, []],
])("slack says at attach that %s makes Slack wait", async (_, app, told) => {
  const server = await startServer();
  const bot = await startBot(server, { app });
  await settled(bot);
  expect(bot.appLog).toEqual(told);
});

describe.each([
  { mode: "over HTTP", isSocket: false },
  { mode: "in Socket Mode", isSocket: true },
])("slack hears $mode that a message came", ({ isSocket }) => {
  it("when it is recorded", async () => {
    const server = await startServer();
    const { store, open, isAsked } = slowStore();
    const bot = await startBot(server, { isSocket, store });
    let isAcknowledged = false;
    const said = server.say("U1", "hi", { channel: server.direct }).then(() => {
      isAcknowledged = true;
    });
    await isAsked;
    await new Promise(setImmediate);
    expect(isAcknowledged).toBe(false);
    open();
    await said;
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
  });

  it("also of what is not for the bot, and while a listener of the app is slow", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    bot.app.message(async () => ended);
    await server.say("U1", "not for the bot");
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    end();
    await settled(bot);
  });

  it("and of what another middleware keeps to itself, which the log tells once", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    await server.say("UBOT", "my own words", { channel: server.direct, event: { bot_id: "B1" } });
    expect(bot.appLog).toEqual([]);
    bot.app.use(async () => {});
    await server.say("U1", "one", { channel: server.direct });
    await server.say("U1", "two", { channel: server.direct });
    await settled(bot);
    expect(bot.messages).toEqual([]);
    expect(bot.appLog.filter((line) => line.includes("aparte was not given a message"))).toHaveLength(1);
  });
});

describe("slack", () => {
  it.each([
    ["message", "hi", 'You say "hi" after nothing.'],
    ["command", "!new", "I have forgotten what we talked about."],
  ])("sends a %s again whose process ended before it was recorded, or done", async (_, text, answer) => {
    const server = await startServer();
    const { store, isAsked } = slowStore();
    const first = await startBot(server, { isSocket: true, store, mapper: { storeTimeout: 60_000 } });
    const said = server.say("U1", text, { channel: server.direct });
    await isAsked;
    const second = await startBot(server, { isSocket: true });
    await first.app.stop();
    await said;
    await shows(server, answer);
    await settled(second);
    await first.mapper.close({ drainTimeout: 1 });
  });

  it("sends a message again that came while the mapper closed, whose person is told nothing", async () => {
    const server = await startServer();
    const first = await startBot(server, { isSocket: true });
    const heard = new Promise<void>((resolve) => {
      first.app.event("message", async () => resolve());
    });
    await first.mapper.close();
    const said = server.say("U1", "hi", { channel: server.direct });
    await heard;
    const second = await startBot(server, { isSocket: true });
    await first.app.stop();
    await said;
    await shows(server, 'You say "hi" after nothing.');
    await settled(second);
    expect(server.shown()).toHaveLength(1);
  });

  it.each(["a command", "a shortcut", "a button"] as const)(
    "hears of %s when it is done, so that it fails before the person's eyes where the process dies",
    async (what) => {
      const server = await startServer();
      const { store, open, isAsked } = slowStore();
      const bot = await startBot(server, { store });
      const post = { channel: "C1", ts: server.ts(), shown: "one" } as StoredMessage;
      let isAcknowledged = false;
      const given = {
        "a command": () => server.command("U1", "/agent", "new"),
        "a shortcut": () => server.shortcut("U1", post, "aparte_new"),
        "a button": () => server.press("U1", post, "aparte_new", "new"),
      }
        [what]()
        .then(() => {
          isAcknowledged = true;
        });
      await isAsked;
      await new Promise(setImmediate);
      expect(isAcknowledged).toBe(false);
      open();
      await given;
      await server.next("respond");
      await settled(bot);
    },
  );

  it("hears of a command in time that takes long, and the person when it is done", async () => {
    const server = await startServer();
    const { store, open } = slowStore();
    const bot = await startBot(server, { store });
    await server.command("U1", "/agent", "new");
    await server.say("U1", "!new", { channel: server.direct });
    expect(server.calls.filter(({ method }) => /respond|post/.test(method))).toEqual([]);
    open();
    await server.next("respond");
    await server.next("chat.postMessage");
    await settled(bot);
  });

  it("keeps a thread's messages to its Assistant, which the log tells", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    bot.app.assistant(new Assistant({ threadStarted: async () => {}, userMessage: async () => {} }));
    await server.say("U1", "hi", { channel: server.direct, thread: "1789.1" });
    await settled(bot);
    expect(bot.appLog.join()).toContain("app.assistant");
  });
});
