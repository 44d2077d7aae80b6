import type { Activity } from "botbuilder";
import type { BotkitMessage } from "botkit";
import { describe, expect, it } from "vitest";
import { withoutMentions } from "../../../adapters/botkit/mentions.ts";
import { isBareMention, isSaid } from "../../../adapters/botkit/said.ts";
import { eventId, getSession, hasSession } from "../../../adapters/botkit/session.ts";
import { speakerOf } from "../../../adapters/botkit/speaker.ts";

describe("Botkit tells by an activity", () => {
  const from = { id: "ada", name: "Ada" };

  it.each<[string, object, object | undefined]>([
    [
      "on Teams, in private",
      { channelId: "msteams", conversation: { id: "c", tenantId: "acme", conversationType: "personal" } },
      { tenant: '["msteams","acme"]', user: "ada", channel: "c", direct: true },
    ],
    [
      "on Teams, in a channel",
      {
        channelId: "msteams",
        conversation: { id: "c", tenantId: "acme", conversationType: "channel" },
        locale: "de",
      },
      { tenant: '["msteams","acme"]', user: "ada", channel: "c", locale: "de" },
    ],
    [
      "on Slack, in a thread",
      { channelId: "slack", conversation: { id: "C1", team: "T1", tenantId: "no", thread_ts: "1.2" } },
      { tenant: '["slack","T1"]', user: "ada", channel: "C1", thread: "1.2" },
    ],
    [
      "on Slack, in private",
      { channelId: "slack", conversation: { id: "D1", team: "T1" } },
      { tenant: '["slack","T1"]', user: "ada", channel: "D1", direct: true },
    ],
    [
      "elsewhere, in a place whose name looks like Slack's",
      { channelId: "sms", conversation: { id: "D1" }, locale: "" },
      { tenant: '["sms",""]', user: "ada", channel: "D1" },
    ],
    ["who it is that names no place", { channelId: "sms" }, { tenant: '["sms",""]', user: "ada" }],
    ["that nobody is named", { channelId: "sms", from: undefined }, undefined],
    ["that nobody is named in an open place", { channelId: "webchat", conversation: {} }, undefined],
  ])("who spoke: %s", (_, activity, speaker) => {
    const message = { incoming_message: { from, ...activity } } as unknown as BotkitMessage;
    expect(speakerOf(message, undefined, [])).toEqual(speaker && { platform: "botkit", ...speaker });
  });

  it.each(["webhook", "websocket"])("who was proved, on the Web adapter's %s", (channelId) => {
    const conversation = { id: "ada", tenantId: "acme", conversationType: "personal" };
    const message = { incoming_message: { channelId, from, conversation } } as unknown as BotkitMessage;
    const speaker = { platform: "botkit", tenant: "web", user: "ada" };
    expect(speakerOf(message, "ada", [])).toEqual(speaker);
    for (const verified of [undefined, "", "bob"])
      expect(() => speakerOf(message, verified, [])).toThrow(
        expect.objectContaining({ code: "input-invalid", field: "user" }),
      );
    const nobody = { incoming_message: { channelId } } as unknown as BotkitMessage;
    for (const verified of [undefined, "ada"])
      expect(() => speakerOf(nobody, verified, [])).toThrow(expect.objectContaining({ field: "user" }));
  });

  it.each([{ id: "C1" }, { id: "C1", team: "", tenantId: "acme" }, undefined])(
    "nothing of a Slack message without a workspace: %j",
    (conversation) => {
      const activity = { channelId: "slack", from, conversation };
      const message = { incoming_message: activity } as unknown as BotkitMessage;
      expect(() => speakerOf(message, undefined, [])).toThrow(
        expect.objectContaining({
          ...{
            code: "input-invalid",
            field: "tenant",
            message: expect.stringContaining("names no workspace"),
          },
        }),
      );
    },
  );

  it.each(["directline", "webchat", "emulator"])(
    "who spoke on %s, by whether that is trusted",
    (channelId) => {
      const activity = { channelId, from, conversation: { id: "c" } };
      const message = { incoming_message: activity } as unknown as BotkitMessage;
      const others = ["directline", "webchat", "emulator"].filter((name) => name !== channelId);
      expect(speakerOf(message, undefined, others)?.user).toBe("c");
      expect(speakerOf(message, undefined, [channelId])?.user).toBe("ada");
    },
  );

  it.each<[string, object, boolean]>([
    ["words", {}, true],
    ["a message as Botkit's adapters call it", { type: "message_received" }, true],
    ["words in private", { type: "direct_message" }, true],
    ["words behind a mention", { type: "direct_mention" }, true],
    ["words around a mention", { type: "mention" }, true],
    ["a button", { type: "facebook_postback" }, true],
    ["a picture", { type: "picture_message" }, true],
    ["a file alone", { text: undefined, incoming: { attachments: [{ contentUrl: "https://a" }] } }, true],
    ["from a person", { incoming: { from: { id: "ada", role: "user" } } }, true],
    ["beside what the adapter adds", { incoming: { channelData: { message: { mid: "m" } } } }, true],
    ["on Slack, in private", { type: "direct_message", incoming: { channelId: "slack" } }, true],
    ["on Slack, behind a mention", { type: "direct_mention", incoming: { channelId: "slack" } }, true],
    ["on Slack, around a mention", { type: "mention", incoming: { channelId: "slack" } }, true],
    ["not on Slack, among people", { incoming: { channelId: "slack" } }, false],
    [
      "not on Slack, a button of Facebook's",
      { type: "facebook_postback", incoming: { channelId: "slack" } },
      false,
    ],
    ["not an event that calls itself a message", { incoming: { type: "event" } }, false],
    ["not the bot's own", { incoming: { from: { id: "bot", role: "bot" } } }, false],
    ["not to another app", { incoming: { channelData: { standby: true } } }, false],
    ["not an echo", { incoming: { channelData: { is_echo: true } } }, false],
    ["not an echo within", { incoming: { channelData: { message: { is_echo: true } } } }, false],
    ["not a receipt", { type: "message_read" }, false],
    ["not its own echo", { type: "message_echo" }, false],
    ["not nothing", { text: undefined }, false],
    ["not blanks", { text: " \n" }, false],
    ["not a card alone", { text: "", incoming: { attachments: [{ content: {} }] } }, false],
  ])("what was said to the bot: %s", (_, { incoming = {}, ...more }: { incoming?: object }, is) => {
    const activity = { type: "message", channelId: "webex", from, ...incoming };
    const message = { type: "message", text: "hello", ...more, incoming_message: activity };
    expect(isSaid(message as unknown as BotkitMessage)).toBe(is);
  });

  it.each<[string, object, boolean]>([
    ["called", {}, true],
    ["not with words", { text: "hello" }, false],
    ["not with a file", { incoming: { attachments: [{ contentUrl: "https://a" }] } }, false],
    ["not by an event", { incoming: { type: "messageUpdate" } }, false],
    ["not where another is named", { incoming: { recipient: { id: "other" } } }, false],
    ["not where nobody is named", { incoming: { entities: [] } }, false],
  ])(
    "whether the bot was called and nothing said: %s",
    (_, { incoming = {}, ...more }: { incoming?: object }, is) => {
      const activity = { type: "message", text: called.text, entities: [called], recipient: { id: "bot" } };
      const message = { type: "message", text: "", ...more, incoming_message: { ...activity, ...incoming } };
      expect(isBareMention(message as unknown as BotkitMessage)).toBe(is);
    },
  );

  it.each<[string, object, string]>([
    ["the activity's", { incoming_message: { id: "a" }, id: "b", mid: "c", MessageSid: "d" }, "a"],
    ["the client's", { incoming_message: { id: "" }, id: "b", mid: "c" }, "b"],
    ["Facebook's", { incoming_message: {}, id: 1, mid: "c", MessageSid: "d" }, "c"],
    ["Twilio's", { incoming_message: {}, mid: "", MessageSid: "d" }, "d"],
  ])("the event's name: %s", (_, message, id) => {
    expect(eventId(message as unknown as BotkitMessage)).toBe(id);
  });

  it("no name of an event twice where there is none, and no session of one that names nobody", () => {
    const message = { incoming_message: { id: 1 }, id: null, mid: "" } as unknown as BotkitMessage;
    expect(eventId(message)).toMatch(/^\S{36}$/);
    expect(eventId(message)).not.toBe(eventId(message));
    expect(hasSession(message)).toBe(false);
    expect(() => getSession(message)).toThrow(
      expect.objectContaining({ code: "input-invalid", field: "message" }),
    );
  });

  const called = { type: "mention", text: "<at>Helper</at>", mentioned: { id: "bot", name: "Helper" } };

  it.each<[string, object, string | undefined]>([
    ["<at>Helper</at> hello", { entities: [{ type: "clientInfo", locale: "en" }, called] }, "hello"],
    ["hello", { entities: [{ type: "clientInfo", text: "hello" }] }, undefined],
    ["hello", {}, undefined],
    ["a $& b", { entities: [{ ...called, text: "$&", mentioned: { id: "x", name: "$1" } }] }, "a $1 b"],
    ["ask <at>Bob <b></at>", { entities: [{ type: "mention", text: "<at>Bob <b></at>" }] }, "ask Bob"],
    ["hello", { entities: [{ type: "mention", mentioned: { id: "bot" } }] }, "hello"],
    ["<at>It</at>", { recipient: undefined, entities: [{ ...called, text: "<at>It</at>" }] }, "Helper"],
    ["a&nbsp;b&nbsp;c", { entities: [called] }, "a b c"],
  ])("what is said: %j", (text, more, words) => {
    const activity = { text, recipient: { id: "bot", name: "Helper" }, ...more } as Activity;
    expect(withoutMentions(activity)).toBe(words);
  });
});
