import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AparteError } from "aparte";
import type { Adapter } from "aparte/adapter";
import { agentSays, getSession } from "aparte/botkit";
import { describe, expect, it } from "vitest";
import { endings, newMapper, teamsBot } from "./teams.ts";

const called = { type: "mention", text: "<at>Helper</at>", mentioned: { id: "bot", name: "Helper" } };
const bob = { type: "mention", text: "<at>Bob B</at>", mentioned: { id: "bob", name: "Bob B" } };

describe("Botkit reads", () => {
  it("a mention on Teams without the bot's own name, and with other people's", async () => {
    const { controller, connector, messages, says } = await teamsBot();
    controller.hears(/^!new/, "message", async (bot, message) => void (await bot.reply(message, "Anew.")));
    await says("<at>Helper</at> who is <at>Bob B</at>?&nbsp;", { entities: [called, bob] });
    await connector.until(() => connector.shown.at(-1) === 'You say "who is Bob B?" after nothing.');
    await says("<at>Helper</at> !new", { entities: [called] });
    await connector.until(() => connector.shown.at(-1) === "Anew.");
    await says("<at>Helper</at>", { entities: [called] });
    await connector.until(() => connector.shown.at(-1) === "Yes? Write your question behind my name.");
    expect(messages.map(({ text }) => text)).toEqual(["who is Bob B?"]);
  });

  it("nothing that its adapters mark as not said to the bot", async () => {
    const { connector, messages, says } = await teamsBot();
    const facebook = (channelData: object) => ({ channelId: "facebook", channelData });
    await says("its own words", facebook({ message: { is_echo: true } }));
    await says("its own words", facebook({ message: { is_echo: true }, botkitEventType: "message_echo" }));
    await says("said to another app", facebook({ standby: true }));
    await says("said to another app", facebook({ standby: true, botkitEventType: "standby" }));
    await says("read", facebook({ botkitEventType: "message_read" }));
    await says("its own words", { channelId: "webex", channelData: { botkitEventType: "self_message" } });
    await says(undefined, { type: "typing" });
    await says("from another bot", { from: { id: "b", name: "b", role: "bot" } });
    await says("the button's words", facebook({ postback: {}, botkitEventType: "facebook_postback" }));
    await connector.until(() => connector.shown.at(-1) === 'You say "the button\'s words" after nothing.');
    expect(messages.map(({ text }) => text)).toEqual(["the button's words"]);
  });

  it("attachments, with words and without, from hosts that it trusts, up to a size", async () => {
    const files = createServer((request, response) =>
      response.end(request.url === "/large" ? "12345" : "abc"),
    );
    files.listen(0, "127.0.0.1");
    await once(files, "listening");
    endings.push(() => files.close());
    const host = `127.0.0.1:${(files.address() as AddressInfo).port}`;
    const bot = newMapper(async function* ({ files: given, signal }) {
      for (const { name, load } of given) {
        const bytes = (await load?.(signal)) ?? new Uint8Array();
        yield { type: "message", text: `${name}: ${Buffer.from(bytes).toString()}` };
      }
    });
    const { controller, connector, says } = await teamsBot({ fileHosts: [host], maxFileBytes: 4 }, bot);
    controller.hears("handler", "message", async (worker, message) => {
      await worker.reply(message, `By ${await getSession(message).ask().text()}`);
    });
    const teamsFile = "application/vnd.microsoft.teams.file.download.info";
    const attachments = [
      { contentType: "text/html", content: "<p>markup of the text</p>" },
      { contentType: "text/plain", name: "a.txt", contentUrl: `http://${host}/a` },
      { contentType: teamsFile, name: "b.txt", content: { downloadUrl: `http://${host}/b` } },
      { contentType: "text/plain", name: "c.txt", contentUrl: "data:text/plain;base64,eHl6" },
    ];
    await says(undefined, { attachments });
    await connector.until(() => connector.shown.length === 3);
    expect(connector.shown).toEqual(["a.txt: abc", "b.txt: abc", "c.txt: xyz"]);
    await says("handler", { attachments: attachments.slice(1, 2) });
    await connector.until(() => connector.shown.at(-1) === "By a.txt: abc");
    await says("look", { attachments: [{ contentType: "text/plain", contentUrl: `http://${host}/large` }] });
    await connector.until(
      () => connector.shown.at(-1)?.startsWith("A file of your message is too large") === true,
    );
    await says("look", { attachments: [{ contentType: "text/plain", contentUrl: "http://127.0.0.1:1/a" }] });
    await connector.until(() => connector.shown.at(-1)?.startsWith("I could not read that message") === true);
  });
});

/** As Botkit's adapters of these platforms make their activities. */
const facebook = (mid: string, more: object) => ({
  ...{ id: undefined, channelId: "facebook", from: { id: "ada", name: "ada" }, conversation: { id: "ada" } },
  channelData: { sender: { id: "ada" }, message: { mid, ...more }, mid, ...more },
});
const twilio = { id: undefined, channelId: "twilio-sms", channelData: { MessageSid: "SM1", NumMedia: "0" } };

