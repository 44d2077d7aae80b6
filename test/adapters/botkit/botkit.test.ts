import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { AparteError, type Backend, type MapperOptions, SessionMapper } from "aparte";
import { agentSays, type BotkitOptions, botkit, getSession } from "aparte/botkit";
import { coze } from "aparte/coze";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { type Activity, TestAdapter, TurnContext } from "botbuilder";
import { SlackAdapter, SlackEventMiddleware, SlackMessageTypeMiddleware } from "botbuilder-adapter-slack";
import { WebAdapter } from "botbuilder-adapter-web";
import { Botkit, BotkitConversation, type BotkitMessage } from "botkit";
import express from "express";
import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ConnectorServer } from "../../fakes/connector-server.ts";
import { SlackServer } from "../../fakes/slack-server.ts";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };

const failingAgent: Backend = {
  name: "failing",
  open: async () => "c1",
  // biome-ignore lint/correctness/useYield: it fails before it says anything
  async *ask() {
    throw new AparteError("backend-unavailable", "The service is away.");
  },
};

let emulator: CozeEmulator;
let closers: (() => unknown)[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await emulator.close();
});

function mapperWith(options: Partial<MapperOptions> = {}): SessionMapper {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const agents = { helper: coze({ appId, keyId, privateKey, botId, baseURL, retryDelay: 1 }) };
  const mapper = new SessionMapper({ agents, secret, logger: quiet, ...options });
  closers.push(() => mapper.close());
  return mapper;
}

/** Each person's token names them: what a host application's cookie or JWT does. */
const authenticate = (request: IncomingMessage, message: Readonly<Record<string, unknown>>) => {
  const token = request.headers.authorization ?? message.token;
  return typeof token === "string" ? /^token of (\w+)$/.exec(token)?.[1] : undefined;
};

/** A bot on the real Web adapter, at a loopback port. */
async function webBot(options: BotkitOptions = {}, mapper = mapperWith()) {
  const app = express();
  app.use(express.json());
  const server: Server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const adapter = new WebAdapter({ server } as never);
  const controller = new Botkit({ adapter, webserver: app, disable_console: true });
  const errors: unknown[] = [];
  controller.usePlugin(botkit(mapper, { authenticate, onError: (error) => errors.push(error), ...options }));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (body: object, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://${host}/api/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      messages: response.ok && text ? (JSON.parse(text) as { text?: string }[]) : [],
    };
  };
  const says = async (user: string, text: string, more: object = {}) => {
    const { messages } = await post(
      { type: "message", user, text, ...more },
      { authorization: `token of ${user}` },
    );
    return messages.map((message) => message.text).join("\n");
  };
  return { controller, errors, host, post, says, mapper };
}

/** A web client on a socket. */
async function client(host: string, user: string, token = `token of ${user}`) {
  const socket = new WebSocket(`ws://${host}`);
  const texts: string[] = [];
  const types: string[] = [];
  socket.on("message", (data) => {
    const { type, text } = JSON.parse(String(data)) as { type: string; text?: string };
    types.push(type);
    if (text) texts.push(text);
  });
  await once(socket, "open");
  closers.push(() => socket.terminate());
  return {
    socket,
    texts,
    types,
    say: (text: string, as = user) => socket.send(JSON.stringify({ type: "message", user: as, text, token })),
  };
}

