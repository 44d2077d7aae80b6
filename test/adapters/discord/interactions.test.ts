import type { DiscordFeedback, DiscordOptions } from "aparte/discord";
import { describe, expect, it, vi } from "vitest";
import type { ConversationCall, FeedbackCall } from "../../../src/backends/backend.ts";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { Interaction, InteractionData } from "../../fakes/discord-interactions.ts";
import type { DiscordServer, Person, StoredMessage } from "../../fakes/discord-server.ts";
import { settled as atRest, TestClock } from "../../support/test-clock.ts";
import { cut, TestStore } from "../../support/test-store.ts";
import { backend, remembering, Speech } from "../agent.ts";
import { ended, endings, gate, mention, posts, settled, shows, startBot, startServer } from "./bot.ts";

const discord: DiscordOptions = { commands: true, buttons: ["stop", "questions", "new"] };
const ephemeral = 64;
const nowhere = { isDirect: false, isPrivate: false, isForeign: false, isDenied: false };

/** A person uses a slash command. */
function use(
  server: DiscordServer,
  person: Person,
  name: string,
  values: Readonly<Record<string, string | boolean>> = {},
  more: Partial<InteractionData> = {},
): Interaction {
  const options = Object.entries(values).map(([option, value]) => ({
    ...{ name: option, value, type: typeof value === "string" ? 3 : 5 },
  }));
  return server.interact(person, { data: { id: "1", name, type: 1, options }, ...more });
}

/** The buttons of a message, by their labels. */
function buttonsOf(message: { readonly [key: string]: unknown }): ReadonlyMap<string, string> {
  const rows = message.components as { components: { label: string; custom_id: string }[] }[];
  return new Map(
    rows.flatMap(({ components }) => components.map(({ label, custom_id }) => [label, custom_id])),
  );
}

function press(server: DiscordServer, person: Person, messageId: string, customId: string): Interaction {
  const data = { custom_id: customId, component_type: 2 };
  const channelId = server.messages.get(messageId)?.channel_id ?? "";
  return server.interact(person, { type: 3, data, channelId, message: server.messagePayload(messageId) });
}

/** A person uses the command on a message. */
function askAbout(server: DiscordServer, person: Person, target: string): Interaction {
  const resolved = { messages: { [target]: server.messagePayload(target) } };
  const data = { id: "1", name: "Ask about this", type: 3, target_id: target, resolved };
  return server.interact(person, { data });
}

/** A person has typed the beginning of an agent's name. */
function type(server: DiscordServer, person: Person, value: string): Interaction {
  const options = [{ name: "agent", type: 3, value, focused: true }];
  return server.interact(person, { type: 4, data: { id: "1", name: "agent", type: 1, options } });
}

/** Resolves when an interaction is answered with this text. */
async function told(server: DiscordServer, { token }: Interaction, text: string | RegExp) {
  return server.until(() => {
    const found = server.interaction(token).original;
    const isShown = typeof text === "string" ? found?.content === text : text.test(found?.content ?? "");
    return isShown && found;
  });
}