describe("Botkit on its own adapters", () => {
  it("takes a person's files on Facebook, where nothing else is one", async () => {
    const { connector, messages, says } = await teamsBot();
    const payload = { url: "https://scontent.fbcdn.net/v/t1.15752-9/cat_n.jpg?_nc=a/b" };
    const attachments = [
      { type: "image", payload },
      { type: "location", payload: { coordinates: { lat: 1, long: 2 } } },
      { type: "fallback", payload: { url: "https://news.example/an-article" } },
      { type: "file", payload: null },
    ];
    await says(undefined, facebook("m1", { attachments }));
    await connector.until(() => connector.shown.length === 1);
    expect(messages.map(({ files }) => files)).toEqual([
      [
        {
          ...{ name: "cat_n.jpg", ref: { channelId: "facebook", link: payload.url } },
          load: expect.any(Function),
        },
      ],
    ]);
    // What a client of another channel writes there is no file.
    await says("hello", { channelData: { attachments } });
    await connector.until(() => messages.length === 2);
    expect(messages[1]?.files).toEqual([]);
  });

  it("answers once what Facebook or Twilio bring again", async () => {
    const { connector, messages, says } = await teamsBot();
    for (const again of [facebook("m1", {}), twilio]) {
      await says("hello", again);
      await says("hello", again);
    }
    await says("hello", facebook("m2", {}));
    await connector.until(() => connector.shown.length === 3);
    expect(messages).toHaveLength(3);
  });
});

