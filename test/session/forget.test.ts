import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AparteError, type Backend, openStore, SessionMapper, type Store } from "aparte";
import { coze } from "aparte/coze";
import { startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoredTokens } from "../../src/session/shared-tokens.ts";
import { TokenCache } from "../../src/session/token.ts";
import { memoryStore } from "../../src/stores/memory.ts";

const secret = "a secret of the tests, long enough";
const ada = { platform: "web", tenant: "acme-canary", user: "user-canary" };
const logger = { info() {}, warn() {}, error() {} };

let folder: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aparte-forget-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

function mapperOf(agents: Record<string, Backend>, store: Store): SessionMapper {
  const mapper = new SessionMapper({ agents, store, secret, logger });
  closers.push(() => mapper.close());
  return mapper;
}

const echo: Backend = {
  name: "echo",
  open: async () => "conversation-canary",
  async *ask({ text }) {
    yield { type: "message", text: `You said: ${text}` };
  },
  remove: async () => {},
};

describe("forget", () => {
  it("removes the session's token", async () => {
    const emulator = await startCozeEmulator();
    closers.push(() => emulator.close());
    const { appId, keyId, privateKey, botId, baseURL } = emulator;
    const store = await openStore(`sqlite:${join(folder, "aparte.db")}`);
    const mapper = mapperOf({ helper: coze({ appId, keyId, privateKey, botId, baseURL }) }, store);
    const keys = async () => {
      const found: string[] = [];
      for await (const [key] of store.records.entries("")) found.push(key);
      return found;
    };
    await mapper.resolve(ada);
    expect((await keys()).filter((key) => key.startsWith("token:"))).toHaveLength(1);
    expect(await mapper.forget(ada)).toMatchObject({ conversations: { helper: "erased" } });
    expect(await keys()).toEqual([]);
  });

  it("removes the tokens that followed a refused one", async () => {
    const { records } = memoryStore();
    const cache = new TokenCache({ issuer: "issuer" });
    cache.share(new StoredTokens(records, [secret]));
    const { signal } = new AbortController();
    let minted = 0;
    const get = () => cache.get("session", async () => ({ token: `t${++minted}`, ttlMs: 60_000 }), signal);
    for (let time = 0; time < 3; time++) cache.refused("session", await get());
    const keys = async () => {
      const found: string[] = [];
      for await (const [key] of records.entries("token:")) found.push(key);
      return found.length;
    };
    expect(await keys()).toBe(3);
    await cache.forget("session");
    expect(await keys()).toBe(0);
    expect(await get()).toBe("t4");
  });

  it("says what it erased, and what it could not", async () => {
    const store = memoryStore();
    const { remove: _, ...unable } = echo;
    const before = mapperOf({ helper: echo, unable, gone: echo }, store);
    for (const agent of ["helper", "unable", "gone"]) await before.resolve(ada, agent);
    const mapper = mapperOf({ helper: echo, unable }, store);
    const erasure = await mapper.forget(ada);
    expect(erasure).toEqual({
      at: expect.any(Number),
      found: true,
      conversations: { helper: "erased", unable: "unsupported", gone: "unconfigured" },
    });
    expect(JSON.stringify(erasure)).not.toContain("canary");
    expect(await mapper.forget(ada)).toMatchObject({ found: false, conversations: {} });
  });

  it("finds nothing of an agent that the person never spoke to, and says nothing of one that has no conversation", async () => {
    const { remove: _, ...unable } = echo;
    const store = memoryStore();
    const mapper = mapperOf({ helper: echo, unable }, store);
    await mapper.resolve(ada);
    expect(await mapper.forget(ada, "unable")).toMatchObject({ found: false, conversations: {} });
    await expect(mapper.forget(ada, "nobody")).rejects.toMatchObject({
      code: "agent-unknown",
      field: "agent",
    });
    expect(await mapper.forget(ada, "helper")).toMatchObject({
      found: true,
      conversations: { helper: "erased" },
    });

    const failing = {
      ...unable,
      open: () => Promise.reject(new AparteError("backend-unavailable", "Away.")),
    };
    const opening = mapperOf({ failing }, store);
    await expect(opening.resolve(ada, "failing")).rejects.toMatchObject({ code: "backend-unavailable" });
    // Its conversation is still being opened.
    expect(await opening.forget(ada)).toEqual({ at: expect.any(Number), found: true, conversations: {} });
  });

  it("has only that agent forget the session where one is named, and all of them otherwise", async () => {
    const forgotten: string[] = [];
    const forgetful = (name: string) => ({ ...echo, forget: async () => void forgotten.push(name) });
    const mapper = mapperOf({ helper: forgetful("helper"), other: forgetful("other") }, memoryStore());
    await mapper.resolve(ada, "helper");
    await mapper.forget(ada, "helper");
    expect(forgotten).toEqual(["helper"]);
    await mapper.forget(ada);
    expect(forgotten).toEqual(["helper", "helper", "other"]);
  });

  it("erases here although the service fails, and there when the next process starts", async () => {
    const store = memoryStore();
    const removed: string[] = [];
    let isAway = true;
    const remove: NonNullable<Backend["remove"]> = async ({ conversationId }) => {
      if (isAway) throw new AparteError("backend-unavailable", "The service is away.");
      removed.push(conversationId);
    };
    const agents = { helper: { ...echo, remove } };
    const first = mapperOf(agents, store);
    await first.handle({ ...ada, id: "1", text: "word-canary" }).text();
    expect((await first.forget(ada)).conversations).toEqual({ helper: "later" });
    expect(await first.export(ada)).toBeUndefined();
    isAway = false;
    await new Promise<void>((resolve) => {
      const helper: Backend = { ...echo, remove: (call) => remove(call).then(resolve) };
      mapperOf({ helper }, store).connect({ platform: "web", deliver: async () => {} } as never);
    });
    expect(removed).toEqual(["conversation-canary"]);
  });
});

describe("An agent of a name that every object has", () => {
  it.each(["__proto__", "constructor", "toString"])(
    "%s: is listed, exported and erased as any other",
    async (name) => {
      const messages = [{ role: "user", text: "hello" } as const];
      const agents = Object.fromEntries([
        ["helper", echo],
        [name, { ...echo, history: async () => messages }],
      ]);
      const mapper = mapperOf(agents, memoryStore());
      for (let time = 1; time <= 2; time += 1) {
        await mapper.handle({ ...ada, id: `m${time}`, text: "hello", agent: name }).text();
        if (time === 1) await mapper.reset(ada, name, { keep: true });
      }
      const exported = await mapper.export(ada);
      const listed = [];
      for await (const session of mapper.sessions()) listed.push(session);
      expect(listed).toHaveLength(1);
      for (const session of [...listed, exported]) {
        expect(Object.entries(session?.conversations ?? {})).toEqual([[name, "conversation-canary"]]);
        expect(Object.entries(session?.earlier ?? {})).toEqual([[name, ["conversation-canary"]]]);
      }
      expect(Object.entries(exported?.messages ?? {})).toEqual([[name, [...messages, ...messages]]]);
      expect(Object.entries((await mapper.forget(ada)).conversations)).toEqual([[name, "erased"]]);
    },
  );
});