describe("Botkit on the Web adapter", () => {
  it("gives two people over HTTP a conversation each", async () => {
    const { says } = await webBot();
    await Promise.all([says("ada", "My name is Ada Lovelace."), says("bob", "My name is Bob Dylan.")]);
    expect(await says("ada", "What do you know of me?")).toContain("Ada Lovelace");
    const ofBob = await says("bob", "What do you know of me?");
    expect(ofBob).toContain("Bob Dylan");
    expect(ofBob).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(2);
  });

  it("gives two people on sockets a conversation each, which is the one that they have over HTTP", async () => {
    const { host, says } = await webBot();
    const [ada, bob] = [await client(host, "ada"), await client(host, "bob")];
    ada.say("My name is Ada Lovelace.");
    bob.say("My name is Bob Dylan.");
    await expect.poll(() => [ada.texts.length, bob.texts.length]).toEqual([1, 1]);
    ada.say("What do you know of me?");
    await expect.poll(() => ada.texts[1]).toContain("Ada Lovelace");
    expect(ada.types).toContain("typing");
    expect(`${ada.texts}`).not.toContain("Bob");
    expect(`${bob.texts}`).not.toContain("Ada");
    expect(await says("ada", "What do you know of me?")).toContain("Ada Lovelace");
    expect(emulator.conversations()).toHaveLength(2);
  });

  it("answers what no handler took, and leaves the rest to the handlers", async () => {
    const { controller, says } = await webBot();
    controller.hears("weather", "message", async (bot, message) => {
      await bot.reply(message, "It rains.");
    });
    expect(await says("ada", "how is the weather?")).toBe("It rains.");
    expect(emulator.chats()).toHaveLength(0);
    expect(await says("ada", "word42")).toContain("word42");
    controller.on("message", async (bot, message) => {
      await bot.reply(message, "I take all.");
    });
    expect(await says("ada", "word43")).toBe("I take all.");
    expect(emulator.chats()).toHaveLength(1);
  });

  it("answers all where asked to, beside the handlers", async () => {
    const { controller, says } = await webBot({ answer: "all" });
    controller.hears("weather", "message", async (bot, message) => {
      await bot.reply(message, "It rains.");
    });
    const answer = await says("ada", "how is the weather?");
    expect(answer).toContain("It rains.");
    expect(answer).toContain("how is the weather?");
  });

  it("answers nothing where asked to, and handlers ask the agent in the person's own conversation", async () => {
    const { controller, says } = await webBot({ answer: "none" });
    controller.hears(/^agent: (.*)/, "message", async (bot, message) => {
      await bot.reply(message, await getSession(message).ask(message.matches[1]).text());
    });
    controller.hears("reset", "message", async (bot, message) => {
      await getSession(message).reset();
      await bot.reply(message, "Forgotten.");
    });
    controller.hears("ids", "message", async (bot, message) => {
      const { sessionName } = await getSession(message).resolve();
      await bot.reply(message, sessionName);
    });
    expect(await says("ada", "hello")).toBe("");
    await says("ada", "agent: My name is Ada Lovelace.");
    await says("bob", "agent: My name is Bob Dylan.");
    expect(await says("ada", "agent: What do you know of me?")).toContain("Ada Lovelace");
    expect(await says("ada", "ids")).not.toBe(await says("bob", "ids"));
    await says("ada", "reset");
    expect(await says("ada", "agent: What do you know of me?")).not.toContain("Ada Lovelace");
    expect(await says("bob", "agent: What do you know of me?")).toContain("Bob Dylan");
    expect(controller.plugins.aparte.mapper).toBeInstanceOf(SessionMapper);
  });

  it("asks the agent once for handlers that hear what it says, and shows that where none does", async () => {
    const { controller, says } = await webBot();
    controller.hears(
      agentSays("no such words", /You said: "weather in (\w+)/),
      "message",
      async (bot, message) => {
        await bot.reply(message, `It rains in ${message.matches[1]}: ${await getSession(message).answer()}`);
      },
    );
    controller.hears(agentSays('you said: "bye'), "message", async (bot, message) => {
      await bot.reply(message, "Good bye.");
    });
    expect(await says("ada", "weather in Oslo")).toMatch(/^It rains in Oslo: .*weather in Oslo/s);
    expect(await says("ada", "BYE now")).toBe("Good bye.");
    expect(await says("ada", "word42")).toContain("word42");
    expect(emulator.chats()).toHaveLength(3);
  });

  it("tells the person when the agent could not be asked what it says", async () => {
    const { controller, says, errors } = await webBot({}, mapperWith({ agents: { helper: failingAgent } }));
    controller.hears(agentSays("nothing"), "message", async (bot, message) => {
      await bot.reply(message, "It said nothing.");
    });
    expect(await says("ada", "bye")).toMatch(
      /^I cannot reach the agent right now\. Please try again\. \(ref/,
    );
    expect(errors).toHaveLength(1);
  });

  it("keeps the session in a running dialog, whose answers the agent does not get", async () => {
    const { controller, says } = await webBot();
    const dialog = new BotkitConversation("order", controller);
    dialog.ask(
      "Which size?",
      async (_answer, _convo, bot, message) => {
        const { sessionName } = await getSession(message).resolve();
        await bot.say(`session ${sessionName}`);
      },
      "size",
    );
    dialog.say("Ordered {{vars.size}}.");
    controller.addDialog(dialog);
    controller.hears("order", "message", async (bot) => {
      await bot.beginDialog("order");
    });
    controller.interrupts("help", "message", async (bot, message) => {
      await bot.reply(message, await getSession(message).ask("word99").text());
    });
    expect(await says("ada", "order")).toBe("Which size?");
    // Meanwhile somebody else talks to the agent.
    expect(await says("bob", "word7")).toContain("word7");
    expect(await says("ada", "help")).toContain("word99");
    const chats = emulator.chats().length;
    expect(await says("ada", "large")).toMatch(/session \S{36}\nOrdered large\./);
    expect(emulator.chats()).toHaveLength(chats);
    expect(await says("ada", "word8")).toContain("word8");
  });

  it("tells the person when a handler, an event, a dialog or an interruption throws, and goes on", async () => {
    const { controller, errors, says } = await webBot();
    const fail = async () => {
      throw new Error("the handler's own words");
    };
    controller.hears("hear", "message", fail);
    controller.interrupts("stop", "message", fail);
    const dialog = new BotkitConversation("broken", controller);
    dialog.ask("Well?", fail, "answer");
    controller.addDialog(dialog);
    controller.hears("begin", "message", async (bot) => {
      await bot.beginDialog("broken");
    });
    for (const text of ["hear", "stop"]) {
      const answer = await says("ada", text);
      expect(answer).toMatch(/ref [A-Z0-9]{8}/);
      expect(answer).not.toContain("own words");
    }
    expect(await says("bob", "begin")).toBe("Well?");
    expect(await says("bob", "well")).toMatch(/ref /);
    controller.on("message", fail);
    expect(await says("cleo", "anything")).toMatch(/ref /);
    expect(errors).toHaveLength(4);
    expect(emulator.chats()).toHaveLength(0);
  });

  it("refuses who does not prove who they are, and nothing else happens", async () => {
    const { post, controller } = await webBot();
    const seen: BotkitMessage[] = [];
    controller.on("message", async (_bot, message) => {
      seen.push(message);
    });
    const body = { type: "message", text: "hello" };
    expect((await post(body)).status).toBe(401);
    expect((await post({ ...body, user: "ada" })).status).toBe(401);
    expect((await post({ ...body, user: "ada" }, { authorization: "token of bob" })).status).toBe(401);
    expect((await post({ ...body, user: { id: "ada" } }, { authorization: "token of ada" })).status).toBe(
      401,
    );
    expect(seen).toEqual([]);
    expect(emulator.requests()).toEqual([]);
    // Without a name, it is the one that was proven.
    expect((await post(body, { authorization: "token of ada" })).status).toBe(200);
    expect(seen.map(({ user }) => user)).toEqual(["ada"]);
  });

  it("does not let a socket take over another person's replies by naming them", async () => {
    const { host } = await webBot();
    const [ada, mallory] = [await client(host, "ada"), await client(host, "mallory")];
    const chat = emulator.once("chat");
    ada.say("slow: 20 one two three four five");
    await chat;
    const closed = once(mallory.socket, "close");
    mallory.say("hello", "ada");
    expect((await closed)[0]).toBe(4403);
    await expect.poll(() => ada.texts.join()).toContain("one two three");
    expect(mallory.texts).toEqual([]);
    const nobody = await client(host, "ada", "no token");
    const refused = once(nobody.socket, "close");
    nobody.say("hello");
    expect((await refused)[0]).toBe(4403);
    ada.say("word3");
    await expect.poll(() => ada.texts.join()).toContain("word3");
  });

  it.each(["no JSON", "null", '"ada"', "[]"])("closes a socket that sends %s", async (payload) => {
    const { host } = await webBot();
    const { socket } = await client(host, "ada");
    const closed = once(socket, "close");
    socket.send(payload);
    expect((await closed)[0]).toBe(4403);
  });

  it("takes what a socket sends in its order, however long proving takes", async () => {
    const proofs: (() => void)[] = [];
    const { controller, host } = await webBot({
      authenticate: async () => {
        await new Promise<void>((resolve) => proofs.push(resolve));
        return "ada";
      },
    });
    const heard: (string | undefined)[] = [];
    controller.on("message", async (_bot, { text }) => void heard.push(text));
    const ada = await client(host, "ada");
    for (const text of ["one", "two"]) ada.say(text);
    await expect.poll(() => proofs.length).toBe(1);
    proofs[0]?.();
    await expect.poll(() => proofs.length).toBe(2);
    expect(heard).toEqual(["one"]);
    proofs[1]?.();
    await expect.poll(() => heard).toEqual(["one", "two"]);
  });

  it("counts a reply whose socket is closed as lost, and says so", async () => {
    const errors: string[] = [];
    const note = (message: string, fields?: object) =>
      void errors.push(`${message} ${JSON.stringify(fields)}`);
    const logger = { ...quiet, warn: note, error: note };
    const { host } = await webBot({}, mapperWith({ logger }));
    const ada = await client(host, "ada");
    const chat = emulator.once("chat");
    ada.say("slow: 20 one two three four five");
    await chat;
    ada.socket.terminate();
    await expect.poll(() => errors.join()).toContain("answer-lost");
  });

  it("is not fooled by what a client adds to its message", async () => {
    const { controller, says } = await webBot();
    const tenants: (string | undefined)[] = [];
    controller.on("message", async (_bot, message) => {
      tenants.push(getSession(message).speaker.tenant);
    });
    await says("ada", "hello", {
      session: { speaker: {} },
      team: "T1",
      conversation: { id: "c" },
      from: { id: "bob" },
    });
    expect(tenants).toEqual(["web"]);
  });

  it("answers an event that comes twice once, and keeps apart the same id of two people", async () => {
    const { says } = await webBot();
    const [first, second] = await Promise.all([
      says("ada", "word1", { id: "m1" }),
      says("bob", "word2", { id: "m1" }),
    ]);
    expect(first).toContain("word1");
    expect(second).toContain("word2");
    expect(await says("ada", "word1", { id: "m1" })).toBe("");
    expect(emulator.chats()).toHaveLength(2);
  });

  it("answers each request by itself, where a person sends the same id to two places or tenants, or several", async () => {
    const speaker = ({ user, tenant, place }: BotkitMessage) => ({
      ...{ platform: "botkit", tenant: `${tenant}`, user, channel: `${place}` },
    });
    const { says } = await webBot({ speaker }, mapperWith({ scope: "user-in-channel" }));
    expect(await says("ada", "word1", { id: "m1", place: "a" })).toContain("word1");
    expect(await says("ada", "word2", { id: "m1", place: "b" })).toContain("word2");
    const atOnce = [
      says("ada", "word3", { id: "m2", tenant: "acme" }),
      says("ada", "word4", { id: "m2", tenant: "globex" }),
      says("ada", "word5", { id: "m3", tenant: "acme" }),
    ];
    const words = (await Promise.all(atOnce)).map((answer) => /word\d/.exec(answer)?.[0]);
    expect(words).toEqual(["word3", "word4", "word5"]);
  });

  it("answers the first request where the event comes again before it is recorded", async () => {
    const isHeard = new EventEmitter();
    const isBack = once(isHeard, "second");
    class SlowMap extends Map<string, unknown> {
      override get(key: string): unknown {
        return isBack.then(() => super.get(key));
      }
    }
    const { controller, says } = await webBot({}, mapperWith({ store: new Keyv(new SlowMap()) }));
    const order = ["first", "second"];
    controller.hears(
      async () => !isHeard.emit(`${order.shift()}`),
      "message",
      async () => {},
    );
    const isFirst = once(isHeard, "first");
    const first = says("ada", "word1", { id: "m1" });
    await isFirst;
    expect(await says("ada", "word1", { id: "m1" })).toBe("");
    expect(await first).toContain("word1");
  });

  it("is refused without a way to authenticate", async () => {
    const adapter = new WebAdapter({ noServer: true } as never);
    const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true });
    const use = () => controller.usePlugin(botkit(mapperWith()));
    expect(use).toThrow(expect.objectContaining({ code: "option-invalid", field: "authenticate" }));
  });

  it("refuses a wrong option", () => {
    const use = () => botkit(mapperWith(), { maxLength: 10 });
    expect(use).toThrow(expect.objectContaining({ code: "option-invalid", field: "maxLength" }));
  });
});

