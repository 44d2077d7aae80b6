import { eventOf, type SlackContext, type SlackSession } from "aparte/slack";
import { describe, expect, it } from "vitest";
import { backend, remembering, Speech } from "../agent.ts";
import { count, mention, settled, shows, startBot, startServer } from "./bot.ts";

describe("slack, for bots of one's own,", () => {
  it("puts the person's session on the context of events, commands and actions", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const sessions: [string, SlackSession | undefined][] = [];
    bot.app.use(bot.adapter.session);
    const note = (what: string, context: object) => sessions.push([what, (context as SlackContext).session]);
    bot.app.event("app_home_opened", async ({ context }) => void note("event", context));
    bot.app.command("/ask", async ({ ack, context }) => {
      note("command", context);
      await ack();
    });
    bot.app.action("mine", async ({ ack, context }) => {
      note("action", context);
      await ack();
    });
    await server.happen({ type: "app_home_opened", user: "U1", channel: "D1", tab: "home" });
    await server.command("U2", "/ask");
    await server.press("U3", { channel: "C1", ts: "1.2", thread: "1.1" }, "mine", "x");
    await settled(bot);
    expect(sessions.map(([what, session]) => [what, session?.speaker])).toEqual([
      ["event", { platform: "slack", tenant: "T1", user: "U1", channel: "D1", direct: true }],
      ["command", { platform: "slack", tenant: "T1", user: "U2", channel: "C1" }],
      ["action", { platform: "slack", tenant: "T1", user: "U3", channel: "C1", thread: "1.1" }],
    ]);
  });

  it("asks, resolves and resets in the session that the person's messages have", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    bot.app.use(bot.adapter.session);
    const answers: string[] = [];
    bot.app.command("/ask", async ({ ack, command, context }) => {
      const { session } = context as SlackContext;
      if (command.text === "reset") await session?.reset();
      else
        answers.push(
          (await session?.ask(command.text).text()) ?? "",
          (await session?.resolve())?.conversationId ?? "",
        );
      await ack();
    });
    await server.say("U1", `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await server.command("U1", "/ask", "two");
    await server.command("U1", "/ask", "reset");
    await server.command("U1", "/ask", "three");
    await settled(bot);
    expect(answers).toEqual(['You say "two" after one.', "c0", 'You say "three" after nothing.', "c1"]);
    expect(server.shown()).toHaveLength(1);
  });

  it.each([
    ["all", ["mine", "other"]],
    ["unheard", ["other"]],
    ["none", []],
  ] as const)("answers %s of what its own listeners take", async (answer, expected) => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { answer } });
    const own: string[] = [];
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    bot.app.message(/^mine$/, async ({ message }) => {
      own.push(String(Reflect.get(message, "text")));
      await ended; // Slack does not wait for it.
    });
    await server.say("U1", "mine", { channel: server.direct });
    end();
    await server.say("U1", "other", { channel: server.direct });
    await settled(bot);
    expect(own).toEqual(["mine"]);
    expect(bot.messages.map(({ text }) => text)).toEqual(expected);
    expect(count(server, "chat.postMessage")).toBe(expected.length);
  });

  it.each([
    ["message", "message", "app_mention"],
    ["message", "app_mention", "message"],
    ["app_mention", "message", "app_mention"],
    ["app_mention", "app_mention", "message"],
  ] as const)(
    "answers no mention whose %s one of its own listeners takes, where %s comes before %s",
    async (taken, ...order) => {
      const server = await startServer();
      const bot = await startBot(server, { slack: { answer: "unheard" } });
      const own: string[] = [];
      if (taken === "message") bot.app.message("mine", async () => void own.push(taken));
      else
        bot.app.event("app_mention", async ({ event, next }) => {
          if (event.text.includes("mine")) own.push(taken);
          else await next?.();
        });
      await server.say("U1", `${mention(server)} first`, { channel: "C2" });
      const ts = server.ts();
      const twice = order.map((type) => server.say("U1", `${mention(server)} mine`, { ts, as: [type] }));
      await Promise.all(twice);
      await settled(bot);
      expect(own).toEqual([taken]);
      expect(bot.messages.map(({ text }) => text)).toEqual(taken === "message" ? ["first"] : []);
    },
  );

  it("answers an edit that calls it, also of what one of its own listeners took", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { answer: "unheard" } });
    const own: string[] = [];
    bot.app.message(/^mine$/, async ({ message }) => void own.push(String(Reflect.get(message, "text"))));
    const ts = await server.say("U1", "mine");
    const message = {
      user: "U1",
      text: `${mention(server)} mine`,
      ts,
      edited: { user: "U1", ts: server.ts() },
    };
    const event = { subtype: "message_changed", hidden: true, user: undefined, blocks: undefined };
    await server.say("U1", "", {
      event: { ...event, message, previous_message: { ...message, text: "mine" } },
    });
    await settled(bot);
    expect(own).toEqual(["mine"]);
    expect(bot.messages.map(({ text }) => text)).toEqual(["mine"]);
  });

  it("gives Slack's event to the route and to middlewares", async () => {
    const server = await startServer();
    const routed: unknown[] = [];
    const bot = await startBot(server, {
      mapper: {
        agents: { helper: backend(remembering), writer: backend(remembering) },
        route: (message) => {
          routed.push(Reflect.get(eventOf(message) ?? {}, "app_context"));
          return "writer";
        },
      },
    });
    await server.say("U1", "hi", { channel: server.direct, event: { app_context: "a canvas" } });
    await settled(bot);
    expect(routed).toEqual(["a canvas"]);
    expect(bot.messages.map((message) => Reflect.get(eventOf(message) ?? {}, "app_context"))).toEqual([
      "a canvas",
    ]);
  });

  it("gives Slack's event of a message that waited, too", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { mapper: { agents: { helper: backend(speech.answer) } } });
    const seen: (string | undefined)[] = [];
    bot.mapper.use(async (turn, next) => {
      seen.push(eventOf(turn.message)?.text);
      await next();
    });
    await server.say("U1", "one", { channel: server.direct });
    await server.say("U1", "two", { channel: server.direct });
    speech.say("Well.");
    speech.end();
    await settled(bot);
    expect(seen).toEqual(["one", "two"]);
  });
});
