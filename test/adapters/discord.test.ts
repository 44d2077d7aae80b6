import {
  AparteError,
  type JsonValue,
  type Logger,
  type MapperOptions,
  type Message,
  type ReplyEvent,
  SessionMapper,
  type Store,
} from "aparte";
import { type DiscordAdapter, type DiscordOptions, discord } from "aparte/discord";
import { Client, type ClientOptions, GatewayIntentBits, Options, Partials } from "discord.js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Channels } from "../../adapters/discord/channels.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { DiscordServer, type SendOptions } from "../fakes/discord-server.ts";
import { deliveryOf } from "../support/delivery.ts";
import { type Answer, backend, elephant, Speech } from "./agent.ts";

const secret = "a secret of the tests, long enough";
const { Guilds, GuildMessages, DirectMessages, MessageContent } = GatewayIntentBits;
const allIntents = [Guilds, GuildMessages, DirectMessages, MessageContent];

const posts = /^\/channels\/\d+\/messages$/;
const edits = /^\/channels\/\d+\/messages\/\d+$/;
const typing = /\/typing$/;

const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Bot {
  readonly client: Client;
  readonly mapper: SessionMapper;
  readonly adapter: DiscordAdapter;
  /** The messages whose turns ran. */
  readonly messages: Message[];
  readonly log: string[];
}

async function startServer(): Promise<DiscordServer> {
  const server = await DiscordServer.start();
  endings.push(() => server.close());
  return server;
}

interface BotOptions {
  readonly answer?: Answer;
  readonly discord?: DiscordOptions;
  readonly mapper?: Partial<MapperOptions>;
  readonly client?: Partial<ClientOptions>;
  readonly store?: Store;
}

async function startBot(server: DiscordServer, options: BotOptions = {}): Promise<Bot> {
  const log: string[] = [];
  const note = (message: string, fields?: unknown) => log.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => {}, warn: note, error: note };
  const mapper = new SessionMapper({
    agents: { helper: backend(options.answer ?? elephant) },
    ...{ secret, logger, store: options.store ?? memoryStore() },
    ...options.mapper,
  });
  const messages: Message[] = [];
  mapper.use(async (turn, next) => {
    messages.push(turn.message);
    await next();
  });
  const client = new Client({
    intents: allIntents,
    partials: [Partials.Channel],
    rest: { ...server.rest },
    ...options.client,
  });
  // Short, so that the tests are; one test measures the pace.
  const adapter = discord(mapper, { editInterval: 20, fileHosts: [server.host], ...options.discord });
  adapter.attach(client);
  endings.push(async () => {
    await mapper.close();
    await client.destroy();
  });
  const ready = new Promise((resolve) => client.once("clientReady", resolve));
  await client.login(server.token);
  await ready;
  return { client, mapper, adapter, messages, log };
}

const mention = (server: DiscordServer) => `<@${server.bot.id}>`;

/** Resolves when the bot shows this text in a channel, as one of its messages. */
async function shows(server: DiscordServer, text: string | RegExp, channelId?: string) {
  return server.until(() =>
    server
      .shown(channelId)
      .find(({ content }) => (typeof text === "string" ? content === text : text.test(content))),
  );
}

/** Resolves when all turns that were taken have ended. */
async function settled({ mapper }: Bot): Promise<void> {
  await mapper.close();
}

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

const ended = (...events: ReplyEvent[]): Answer =>
  async function* () {
    yield* events;
  };

