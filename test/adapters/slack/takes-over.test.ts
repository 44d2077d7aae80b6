import { App, type AppOptions, webApi } from "@slack/bolt";
import { AparteError, type Message, SessionMapper } from "aparte";
import { slack } from "aparte/slack";
import { describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { SlackServer } from "../../fakes/slack-server.ts";
import { deliveryOf } from "../../support/delivery.ts";
import { backend, remembering, Speech } from "../agent.ts";
import { count, endings, mention, secret, shows, startBot, startServer } from "./bot.ts";

describe("slack delivers for a process that died", () => {
  const question: Message = {
    ...{ platform: "slack", tenant: "T1", user: "U1", id: "x", text: "hi" },
    replyTo: {
      ...{ workspace: "T1", channel: "C1", ts: "1789.1", thread: "1789.1", user: "U1", userTeam: "T1" },
    },
  };

  async function delivery(earlier: (server: SlackServer) => unknown, isHeld = true) {
    const server = await startServer();
    const bot = await startBot(server);
    const { delivery, log } = deliveryOf({ posts: earlier(server), isLost: !isHeld });
    log.push({ type: "message", text: "The answer." });
    log.end();
    const delivered = bot.adapter.deliver(question, delivery);
    if (isHeld) await delivered;
    else await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
    return server;
  }

  it.each([undefined, {}, { posts: [{ streams: true }] }])(
    "with what the message kept alone (%o)",
    async (kept) => {
      const server = await delivery(() => kept);
      expect(server.shown()).toMatchObject([{ shown: "The answer.", thread: "1789.1", isStreaming: false }]);
    },
  );

  it("in the message that was begun, also when that was a stream", async () => {
    const server = await delivery((slackServer) => {
      const message = { channel: "C1", thread: "1789.1", shown: "The", text: "", metadata: undefined };
      slackServer.messages.set("1", { ...message, ts: "1", isStreaming: true, wasStream: true });
      return { posts: [{ ts: "1", streams: true }] };
    });
    expect(server.shown()).toMatchObject([{ ts: "1", shown: "The answer.", isStreaming: false }]);
  });

  it("in the posts that it made and could not keep before it died", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const replyTo = { workspace: "T1", channel: "D1", ts: "1789.1", user: "U1", userTeam: "T1" };
    const long = "All of it. ".repeat(1_200).trim();
    for (const [isResumed, text] of [
      [false, long],
      [true, long],
      [true, `${long} And more.`],
    ] as const) {
      const { delivery, log } = deliveryOf({ isRepeated: isResumed });
      log.push({ type: "message", text });
      log.end();
      await adapter.deliver({ ...question, replyTo }, delivery);
      expect(server.shown()).toHaveLength(2);
    }
    expect(server.shown().at(-1)?.shown).toMatch(/And more\.$/);
  });

  const orphan = (server: SlackServer, ts: string, shown: string, channel = "C1") =>
    server.messages.set(ts, {
      ...{ channel, thread: "1789.1", ts, shown, text: "", metadata: undefined },
      ...{ isStreaming: true, wasStream: true },
    });

  it("and takes away the stream that it began and could not keep before it died", async () => {
    const server = await delivery((slackServer) => {
      orphan(slackServer, "1", "The ");
      orphan(slackServer, "2", "Another answer");
      return { posts: [] };
    });
    expect(server.shown().map(({ shown }) => shown)).toEqual(["Another answer", "The answer."]);
  });

  it("but no stream of which it is not certain whose it is", async () => {
    const server = await delivery((slackServer) => {
      orphan(slackServer, "1", "The ");
      orphan(slackServer, "2", "The answer");
      return { posts: [] };
    });
    expect(server.shown().map(({ shown }) => shown)).toEqual(["The ", "The answer", "The answer."]);
  });

  it("and takes away any other stream of a direct message's thread, where nobody else is answered", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    orphan(server, "1", "What it said first", "D1");
    orphan(server, "2", "of another place");
    const { delivery, log } = deliveryOf({ isRepeated: true });
    log.push({ type: "message", text: "The answer." });
    log.end();
    const replyTo = { ...(question.replyTo as object), channel: "D1" };
    await bot.adapter.deliver({ ...question, replyTo }, delivery);
    expect(server.shown().map(({ shown }) => shown)).toEqual(["of another place", "The answer."]);
  });

  it("and takes away the stream also where another message of the answer, or another answer, says its words", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const long = `${"All of it. ".repeat(1_000)}And the second.`;
    for (const [channel, shown, event] of [
      ["C1", "And the", { type: "message", text: long }],
      ["D1", "One. ", { type: "notice", code: "interrupted", text: "Another reply says it." }],
    ] as const) {
      orphan(server, channel, shown, channel);
      const { delivery, log } = deliveryOf({ isRepeated: true });
      log.push(event);
      log.end();
      const replyTo = { ...(question.replyTo as object), channel };
      await adapter.deliver({ ...question, replyTo }, delivery);
    }
    expect(server.shown().filter(({ isStreaming }) => isStreaming)).toEqual([]);
    expect(server.shown("C1").at(-1)?.shown).toBe("And the second.");
    expect(server.shown("D1")).toEqual([]);
  });

  it("by a post that grows by edits, which bears a mark from the beginning", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const { delivery, log } = deliveryOf({ isRepeated: true });
    const delivered = adapter.deliver(question, delivery);
    log.push({ type: "text", delta: "One. " });
    await server.next("chat.postMessage");
    log.push({ type: "text", delta: "Two." });
    log.end();
    await delivered;
    expect(server.shown()).toMatchObject([{ shown: "One. Two.", wasStream: false }]);
  });

  it("and leaves alone what a third one said that could not take the message", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const replyTo = { workspace: "T1", channel: "D1", ts: "1789.1", user: "U1", userTeam: "T1" };
    const refusal = deliveryOf({ isTaken: false });
    refusal.log.fail(new AparteError("store-failed", "The store is away."));
    await adapter.deliver({ ...question, replyTo }, refusal.delivery);
    const answer = deliveryOf({ isRepeated: true });
    answer.log.push({ type: "message", text: "The answer." });
    answer.log.end();
    await adapter.deliver({ ...question, replyTo }, answer.delivery);
    expect(server.shown().map(({ shown }) => shown)).toEqual([
      expect.stringContaining("I cannot reach my memory right now"),
      "The answer.",
    ]);
  });

  it("by edits from when the stream would soon end by itself", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const { delivery, log: source } = deliveryOf();
    const delivered = adapter.deliver(question, delivery);
    source.push({ type: "text", delta: "one " });
    await server.next("chat.startStream");
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 250_000);
    endings.push(() => clock.mockRestore());
    source.push({ type: "text", delta: "two " });
    await server.next("chat.stopStream");
    await shows(server, "one two ");
    source.push({ type: "text", delta: "three" });
    source.end();
    await delivered;
    expect(server.shown()).toMatchObject([{ shown: "one two three", isStreaming: false }]);
    expect(count(server, "chat.appendStream")).toBe(0);
  });

  it("by the mapper that takes the turn over, in the message that was begun", async () => {
    const server = await startServer();
    const store = memoryStore();
    const speech = new Speech();
    const mapper = { leaseTime: 400 };
    const first = await startBot(server, { store, mapper, answer: speech.answer });
    await server.say("U1", `${mention(server)} tell me`);
    speech.say("Half of");
    await shows(server, "Half of");
    // Its lease is renewed no more; where the reply was posted has been written down.
    await first.mapper.close({ drainTimeout: 300 });
    await startBot(server, { store, mapper });
    await shows(server, /^My answer to this message was lost/);
    expect(server.shown()).toMatchObject([{ isStreaming: false }]);
  });

  const answered = () => {
    const { delivery, log } = deliveryOf();
    log.push({ type: "message", text: "The answer." });
    log.end();
    return delivery;
  };

  it("with the workspace's own client, in an app that has several workspaces", async () => {
    const server = await startServer();
    const authorize = async () => ({ botToken: "xoxb-another", botUserId: server.botUserId, botId: "B1" });
    const asked: string[] = [];
    const client = (tenant: string) => {
      asked.push(tenant);
      return new webApi.WebClient(server.token, { slackApiUrl: server.apiUrl });
    };
    const app = { token: undefined, authorize } as unknown as AppOptions;
    const bot = await startBot(server, { app, slack: { client } });
    await bot.adapter.deliver(question, answered());
    expect(asked).toEqual(["T1"]);
    expect(server.shown()).toMatchObject([{ shown: "The answer." }]);
  });

  it.each([
    ["a workspace", { workspace: "T1", team: "T1", enterprise: "E1" }, false],
    ["an organisation", { workspace: "E1", team: "T1", enterprise: "E1" }, true],
  ])("with the token that the app itself gives for %s", async (_, installation, isEnterpriseInstall) => {
    const server = await startServer();
    const asked: object[] = [];
    const authorize = async (source: object) => {
      asked.push(source);
      return { botToken: server.token, botUserId: server.botUserId, botId: "B1" };
    };
    const bot = await startBot(server, { app: { token: undefined, authorize } as unknown as AppOptions });
    const replyTo = { ...(question.replyTo as object), ...installation };
    await bot.adapter.deliver({ ...question, replyTo }, answered());
    expect(asked).toEqual([{ teamId: "T1", enterpriseId: "E1", isEnterpriseInstall }]);
    expect(server.shown()).toMatchObject([{ shown: "The answer." }]);
  });

  it("with the token that the app gives by then", async () => {
    const server = await startServer();
    let botToken = "xoxb-of-yesterday";
    const authorize = async () => ({ botToken, botUserId: server.botUserId, botId: "B1" });
    const bot = await startBot(server, { app: { token: undefined, authorize } as unknown as AppOptions });
    await expect(bot.adapter.deliver(question, answered())).rejects.toThrow("invalid_auth");
    botToken = server.token;
    await bot.adapter.deliver(question, answered());
    expect(server.shown()).toMatchObject([{ shown: "The answer." }]);
  });

  it("not at all, and says so, where the app itself gives no token, or the message no place", async () => {
    const server = await startServer();
    const authorize = async () => ({ botUserId: server.botUserId, botId: "B1" });
    const bot = await startBot(server, { app: { token: undefined, authorize } as unknown as AppOptions });
    const error = await bot.adapter.deliver(question, answered()).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "option-invalid", field: "client" });
    expect(bot.adapter.failure?.(error)).toEqual({ passes: true });
    const { replyTo: _, ...homeless } = question;
    const lost = await bot.adapter
      .deliver(homeless as never, answered())
      .catch((failure: unknown) => failure);
    expect(lost).toMatchObject({ field: "replyTo" });
    expect(bot.adapter.failure?.(lost)).toEqual({ passes: false });
    expect(server.shown()).toEqual([]);
  });

  it("not at all where nobody tells the workspaces' tokens, which is said at once", async () => {
    const server = await startServer();
    const mapper = new SessionMapper({
      ...{ agents: { helper: backend(remembering) }, secret, store: memoryStore() },
    });
    endings.push(() => mapper.close());
    const app = new App({
      ...{ signingSecret: "x", authorize: async () => ({ botId: "B1" }), deferInitialization: true },
      clientOptions: { slackApiUrl: server.apiUrl },
    });
    expect(() => slack(mapper).attach(app)).toThrow(
      expect.objectContaining({ code: "option-invalid", field: "client" }),
    );
  });

  it("and nothing more from when another process holds the reply", async () => {
    const server = await startServer();
    const { adapter } = await startBot(server);
    const { delivery, log: source, lose } = deliveryOf();
    const delivered = adapter.deliver(question, delivery);
    source.push({ type: "text", delta: "one " });
    await server.next("chat.startStream");
    await server.next("assistant.threads.setStatus");
    lose();
    const { length } = server.calls;
    source.push({ type: "text", delta: "two" });
    source.end();
    await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
    expect(server.calls.slice(length)).toEqual([]);
    expect(server.shown()).toMatchObject([{ shown: "one " }]);
  });

  it("and nothing where another process holds the reply", async () => {
    const server = await delivery(() => undefined, false);
    expect(server.shown()).toEqual([]);
    expect(server.calls.every(({ method }) => method === "auth.test")).toBe(true);
  });
});
