import { fetchAttachment, readAttachment } from "aparte/adapter";
import { afterEach, describe, expect, it } from "vitest";
import { listen } from "../fakes/loopback.ts";

describe("An attachment", () => {
  it("is read whole up to the bound, and not beyond", async () => {
    expect(await readAttachment(new Response("four"), 4)).toEqual(Buffer.from("four"));
    await expect(readAttachment(new Response("fours"), 4)).rejects.toMatchObject({ code: "file-too-large" });
  });

  it.each([300, 404, 500, 503])("is none where the host answers with %i", async (status) => {
    const response = new Response("a page of words", { status });
    await expect(readAttachment(response, 100)).rejects.toMatchObject({
      code: "input-invalid",
      field: "files",
      message: `An attached file could not be loaded (HTTP ${status}). Send it again.`,
    });
    expect(response.bodyUsed).toBe(true);
  });
});

describe("A platform's file", () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  /** A host of files, which says by a path's number how often it leads on. */
  async function host(): Promise<{ url: string; otherHosts: string[]; asked: string[] }> {
    const asked: string[] = [];
    const server = await listen((request) => {
      const { pathname, origin } = new URL(request.url);
      asked.push(`${pathname} ${request.headers.get("authorization")}`);
      if (pathname === "/moved") return new Response(null, { status: 302 });
      const left = Number(pathname.slice(1));
      if (left === 0) return new Response("the file");
      return new Response(null, {
        status: 307,
        headers: { location: left === 9 ? "http://localhost:9/x" : `${origin}/${left - 1}` },
      });
    });
    closers.push(() => server.close());
    return { url: server.url.replace(/\/$/, ""), otherHosts: [new URL(server.url).host], asked };
  }
  const source = { platform: "Chat", isOwnHost: () => false, signal: new AbortController().signal };

  it("is asked for with its headers, and where it leads to as often as that is allowed", async () => {
    const { url, otherHosts, asked } = await host();
    const ask = (path: string, maxRedirects?: number) =>
      fetchAttachment({
        ...{ ...source, link: `${url}/${path}`, otherHosts, headers: { authorization: "Bearer x" } },
        ...(maxRedirects === undefined ? {} : { maxRedirects }),
      });
    expect(await (await ask("0")).text()).toBe("the file");
    expect(await (await ask("2", 2)).text()).toBe("the file");
    expect(asked).toEqual(["/0 Bearer x", "/2 Bearer x", "/1 Bearer x", "/0 Bearer x"]);
    for (const [path, most] of [
      ["1", undefined],
      ["2", 1],
    ] as const) {
      await expect(ask(path, most)).rejects.toMatchObject({ code: "input-invalid", field: "files" });
    }
    // A redirect to nowhere is an answer like any other that is no file.
    expect((await ask("moved", 1)).status).toBe(302);
  });

  it("is asked for at none but the platform's hosts, wherever it leads", async () => {
    const { url, otherHosts, asked } = await host();
    const message = expect.stringContaining("not at one of Chat's own hosts");
    const ask = (link: string, more: object = {}) =>
      expect(fetchAttachment({ ...source, link, otherHosts, maxRedirects: 3, ...more })).rejects;
    await ask(`${url}/9`).toMatchObject({ code: "input-invalid", message });
    expect(asked).toHaveLength(1);
    await ask("ftp://files.example/x").toMatchObject({ message });
    await ask("no link").toMatchObject({ message });
    await ask("http://files.example/x", { isOwnHost: () => true }).toMatchObject({ message });
    expect(asked).toHaveLength(1);
  });

  it("could not be loaded where the host does not answer, or breaks off", async () => {
    const gone = await listen(() => new Response("x"));
    await gone.close();
    const otherHosts = [new URL(gone.url).host];
    await expect(fetchAttachment({ ...source, link: gone.url, otherHosts })).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "files", message: expect.stringContaining("could not be loaded") },
    });
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    await expect(readAttachment(new Response(broken), 9)).rejects.toMatchObject({
      ...{ code: "input-invalid", field: "files", message: expect.stringContaining("could not be loaded") },
    });
  });
});
