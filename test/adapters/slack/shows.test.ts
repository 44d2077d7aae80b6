import { describe, expect, it, vi } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { remembering, Speech } from "../agent.ts";
import { type BotOptions, count, endings, mention, settled, shows, startBot, startServer } from "./bot.ts";

/** No draft begins but with a sentence, however slow the machine is. */
const patient = { editInterval: 60_000 };

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
    const speeches = [new Speech(), new Speech()];
    const answers = speeches.map(({ answer }) => answer);
    const bot = await startBot(server, {
      answer: (turn, memory) => (answers.shift() ?? remembering)(turn, memory),
    });
    server.fail({ method: "chat.startStream", error: "feature_not_enabled", times: 9 });
    for (const user of ["U1", "U2"]) {
      const speech = speeches.shift();
      await server.say(user, `${mention(server)} tell me`);
      speech?.say("One. ");
      await server.next("chat.postMessage");
      speech?.end();
    }
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

  it.each([
    ["native", 12_000],
    ["edit", 12_000],
    ["native", 100_000],
    ["edit", 100_000],
  ] as const)("in several messages when they are long (%s, %i characters)", async (stream, length) => {
    const server = await startServer();
    const code = Array.from({ length: 190 }, (_, line) => `if (a${line} < b && c > ${line}) x("𝒆 🎭");`);
    const prose = Array.from({ length: 290 }, (_, line) => `Sentence ${line} of the long answer & more.`);
    const head = "| Town & river | Feet |\n|---|---|\n";
    const rows = Array.from({ length: 90 }, (_, row) => `| Town ${row} at the river | ${row} < ${row + 1} |`);
    const table = `${head}${rows.join("\n")}\n\n`;
    const chapter = `${prose.join(" ")}\n\n${table}\`\`\`ts\n${code.join("\n")}\n\`\`\`\n\n`;
    const text = `${chapter.repeat(Math.ceil(length / chapter.length))}The end.`;
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
    const parts = server.shown().map(({ shown }) => shown);
    expect(parts.length).toBeGreaterThanOrEqual(Math.ceil(text.length / 11_000));
    expect(parts.length).toBeLessThanOrEqual(Math.ceil((2 * text.length) / 11_000) + 2);
    expect(server.shown().some(({ isStreaming }) => isStreaming)).toBe(false);
    // Each message is whole markdown of its own.
    for (const part of parts)
      expect(part.match(/^```/gm)?.length ?? 0).toSatisfy((fences) => fences % 2 === 0);
    // What a part begins with again, so that it can be read, is a fence or a table's head.
    const withoutHeads = (value: string) =>
      value
        .replaceAll(head, "")
        .replace(/```(ts)?/g, "")
        .replace(/\s+/g, "");
    expect(withoutHeads(parts.join("\n"))).toBe(withoutHeads(text));
    for (const part of parts) if (part.includes("| Town ")) expect(part).toContain(head);
  });

  it("to their end also when they take twelve minutes", async () => {
    const now = performance.now.bind(performance);
    // The process itself stays alive: only the adapter's time and Slack's go on.
    const { server, speech, bot } = await conversation({ mapper: { clock: { ...systemClock, now } } });
    let passed = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + passed);
    endings.push(() => clock.mockRestore());
    const minutes = Array.from({ length: 13 }, (_, minute) => `Minute ${minute}. `);
    for (const [minute, words] of minutes.entries()) {
      passed = minute * 60_000;
      speech.say(words);
      await shows(server, minutes.slice(0, minute + 1).join(""));
    }
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: minutes.join(""), isStreaming: false, wasStream: true }]);
    // Slack never had to end the stream itself.
    expect(server.calls.filter(({ result }) => result !== "")).toEqual([]);
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

  it.each([
    ["native", "C1"],
    ["edit", "C1"],
    ["native", "D1"],
  ] as const)(
    "without notifying anybody whom a person makes it repeat (%s, in %s)",
    async (stream, channel) => {
      const hostile =
        "<!channel> <!here> <!everyone> <!subteam^S1> <@U2> <!date^1392734382^{date}^https://x.y|Feb>";
      const server = await startServer();
      const bot = await startBot(server, { slack: { stream } });
      // What somebody types as such comes escaped, and is no mention.
      const typed = hostile.replaceAll("<", "&lt;").replaceAll(">", "&gt;");
      await server.say("U1", `${mention(server)} ${typed}`, { channel });
      await shows(server, /after nothing\.$/);
      await settled(bot);
      expect(bot.messages.map(({ text }) => text)).toEqual([hostile]);
      const sent = server.calls.flatMap(({ body }) => [
        body.text ?? "",
        body.markdown_text ?? "",
        JSON.stringify(body.blocks ?? ""),
      ]);
      const [{ shown = "" } = {}] = server.shown();
      for (const text of [...sent, shown]) expect(text).not.toMatch(/<[!@]/);
      expect(shown.replaceAll("\u200b", "")).toBe(`You say "${hostile}" after nothing.`);
    },
  );

  it("with loading messages as long as the agent tells of nothing that it does", async () => {
    const loadingMessages = ["Looking around …", "Thinking hard …"];
    const { server, speech, bot } = await conversation({ slack: { loadingMessages } });
    speech.event({ type: "status", text: "Searching" });
    await server.next("assistant.threads.setStatus", ({ body }) => body.status === "Searching");
    speech.end();
    await settled(bot);
    const told = server.calls.filter(({ method }) => method === "assistant.threads.setStatus");
    const shown = told.map(({ body }) => [body.status, Reflect.get(body, "loading_messages")]);
    expect(new Map(shown as [string, unknown][])).toEqual(
      new Map<string, unknown>([
        ["is thinking…", JSON.stringify(loadingMessages)],
        ["Searching", undefined],
        ["", undefined],
      ]),
    );
  });

  it("with a status that Slack is told once, however often the agent tells it", async () => {
    const { server, speech, bot } = await conversation();
    const told = (status: string) =>
      server.next("assistant.threads.setStatus", ({ body }) => body.status === status);
    await told("is thinking…");
    for (let time = 0; time < 5; time += 1) speech.event({ type: "status", text: "Searching" });
    await told("Searching");
    speech.event({ type: "status", text: "Searching" });
    speech.event({ type: "message", text: "Found it." });
    speech.end();
    await settled(bot);
    const statuses = server.calls.filter(({ method }) => method === "assistant.threads.setStatus");
    expect(statuses.map(({ body }) => body.status)).toEqual(["is thinking…", "Searching", ""]);
  });

  it("with words beside the blocks of which nothing is a link: a notification shows them", async () => {
    const { server, speech, bot } = await conversation({ slack: { stream: "edit" } });
    speech.event({ type: "message", text: "1 < 2 & <https://thief.example|bank>" });
    speech.end();
    await settled(bot);
    const posted = server.calls.find(({ method }) => method === "chat.postMessage");
    expect(posted?.body.text).toBe("1 &lt; 2 &amp; &lt;https://thief.example|bank&gt;");
  });

  it("with what the agent does as the status, and with all that is told besides", async () => {
    const { server, speech, bot } = await conversation({ slack: { buttons: [] } });
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

  it("plainly where Slack refuses a reply's blocks, and the next one with its markdown", async () => {
    const server = await startServer();
    await startBot(server, { slack: patient });
    server.fail({ method: "chat.postMessage", error: "invalid_blocks" });
    await server.say("U1", "hi", { channel: server.direct });
    await shows(server, 'You say "hi" after nothing.');
    await server.say("U2", "ho", { channel: "D2" });
    await shows(server, 'You say "ho" after nothing.');
    const posts = server.calls.filter(({ method }) => method === "chat.postMessage");
    expect(posts.map(({ body }) => body.blocks?.length)).toEqual([1, 0, 1]);
  });

  it("plainly at once where Slack has refused the blocks of three", async () => {
    const server = await startServer();
    await startBot(server, { slack: patient });
    server.fail({ method: "chat.postMessage", error: "invalid_blocks", times: 1 });
    for (const [index, user] of ["U1", "U2", "U3", "U4"].entries()) {
      if (index > 0 && index < 3) server.fail({ method: "chat.postMessage", error: "invalid_blocks" });
      // The plain post of each must not count as one that worked.
      await server.say(user, user, { channel: `D${user}` });
      await shows(server, `You say "${user}" after nothing.`);
    }
    const posts = server.calls.filter(({ method }) => method === "chat.postMessage");
    expect(posts.map(({ body }) => body.blocks?.length)).toEqual([1, 0, 1, 0, 1, 0, 0]);
  });

  it("in a stream for the next person where one reply's stream is refused", async () => {
    const server = await startServer();
    const speeches = [new Speech(), new Speech()];
    const answers = speeches.map(({ answer }) => answer);
    const bot = await startBot(server, {
      answer: (turn, memory) => (answers.shift() ?? remembering)(turn, memory),
    });
    server.fail({ method: "chat.startStream", error: "missing_recipient_team_id" });
    for (const [index, speech] of speeches.entries()) {
      await server.say(`U${index}`, `${mention(server)} tell me`);
      speech.say("One. ");
      await shows(server, "One. ");
      speech.say("Two.");
      speech.end();
      await server.until(
        () => server.shown().filter(({ shown }) => shown === "One. Two.").length === index + 1,
      );
    }
    await settled(bot);
    expect(server.shown().map(({ wasStream }) => wasStream)).toEqual([false, true]);
  });

  it("12,000 Chinese characters in two messages", async () => {
    const server = await startServer();
    const text = "每个人都有自己的对话。".repeat(1_091);
    const bot = await startBot(server, {
      slack: patient,
      answer: async function* () {
        yield { type: "message", text };
      },
    });
    await server.say("U1", `${mention(server)} 说`);
    await settled(bot);
    expect(server.shown()).toHaveLength(2);
    expect(
      server
        .shown()
        .map(({ shown }) => shown)
        .join(""),
    ).toBe(text);
    const notices = server.calls.filter(({ method }) => method === "chat.postMessage");
    for (const { body } of notices) expect(Buffer.byteLength(body.text ?? "")).toBeLessThanOrEqual(4_000);
  });

  it.each([
    ["all of it", 4_000, "x".repeat(4_000)],
    ["its first 600 characters", 4_001, "x".repeat(600)],
  ])("and in a notification %s, of %i", async (_, length, notice) => {
    const server = await startServer();
    const bot = await startBot(server, {
      slack: patient,
      answer: async function* () {
        yield { type: "message", text: "x".repeat(length) };
      },
    });
    await server.say("U1", `${mention(server)} tell me`);
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "x".repeat(length), text: notice }]);
  });

  const map = {
    type: "file",
    kind: "image",
    url: "https://files.example/a.png?x=1&y=2",
    name: "A map",
  } as const;

  it.each(["native", "edit"] as const)(
    "with the images of the answer below it, and its files as links (%s)",
    async (stream) => {
      const { server, speech, bot } = await conversation({ slack: { stream } });
      speech.say("Here it is. ");
      await shows(server, "Here it is. ");
      speech.event(map);
      speech.event({ type: "message", text: "Here it is: look." });
      speech.event({ type: "file", kind: "file", url: "https://files.example/b.pdf" });
      speech.event({ type: "suggestions", items: ["Where?"] });
      speech.end();
      await settled(bot);
      const [post] = server.shown();
      expect(server.shown()).toHaveLength(1);
      expect(post?.shown).toBe("Here it is: look.\n\nhttps://files.example/b.pdf");
      expect(post?.blocks?.filter(({ type }) => type !== "markdown")).toMatchObject([
        { type: "image", image_url: map.url, alt_text: "A map" },
        { type: "actions" },
      ]);
    },
  );

  it.each([
    ["native", "chat.stopStream"],
    ["edit", "chat.update"],
  ] as const)(
    "with links in the place of images that Slack does not load, and as markdown all the same (%s)",
    async (stream, method) => {
      const { server, speech, bot } = await conversation({ slack: { stream, buttons: [] } });
      speech.say("Here it is. ");
      const post = await shows(server, "Here it is. ");
      server.fail({ method, error: "invalid_blocks" });
      speech.event(map);
      speech.event({ ...map, name: "" });
      speech.end();
      await settled(bot);
      expect(post.shown).toBe(`Here it is. \n\nA map: ${map.url}\n\n${map.url}`);
      const isMarkdown = server.calls.some(
        ({ method: one, body }) => one === "chat.update" && body.blocks?.length === 0,
      );
      expect([server.shown().length, isMarkdown]).toEqual([1, false]);
    },
  );

  it("with links in the place of images where Slack takes no blocks at all", async () => {
    const { server, speech, bot } = await conversation({ slack: patient });
    server.fail({ method: "chat.postMessage", error: "invalid_blocks", times: 2 });
    speech.event({ type: "message", text: "Here it is." });
    speech.event(map);
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: `Here it is.\n\nA map: ${map.url}`, blocks: [] }]);
  });

  it("with as many images as Slack takes, whose addresses are as long as it takes, and the others as links", async () => {
    const { server, speech, bot } = await conversation({ slack: patient });
    const url = (length: number) => `https://files.example/${"a".repeat(length - 22)}`;
    speech.event({ ...map, url: url(3_001), name: "One" });
    speech.event({ ...map, name: "x".repeat(2_001) });
    for (let count = 1; count < 41; count += 1) speech.event({ ...map, url: url(3_000), name: `${count}` });
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: `One: ${url(3_001)}\n\n40: ${url(3_000)}` }]);
    const images = server.shown()[0]?.blocks?.filter(({ type }) => type === "image");
    expect(images).toHaveLength(40);
    expect(images?.[0]).toMatchObject({ alt_text: `${"x".repeat(1_999)}…` });
  });

  it("with the names of the images, or their addresses, where it says nothing else", async () => {
    const { server, speech, bot } = await conversation({ slack: patient });
    const { name: _, ...nameless } = map;
    speech.event(map);
    speech.event(nameless);
    speech.end();
    await settled(bot);
    const images = [
      { image_url: map.url, alt_text: "A map" },
      { image_url: map.url, alt_text: map.url },
    ];
    expect(server.shown()).toMatchObject([
      { shown: `A map\n\n${map.url}`, blocks: [{ type: "markdown" }, ...images] },
    ]);
  });

  it.each(["native", "edit"] as const)("with each link whole in one message (%s)", async (stream) => {
    const label = "the long way to say where all of this is written down";
    const link = `[${label}](https://docs.example/a)`;
    // Wherever a message ends, a link is there.
    const text = Array.from({ length: 300 }, (_, index) => `${index} ${link}`).join(" ");
    const server = await startServer();
    const bot = await startBot(server, {
      slack: { stream },
      answer: async function* () {
        for (const delta of text.match(/[\s\S]{1,60}/gu) ?? []) yield { type: "text", delta };
        yield { type: "message", text };
      },
    });
    await server.say("U1", `${mention(server)} tell me`);
    await shows(server, /299 .*\)$/);
    await settled(bot);
    const parts = server.shown().map(({ shown }) => shown);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.flatMap((part) => part.split(link).length - 1).reduce((sum, links) => sum + links)).toBe(
      300,
    );
    expect(parts.join(" ")).toBe(text);
  });

  it.each(["native", "edit"] as const)(
    "with its head in each message that a long table takes (%s)",
    async (stream) => {
      const server = await startServer();
      const head = ["| who | what |", "|:---|---:|"];
      const rows = Array.from({ length: 700 }, (_, row) => `| person ${row} | did ${"much ".repeat(4)}|`);
      const text = `Look:\n\n${[...head, ...rows].join("\n")}\n\nThe end.`;
      const bot = await startBot(server, {
        slack: { stream },
        answer: async function* () {
          for (const delta of text.match(/[\s\S]{1,200}/gu) ?? []) yield { type: "text", delta };
          yield { type: "message", text };
        },
      });
      await server.say("U1", `${mention(server)} at length`);
      await shows(server, /The end\.$/);
      await settled(bot);
      const [first = "", ...others] = server.shown().map(({ shown }) => shown.split("\n"));
      expect(others.length).toBeGreaterThan(1);
      for (const lines of others) expect(lines.slice(0, 2)).toEqual(head);
      const all = [...first, ...others.flatMap((lines) => lines.slice(2))];
      expect(all.filter((line) => line.startsWith("|"))).toEqual([...head, ...rows]);
    },
  );

  it.each([
    ["code", "```", "| a |", "|---|"],
    ["no table", "words", "| a |", "| b |"],
    ["a head that is longer than rows", "words", `| ${"a".repeat(1_500)} |`, "|---|"],
  ])("without a head where it is %s that has bars", async (_, before, ...head) => {
    const server = await startServer();
    const rows = Array.from({ length: 1_100 }, (_row, row) => `| row ${row} ${"x".repeat(10)} |`);
    const text = [before, ...head, ...rows, before].join("\n");
    const bot = await startBot(server, {
      slack: patient,
      answer: async function* () {
        yield { type: "message", text };
      },
    });
    await server.say("U1", `${mention(server)} at length`);
    await settled(bot);
    const lines = server.shown().flatMap(({ shown }) => shown.split("\n"));
    expect(server.shown().length).toBeGreaterThan(1);
    expect(lines.filter((line) => head.includes(line))).toEqual(head);
    // Nor was any of them too long for Slack.
    expect(server.calls.filter(({ result }) => result !== "")).toEqual([]);
  });

  it("from their first sentence on, which is what a notification shows", async () => {
    const { server, speech, bot } = await conversation({ slack: { editInterval: 60_000 } });
    speech.say("Your ");
    speech.say("parcel is ");
    speech.say("here. It ");
    expect((await server.next("chat.startStream")).body.markdown_text).toBe("Your parcel is here. It ");
    speech.end();
    await settled(bot);
  });

  it("from a moment on where the first sentence is long", async () => {
    const { server, speech, bot } = await conversation({ slack: { editInterval: 30 } });
    speech.say("Your parcel");
    expect((await server.next("chat.startStream")).body.markdown_text).toBe("Your parcel");
    speech.end();
    await settled(bot);
  });

  it("in one post when they are whole at once", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: patient });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    expect(server.shown()).toMatchObject([{ wasStream: false }]);
    expect(count(server, "chat.update")).toBe(0);
  });

  it("in the channel, once, where Slack takes no answer in the thread", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: patient });
    server.fail({ method: "chat.postMessage", error: "cannot_reply_to_message" });
    await server.say("U1", `${mention(server)} hi`);
    await shows(server, 'You say "hi" after nothing.');
    await settled(bot);
    expect(server.shown()).toMatchObject([{ thread: undefined }]);
    expect(count(server, "chat.postMessage")).toBe(2);
    expect(bot.appLog.join()).toContain("cannot_reply_to_message");
  });

  it("in the channel, whole, where Slack begins no stream in the thread", async () => {
    const { server, speech, bot } = await conversation({ slack: { stream: "native" } });
    server.fail({ method: "chat.startStream", error: "cannot_reply_to_message" });
    speech.say("One. ");
    const post = await shows(server, "One. ");
    speech.say("Two.");
    speech.end();
    await settled(bot);
    expect(server.shown()).toMatchObject([{ shown: "One. Two.", thread: undefined, ts: post.ts }]);
    expect(bot.appLog.join()).toContain("cannot_reply_to_message");
  });

  it.each(["native", "edit"] as const)(
    "and takes away a message that its draft took, and the answer does not (%s)",
    async (stream) => {
      const { server, speech, bot } = await conversation({ slack: { stream } });
      speech.say("Sentence of a draft. ".repeat(600));
      await server.until(() => server.shown().length === 2);
      speech.event({ type: "message", text: "In short: no." });
      speech.end();
      await settled(bot);
      expect(server.shown()).toMatchObject([{ shown: "In short: no.", isStreaming: false }]);
    },
  );

  it("with a status that is told again before Slack takes it away, until they stand there", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    endings.push(() => vi.useRealTimers());
    const { server, speech, bot } = await conversation();
    for (const _ of ["at first", "again"]) {
      expect((await server.next("assistant.threads.setStatus")).body.status).toBe("is thinking…");
      vi.advanceTimersByTime(90_000);
    }
    speech.end();
    await settled(bot);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("with words also where the agent says nothing", async () => {
    const server = await startServer();
    const bot = await startBot(server, { answer: async function* () {} });
    await server.say("U1", `${mention(server)} hi`);
    await settled(bot);
    expect(server.shown()).toMatchObject([
      { shown: expect.stringMatching(/^The agent had nothing to say to that\. \(ref /) },
    ]);
  });
});
