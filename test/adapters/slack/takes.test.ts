import type { AppOptions } from "@slack/bolt";
import { describe, expect, it, vi } from "vitest";
import { Speech } from "../agent.ts";
import { endings, mention, settled, shows, startBot, startServer } from "./bot.ts";

describe("slack takes messages", () => {
  it("in threads, and answers in the same thread", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U1", `hey ${mention(server)} in a thread`, { thread: "1789.5" });
    const { thread } = await shows(server, 'You say "hey in a thread" after nothing.');
    expect(thread).toBe("1789.5");
    expect(bot.messages[0]?.thread).toBe("1789.5");
  });

  it("of two people in one thread, interleaved, and gives each only their own", async () => {
    const server = await startServer();
    await startBot(server);
    const inThread = { thread: "1789.5" };
    await Promise.all([
      server.say("U1", `${mention(server)} I am Ann`, inThread),
      server.say("U2", `${mention(server)} I am Bob`, inThread),
    ]);
    await Promise.all([
      server.say("U1", `${mention(server)} who?`, inThread),
      server.say("U2", `${mention(server)} who, then?`, inThread),
    ]);
    await shows(server, 'You say "who?" after I am Ann.');
    await shows(server, 'You say "who, then?" after I am Bob.');
    expect(server.shown()).toHaveLength(4);
  });

  it("of people only: no bots, not itself, not Slack's own messages, no words for others", async () => {
    const server = await startServer();
    const bot = await startBot(server, { app: { ignoreSelf: false } });
    const ignored = [
      { bot_id: "B7" },
      { subtype: "bot_message", bot_id: "B7" },
      { subtype: "message_changed", hidden: true },
      { subtype: "channel_join" },
      { user: server.botUserId },
      { user: "USLACKBOT" },
      { channel: undefined },
      { ts: undefined },
    ];
    for (const event of ignored) await server.say("U1", `${mention(server)} not this`, { event });
    await server.say("U1", "to nobody in particular");
    await server.say("U1", `${mention(server)} the last one`);
    await shows(server, 'You say "the last one" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["the last one"]);
    expect(server.shown()).toHaveLength(1);
  });

  it("of people of other companies, and streams to them there", async () => {
    const server = await startServer();
    const speech = new Speech();
    const bot = await startBot(server, { answer: speech.answer });
    await server.say("U9", `${mention(server)} hello`, {
      event: { user_team: "T9", team: "T9" },
      envelope: { is_ext_shared_channel: true },
    });
    speech.say("Hello. ");
    const { body } = await server.next("chat.startStream");
    expect(body).toMatchObject({ recipient_user_id: "U9", recipient_team_id: "T9" });
    speech.end();
    await settled(bot);
  });

  it("of a group of people only when it is called, in a thread", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const group = { channel: "G1", event: { channel_type: "mpim" } };
    await server.say("U1", "lunch at 12?", { ...group, as: ["message"] });
    const ts = server.ts();
    // The event app_mention does not tell what kind of channel it is.
    await Promise.all([
      server.say("U1", `${mention(server)} to you`, { ...group, ts, as: ["message"] }),
      server.say("U1", `${mention(server)} to you`, { channel: "G1", ts, as: ["app_mention"] }),
    ]);
    const answer = await shows(server, 'You say "to you" after nothing.');
    await settled(bot);
    expect(answer.thread).toBe(ts);
    expect(server.shown()).toHaveLength(1);
  });

  it("as the person reads them: without Slack's brackets and escapes", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.people.set("U2", { name: "bob", profile: { display_name: "Bob  the\nBuilder" } });
    server.channels.set("C3", { name: "random" });
    const text = [
      "a &amp;lt; b &amp; <https://example.com/x?a=1&amp;b=2>",
      "<http://example.com|example.com> <https://example.com|this page>",
      "<mailto:a@example.com|a@example.com> <#C2|general> <#C3> <#C4> <@U2> <@U3> <@U4|@Cy>",
      "<!here> <!subteam^S1|@writers> <!subteam^S2> <!date^1392734382^{date_short}|Feb 18, 2014> <!everyone>",
    ];
    await server.say("U1", text.join("\n"), { channel: server.direct });
    await server.until(() => bot.messages.length === 1);
    expect(bot.messages[0]?.text.split("\n")).toEqual([
      "a &lt; b & https://example.com/x?a=1&b=2",
      "http://example.com this page (https://example.com)",
      "a@example.com #general #random #C4 @Bob the Builder @U3 @Cy",
      "@here @writers @S2 Feb 18, 2014 @everyone",
    ]);
    await settled(bot);
  });

  it("of an organisation with the organisation as the tenant", async () => {
    const server = await startServer();
    const authorize = async () => ({
      ...{ botToken: server.token, botUserId: server.botUserId, botId: "B1" },
      ...{ teamId: "T2", enterpriseId: "E1" },
    });
    const bot = await startBot(server, { app: { token: undefined, authorize } as unknown as AppOptions });
    const authorizations = [{ team_id: "T2", enterprise_id: "E1", is_enterprise_install: true }];
    await server.say("W1", `${mention(server)} hello`, {
      event: { team: "T3" },
      envelope: { enterprise_id: "E1", is_enterprise_install: true, authorizations },
    });
    await shows(server, 'You say "hello" after nothing.');
    expect(bot.messages[0]).toMatchObject({ tenant: "E1", replyTo: { workspace: "E1" } });
  });

  it("with their files, loaded with the bot's token, also by another process", async () => {
    const server = await startServer();
    const read: string[] = [];
    const bot = await startBot(server, {
      answer: async function* ({ files, signal }) {
        for (const { name, type, load } of files) {
          const bytes = await load?.(signal);
          read.push(`${name} ${type} ${new TextDecoder().decode(bytes)}`);
        }
        yield { type: "message", text: "Read." };
      },
    });
    const file = server.file("notes.txt", "text/plain", new TextEncoder().encode("the words"));
    await server.say("U1", "", { channel: server.direct, event: { subtype: "file_share", files: [file] } });
    await shows(server, "Read.");
    expect(read).toEqual(["notes.txt text/plain the words"]);
    const ref = bot.messages[0]?.files?.[0]?.ref ?? null;
    const bytes = await bot.adapter.loadFile(ref, new AbortController().signal);
    expect(new TextDecoder().decode(bytes)).toBe("the words");
  });

  it("but no file from elsewhere, none too large, and no sign-in page in a file's place", async () => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { maxFileBytes: 10 } });
    const elsewhere = { id: "F7", name: "x", url_private: "http://169.254.1.1/x" };
    const large = server.file("large.txt", "text/plain", new Uint8Array(11));
    const unread = {
      id: "F8",
      name: "y",
      mimetype: "image/png",
      url_private: `http://${server.host}/files/F8`,
    };
    const absent = ["external", "hidden_by_limit", "tombstone"].map((mode) => ({ ...large, mode }));
    const files = [elsewhere, large, unread, ...absent, { name: "no id" }];
    await server.say("U1", "see", { channel: server.direct, event: { subtype: "file_share", files } });
    await shows(server, 'You say "see" after nothing.');
    const problems = await Promise.all(
      (bot.messages[0]?.files ?? []).map((file) =>
        file.load?.(new AbortController().signal).catch(({ message }: Error) => message),
      ),
    );
    expect(problems).toEqual([
      expect.stringContaining("own hosts"),
      expect.stringContaining("maxFileBytes"),
      expect.stringContaining("files:read"),
    ]);
  });

  it("with files of Slack's own hosts, and of none that only looks like one", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const own = ["https://files.slack.com/a", "https://acme.files.slack-gov.com/b"];
    const foreign = [
      ...["http://files.slack.com/c", "https://slack.com.example.org/d", "https://notslack.com/e"],
      ...["https://files.slack.com:8443/f", "https://files.slack.community/g"],
    ];
    const files = [...own, ...foreign].map((link, index) => ({
      id: `F${index}`,
      name: "x",
      url_private: link,
    }));
    await server.say("U1", "see", { channel: server.direct, event: { subtype: "file_share", files } });
    await shows(server, 'You say "see" after nothing.');
    const asked: string[] = [];
    const real = globalThis.fetch;
    vi.stubGlobal("fetch", (link: string | URL, options?: RequestInit) => {
      if (String(link).startsWith(`http://${server.host}`)) return real(link, options);
      asked.push(String(link));
      return Promise.reject(new Error("No test leaves this machine."));
    });
    endings.push(() => vi.unstubAllGlobals());
    for (const { load } of bot.messages[0]?.files ?? []) {
      await expect(load?.(new AbortController().signal)).rejects.toMatchObject({ code: "input-invalid" });
    }
    expect(asked).toEqual(own);
  });

  it("with groups, calls to all, links and emoji, where a message has blocks alone", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const elements = [
      { type: "usergroup", usergroup_id: "S1" },
      { type: "text", text: " & " },
      { type: "broadcast", range: "here" },
      { type: "text", text: ": " },
      { type: "link", url: "https://acme.com/a" },
      { type: "text", text: ", " },
      { type: "link", url: "https://acme.com/b", text: "b < c" },
      { type: "text", text: " " },
      { type: "emoji", name: "wave" },
      { type: "date", fallback: " May 1" },
    ];
    const list = {
      type: "rich_text_list",
      elements: [{ elements }, { elements: [{ type: "channel", channel_id: "C7" }] }],
    };
    const blocks = [{ type: "rich_text", elements: [list] }];
    await server.say("U1", "", { channel: server.direct, event: { text: "", blocks } });
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual([
      "@S1 & @here: https://acme.com/a, b < c (https://acme.com/b) :wave: May 1\n#C7",
    ]);
    expect(bot.messages[0]?.files).toEqual([]);
  });

  it("without files, where what they forward has none", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const attachments = [{ is_share: true, author_subname: "Bob", text: "Lunch?" }];
    await server.say("U1", "see", { channel: server.direct, event: { attachments } });
    await settled(bot);
    expect(bot.messages).toMatchObject([{ text: "see\n\n> Forwarded from Bob:\n> Lunch?", files: [] }]);
  });

  it("in their order, whoever's name is looked up in between", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    let open = () => {};
    const until = new Promise<void>((resolve) => {
      open = resolve;
    });
    server.people.set("U2", { name: "bob" });
    server.fail({ method: "users.info", until, times: 2 });
    const first = server.say("U1", "Ask <@U2>", { channel: server.direct });
    await server.until(() => server.calls.some(({ method }) => method === "users.info"));
    const second = server.say("U1", "now", { channel: server.direct });
    open();
    await Promise.all([first, second]);
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["Ask @bob", "now"]);
  });

  it("also behind one that the bot's own code could not judge", async () => {
    const server = await startServer();
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    let judged = 0;
    const respond = async (event: object) => {
      judged += 1;
      await opened;
      if (Reflect.get(event, "text") === "broken") throw new TypeError("word-canary");
      return true;
    };
    const bot = await startBot(server, { slack: { respond } });
    const first = server.say("U1", "broken");
    await vi.waitUntil(() => judged === 1, 30_000);
    const arrived = new Promise<void>((resolve) => {
      bot.app.message("whole", async () => resolve());
    });
    const second = server.say("U1", "whole");
    await arrived;
    open();
    await Promise.allSettled([first, second]);
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["whole"]);
  });

  it("with what they forward, and with tables as markdown", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.people.set("U2", { name: "bob" });
    const file = server.file("plan.txt", "text/plain", new Uint8Array(1));
    const cell = (text: string) => ({ type: "raw_text", text });
    const rich = {
      type: "rich_text",
      elements: [{ type: "rich_text_section", elements: [{ type: "user", user_id: "U2" }] }],
    };
    const table = {
      type: "table",
      rows: [
        [cell("Who"), cell("a|b")],
        [rich, cell("2 < 3")],
      ],
    };
    const attachments = [
      { is_share: true, author_name: "Ann <A>", text: "We meet\nat &lt;noon&gt;", files: [file] },
      { is_msg_unfurl: true, fallback: "no text but this", text: "" },
      { from_url: "https://example.com", text: "a preview that nobody wrote" },
      { blocks: [table] },
    ];
    await server.say("U1", `${mention(server)} see`, { event: { attachments } });
    await server.until(() => bot.messages.length === 1);
    expect(bot.messages[0]?.text.split("\n")).toEqual([
      "see",
      "",
      "> Forwarded from Ann <A>:",
      "> We meet",
      "> at <noon>",
      "",
      "> Forwarded:",
      "> no text but this",
      "",
      "| Who | a\\|b |",
      "| --- | --- |",
      "| @bob | 2 < 3 |",
    ]);
    expect(bot.messages[0]?.files).toMatchObject([{ name: "plan.txt" }]);
    await settled(bot);
  });

  it("of nothing but its name as a wave, and of nothing at all not", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U1", `${mention(server)}  `);
    await server.say("U1", " ", { channel: server.direct });
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["👋"]);
  });

  it.each([
    [": !new", "!new"],
    ["*!new*", "!new"],
    [", _!use helper_", "!use helper"],
    ["*important*", "*important*"],
  ])("as the command that stands behind the name: %s", async (said, text) => {
    const server = await startServer();
    const bot = await startBot(server, { slack: { command: false } });
    await server.say("U1", `${mention(server)}${said}`);
    await settled(bot);
    expect(bot.messages.map((message) => message.text)).toEqual([text]);
  });

  it("of people in another app's name not: a bot that answers bots may never end", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const event = { bot_id: "B7", app_id: "A7" };
    await server.say("U1", `${mention(server)} by my token`, { event });
    await settled(bot);
    expect(bot.messages).toEqual([]);
  });
});
