import { AparteError, type Backend } from "aparte";
import { plainTexts as texts } from "aparte/adapter";
import type { SlackFeedback } from "aparte/slack";
import { describe, expect, it } from "vitest";
import { memoryStore } from "../../../src/stores/memory.ts";
import type { ApiCall } from "../../fakes/slack-server.ts";
import { backend, Speech } from "../agent.ts";
import { count, mention, settled, shows, startBot, startServer } from "./bot.ts";

const actionsOf = (
  blocks: readonly { elements?: readonly { action_id?: string; value?: string }[] }[] = [],
) => blocks.flatMap(({ elements = [] }) => elements.map(({ action_id, value }) => [action_id, value]));

describe("slack's buttons", () => {
  it("send follow-up questions for whoever presses them, once", async () => {
    const server = await startServer();
    const bot = await startBot(server, {
      answer: async function* ({ text }, memory) {
        yield { type: "message", text: `${text} after ${memory.join(", ")}` };
        if (text === "one") yield { type: "suggestions", items: ["two?", "three? ".repeat(20).trim()] };
      },
    });
    await server.say("U1", `${mention(server)} one`);
    const post = await shows(server, "one after ");
    await server.until(() => actionsOf(post.blocks).length > 0);
    expect(actionsOf(post.blocks)).toEqual([
      ["aparte_question_0", "two?"],
      ["aparte_question_1", "three? ".repeat(20).trim()],
    ]);
    await server.press("U1", post, "aparte_question_0", "two?");
    expect(await shows(server, "two? after one")).toMatchObject({ thread: post.thread });
    await server.press("U2", post, "aparte_question_0", "two?");
    await shows(server, "two? after ");
    await settled(bot);
  });

  it("ask several questions of one answer, and what is lost of the last is not looked for in the first", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { editInterval: 60_000 } });
    const post = { channel: server.channel, ts: server.ts(), thread: "1789.5" };
    await server.press("U1", post, "aparte_question_0", "one");
    await shows(server, 'You say "one" after nothing.');
    server.fail({ method: "chat.postMessage", lost: "dropped" });
    await server.press("U1", post, "aparte_question_1", "two");
    await settled(bot);
    expect(server.shown().map(({ shown }) => shown)).toEqual([
      'You say "one" after nothing.',
      'You say "two" after one.',
    ]);
  });

  it("leave questions in words where Slack takes no blocks, and where it is told to", async () => {
    const server = await startServer();
    const answer = async function* () {
      yield { type: "message", text: "one" } as const;
      yield { type: "suggestions", items: ["two?"] } as const;
    };
    server.fail({ method: "chat.postMessage", error: "invalid_blocks" });
    const bot = await startBot(server, { answer, slack: { editInterval: 60_000 } });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, "one\n\nYou could ask:\n- two?");
    await settled(bot);
    const other = await startServer();
    const without = await startBot(other, { answer, slack: { buttons: [] } });
    await other.say("U1", `${mention(other)} hi`);
    const post = await shows(other, "one\n\nYou could ask:\n- two?");
    await settled(without);
    expect(actionsOf(post.blocks)).toEqual([]);
  });

  it("are for as many and as long questions as Slack takes, in the order in which they come", async () => {
    const server = await startServer();
    const long = "x".repeat(2_000);
    const short = Array.from({ length: 24 }, (_, index) => `${index}?`);
    const bot = await startBot(server, {
      answer: async function* () {
        yield { type: "suggestions", items: [long, ...short.slice(0, 9)] };
        yield { type: "suggestions", items: short.slice(9) };
      },
    });
    await server.say("U1", `${mention(server)} hi`);
    // An agent that only asks back has said something, all the same.
    const post = await shows(server, "You could ask:");
    const buttons = [[`${"x".repeat(74)}…`, long], ...short.map((question) => [question, question])];
    const elements = buttons.map(([text, value]) => ({ text: { type: "plain_text", text }, value }));
    expect(post.blocks).toMatchObject([{ type: "markdown" }, { type: "actions", elements }]);
    await server.press("U1", post, "aparte_question_24", "23?");
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["hi", "23?"]);
  });

  it.each([
    ["too many", Array.from({ length: 26 }, (_, index) => `${index}?`)],
    ["one too long", ["x".repeat(2_001), "a?"]],
    ["an empty one", ["", "a?"]],
  ])("leave questions in words where a button would lose some of them: %s", async (_, items) => {
    const server = await startServer();
    const bot = await startBot(server, {
      answer: async function* () {
        yield { type: "message", text: "one" };
        yield { type: "suggestions", items };
      },
    });
    await server.say("U1", `${mention(server)} hi`);
    await settled(bot);
    const [post] = server.shown();
    expect(post?.shown).toBe(`one\n\nYou could ask:\n${items.map((item) => `- ${item}`).join("\n")}`);
    expect(actionsOf(post?.blocks)).toEqual([]);
  });

  it("stop the answer of the person who asked, and of nobody else", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer, slack: { stream: "edit" } });
    await server.say("U1", `${mention(server)} hi`);
    speech.say("One. ");
    const post = await shows(server, "One. ");
    expect(actionsOf(post.blocks)).toEqual([["aparte_stop", "stop"]]);
    await server.press("U2", post, "aparte_stop", "stop");
    expect((await server.next("respond")).body).toMatchObject({ response_type: "ephemeral" });
    speech.say("Two. ");
    await shows(server, "One. Two. ");
    await server.press("U1", post, "aparte_stop", "stop");
    await server.until(
      () => /^One\. Two\.\s+Stopped\./.test(post.shown) && actionsOf(post.blocks).length === 0,
    );
    await settled(bot);
  });

  it.each([
    ["a word", "Stop!"],
    ["a command", "/stop"],
  ])("are not needed to stop an answer: %s does it too", async (_, word) => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    await server.say("U1", "hi", { channel: server.direct });
    speech.say("One. ");
    await shows(server, "One. ");
    await server.say("U1", word, { channel: server.direct });
    await shows(server, /Stopped\./);
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["hi"]);
  });

  it.each([
    ["its button", "press"],
    ["the word", "word"],
    ["its name and the word", "called"],
    ["Slack's own button", "own"],
    ["a slash command", "slash"],
  ])("stop what another process answers, by %s", async (_, how) => {
    const server = await startServer();
    const store = { ...memoryStore(), shared: true };
    const speech = new Speech();
    const channel = how === "own" || how === "slash" ? server.direct : server.channel;
    const options = {
      store,
      answer: speech.answer,
      slack: { stream: "edit", agentView: channel === server.direct },
    } as const;
    const one = await startBot(server, options);
    const eventsUrl = server.eventsUrl ?? "";
    const other = await startBot(server, options);
    const place = { channel, thread: "1789.5" };
    await server.say("U1", `${mention(server)} hi`, { ...place, eventsUrl });
    speech.say("One. ");
    const post = await shows(server, "One. ");
    if (how === "press") await server.press("U1", post, "aparte_stop", "stop");
    if (how === "word") await server.say("U1", "stop", place);
    if (how === "called") await server.say("U1", `${mention(server)} stop`, place);
    if (how === "own")
      await server.happen({ type: "agent_session_stopped", user: "U1", channel, thread_ts: "1789.5" });
    if (how === "slash") {
      await server.command("U1", "/agent", "stop", channel);
      expect((await server.next("respond")).body.text).toBe("Stopped.");
    }
    await shows(server, /One\.\s+Stopped\./);
    await Promise.all([settled(one), settled(other)]);
    expect([...one.messages, ...other.messages].map(({ text }) => text)).toEqual(["hi"]);
  });

  it("begin a new conversation", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { buttons: ["new"] } });
    await server.say("U1", `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    const post = await server.until(() => server.shown().find(({ blocks }) => actionsOf(blocks).length > 0));
    expect(actionsOf(post.blocks)).toEqual([["aparte_new", "new"]]);
    await server.press("U1", post, "aparte_new", "new");
    expect((await server.next("respond")).body.response_type).toBe("ephemeral");
    await server.say("U1", `${mention(server)} two`);
    await shows(server, 'You say "two" after nothing.');
    await settled(bot);
  });

  it("pass on what people think of an answer, also of one that was a stream", async () => {
    const server = await startServer();
    const told: SlackFeedback[] = [];
    const speech = new Speech();
    const onFeedback = (feedback: SlackFeedback) => told.push(feedback);
    const bot = await startBot(server, {
      answer: speech.answer,
      slack: { buttons: ["feedback"], onFeedback },
    });
    await server.say("U1", `${mention(server)} one`);
    speech.say("One. ");
    const post = await shows(server, "One. ");
    speech.end();
    await server.until(() => actionsOf(post.blocks).length > 0);
    expect(post).toMatchObject({ wasStream: true, isStreaming: false });
    expect(actionsOf(post.blocks)).toEqual([["aparte_feedback", undefined]]);
    expect(post.blocks?.at(-1)).toMatchObject({
      type: "context_actions",
      elements: [{ positive_button: { value: "good U1" }, negative_button: { value: "bad U1" } }],
    });
    await server.press("U2", post, "aparte_feedback", "bad U1");
    expect((await server.next("respond")).body.text).toBe("Thank you: I have passed it on.");
    await server.press("U1", post, "aparte_feedback", "good U1");
    await server.next("respond");
    await server.press("U1", post, "aparte_feedback", "good");
    await settled(bot);
    expect(told.map(({ speaker, isPositive, ts }) => [speaker.user, isPositive, ts])).toEqual([
      ["U2", false, post.ts],
      ["U1", true, post.ts],
    ]);
  });

  it("tell whoever thinks something of an answer that the application could not take it", async () => {
    const server = await startServer();
    const onFeedback = async () => {
      throw new Error("no database");
    };
    const bot = await startBot(server, { slack: { buttons: ["feedback"], onFeedback } });
    await server.say("U1", `${mention(server)} one`);
    const post = await shows(server, 'You say "one" after nothing.');
    await server.until(() => actionsOf(post.blocks).length > 0);
    await server.press("U1", post, "aparte_feedback", "good U1");
    expect((await server.next("respond")).body.text).toMatch(/went wrong|failed/i);
    await settled(bot);
    expect(bot.log.filter((line) => line.startsWith("a command failed"))).toHaveLength(1);
  });

  it.each(["the application, too,", "the service alone"])(
    "pass on to the agent's service what whoever asked thinks of its answer; told is %s",
    async (who) => {
      const server = await startServer();
      const heard: object[] = [];
      const told: object[] = [];
      const isTold = who !== "the service alone";
      const id = "answer 7";
      const helper: Backend = {
        ...backend(async function* () {
          yield { type: "message", text: "one", id };
        }),
        feedback: async ({ answer, rating, conversationId }) => {
          heard.push({ answer, rating, conversationId });
          if (rating === "down") throw new AparteError("backend-failed", "It failed.");
        },
      };
      const bot = await startBot(server, {
        mapper: { agents: { helper } },
        slack: {
          buttons: ["feedback"],
          ...(isTold
            ? { onFeedback: ({ speaker, isPositive }) => told.push([speaker.user, isPositive]) }
            : {}),
        },
      });
      await server.say("U1", `${mention(server)} one`);
      const post = await shows(server, "one");
      await server.until(() => actionsOf(post.blocks).length > 0);
      expect(post.blocks?.at(-1)).toMatchObject({
        elements: [{ positive_button: { value: "good U1 answer 7" } }],
      });
      const said = async (user: string, value: string) => {
        await server.press(user, post, "aparte_feedback", value);
        return (await server.next("respond")).body.text;
      };
      const thanks = "Thank you: I have passed it on.";
      expect(await said("U1", "good U1 answer 7")).toBe(thanks);
      expect(heard).toEqual([{ answer: "answer 7", rating: "up", conversationId: "c0" }]);
      expect(await said("U2", "bad U1 answer 7")).toBe(isTold ? thanks : texts("not-yours"));
      expect(heard).toHaveLength(1);
      expect(await said("U1", "bad U1 answer 7")).toMatch(/went wrong|failed/i);
      expect(heard.slice(1)).toEqual([{ answer: "answer 7", rating: "down", conversationId: "c0" }]);
      expect(told).toEqual(
        isTold
          ? [
              ["U1", true],
              ["U2", false],
            ]
          : [],
      );
      await settled(bot);
      expect(bot.log.filter((line) => line.startsWith("a command failed"))).toHaveLength(1);
    },
  );

  it("pass nothing on, and fail at nothing, where a message that only one person sees has them", async () => {
    const server = await startServer();
    const told: SlackFeedback[] = [];
    const bot = await startBot(server, { slack: { onFeedback: (feedback) => told.push(feedback) } });
    const post = { channel: server.channel, ts: server.ts(), thread: undefined, isEphemeral: true };
    await server.press("U1", post, "aparte_feedback", "good U1");
    await server.press("U1", post, "aparte_question_0", "two?");
    await settled(bot);
    expect([told, bot.messages, bot.appLog]).toEqual([[], [], []]);
    expect(count(server, "respond")).toBe(0);
  });

  it("ask for no feedback where nobody would be told, or the answer's name is too long", async () => {
    for (const id of [undefined, "a".repeat(1_901)]) {
      const server = await startServer();
      const bot = await startBot(server, {
        answer: async function* () {
          yield { type: "message", text: "one", ...(id === undefined ? {} : { id }) };
        },
        slack: { buttons: ["feedback"] },
      });
      await server.say("U1", `${mention(server)} hi`);
      const post = await shows(server, "one");
      await settled(bot);
      expect(actionsOf(post.blocks)).toEqual([]);
    }
  });

  it("are dropped with the blocks that Slack refuses at a stream's end", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    await server.say("U1", `${mention(server)} one`);
    speech.say("One. ");
    await shows(server, "One. ");
    server.fail({ method: "chat.stopStream", error: "invalid_blocks" });
    speech.event({ type: "suggestions", items: ["two?"] });
    speech.end();
    await shows(server, "One. \n\nYou could ask:\n- two?");
    await settled(bot);
    expect(server.shown()).toMatchObject([{ isStreaming: false }]);
  });
});

describe("slack's agent view", () => {
  it("shows that the agent works, and stops it by Slack's own button", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer, slack: { agentView: true } });
    const thread = await server.say("U1", "tell\nme", { channel: server.direct });
    const { body } = await server.next("agents.sessions.setStatus");
    expect(body).toMatchObject({ thread_ts: thread, status: "processing", title: "tell me" });
    speech.say("One. ");
    const post = await shows(server, "One. ");
    server.expire(post.ts);
    const stopped = { type: "agent_session_stopped", channel: server.direct, thread_ts: thread };
    await server.happen({ ...stopped, user: "U2" });
    await server.happen({ ...stopped, user: "U1" });
    await shows(server, /^One\.\s+Stopped\./);
    await server.next("agents.sessions.setStatus", (call) => call.body.status === "active");
    await settled(bot);
  });

  it("is told once, and the log what to do, where Slack knows no agent", async () => {
    const server = await startServer();
    server.fail({ method: "agents.sessions.setStatus", error: "not_allowed", times: 9 });
    const bot = await startBot(server, { slack: { agentView: true } });
    for (const text of ["one", "two"]) {
      await server.say("U1", text, { channel: server.direct });
      await shows(server, `You say "${text}" after nothing.`);
    }
    await settled(bot);
    expect(count(server, "agents.sessions.setStatus")).toBe(3);
    expect(bot.appLog).toEqual([expect.stringMatching(/`agentView: false`.*\(not_allowed\)$/)]);
  });

  it.each([
    ["could not show for a moment", 1, { status: 503 }],
    ["does not show to one person", 2, { error: "user_not_in_channel" }],
  ])("tells again of a session that Slack %s", async (_, times, fault) => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { agentView: true } });
    for (const user of ["U1", "U2"]) {
      server.fail({ method: "agents.sessions.setStatus", times, ...fault });
      await server.say(user, user, { channel: server.direct });
      await shows(server, `You say "${user}" after nothing.`);
      await server.say("U3", "hi", { channel: server.direct });
      const isOver = ({ body, result }: ApiCall) => body.status === "active" && result === "";
      await server.next("agents.sessions.setStatus", isOver);
    }
    await settled(bot);
    expect(bot.appLog).toEqual([]);
  });

  it("says nothing of sessions elsewhere", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { agentView: false } });
    await server.say("U1", "hi", { channel: server.direct });
    await settled(bot);
    expect(count(server, "agents.sessions.setStatus")).toBe(0);
  });

  it("offers what to ask, also in the older Assistant container", async () => {
    const server = await startServer();
    const long = `Two ${"o".repeat(71)}?`;
    const bot = await startBot(server, { slack: { prompts: ["One?", long] } });
    await server.happen({ type: "app_home_opened", user: "U1", channel: "D1", tab: "home" });
    await server.happen({ type: "app_home_opened", user: "U1", channel: "D1", tab: "messages" });
    const thread = { user_id: "U1", channel_id: "D2", thread_ts: "1.1", context: {} };
    await server.happen({ type: "assistant_thread_started", assistant_thread: thread });
    const prompts = [
      { title: "One?", message: "One?" },
      { title: `Two ${"o".repeat(70)}…`, message: long },
    ];
    const first = await server.next("assistant.threads.setSuggestedPrompts");
    const second = await server.next("assistant.threads.setSuggestedPrompts");
    expect(first.body).toMatchObject({ channel_id: "D1", prompts });
    expect(second.body).toMatchObject({ channel_id: "D2", thread_ts: "1.1", prompts });
    await settled(bot);
  });
});
