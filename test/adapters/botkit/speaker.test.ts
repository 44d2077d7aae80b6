import type { Activity } from "botbuilder";
import type { BotkitMessage } from "botkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fileLinks, loadFile } from "../../../adapters/botkit/files.ts";
import { withoutMentions } from "../../../adapters/botkit/mentions.ts";
import { checkOptions } from "../../../adapters/botkit/options.ts";
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

  it("and refuses one of Slack that names no workspace", () => {
    const message = { incoming_message: { from, channelId: "slack", conversation: { id: "C1" } } };
    expect(() => speakerOf(message as unknown as BotkitMessage, undefined, [])).toThrow(
      expect.objectContaining({ code: "input-invalid", field: "tenant" }),
    );
  });

  it("which files came with it", () => {
    const teamsFile = { contentType: "application/vnd.microsoft.teams.file.download.info" };
    const onTeams = { channelId: "msteams", attachments: [teamsFile, { contentUrl: "https://a.example/b" }] };
    expect(fileLinks({ incoming_message: onTeams } as unknown as BotkitMessage)).toEqual([
      { name: "file-2", link: "https://a.example/b" },
    ]);
    const attachments = ["image", "audio", "video", "file", "template"].map((type) => ({
      type,
      payload: { url: `https://cdn.fbsbx.com/${type}` },
    }));
    const onFacebook = { channelId: "facebook", channelData: { attachments } };
    expect(
      fileLinks({ incoming_message: onFacebook } as unknown as BotkitMessage).map(({ name }) => name),
    ).toEqual(["image", "audio", "video", "file"]);
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

describe("Botkit loads a file", () => {
  afterEach(() => vi.unstubAllGlobals());

  it.each([
    ["msteams", "https://acme.sharepoint.com/a", true],
    ["msteams", "http://acme.sharepoint.com/a", false],
    ["msteams", "https://acme.sharepoint.com.evil.example/a", false],
    ["msteams", "https://evil-sharepoint.com/a", false],
    ["msteams", "https://scontent.fbcdn.net/a", false],
    ["facebook", "https://scontent.xx.fbcdn.net/a", true],
    ["facebook", "https://cdn.fbsbx.com/a", true],
    ["facebook", "https://cdn.fbsbx.com.evil.example/a", false],
    ["facebook", "https://evilfbcdn.net/a", false],
    ["twilio-sms", "https://api.twilio.com/a", true],
    ["twilio-sms", "https://evil-api.twilio.com/a", false],
    ["twilio-sms", "https://api.twilio.com.evil.example/a", false],
    ["webex", "https://acme.sharepoint.com/a", false],
  ])("on %s from where that keeps its own: %s", async (channelId, link, isOwn) => {
    const asked: unknown[] = [];
    vi.stubGlobal("fetch", async (url: unknown) => {
      asked.push(url);
      return new Response("abc");
    });
    const loaded = loadFile({ channelId, link }, checkOptions({}), AbortSignal.timeout(5_000));
    if (isOwn) expect(Buffer.from(await loaded).toString()).toBe("abc");
    else
      await expect(loaded).rejects.toMatchObject({
        code: "input-invalid",
        message: expect.stringContaining("hosts"),
      });
    expect(asked).toEqual(isOwn ? [link] : []);
  });

  it.each([null, "a", {}, { channelId: "msteams" }, { link: "data:,a" }, { channelId: 1, link: "data:,a" }])(
    "only by what names one: %j",
    async (ref) => {
      const loaded = loadFile(ref, checkOptions({}), AbortSignal.timeout(5_000));
      await expect(loaded).rejects.toMatchObject({
        code: "input-invalid",
        field: "files",
        message: expect.stringContaining("is no attachment of Botkit"),
      });
    },
  );
});
