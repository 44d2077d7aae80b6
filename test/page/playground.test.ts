import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AparteError, type Records, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CozeEmulator, startCozeEmulator } from "../../src/emulators/coze/index.ts";
import { type PlaygroundOptions, playground } from "../../src/page/index.ts";
import { pageFile } from "../../src/page/page.ts";
import { keyvStore } from "../../src/stores/keyv.ts";
import { type Loopback, listen } from "../fakes/loopback.ts";
import { settled } from "../support/test-clock.ts";

let emulator: CozeEmulator;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator({ bots: [{ id: "1" }, { id: "2" }] });
  closers.push(() => emulator.close());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const secret = "a secret of the tests, long enough";
const agents = ["helper", "sales"];
const token = "a-token-of-the-tests";
const authorization = `Bearer ${token}`;

/** The playground on a port, as the program runs it; the records outlive it. */
async function start(
  records: Map<string, unknown>,
  options: Partial<PlaygroundOptions> = {},
  service = emulator,
) {
  const { appId, keyId, privateKey, baseURL, botIds } = service;
  const store = keyvStore(new Keyv({ store: records, namespace: "aparte" }));
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const [helper, sales] = botIds.map((botId) => coze({ appId, keyId, privateKey, botId, baseURL }));
  if (helper === undefined || sales === undefined) throw new Error("The emulator needs two bots.");
  const mapper = new SessionMapper({ agents: { helper, sales }, store, secret, logger });
  const handler = playground(mapper, { token, agents, store, ...options });
  const server = await listen(handler);
  const close = async () => {
    await mapper.close();
    await server.close();
  };
  closers.push(close);
  return { server, handler, mapper, close };
}

/** The page on records that can fail. */
async function startFailing() {
  const kept = keyvStore(new Keyv()).records;
  const records = { fails: false };
  const failing = new Proxy(kept, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        if (records.fails) throw new AparteError("store-failed", "The store failed.");
        return member.apply(target, args);
      };
    },
  }) as Records;
  const { mapper } = await start(new Map());
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  return { records, handler: playground(mapper, { token, agents, store: { records: failing }, logger }) };
}

function call(
  server: Loopback,
  method: string,
  path: string,
  headers: Record<string, string> = { "x-aparte": "1" },
) {
  return fetch(new URL(path, server.url), { method, headers: { authorization, ...headers } });
}

interface People {
  readonly agents: readonly string[];
  readonly people: readonly {
    id: string;
    name: string;
    agent: string;
    sessionName?: string;
    forgotten?: object;
  }[];
}

const peopleOf = async (server: Loopback) => (await (await call(server, "GET", "/people")).json()) as People;
const namesOf = async (server: Loopback) => (await peopleOf(server)).people.map(({ name }) => name);
const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; field?: string } }).error;

type History = Record<string, readonly { role: string; text: string }[]>;
const historyOf = async (server: Loopback, person: string) =>
  (await (await call(server, "GET", `/history?person=${person}`)).json()) as History;

async function say(server: Loopback, person: string, text: string): Promise<string> {
  const response = await fetch(new URL(`/messages?person=${encodeURIComponent(person)}`, server.url), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", authorization },
    body: JSON.stringify({ id: crypto.randomUUID(), text }),
  });
  return ((await response.json()) as { text: string }).text;
}

