import { AparteError, type Message, type ReplyEvent, SessionMapper } from "aparte";
import { discord } from "aparte/discord";
import { Client, Partials } from "discord.js";
import { describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { DiscordServer } from "../../fakes/discord-server.ts";
import { deliveryOf } from "../../support/delivery.ts";
import { settled } from "../../support/test-clock.ts";
import { backend, remembering, Speech } from "../agent.ts";
import { allIntents, edits, endings, mention, posts, secret, shows, startBot, startServer } from "./bot.ts";

describe("discord delivers for another process", () => {
  const question = (server: DiscordServer): Message => {
    const ann = server.person("ann");
    const messageId = server.say(ann, "asked of a process that died");
    const replyTo = { channelId: server.channelId, messageId };
    return {
      platform: "discord",
      bot: server.bot.id,
      tenant: server.guildId,
      user: ann.id,
      id: messageId,
      text: "?",
      replyTo,
    };
  };
  const reply = (...events: ReplyEvent[]) => {
    const made = deliveryOf();
    for (const event of events) made.log.push(event);
    return made;
  };

  it("and leaves alone what a third one said that could not take the message", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    const refusal = deliveryOf({ isTaken: false });
    refusal.log.fail(new AparteError("store-failed", "The store is away."));
    await bot.adapter.deliver(message, refusal.delivery);
    const answer = reply({ type: "message", text: "The answer." });
    answer.log.end();
    await bot.adapter.deliver(message, answer.delivery);
    expect(server.shown().map(({ content }) => content)).toEqual([
      expect.stringContaining("I cannot reach my memory right now"),
      "The answer.",
    ]);
  });

  it("by the message's replyTo alone", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    const source = reply({ type: "message", text: "Here." });
    source.log.end();
    await bot.adapter.deliver(JSON.parse(JSON.stringify(message)), source.delivery);
    expect(server.shown()[0]?.message_reference?.message_id).toBe(message.id);
    expect(server.calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /gateway/bot",
      `POST /channels/${server.channelId}/messages`,
    ]);
    await expect(
      bot.adapter.deliver({ ...message, replyTo: "elsewhere" }, source.delivery),
    ).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "replyTo" },
    });
  });

  it("into the messages that the other one has posted", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    const first = reply({ type: "text", delta: "word ".repeat(500) });
    const left = bot.adapter.deliver(message, first.delivery);
    await expect
      .poll(() => first.posted())
      .toMatchObject({ posts: [expect.any(String), expect.any(String)] });
    first.lose();
    first.log.push({ type: "text", delta: "and more" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    const second = deliveryOf({ posts: JSON.parse(JSON.stringify(first.posted())) });
    second.log.push({ type: "message", text: "The whole answer." });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    expect(server.shown().map(({ content }) => content)).toEqual(["The whole answer."]);
  });

  it("and opens no direct channel for a late answer that is another one's by then", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    const interaction = { applicationId: server.bot.id, token: "expired", isPrivate: true, canPost: false };
    // An id of 2015: its token has long expired.
    const replyTo = { channelId: server.channelId, messageId: "1000000000000000", interaction };
    const { delivery, log } = deliveryOf({ isLost: true });
    log.push({ type: "message", text: "At last." });
    log.end();
    const late = bot.adapter.deliver({ ...message, replyTo }, delivery);
    await expect(late).rejects.toMatchObject({ code: "lease-lost" });
    expect(server.calls.map(({ path }) => path)).toEqual(["/gateway/bot"]);
  });

  it("into a message whose posting the other one could not note any more", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    const first = reply({ type: "text", delta: "Half of" });
    const left = bot.adapter.deliver(message, first.delivery);
    await shows(server, "Half of");
    first.lose();
    first.log.push({ type: "text", delta: " it" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    const second = reply({ type: "message", text: "Half of the answer, and the rest." });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    expect(server.shown().map(({ content }) => content)).toEqual(["Half of the answer, and the rest."]);
  });

  it("and takes no part of another answer for one of its own, however alike they are", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const [message, other] = [question(server), question(server)];
    const words = "word ".repeat(500).trim();
    const first = reply({ type: "text", delta: `One. ${words.slice(0, 100)}` });
    const left = bot.adapter.deliver(message, first.delivery);
    await expect.poll(() => first.posted()).toMatchObject({ posts: [expect.any(String)] });
    first.lose();
    first.log.push({ type: "text", delta: " and more" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    const others = reply({ type: "message", text: `Two. ${words}` });
    others.log.end();
    await bot.adapter.deliver(other, others.delivery);
    const second = deliveryOf({ posts: JSON.parse(JSON.stringify(first.posted())) });
    second.log.push({ type: "message", text: `One. ${words}` });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    const shown = server.shown().map(({ content }) => content);
    expect(shown.map((content) => content.split(" ")[0])).toEqual(["One.", "Two.", "word", "word"]);
    expect(`${shown[0]} ${shown[3]}`).toBe(`One. ${words}`);
  });

  it("and takes no part of an answer that began before it, and went on between its own parts", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const [other, message] = [question(server), question(server)];
    const words = "word ".repeat(500).trim();
    const others = reply({ type: "text", delta: `Two. ${words.slice(0, 100)}` });
    const going = bot.adapter.deliver(other, others.delivery);
    await expect.poll(() => others.posted()).toMatchObject({ posts: [expect.any(String)] });
    const first = reply({ type: "text", delta: `One. ${words.slice(0, 100)}` });
    const left = bot.adapter.deliver(message, first.delivery);
    await expect.poll(() => first.posted()).toMatchObject({ posts: [expect.any(String)] });
    others.log.push({ type: "message", text: `Two. ${words}` });
    others.log.end();
    await going;
    first.lose();
    first.log.push({ type: "text", delta: " and more" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    const second = deliveryOf({ posts: JSON.parse(JSON.stringify(first.posted())) });
    second.log.push({ type: "message", text: `One. ${words}` });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    const shown = server.shown().map(({ content }) => content);
    expect(shown.map((content) => content.split(" ")[0])).toEqual(["Two.", "One.", "word", "word"]);
    expect(`${shown[1]} ${shown[3]}`).toBe(`One. ${words}`);
  });

  it("into the answer that is there, and not into what a third one said that could not take the message", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    // Two could not take it: the second one finds the message of the first one, and changes it, if only in its second try.
    let posts: unknown;
    for (const code of ["store-failed", "store-timeout", "store-timeout"] as const) {
      const refusal = deliveryOf({ isTaken: false, posts });
      refusal.log.fail(new AparteError(code, "The store is away."));
      await bot.adapter.deliver(message, refusal.delivery);
      if (code === "store-timeout") posts = refusal.posted();
    }
    const first = reply({ type: "text", delta: "Half of" });
    const left = bot.adapter.deliver(message, first.delivery);
    await shows(server, "Half of");
    first.lose();
    first.log.push({ type: "text", delta: " it" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    server.forgetNonces();
    const second = deliveryOf({ isRepeated: true });
    second.log.push({ type: "message", text: "Half of it, and the rest." });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    expect(server.shown().map(({ content }) => content)).toEqual([
      expect.stringContaining("I cannot reach my memory right now"),
      "Half of it, and the rest.",
    ]);
  });

  it("into the message that the other one could not note, behind a further one of another answer", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const other = question(server);
    const others = reply({ type: "text", delta: "word ".repeat(300) });
    const going = bot.adapter.deliver(other, others.delivery);
    await expect.poll(() => others.posted()).toMatchObject({ posts: [expect.any(String)] });
    const message = question(server);
    others.log.push({ type: "message", text: "word ".repeat(500) });
    others.log.end();
    await going;
    const first = reply({ type: "text", delta: "Half of" });
    const left = bot.adapter.deliver(message, first.delivery);
    await shows(server, "Half of");
    first.lose();
    first.log.push({ type: "text", delta: " it" });
    first.log.end();
    await expect(left).rejects.toMatchObject({ code: "lease-lost" });
    server.forgetNonces();
    const second = deliveryOf({ isRepeated: true });
    second.log.push({ type: "message", text: "Half of it, and the rest." });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    expect(server.shown().map(({ content }) => content.slice(0, 29))).toEqual([
      "word ".repeat(6).trim(),
      "word ".repeat(6).trim(),
      "Half of it, and the rest.",
    ]);
  });

  it("and finds what it posted last, behind another answer's words that are the same", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const [other, message] = [question(server), question(server)];
    const words = "word ".repeat(500).trim();
    const said = async (to: Message, text: string) => {
      const made = reply({ type: "message", text });
      made.log.end();
      await bot.adapter.deliver(to, made.delivery);
      return made.posted() as { readonly posts: readonly string[] };
    };
    await said(other, `Two. ${words}`);
    const { posts: made } = await said(message, `One. ${words}`);
    server.forgetNonces();
    // Discord's ids tell by the wall clock how old a post is.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 600_000 });
    endings.push(() => vi.useRealTimers());
    const second = deliveryOf({ posts: { posts: made.slice(0, 1) } });
    second.log.push({ type: "message", text: `One. ${words}` });
    second.log.end();
    await bot.adapter.deliver(message, second.delivery);
    expect(second.posted()).toEqual({ posts: made });
    expect(server.shown()).toHaveLength(4);
  });

  it("and takes nobody's reply to the same message for its own", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const message = question(server);
    server.say(server.person("bob"), "The answer.", { replyTo: message.id });
    server.say(server.person("bob"), "The answer.");
    const { delivery, log } = deliveryOf({ isRepeated: true });
    log.push({ type: "message", text: "The answer." });
    log.end();
    await bot.adapter.deliver(message, delivery);
    expect(server.shown().map(({ content }) => content)).toEqual(["The answer."]);
  });

  it("that has died in the middle of a turn, and tells the person in the message that is there", async () => {
    const server = await startServer();
    const store = memoryStore();
    const speech = new Speech();
    const mapper = { leaseTime: 400 };
    const first = await startBot(server, { store, mapper, answer: speech.answer });
    server.say(server.person("ann"), `${mention(server)} tell me`);
    speech.say("Half of");
    await shows(server, "Half of");
    // Its lease is renewed no more; where the reply was posted has been written down.
    await first.mapper.close({ drainTimeout: 300 });
    await first.client.destroy();
    server.forgetNonces();
    await startBot(server, { store, mapper });
    await shows(server, /^My answer to this message was lost/);
    expect(server.shown()).toHaveLength(1);
  });

  it("only when its client has logged in", async () => {
    const server = await startServer();
    const mapper = new SessionMapper({ agents: { helper: backend(remembering) }, secret });
    const rest = { ...server.rest };
    const client = new Client({ intents: allIntents, partials: [Partials.Channel], rest });
    endings.push(() => client.destroy());
    endings.push(() => mapper.close());
    discord(mapper).attach(client);
    const message = question(server);
    await expect(mapper.receive(message)).rejects.toMatchObject({ field: "platform" });
    const ready = new Promise((resolve) => client.once("clientReady", resolve));
    await client.login(server.bot.token);
    await ready;
    expect(await mapper.receive(message)).toBe(true);
    await shows(server, 'You say "?" after nothing.');
  });

  it("sends nothing more once the turn is another's, however long a call has waited", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const source = reply({ type: "text", delta: "mine " });
    const delivered = bot.adapter.deliver(question(server), source.delivery);
    await server.next("POST", posts);
    server.fail({ method: "PATCH", path: edits, lastFor: 1.5 });
    source.log.push({ type: "text", delta: "still mine " });
    await server.next("PATCH", edits);
    const waiting = new Promise((resolve) => bot.client.rest.once("rateLimited", resolve));
    source.log.push({ type: "text", delta: "not mine" });
    await waiting;
    source.lose();
    source.log.push({ type: "text", delta: " either" });
    source.log.end();
    await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
    expect(server.shown().map(({ content }) => content)).toEqual(["mine still mine"]);
  });

  it("sends nothing more once the turn is another's, not even what the client keeps waiting", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "POST", path: posts, retryAfter: 1 });
    const first = reply({ type: "message", text: "Somebody else's answer." });
    first.log.end();
    const delivered = bot.adapter.deliver(question(server), first.delivery);
    await server.next("POST", posts, ({ status }) => status === 429);
    // It stands behind the other one, which Discord told to come again.
    const second = reply({ type: "message", text: "Not mine." });
    second.log.end();
    const lost = bot.adapter.deliver(question(server), second.delivery);
    await settled();
    second.lose();
    await expect(lost).rejects.toThrow();
    await delivered;
    expect(server.shown().map(({ content }) => content)).toEqual(["Somebody else's answer."]);
  });

  it("sends nothing more once the turn is another's, not even what was told to come again", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const source = reply({ type: "text", delta: "mine " });
    const delivered = bot.adapter.deliver(question(server), source.delivery);
    await server.next("POST", posts);
    server.fail({ method: "PATCH", path: edits, retryAfter: 1 });
    source.log.push({ type: "text", delta: "still mine " });
    await server.next("PATCH", edits, ({ status }) => status === 429);
    source.lose();
    source.log.push({ type: "text", delta: "not mine" });
    source.log.end();
    await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
    expect(server.calls.filter(({ method }) => method === "PATCH")).toHaveLength(1);
    expect(server.shown().map(({ content }) => content)).toEqual(["mine"]);
  });
});
