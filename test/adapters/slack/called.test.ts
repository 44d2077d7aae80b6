import { describe, expect, it } from "vitest";
import { Speech } from "../agent.ts";
import { count, mention, settled, shows, startBot, startServer } from "./bot.ts";

const section = (...elements: object[]) => ({ type: "rich_text_section", elements });
const rich = (...elements: object[]) => [{ type: "rich_text", elements }];
const words = (text: string, style?: object) => ({ type: "text", text, style });
const bot = { type: "user", user_id: "UBOT" };

describe("slack answers in shared places", () => {
  it.each([
    ["in a section", rich(section(words("hey "), bot)), true],
    ["in a list", rich({ type: "rich_text_list", elements: [section(bot)] }), true],
    ["of somebody else", rich(section({ type: "user", user_id: "UBOT2" })), false],
    ["in a quote", rich({ type: "rich_text_quote", elements: [bot] }, section(words("said he"))), false],
    ["in a code block", rich({ type: "rich_text_preformatted", elements: [bot] }), false],
    ["in a code span", rich(section({ ...bot, style: { code: true } })), false],
    ["of which there is none", rich(section(words("hello"))), false],
    ["where a program's blocks are none of rich text", [{ type: "section", text: words("hello") }], true],
  ])("who calls it: a mention %s", async (_, blocks, isCalled) => {
    const server = await startServer();
    const { messages, ...one } = await startBot(server);
    // Slack sends app_mention for each of them.
    await server.say("U1", `${mention(server)} words`, { event: { blocks } });
    await settled({ messages, ...one });
    expect(messages).toHaveLength(isCalled ? 1 : 0);
  });

  it.each([
    ["<@UBOT> hello", true],
    ["<@UBOT|bot> hello", true],
    ["say `<@UBOT>` to it", false],
    ["say\n```\n<@UBOT>\n```", false],
    ["&gt; <@UBOT> hello\nwas what he said", false],
    ["hello", false],
  ])("who calls it in a text without rich text: %s", async (text, isCalled) => {
    const server = await startServer();
    const one = await startBot(server);
    await server.say("U1", text, { event: { blocks: undefined }, as: ["message", "app_mention"] });
    await settled(one);
    expect(one.messages).toHaveLength(isCalled ? 1 : 0);
  });

  it("an edit that calls it, also for a command, and no other edit", async () => {
    const server = await startServer();
    const one = await startBot(server);
    const edit = (before: string, after: string) => {
      const ts = server.ts();
      const message = { user: "U1", text: after, ts, edited: { user: "U1", ts }, team: "T1" };
      const event = {
        subtype: "message_changed",
        hidden: true,
        user: undefined,
        blocks: undefined,
        ts: server.ts(),
      };
      return server.say("U1", "", {
        event: { ...event, message, previous_message: { ...message, text: before } },
      });
    };
    await edit("hello", `${mention(server)} hello`);
    await edit(`${mention(server)} helo`, `${mention(server)} hello again`);
    await edit("hello", "hello there");
    await edit("new", `${mention(server)} !new`);
    await settled(one);
    expect(count(server, "chat.postEphemeral")).toBe(1);
    expect(one.messages.map(({ text }) => text)).toEqual(["hello"]);
  });

  it("what follows in a thread where it was called, until it is told to stop", async () => {
    const server = await startServer();
    const one = await startBot(server, { slack: { respond: "threads" } });
    await server.say("U1", "not for you");
    const thread = await server.say("U1", `${mention(server)} one`);
    await server.say("U2", "two", { thread });
    await server.say("U2", "elsewhere", { thread: server.ts() });
    await server.say("U2", "Stop.", { thread });
    await server.say("U2", "three", { thread });
    await server.say("U1", `${mention(server)} four`, { thread });
    await server.say("U2", "five", { thread });
    await settled(one);
    expect(one.messages.map(({ text }) => text)).toEqual(["one", "two", "four", "five"]);
  });

  it("nobody whom it is told to stop answering, without being called", async () => {
    const server = await startServer();
    const speech = new Speech();
    const one = await startBot(server, { answer: speech.answer });
    const thread = await server.say("U1", `${mention(server)} one`);
    speech.say("One. ");
    await shows(server, "One. ");
    await server.say("U2", "stop", { thread });
    await server.say("U1", "stop", { thread });
    await shows(server, /^One\.\s+Stopped\./);
    await settled(one);
    expect(one.messages).toHaveLength(1);
  });

  it("nothing more in a thread once its time has passed", async () => {
    const server = await startServer();
    // Slack's timestamps are seconds; the fake ones are microseconds apart.
    const one = await startBot(server, { slack: { respond: "threads", threadTime: 10_000 } });
    await server.say("U1", `${mention(server)} one`, { ts: "1790000000.000100" });
    await server.say("U1", "two", { thread: "1790000000.000100", ts: "1790000009.000100" });
    await server.say("U1", "three", { thread: "1790000000.000100", ts: "1790000020.000100" });
    await settled(one);
    expect(one.messages.map(({ text }) => text)).toEqual(["one", "two"]);
  });

  it("what follows in a thread where another process was called", async () => {
    const server = await startServer();
    const one = await startBot(server, { slack: { respond: "threads" } });
    const thread = server.ts();
    const post = { channel: server.channel, thread, shown: "I answered.", text: "", metadata: undefined };
    const ts = server.ts();
    server.messages.set(ts, { ...post, ts, isStreaming: false, wasStream: false });
    await server.say("U1", "and then?", { thread });
    await settled(one);
    expect(one.messages.map(({ text }) => text)).toEqual(["and then?"]);
  });

  it.each([
    ["always", ["all", "called"]],
    ["called", ["called"]],
    ["never", []],
  ] as const)("%s, as it is told", async (respond, expected) => {
    const server = await startServer();
    const one = await startBot(server, { slack: { respond } });
    await server.say("U1", "all");
    await server.say("U2", `${mention(server)} called`);
    await server.say("U3", "direct", { channel: server.direct });
    await settled(one);
    expect(one.messages.map(({ text }) => text)).toEqual([...expected, "direct"]);
  });

  it("what a function of Slack's event chooses", async () => {
    const server = await startServer();
    const respond = async (event: object) => Reflect.get(event, "channel") === "C2";
    const one = await startBot(server, { slack: { respond } });
    await server.say("U1", `${mention(server)} here`);
    await server.say("U1", "there", { channel: "C2" });
    await settled(one);
    expect(one.messages.map(({ text }) => text)).toEqual(["there"]);
  });
});
