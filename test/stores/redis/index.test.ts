import KeyvRedis, { createClient, createSentinel } from "@keyv/redis";
import { openStore, type Store } from "aparte";
import { Keyv } from "keyv";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RedisClient } from "../../../src/stores/redis/client.ts";
import { redisOf, redisStore } from "../../../src/stores/redis/index.ts";
import { LogLines } from "../../support/log-lines.ts";
import {
  describeWithRedis,
  openPatientRedis,
  patientMs,
  RedisServer,
  startRedisSentinel,
} from "../../support/redis.ts";

const base = { lane: "lane", version: 0, document: 1, until: 1e300 };

describeWithRedis("A store on Redis", () => {
  let server: RedisServer;
  let log: LogLines;
  let closers: (() => unknown)[];

  beforeEach(async () => {
    server = await RedisServer.start();
    log = new LogLines();
    closers = [];
  });

  afterEach(async () => {
    for (const close of closers.reverse()) await close();
    await server.close();
  });

  async function open(
    target: string | RedisClient = server.url,
    namespace?: string,
    openedBy = openPatientRedis,
  ): Promise<Store> {
    const store = await openedBy(target, { logger: log, ...(namespace === undefined ? {} : { namespace }) });
    closers.push(() => store.close());
    return store;
  }

  /** Where the machine is busy, a store is opened before it is connected. */
  async function listens(store: Store, wake: (lane: string | undefined) => void = () => {}) {
    const isHeard = () => store.listen("ada", wake).then(Boolean, () => false);
    await vi.waitUntil(isHeard, { timeout: 30_000 });
  }

  function client(url = server.url) {
    const made = createClient({ url, socket: { reconnectStrategy: 5 } });
    made.on("error", () => {});
    closers.push(() => made.isOpen && made.destroy());
    return made;
  }

  /** The ids of connections that others have, and what they are for. */
  async function connections(): Promise<{ normal: string[]; pubsub: string[] }> {
    const ids = { normal: [] as string[], pubsub: [] as string[] };
    for (const line of String(await server.command("CLIENT", "LIST"))
      .trim()
      .split("\n")) {
      const [, id = "", sub, command] = /^id=(\d+) .* sub=(\d+) .* cmd=(\S+)/.exec(line) ?? [];
      if (!command?.startsWith("client|list")) ids[sub === "0" ? "normal" : "pubsub"].push(id);
    }
    return ids;
  }

  it.each(["", "two words", "bot:1", "{bot}", "bot*", "böt", "bot\n"])(
    "refuses the namespace %j",
    async (namespace) => {
      await expect(open(server.url, namespace)).rejects.toMatchObject({
        ...{ code: "option-invalid", field: "namespace" },
        message: "A namespace consists of letters, digits, dots, hyphens and underscores.",
      });
    },
  );

  it("keeps all under its namespace, apart from others", async () => {
    const [one, again, other] = [await open(), await open(), await open(server.url, "My.bot_1-x")];
    await one.commit({ ...base, record: 1, marks: ["event"], entering: ["ada"] });
    await one.beat("ada", 0);
    expect(await one.rates?.take("key", 1, 60_000)).toBe(0);
    const limited = (await again.rates?.take("key", 1, 60_000)) ?? 0;
    expect(limited).toBeGreaterThan(50_000);
    expect(limited).toBeLessThanOrEqual(60_000);
    expect(await other.rates?.take("key", 1, 60_000)).toBe(0);
    expect(await again.read("lane")).toMatchObject({ document: 1, record: 1 });
    expect(await other.read("lane")).toMatchObject({ document: undefined, record: null });
    expect(await other.dead()).toEqual([]);
    const keys = (await server.command("KEYS", "*")) as string[];
    expect(keys.filter((key) => !/^(aparte|My\.bot_1-x)[-:]/.test(key))).toEqual([]);
    expect(keys.filter((key) => key.startsWith("aparte")).sort()).toEqual([
      ...["aparte-lane:lane", "aparte-mevent", "aparte-own:ada", "aparte-owners"],
      ...["aparte-rate:1/60000:key", "aparte::session:lane"],
    ]);
    expect(one).toMatchObject({ name: "redis", shared: true, durable: true });
  });

  it.each([
    [
      "a wrong password",
      (url: string) => url.replace("//", "//:hunter2@"),
      "Redis refuses the connection (WRONGPASS). Look at the user, the password and the database's number.",
    ],
    ["no password", (url: string) => url, ": NOAUTH. "],
    [
      "a database that there is not",
      (url: string) => `${url.replace("//", "//:right@")}/99`,
      "Redis refuses the connection (ERR). ",
    ],
  ])("is refused with %s, and leaves no connection", async (_, urlOf, message) => {
    await server.close();
    server = await RedisServer.start("--requirepass", "right");
    const failure = await open(urlOf(server.url)).catch((error: unknown) => error);
    expect(String(failure)).not.toContain("hunter2");
    expect(failure).toMatchObject({
      ...{ code: "option-invalid", field: "store" },
      message: expect.stringContaining(message),
      cause: expect.any(Error),
    });
    const connected = createClient({ url: server.url.replace("//", "//:right@") });
    closers.push(() => connected.destroy());
    await connected.connect();
    await expect
      .poll(
        async () =>
          String(await connected.sendCommand(["CLIENT", "LIST"]))
            .trim()
            .split("\n").length,
      )
      .toBe(1);
  });

  it("is opened where the server is away, fails each call meanwhile, and works when it is there", async () => {
    await server.kill();
    const store = await open(server.url, undefined, openStore);
    for (const call of [
      () => store.read("lane"),
      () => store.commit(base),
      () => store.beat("ada", 1_000),
      () => store.records.get("key"),
      () => store.records.set("key", 1),
      () => store.records.setIfAbsent("key", 1),
      () => store.listen("ada", () => {}),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "store-failed" });
    }
    await server.up();
    await expect
      .poll(() => store.commit(base).catch(({ code }) => code), { timeout: 20_000 })
      .toMatchObject({
        is: "done",
      });
    // Nothing that was given up was carried out later.
    expect(await store.records.get("key")).toBeUndefined();
    for (const what of ["connection", "connection for wakes"]) {
      expect(log.said).toContain(`warn: the ${what} to Redis is lost; it is being made again`);
      await expect.poll(() => log.said).toContain(`warn: the ${what} to Redis is back`);
    }
  });

  it("connects anew to a server that was silent for too long", async () => {
    const store = await open(server.url, undefined, openStore);
    await listens(store);
    server.freeze();
    try {
      for (const what of ["connection", "connection for wakes"]) {
        await vi.waitUntil(
          () => log.said.includes(`warn: the ${what} to Redis is lost; it is being made again`),
          {
            timeout: 30_000,
          },
        );
      }
    } finally {
      server.thaw();
    }
    await expect.poll(() => store.commit(base).catch(({ code }) => code)).toMatchObject({ is: "done" });
    await listens(store);
  });

  it("closes the connections that it made, also while they are made again", async () => {
    const store = await open();
    await listens(store);
    expect(await connections()).toMatchObject({ normal: [expect.any(String)], pubsub: [expect.any(String)] });
    await store.close();
    await expect.poll(connections).toEqual({ normal: [], pubsub: [] });
    await expect(store.read("lane")).rejects.toMatchObject({ code: "store-failed" });
    await store.close();
    const other = await open();
    await server.command("CLIENT", "KILL", "TYPE", "normal");
    await other.close();
    await expect.poll(connections).toEqual({ normal: [], pubsub: [] });
  });

  it("has Redis forget what is written if nothing is there, in its time and no earlier", async () => {
    const { records } = await open();
    expect(await records.setIfAbsent("lock", 1, 3_600_000)).toBe(true);
    const left = Number(await server.command("PTTL", "aparte::lock"));
    expect(left).toBeGreaterThan(3_000_000);
    expect(left).toBeLessThanOrEqual(3_600_000);
  });

  it("connects a client that it was given, and leaves it open", async () => {
    const given = client();
    const store = await open(given as unknown as RedisClient);
    expect(given.isReady).toBe(true);
    await listens(store);
    await store.close();
    await expect.poll(async () => (await connections()).pubsub).toEqual([]);
    expect(await given.set("key", "value")).toBe("OK");
    const again = await open(given as unknown as RedisClient);
    expect(await again.commit(base)).toMatchObject({ is: "done" });
  });

  it("makes its connections anew where the server has become a replica, and no other time", async () => {
    const store = await open();
    await listens(store);
    const before = await connections();
    await server.command("CONFIG", "SET", "maxmemory", "1");
    await expect(store.records.set("key", 1)).rejects.toMatchObject({
      code: "store-failed",
      message: "Redis refused a command (write): OOM. Its memory is full.",
    });
    await expect(store.records.setIfAbsent("key", 1)).rejects.toMatchObject({ code: "store-failed" });
    await server.command("CONFIG", "SET", "maxmemory", "0");
    expect(await connections()).toEqual(before);
    await server.command("REPLICAOF", "127.0.0.1", "1");
    const refused = await Promise.allSettled([store.commit(base), store.records.set("key", 1)]);
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "store-failed" } });
    }
    await server.command("REPLICAOF", "NO", "ONE");
    await expect.poll(connections).toEqual({ normal: [expect.any(String)], pubsub: [expect.any(String)] });
    const after = await connections();
    expect(after.normal).not.toEqual(before.normal);
    expect(after.pubsub).not.toEqual(before.pubsub);
    await expect.poll(() => store.commit(base).catch(({ code }) => code)).toMatchObject({ is: "done" });
  });

  it("is refused what it cannot keep by a Keyv whose serializer gives no text", async () => {
    const keyv = new Keyv(new KeyvRedis(client()), { serialize: () => 5 as never });
    const redis = redisOf(keyv);
    if (redis === undefined) throw new Error("It was not known as a Keyv on Redis.");
    const { store, connected } = redisStore(keyv, redis.adapter, redis.client, {
      ...{ isOwn: false, logger: log, answerMs: patientMs },
    });
    closers.push(() => store.close());
    await connected;
    await expect(store.commit({ ...base, record: 1 })).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "store" },
      message: "A Keyv on Redis needs a serializer that gives text.",
    });
    expect(await store.read(base.lane)).toMatchObject({ version: 0, record: null });
  });

  it.each(["bot:1", "session"])(
    "finds what it committed by a Keyv with the namespace %j",
    async (namespace) => {
      const keyv = new Keyv(new KeyvRedis(client()), { namespace });
      const redis = redisOf(keyv);
      if (redis === undefined) throw new Error("It was not known as a Keyv on Redis.");
      const { store, connected } = redisStore(keyv, redis.adapter, redis.client, {
        ...{ isOwn: false, logger: log, answerMs: patientMs },
      });
      closers.push(() => store.close());
      await connected;
      await store.commit({ ...base, record: { v: 1 } });
      expect(await store.records.get("session:lane")).toEqual({ v: 1 });
      // One that is damaged keeps no other from being listed.
      await store.records.set("session:bad", 1);
      const [bad = ""] = (await server.command("KEYS", "*session:bad")) as string[];
      await server.command("SET", bad, '{"value":');
      const listed: unknown[] = [];
      for await (const entry of store.records.entries("session:")) listed.push(entry);
      expect(listed).toHaveLength(2);
      expect(listed).toContainEqual(["session:lane", { v: 1 }]);
      expect(listed).toContainEqual(["session:bad", '{"value":']);
    },
  );

  it("tells of a failure in a Keyv that hid it before", async () => {
    const adapter = new KeyvRedis(client());
    const keyv = new Keyv(adapter, { namespace: "bot" });
    const redis = redisOf(keyv);
    if (redis === undefined) throw new Error("It was not known as a Keyv on Redis.");
    const { store, connected } = redisStore(keyv, redis.adapter, redis.client, {
      ...{ isOwn: false, logger: log, answerMs: patientMs },
    });
    closers.push(() => store.close());
    await connected;
    // Keyv's own prefix is within the key: who has used the Keyv so far finds all where it was.
    await store.commit({ ...base, record: { v: 1 } });
    expect(await keyv.get("session:lane")).toEqual({ v: 1 });
    expect(await server.command("KEYS", "*session*")).toEqual(["bot::bot:session:lane"]);
    await keyv.set("session:other", { v: 2 });
    expect(await store.read("other")).toMatchObject({ record: { v: 2 } });
    await server.command("CONFIG", "SET", "maxmemory", "1");
    await expect(store.records.set("key", 1)).rejects.toMatchObject({ code: "store-failed" });
    await expect(keyv.set("key", 1)).rejects.toThrow(/OOM/);
    await server.command("CONFIG", "SET", "maxmemory", "0");
    await server.command("LPUSH", "bot::bot:wrong", "1");
    await expect(store.records.get("wrong")).rejects.toMatchObject({ code: "store-failed" });
  });
});