describe("Botkit on Bot Framework's test adapter", () => {
  /** A controller whose activities come from whatever place they name. */
  function testBot(options: BotkitOptions = {}, mapper = mapperWith()) {
    const sent: { to: string; text: string }[] = [];
    const adapter = new TestAdapter(async () => {});
    adapter.sendActivities = async (_context: TurnContext, activities: Partial<Activity>[]) => {
      for (const { recipient, conversation, text } of activities)
        sent.push({ to: `${recipient?.id}@${conversation?.id}`, text: text ?? "" });
      return activities.map((_, index) => ({ id: `${index}` }));
    };
    const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true } as never);
    controller.usePlugin(botkit(mapper, { onError() {}, ...options }));
    let count = 0;
    const turn = (activity: Partial<Activity>) => {
      count += 1;
      const whole = {
        ...{ type: "message", channelId: "test", id: `a${count}`, recipient: { id: "bot", name: "bot" } },
        ...activity,
      };
      return controller.handleTurn(new TurnContext(adapter, whole));
    };
    const says = (user: string, channel: string, text: string, more: object = {}) =>
      turn({ from: { id: user, name: user }, conversation: { id: channel } as never, text, ...more });
    return { controller, sent, turn, says };
  }

  it("answers through Bot Framework's own test flow", async () => {
    const adapter = new TestAdapter(async (context) => controller.handleTurn(context));
    const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true } as never);
    controller.usePlugin(botkit(mapperWith()));
    await adapter.send("My name is Ada Lovelace.").assertReply((reply) => {
      expect(reply.text).toContain("Turn 1.");
    });
    await adapter.send("What do you know of me?").assertReply((reply) => {
      expect(reply.text).toContain("Ada Lovelace");
    });
  });

  it("speaks the language that the platform tells", async () => {
    const { says, sent, controller } = testBot();
    controller.hears("break", "message", async () => {
      throw new TypeError("the handler's own words");
    });
    await says("ann", "c", "break", { locale: "zh-CN" });
    await expect.poll(() => sent[0]?.text).toMatch(/^我这边出了点问题。（编号 \w{8}）$/);
  });

  it("keeps apart people whose ids, put together, look alike", async () => {
    const { says, sent } = testBot();
    await says("ab", "c", "My name is Ada Lovelace.");
    await says("a", "bc", "My name is Bob Dylan.");
    await expect.poll(() => sent.length).toBe(2);
    await says("a", "bc", "What do you know of me?");
    await expect.poll(() => sent[2]?.text).toContain("Bob Dylan");
    expect(sent[2]?.text).not.toContain("Ada");
    expect(emulator.conversations()).toHaveLength(2);
  });

  it("keeps a person's conversation when other parts of the activity are missing or change", async () => {
    const { says, turn, sent } = testBot();
    await says("ada", "c1", "My name is Ada Lovelace.");
    await says("ada", "c2", "What do you know of me?", { locale: undefined, channelData: {} });
    await expect.poll(() => sent[1]?.text).toContain("Ada Lovelace");
    expect(emulator.conversations()).toHaveLength(1);
    // Without a person there is no session, rather than one that nobody finds again.
    await turn({
      type: "conversationUpdate",
      from: { id: "", name: "" },
      conversation: { id: "c1" } as never,
    });
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("tells a person that the storage failed, and does not begin anew as if there were nothing", async () => {
    let isBroken = false;
    class FailingMap extends Map<string, unknown> {
      override get(key: string): unknown {
        if (isBroken) throw new Error("storage down");
        return super.get(key);
      }
    }
    const { says, sent } = testBot({}, mapperWith({ store: new Keyv(new FailingMap()) }));
    await says("ada", "c1", "My name is Ada Lovelace.");
    await expect.poll(() => sent.length).toBe(1);
    isBroken = true;
    await says("ada", "c1", "What do you know of me?");
    await expect.poll(() => sent[1]?.text).toMatch(/memory.*ref/);
    isBroken = false;
    await says("ada", "c1", "What do you know of me?");
    await expect.poll(() => sent[2]?.text).toContain("Ada Lovelace");
    expect(emulator.conversations()).toHaveLength(1);
  });

  it("runs turns that come at once one after the other, so that none overwrites another's context", async () => {
    const { says, sent } = testBot();
    await Promise.all(Array.from({ length: 10 }, (_, index) => says("ada", "c1", `word${index}`)));
    // A second, which is what it waits without being told, is short for ten turns on a busy machine.
    await expect.poll(() => sent.length, { timeout: 30_000 }).toBe(10);
    expect(sent.map(({ text }) => Number(/Turn (\d+)/.exec(text)?.[1]))).toEqual(
      Array.from({ length: 10 }, (_, index) => index + 1),
    );
  });

  it("keeps Slack's workspaces apart, refuses a message without one, and stays out of talk among people", async () => {
    const { turn, sent } = testBot();
    const slack = (team: string | undefined, text: string, botkitEventType = "direct_message") =>
      turn({
        ...{ channelId: "slack", text, from: { id: "U1", name: "" } },
        conversation: { id: "D1", ...(team === undefined ? {} : { team }) } as never,
        channelData: { botkitEventType },
      });
    await slack("T1", "My name is Ada Lovelace.");
    await expect.poll(() => sent.length).toBe(1);
    await slack("T2", "What do you know of me?");
    await expect.poll(() => sent.length).toBe(2);
    expect(sent[1]?.text).not.toContain("Ada");
    await expect(slack(undefined, "hello")).rejects.toMatchObject({
      code: "input-invalid",
    } satisfies Partial<AparteError>);
    await slack("T1", "among ourselves", "message");
    await slack("T1", "word5");
    await expect.poll(() => sent[2]?.text).toContain("word5");
    expect(emulator.chats()).toHaveLength(3);
  });
});