describe("discord", () => {
  describe("takes messages", () => {
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
      server.say(server.person("ann"), `<@&${server.botRoleId}> hello`);
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
        [ann, `${mention(server)}  `, {}],
      ];
      for (const [author, text, options] of ignored) server.say(author, text, options);
      server.say(ann, `${mention(server)} the last one`);
      await shows(server, 'You say "the last one" after nothing.');
      await settled(bot);
      expect(bot.messages.map(({ text }) => text)).toEqual(["the last one"]);
    });

    it("of two people in one channel, interleaved, and gives each only their own", async () => {
      const server = await startServer();
      await startBot(server);
      const ann = server.person("ann");
      const bob = server.person("bob");
      server.say(ann, `${mention(server)} I am Ann`);
      server.say(bob, `${mention(server)} I am Bob`);
      server.say(ann, `${mention(server)} who?`);
      server.say(bob, `${mention(server)} who, then?`);
      const toAnn = await shows(server, 'You say "who?" after I am Ann.');
      const toBob = await shows(server, 'You say "who, then?" after I am Bob.');
      const askers = [toAnn, toBob].map(
        ({ message_reference }) => server.messages.get(message_reference?.message_id ?? "")?.author.username,
      );
      expect(askers).toEqual(["ann", "bob"]);
      await server.until(() => server.shown().length === 4);
    });

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

  describe("shows replies", () => {
    it("by edits of one message, the latest text each time", async () => {
      const server = await startServer();
      const speech = new Speech();
      await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      speech.say("one ");
      expect((await server.next("POST", posts)).body.content).toBe("one ");
      const held = gate();
      server.fail({ method: "PATCH", path: edits, until: held.opened });
      speech.say("two ");
      await server.until(() => server.calls.some(({ method }) => method === "PATCH"));
      for (const word of ["three ", "four ", "five "]) speech.say(word);
      speech.event({ type: "message", text: "one two three four five six" });
      speech.end();
      held.open();
      await shows(server, "one two three four five six");
      const texts = server.calls.filter(({ method }) => method === "PATCH").map(({ body }) => body.content);
      expect(texts).toEqual(["one two ", "one two three four five six"]);
    });

    it("with what has come while an edit waited for its turn", async () => {
      const server = await startServer();
      const speech = new Speech();
      await startBot(server, { answer: speech.answer, discord: { editInterval: 500 } });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      speech.say("one ");
      await server.next("POST", posts);
      speech.say("two ");
      await server.next("PATCH", edits);
      for (const word of ["three ", "four ", "five "]) {
        speech.say(word);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await server.next("PATCH", edits)).body.content).toBe("one two three four five ");
      speech.end();
    });

    it("without a stale text after a rate limit", async () => {
      const server = await startServer();
      const speech = new Speech();
      await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      speech.say("one ");
      await server.next("POST", posts);
      server.fail({ method: "PATCH", path: edits, retryAfter: 0.3 });
      speech.say("two ");
      expect((await server.next("PATCH", edits)).status).toBe(429);
      speech.say("three ");
      const { body, status } = await server.next("PATCH", edits);
      expect({ content: body.content, status }).toEqual({ content: "one two three ", status: 200 });
      speech.end();
    });

    it("at the pace of the channel, however many replies run in it", async () => {
      const server = await startServer();
      const editInterval = 150;
      const answer: Answer = async function* ({ signal }) {
        for (let word = 0; word < 40 && !signal.aborted; word += 1) {
          yield { type: "text", delta: `${word} ` };
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const bot = await startBot(server, { answer, discord: { editInterval } });
      for (const name of ["ann", "bob", "cid"]) server.say(server.person(name), `${mention(server)} count`);
      await server.until(() => server.shown().filter(({ content }) => content.endsWith(" 39")).length === 3);
      await settled(bot);
      const times = server.calls.filter(({ method }) => method === "PATCH").map(({ at }) => at);
      const elapsed = (times.at(-1) ?? 0) - (times[0] ?? 0);
      expect(times.length).toBeGreaterThan(3);
      expect(times.length).toBeLessThan(elapsed / editInterval + 2);
    });

    it("in several messages when they are long, every character of them", async () => {
      const server = await startServer();
      const code = Array.from({ length: 80 }, (_, line) => `const value${line} = "${"x".repeat(20)}";`);
      const prose = Array.from(
        { length: 40 },
        (_, line) => `Sentence ${line} of the answer, with an 𝒆moji 🎭.`,
      );
      const text = `${prose.join(" ")}\n\n\`\`\`ts\n${code.join("\n")}\n\`\`\`\n\nThe end.`;
      expect(text.length).toBeGreaterThan(5_000);
      const bot = await startBot(server, {
        answer: async function* () {
          for (const delta of text.match(/[\s\S]{1,60}/gu) ?? []) yield { type: "text", delta };
          yield { type: "message", text };
        },
      });
      server.say(server.person("ann"), `${mention(server)} at length`);
      await shows(server, /The end\.$/);
      await settled(bot);
      const parts = server.shown();
      expect(parts.length).toBeGreaterThan(2);
      expect(parts.every(({ content }) => content.length <= 2_000)).toBe(true);
      // Only the first refers to the question.
      expect(parts.map((part) => part.message_reference !== undefined)).toEqual([
        true,
        ...parts.slice(1).map(() => false),
      ]);
      const withoutFences = (value: string) => value.replace(/```(ts)?/g, "").replace(/\s+/g, "");
      expect(withoutFences(parts.map(({ content }) => content).join("\n"))).toBe(withoutFences(text));
      for (const { content } of parts) expect((content.match(/```/g) ?? []).length % 2).toBe(0);
    });

    it("without leftovers when the whole answer is shorter than its draft", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      speech.say("word ".repeat(500));
      await server.next("POST", posts);
      await server.next("POST", posts);
      speech.event({ type: "message", text: "In short: no." });
      speech.end();
      await shows(server, "In short: no.");
      await settled(bot);
      expect(server.shown().map(({ content }) => content)).toEqual(["In short: no."]);
    });

    it("with what the agent does while there is no answer, and with all that is told besides", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} look it up`);
      speech.event({ type: "status", text: "Searching\nthe library" });
      await shows(server, "-# Searching the library …");
      speech.event({ type: "notice", code: "new-conversation", text: "We begin anew." });
      speech.event({ type: "notice", code: "merged", text: "Nobody needs to read this." });
      speech.say("Found");
      speech.event({ type: "message", text: "Found it." });
      speech.event({ type: "status", text: "Thinking" });
      speech.event({ type: "suggestions", items: ["Where?", "When?"] });
      speech.event({ type: "usage", total: 7 });
      speech.event({ type: "handoff" });
      speech.event({ type: "end" });
      speech.end();
      await settled(bot);
      expect(server.shown().map(({ content }) => content)).toEqual([
        [
          "We begin anew.",
          "Found it.",
          "You could ask:\n- Where?\n- When?",
          "A human takes over from here.",
          "This conversation has ended. Your next message begins a new one.",
        ].join("\n\n"),
      ]);
    });

    it("with typing until the answer is there", async () => {
      const server = await startServer();
      const speech = new Speech();
      await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      const call = await server.next("POST", typing);
      expect(call.path).toBe(`/channels/${server.channelId}/typing`);
      speech.say("done");
      speech.end();
      await shows(server, "done");
    });

    it("without notifying anybody, and without link previews", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} call them`);
      speech.say("@everyone ");
      await server.next("POST", posts);
      speech.say("<@123> <@&456> https://example.com");
      speech.end();
      await shows(server, "@everyone <@123> <@&456> https://example.com");
      await settled(bot);
      expect(server.shown()[0]).toMatchObject({ pings: [], flags: 4 });
    });

    it("to a question that was deleted", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      const id = server.say(server.person("ann"), `${mention(server)} gone`);
      await server.until(() => bot.messages.length === 1);
      server.delete(id);
      speech.say("Here.");
      speech.end();
      await shows(server, "Here.");
      expect(server.calls.filter(({ path }) => posts.test(path))).toHaveLength(1);
    });

    it("to a question that it may not refer to", async () => {
      const server = await startServer();
      await startBot(server);
      server.fail({ method: "POST", path: posts, status: 403, code: 160_002 });
      const id = server.say(server.person("ann"), `${mention(server)} hello`);
      await shows(server, 'You say "hello" after nothing.');
      expect((await server.next("POST", posts)).body.message_reference?.message_id).toBe(id);
      expect((await server.next("POST", posts)).body.message_reference).toBeUndefined();
    });

    it("of nothing, when the agent says nothing", async () => {
      const server = await startServer();
      const bot = await startBot(server, { answer: ended({ type: "status", text: "Thinking" }) });
      server.say(server.person("ann"), `${mention(server)} hush`);
      await server.until(() => bot.messages.length === 1);
      await settled(bot);
      expect(server.shown()).toEqual([]);
    });
  });

  describe("when something fails", () => {
    const ask = async (fault: Parameters<DiscordServer["fail"]>[0], answer?: Answer) => {
      const server = await startServer();
      const bot = await startBot(server, answer === undefined ? {} : { answer });
      server.fail(fault);
      server.say(server.person("ann"), `${mention(server)} hello`);
      return { server, bot };
    };

    it("tells the person briefly, with the reference that the log has", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} my words`);
      const failure = new AparteError("backend-unavailable", "The service is down. Try later.");
      speech.say("I was about");
      speech.end(failure);
      await shows(server, `I was about\n\n${failure.say}`);
      await settled(bot);
      expect(bot.log.join("\n")).toContain(failure.reference);
      expect(bot.log.join("\n")).not.toContain("my words");
    });

    it("posts once when the server stores the message and answers 500", async () => {
      const { server, bot } = await ask({ method: "POST", path: posts, status: 500, after: true, times: 2 });
      await shows(server, 'You say "hello" after nothing.');
      await settled(bot);
      expect(server.shown()).toHaveLength(1);
      expect(server.calls.filter(({ path }) => posts.test(path)).length).toBe(3);
    });

    it("posts once when the connection breaks after the message was stored", async () => {
      const { server, bot } = await ask({ method: "POST", path: posts, drop: true, after: true });
      await shows(server, 'You say "hello" after nothing.');
      await settled(bot);
      expect(server.shown()).toHaveLength(1);
      const nonces = server.calls.filter(({ path }) => posts.test(path)).map(({ body }) => body.nonce);
      expect(nonces).toHaveLength(2);
      expect(new Set(nonces).size).toBe(1);
    });

    it("shows the whole answer though an edit broke", async () => {
      const { server } = await ask({ method: "PATCH", path: edits, drop: true, times: 2 });
      await shows(server, 'You say "hello" after nothing.');
    });

    it("posts the answer anew, once, when its message is deleted while it grows", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      server.say(server.person("ann"), `${mention(server)} tell me`);
      speech.say("one ");
      await server.next("POST", posts);
      server.delete(server.shown()[0]?.id ?? "");
      speech.say("two ");
      await server.next("POST", posts);
      expect(server.shown().map(({ content }) => content)).toEqual(["one two"]);
      server.delete(server.shown()[0]?.id ?? "");
      speech.say("three");
      speech.end();
      await settled(bot);
      expect(server.shown()).toEqual([]);
      expect(bot.log.join("\n")).toContain("an answer could not be delivered");
    });

    it("gives up where it may not write, and answers the person's next message", async () => {
      const { server, bot } = await ask({ method: "POST", path: posts, status: 403, code: 50_013 });
      await server.next("POST", posts, ({ status }) => status === 403);
      server.say(server.person("bob"), `${mention(server)} and me?`);
      await shows(server, 'You say "and me?" after nothing.');
      expect(server.calls.filter(({ status }) => status === 403)).toHaveLength(1);
      await settled(bot);
      expect(bot.log.join("\n")).toContain("an answer could not be delivered");
    });
  });

  describe("takes files", () => {
    /** Says of each file how many bytes it has, and the last of them. */
    const readFiles: Answer = async function* ({ files, signal }) {
      for (const { name, type, load } of files) {
        const bytes = (await load?.(signal)) ?? new Uint8Array();
        yield { type: "message", text: `${name} (${type}): ${bytes.byteLength}, ${bytes.at(-1)}` };
      }
    };
    const photo = { name: "photo.png", type: "image/png", bytes: new Uint8Array([1, 2, 3]) };

    it("with and without words", async () => {
      const server = await startServer();
      await startBot(server, { answer: readFiles });
      const ann = server.person("ann");
      const note = { name: "note.txt", bytes: new Uint8Array([7]) };
      server.sayDirectly(ann, "", { attachments: [photo, note] });
      await shows(
        server,
        "photo.png (image/png): 3, 3\n\nnote.txt (undefined): 1, 7",
        server.directChannel(ann),
      );
    });

    it("whose links have run out, by their refs, also in another process", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, {
        answer: async function* (turn, memory) {
          for await (const _ of speech.answer(turn, memory));
          yield* readFiles(turn, memory);
        },
      });
      const ann = server.person("ann");
      server.sayDirectly(ann, "look", { attachments: [photo] });
      await server.until(() => bot.messages.length === 1);
      server.expireLinks();
      speech.end();
      await shows(server, "photo.png (image/png): 3, 3", server.directChannel(ann));
      const ref = bot.messages[0]?.files?.[0]?.ref ?? null;
      const other = await startBot(server);
      const bytes = await other.adapter.loadFile(JSON.parse(JSON.stringify(ref)), AbortSignal.timeout(5_000));
      expect([...bytes]).toEqual([1, 2, 3]);
    });

    it("from Discord's hosts only, up to a size", async () => {
      const server = await startServer();
      const ann = server.person("ann");
      const tooLarge = await startBot(server, { answer: readFiles, discord: { maxFileBytes: 2 } });
      server.sayDirectly(ann, "look", { attachments: [photo] });
      await shows(server, /^I could not read that message\. \(ref/, server.directChannel(ann));
      expect(tooLarge.log.join("\n")).toContain("is larger than 2 bytes");
      await settled(tooLarge);
      await tooLarge.client.destroy();
      const bob = server.person("bob");
      const elsewhere = await startBot(server, { answer: readFiles, discord: { fileHosts: [] } });
      server.sayDirectly(bob, "look", { attachments: [photo] });
      await shows(server, /^I could not read that message\. \(ref/, server.directChannel(bob));
      expect(elsewhere.log.join("\n")).toContain("is not at one of Discord's own hosts");
    });

    it("that are gone: the error says so", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      const gone = { channelId: server.channelId, messageId: "1", attachmentId: "2" };
      const refs: [JsonValue, string][] = [
        [gone, "could not be found"],
        [{ ...gone, messageId: "../users" }, "is no attachment"],
        [null, "is no attachment"],
      ];
      for (const [ref, problem] of refs) {
        const failure = await bot.adapter.loadFile(ref, AbortSignal.timeout(5_000)).catch((error) => error);
        expect(failure).toBeInstanceOf(AparteError);
        expect(failure).toMatchObject({ code: "input-invalid", field: "files" });
        expect(failure.message).toContain(problem);
      }
    });
  });

  describe("delivers for another process", () => {
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
      await server.until(() => server.shown().length === 2);
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
      await shows(server, /^I was interrupted, and my answer to your last message is lost/);
      expect(server.shown()).toHaveLength(1);
    });

    it("only when its client has logged in", async () => {
      const server = await startServer();
      const mapper = new SessionMapper({ agents: { helper: backend(elephant) }, secret });
      const rest = { ...server.rest };
      const client = new Client({ intents: allIntents, partials: [Partials.Channel], rest });
      endings.push(() => client.destroy());
      endings.push(() => mapper.close());
      discord(mapper).attach(client);
      const message = question(server);
      await expect(mapper.receive(message)).rejects.toMatchObject({ field: "platform" });
      const ready = new Promise((resolve) => client.once("clientReady", resolve));
      await client.login(server.token);
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
      expect(server.shown().map(({ content }) => content)).not.toEqual(["mine still mine not mine either"]);
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

  describe("refuses", () => {
    const mapper = () => {
      const made = new SessionMapper({ agents: { helper: backend(elephant) }, secret });
      endings.push(() => made.close());
      return made;
    };

    it("options that do not exist or have no sense, by name", () => {
      const wrong: [string, unknown][] = [
        ["respnd", "all"],
        ["respond", "sometimes"],
        ["directMessages", "yes"],
        ["editInterval", 0],
        ["maxFileBytes", Number.NaN],
        ["fileHosts", "127.0.0.1"],
        ["fileHosts", ["https://127.0.0.1/"]],
      ];
      for (const [field, value] of wrong) {
        const options = { [field]: value } as DiscordOptions;
        expect(() => discord(mapper(), options)).toThrow(
          expect.objectContaining({ code: "option-invalid", field }),
        );
      }
    });

    it("a client that would not hear its people, and says what to add", () => {
      const attach = (client: Partial<ClientOptions>, options?: DiscordOptions) => () =>
        discord(mapper(), options).attach(
          new Client({ intents: allIntents, partials: [Partials.Channel], ...client }),
        );
      const refused: [Partial<ClientOptions>, DiscordOptions, string][] = [
        [{ intents: [Guilds, GuildMessages] }, {}, "GatewayIntentBits.DirectMessages"],
        [{ intents: [DirectMessages] }, {}, "GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages"],
        [{ partials: [] }, {}, "Partials.Channel"],
        [
          { intents: [Guilds, GuildMessages, DirectMessages] },
          { respond: "all" },
          "GatewayIntentBits.MessageContent",
        ],
      ];
      for (const [client, options, missing] of refused) {
        expect(attach(client, options)).toThrow(expect.objectContaining({ code: "option-invalid" }));
        expect(attach(client, options)).toThrow(missing);
      }
      expect(
        attach({ intents: [Guilds, GuildMessages], partials: [] }, { directMessages: false }),
      ).not.toThrow();
      expect(attach({ intents: [DirectMessages] }, { respond: "never" })).not.toThrow();
    });

    it("a second client, and to deliver without one", async () => {
      const adapter = discord(mapper());
      const { delivery } = deliveryOf();
      const message = { platform: "discord", tenant: "dm", user: "1", id: "2", text: "?" };
      await expect(adapter.deliver(message, delivery)).rejects.toMatchObject({ field: "client" });
      const client = () => new Client({ intents: allIntents, partials: [Partials.Channel] });
      adapter.attach(client());
      expect(() => adapter.attach(client())).toThrow(expect.objectContaining({ field: "client" }));
    });
  });
});

describe("Channels", () => {
  it("shows typing every 8 seconds while a reply that is held runs, once a channel", async () => {
    vi.useFakeTimers();
    endings.push(() => vi.useRealTimers());
    const typed: string[] = [];
    const channels = new Channels(async (id) => {
      typed.push(id);
    }, 1_200);
    let isHeld = true;
    const first = channels.enter("c1", async () => {
      if (!isHeld) throw new Error("Another process holds it.");
    });
    const second = channels.enter("c1", async () => {
      throw new Error("Another process holds it.");
    });
    await vi.advanceTimersByTimeAsync(17_000);
    expect(typed).toEqual(["c1", "c1", "c1"]);
    isHeld = false;
    await vi.advanceTimersByTimeAsync(16_000);
    expect(typed).toHaveLength(3);
    first.leave();
    second.leave();
    expect(vi.getTimerCount()).toBe(0);
  });
});
