import type { AppOptions } from "@slack/bolt";
import { describe, expect, it } from "vitest";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

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
    ];
    for (const event of ignored) await server.say("U1", `${mention(server)} not this`, { event });
    await server.say("U1", "to nobody in particular");
    await server.say("U1", `${mention(server)}  `);
    await server.say("U1", `${mention(server)} the last one`);
    await shows(server, 'You say "the last one" after nothing.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["the last one"]);
    expect(server.shown()).toHaveLength(1);
  });

  it("of people of other companies, who are told apart from its own, and streams to them there", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    await server.say("U9", `${mention(server)} hello`, {
      event: { user_team: "T9", team: "T9" },
      envelope: { is_ext_shared_channel: true },
    });
    await shows(server, 'You say "hello" after nothing.');
    expect(bot.messages[0]).toMatchObject({ tenant: "T1", user: "T9/U9", external: true });
    const { body } = await server.next("chat.startStream");
    expect(body).toMatchObject({ recipient_user_id: "U9", recipient_team_id: "T9" });
  });

  it("of a group of people, in a thread when it is mentioned, else where they are", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const group = { channel: "G1", event: { channel_type: "mpim" } };
    await server.say("U1", "to all of you", { ...group, as: ["message"] });
    const first = await shows(server, 'You say "to all of you" after nothing.');
    const ts = server.ts();
    // The event app_mention does not tell what kind of channel it is.
    await Promise.all([
      server.say("U1", `${mention(server)} to you`, { ...group, ts, as: ["message"] }),
      server.say("U1", `${mention(server)} to you`, { channel: "G1", ts, as: ["app_mention"] }),
    ]);
    const second = await shows(server, 'You say "to you" after to all of you.');
    await settled(bot);
    expect([first.thread, second.thread]).toEqual([undefined, ts]);
    expect(server.shown()).toHaveLength(2);
  });

  it("as the person reads them: without Slack's brackets and escapes", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    const text = [
      "a &amp;lt; b &amp; <https://example.com/x?a=1&amp;b=2>",
      "<http://example.com|example.com> <https://example.com|this page>",
      "<mailto:a@example.com|a@example.com> <#C2|general> <@U2>",
    ];
    await server.say("U1", text.join("\n"), { channel: server.direct });
    await server.until(() => bot.messages.length === 1);
    expect(bot.messages[0]?.text.split("\n")).toEqual([
      "a &lt; b & https://example.com/x?a=1&b=2",
      "http://example.com this page (https://example.com)",
      "a@example.com #general <@U2>",
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
    const files = [elsewhere, large, unread];
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
});
