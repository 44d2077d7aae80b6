import { AparteError } from "aparte";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { remembering, Speech } from "../agent.ts";
import { count, mention, settled, shows, startBot, startServer } from "./bot.ts";

describe("when something fails on Slack", () => {
  it("tells the person briefly, with the reference that the log has", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    await server.say("U1", `${mention(server)} my words`);
    const failure = new AparteError("backend-unavailable", "The service is down. Try later.");
    speech.say("I was about");
    speech.end(failure);
    await shows(server, `I was about\n\n${failure.say}`);
    await settled(bot);
    expect(bot.log.join("\n")).toContain(failure.reference);
    expect(bot.log.join("\n")).not.toContain("my words");
  });

  it.each(["dropped", "unavailable"] as const)("finds a post whose answer was %s", async (lost) => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "chat.postMessage", lost });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
  });

  it("finds a post whose answer was lost while the rest of it comes", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer, slack: { stream: "edit" } });
    server.fail({ method: "chat.postMessage", lost: "dropped" });
    await server.say("U1", "hi", { channel: server.direct });
    speech.say("One. ");
    await shows(server, "One. ");
    speech.say("Two.");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "One. Two." }]);
  });

  it.each([undefined, "1789.1"])(
    "finds what the application said of its own accord, and shows the bot at work only in threads (%s)",
    async (thread) => {
      const server = await startServer();
      const bot = await startBot(server, { slack: { agentView: true } });
      server.fail({ method: "chat.postMessage", lost: "dropped" });
      const ann = { platform: "slack", tenant: "T1", user: "U1", channel: "C1" };
      await bot.mapper.send({ ...ann, ...(thread === undefined ? {} : { thread }) }, "Your report is ready.");
      await settled(bot);
      expect(server.shown()).toMatchObject([{ shown: "Your report is ready.", thread }]);
      const told = server.calls.filter(({ method }) => method.endsWith(".setStatus"));
      const threads = told.map(({ body }) => body.thread_ts);
      expect(new Set(threads)).toEqual(new Set(thread === undefined ? [] : [thread]));
    },
  );

  it("posts once also where the app's client would repeat its calls", async () => {
    const server = await startServer();
    const bot = await startBot(server, { app: { clientOptions: { slackApiUrl: server.apiUrl } } });
    server.fail({ method: "chat.postMessage", lost: "unavailable" });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
  });

  it("shows the latest text after a rate limit", async () => {
    const server = await startServer();
    const speech = new Speech();
    await startBot(server, { answer: speech.answer });
    await server.say("U1", "hi", { channel: server.direct });
    speech.say("one ");
    await server.next("chat.postMessage");
    server.fail({ method: "chat.update", retryAfter: 1 });
    speech.say("two ");
    expect((await server.next("chat.update")).result).toBe("ratelimited");
    speech.say("three ");
    expect((await server.next("chat.update")).body.text).toBe("one two three ");
    speech.end();
  });

  it("posts the whole answer when it is not known whether its stream began", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.fail({ method: "chat.startStream", lost: "unavailable" });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await server.next("chat.postMessage");
    speech.say("Two.");
    speech.end();
    await settled(bot);
    expect(count(server, "chat.startStream")).toBe(1);
    // Nor does the stream stay that began without our hearing of it.
    expect(server.shown()).toMatchObject([{ shown: "One. Two.", isStreaming: false }]);
  });

  it("leaves no stream behind that began without our hearing of it, also where the next try fails, too", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.fail({ method: "chat.startStream", lost: "dropped" });
    server.fail({ method: "chat.postMessage", status: 503, times: 2 });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await server.next("chat.postMessage");
    // Not the beginning of the answer.
    speech.event({ type: "message", text: "Two." });
    speech.end();
    await shows(server, "Two.");
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "Two.", isStreaming: false }]);
    expect(count(server, "chat.startStream")).toBe(1);
  });

  it("never takes another person's stream for a lost one of its own", async () => {
    const server = await startServer();
    const ann = new Speech();
    const bob = new Speech();
    const bot = await startBot(server, {
      answer: (turn, memory) => (turn.text === "I am Ann" ? ann : bob).answer(turn, memory),
    });
    const inThread = { thread: "1789.5" };
    await server.say("U2", `${mention(server)} I am Bob`, inThread);
    bob.say("Hello ");
    await server.next("chat.startStream");
    server.fail({ method: "chat.startStream", refused: true });
    await server.say("U1", `${mention(server)} I am Ann`, inThread);
    ann.say("Hello ");
    await server.next("chat.postMessage");
    bob.say("Bob");
    ann.say("Ann");
    for (const speech of [bob, ann]) speech.end();
    await settled(bot);
    expect(server.shown().map(({ shown }) => shown)).toEqual(["Hello Bob", "Hello Ann"]);
  });

  it("tells the person once that the store is away, and answers when it is back", async () => {
    const server = await startServer();
    const store = memoryStore();
    let isAway = true;
    const bot = await startBot(server, {
      store: {
        ...store,
        commit: async (commit) => {
          if (isAway) throw new AparteError("store-failed", "The store is away.");
          return store.commit(commit);
        },
      },
      mapper: { storeTimeout: 1_000 },
    });
    await server.say("U1", `${mention(server)} hi`);
    await server.next("assistant.threads.setStatus", ({ body }) => (body.status ?? "") === "");
    expect(server.shown().map(({ shown }) => shown)).toEqual([
      expect.stringMatching(/^I cannot reach my memory right now\. .* \(ref [A-Z0-9]{8}\)$/),
    ]);
    isAway = false;
    await server.say("U1", `${mention(server)} again`);
    await shows(server, 'You say "again" after nothing.');
    await settled(bot);
  });

  it("shows the whole answer however often Slack says that there were too many calls", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "chat.postMessage", retryAfter: 0, times: 11 });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
  });

  it("waits for no room to begin a stream", async () => {
    const server = await startServer();
    const first = new Speech();
    const second = new Speech();
    const bot = await startBot(server, {
      answer: (turn, memory) => (turn.text === "one" ? first : second).answer(turn, memory),
    });
    server.fail({ method: "chat.startStream", retryAfter: 60 });
    await server.say("U1", `${mention(server)} one`);
    first.say("One. ");
    await shows(server, "One. ");
    await server.say("U2", `${mention(server)} two`);
    second.say("Two. ");
    await server.next("chat.startStream", ({ result }) => result === "");
    for (const speech of [first, second]) speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "One. " }, { shown: "Two. ", wasStream: true }]);
  });

  it("keeps no complete answer waiting for the drafts of others", async () => {
    const server = await startServer();
    const people = Array.from({ length: 10 }, (_, person) => `D${person}`);
    let isOver = () => {};
    const over = new Promise<void>((resolve) => {
      isOver = resolve;
    });
    const bot = await startBot(server, {
      slack: { editInterval: 500 },
      answer: async function* ({ text }) {
        yield { type: "text", delta: "One " };
        await over;
        yield { type: "message", text: `One answer to ${text}` };
      },
    });
    await Promise.all(people.map((channel) => server.say(`U${channel}`, channel, { channel })));
    await server.next("chat.postMessage");
    isOver();
    for (const channel of people) await shows(server, `One answer to ${channel}`, channel);
    await settled(bot);
  });

  it("keeps no turn waiting for the status line, and tells there only the latest", async () => {
    const server = await startServer();
    const speech = new Speech();
    server.fail({ method: "assistant.threads.setStatus", until: new Promise(() => {}) });
    const bot = await startBot(server, {
      answer: (turn, memory) => (turn.text === "hi" ? speech.answer : remembering)(turn, memory),
    });
    await server.say("U1", "hi", { channel: server.direct });
    for (const text of ["Looking", "Reading", "Counting"]) speech.event({ type: "status", text });
    await server.next("assistant.threads.setStatus", ({ body }) => body.status === "Counting");
    speech.say("Three.");
    speech.end();
    await server.say("U1", "more", { channel: server.direct });
    await shows(server, 'You say "more" after hi.');
    await settled(bot);
    const told = server.calls.filter(({ method }) => method === "assistant.threads.setStatus");
    const texts = told.map(({ body }) => body.status);
    expect(texts.slice(0, 2)).toEqual(["is thinking…", "Counting"]);
    for (const overtaken of ["Looking", "Reading"]) expect(texts).not.toContain(overtaken);
  });

  it("posts again what did not arrive", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "chat.postMessage", refused: true });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
  });

  it.each([
    ["was lost", { lost: "dropped" }],
    ["was carried out, and answered by 503", { lost: "unavailable" }],
    ["did not arrive", { refused: true }],
    ["Slack refuses", { error: "msg_too_long" }],
    ["Slack calls its own failure", { error: "internal_error" }],
  ] as const)("shows all of a stream whose append %s, while it grows", async (_, fault) => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    server.fail({ method: "chat.appendStream", ...fault });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await server.next("chat.startStream");
    speech.say("Two. ");
    await shows(server, "One. Two. ");
    speech.say("Three.");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "One. Two. Three.", isStreaming: false }]);
  });

  it("answers also without a status line", async () => {
    const server = await startServer();
    await startBot(server);
    server.fail({ method: "assistant.threads.setStatus", error: "missing_scope", times: 9 });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
  });

  it("logs what Slack does not take, and goes on with the next message", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "chat.postMessage", error: "channel_not_found" });
    await server.say("U1", "one", { channel: server.direct });
    expect((await server.next("chat.postMessage")).result).toBe("channel_not_found");
    await server.say("U1", "two", { channel: server.direct });
    const isTold = ({ shown }: { shown: string }) =>
      shown.startsWith("My last answer could not be delivered.") &&
      shown.endsWith('You say "two" after one.');
    await server.until(() => server.shown().some(isTold));
    await settled(bot);
    const told = bot.log.filter((line) => line.startsWith("an answer could not be delivered"));
    expect(told).toEqual([expect.stringContaining('"reason":"channel_not_found"')]);
  });
});
