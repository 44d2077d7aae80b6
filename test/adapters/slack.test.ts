import type { AddressInfo } from "node:net";
import { App, type AppOptions, LogLevel, webApi } from "@slack/bolt";
import {
  AparteError,
  type Logger,
  type MapperOptions,
  type Message,
  SessionMapper,
  type Store,
} from "aparte";
import { type SlackAdapter, type SlackOptions, slack } from "aparte/slack";
import { afterEach, describe, expect, it, vi } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { SlackServer } from "../fakes/slack-server.ts";
import { deliveryOf } from "../support/delivery.ts";
import { type Answer, backend, elephant, Speech } from "./agent.ts";

const secret = "a secret of the tests, long enough";

const endings: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function startServer(): Promise<SlackServer> {
  const server = await SlackServer.start();
  endings.push(() => server.close());
  return server;
}

interface Bot {
  readonly app: App;
  readonly mapper: SessionMapper;
  readonly adapter: SlackAdapter;
  /** The messages whose turns ran. */
  readonly messages: Message[];
  readonly log: string[];
}

interface BotOptions {
  readonly answer?: Answer;
  readonly slack?: SlackOptions;
  readonly mapper?: Partial<MapperOptions>;
  readonly app?: AppOptions;
  readonly store?: Store;
  readonly isSocket?: boolean;
}

async function startBot(server: SlackServer, options: BotOptions = {}): Promise<Bot> {
  const log: string[] = [];
  const note = (message: string, fields?: unknown) => log.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: () => {}, warn: note, error: note };
  const mapper = new SessionMapper({
    agents: { helper: backend(options.answer ?? elephant) },
    ...{ secret, logger, store: options.store ?? memoryStore() },
    ...options.mapper,
  });
  const messages: Message[] = [];
  mapper.use(async (turn, next) => {
    messages.push(turn.message);
    await next();
  });
  const app = new App({
    token: server.token,
    ...(options.isSocket === true
      ? { appToken: server.appToken, socketMode: true }
      : { signingSecret: server.signingSecret, processBeforeResponse: true }),
    clientOptions: { slackApiUrl: server.apiUrl, retryConfig: { retries: 0 } },
    logLevel: LogLevel.ERROR,
    ...options.app,
  });
  // Short, so that the tests are.
  const adapter = slack(mapper, { editInterval: 20, fileHosts: [server.host], ...options.slack });
  adapter.attach(app);
  endings.push(async () => {
    await mapper.close();
    await app.stop();
  });
  // Bolt looks at its token in the background, and would be cut off there by a short test's end.
  if (options.app?.authorize === undefined) await server.next("auth.test");
  const listener = await app.start({ port: 0, host: "127.0.0.1" });
  if (options.isSocket !== true) {
    const { port } = (listener as { address(): unknown }).address() as AddressInfo;
    server.eventsUrl = `http://127.0.0.1:${port}/slack/events`;
  }
  return { app, mapper, adapter, messages, log };
}

const mention = (server: SlackServer) => `<@${server.botUserId}>`;

/** Resolves when the bot shows this text, as one of its messages. */
const shows = (server: SlackServer, text: string | RegExp, channel?: string) =>
  server.until(() =>
    server.shown(channel).find(({ shown }) => (typeof text === "string" ? shown === text : text.test(shown))),
  );

/** Resolves when all turns that were taken have ended. */
const settled = ({ mapper }: Bot) => mapper.close();

const count = (server: SlackServer, method: string) =>
  server.calls.filter((call) => call.method === method).length;