it("A store on Redis without its package says how to have it", async () => {
  vi.doMock("@keyv/redis", () => {
    throw new Error("Cannot find package");
  });
  try {
    await expect(openStore("redis://127.0.0.1:1")).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "store", cause: expect.any(Error) },
      message: 'The Redis store needs the package "@keyv/redis". Install it: npm i @keyv/redis@5.1.6',
    });
  } finally {
    vi.doUnmock("@keyv/redis");
  }
});

describeWithRedis("A store on a Redis sentinel", () => {
  it("listens by it, and leaves it open", async () => {
    const { name, port, close } = await startRedisSentinel();
    const sentinel = createSentinel({ name, sentinelRootNodes: [{ host: "127.0.0.1", port }] });
    sentinel.on("error", () => {});
    const store = await openPatientRedis(sentinel as unknown as RedisClient, { logger: new LogLines() });
    const heard: unknown[] = [];
    // Its connection may still be on its way.
    const listen = () =>
      store
        .listen("ada", (lane) => heard.push(lane))
        .then(
          () => "listens",
          ({ code }) => code,
        );
    await expect.poll(listen, { timeout: 30_000 }).toBe("listens");
    expect(await store.commit({ ...base, wakes: ["ada"] })).toMatchObject({ is: "done", unheard: [] });
    await expect.poll(() => heard).toEqual(["lane"]);
    await store.close();
    expect(await sentinel.get("key")).toBeNull();
    await sentinel.destroy();
    await close();
  });
});

describe("A Keyv", () => {
  it("is known as one on Redis by its adapter", () => {
    const client = createClient();
    const adapter = new KeyvRedis(client);
    const redis = redisOf(new Keyv(adapter));
    expect(redis?.adapter).toBe(adapter);
    expect(redis?.client).toBe(client);
  });

  const createKeyPrefix = (key: string) => key;
  const isCluster = () => false;
  const adapters: readonly (readonly [string, unknown])[] = [
    ["a map", new Map()],
    ["nothing", null],
    ["a function", () => {}],
    ["an adapter without a client", { createKeyPrefix, isCluster }],
    ["an adapter with no client", { createKeyPrefix, isCluster, client: undefined }],
    ["an adapter with another client", { createKeyPrefix, isCluster, client: { query() {} } }],
    ["an adapter of another kind", { client: { evalSha() {} }, isCluster }],
    ["an adapter that knows no clusters", { client: { evalSha() {} }, createKeyPrefix }],
  ];
  it.each(adapters)("is known as one elsewhere with %s", (_, adapter) => {
    const keyv = new Keyv();
    Object.defineProperty(keyv, "store", { value: adapter });
    expect(redisOf(keyv)).toBeUndefined();
  });
});
