import { describe, expect, it } from "vitest";
import { listen } from "../../fakes/loopback.ts";
import { started } from "../bot.ts";
import { edits, ended, mention, settled, shows, startBot, startServer } from "./bot.ts";

const png = new Uint8Array([137, 80, 78, 71]);

/** Where an agent's service keeps what it made. */
function startFiles(asked: string[] = []) {
  return started(
    listen((request) => {
      const { pathname, searchParams } = new URL(request.url);
      asked.push(pathname);
      const image = { headers: { "content-type": "image/png" } };
      const type = searchParams.get("type");
      if (type !== null) return new Response(png, { headers: { "content-type": type } });
      if (pathname === "/large.bin") return new Response(new Uint8Array(10_485_761));
      if (pathname === "/half.bin") return new Response(new Uint8Array(6_000_000));
      if (pathname === "/gone.png") return new Response("no", { status: 404 });
      const [, hops] = /^\/hop\/(\d+)$/.exec(pathname) ?? [];
      if (hops !== undefined)
        return Response.redirect(
          new URL(hops === "1" ? "/t/cat" : `/hop/${Number(hops) - 1}`, request.url),
          302,
        );
      if (pathname === "/away") return Response.redirect("http://127.0.0.1:9/secret", 307);
      return pathname.includes("cat") ? new Response(png, image) : new Response(`file ${pathname}`);
    }),
  );
}

async function answered(text: (url: string) => string, asked: string[] = [], attachFrom?: string[]) {
  const server = await startServer();
  const { url } = await startFiles(asked);
  const base = url.replace(/\/$/, "");
  const bot = await startBot(server, {
    answer: ended({ type: "message", text: text(base) }),
    discord: { attachFrom: attachFrom ?? [new URL(base).host] },
  });
  server.say(server.person("ann"), `${mention(server)} draw`);
  const post = await server.until(() => server.shown()[0]);
  await settled(bot);
  const files = post.attachments.map(({ filename, bytes }) => [
    filename,
    Buffer.from(bytes).toString("latin1"),
  ]);
  return { server, post, files, base };
}

const cat = Buffer.from(png).toString("latin1");

describe("discord attaches to an answer", () => {
  it("its images in place of their markup, and its files, once each", async () => {
    const asked: string[] = [];
    const { post, files, base } = await answered(
      (url) =>
        `A cat:\n\n![a cat](${url}/cat.png "a title")\n![the same](${url}/cat.png)\n\nAnd [words](${url}/a%20b.csv), ${url}/list.txt.`,
      asked,
    );
    expect(files).toEqual([
      ["cat.png", cat],
      ["a_b.csv", "file /a%20b.csv"],
      ["list.txt", "file /list.txt"],
    ]);
    expect(post.content).toBe(
      `A cat:\n\n\n![the same](${base}/cat.png)\n\nAnd [words](${base}/a%20b.csv), ${base}/list.txt.`,
    );
    expect(asked).toEqual(["/cat.png", "/a%20b.csv", "/list.txt"]);
  });

  it("an image alone, found behind short links, with an ending that Discord knows", async () => {
    const { post, files } = await answered((url) => `![](${url}/hop/3)`);
    expect(files).toEqual([["3.png", cat]]);
    expect(post.content).toBe("");
  });

  it.each([
    ["/?type=image/png", "file.png"],
    ["/a/b/?type=image/gif", "b.gif"],
    ["/release-1.0?type=image/webp", "release-1.0.webp"],
    ["/photo.original?type=image/jpeg", "photo.original.jpeg"],
    ["/cat.jpg?type=image/png", "cat.jpg"],
    ["/drawing?type=image/svg%2Bxml", "drawing"],
    ["/drawing?type=x-image/png", "drawing"],
    ["/drawing?type=image/pngx", "drawing"],
    ["/%E7%8c%AB-a@b.png?type=image/png", "___-a_b.png"],
    [`/${"x".repeat(90)}.png?type=image/png`, `${"x".repeat(76)}.png`],
  ])("a file by a name that Discord can show: %s", async (path, name) => {
    const { files } = await answered((url) => url + path);
    expect(files).toEqual([[name, cat]]);
  });

  it.each(["/gone.png", "/large.bin", "/away", "/hop/4"])(
    "no more than its link where the file cannot be had: %s",
    async (path) => {
      const { post, files, base } = await answered((url) => `![it](${url}${path}) and ${url}/note.txt`);
      expect(files).toEqual([["note.txt", "file /note.txt"]]);
      expect(post.content).toBe(`![it](${base}${path}) and ${base}/note.txt`);
    },
  );

  it("what the agent's service gives as a file of the answer", async () => {
    const server = await startServer();
    const { url } = await startFiles();
    const bot = await startBot(server, {
      answer: ended(
        { type: "message", text: "Here." },
        { type: "file", kind: "image", url: `${url}cat.png`, name: "a cat" },
      ),
      discord: { attachFrom: [new URL(url).host] },
    });
    server.say(server.person("ann"), `${mention(server)} draw`);
    const post = await shows(server, `Here.\n\na cat: ${url}cat.png`);
    await settled(bot);
    expect(post.attachments.map(({ filename }) => filename)).toEqual(["cat.png"]);
  });

  it("as much as one message takes", async () => {
    const many = Array.from({ length: 12 }, (_, at) => `/${at}.txt`);
    const all = await answered((url) => many.map((path) => url + path).join("\n"));
    expect(all.files.map(([name]) => name)).toEqual(many.slice(0, 9).map((path) => path.slice(1)));
    const large = await answered((url) => `${url}/half.bin?1 ${url}/half.bin?2 ${url}/note.txt`);
    expect(large.files.map(([name]) => name)).toEqual(["half.bin", "note.txt"]);
  });

  it("nothing from hosts that it is not told of", async () => {
    const asked: string[] = [];
    for (const attachFrom of [[], ["127.0.0.1"], ["files.example.com"]]) {
      const { files, post, base } = await answered((url) => `![it](${url}/cat.png)`, asked, attachFrom);
      expect(files).toEqual([]);
      expect(post.content).toBe(`![it](${base}/cat.png)`);
    }
    expect(asked).toEqual([]);
  });

  it("files beside the one that holds the whole of a long answer", async () => {
    const words = "word ".repeat(3_000);
    const server = await startServer();
    const { url } = await startFiles();
    const text = `${words}${url}cat.png`;
    await startBot(server, {
      answer: ended({ type: "message", text }),
      discord: { attachFrom: [new URL(url).host] },
    });
    server.say(server.person("ann"), `${mention(server)} at length`);
    const last = await server.until(() => server.shown().find(({ attachments }) => attachments.length > 0));
    expect(last.attachments.map(({ filename }) => filename)).toEqual(["answer.md", "cat.png"]);
    expect(Buffer.from(last.attachments[0]?.bytes ?? []).toString()).toBe(text);
  });

  it.each([
    [403, 50_013],
    [413, 40_005],
  ])("nothing where Discord refuses it with %i: the answer is there all the same", async (status, code) => {
    const server = await startServer();
    const { url } = await startFiles();
    const bot = await startBot(server, {
      answer: ended({ type: "message", text: `![it](${url}cat.png)` }),
      discord: { attachFrom: [new URL(url).host] },
    });
    server.fail({ method: "PATCH", path: edits, status, code });
    server.say(server.person("ann"), `${mention(server)} draw`);
    await server.next("PATCH", edits);
    const post = await shows(server, `![it](${url}cat.png)`);
    await settled(bot);
    expect(post.attachments).toEqual([]);
    expect(bot.log).toEqual([]);
  });
});