describe.each([
  { mode: "over HTTP", isSocket: false },
  { mode: "in Socket Mode", isSocket: true },
])("slack $mode", ({ isSocket }) => {
  it("answers mentions in a thread under them, without the mention, once", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    const ts = await server.say("U1", `${mention(server)} I am &lt;Ann&gt;`);
    const answer = await shows(server, 'You say "I am <Ann>" after nothing.');
    expect(answer.thread).toBe(ts);
    await settled(bot);
    const { teamId, channel } = server;
    const replyTo = { workspace: teamId, channel, ts, user: "U1", userTeam: teamId, thread: ts };
    expect(bot.messages).toEqual([
      {
        ...{ platform: "slack", tenant: teamId, user: "U1", channel, thread: ts },
        ...{ id: `${channel}:${ts}`, text: "I am <Ann>", files: [], replyTo },
      },
    ]);
    expect(server.shown()).toHaveLength(1);
  });

  it("answers direct messages where they are", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    await server.say("U1", "hello", { channel: server.direct });
    const answer = await shows(server, 'You say "hello" after nothing.');
    expect(answer).toMatchObject({ channel: server.direct, thread: undefined, wasStream: false });
    await server.say("U1", "again", { channel: server.direct, thread: "1789.1" });
    const second = await shows(server, 'You say "again" after hello.');
    expect(second).toMatchObject({ thread: "1789.1", wasStream: true });
    await settled(bot);
  });

  it("takes a message once, also when Slack sends it again, and one that only a retry brings", async () => {
    const server = await startServer();
    const bot = await startBot(server, { isSocket });
    const ts = await server.say("U1", `${mention(server)} once`);
    await server.say("U1", `${mention(server)} once`, { ts, retry: 1 });
    await shows(server, 'You say "once" after nothing.');
    await server.say("U1", `${mention(server)} once`, { ts, retry: 2 });
    await server.say("U1", `${mention(server)} late`, { retry: 1 });
    await shows(server, 'You say "late" after once.');
    await settled(bot);
    expect(bot.messages.map(({ text }) => text)).toEqual(["once", "late"]);
    expect(server.shown()).toHaveLength(2);
  });
});

