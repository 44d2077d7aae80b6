import type { BotkitMessage } from "botkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fileLinks, filesOf, loadFile } from "../../../adapters/botkit/files.ts";
import { checkOptions } from "../../../adapters/botkit/options.ts";

const messageOf = (activity: object) => ({ incoming_message: activity }) as unknown as BotkitMessage;

describe("Botkit takes for a file", () => {
  const teams = "application/vnd.microsoft.teams.file.download.info";
  const url = "https://host.example/a";

  it.each<[string, object, object | undefined]>([
    ["what has a link", { contentType: "text/csv", name: "a.csv", contentUrl: url }, { type: "text/csv" }],
    ["what has no type", { name: "a.csv", contentUrl: url }, {}],
    ["what has an empty type", { contentType: "", name: "a.csv", contentUrl: url }, {}],
    [
      "what Teams keeps elsewhere",
      {
        contentType: teams,
        name: "a.csv",
        contentUrl: "https://page.example/",
        content: { downloadUrl: url },
      },
      {},
    ],
    ["not what Teams does not tell the place of", { contentType: teams, contentUrl: url }, undefined],
    ["not a card", { contentType: "application/vnd.microsoft.card.hero", content: {} }, undefined],
    [
      "not what another type calls a download",
      { contentType: "a/b", content: { downloadUrl: url } },
      undefined,
    ],
    ["not an empty link", { contentType: "text/csv", contentUrl: "" }, undefined],
    ["not a link that is no text", { contentType: "text/csv", contentUrl: { href: url } }, undefined],
  ])("%s", (_, attachment, file) => {
    const message = messageOf({ channelId: "msteams", attachments: [attachment] });
    expect(fileLinks(message)).toEqual(file === undefined ? [] : [{ name: "a.csv", link: url, ...file }]);
  });

  it("what has no name, by its place in the message", () => {
    const attachments = [{ contentUrl: url }, { name: "", contentUrl: url }];
    expect(fileLinks(messageOf({ attachments })).map(({ name }) => name)).toEqual(["file-1", "file-2"]);
  });

  it.each([
    ["image", "https://scontent.fbcdn.net/v/a.jpg?x=/b#c", "a.jpg"],
    ["audio", "https://cdn.fbsbx.com/v/a.mp4#x?/b", "a.mp4"],
    ["video", "https://video.fbcdn.net/a.mp4", "a.mp4"],
    ["file", "https://cdn.fbsbx.com/", "file-1"],
    ["fallback", "https://news.example/a", undefined],
    ["location", "https://maps.example/a", undefined],
    ["template", "https://shop.example/a", undefined],
  ])("what Facebook calls a file: %s", (type, link, name) => {
    const channelData = { attachments: [{ type, payload: { url: link } }] };
    const files = name === undefined ? [] : [{ name, link }];
    expect(fileLinks(messageOf({ channelId: "facebook", channelData }))).toEqual(files);
    expect(fileLinks(messageOf({ channelId: "sms", channelData }))).toEqual([]);
  });

  it("nothing of Facebook's that has no link, or no attachments", () => {
    const attachments = [{ type: "file" }, { type: "file", payload: null }, { type: "file", payload: {} }];
    for (const channelData of [{ attachments }, {}, undefined])
      expect(fileLinks(messageOf({ channelId: "facebook", channelData }))).toEqual([]);
  });

  it("what another process can load by what names it", async () => {
    const link = "data:text/plain;base64,eHl6";
    const attachments = [
      { contentType: "text/plain", name: "a.txt", contentUrl: link },
      { contentUrl: link },
    ];
    const files = filesOf(messageOf({ channelId: "webex", attachments }), checkOptions({}));
    const ref = { channelId: "webex", link };
    expect(files.map(({ load, ...told }) => told)).toEqual([
      { name: "a.txt", type: "text/plain", ref },
      { name: "file-2", ref },
    ]);
    for (const { load } of files)
      expect(Buffer.from((await load?.(AbortSignal.timeout(5_000))) ?? []).toString()).toBe("xyz");
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

  it("of the message itself up to the size, and stops when it is not wanted any more", async () => {
    const ref = { channelId: "webex", link: "data:,abc" };
    const never = AbortSignal.timeout(5_000);
    const loaded = await loadFile(ref, checkOptions({ maxFileBytes: 3 }), never);
    expect(Buffer.from(loaded).toString()).toBe("abc");
    await expect(loadFile(ref, checkOptions({ maxFileBytes: 2 }), never)).rejects.toMatchObject({
      code: "file-too-large",
    });
    vi.stubGlobal("fetch", async (_: unknown, { signal }: RequestInit) => {
      signal?.throwIfAborted();
      return new Response("abc");
    });
    const fromElsewhere = { channelId: "webex", link: "http://127.0.0.1:8080/a" };
    const settings = checkOptions({ fileHosts: ["127.0.0.1:8080"] });
    expect(Buffer.from(await loadFile(fromElsewhere, settings, never)).toString()).toBe("abc");
    await expect(loadFile(fromElsewhere, settings, AbortSignal.abort())).rejects.toMatchObject({
      code: "input-invalid",
    });
  });
});
