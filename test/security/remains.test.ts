import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@keyv/redis";
import { type Backend, openStore, SessionMapper, type Store } from "aparte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeOnRedis } from "../support/redis.ts";
import { onFile } from "../support/sqlite.ts";

const secret = "a secret of the tests, long enough";
const ada = { platform: "web", tenant: "acme-canary", user: "user-canary" };
const logger = { info() {}, warn() {}, error() {} };

let folder: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aparte-forget-"));
});
afterEach(async () => {
  vi.useRealTimers();
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

function mapperOf(agents: Record<string, Backend>, store: Store): SessionMapper {
  const mapper = new SessionMapper({ agents, store, secret, logger });
  closers.push(() => mapper.close());
  return mapper;
}

/** What the person said, and what makes them known, in any file of the store. */
function traces(): string[] {
  const canaries = ["word-canary", "user-canary", "acme-canary", "conversation-canary", "event-canary"];
  return readdirSync(folder).flatMap((file) => {
    const bytes = readFileSync(join(folder, file), "latin1");
    return canaries.filter((canary) => bytes.includes(canary)).map((canary) => `${canary} in ${file}`);
  });
}

const echo: Backend = {
  name: "echo",
  open: async () => "conversation-canary",
  async *ask({ text }) {
    yield { type: "message", text: `You said: ${text}` };
  },
  remove: async () => {},
};

async function talk(mapper: SessionMapper): Promise<void> {
  for (let turn = 0; turn < 8; turn++) {
    const text = `word-canary ${"and more ".repeat(60)}`;
    await mapper.handle({ ...ada, id: `event-canary-${turn}`, text }).text();
  }
}

describe("forget", () => {
  it("leaves nothing in the SQLite file and its log, also while others have the file open", async () => {
    const url = `sqlite:${join(folder, "aparte.db")}`;
    const other = await openStore(url);
    closers.push(() => other.close());
    const mapper = mapperOf({ helper: echo }, await openStore(url));
    await talk(mapper);
    expect(traces()).toContain("word-canary in aparte.db-wal");
    await mapper.forget(ada);
    expect(traces()).toEqual([]);
    await mapper.close();
    expect(traces()).toEqual([]);
  });

  it("leaves no words in the file's log at the end, where nobody was forgotten", async () => {
    const mapper = mapperOf({ helper: echo }, await openStore(`sqlite:${join(folder, "aparte.db")}`));
    await talk(mapper);
    await mapper.close();
    expect(traces().filter((trace) => /^(word|event)/.test(trace))).toEqual([]);
  });
});

describe("A record whose time is over", () => {
  it("is in no file after the next signs of life", () =>
    onFile(async ({ folder, open, advance }) => {
      const store = await open();
      await store.records.set("token:a", "token-canary", 60_000);
      await store.records.set("token:b", "kept", 120_000);
      const isThere = (words: string) =>
        readdirSync(folder).some((file) => readFileSync(join(folder, file), "latin1").includes(words));
      await store.beat("owner", 30_000);
      expect(isThere("token-canary")).toBe(true);
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_001 });
      advance(60_001);
      await vi.waitFor(
        async () => {
          await store.beat("owner", 30_000);
          expect(isThere("token-canary")).toBe(false);
        },
        { timeout: 10_000 },
      );
      expect(isThere("kept")).toBe(true);
    }));
});

describeOnRedis("forget on Redis", (url) => {
  it("leaves hashes of events there, and nothing else of the person", async () => {
    const address = `${await url()}`;
    const mapper = mapperOf({ helper: echo }, await openStore(address));
    const client = createClient({ url: address });
    await client.connect();
    closers.push(async () => client.destroy());
    const contents = async () => {
      const texts: string[] = [];
      for (const key of await client.keys("*")) {
        texts.push(key, (await client.type(key)) === "string" ? String(await client.get(key)) : "");
      }
      return texts.join("\n");
    };
    await talk(mapper);
    const { sessionName } = await mapper.resolve(ada);
    expect(await contents()).toContain("user-canary");
    await mapper.forget(ada);
    expect(await contents()).not.toMatch(/-canary/);
    expect(await contents()).not.toContain(sessionName);
  });
});
