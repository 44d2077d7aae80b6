import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type MapperOptions,
  type Message,
  openStore,
  type Rates,
  type Reply,
  SessionMapper,
  type Store,
} from "aparte";
import { coze } from "aparte/coze";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { Keyv } from "keyv";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStore } from "../src/stores/memory.ts";
import { MortalStore } from "../src/testing/mortal-store.ts";
import { describeOnRedis } from "./support/redis.ts";

const secret = "a secret of the tests, long enough";
const quiet = { info() {}, warn() {}, error() {} };

let emulator: CozeEmulator;
let mappers: SessionMapper[] = [];

beforeEach(async () => {
  emulator = await startCozeEmulator();
});

afterEach(async () => {
  await Promise.all(mappers.map((mapper) => mapper.close({ drainTimeout: 1_000 })));
  mappers = [];
  await emulator.close();
});

function mapperWith(options: Partial<MapperOptions> & { readonly qps?: number }): SessionMapper {
  const { qps, ...rest } = options;
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const helper = coze({
    ...{ appId, keyId, privateKey, botId, baseURL, retryDelay: 1 },
    ...(qps === undefined ? {} : { qps }),
  });
  const mapper = new SessionMapper({ agents: { helper }, secret, logger: quiet, ...rest });
  mappers.push(mapper);
  return mapper;
}

const says = (user: string, id: string = randomUUID(), tenant = "acme"): Message => ({
  ...{ platform: "web", tenant, user, id },
  text: `word of ${user}`,
});

const limited = /Please come back in \d+ s\./;

/** The suite for a store; `open` gives the same data each time. */
/** What the person reads: the answer, or why there is none. */
async function said(reply: Reply): Promise<string> {
  return reply.text().catch((error: Error) => error.message);
}

function limitSuite(open: () => Promise<Store>): void {
  it("lets a person have so many turns in a minute, over all processes, and tells who is over", async () => {
    const limits = { person: 3 };
    const one = mapperWith({ store: await open(), limits });
    const two = mapperWith({ store: await open(), limits });
    const user = randomUUID();
    for (const mapper of [one, two, one]) {
      expect(await mapper.handle(says(user)).text()).toContain(`word of ${user}`);
    }
    for (const mapper of [one, two]) expect(await said(mapper.handle(says(user)))).toMatch(limited);
    expect(emulator.chats()).toHaveLength(3);
    for await (const event of two.handle(says(user))) {
      expect(event).toMatchObject({ type: "notice", code: "limited", text: expect.stringMatching(limited) });
      const { retryAfterMs = 0 } = event as { retryAfterMs?: number };
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    }
    // Nobody else is held back, and neither are they elsewhere.
    const other = randomUUID();
    expect(await two.handle(says(other)).text()).toContain(`word of ${other}`);
    expect(await two.handle(says(user, randomUUID(), "another")).text()).toContain(`word of ${user}`);
  });

  it("counts an event that is delivered twice once, and answers it once", async () => {
    const limits = { person: 2 };
    const one = mapperWith({ store: await open(), limits });
    const two = mapperWith({ store: await open(), limits });
    const user = randomUUID();
    const answer = await one.handle(says(user, "m1")).text();
    await one.select(says(user), "helper"); // In its lane, after the turn's end.
    for (const mapper of [one, two, one]) {
      const again = mapper.handle(says(user, "m1")).text();
      if (mapper === one) expect(await again).toBe(answer);
      else await expect(again).rejects.toMatchObject({ code: "duplicate" });
    }
    expect(await two.handle(says(user, "m2")).text()).toContain("word of");
    // One that was refused is no event that was handled: its caller may send it again, when there is room.
    for (const mapper of [two, one, two]) {
      expect(await said(mapper.handle(says(user, "m3")))).toMatch(limited);
      await mapper.select(says(user), "helper");
    }
    const unlimited = mapperWith({ store: await open() });
    expect(await unlimited.handle(says(user, "m3")).text()).toContain("word of");
    expect(emulator.chats()).toHaveLength(3);
  });

  it("lets all people of a tenant have so many turns together", async () => {
    const mapper = mapperWith({ store: await open(), limits: { tenant: 2 } });
    const tenant = randomUUID();
    const answers = [];
    for (const user of ["ada", "bob", "cleo"]) {
      answers.push(await said(mapper.handle(says(user, randomUUID(), tenant))));
    }
    expect(answers.map((answer) => limited.test(answer))).toEqual([false, false, true]);
  });
}