describe("slack", () => {
  describe("takes messages", () => {
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

  describe("shows replies", () => {
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
      const texts = server.calls
        .filter(({ method }) => method === "chat.update")
        .map(({ body }) => body.text);
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

  describe("when something fails", () => {
    it("tells the person briefly, with the reference that the log has", async () => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, { answer: speech.answer });
      await server.say("U1", `${mention(server)} my words`);
      const failure = new AparteError("backend-unavailable", "The service is down. Try later.");
      speech.say("I was about");
      speech.end(failure);
      await shows(server, `I was about\n\n${failure.say}`);
      await settled(bot);
      expect(bot.log.join("\n")).toContain(failure.reference);
      expect(bot.log.join("\n")).not.toContain("my words");
    });

    it.each(["dropped", "unavailable"] as const)("finds a post whose answer was %s", async (lost) => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.postMessage", lost });
      await server.say("U1", "hi", { channel: server.direct });
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
      expect(server.shown()).toHaveLength(1);
    });

    it("posts once also where the app's client would repeat its calls", async () => {
      const server = await startServer();
      const bot = await startBot(server, { app: { clientOptions: { slackApiUrl: server.apiUrl } } });
      server.fail({ method: "chat.postMessage", lost: "unavailable" });
      await server.say("U1", "hi", { channel: server.direct });
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
      expect(server.shown()).toHaveLength(1);
    });

    it("shows the latest text after a rate limit", async () => {
      const server = await startServer();
      const speech = new Speech();
      await startBot(server, { answer: speech.answer });
      await server.say("U1", "hi", { channel: server.direct });
      speech.say("one ");
      await server.next("chat.postMessage");
      server.fail({ method: "chat.update", retryAfter: 1 });
      speech.say("two ");
      expect((await server.next("chat.update")).result).toBe("ratelimited");
      speech.say("three ");
      expect((await server.next("chat.update")).body.text).toBe("one two three ");
      speech.end();
    });

    it("posts the whole answer when it is not known whether its stream began", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.startStream", lost: "dropped" });
      await server.say("U1", `${mention(server)} hi`);
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
      expect(count(server, "chat.startStream")).toBe(1);
      expect(count(server, "chat.postMessage")).toBe(1);
    });

    it("never takes another person's stream for a lost one of its own", async () => {
      const server = await startServer();
      const ann = new Speech();
      const bob = new Speech();
      const bot = await startBot(server, {
        answer: (turn, memory) => (turn.text === "I am Ann" ? ann : bob).answer(turn, memory),
      });
      const inThread = { thread: "1789.5" };
      await server.say("U2", `${mention(server)} I am Bob`, inThread);
      bob.say("Hello ");
      await server.next("chat.startStream");
      server.fail({ method: "chat.startStream", refused: true });
      await server.say("U1", `${mention(server)} I am Ann`, inThread);
      ann.say("Hello ");
      await server.next("chat.postMessage");
      bob.say("Bob");
      ann.say("Ann");
      for (const speech of [bob, ann]) speech.end();
      await settled(bot);
      expect(server.shown().map(({ shown }) => shown)).toEqual(["Hello Bob", "Hello Ann"]);
    });

    it("tells the person once that the store is away, and answers when it is back", async () => {
      const server = await startServer();
      const store = memoryStore();
      let isAway = true;
      const bot = await startBot(server, {
        store: {
          ...store,
          commit: async (commit) => {
            if (isAway) throw new AparteError("store-failed", "The store is away.");
            return store.commit(commit);
          },
        },
        mapper: { storeTimeout: 100 },
      });
      await server.say("U1", `${mention(server)} hi`);
      await server.next("assistant.threads.setStatus", ({ body }) => (body.status ?? "") === "");
      expect(server.shown().map(({ shown }) => shown)).toEqual([
        expect.stringMatching(/^I cannot reach my memory right now\. .* \(ref [A-Z0-9]{8}\)$/),
      ]);
      isAway = false;
      await server.say("U1", `${mention(server)} again`);
      await shows(server, 'You say "again" after nothing.');
      await settled(bot);
    });

    it("shows the whole answer however often Slack says that there were too many calls", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.postMessage", retryAfter: 0, times: 11 });
      await server.say("U1", "hi", { channel: server.direct });
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
    });

    it("waits for no room to begin a stream", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.startStream", retryAfter: 60 });
      await server.say("U1", `${mention(server)} hi`);
      await shows(server, 'You say "hi" after nothing.');
      await server.say("U1", `${mention(server)} more`);
      expect(await shows(server, 'You say "more" after hi.')).toMatchObject({ wasStream: true });
      await settled(bot);
    });

    it("keeps no complete answer waiting for the drafts of others", async () => {
      const server = await startServer();
      const people = Array.from({ length: 20 }, (_, person) => `D${person}`);
      let isOver = () => {};
      const over = new Promise<void>((resolve) => {
        isOver = resolve;
      });
      const bot = await startBot(server, {
        slack: { editInterval: 500 },
        answer: async function* ({ text }) {
          yield { type: "text", delta: "One " };
          await over;
          yield { type: "message", text: `One answer to ${text}` };
        },
      });
      await Promise.all(people.map((channel) => server.say(`U${channel}`, channel, { channel })));
      await server.next("chat.postMessage");
      isOver();
      for (const channel of people) await shows(server, `One answer to ${channel}`, channel);
      await settled(bot);
      // A draft that was not begun needs no edit in the end.
      expect(count(server, "chat.update")).toBeLessThan(people.length / 2);
    });

    it("keeps no turn waiting for the status line, and tells there only the latest", async () => {
      const server = await startServer();
      const speech = new Speech();
      server.fail({ method: "assistant.threads.setStatus", until: new Promise(() => {}) });
      const bot = await startBot(server, {
        answer: (turn, memory) => (turn.text === "hi" ? speech.answer : elephant)(turn, memory),
      });
      await server.say("U1", "hi", { channel: server.direct });
      for (const text of ["Looking", "Reading", "Counting"]) speech.event({ type: "status", text });
      await server.next("assistant.threads.setStatus", ({ body }) => body.status === "Counting");
      speech.say("Three.");
      speech.end();
      await server.say("U1", "more", { channel: server.direct });
      await shows(server, 'You say "more" after hi.');
      await settled(bot);
      const told = server.calls.filter(({ method }) => method === "assistant.threads.setStatus");
      const texts = told.map(({ body }) => body.status);
      expect(texts.slice(0, 2)).toEqual(["is thinking…", "Counting"]);
      for (const overtaken of ["Looking", "Reading"]) expect(texts).not.toContain(overtaken);
    });

    it("posts again what did not arrive", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.postMessage", refused: true });
      await server.say("U1", "hi", { channel: server.direct });
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
      expect(server.shown()).toHaveLength(1);
    });

    it("shows a stream right whose append may have been lost", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.appendStream", lost: "dropped" });
      await server.say("U1", `${mention(server)} hi`);
      await shows(server, 'You say "hi" after nothing.');
      await settled(bot);
      expect(server.shown()).toMatchObject([{ shown: 'You say "hi" after nothing.', isStreaming: false }]);
    });

    it("answers also without a status line", async () => {
      const server = await startServer();
      await startBot(server);
      server.fail({ method: "assistant.threads.setStatus", error: "missing_scope", times: 9 });
      await server.say("U1", `${mention(server)} hi`);
      await shows(server, 'You say "hi" after nothing.');
    });

    it("logs what Slack does not take, and goes on with the next message", async () => {
      const server = await startServer();
      const bot = await startBot(server);
      server.fail({ method: "chat.postMessage", error: "channel_not_found" });
      await server.say("U1", "one", { channel: server.direct });
      expect((await server.next("chat.postMessage")).result).toBe("channel_not_found");
      await server.say("U1", "two", { channel: server.direct });
      const isTold = ({ shown }: { shown: string }) =>
        shown.startsWith("My last answer could not be delivered.") &&
        shown.endsWith('You say "two" after one.');
      await server.until(() => server.shown().some(isTold));
      await settled(bot);
      expect(bot.log.filter((line) => line.startsWith("an answer could not be delivered"))).toHaveLength(1);
    });
  });

  describe("delivers for a process that died", () => {
    const question: Message = {
      ...{ platform: "slack", tenant: "T1", user: "U1", id: "x", text: "hi" },
      replyTo: {
        ...{ workspace: "T1", channel: "C1", ts: "1789.1", thread: "1789.1", user: "U1", userTeam: "T1" },
      },
    };

    async function delivery(earlier: (server: SlackServer) => unknown, isHeld = true) {
      const server = await startServer();
      const bot = await startBot(server);
      const { delivery, log } = deliveryOf({ posts: earlier(server), isLost: !isHeld });
      log.push({ type: "message", text: "The answer." });
      log.end();
      const delivered = bot.adapter.deliver(question, delivery);
      if (isHeld) await delivered;
      else await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
      return server;
    }

    it("with what the message kept alone", async () => {
      const server = await delivery(() => undefined);
      expect(server.shown()).toMatchObject([{ shown: "The answer.", thread: "1789.1", isStreaming: false }]);
    });

    it("in the message that was begun, also when that was a stream", async () => {
      const server = await delivery((slackServer) => {
        const message = { channel: "C1", thread: "1789.1", shown: "The", text: "", metadata: undefined };
        slackServer.messages.set("1", { ...message, ts: "1", isStreaming: true, wasStream: true });
        return { posts: [{ ts: "1", streams: true }] };
      });
      expect(server.shown()).toMatchObject([{ ts: "1", shown: "The answer.", isStreaming: false }]);
    });

    it("in the posts that it made and could not keep before it died", async () => {
      const server = await startServer();
      const { adapter } = await startBot(server);
      const replyTo = { workspace: "T1", channel: "D1", ts: "1789.1", user: "U1", userTeam: "T1" };
      const long = "All of it. ".repeat(600).trim();
      for (const [isResumed, text] of [
        [false, long],
        [true, long],
        [true, `${long} And more.`],
      ] as const) {
        const { delivery, log } = deliveryOf({ isRepeated: isResumed });
        log.push({ type: "message", text });
        log.end();
        await adapter.deliver({ ...question, replyTo }, delivery);
        expect(server.shown()).toHaveLength(2);
      }
      expect(server.shown().at(-1)?.shown).toMatch(/And more\.$/);
    });

    it("and leaves alone what a third one said that could not take the message", async () => {
      const server = await startServer();
      const { adapter } = await startBot(server);
      const replyTo = { workspace: "T1", channel: "D1", ts: "1789.1", user: "U1", userTeam: "T1" };
      const refusal = deliveryOf({ isTaken: false });
      refusal.log.fail(new AparteError("store-failed", "The store is away."));
      await adapter.deliver({ ...question, replyTo }, refusal.delivery);
      const answer = deliveryOf({ isRepeated: true });
      answer.log.push({ type: "message", text: "The answer." });
      answer.log.end();
      await adapter.deliver({ ...question, replyTo }, answer.delivery);
      expect(server.shown().map(({ shown }) => shown)).toEqual([
        expect.stringContaining("I cannot reach my memory right now"),
        "The answer.",
      ]);
    });

    it("by edits from when the stream would soon end by itself", async () => {
      const server = await startServer();
      const { adapter } = await startBot(server);
      const { delivery, log: source } = deliveryOf();
      const delivered = adapter.deliver(question, delivery);
      source.push({ type: "text", delta: "one " });
      await server.next("chat.startStream");
      const now = performance.now.bind(performance);
      const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 250_000);
      endings.push(() => clock.mockRestore());
      source.push({ type: "text", delta: "two " });
      await server.next("chat.stopStream");
      await shows(server, "one two ");
      source.push({ type: "text", delta: "three" });
      source.end();
      await delivered;
      expect(server.shown()).toMatchObject([{ shown: "one two three", isStreaming: false }]);
      expect(count(server, "chat.appendStream")).toBe(0);
    });

    it("by the mapper that takes the turn over, in the message that was begun", async () => {
      const server = await startServer();
      const store = memoryStore();
      const speech = new Speech();
      const mapper = { leaseTime: 400 };
      const first = await startBot(server, { store, mapper, answer: speech.answer });
      await server.say("U1", `${mention(server)} tell me`);
      speech.say("Half of");
      await shows(server, "Half of");
      // Its lease is renewed no more; where the reply was posted has been written down.
      await first.mapper.close({ drainTimeout: 300 });
      await startBot(server, { store, mapper });
      await shows(server, /^I was interrupted, and my answer to your last message is lost/);
      expect(server.shown()).toMatchObject([{ isStreaming: false }]);
    });

    it("with the workspace's own client, in an app that has several workspaces", async () => {
      const server = await startServer();
      const authorize = async () => ({ botToken: server.token, botUserId: server.botUserId, botId: "B1" });
      const app = { token: undefined, authorize } as unknown as AppOptions;
      const reply = () => {
        const { delivery, log } = deliveryOf();
        log.push({ type: "message", text: "The answer." });
        log.end();
        return delivery;
      };
      const without = await startBot(server, { app });
      await expect(without.adapter.deliver(question, reply())).rejects.toMatchObject({
        ...{ code: "option-invalid", field: "client" },
      });
      const asked: string[] = [];
      const client = (tenant: string) => {
        asked.push(tenant);
        return new webApi.WebClient(server.token, { slackApiUrl: server.apiUrl });
      };
      const bot = await startBot(server, { app, slack: { client } });
      await bot.adapter.deliver(question, reply());
      expect(asked).toEqual(["T1"]);
      expect(server.shown()).toMatchObject([{ shown: "The answer." }]);
    });

    it("and nothing more from when another process holds the reply", async () => {
      const server = await startServer();
      const { adapter } = await startBot(server);
      const { delivery, log: source, lose } = deliveryOf();
      const delivered = adapter.deliver(question, delivery);
      source.push({ type: "text", delta: "one " });
      await server.next("chat.startStream");
      await server.next("assistant.threads.setStatus");
      lose();
      const { length } = server.calls;
      source.push({ type: "text", delta: "two" });
      source.end();
      await expect(delivered).rejects.toMatchObject({ code: "lease-lost" });
      expect(server.calls.slice(length)).toEqual([]);
      expect(server.shown()).toMatchObject([{ shown: "one " }]);
    });

    it("and nothing where another process holds the reply", async () => {
      const server = await delivery(() => undefined, false);
      expect(server.shown()).toEqual([]);
      expect(server.calls.every(({ method }) => method === "auth.test")).toBe(true);
    });
  });

  describe("refuses", () => {
    const mapper = () =>
      new SessionMapper({ agents: { helper: backend(elephant) }, secret, store: memoryStore() });

    it.each([
      ["stream", { stream: "both" }],
      ["editInterval", { editInterval: 0 }],
      ["maxFileBytes", { maxFileBytes: "1" }],
      ["fileHosts", { fileHosts: ["https://x"] }],
      ["client", { client: "xoxb" }],
      ["streams", { streams: "native" }],
    ])("a wrong option: %s", async (field, options) => {
      const one = mapper();
      endings.push(() => one.close());
      expect(() => slack(one, options as SlackOptions)).toThrow(
        expect.objectContaining({ code: "option-invalid", field }),
      );
    });

    it("a second app, and to deliver what it did not take", async () => {
      const server = await startServer();
      const { adapter, app } = await startBot(server);
      expect(() => adapter.attach(app)).toThrow(expect.objectContaining({ field: "app" }));
      const message = { platform: "slack", tenant: "T1", user: "U1", id: "x", text: "hi" };
      await expect(adapter.deliver(message, deliveryOf().delivery)).rejects.toMatchObject({
        field: "replyTo",
      });
    });
  });
});
