import { describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import { mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

/** discord.js waits five seconds between two sessions; a real gateway asks for it. */
const ws = { buildIdentifyThrottler: () => ({ waitForIdentify: async () => {} }) };

describe("discord answers what came in a gap", () => {
  it("of the gateway that no client can resume, once, in channels, threads and private", async () => {
    const server = await startServer();
    const bot = await startBot(server, { client: { ws } });
    const ann = server.person("ann");
    server.sayDirectly(ann, "zero");
    await shows(server, 'You say "zero" after nothing.', server.directChannel(ann));
    server.endSessions();
    await server.until(() => server.connected === 0);
    server.say(ann, `${mention(server)} one`);
    server.say(ann, "not for the bot");
    server.say(ann, `${mention(server)} two`, {}, server.threadId);
    server.sayDirectly(ann, "three");
    await shows(server, /^You say "one"/);
    await shows(server, /^You say "two"/, server.threadId);
    await shows(server, 'You say "three" after zero.', server.directChannel(ann));
    await settled(bot);
    expect(bot.messages.map(({ text }) => text).sort()).toEqual(["one", "three", "two", "zero"]);
  });

  it("between two copies of the bot, and nothing that the first has answered", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    const first = await startBot(server);
    server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await settled(first);
    await first.client.destroy();
    server.say(ann, `${mention(server)} two`);
    const second = await startBot(server);
    await shows(server, 'You say "two" after nothing.');
    await settled(second);
    expect(second.messages.map(({ text }) => text)).toEqual(["two"]);
  });

  it("of a copy that was closing, which tells nothing of it in a guild, and something in private", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    const first = await startBot(server);
    await first.mapper.close();
    server.say(ann, `${mention(server)} one`);
    server.sayDirectly(ann, "two");
    await shows(server, /^I am restarting/, server.directChannel(ann));
    expect(server.shown()).toEqual([]);
    await first.client.destroy();
    const second = await startBot(server);
    await shows(server, 'You say "one" after nothing.');
    await settled(second);
    expect(server.shown()).toHaveLength(1);
  });

  it("in all pages of a channel, from the oldest message on, whatever the others talked of", async () => {
    const server = await startServer();
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    server.say(ann, `${mention(server)} first`);
    for (let index = 0; index < 130; index += 1) server.say(bob, `not for the bot ${index}`);
    server.say(ann, `${mention(server)} last`);
    const bot = await startBot(server);
    await shows(server, 'You say "last" after first.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["first", "last"]);
    // Not as if they had been heard of: what the client has in its cache it tells nobody when it comes.
    const channel = bot.client.channels.cache.get(server.channelId);
    expect(channel?.isTextBased() && channel.messages.cache.some(({ author }) => author.id === bob.id)).toBe(
      false,
    );
  });

  it("though somebody else has replied to it", async () => {
    const server = await startServer();
    const id = server.say(server.person("ann"), `${mention(server)} one`);
    server.say(server.person("bob"), "So would I like to know.", { replyTo: id });
    await startBot(server);
    await shows(server, 'You say "one" after nothing.');
  });

  it("in a hundred channels at most, those with the newest messages, and five pages of each", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    const guilds = Array.from({ length: 101 }, () => server.addGuild());
    for (const { channelId } of guilds) server.say(ann, "not for the bot", {}, channelId);
    for (let count = 0; count < 500; count += 1) server.say(ann, "not for the bot");
    server.say(ann, `${mention(server)} beyond all pages`);
    server.limits.limit = 10_000;
    const rest = { ...server.rest, globalRequestsPerSecond: 10_000 };
    const bot = await startBot(server, { client: { rest } });
    const pages = () => server.calls.filter(({ method, path }) => method === "GET" && posts.test(path));
    await server.until(() => pages().filter(({ status }) => status === 200).length === 104);
    // What it would ask next is asked by then.
    for (let trip = 0; trip < 5; trip += 1) await fetch(`http://${server.host}/attachments/none`);
    await settled(bot);
    expect(bot.messages).toEqual([]);
    const asked = pages().map(({ path }) => path.split("/")[2]);
    expect(asked.slice(0, 6)).toEqual([...Array(5).fill(server.channelId), guilds[100]?.channelId]);
    expect(asked.at(-1)).toBe(guilds[2]?.channelId);
    expect(asked).toHaveLength(104);
  });

  it("also where the messages of another channel cannot be read", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`, {}, server.threadId);
    server.say(ann, `${mention(server)} two`);
    // The channel with the newest message is read first.
    const path = new RegExp(`^/channels/${server.channelId}/messages$`);
    server.fail({ method: "GET", path, status: 403, code: 50_001 });
    await startBot(server);
    await shows(server, 'You say "one" after nothing.', server.threadId);
    expect(server.calls.find((call) => path.test(call.path))?.status).toBe(403);
  });

  it("once, also where both copies see it and share a store", async () => {
    const server = await startServer();
    const store = { ...memoryStore(), close: async () => {} };
    const ann = server.person("ann");
    const first = await startBot(server, { store });
    server.say(ann, `${mention(server)} one`);
    const second = await startBot(server, { store });
    await shows(server, 'You say "one" after nothing.');
    server.say(ann, `${mention(server)} two`);
    await shows(server, /^You say "two"/);
    await settled(first);
    await settled(second);
    expect(server.shown()).toHaveLength(2);
  });

  it("but not with lookBack: 0", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const bot = await startBot(server, { discord: { lookBack: 0 } });
    server.say(ann, `${mention(server)} two`);
    await shows(server, 'You say "two" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["two"]);
  });

  it("and logs a message that the bot's own code could not judge, without its words", async () => {
    const server = await startServer();
    const respond = () => {
      throw new TypeError("word-canary");
    };
    const bot = await startBot(server, { discord: { respond } });
    server.say(server.person("ann"), `${mention(server)} word-canary`);
    await vi.waitUntil(() => bot.log.length > 0, 30_000);
    expect(bot.log).toEqual(['a message could not be read {"error":"TypeError"}']);
    expect(bot.messages).toEqual([]);
  });

  it("and all others, though the bot's own code could not judge one of them", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    for (const word of ["one", "broken", "two"]) server.say(ann, word);
    const respond = ({ content }: { readonly content: string }) => {
      if (content === "broken") throw new TypeError("word-canary");
      return true;
    };
    const bot = await startBot(server, { discord: { respond } });
    await shows(server, 'You say "two" after one.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["one", "two"]);
    expect(bot.log).toEqual(['a message could not be read {"error":"TypeError"}']);
  });
});