describe("Limits in memory", () => {
  limitSuiteOfOne();

  /** A store in memory is one process's: two mappers share it. */
  function limitSuiteOfOne(): void {
    let store: Promise<Store>;
    beforeEach(() => {
      store = openStore("memory:");
    });
    limitSuite(() => store);
  }

  it("are off where none are set, and refused where they are wrong", async () => {
    const mapper = mapperWith({});
    await Promise.all(Array.from({ length: 30 }, () => mapper.handle(says("ada")).text()));
    expect(emulator.chats()).toHaveLength(30);
    for (const [limits, field] of [
      [{ person: 0 }, "limits.person"],
      [{ tenant: 1.5 }, "limits.tenant"],
      [{ people: 3 }, "limits.people"],
      [3, "limits"],
    ] as const) {
      expect(() => mapperWith({ limits: limits as never })).toThrow(
        expect.objectContaining({ code: "option-invalid", field }),
      );
    }
    expect(() => mapperWith({ qps: 0 })).toThrow(expect.objectContaining({ field: "qps" }));
  });

  it("count a turn that another process takes up once", async () => {
    const shared = await openStore("memory:");
    const mortal = new MortalStore(shared);
    const delivered: string[] = [];
    const limits = { person: 1 };
    const copy = (store: Store) => {
      const mapper = mapperWith({ store, limits, leaseTime: 200 });
      mapper.connect({
        platform: "chat",
        deliver: async (_, reply) => {
          let text = "";
          for await (const event of reply) if (event.type === "message") text += event.text;
          await reply.permit();
          delivered.push(text);
        },
      });
      return mapper;
    };
    const began = emulator.once("chat");
    await copy(mortal.store).receive({
      ...says("ada"),
      platform: "chat",
      text: "slow: 40 one two three four",
    });
    await began;
    mortal.die();
    copy(shared);
    await expect
      .poll(() => delivered, { timeout: 10_000 })
      .toEqual([expect.stringContaining("one two three")]);
  });

  it("are counted by each process where the store cannot count", async () => {
    const mapper = mapperWith({ store: new Keyv(), limits: { person: 1 } });
    await mapper.handle(says("ada")).text();
    expect(await said(mapper.handle(says("ada")))).toMatch(limited);
  });
});

describe("Limits in a SQLite file", () => {
  const folder = mkdtempSync(join(tmpdir(), "aparte-limits-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  limitSuite(() => openStore(`sqlite:${join(folder, "limits.db")}`));

  it("lets nobody through, and tells them, when the count cannot be kept", async () => {
    const store = await openStore(`sqlite:${join(folder, "broken.db")}`);
    const broken = { ...store, rates: { take: () => Promise.reject(new Error("disk full")) } };
    const mapper = mapperWith({ store: broken, limits: { person: 1 } });
    await expect(mapper.handle(says("ada")).text()).rejects.toMatchObject({ code: "store-failed" });
    expect(emulator.chats()).toEqual([]);
  });
});

describeOnRedis("Limits on Redis", (url) => {
  const namespace = `test-${randomUUID()}`;
  limitSuite(async () => openStore(await url(), { namespace, logger: quiet }));
});

describe("The agent's own rate", () => {
  /** A store, and when it was asked for each use that it gave, and had given it: a busy process hears of it later. */
  function counted() {
    const store = memoryStore();
    const rates = store.rates as Rates;
    const uses: { readonly asked: number; readonly given: number }[] = [];
    const take = async (...use: Parameters<Rates["take"]>) => {
      const asked = performance.now();
      const waitMs = await rates.take(...use);
      if (waitMs === 0) uses.push({ asked, given: performance.now() });
      return waitMs;
    };
    return { store: { ...store, rates: { take } } satisfies Store, uses };
  }

  it("lets so many chats begin in each span of a second, whoever asks", async () => {
    const { store, uses } = counted();
    const [one, two] = [mapperWith({ store, qps: 5 }), mapperWith({ store, qps: 5 })];
    const users = Array.from({ length: 12 }, (_, index) => `u${index}`);
    await Promise.all(users.map((user, index) => (index % 2 ? one : two).handle(says(user)).text()));
    expect(emulator.chats()).toHaveLength(12);
    expect(uses).toHaveLength(12);
    // A span begins with its first use and takes a second: the sixth and the eleventh are the first of theirs.
    const [first, sixth, eleventh] = [uses[0], uses[5], uses[10]];
    expect((sixth?.given ?? 0) - (first?.asked ?? 0)).toBeGreaterThan(990);
    expect((eleventh?.given ?? 0) - (sixth?.asked ?? 0)).toBeGreaterThan(990);
  });

  it("counts a chat that Coze refused and that is sent again", async () => {
    const { store, uses } = counted();
    const mapper = mapperWith({ store, qps: 2 });
    emulator.fail({ path: "/v3/chat", code: 4013, times: 2 });
    expect(await mapper.handle(says("ada")).text()).toContain("word of ada");
    expect(uses).toHaveLength(3);
    expect((uses[2]?.given ?? 0) - (uses[0]?.asked ?? 0)).toBeGreaterThan(990);
  });

  it("tells the person of a chat that is not sent, and sends nothing else", async () => {
    const store = await openStore("memory:");
    const mapper = mapperWith({ store: { ...store, rates: { take: async () => 60_000 } }, qps: 2 });
    await expect(mapper.handle(says("ada")).text()).rejects.toMatchObject({
      ...{ code: "backend-rate-limited", retryAfterMs: 60_000 },
    });
    expect(emulator.requests().map(({ path }) => path)).toEqual([
      "/api/permission/oauth2/token",
      "/v1/conversation/create",
    ]);
  });

  it("lets one of another tenant through before the many that came first", async () => {
    let permits = 0;
    const take = async () => {
      if (permits === 0) return 1;
      permits -= 1;
      return 0;
    };
    const store = await openStore("memory:");
    const mapper = mapperWith({ store: { ...store, rates: { take } }, qps: 1 });
    const paths = (path: string) => emulator.requests().filter((request) => request.path === path).length;
    const loud = Array.from({ length: 8 }, (_, index) => mapper.handle(says(`u${index}`)));
    await vi.waitUntil(() => paths("/v1/conversation/create") === 8, { timeout: 15_000 });
    const quietly = mapper.handle(says("ben", "1", "another"));
    await vi.waitUntil(() => paths("/v1/conversation/create") === 9, { timeout: 15_000 });
    permits = 3;
    expect(await quietly.text()).toContain("word of ben");
    expect(paths("/v3/chat")).toBeLessThan(4);
    permits = 6;
    for (const reply of loud) expect(await reply.text()).toContain("word of u");
  });
});
