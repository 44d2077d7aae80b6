import { describe, expect, it } from "vitest";
import { Speech } from "../agent.ts";
import { type BotOptions, count, mention, settled, shows, startBot, startServer } from "./bot.ts";

describe("slack shows replies", () => {
  /** Someone mentions a bot whose words the test speaks. */
  async function conversation(options: BotOptions = {}, place: { channel?: string } = {}) {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer, ...options });
    await server.say("U1", `${mention(server)} tell me`, place);
    return { server, speech, bot };
  }

  it("in Slack's own stream, which ends with the reply", async () => {
    const { server, speech, bot } = await conversation();
    speech.say("one ");
    expect((await server.next("chat.startStream")).body.markdown_text).toBe("one ");
    speech.say("two ");
    expect((await server.next("chat.appendStream")).body.markdown_text).toBe("two ");
    speech.event({ type: "message", text: "one two three" });
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "one two three", isStreaming: false, wasStream: true }]);
    expect(count(server, "chat.update")).toBe(0);
  });

  it("with edits where the answer is not what its draft was", async () => {
    const { server, speech, bot } = await conversation();
    speech.say("one ");
    await server.next("chat.startStream");
    speech.event({ type: "message", text: "In short: no." });
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "In short: no.", isStreaming: false }]);
  });

  it("by edits of a post where the workspace has no streams, and asks for none again", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.fail({ method: "chat.startStream", error: "feature_not_enabled", times: 9 });
    await server.say("U1", `${mention(server)} one`);
    await shows(server, 'You say "one" after nothing.');
    await server.say("U1", `${mention(server)} two`);
    await shows(server, 'You say "two" after one.');
    await settled(bot);
    expect(count(server, "chat.startStream")).toBe(1);
    expect(count(server, "chat.postMessage")).toBe(2);
  });

  it("by edits when it is told to, the latest text each time", async () => {
    const { server, speech, bot } = await conversation({ slack: { stream: "edit" } });
    speech.say("one ");
    await server.next("chat.postMessage");
    let open = () => {};
    const until = new Promise<void>((resolve) => {
      open = resolve;
    });
    server.fail({ method: "chat.update", until });
    speech.say("two ");
    await server.until(() => count(server, "chat.update") === 1);
    for (const word of ["three ", "four ", "five "]) speech.say(word);
    speech.event({ type: "message", text: "one two three four five six" });
    speech.end();
    open();
    await settled(bot);
    const texts = server.calls.filter(({ method }) => method === "chat.update").map(({ body }) => body.text);
    expect(texts).toEqual(["one two ", "one two three four five six"]);
  });

  it("to their end when Slack ends the stream before", async () => {
    const { server, speech, bot } = await conversation();
    speech.say("one ");
    await server.next("chat.startStream");
    server.expire(server.shown()[0]?.ts ?? "");
    speech.say("two ");
    expect((await server.next("chat.appendStream")).result).toBe("message_not_in_streaming_state");
    await shows(server, "one two ");
    speech.say("three");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "one two three" }]);
  });

  it("to their end when Slack ends the stream with the last word", async () => {
    const { server, speech, bot } = await conversation();
    speech.say("one ");
    await server.next("chat.startStream");
    server.expire(server.shown()[0]?.ts ?? "");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "one " }]);
  });

  it.each(["native", "edit"] as const)("in several messages when they are long (%s)", async (stream) => {
    const server = await startServer();
    const code = Array.from({ length: 90 }, (_, line) => `if (a${line} < b && c > ${line}) x("𝒆 🎭");`);
    const prose = Array.from({ length: 90 }, (_, line) => `Sentence ${line} of the long answer & more.`);
    const text = `${prose.join(" ")}\n\n\`\`\`ts\n${code.join("\n")}\n\`\`\`\n\nThe end.`;
    const bot = await startBot(server, {
      slack: { stream },
      answer: async function* () {
        for (const delta of text.match(/[\s\S]{1,60}/gu) ?? []) yield { type: "text", delta };
        yield { type: "message", text };
      },
    });
    await server.say("U1", `${mention(server)} at length`);
    await shows(server, /The end\.$/);
    await settled(bot);
    const parts = server.shown();
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.some(({ isStreaming }) => isStreaming)).toBe(false);
    const withoutFences = (value: string) => value.replace(/```(ts)?/g, "").replace(/\s+/g, "");
    expect(withoutFences(parts.map(({ shown }) => shown).join("\n"))).toBe(withoutFences(text));
  });

  it.each(["native", "edit"] as const)("without notifying anybody (%s)", async (stream) => {
    const { server, speech, bot } = await conversation({ slack: { stream } });
    speech.say("Call <!channel>, <!here|x>, ");
    speech.say("<!everyone>, <@");
    speech.say("U2> and List<@NonNull>");
    speech.end();
    await settled(bot);
    const sent = server.calls.flatMap(({ body }) => [body.text ?? "", body.markdown_text ?? ""]);
    const [{ shown = "" } = {}] = server.shown();
    for (const text of [...sent, shown]) expect(text).not.toMatch(/<!|<@U2/);
    expect(shown.replaceAll("\u200b", "")).toContain("<!everyone>, <@U2> and List<@NonNull>");
    const posts = server.calls.filter(({ method }) => method === "chat.postMessage");
    expect(posts.every(({ body }) => body.unfurl_links === "false")).toBe(true);
  });

  it("with what the agent does as the status, and with all that is told besides", async () => {
    const { server, speech, bot } = await conversation();
    await server.next("assistant.threads.setStatus", ({ body }) => body.status === "is thinking…");
    speech.event({ type: "status", text: "Searching\nthe library" });
    await server.next("assistant.threads.setStatus", ({ body }) => body.status === "Searching the library");
    speech.event({ type: "notice", code: "merged", text: "Nobody needs to read this." });
    speech.event({ type: "message", text: "Found it." });
    speech.event({ type: "suggestions", items: ["Where?", "When?"] });
    speech.event({ type: "handoff" });
    speech.event({ type: "end" });
    speech.end();
    await server.next("assistant.threads.setStatus", ({ body }) => body.status === "");
    await settled(bot);
    expect(server.shown().map(({ shown }) => shown)).toEqual([
      [
        "Found it.",
        "You could ask:\n- Where?\n- When?",
        "A human takes over from here.",
        "This conversation has ended. Your next message begins a new one.",
      ].join("\n\n"),
    ]);
  });

  it("in plain text where the workspace knows no markdown blocks", async () => {
    const server = await startServer();
    await startBot(server);
    server.fail({ method: "chat.postMessage", error: "invalid_blocks" });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    expect(server.calls.at(-1)?.body.blocks).toBeUndefined();
  });
});
