import { SessionMapper } from "aparte";
import { discord } from "aparte/discord";
import { Options, SnowflakeUtil } from "discord.js";
import { describe, expect, it, vi } from "vitest";
import type { DiscordServer, SendOptions } from "../../fakes/discord-server.ts";
import { backend, remembering } from "../agent.ts";
import { endings, mention, secret, settled, shows, startBot, startServer } from "./bot.ts";

describe("discord says of its own accord", () => {
  it("what the application sends, in the person's place, once each and after the answer", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} hello`, {}, server.threadId);
    await shows(server, 'You say "hello" after nothing.', server.threadId);
    const [heard] = bot.messages;
    if (heard === undefined) throw new Error("Nothing was heard.");
    // Also to the address of a message that was answered: the answer's nonce is not that of what is sent.
    await bot.mapper.send(heard, "Your report is ready.");
    await bot.mapper.send(heard, "And another one.");
    await shows(server, "Your report is ready.", server.threadId);
    await shows(server, "And another one.", server.threadId);
    await bot.mapper.send({ ...heard, thread: server.channelId }, "Here, too.");
    await shows(server, "Here, too.", server.channelId);
    await settled(bot);
    expect(server.shown(server.threadId).map(({ content }) => content)).toEqual([
      'You say "hello" after nothing.',
      "Your report is ready.",
      "And another one.",
    ]);
    expect(bot.log).toEqual([]);
  });

  it("what the application sends under a name of its own each time, of the time when it is sent", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
    endings.push(() => vi.useRealTimers());
    const mapper = new SessionMapper({ agents: { helper: backend(remembering) }, secret });
    endings.push(() => mapper.close());
    const place = { platform: "discord", user: "1", channel: "2" };
    const addresses = Array.from(
      { length: 10 },
      () => discord(mapper).address(place) as { messageId: string },
    );
    expect(new Set(addresses.map(({ messageId }) => messageId)).size).toBe(10);
    for (const { messageId } of addresses)
      expect(SnowflakeUtil.timestampFrom(messageId)).toBe(1_800_000_000_000);
  });
});

describe("discord takes messages", () => {
  it("that mention it in a guild, without the mention, and answers as a reply", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    const id = server.say(ann, `${mention(server)} I am Ann`);
    const answer = await shows(server, 'You say "I am Ann" after nothing.');
    expect(answer.message_reference?.message_id).toBe(id);
    expect(answer.pings).toEqual([]);
    expect(bot.messages).toEqual([
      {
        ...{ platform: "discord", bot: server.bot.id, tenant: server.guildId },
        ...{ user: ann.id, channel: server.channelId },
        ...{ id, text: "I am Ann", replyTo: { channelId: server.channelId, messageId: id }, files: [] },
      },
    ]);
  });

  it("that reply to one of its messages, also without a ping", async () => {
    const server = await startServer();
    await startBot(server);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const { id } = await shows(server, 'You say "one" after nothing.');
    server.say(ann, "two", { replyTo: id });
    await shows(server, 'You say "two" after one.');
    server.say(ann, "three", { replyTo: id, replyPings: false });
    await shows(server, 'You say "three" after one and two.');
  });

  it("that mention the role which Discord made for it", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.say(server.person("ann"), `<@&${server.bot.roleId}> hello`);
    await shows(server, 'You say "hello" after nothing.');
    expect(bot.messages[0]?.text).toBe("hello");
  });

  it("in threads, with the thread's parent as the channel", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} known`, {}, server.threadId);
    await shows(server, 'You say "known" after nothing.', server.threadId);
    server.say(ann, `${mention(server)} not seen yet`, {}, server.hiddenThreadId);
    await shows(server, 'You say "not seen yet" after known.', server.hiddenThreadId);
    expect(bot.messages.map(({ channel, thread }) => ({ channel, thread }))).toEqual([
      { channel: server.channelId, thread: server.threadId },
      { channel: server.channelId, thread: server.hiddenThreadId },
    ]);
    expect(server.shown(server.channelId)).toEqual([]);
  });

  it("sent directly, with a tenant of their own: not a word of the guild's session is known there", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} in the guild`);
    await shows(server, 'You say "in the guild" after nothing.');
    server.sayDirectly(ann, "in private");
    await shows(server, 'You say "in private" after nothing.', server.directChannel(ann));
    expect(bot.messages[1]).toMatchObject({
      tenant: "dm",
      user: ann.id,
      channel: server.directChannel(ann),
    });
  });

  it("of everybody with respond: all, and of nobody in guilds with respond: never", async () => {
    const server = await startServer();
    const all = await startBot(server, { discord: { respond: "all" } });
    const never = await startBot(server, { discord: { respond: "never" } });
    const ann = server.person("ann");
    server.say(ann, "to nobody in particular");
    await shows(server, 'You say "to nobody in particular" after nothing.');
    server.sayDirectly(ann, "hello");
    await server.until(() => never.messages.length > 0);
    expect(never.messages.map(({ text }) => text)).toEqual(["hello"]);
    expect(all.messages.map(({ text }) => text)).toEqual(["to nobody in particular", "hello"]);
  });

  it("of people only: no bots, webhooks, Discord's own messages, itself, or words for others", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    const ignored: [Parameters<DiscordServer["say"]>[0], string, SendOptions][] = [
      [{ id: "777", username: "other", bot: true }, `${mention(server)} from a bot`, {}],
      [ann, `${mention(server)} from a webhook`, { webhookId: "778" }],
      [ann, `${mention(server)} has joined`, { type: 7 }],
      [server.bot, `${mention(server)} from itself`, {}],
      [ann, "not for the bot", {}],
      [ann, `<@${server.person("bob").id}> for Bob`, {}],
      [ann, "@everyone", {}],
    ];
    for (const [author, text, options] of ignored) server.say(author, text, options);
    server.say(ann, `${mention(server)} the last one`);
    await shows(server, 'You say "the last one" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["the last one"]);
  });

  it.each(["channel", "thread"])(
    "of two people in one %s, interleaved, and gives each only their own",
    async (place) => {
      const server = await startServer();
      await startBot(server);
      const where = place === "channel" ? server.channelId : server.threadId;
      const ann = server.person("ann");
      const bob = server.person("bob");
      server.say(ann, `${mention(server)} I am Ann`, {}, where);
      server.say(bob, `${mention(server)} I am Bob`, {}, where);
      server.say(ann, `${mention(server)} who?`, {}, where);
      server.say(bob, `${mention(server)} who, then?`, {}, where);
      const toAnn = await shows(server, 'You say "who?" after I am Ann.', where);
      const toBob = await shows(server, 'You say "who, then?" after I am Bob.', where);
      const askers = [toAnn, toBob].map(
        ({ message_reference }) => server.messages.get(message_reference?.message_id ?? "")?.author.username,
      );
      expect(askers).toEqual(["ann", "bob"]);
      await server.until(() => server.shown(where).length === 4);
    },
  );

  it("once, also when the gateway sends them again", async () => {
    const server = await startServer();
    // Without its cache discord.js hands on every delivery.
    const makeCache = Options.cacheWithLimits({ MessageManager: 0 });
    const bot = await startBot(server, { client: { makeCache } });
    const ann = server.person("ann");
    const id = server.say(ann, `${mention(server)} once`);
    server.redeliver(id);
    await shows(server, 'You say "once" after nothing.');
    server.redeliver(id);
    server.say(ann, `${mention(server)} twice`);
    await shows(server, 'You say "twice" after once.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["once", "twice"]);
    expect(server.shown()).toHaveLength(2);
  });

  it("that came while the gateway was away", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.dropGateway();
    await server.until(() => server.connected === 0);
    server.say(ann, `${mention(server)} missed`);
    await shows(server, 'You say "missed" after nothing.');
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
  });
});