describe("Botkit on its Slack adapter", () => {
  async function slackBot(mapper = mapperWith()) {
    const slack = await SlackServer.start();
    closers.push(() => slack.close());
    const adapter = new SlackAdapter({
      ...{ botToken: slack.token, clientSigningSecret: slack.signingSecret, oauthVersion: "v2" },
    } as ConstructorParameters<typeof SlackAdapter>[0]);
    // The adapter knows only the real address.
    const { axios } = (adapter as unknown as { slack: { axios: { defaults: { baseURL: string } } } }).slack;
    axios.defaults.baseURL = slack.apiUrl;
    adapter.use(new SlackEventMiddleware());
    adapter.use(new SlackMessageTypeMiddleware());
    const app = express();
    const keepBody = (request: IncomingMessage, _: unknown, body: Buffer) =>
      void Object.assign(request, { rawBody: body.toString() });
    app.use(express.json({ verify: keepBody }));
    const server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const controller = new Botkit({ adapter, webserver: app, disable_console: true });
    controller.usePlugin(botkit(mapper));
    slack.eventsUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/messages`;
    await slack.next("auth.test");
    return { slack, controller };
  }

  it("answers mentions and direct messages, each person in a conversation of their own, once", async () => {
    const { slack, controller } = await slackBot();
    controller.hears("weather", ["direct_mention", "direct_message"], async (bot, message) => {
      await bot.reply(message, "It rains.");
    });
    const mention = `<@${slack.botUserId}>`;
    const shown = () => slack.shown().map((post) => post.shown);
    const ts = await slack.say("UADA", `${mention} My name is Ada Lovelace.`);
    await slack.until(() => shown()[0]?.includes("Ada Lovelace"));
    await slack.say("UADA", `${mention} My name is Ada Lovelace.`, { ts, retry: 1 });
    await slack.say("UBOB", "among ourselves");
    await slack.say("UBOB", `${mention} What do you know of me?`);
    await slack.until(() => shown().length === 2);
    expect(shown()[1]).not.toContain("Ada");
    await slack.say("UADA", "What do you know of me?", { channel: slack.direct });
    await slack.until(() => shown().length === 3);
    // What is said in a channel and what is said in private are two conversations.
    expect(shown()[2]).not.toContain("Ada Lovelace");
    await slack.say("UADA", `${mention} how is the weather?`);
    await slack.until(() => shown()[3] === "It rains.");
    expect(emulator.chats()).toHaveLength(3);
    expect(emulator.conversations()).toHaveLength(3);
    expect(shown()).toHaveLength(4);
    const posts = slack.calls.filter(({ method }) => method === "chat.postMessage").slice(0, 3);
    // A preview would be loaded from where a link leads.
    for (const { body } of posts)
      expect(body).toMatchObject({ unfurl_links: "false", unfurl_media: "false" });
  });

  it("tells the log of a reply that Slack refused, and the person when they come back", async () => {
    const errors: string[] = [];
    const note = (message: string, fields?: object) =>
      void errors.push(`${message} ${JSON.stringify(fields)}`);
    const logger = { ...quiet, warn: note, error: note };
    const { slack } = await slackBot(mapperWith({ logger }));
    slack.fail({ method: "chat.postMessage", error: "msg_too_long" });
    await slack.say("UADA", "hello", { channel: slack.direct });
    await expect.poll(() => errors.join()).toContain("answer-lost");
    await slack.say("UADA", "hello again", { channel: slack.direct });
    await slack.until(() => slack.shown().some(({ shown }) => shown.includes("could not be delivered")));
  });
});

describe("Botkit on Bot Framework's adapter, for Teams", () => {
  async function teamsBot(options: BotkitOptions = {}, mapper = mapperWith()) {
    const connector = await ConnectorServer.start();
    closers.push(() => connector.close());
    const app = express();
    app.use(express.json());
    const server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const controller = new Botkit({
      ...{ adapterConfig: { appId: "", appPassword: "" }, webserver: app, disable_console: true },
    });
    const errors: unknown[] = [];
    controller.usePlugin(
      botkit(mapper, { editInterval: 20, onError: (error) => errors.push(error), ...options }),
    );
    const { port } = server.address() as AddressInfo;
    let count = 0;
    const says = async (user: string, text: string) => {
      count += 1;
      const activity = {
        ...{ type: "message", id: `a${count}`, channelId: "msteams", serviceUrl: connector.url, text },
        ...{ from: { id: user, name: user }, recipient: { id: "bot", name: "bot" } },
        conversation: { id: `with-${user}`, tenantId: "acme", conversationType: "personal" },
      };
      const response = await fetch(`http://127.0.0.1:${port}/api/messages`, {
        ...{ method: "POST", headers: { "content-type": "application/json" } },
        body: JSON.stringify(activity),
      });
      await response.text();
      return response.status;
    };
    return { connector, controller, errors, says };
  }

  it("shows an answer while it comes, by edits of one message", async () => {
    const { connector, says } = await teamsBot();
    await says("ada", "slow: 30 one two three four five six");
    await connector.until(() => connector.shown[0]?.endsWith('six".') === true);
    expect(connector.messages.size).toBe(1);
    expect(connector.calls[0]).toMatch(/^POST m1 /);
    const edits = connector.calls.slice(1);
    expect(edits.length).toBeGreaterThan(1);
    for (const edit of edits) expect(edit).toMatch(/^PUT m1 /);
    // Each one shows more than the one before.
    const lengths = connector.calls.map(({ length }) => length);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
  });

  it("shows several answers, one message each, and a long one in parts", async () => {
    const { connector, says } = await teamsBot({ maxLength: 300 });
    await says("ada", "twice");
    await connector.until(() => connector.shown[1]?.startsWith("Once more.") === true);
    await says("ada", "long 900");
    await connector.until(() => connector.shown.join().includes("Section 2"));
    await says("ada", "the end");
    await connector.until(() => connector.shown.at(-1)?.includes("the end") === true);
    for (const text of connector.shown) expect(text.length).toBeLessThanOrEqual(300);
  });

  it("lives on when the platform refuses what a handler or the agent says", async () => {
    const { connector, controller, errors, says } = await teamsBot();
    controller.hears("weather", "message", async (bot, message) => {
      await bot.reply(message, "It rains.");
    });
    connector.fail(2);
    await says("ada", "how is the weather?");
    // The handler's, and that she could not be told.
    await expect.poll(() => errors.length).toBe(2);
    connector.fail(1);
    await says("ada", "hello");
    await connector.until(() => connector.shown[0]?.includes("hello") === true);
    await says("ada", "how is the weather?");
    expect(connector.shown.at(-1)).toBe("It rains.");
  });
});