describe("playground", () => {
  it("shows two people on the first start, each with their own conversation", async () => {
    const { server } = await start(new Map());
    expect(await peopleOf(server)).toEqual({
      agents,
      people: [
        { id: "Ada", name: "Ada", agent: "helper" },
        { id: "Ben", name: "Ben", agent: "helper" },
      ],
    });
    await say(server, "Ada", "my name is Ada");
    expect(await say(server, "Ben", "what is my name?")).toContain("You have not told me your name.");
    expect(await say(server, "Ada", "what is my name?")).toContain("Your name is Ada.");
    const [ada, ben] = (await peopleOf(server)).people;
    expect(ada?.sessionName).toMatch(/^a1_/);
    expect(ada?.sessionName).not.toBe(ben?.sessionName);
    expect(JSON.stringify(await historyOf(server, "Ben"))).not.toContain("Ada");
  });

  it("finds people, their conversations and their words again after a restart", async () => {
    const folder = await mkdtemp(join(tmpdir(), "aparte-test-"));
    closers.unshift(() => rm(folder, { recursive: true, force: true }));
    const persist = join(folder, "coze.db");
    const bots = [{ id: "1" }, { id: "2" }];
    const before = await startCozeEmulator({ persist, bots });
    const records = new Map<string, unknown>();
    const first = await start(records, {}, before);
    await say(first.server, "Ada", "my name is Ada");
    await call(first.server, "POST", "/people?name=Cleo");
    await call(first.server, "PATCH", "/people?person=Ben&name=Benedict");
    await call(first.server, "DELETE", "/people?person=Cleo");
    await call(first.server, "POST", "/people?name=Dora");
    await call(first.server, "POST", "/select?person=Dora&agent=sales");
    await first.close();
    await before.close();

    const after = await startCozeEmulator({ persist, bots });
    closers.push(() => after.close());
    const { server } = await start(records, {}, after);
    expect(await namesOf(server)).toEqual(["Ada", "Benedict", "Dora"]);
    expect((await peopleOf(server)).people.map(({ agent }) => agent)).toEqual(["helper", "helper", "sales"]);
    expect((await historyOf(server, "Ada")).helper).toMatchObject([
      { role: "user", text: "my name is Ada" },
      { role: "agent", text: expect.stringContaining("I will remember") },
    ]);
    expect(await say(server, "Ada", "what is my name?")).toContain("Your name is Ada.");
    expect(after.conversations().filter(({ sessionName }) => sessionName !== undefined)).toHaveLength(1);
  });

  it("finds those who have spoken also where nothing keeps the names", async () => {
    const records = new Map<string, unknown>();
    const withoutStore: Partial<PlaygroundOptions> = { people: ["Ada"] };
    const first = await start(records, withoutStore);
    await call(first.server, "POST", "/people?name=Cleo");
    await say(first.server, "Cleo", "hello");
    await first.close();
    for (const key of records.keys()) if (key.includes("playground:")) records.delete(key);
    const second = await start(records, withoutStore);
    expect(await namesOf(second.server)).toEqual(["Ada", "Cleo"]);
  });

  it("gives people of one name sessions of their own, and renames without losing the session", async () => {
    const { server } = await start(new Map());
    const added = (await (await call(server, "POST", "/people?name=%20Ada%20")).json()) as { id: string };
    expect(added).toEqual({ id: "Ada 2", name: "Ada" });
    await say(server, "Ada", "my name is Ada");
    expect(await say(server, "Ada 2", "what is my name?")).toContain("not told me");
    expect((await call(server, "PATCH", "/people?person=Ada&name=Zoe")).status).toBe(204);
    expect(await namesOf(server)).toEqual(["Zoe", "Ben", "Ada"]);
    expect(await say(server, "Ada", "what is my name?")).toContain("Your name is Ada.");
    const third = (await (await call(server, "POST", "/people?name=Ada")).json()) as { id: string };
    expect(third.id).toBe("Ada 3");
    for (const name of ["", "%20", "%E2%80%8B", "x".repeat(41)]) {
      for (const [method, path] of [
        ["POST", "/people?"],
        ["PATCH", "/people?person=Ben&"],
      ] as const) {
        const response = await call(server, method, `${path}name=${name}`);
        expect(response.status).toBe(400);
        expect(await errorOf(response)).toMatchObject({ code: "input-invalid", field: "name" });
      }
    }
    expect((await call(server, "PATCH", `/people?person=Ben&name=${"x".repeat(40)}`)).status).toBe(204);
    expect(await namesOf(server)).toEqual(["Zoe", "x".repeat(40), "Ada", "Ada"]);
  });

  it("loses no change when several come at once", async () => {
    const { records } = keyvStore(new Keyv());
    // Writes that wait until all have come: a change must not read what was there before the one that came first.
    let write = () => {};
    const allCame = new Promise<void>((resolve) => {
      write = resolve;
    });
    const slow: Records = {
      get: (key) => records.get(key),
      set: async (key, value) => {
        await allCame;
        await records.set(key, value);
      },
      setIfAbsent: (key, value) => records.setIfAbsent(key, value),
      delete: (key) => records.delete(key),
      entries: (prefix) => records.entries(prefix),
    };
    const { server, handler } = await start(new Map(), { store: { records: slow } });
    const names = Array.from({ length: 20 }, (_, index) => `P${index}`);
    const added = names.map((name) =>
      handler(
        new Request(new URL(`/people?name=${name}`, server.url), {
          method: "POST",
          headers: { authorization, "x-aparte": "1" },
        }),
      ),
    );
    await settled();
    write();
    await Promise.all(added);
    expect((await namesOf(server)).sort()).toEqual(["Ada", "Ben", ...names].sort());
  });

  it("erases a person who is removed, at the service too", async () => {
    const { server } = await start(new Map());
    await say(server, "Ada", "my name is Ada");
    expect((await call(server, "DELETE", "/people?person=Ada")).status).toBe(204);
    expect(await namesOf(server)).toEqual(["Ben"]);
    expect(emulator.conversations()).toEqual([]);
    expect((await call(server, "GET", "/history?person=Ada")).status).toBe(404);
    expect((await call(server, "GET", "/messages?person=Ada&id=1")).status).toBe(401);
    await call(server, "POST", "/people?name=Ada");
    expect(await say(server, "Ada", "what is my name?")).toContain("not told me");
  });

  it("lets the agent forget one person's words, and tells from where on", async () => {
    const { server } = await start(new Map());
    await say(server, "Ada", "my name is Ada");
    await say(server, "Ben", "my name is Ben");
    expect((await call(server, "POST", "/reset?person=Ada&agent=helper")).status).toBe(204);
    expect(await say(server, "Ada", "what is my name?")).toContain("not told me");
    expect(await say(server, "Ben", "what is my name?")).toContain("Your name is Ben.");
    const [ada, ben] = (await peopleOf(server)).people;
    const said = (await historyOf(server, "Ada")).helper?.slice(0, -2) ?? [];
    expect(ada?.forgotten).toEqual({ helper: said.length });
    expect(ben?.forgotten).toBeUndefined();
    // Also where nothing was said; and what another agent has forgotten stays so.
    for (const [person, agent] of [
      ["Ada", "sales"],
      ["Ben", "helper"],
    ])
      expect((await call(server, "POST", `/reset?person=${person}&agent=${agent}`)).status).toBe(204);
    await call(server, "POST", "/people?name=Cleo");
    expect((await call(server, "POST", "/reset?person=Cleo&agent=helper")).status).toBe(204);
    const { people } = await peopleOf(server);
    expect(people.map(({ forgotten }) => forgotten)).toEqual([
      { helper: said.length, sales: 0 },
      { helper: 4 },
      { helper: 0 },
    ]);
  });

  it("lets each person choose an agent, each with a conversation of its own", async () => {
    const { server } = await start(new Map());
    await say(server, "Ada", "my name is Ada");
    expect((await call(server, "POST", "/select?person=Ada&agent=sales")).status).toBe(204);
    expect(await say(server, "Ada", "what is my name?")).toContain("not told me");
    expect(Object.keys(await historyOf(server, "Ada")).sort()).toEqual(agents);
    const unknown = await call(server, "POST", "/select?person=Ada&agent=nobody");
    expect(unknown.status).toBe(400);
    expect(await errorOf(unknown)).toMatchObject({ code: "agent-unknown", field: "agent" });
    expect(await historyOf(server, "Ben")).toEqual({});
  });

  it("serves its page, which loads nothing from elsewhere and runs nothing but its own script", async () => {
    const { server } = await start(new Map());
    for (const [path, type] of [
      ["/", "text/html"],
      ["/page.css", "text/css"],
      ["/page.js", "text/javascript"],
      ["/markdown.js", "text/javascript"],
    ] as const) {
      const response = await call(server, "GET", path, {});
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe(`${type}; charset=utf-8`);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("referrer-policy")).toBe("no-referrer");
      expect(response.headers.get("cache-control")).toBe("no-store, no-transform");
      expect(response.headers.get("content-security-policy")?.split("; ")).toEqual([
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ]);
      const content = await response.text();
      expect(content).toBe(await pageFile(new Request(`http://localhost${path}`))?.text());
      expect(content).not.toMatch(/innerHTML|\son[a-z]+="/);
      const head = await call(server, "HEAD", path, {});
      expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([
        ...[200, `${type}; charset=utf-8`, ""],
      ]);
    }
    const html = await (await call(server, "GET", "/", {})).text();
    expect(html.trim()).toMatch(/^<!doctype html>.*<\/html>$/is);
    expect(html.match(/\b(?:src|href)="(?!data:)[^"]*"/g)).toEqual(['href="page.css"', 'src="page.js"']);
    expect((await call(server, "POST", "/")).status).toBe(404);
    expect((await call(server, "GET", "/people")).headers.get("cache-control")).toBe(
      "no-store, no-transform",
    );
  });

  it("shows nobody of other platforms and tenants, and names without needless blanks", async () => {
    const { server, mapper } = await start(new Map());
    for (const other of [
      { platform: "slack", tenant: "playground" },
      { platform: "web", tenant: "acme" },
    ]) {
      await mapper.handle({ ...other, user: "Zoe", id: "1", text: "hello" }).text();
    }
    await call(server, "POST", "/people?name=%20Cleo%20%20%09of%E2%80%8B%00%20Rome%20");
    expect(await namesOf(server)).toEqual(["Ada", "Ben", "Cleo of Rome"]);
  });

  it("tells that a change was not kept, and asks its store again after it failed", async () => {
    const { handler, records } = await startFailing();
    const ask = (method: string, path: string) =>
      handler(
        new Request(`http://localhost${path}`, { method, headers: { authorization, "x-aparte": "1" } }),
      );
    records.fails = true;
    expect((await ask("GET", "/people")).status).toBe(503);
    records.fails = false;
    expect((await ask("GET", "/people")).status).toBe(200);
    records.fails = true;
    for (const [method, path] of [
      ["POST", "/people?name=Cleo"],
      ["PATCH", "/people?person=Ada&name=Eve"],
      ["DELETE", "/people?person=Ada"],
    ] as const) {
      expect((await ask(method, path)).status, method).toBe(503);
    }
    records.fails = false;
    const { people } = (await (await ask("GET", "/people")).json()) as People;
    expect(people.map(({ name }) => name)).toEqual(["Ada", "Ben"]);
  });

  it("says what is wrong, in words that a person can read", async () => {
    const { server, handler } = await start(new Map());
    const told = async (response: Response) =>
      ((await response.json()) as { error: { message: string } }).error.message;
    expect(await told(await call(server, "GET", "/history?person=Zoe"))).toBe(
      "That person is not here any more. Reload the page.",
    );
    const foreign = await call(server, "GET", "/people", { origin: "https://evil.example" });
    expect(await told(foreign)).toBe("Pages of other sites may not speak here.");
    expect(await told(await call(server, "DELETE", "/people?person=Ada", {}))).toBe(
      'A change needs the header "x-aparte: 1".',
    );
    expect(await told(await call(server, "GET", "/constructor"))).toBe("There is nothing here.");
    const { port } = new URL(server.url);
    const elsewhere = new Request(`http://elsewhere.example:${port}/`, { headers: { authorization } });
    expect(await told(await handler(elsewhere))).toBe(
      "The playground is for this machine alone: open it as http://127.0.0.1.",
    );
    expect(await told(await call(server, "POST", "/reset?person=Ada&agent=none"))).toContain("that agent");
    const refused = await fetch(server.url);
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    expect(await told(refused)).toContain("?token=");
  });

  it("tells a failing service as a failure, and not as an empty history", async () => {
    const { server } = await start(new Map());
    await say(server, "Ada", "hello");
    await emulator.close();
    expect((await call(server, "GET", "/history?person=Ada")).status).toBeGreaterThanOrEqual(500);
  });

  it("refuses options that are wrong, by their name", async () => {
    const { mapper } = await start(new Map());
    const fieldOf = (options: object): unknown => {
      try {
        playground(mapper, options as PlaygroundOptions);
      } catch (error) {
        // What is to be done is told in words.
        expect((error as AparteError).message).toMatch(/must (be|have) |does not exist/);
        return (error as AparteError).field;
      }
      return undefined;
    };
    expect(fieldOf({ agents })).toBe("playground.token");
    expect(fieldOf({ token: "too short", agents })).toBe("playground.token");
    expect(fieldOf({ token: "fifteen-letters", agents })).toBe("playground.token");
    expect(fieldOf({ token: "sixteen-letters-", agents })).toBeUndefined();
    expect(fieldOf({ token: "a token with blanks", agents })).toBe("playground.token");
    expect(fieldOf({ token: 1_234_567_890_123_456, agents })).toBe("playground.token");
    expect(fieldOf({ token, agents: [7] })).toBe("playground.agents");
    expect(fieldOf({ token })).toBe("playground.agents");
    expect(fieldOf({ token, agents: [] })).toBe("playground.agents");
    expect(fieldOf({ token, agents: "helper" })).toBe("playground.agents");
    expect(fieldOf({ token, agents: ["helper", ""] })).toBe("playground.agents");
    expect(fieldOf({ token, agents, people: [""] })).toBe("playground.people");
    expect(fieldOf({ token, agents, port: 1 })).toBe("playground.port");
    expect(fieldOf({ token, agents })).toBeUndefined();
  });
});