describe("Botkit offers", () => {
  it("follow-up questions to choose from, where the channel shows them", async () => {
    const suggesting = newMapper(async function* () {
      yield { type: "message", text: "Here." };
      yield { type: "suggestions", items: ["And then?", "Why?"] };
    });
    const { connector, says } = await teamsBot({}, suggesting);
    await says("hello");
    await connector.until(() => connector.offers.size === 1);
    expect(connector.shown).toEqual(["Here.", "You could ask:"]);
    expect([...connector.offers.values()]).toEqual([["And then?", "Why?"]]);
    await says("hello", { channelId: "sms" });
    await connector.until(() => connector.shown.at(-1) === "You could ask:\n- And then?\n- Why?");
  });

  it("its session's operations to handlers, and an agent by name", async () => {
    const { connector, controller, mapper, says } = await teamsBot();
    controller.hears("other", "message", async (bot, message) => {
      await bot.reply(message, await getSession(message).ask("by name", "other").text());
    });
    controller.hears("forget", "message", async (bot, message) => {
      const session = getSession(message);
      const before = await session.export();
      await session.forget();
      await bot.reply(message, `${before !== undefined} ${await session.export()}`);
    });
    await says("hello");
    await connector.until(() => connector.shown.at(-1) === 'You say "hello" after nothing.');
    await says("other");
    await connector.until(() => connector.shown.at(-1) === 'You say "by name" after nothing.');
    await says("forget");
    await connector.until(() => connector.shown.at(-1) === "true undefined");
    const names = [];
    for await (const { sessionName } of mapper.sessions()) names.push(sessionName);
    expect(names).toEqual([]);
  });

  it("what handlers asked the agent for and did not take, in parts that the channel takes", async () => {
    const { connector, controller, says } = await teamsBot({ maxLength: 100 });
    controller.hears(agentSays("no such words"), "message", async () => {});
    const words = Array.from({ length: 30 }, (_, index) => `word${index}`).join(" ");
    await says(words);
    const shown = () => connector.shown.join(" ");
    await connector.until(() => shown().endsWith("after nothing."));
    expect(shown()).toBe(`You say "${words}" after nothing.`);
    for (const part of connector.shown) expect(part.length).toBeLessThanOrEqual(100);
  });

  it("handlers an event of their own that no message brings", async () => {
    const { connector, controller, errors, says } = await teamsBot();
    const told: unknown[] = [];
    controller.on("told", async (_bot, message) => void told.push(message));
    controller.hears("tell", "message", async (bot, message) => {
      await controller.trigger("told", bot);
      await bot.reply(message, "Told.");
    });
    await says("tell");
    await connector.until(() => connector.shown.at(-1) === "Told.");
    expect([told, errors]).toEqual([[undefined], []]);
  });

  it("handlers an event of their own with a message that they took, which the agent does not get", async () => {
    const { connector, controller, mapper, messages, says } = await teamsBot();
    controller.hears("tell", "message", async (bot, message) => {
      await controller.trigger("told", bot, message);
      await bot.reply(message, "Told.");
    });
    await says("tell");
    await mapper.close();
    expect([connector.shown, messages]).toEqual([["Told."], []]);
  });

  it("to say something of the application's own accord, also where handlers ask the agent", async () => {
    const { connector, controller, mapper, says } = await teamsBot({ answer: "none" });
    controller.hears("later", "message", async (bot, message) => {
      const replyTo = { reference: JSON.parse(JSON.stringify(message.reference)) };
      await mapper.send({ ...getSession(message).speaker, replyTo }, "Your report is ready.");
      await bot.reply(message, "Soon.");
    });
    await says("later");
    await mapper.close();
    expect(connector.shown.toSorted()).toEqual(["Soon.", "Your report is ready."]);
  });

  it.each([
    ["the controller's own bot", { bot: "sales" }, { bot: "sales" }],
    ["no bot, which is the controller's", { bot: "sales" }, {}],
  ])("answers to whom the option says who spoke, of %s", async (_, options, named) => {
    const speaker = () => ({ platform: "botkit", user: "ada", ...named });
    const { connector, mapper, messages, says } = await teamsBot({ ...options, speaker });
    await says("hello");
    await mapper.close();
    expect(connector.shown).toEqual(['You say "hello" after nothing.']);
    expect(messages).toMatchObject([{ bot: "sales", user: "ada" }]);
  });

  it.each([
    ["another bot", { bot: "sales" }, { bot: "support" }],
    ["a bot where the controller has no name", {}, { bot: "sales" }],
    ["another platform", {}, { platform: "teams" }],
  ])("no answer that could not be delivered, and says so: to a speaker of %s", async (_, options, named) => {
    const speaker = () => ({ platform: "botkit", user: "ada", ...named });
    const { connector, errors, mapper, says } = await teamsBot({ ...options, speaker });
    await says("hello");
    await mapper.close();
    expect(connector.shown).toEqual([]);
    expect(errors.map(String)).toEqual([expect.stringContaining("names another platform or bot")]);
  });

  it("handlers a session of any platform where they alone ask the agent", async () => {
    const speaker = () => ({ platform: "teams", user: "ada" });
    const { connector, controller, errors, says } = await teamsBot({ answer: "none", speaker });
    controller.hears("hello", "message", async (bot, message) => {
      await bot.reply(message, await getSession(message).ask().text());
    });
    await says("hello");
    expect([connector.shown, errors]).toEqual([['You say "hello" after nothing.'], []]);
  });

  it("the mapper what another process needs: files by what names them, and whether Botkit takes an answer later", async () => {
    const made = newMapper();
    const adapters: Adapter[] = [];
    const connect = made.mapper.connect.bind(made.mapper);
    made.mapper.connect = (adapter) => {
      adapters.push(adapter as Adapter);
      connect(adapter);
    };
    await teamsBot({ maxFileBytes: 3 }, made);
    const [{ failure, loadFile } = {}] = adapters;
    const signal = AbortSignal.timeout(5_000);
    const ref = (words: string) => ({ channelId: "webex", link: `data:,${words}` });
    expect(Buffer.from((await loadFile?.(ref("abc"), signal)) ?? []).toString()).toBe("abc");
    await expect(loadFile?.(ref("abcd"), signal)).rejects.toMatchObject({ code: "file-too-large" });
    const errors = [new Error("away"), new AparteError("answer-lost", "x"), new AparteError("closed", "x")];
    expect(errors.map((error) => failure?.(error).passes)).toEqual([true, false, true]);
  });

  it("what throws to its log alone, where there is nobody or no bot to tell it by", async () => {
    const { connector, controller, errors, says } = await teamsBot();
    const fail = async () => {
      throw new Error("the handler's own words");
    };
    controller.on("conversationUpdate", fail);
    controller.on("broken", fail);
    controller.hears("tell", "message", async (bot, message) => {
      await controller.trigger("broken", undefined, message);
      await bot.reply(message, "Told.");
    });
    await says(undefined, { type: "conversationUpdate", from: { id: "" } });
    expect(errors).toHaveLength(1);
    await says("tell");
    await connector.until(() => connector.shown.length > 0);
    expect(connector.shown).toEqual(["Told."]);
    expect(errors).toHaveLength(2);
    for (const error of errors) expect(String(error)).toContain("own words");
  });

  it("two bots on one mapper, each with its own name", async () => {
    const shared = newMapper();
    const sales = await teamsBot({ bot: "sales" }, shared);
    const support = await teamsBot({ bot: "support" }, shared);
    await sales.says("one");
    await sales.connector.until(() => sales.connector.shown.at(-1) === 'You say "one" after nothing.');
    await support.says("two");
    await support.connector.until(() => support.connector.shown.at(-1) === 'You say "two" after nothing.');
    // Those whose handlers ask have sessions, too.
    await teamsBot({ answer: "none" }, shared);
    for (const named of [{ bot: "sales" }, {}])
      await expect(teamsBot({ answer: "none", ...named }, shared)).rejects.toMatchObject({
        code: "option-invalid",
        field: "bot",
      });
  });
});
