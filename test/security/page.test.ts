import { SessionMapper } from "aparte";
import { afterEach, describe, expect, it } from "vitest";
import { newPageToken } from "../../src/page/access.ts";
import { type PlaygroundOptions, playground } from "../../src/page/index.ts";
import { pageFile } from "../../src/page/page.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import { backend, remembering } from "../adapters/agent.ts";
import { listen } from "../fakes/loopback.ts";
import { statusAs } from "../support/ask-as.ts";

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const secret = "a secret of the tests, long enough";
const agents = ["helper", "sales"];
const token = "a-token-of-the-tests";
const authorization = `Bearer ${token}`;

async function start(options: Partial<PlaygroundOptions> = {}) {
  const store = memoryStore();
  const mapper = new SessionMapper({
    agents: { helper: backend(remembering), sales: backend(remembering) },
    ...{ secret, store, logger: { info() {}, warn() {}, error() {} } },
  });
  const handler = playground(mapper, { token, agents, store, ...options });
  const server = await listen(handler);
  endings.push(
    () => server.close(),
    () => mapper.close(),
  );
  return { handler, server };
}

describe("The page", () => {
  it("lets in nobody without its token, which the browser keeps where no script and no other site gets at it", async () => {
    const { server } = await start();
    const ask = async (path: string, headers: Record<string, string> = {}, method = "GET") =>
      fetch(new URL(path, server.url), { method, headers: { "x-aparte": "1", ...headers } });
    const routes = [
      ["GET", "/"],
      ["GET", "/?token=another-token-of-the-tests"],
      ["GET", "/page.js"],
      ["GET", "/page.css"],
      ["GET", "/markdown.js"],
      // The token in the address opens the page itself, and nothing else.
      ["GET", "/page.js?token=a-token-of-the-tests"],
      ["GET", "/page.css?token=a-token-of-the-tests"],
      ["GET", "/markdown.js?token=a-token-of-the-tests"],
      ["GET", "/people"],
      ["GET", "/people?token=a-token-of-the-tests"],
      ["POST", "/people?name=Eve"],
      ["PATCH", "/people?person=Ada&name=Eve"],
      ["DELETE", "/people?person=Ada"],
      ["GET", "/history?person=Ada"],
      ["POST", "/reset?person=Ada&agent=helper"],
      ["POST", "/select?person=Ada&agent=sales"],
      ["POST", "/messages?person=Ada"],
      ["GET", "/messages?person=Ada&id=1"],
    ] as const;
    for (const [method, path] of routes) {
      for (const headers of [{}, { authorization: "Bearer wrong" }, { cookie: "aparte_page=x" }]) {
        const response = await ask(path, headers as Record<string, string>, method);
        expect(response.status, `${method} ${path}`).toBe(401);
        expect(await response.json()).toMatchObject({ error: { code: "unauthenticated" } });
      }
      if (method === "GET")
        expect(await statusAs("localhost", new URL(path, server.url).href), path).toBe(401);
    }
    const left = await (await ask("/people", { authorization })).json();
    expect(left).toMatchObject({ people: [{ name: "Ada" }, { name: "Ben" }] });

    const opened = await ask(`/?token=${token}`);
    expect(await opened.text()).toBe(await pageFile(new Request(server.url))?.text());
    const { port } = new URL(server.url);
    expect(opened.headers.get("set-cookie")).toBe(
      `aparte_${port}=${token}; Path=/; HttpOnly; SameSite=Strict`,
    );
    const cookie = `theme=dark; aparte_${port}=${token}`;
    expect((await ask("/people", { cookie })).status).toBe(200);
    expect((await ask("/", { cookie })).status).toBe(200);
    expect((await ask("/page.js", { cookie })).status).toBe(200);
    expect((await ask("/people", { cookie: `aparte_${port} = ${token} ; theme=dark` })).status).toBe(200);
    expect((await ask("/people", { cookie: `aparte_1=${token}` })).status).toBe(401);
    expect((await ask("/people", { cookie: `aparte_${port}` })).status).toBe(401);
    expect((await ask("/people", { authorization: `bearer  ${token} ` })).status).toBe(200);
    for (const wrong of [`X${authorization}`, `${authorization} x`, `Bearer${token}`, token])
      expect((await ask("/people", { authorization: wrong })).status, wrong).toBe(401);
  });

  it("has a token that nobody can guess", () => {
    const tokens = [newPageToken(), newPageToken()];
    for (const each of tokens) expect(each).toMatch(/^[\w-]{32}$/);
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  it("answers under other names only where that was asked for", async () => {
    const { handler } = await start({ anyHost: true });
    const headers = { authorization };
    expect((await handler(new Request("http://aparte.example/people", { headers }))).status).toBe(200);
    const secure = await handler(new Request(`https://aparte.example/?token=${token}`));
    expect(secure.headers.get("set-cookie")).toBe(
      `aparte_page=${token}; Path=/; HttpOnly; SameSite=Strict; Secure`,
    );
  });

  it("answers on this machine's names alone, and no other site's pages", async () => {
    const { handler } = await start();
    const ask = async (url: string, headers: Record<string, string> = {}, method = "GET") =>
      (await handler(new Request(url, { method, headers: { authorization, ...headers } }))).status;
    for (const host of ["127.0.0.1:3000", "localhost", "localhost:3000", "[::1]:3000"]) {
      expect(await ask(`http://${host}/`), host).toBe(200);
      expect(await ask(`http://${host}/people`), host).toBe(200);
    }
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example:3000",
      "192.168.0.2",
      "127.0.0.1:3000@evil",
    ]) {
      for (const path of ["/", "/people", "/messages?person=Ada&id=1"]) {
        expect(await ask(`http://127.0.0.1:3000${path}`, { host }), host).toBe(403);
      }
    }
    const here = "http://127.0.0.1:3000";
    for (const foreign of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
    ]) {
      expect(await ask(`${here}/people`, foreign)).toBe(403);
      expect(await ask(`${here}/people?person=Ada`, { ...foreign, "x-aparte": "1" }, "DELETE")).toBe(403);
      expect(await ask(`${here}/messages?person=Ada&id=1`, foreign)).toBe(403);
    }
    expect(await ask(`${here}/people?person=Ada`, { origin: here }, "DELETE")).toBe(403);
    expect(await ask(`${here}/people?person=Ada`, { origin: here, "x-aparte": "1" }, "DELETE")).toBe(204);
    expect(await ask(`${here}/nothing`)).toBe(404);
  });
});