describe("discord's commands", () => {
  it("are registered where they differ, beside the application's own", async () => {
    const server = await startServer();
    const first = await startBot(server, { discord });
    await server.until(() => server.commands.size === 7);
    expect([...server.commands.keys()]).toEqual([
      ...["ask", "new", "title", "stop", "privacy", "forget", "Ask about this"],
    ]);
    await first.client.destroy();
    const count = () =>
      server.calls.filter(({ method, path }) => method === "POST" && path.endsWith("/commands")).length;
    const translated: DiscordOptions = {
      commands: (all) =>
        all.map((command) =>
          command.name === "new" ? { ...command, name_localizations: { de: "neu" } } : command,
        ),
    };
    const second = await startBot(server, { discord: translated });
    await server.until(() => count() === 8);
    expect(server.commands.get("new")?.name_localizations).toEqual({ de: "neu" });
    await second.client.destroy();
    await startBot(server, { discord: translated });
    const list = () =>
      server.calls.filter(({ method, path }) => method === "GET" && path.endsWith("/commands"));
    await server.until(() => list()[2]?.status === 200);
    const asked = use(server, server.person("ann"), "privacy");
    await told(server, asked, /\/forget/);
    expect(count()).toBe(8);
  });

  it("take what Discord lets people type, in all places", async () => {
    const server = await startServer();
    const agents = { helper: backend(remembering), other: backend(remembering) };
    await startBot(server, { discord, mapper: { agents } });
    await server.until(() => server.commands.size === 8);
    const text = (name: string, max_length: number) => ({ type: 3, name, max_length, required: true });
    const options: Readonly<Record<string, object[]>> = {
      ask: [text("question", 4_000), { type: 5, name: "private", required: false }],
      title: [text("title", 100)],
      agent: [{ ...text("agent", 100), autocomplete: true }],
    };
    interface Described {
      readonly description: string;
      readonly [key: string]: unknown;
    }
    const described: Described[] = [];
    const undescribed = (one: Described) => {
      described.push(one);
      const { description: _, description_localizations: __, ...rest } = one;
      return rest;
    };
    for (const [name, command] of server.commands) {
      expect(command).toMatchObject({ integration_types: [0, 1], contexts: [0, 1, 2] });
      if (name === "Ask about this") expect(command.type).toBe(3);
      else {
        const { type: kind, options: taken } = undescribed(command as Described);
        expect(kind).toBe(1);
        expect((taken as Described[]).map(undescribed)).toEqual(options[name] ?? []);
      }
    }
    for (const { description } of described) expect(description).toMatch(/^.{1,100}$/);
    expect(described).toHaveLength(11);
  });

  it("lose on Discord the options that they have no more", async () => {
    const server = await startServer();
    const first = await startBot(server, { discord });
    await server.until(() => server.commands.size === 7);
    await first.client.destroy();
    const commands: DiscordOptions["commands"] = (all) =>
      all.map((command) => (command.name === "ask" ? { ...command, options: [] } : command));
    await startBot(server, { discord: { commands } });
    await server.until(() => JSON.stringify(server.commands.get("ask")?.options) === "[]");
  });

  it("ask in the person's session, and answer where they are used", async () => {
    const server = await startServer();
    await startBot(server, { discord });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    const asked = use(server, ann, "ask", { question: "two" });
    const answer = await told(server, asked, 'You say "two" after one.');
    expect(answer.flags & ephemeral).toBe(0);
    expect(answer.pings).toEqual([]);
    // By the interaction's own token alone.
    const calls = server.calls.filter(({ path }) => path.includes(asked.token));
    expect(calls.every(({ path }) => /^\/(interactions|webhooks)\//.test(path))).toBe(true);
  });

  it("ask in private with the bot, in the session of the direct messages", async () => {
    const server = await startServer();
    await startBot(server, { discord });
    const ann = server.person("ann");
    server.sayDirectly(ann, "one");
    const channelId = server.directChannel(ann);
    await shows(server, 'You say "one" after nothing.', channelId);
    await told(
      server,
      use(server, ann, "ask", { question: "two" }, { channelId }),
      'You say "two" after one.',
    );
  });

  it("answer in private where asked to, in a session that is not the guild's", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} in public`);
    await shows(server, 'You say "in public" after nothing.');
    const asked = use(server, ann, "ask", { question: "my secret", private: true });
    const answer = await told(server, asked, 'You say "my secret" after nothing.');
    expect(answer.flags & ephemeral).toBe(ephemeral);
    server.say(ann, `${mention(server)} again in public`);
    await shows(server, 'You say "again in public" after in public.');
    expect(bot.messages.map(({ direct }) => direct)).toEqual([undefined, true, undefined]);
  });

  it("keep the people of other places apart where only they have installed the app", async () => {
    const server = await startServer();
    const bot = await startBot(server, { discord, mapper: { scope: "channel" } });
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    const elsewhere = { foreignGuild: "4242" };
    await told(
      server,
      use(server, ann, "ask", { question: "one" }, elsewhere),
      'You say "one" after nothing.',
    );
    await told(
      server,
      use(server, bob, "ask", { question: "two" }, elsewhere),
      'You say "two" after nothing.',
    );
    await told(
      server,
      use(server, ann, "ask", { question: "three" }, elsewhere),
      'You say "three" after one.',
    );
    await told(
      server,
      use(server, ann, "ask", { question: "four" }, { isGroup: true }),
      'You say "four" after nothing.',
    );
    expect(new Set(bot.messages.map(({ tenant }) => tenant)).size).toBe(3);
    // Nothing is asked of a guild in which the bot is no member.
    expect(server.calls.filter(({ path }) => path.startsWith("/channels/"))).toEqual([]);
  });

  it("are all acknowledged before one is answered, 200 at once", async () => {
    const server = await startServer();
    // A machine that is busy with other tests may be slower than Discord waits.
    server.firstResponseMs = 60_000;
    await startBot(server, { discord });
    const asked = Array.from({ length: 200 }, (_, index) =>
      use(server, server.person(`p${index}`), "ask", { question: `${index}` }),
    );
    await server.until(() => asked.every(({ response }) => response === 5));
    const paths = server.calls.map(({ path }) => path);
    const lastAcknowledged = paths.findLastIndex((path) => path.endsWith("/callback"));
    expect(paths.slice(0, lastAcknowledged).filter((path) => path.startsWith("/webhooks/"))).toEqual([]);
  });

  it("offer no more agents than Discord shows, of those that somebody may mean", async () => {
    const server = await startServer();
    const names = Array.from({ length: 27 }, (_, index) => `agent ${index}`);
    const agents = Object.fromEntries(names.map((name) => [name, backend(remembering)]));
    await startBot(server, { discord, mapper: { agents } });
    const typed = type(server, server.person("ann"), "AGENT");
    await server.until(() => server.interaction(typed.token).choices !== undefined);
    const offered = server.interaction(typed.token).choices?.map(({ value }) => value);
    expect(offered).toEqual(names.slice(0, 25));
  });

  it("begin anew, name, choose, tell of privacy and forget", async () => {
    const server = await startServer();
    const bot = await startBot(server, {
      discord,
      mapper: {
        agents: {
          helper: backend(remembering),
          other: backend(ended({ type: "message", text: "I am other." })),
        },
      },
    });
    const ann = server.person("ann");
    await told(server, use(server, ann, "ask", { question: "one" }), 'You say "one" after nothing.');
    const anew = await told(server, use(server, ann, "new"), "I have forgotten what we talked about.");
    expect(anew.flags & ephemeral).toBe(ephemeral);
    await told(server, use(server, ann, "ask", { question: "two" }), 'You say "two" after nothing.');
    await told(server, use(server, ann, "title", { title: "Numbers" }), /^This agent cannot do that\. \(ref/);
    const typed = type(server, ann, "OTH");
    await server.until(() => server.interaction(typed.token).choices !== undefined);
    expect(server.interaction(typed.token).choices).toEqual([{ name: "other", value: "other" }]);
    await told(server, use(server, ann, "agent", { agent: "other" }), "You talk to other now.");
    await told(server, use(server, ann, "ask", { question: "who?" }), "I am other.");
    await told(server, use(server, ann, "agent", { agent: "nobody" }), /^I do not know that agent\. \(ref/);
    await told(server, use(server, ann, "privacy"), /\/forget/);
    await told(
      server,
      use(server, ann, "forget"),
      /^All that was kept of you here is erased\. The agent's service cannot erase/,
    );
    const kept = [];
    for await (const session of bot.mapper.sessions()) kept.push(session);
    expect(kept).toEqual([]);
  });

  it("speak the person's language, in words of the application's own", async () => {
    const server = await startServer();
    await startBot(server, {
      discord,
      mapper: { texts: (code, _, { locale }) => (code === "begun-anew" ? `${locale}: anew` : undefined) },
    });
    const ann = server.person("ann");
    await server.until(() => server.commands.size === 7);
    expect(server.commands.get("new")).toMatchObject({
      description: "Begin a new conversation: the agent forgets what was said",
      description_localizations: { "zh-CN": "开始新的对话：智能体会忘记之前的内容" },
    });
    const inChinese = { locale: "zh-TW" };
    await told(server, use(server, ann, "stop", {}, inChinese), "这里没有我可以为您停止的内容。");
    await told(server, use(server, ann, "new", {}, inChinese), "zh-TW: anew");
    await told(
      server,
      use(server, ann, "title", { title: "Numbers" }, inChinese),
      /^这个智能体做不到。（编号/,
    );
    await told(server, use(server, ann, "stop"), "There is nothing of yours that I could stop here.");
  });

  it.each<[string, (server: DiscordServer, person: Person) => Interaction]>([
    ["a command", (server, ann) => use(server, ann, "new")],
    ["a question", (server, ann) => use(server, ann, "ask", { question: "?" })],
    ["a question about a message", (server, ann) => askAbout(server, ann, server.say(ann, "E = mc²"))],
    ["a button", (server, ann) => press(server, ann, server.say(ann, "Hello"), `aparte:new:${ann.id}`)],
    ["a choice of agents", (server, ann) => type(server, ann, "o")],
  ])("log that Discord no longer takes an answer to %s", async (_, interact) => {
    const server = await startServer();
    let error: (...entry: unknown[]) => void = () => {};
    const logged = new Promise<unknown[]>((resolve) => {
      error = (...entry) => resolve(entry);
    });
    await startBot(server, { discord, mapper: { logger: { info() {}, warn() {}, error } } });
    server.fail({ method: "POST", path: /^\/interactions\//, status: 404, code: 10_062 });
    interact(server, server.person("ann"));
    expect(await logged).toEqual([
      "a command could not be answered",
      expect.objectContaining({ code: 10_062 }),
    ]);
  });

  it("tell that something is not erased where that is what was said in private", async () => {
    const server = await startServer();
    const asked: string[] = [];
    const agent = backend(async function* ({ conversationId, text }) {
      asked.push(conversationId);
      yield { type: "message", text };
    });
    const remove = async ({ conversationId }: ConversationCall) => {
      if (conversationId === asked[1]) throw new Error("The service is away.");
    };
    await startBot(server, { discord, mapper: { agents: { helper: { ...agent, remove } } } });
    const ann = server.person("ann");
    await told(server, use(server, ann, "ask", { question: "one" }), "one");
    await told(server, use(server, ann, "ask", { question: "two", private: true }), "two");
    await told(server, use(server, ann, "forget"), /cannot erase/);
  });

  it("ask about a message, in private", async () => {
    const server = await startServer();
    await startBot(server, { discord });
    const target = server.say(server.person("bob"), "E = mc²");
    const asked = askAbout(server, server.person("ann"), target);
    const answer = await told(server, asked, 'You say "bob wrote:\n> E = mc²" after nothing.');
    expect(answer.flags & ephemeral).toBe(ephemeral);
  });

  it("say so when the agent says nothing", async () => {
    const server = await startServer();
    await startBot(server, { discord, answer: ended() });
    await told(
      server,
      use(server, server.person("ann"), "ask", { question: "?" }),
      "-# The agent had nothing to say to that.",
    );
  });

  describe.each([
    ["in a guild", {}],
    ["in a direct message", { isDirect: true }],
    ["in private", { isPrivate: true }],
    ["where only the person has installed the app", { isForeign: true }],
    ["where the bot may not write", { isDenied: true }],
  ] as const)("answer at length, %s", (_, where) => {
    const { isDirect, isPrivate, isForeign, isDenied } = { ...nowhere, ...where };
    const words = (count: number) =>
      Array.from({ length: count }, (_word, at) => `word${String(at).padStart(4, "0")}`).join(" ");
    /** The whole of what is shown of an answer. */
    const whole = (found: readonly StoredMessage[]) =>
      Buffer.from(found.at(-1)?.attachments[0]?.bytes ?? []).toString() ||
      found.map(({ content }) => content).join(" ");

    it.each([5_000, 50_000])(
      "of %i characters, whole and once, though answers of calls are lost",
      async (length) => {
        const server = await startServer();
        const text = words(Math.ceil(length / 9));
        await startBot(server, { discord, answer: ended({ type: "message", text }) });
        const ann = server.person("ann");
        if (isDenied) server.deny(server.channelId, "SendMessages");
        const further = /^\/channels\/\d+\/messages$|^\/webhooks\//;
        for (const method of ["POST", "PATCH"])
          for (const drop of [true, false])
            server.fail({ method, path: further, after: true, ...(drop ? { drop } : { status: 502 }) });
        const channelId = isDirect ? server.directChannel(ann) : server.channelId;
        const foreign = isForeign ? { foreignGuild: "777" } : {};
        use(
          server,
          ann,
          "ask",
          { question: "?", ...(isPrivate ? { private: true } : {}) },
          { channelId, ...foreign },
        );
        const shown = () => server.shown(channelId);
        await server.until(() => whole(shown()) === text);
        const isAlone = isPrivate || isForeign || isDenied;
        expect(shown()).toHaveLength(isAlone ? 1 : length === 5_000 ? 3 : 5);
        expect(shown().every(({ flags }) => (flags & ephemeral) === (isPrivate ? ephemeral : 0))).toBe(true);
      },
    );
  });

  it.each([
    ["in private", { private: true }, {}],
    ["where only the person has installed the app", {}, { foreignGuild: "777" }],
  ])("answer at length in messages alone, %s, where Discord takes no file", async (_, how, where) => {
    const server = await startServer();
    const text = Array.from({ length: 800 }, (_word, at) => `word${String(at).padStart(4, "0")}`).join(" ");
    await startBot(server, { discord, answer: ended({ type: "message", text }) });
    server.faultOf = ({ method, path, files }) =>
      files.length > 0 ? { method, path: new RegExp(path), status: 413, code: 40_005 } : undefined;
    use(server, server.person("ann"), "ask", { question: "?", ...how }, where);
    const shown = () => server.shown().filter(({ content }) => content !== "");
    await server.until(
      () =>
        shown()
          .map(({ content }) => content)
          .join(" ") === text,
    );
    expect(shown()).toHaveLength(4);
    const flags = "private" in how ? [ephemeral, ephemeral | 4] : [0, 4];
    for (const message of shown()) {
      expect(flags).toContain(message.flags);
      expect(message.pings).toEqual([]);
    }
    // Buttons stand below the last one.
    expect(shown().map((message) => buttonsOf(message).size)).toEqual([0, 0, 0, 1]);
  });

  it("end well when the answer takes longer than Discord waits", async () => {
    const server = await startServer();
    await startBot(server, { discord, answer: ended({ type: "message", text: "At last." }) });
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    const late = { ageMs: 900_000 };
    use(server, ann, "ask", { question: "in public" }, late);
    await shows(server, "At last.");
    use(server, bob, "ask", { question: "in private", private: true }, late);
    await shows(server, "At last.", server.directChannel(bob));
    expect(server.shown(server.directChannel(ann))).toEqual([]);
    const cid = server.person("cid");
    use(server, cid, "ask", { question: "where the bot is not" }, { ...late, foreignGuild: "777" });
    await shows(server, "At last.", server.directChannel(cid));
  });

  it("show nobody else what is said in private, also where Discord's time is over in the midst of the answer", async () => {
    const server = await startServer();
    const speech = new Speech();
    await startBot(server, { discord, answer: speech.answer });
    const ann = server.person("ann");
    const asked = use(server, ann, "ask", { question: "my secret", private: true });
    speech.say("Your secret ");
    await told(server, asked, "Your secret");
    const held = gate();
    server.fail({ method: "PATCH", path: /^\/webhooks\//, until: held.opened });
    speech.say("is ");
    await server.until(() => server.calls.filter(({ path }) => path.startsWith("/webhooks/")).length === 2);
    speech.say("kept.");
    speech.end();
    await atRest();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 850_000 });
    endings.push(() => vi.useRealTimers());
    held.open();
    const shownIn = await server.until(() =>
      [...server.messages.values()].find(({ content }) => content === "Your secret is kept."),
    );
    expect(shownIn.channel_id).toBe(server.directChannel(ann));
    expect(server.calls.filter(({ path }) => path.startsWith(`/channels/${server.channelId}/`))).toEqual([]);
  });
});

describe("discord's buttons", () => {
  it("stop an answer, for its asker alone", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { discord, answer: speech.answer });
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    server.say(ann, `${mention(server)} tell me`);
    speech.say("one ");
    await server.next("POST", posts);
    const [message] = server.shown();
    const stop = `aparte:stop:${ann.id}`;
    expect(message?.components).toEqual([
      { type: 1, components: [{ type: 2, style: 4, label: "Stop", custom_id: stop }] },
    ]);
    await told(server, press(server, bob, message?.id ?? "", stop), /^That is not yours/);
    const pressed = press(server, ann, message?.id ?? "", stop);
    await server.until(() => buttonsOf(message ?? {}).has("New conversation"));
    expect(message?.content).toBe("one \n\nStopped.");
    expect(server.interaction(pressed.token).response).toBe(6);
    speech.end();
    expect(buttonsOf(message ?? {}).has("Stop")).toBe(false);
    await settled(bot);
  });

  it.each([
    ["its button", "button", "mention"],
    ["the command", "command", "mention"],
    ["the command, what was asked in private", "command", "private"],
    ["the command, in a direct message", "command", "direct"],
  ])("stop what another process answers, by %s", async (_, how, where) => {
    const server = await startServer();
    const store = { ...memoryStore(), shared: true };
    const speech = new Speech();
    const one = await startBot(server, { discord, store, answer: speech.answer });
    const ann = server.person("ann");
    const channelId = where === "direct" ? server.directChannel(ann) : server.channelId;
    if (where === "private") use(server, ann, "ask", { question: "tell me", private: true });
    else server.say(ann, `${mention(server)} tell me`, {}, channelId);
    speech.say("one ");
    const message = await shows(server, "one", channelId);
    one.client.removeAllListeners("interactionCreate");
    const other = await startBot(server, { discord, store, answer: speech.answer });
    if (how === "button") press(server, ann, message.id, buttonsOf(message).get("Stop") ?? "");
    else await told(server, use(server, ann, "stop", {}, { channelId }), "Stopped.");
    await server.until(() => message.content === "one \n\nStopped.");
    await Promise.all([settled(one), settled(other)]);
    expect([...one.messages, ...other.messages].map(({ text }) => text)).toEqual(["tell me"]);
  });

  it("stop nothing of another person, and nothing elsewhere", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { discord, answer: speech.answer });
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    server.say(ann, `${mention(server)} tell me`);
    speech.say("one ");
    const message = await shows(server, "one");
    const nothing = "There is nothing of yours that I could stop here.";
    await told(server, use(server, bob, "stop"), nothing);
    const stop = buttonsOf(message).get("Stop") ?? "";
    press(server, bob, message.id, stop.replace(ann.id, bob.id));
    const { flags } = await server.until(
      () => server.shown().filter(({ content }) => content === nothing)[1],
    );
    expect(flags & ephemeral).toBe(ephemeral);
    await told(server, use(server, ann, "stop", {}, { channelId: server.directChannel(ann) }), nothing);
    speech.say("two ");
    speech.end();
    await settled(bot);
    expect(message.content).toBe("one two");
  });

  it("say that stopping failed where the store is away", async () => {
    const server = await startServer();
    const clock = new TestClock();
    const store = new TestStore(clock).view();
    await startBot(server, { discord, store, mapper: { clock } });
    const isAway = new Promise<void>((resolve) => {
      store.intercept = (call, run) => {
        resolve();
        return cut(call, run);
      };
    });
    const asked = use(server, server.person("ann"), "stop");
    await isAway;
    await clock.pass(60_000);
    await told(server, asked, /^I cannot reach my memory right now/);
  });

  it("stop an answer in a thread that was opened for it", async () => {
    const server = await startServer();
    const speech = new Speech();
    await startBot(server, { discord: { ...discord, openThreads: true }, answer: speech.answer });
    const ann = server.person("ann");
    const thread = server.say(ann, `${mention(server)} tell me`);
    speech.say("one ");
    const message = await shows(server, "one", thread);
    press(server, ann, message.id, buttonsOf(message).get("Stop") ?? "");
    await server.until(() => message.content.endsWith("Stopped."));
    speech.end();
  });

  it("ask follow-up questions, and begin anew", async () => {
    const server = await startServer();
    let isFirst = true;
    const bot = await startBot(server, {
      discord,
      answer: async function* (turn, memory) {
        if (!isFirst) yield* remembering(turn, memory);
        else {
          yield { type: "message", text: "Here." };
          yield { type: "suggestions", items: ["And then?", "Why?"] };
        }
        isFirst = false;
      },
    });
    const ann = server.person("ann");
    const id = server.say(ann, `${mention(server)} one`);
    const message = await server.until(() => server.shown().find((one) => buttonsOf(one).has("Why?")));
    expect(message.content).toBe("Here.");
    const button = (style: number, label: string, custom_id: string) => ({
      type: 2,
      style,
      label,
      custom_id,
    });
    expect(message.components).toEqual([
      {
        type: 1,
        components: [
          button(1, "And then?", `aparte:ask:${ann.id}:0`),
          button(1, "Why?", `aparte:ask:${ann.id}:1`),
        ],
      },
      { type: 1, components: [button(2, "New conversation", `aparte:new:${ann.id}`)] },
    ]);
    const why = press(server, ann, message.id, buttonsOf(message).get("Why?") ?? "");
    await told(server, why, 'You say "Why?" after one.');
    const anew = press(server, ann, message.id, buttonsOf(message).get("New conversation") ?? "");
    await told(server, anew, "I have forgotten what we talked about.");
    await told(server, use(server, ann, "ask", { question: "two" }), 'You say "two" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ id: event }) => event)[0]).toBe(id);
  });

  it("tell what the asker thinks of an answer, and of which", async () => {
    const server = await startServer();
    const rated: DiscordFeedback[] = [];
    await startBot(server, {
      discord: { commands: true, buttons: ["feedback"], onFeedback: (feedback) => rated.push(feedback) },
    });
    const [ann, bob] = [server.person("ann"), server.person("bob")];
    server.say(ann, `${mention(server)} one`);
    const message = await server.until(() => server.shown().find((one) => buttonsOf(one).size > 0));
    expect([...buttonsOf(message).keys()]).toEqual(["Good answer", "Bad answer"]);
    const rate = (person: Person, label: string) =>
      press(server, person, message.id, buttonsOf(message).get(label) ?? "");
    await told(server, rate(ann, "Good answer"), /^Thank you/);
    await told(server, rate(ann, "Bad answer"), /^Thank you/);
    const speaker = {
      ...{ platform: "discord", bot: server.bot.id, user: ann.id },
      ...{ tenant: server.guildId, channel: server.channelId, locale: "en-US" },
    };
    const place = { channelId: server.channelId, messageId: message.id };
    expect(rated).toEqual([
      { speaker, ...place, isPositive: true },
      { speaker, ...place, isPositive: false },
    ]);
    await told(server, rate(bob, "Bad answer"), /^That is not yours/);
    const asked = use(server, ann, "ask", { question: "two", private: true });
    const answer = await told(server, asked, 'You say "two" after nothing.');
    const bad = press(server, ann, answer.id, buttonsOf(answer).get("Bad answer") ?? "");
    await told(server, bad, /^Thank you/);
    expect(rated).toHaveLength(3);
    expect(rated[2]).toMatchObject({ speaker: { ...speaker, direct: true }, messageId: answer.id });
  });

  it("tell the agent's service what the asker thinks, and are not there where nobody is to be told", async () => {
    const server = await startServer();
    const given: unknown[] = [];
    let id: { readonly id?: string } = { id: "answer-1" };
    const agent = backend(async function* () {
      yield { type: "message", text: "One." };
      yield { type: "message", text: "Two.", ...id };
    });
    const feedback = async ({ answer, rating }: FeedbackCall) => void given.push([answer, rating]);
    const agents = { helper: { ...agent, feedback } };
    await startBot(server, { discord: { buttons: ["feedback"] }, mapper: { agents } });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const message = await server.until(() => server.shown().find((one) => buttonsOf(one).size > 0));
    const bad = press(server, ann, message.id, buttonsOf(message).get("Bad answer") ?? "");
    await told(server, bad, /^Thank you/);
    expect(given).toEqual([["answer-1", "down"]]);
    for (id of [{}, { id: "x".repeat(100) }]) {
      const shown = server.shown().length;
      server.say(ann, `${mention(server)} two`);
      const without = await server.until(
        () => server.shown()[shown]?.content === "One.\n\nTwo." && server.shown()[shown],
      );
      expect(without.components).toEqual([]);
    }
  });

  it("say so when what the asker thinks could not be passed on", async () => {
    const server = await startServer();
    const onFeedback = () => Promise.reject(new Error("the database's own words"));
    const bot = await startBot(server, { discord: { buttons: ["feedback"], onFeedback } });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} one`);
    const message = await server.until(() => server.shown().find((one) => buttonsOf(one).size > 0));
    const pressed = press(server, ann, message.id, buttonsOf(message).get("Good answer") ?? "");
    const { content } = await told(server, pressed, /\(ref/);
    expect(content).not.toContain("own words");
    expect(bot.log.join("\n")).toContain(/\(ref\S* (\S+)\)/.exec(content)?.[1]);
  });
});
