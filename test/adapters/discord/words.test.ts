import { describe, expect, it, vi } from "vitest";
import type { DiscordServer, Person, SendOptions } from "../../fakes/discord-server.ts";
import {
  type Bot,
  DirectMessages,
  endings,
  GuildMessages,
  Guilds,
  mention,
  settled,
  shows,
  startBot,
  startServer,
} from "./bot.ts";

/** What the agent is asked when a person says this to the bot. */
async function asked(
  server: DiscordServer,
  bot: Bot,
  author: Person,
  content: string,
  options: SendOptions = {},
): Promise<{ readonly text: string | undefined; readonly files: readonly string[] | undefined }> {
  const count = bot.messages.length;
  server.say(author, content, options);
  const message = await server.until(() => bot.messages[count]);
  return { text: message.text, files: message.files?.map(({ name }) => name) };
}

describe("discord reads", () => {
  it("a message that is forwarded to it, with its files", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    const file = { name: "plan.txt", type: "text/plain", bytes: new Uint8Array([1]) };
    const original = server.say(server.person("bob"), "We meet\nat noon.", { attachments: [file] });
    server.sayDirectly(ann, "", { forwarded: original });
    const message = await server.until(() => bot.messages[0]);
    expect(message.text).toBe("Forwarded:\n> We meet\n> at noon.");
    expect(message.files?.map(({ name }) => name)).toEqual(["plan.txt"]);
  });

  it("the message that is replied to, when it is somebody else's, with its files", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const file = { name: "plan.txt", type: "text/plain", bytes: new Uint8Array([1]) };
    const original = server.say(server.person("bob"), "E = mc²", { attachments: [file] });
    const ann = server.person("ann");
    expect(await asked(server, bot, ann, `${mention(server)} explain this`, { replyTo: original })).toEqual({
      text: "bob wrote:\n> E = mc²\n\nexplain this",
      files: ["plan.txt"],
    });
    expect(await asked(server, bot, ann, mention(server), { replyTo: original })).toEqual({
      text: "bob wrote:\n> E = mc²",
      files: ["plan.txt"],
    });
  });

  it("its own message that is replied to not again: the agent knows it", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const { id } = await shows(server, 'You say "one" after nothing.');
    expect((await asked(server, bot, ann, "two", { replyTo: id })).text).toBe("two");
  });

  it("a sticker by its name, and asks back where it is only mentioned", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    server.say(ann, mention(server));
    await shows(server, "Yes? Write your question behind my name.");
    server.sayDirectly(ann, "", { stickers: ["Wave"] });
    expect((await server.until(() => bot.messages[0])).text).toBe("[sticker: Wave]");
  });

  it("a poll by its question and its answers, also where it is replied to", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    const poll = { question: "Where do we eat?", answers: ["At Luigi's", "Here"] };
    server.sayDirectly(ann, "", { poll });
    const words = "[poll: Where do we eat?]\n- At Luigi's\n- Here";
    expect((await server.until(() => bot.messages[0])).text).toBe(words);
    const asking = server.say(server.person("bob"), "Well?", { poll });
    const { text } = await asked(server, bot, ann, `${mention(server)} choose`, { replyTo: asking });
    expect(text).toBe(`bob wrote:\n> Well?\n> \n> ${words.replace(/\n/g, "\n> ")}\n\nchoose`);
  });

  it("names in place of ids, its own mention only where it stands within the words", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const bob = server.person("bob");
    const words = `${mention(server)} who are <@${bob.id}>, <@&${server.bot.roleId}> and ${mention(server)} in <#${server.channelId}> <:wave:123>? <@!${server.bot.id}>`;
    expect((await asked(server, bot, server.person("ann"), words)).text).toBe(
      "who are @bob, @helper and @helper in #general :wave:?",
    );
  });

  it("a mention that is added by an edit, once", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const id = server.say(server.person("ann"), "what is this?");
    server.edit(id, `${mention(server)} what is this?`);
    await shows(server, 'You say "what is this?" after nothing.');
    server.edit(id, `${mention(server)} what is that?`);
    server.say(server.person("bob"), `${mention(server)} the last one`);
    await shows(server, 'You say "the last one" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["what is this?", "the last one"]);
  });

  it.each([
    [59, "hello"],
    [61, "nothing"],
  ])("a mention that is added by an edit %i minutes later, for an hour: %s", async (minutes, asked) => {
    const server = await startServer();
    const bot = await startBot(server);
    const ann = server.person("ann");
    // Discord's ids tell by the wall clock when a message was sent.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - minutes * 60_000 });
    endings.push(() => vi.useRealTimers());
    const id = server.say(ann, "hello");
    vi.useRealTimers();
    server.edit(id, `${mention(server)} hello`);
    server.say(ann, `${mention(server)} and now?`);
    await shows(server, `You say "and now?" after ${asked}.`);
    await settled(bot);
  });

  it("what it can without the intent Message Content, and tells what it cannot", async () => {
    const server = await startServer();
    const bot = await startBot(server, { client: { intents: [Guilds, GuildMessages, DirectMessages] } });
    expect(bot.log.join("\n")).toContain("Message Content");
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const { id } = await shows(server, 'You say "one" after nothing.');
    server.say(ann, "two", { replyTo: id });
    await shows(server, 'You say "two" after one.');
    const poll = { question: "Where do we eat?", answers: ["Here"] };
    const unread = server.say(ann, "three", { replyTo: id, replyPings: false, poll });
    const told = await shows(server, "I cannot read this message. Please mention me in it.");
    expect(told.message_reference?.message_id).toBe(unread);
    expect(bot.messages.map(({ text }) => text)).toEqual(["one", "two"]);
  });
});
