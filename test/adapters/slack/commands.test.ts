import type { HistoryMessage } from "aparte";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { SlackServer } from "../../fakes/slack-server.ts";
import { type Answer, backend, remembering, Speech } from "../agent.ts";
import { count, mention, settled, shows, startBot, startServer } from "./bot.ts";

/** What the person alone was told, next. */
const told = async (server: SlackServer, how: "respond" | "chat.postEphemeral" = "respond") =>
  (await server.next(how)).body;

const said = (server: SlackServer) => server.shown().map(({ shown }) => shown);

/** Of the app's other workspace. */
const other = {
  event: { team: "T2" },
  envelope: { team_id: "T2", authorizations: [{ team_id: "T2", is_enterprise_install: false }] },
};

const twoAgents = {
  agents: { helper: backend(remembering), writer: backend(remembering), "r&d": backend(remembering) },
};

describe("slack's commands", () => {
  it("begin a new conversation, in the place where they are given", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U1", `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await server.say("U1", "apart", { channel: server.direct });
    await shows(server, 'You say "apart" after nothing.');
    await server.command("U1", "/agent", "new");
    expect(await told(server)).toMatchObject({
      response_type: "ephemeral",
      text: "I have forgotten what we talked about.",
    });
    await server.say("U1", `${mention(server)} two`);
    await shows(server, 'You say "two" after nothing.');
    await server.say("U1", "still apart", { channel: server.direct });
    await shows(server, 'You say "still apart" after apart.');
    await settled(bot);
  });

  it("are words as well, in a thread, confirmed to the person alone and once", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const thread = await server.say("U1", `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await server.say("U1", `${mention(server)} !new`, { thread });
    expect(await told(server, "chat.postEphemeral")).toMatchObject({
      ...{ channel: "C1", user: "U1", thread_ts: thread, text: "I have forgotten what we talked about." },
    });
    await server.say("U1", `${mention(server)} two`, { thread });
    await shows(server, 'You say "two" after nothing.');
    await settled(bot);
    expect(count(server, "chat.postEphemeral")).toBe(1);
    expect(bot.messages.map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it("are answered in a direct message by a post, once however often Slack sends them", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ts = await server.say("U1", "!help", { channel: server.direct });
    await server.say("U1", "!help", { channel: server.direct, ts, retry: 1 });
    await shows(server, /^`!new` begins a new conversation/);
    await settled(bot);
    expect(server.shown()).toHaveLength(1);
    expect(bot.messages).toEqual([]);
  });

  it("are given to a message by its shortcut, for the thread that it stands in", async () => {
    const server = await startServer();
    const bot = await startBot(server, { mapper: { scope: "user-in-thread" } });
    const thread = await server.say("U1", `${mention(server)} one`);
    const post = await shows(server, 'You say "one" after nothing.');
    await server.shortcut("U1", post, "aparte_new");
    expect(await told(server)).toMatchObject({
      response_type: "ephemeral",
      text: "I have forgotten what we talked about.",
    });
    await server.say("U1", `${mention(server)} two`, { thread });
    await shows(server, 'You say "two" after nothing.');
    await settled(bot);
  });

  it("choose the agent, and tell which there are", async () => {
    const server = await startServer();
    const bot = await startBot(server, { mapper: twoAgents });
    await server.command("U1", "/agent", "use");
    expect((await told(server)).text).toBe(
      "You can talk to: helper, writer, r&amp;d. To choose: `/agent use NAME`.",
    );
    await server.command("U1", "/agent", "use writer");
    expect((await told(server)).text).toBe("You talk to writer now.");
    await server.command("U1", "/agent", "use r&amp;d");
    expect((await told(server)).text).toBe("You talk to r&amp;d now.");
    await server.command("U1", "/agent", "use writer");
    await told(server);
    await server.command("U1", "/agent", "use nobody");
    expect((await told(server)).text).toMatch(/^I do not know that agent\. \(ref /);
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    expect(await bot.mapper.export({ platform: "slack", tenant: "T1", user: "U1" })).toMatchObject({
      ...{ agent: "writer", conversations: { writer: "c0" } },
    });
    await settled(bot);
  });

  it("name the conversation, where the service knows names", async () => {
    const server = await startServer();
    const names: string[] = [];
    const named = {
      ...backend(remembering),
      rename: async ({ title }: { title: string }) => void names.push(title),
    };
    const bot = await startBot(server, { mapper: { agents: { helper: named } } });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await server.say("U1", "!name  Our *trip*", { channel: server.direct });
    await shows(server, "Our conversation has its name.");
    await server.say("U1", "!name", { channel: server.direct });
    await shows(server, "`!name TITLE` gives our conversation a name");
    await settled(bot);
    expect(names).toEqual(["Our *trip*"]);
  });

  it("say so where the service knows no names", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await server.say("U1", "!name A trip", { channel: server.direct });
    await shows(server, /^This agent cannot do that\./, server.direct);
    await settled(bot);
  });

  it("stop what is being answered, in whichever thread of the channel", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    await shows(server, "One. ");
    await server.command("U2", "/agent", "stop");
    expect((await told(server)).text).toBe("There is nothing of yours that I could stop here.");
    await server.command("U1", "/agent", "stop", "C2");
    expect((await told(server)).text).toBe("There is nothing of yours that I could stop here.");
    // A word in a thread is about that thread alone.
    await server.say("U1", `${mention(server)} !stop`, { thread: "1789.9" });
    expect((await told(server, "chat.postEphemeral")).text).toBe(
      "There is nothing of yours that I could stop here.",
    );
    await server.command("U1", "/agent", "stop");
    expect((await told(server)).text).toBe("Stopped.");
    await shows(server, /Stopped\./);
    speech.end();
    await settled(bot);
  });

  it("stop all threads of the channel, and of no other one, where each is a session", async () => {
    const server = await startServer();
    const speeches = new Map<string, Speech>();
    const answer: Answer = (turn, memory) => {
      const speech = new Speech();
      speeches.set(turn.text, speech);
      return speech.answer(turn, memory);
    };
    const bot = await startBot(server, { answer, mapper: { scope: "user-in-thread" } });
    for (const [text, channel] of [
      ["one", "C1"],
      ["two", "C1"],
      ["three", "C2"],
    ] as const) {
      await server.say("U1", `${mention(server)} ${text}`, { channel });
      await server.until(() => speeches.has(text));
      speeches.get(text)?.say(`${text}. `);
      await shows(server, `${text}. `, channel);
    }
    await server.command("U1", "/agent", "stop", "C1");
    expect((await told(server)).text).toBe("Stopped.");
    for (const text of ["one", "two"]) await shows(server, new RegExp(`^${text}[\\s\\S]*Stopped`), "C1");
    expect(server.shown("C2")).toMatchObject([{ shown: "three. " }]);
    speeches.get("three")?.end();
    await settled(bot);
  });

  it("tell what is kept of a person, in all places, and of nobody else", async () => {
    const server = await startServer();
    const history = async (): Promise<HistoryMessage[]> => [
      { role: "user", text: "hi" },
      { role: "agent", text: "ho" },
    ];
    const helper = { ...backend(remembering), history };
    const bot = await startBot(server, {
      mapper: { agents: { helper, writer: backend(remembering) }, scope: "user-in-channel" },
    });
    await server.command("U1", "/agent", "kept");
    expect((await told(server)).text).toMatch(/^Nothing is kept of you\./);
    await server.say("U1", "hi", { channel: server.direct });
    await server.say("U1", `${mention(server)} hi`);
    await server.say("U2", `${mention(server)} hi`);
    await server.say("U1", `${mention(server)} hi`, other);
    await server.until(() => said(server).length === 4);
    await server.command("U1", "/agent", "use writer");
    await told(server);
    await server.command("U1", "/agent", "kept");
    const lines = String((await told(server)).text).split("\n");
    expect(lines[0]).toBe("This is kept of you:");
    expect(lines.slice(1, 3).sort()).toEqual([
      "- in <#C1>: a conversation with helper (messages: 2); you chose writer",
      "- in private: a conversation with helper (messages: 2)",
    ]);
    expect(lines[3]).toBe("");
    expect(lines.at(-1)).toMatch(/`\/agent forget` erases all of it/);
    await settled(bot);
  });

  it.each([
    ["a conversation that was left, as long as the service can erase it", true, "a conversation with helper"],
    ["nobody's words where only a session is left", false, "your place in line"],
  ])("tell of %s", async (_, canErase, kept) => {
    const server = await startServer();
    const helper = { ...backend(remembering), ...(canErase ? { remove: async () => {} } : {}) };
    const bot = await startBot(server, { mapper: { agents: { helper } } });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    await server.command("U1", "/agent", "new");
    await told(server);
    await server.command("U1", "/agent", "kept");
    expect(String((await told(server)).text).split("\n")[1]).toBe(`- in channels: ${kept}`);
    await settled(bot);
  });

  it("erase all that is kept of a person, in all places, and nothing of anybody else", async () => {
    const server = await startServer();
    const bot = await startBot(server, { mapper: { scope: "user-in-channel" } });
    const places = ["C1", "C2", server.direct];
    for (const channel of places) await server.say("U1", `${mention(server)} ${channel}`, { channel });
    await server.say("U2", `${mention(server)} Bob`);
    await server.say("U1", `${mention(server)} elsewhere`, other);
    await server.until(() => said(server).length === 5);
    await server.command("U1", "/agent", "forget");
    // The service of the tests cannot erase.
    expect((await told(server)).text).toMatch(
      /^All that was kept of you here is erased\. The agent's service/,
    );
    const left: (string | undefined)[] = [];
    for await (const { speaker } of bot.mapper.sessions()) left.push(`${speaker.tenant} ${speaker.user}`);
    expect(left.sort()).toEqual(["T1 U2", "T2 U1"]);
    for (const channel of places) {
      await server.say("U1", `${mention(server)} again`, { channel });
      await server.until(
        () =>
          server.shown(channel).filter(({ shown }) => shown === 'You say "again" after nothing.').length ===
          1,
      );
    }
    await settled(bot);
  });

  it("erase all threads of the agent view from any place", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { agentView: true } });
    for (const text of ["one", "two"]) {
      await server.say("U1", text, { channel: server.direct });
      await shows(server, `You say "${text}" after nothing.`);
    }
    await server.command("U1", "/agent", "forget");
    await told(server);
    await settled(bot);
    const left: unknown[] = [];
    for await (const session of bot.mapper.sessions()) left.push(session);
    expect(left).toEqual([]);
  });

  it("are confirmed once also where two processes hear of one mention", async () => {
    const server = await startServer();
    const store = memoryStore();
    const first = await startBot(server, { store });
    const ts = server.ts();
    await server.say("U1", `${mention(server)} !help`, { ts, as: ["message"] });
    await server.command("U1", "/agent");
    await told(server);
    expect(count(server, "chat.postEphemeral")).toBe(0);
    const second = await startBot(server, { store });
    await server.say("U1", `${mention(server)} !help`, { ts, as: ["app_mention"] });
    await told(server, "chat.postEphemeral");
    await Promise.all([settled(first), settled(second)]);
    expect(count(server, "chat.postEphemeral")).toBe(1);
  });

  it("are confirmed in each of two workspaces, also where all that names their messages is equal", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const ts = server.ts();
    for (const workspace of [{}, other])
      await server.say("U1", `${mention(server)} !new`, { ts, ...workspace });
    await settled(bot);
    expect(count(server, "chat.postEphemeral")).toBe(2);
  });

  it("say that it is all, where the service erases, too", async () => {
    const server = await startServer();
    const removed: string[] = [];
    const helper = {
      ...backend(remembering),
      remove: async ({ conversationId }: { conversationId: string }) => void removed.push(conversationId),
    };
    const bot = await startBot(server, { mapper: { agents: { helper } } });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await server.say("U1", "!forget", { channel: server.direct });
    await shows(server, "All that was kept of you here is erased.");
    await settled(bot);
    expect(removed).toEqual(["c0"]);
  });

  it("name, choose and begin anew one thread of the agent view, where each is a conversation", async () => {
    const server = await startServer();
    const rename = async () => undefined;
    const bot = await startBot(server, {
      slack: { agentView: true },
      mapper: { agents: { helper: { ...backend(remembering), rename }, writer: backend(remembering) } },
    });
    const direct = { channel: server.direct };
    const thread = await server.say("U1", "!use writer", direct);
    expect(await shows(server, "You talk to writer now.")).toMatchObject({ thread });
    await server.say("U1", "hi", { ...direct, thread });
    await shows(server, 'You say "hi" after nothing.');
    const speaker = { platform: "slack", tenant: "T1", user: "U1", ...direct, direct: true } as const;
    const inThread = { ...speaker, thread, scope: "user-in-thread" } as const;
    expect(await bot.mapper.export(inThread)).toMatchObject({ conversations: { writer: "c0" } });
    const other = await server.say("U1", "!name A trip", direct);
    await shows(server, "Our conversation has its name.");
    const { body } = await server.next("agents.sessions.rename");
    expect(body).toMatchObject({ channel_id: "D1", thread_ts: other, title: "A trip" });
    // The writer's service knows no names: Slack's thread has one all the same.
    await server.say("U1", `!name ${"x".repeat(201)}`, { ...direct, thread });
    const { title } = (await server.next("agents.sessions.rename")).body;
    expect(title).toBe(`${"x".repeat(199)}…`);
    await server.say("U1", "!name", { ...direct, thread });
    // Slack has no slash commands in threads.
    await server.command("U1", "/agent", "use writer", server.direct);
    expect((await told(server)).text).toBe(
      "Here each of our threads is a conversation of its own. In one of them, say: `!use writer`.",
    );
    await server.command("U1", "/agent", "new", server.direct);
    expect((await told(server)).text).toBe("Here each new message begins a new conversation.");
    await settled(bot);
    expect(await bot.mapper.export(speaker)).toBeUndefined();
    expect(said(server).filter((text) => text === "Our conversation has its name.")).toHaveLength(2);
    expect(count(server, "agents.sessions.rename")).toBe(2);
  });

  it("have the name that they are given, or none: then words are words", async () => {
    const server = await startServer();
    const named = await startBot(server, { slack: { command: "/helper" } });
    await server.command("U1", "/helper");
    expect((await told(server)).text).toMatch(/^`\/helper new` begins a new conversation/);
    await settled(named);
    const other = await startServer();
    const bot = await startBot(other, { slack: { command: false } });
    await other.say("U1", "!new", { channel: other.direct });
    await shows(other, 'You say "!new" after nothing.');
    await settled(bot);
  });

  it("leave alone what only looks like one", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    for (const [text, user] of [
      ["!newer", "U1"],
      ["what does !new do?", "U2"],
      ["!important", "U3"],
    ] as const) {
      await server.say(user, text, { channel: `D${user}` });
      await shows(server, `You say "${text}" after nothing.`);
    }
    await settled(bot);
  });
});
