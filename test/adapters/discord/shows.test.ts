import { describe, expect, it } from "vitest";
import { Speech } from "../agent.ts";
import { edits, ended, gate, mention, posts, settled, shows, startBot, startServer, typing } from "./bot.ts";

describe("discord shows replies", () => {
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
    const bot = await startBot(server, { answer: speech.answer });
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
    await settled(bot);
    // The client is the bot's own: nothing of ours listens at it for longer than a call takes.
    expect(bot.client.rest.listenerCount("response")).toBe(0);
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

  it.each([
    ["fences that nobody closes", `\`\`\`${"x".repeat(3_000)}\n~~~~\n\`\`\`js\n${"y\n".repeat(1_500)}`],
    ["a fence with text behind it", `${"```not a fence``` word\n".repeat(200)}`],
    ["a marker of 3,000 characters", `${"`".repeat(3_000)}\ncode\n`],
    ["thousands of quotes and lists", `${"> ".repeat(2_000)}end\n${"- ".repeat(2_000)}end`],
    ["links in links", `${"[".repeat(1_500)}a${"](https://b.example)".repeat(150)}`],
    ["spoilers, headings and mentions in code", `${"||# <@1> `@everyone` <@&2> ".repeat(200)}`],
    ["nothing that is seen", `${"\u200b\u202e".repeat(2_000)}.`],
  ])("of hostile Markdown, within the limits and without a ping: %s", async (_, text) => {
    const server = await startServer();
    const bot = await startBot(server, { answer: ended({ type: "message", text }) });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} hostile`);
    await server.until(() => server.shown().length > 0);
    await settled(bot);
    const shown = server.shown();
    expect(bot.log).toEqual([]);
    expect(shown.length).toBeLessThanOrEqual(5);
    expect(shown.flatMap(({ pings }) => pings)).toEqual([]);
    const last = shown.at(-1);
    const file = last?.attachments[0]?.bytes;
    const seen = (words: string) => words.replace(/[\s`~]|] ?\(/g, "");
    const all = shown.map(({ content }) => content).join("");
    expect(file === undefined ? seen(all).replaceAll("js", "") : Buffer.from(file).toString()).toBe(
      file === undefined ? seen(text).replaceAll("js", "") : text,
    );
  });

  it("with link previews where they are wanted, of commands too", async () => {
    const server = await startServer();
    const answer = ended({ type: "message", text: "https://example.com" });
    await startBot(server, { answer, discord: { embeds: true, commands: true } });
    const ann = server.person("ann");
    server.say(ann, `${mention(server)} where?`);
    expect((await shows(server, "https://example.com")).flags).toBe(0);
    const options = [
      { name: "question", type: 3, value: "where?" },
      { name: "private", type: 5, value: true },
    ];
    server.interact(ann, { data: { id: "1", name: "ask", type: 1, options } });
    const told = await server.until(() =>
      server.shown().find(({ flags, content }) => flags === 64 && content),
    );
    expect(told.content).toBe("https://example.com");
  });

  it("with tables as code, in which nothing is changed", async () => {
    const server = await startServer();
    const table = "| Bank | Link |\n|---|---|\n| B | [bank.example](https://evil.example) |";
    const bot = await startBot(server, { answer: ended({ type: "message", text: table }) });
    server.say(server.person("ann"), `${mention(server)} list them`);
    await shows(server, /bank/);
    await settled(bot);
    expect(server.shown().map(({ content }) => content)).toEqual([
      "```\nBank | Link\n-----|-------------------------------------\nB    | [bank.example](https://evil.example)\n```",
    ]);
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
