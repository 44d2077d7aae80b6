import type { Message } from "aparte";
import type { DiscordOptions } from "aparte/discord";
import { eventOf } from "aparte/discord";
import { describe, expect, it } from "vitest";
import { backend, remembering, Speech } from "../agent.ts";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

describe("discord answers", () => {
  it("in threads where it was called, without being called again", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord: { respond: "threads" } });
    const ann = server.person("ann");
    server.say(ann, "too early", {}, server.threadId);
    server.say(ann, `${mention(server)} one`, {}, server.threadId);
    await shows(server, 'You say "one" after nothing.', server.threadId);
    server.say(ann, "two", {}, server.threadId);
    await shows(server, 'You say "two" after one.', server.threadId);
    server.say(ann, "in the channel");
    server.say(ann, `${mention(server)} three`);
    await shows(server, 'You say "three" after one and two.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["one", "two", "three"]);
  });

  it("all in the channels that are named, and in their threads", async () => {
    const server = await startServer();
    await startBot(server, { discord: { respond: [server.channelId] } });
    const ann = server.person("ann");
    server.say(ann, "one");
    await shows(server, 'You say "one" after nothing.');
    server.say(ann, "two", {}, server.threadId);
    await shows(server, 'You say "two" after one.', server.threadId);
  });

  it("what a function chooses", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord: { respond: ({ content }) => content.startsWith("!") } });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    server.say(ann, "!two");
    await shows(server, 'You say "!two" after nothing.');
    await settled(bot);
    expect(bot.messages).toHaveLength(1);
  });

  it("in a thread of its own for each question, named after it", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord: { openThreads: true, respond: "threads" } });
    const ann = server.person("ann");
    const id = server.say(ann, `${mention(server)} what\nis this?`);
    await shows(server, 'You say "what\nis this?" after nothing.', id);
    expect(server.channelName(id)).toBe("what is this?");
    server.say(ann, "and that?", {}, id);
    await shows(server, 'You say "and that?" after what\nis this?.', id);
    expect(bot.messages.map(({ channel, thread }) => ({ channel, thread }))).toEqual([
      { channel: server.channelId, thread: id },
      { channel: server.channelId, thread: id },
    ]);
    // Somebody else has opened it meanwhile.
    server.fail({ method: "POST", path: /\/threads$/, status: 400, code: 160_004, after: true });
    const other = server.say(ann, `${mention(server)} opened already`);
    await shows(server, /^You say "opened already"/, other);
    server.deny(server.channelId, "CreatePublicThreads");
    server.say(ann, `${mention(server)} no thread`);
    await shows(server, /^You say "no thread"/);
  });

  it.each([
    ["apart", 'You say "two" after nothing.'],
    ["together", 'You say "two" after one.'],
  ] as const)("a person in two guilds as %s, and in private apart", async (guilds, second) => {
    const server = await startServer();
    const other = server.addGuild();
    await startBot(server, { discord: { guilds } });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    server.say(ann, `${mention(server)} two`, {}, other.channelId);
    await shows(server, second, other.channelId);
    server.sayDirectly(ann, "three");
    await shows(server, 'You say "three" after nothing.', server.directChannel(ann));
  });

  it("by what Discord's own event says, in routes and middlewares, of commands and of messages that waited, too", async () => {
    const server = await startServer();
    const speech = new Speech();
    const seen: unknown[] = [];
    const channelOf = (message: Message) => {
      const { channel } = eventOf(message) ?? {};
      return channel && "name" in channel ? channel.name : undefined;
    };
    const bot = await startBot(server, {
      discord: { commands: true },
      mapper: {
        agents: { helper: backend(speech.answer), general: backend(remembering) },
        route: (message) => (/route/.test(message.text) ? (channelOf(message) ?? undefined) : undefined),
      },
    });
    bot.mapper.use((turn, next) => {
      const event = eventOf(turn.message);
      seen.push(event && ("content" in event ? event.content : event.isCommand()));
      return next();
    });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} first`);
    speech.say("Well");
    await shows(server, "Well");
    const second = server.say(ann, `${mention(server)} second`);
    server.edit(second, `${mention(server)} route it`);
    speech.end();
    await shows(server, 'You say "route it" after nothing.');
    const options = [{ name: "question", type: 3, value: "route this" }];
    server.interact(ann, { data: { id: "1", name: "ask", type: 1, options } });
    await shows(server, 'You say "route this" after route it.');
    expect(seen).toEqual([`${mention(server)} first`, `${mention(server)} route it`, true]);
  });

  it("beside listeners of one's own what they do not take, in one session", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord: { answer: "unheard" } });
    bot.client.on("messageCreate", (event) => {
      if (event.author.bot || !event.content.includes("sum")) return;
      void bot.adapter.session(event).then(async (session) => {
        await event.reply(`${session.speaker.user}: ${await session.ask().text()}`);
      });
    });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    server.say(ann, `${mention(server)} sum it up`);
    await shows(server, `${ann.id}: You say "sum it up" after one.`);
    server.say(ann, `${mention(server)} two`);
    await shows(server, 'You say "two" after one and sum it up.');
    expect(server.shown()).toHaveLength(3);
  });

  it("nothing with answer: none, and its listeners have the sessions", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord: { answer: "none" }, answer: remembering });
    const sessions: string[] = [];
    bot.client.on("messageCreate", (event) => {
      if (event.author.bot) return;
      void bot.adapter.session(event).then(async (session) => {
        sessions.push(await session.ask("asked by a listener").text());
        await event.reply("Done.");
      });
    });
    server.say(server.person("ann"), `${mention(server)} one`);
    await shows(server, "Done.");
    expect(sessions).toEqual(['You say "asked by a listener" after nothing.']);
    expect(server.shown()).toHaveLength(1);
  });

  it("and tells the link by which people add it, and the intents that it needs", async () => {
    const server = await startServer();
    const told: unknown[] = [];
    const logger = { info: (_: string, fields?: unknown) => void told.push(fields), warn() {}, error() {} };
    await startBot(server, { mapper: { logger } });
    expect(told).toContainEqual({
      link: `https://discord.com/oauth2/authorize?client_id=${server.bot.id}&scope=bot+applications.commands&permissions=274878008320`,
      intents: ["Guilds", "GuildMessages", "DirectMessages"],
    });
    told.length = 0;
    const discord: DiscordOptions = { openThreads: true, respond: "all", directMessages: false };
    await startBot(server, { discord, mapper: { logger } });
    expect(told).toContainEqual({
      link: `https://discord.com/oauth2/authorize?client_id=${server.bot.id}&scope=bot+applications.commands&permissions=309237746688`,
      intents: ["Guilds", "GuildMessages", "MessageContent"],
    });
  });
});
