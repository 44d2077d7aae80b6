import { randomUUID } from "node:crypto";
import KeyvRedis, { createClient, createCluster, createSentinel } from "@keyv/redis";
import { Keyv } from "keyv";
import { afterAll, describe, expect, it } from "vitest";
import type { Store } from "../../src/stores/old-store.ts";
import { openStore } from "../../src/stores/open.ts";
import { redisOf, redisStore } from "../../src/stores/redis/index.ts";
import type { OpenedStore } from "../../src/testing/opened-store.ts";
import { storeContract } from "../../src/testing/store.ts";
import { describeOnRedis, describeWithRedis, startRedisCluster, startRedisSentinel } from "../redis.ts";

const logger = { info() {}, warn() {}, error() {} };

interface Connection {
  connect(): Promise<unknown>;
  destroy(): unknown;
}

/** A store of its own on a server that all tests share. */
async function opened(
  open: (namespace: string, connect: <T extends Connection>(client: T) => T) => Promise<Store>,
): Promise<OpenedStore> {
  namespace = `test-${randomUUID()}`;
  const own = namespace;
  const stores: Store[] = [];
  const clients: Connection[] = [];
  const again = async () => {
    const store = await open(own, (client) => {
      clients.push(client);
      return client;
    });
    stores.push(store);
    return store;
  };
  const close = async () => {
    for (const store of stores) await store.close();
    for (const client of clients) client.destroy();
  };
  return { store: await again(), again, close };
}

/** Of the store that was opened last. */
let namespace: string;

/** Puts something in the place of a record that cannot be read as one, and the record back. */
async function breakRecord(url: string, isBroken: boolean): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  const key = `${namespace}::session:lane`;
  if (isBroken) {
    await client.rename(key, `${key}:away`);
    await client.lPush(key, "broken");
  } else await client.rename(`${key}:away`, key);
  client.destroy();
}

const traits = { shared: true, durable: true };

describeOnRedis("Redis", (url) => {
  storeContract(
    { describe, it },
    {
      ...{ name: "on Redis", ...traits },
      open: () => opened(async (namespace) => openStore(await url(), { namespace, logger })),
      breakReads: async (_, isBroken) => breakRecord(await url(), isBroken),
    },
  );

  storeContract(
    { describe, it },
    {
      ...{ name: "on a Keyv made with @keyv/redis", ...traits },
      open: () =>
        opened(async (namespace, connect) => {
          const client = connect(createClient({ url: await url() }));
          const keyv = new Keyv(new KeyvRedis(client), { namespace });
          const redis = redisOf(keyv);
          if (redis === undefined) throw new Error("It was not known as a Keyv on Redis.");
          return redisStore(keyv, redis.adapter, redis.client, { isOwn: false, logger }).store;
        }),
    },
  );

  it("keeps ordinary Keyv records under the documented namespace", async () => {
    const store = await openStore(await url(), { namespace: "aparte-records", logger });
    const keyv = new Keyv(new KeyvRedis(await url()), { namespace: "aparte-records", useKeyPrefix: false });
    const lanes = store.join({
      ...{ id: randomUUID(), leaseMs: 10_000 },
      ...{ granted() {}, merged() {}, taken() {}, interrupted() {} },
    });
    const lane = randomUUID();
    const speaker = { scope: "user", platform: "test", tenant: "t", user: "ü" } as const;
    const record = { v: 1, speaker, conversations: { helper: { id: "c1" } } } as const;
    const begun = await lanes.begin({
      ...{ lane, key: "1", overlap: "queue", mergeKey: "", limit: 1, body: {} },
    });
    if (begun.is !== "run") throw new Error("A free lane was not given.");
    await lanes.end(begun.grant, record);
    expect(await keyv.get(`session:${lane}`)).toEqual(record);
    await keyv.set(`session:${lane}`, { ...record, agent: "chosen elsewhere" });
    expect(await store.records.get(`session:${lane}`)).toEqual({ ...record, agent: "chosen elsewhere" });
    await keyv.disconnect();
    await store.close();
  });

  it("leaves nothing of a turn that has ended but its event, which is forgotten in time", async () => {
    const own = `test-${randomUUID()}`;
    const store = await openStore(await url(), { namespace: own, logger });
    const lanes = store.join({
      ...{ id: randomUUID(), leaseMs: 10_000 },
      ...{ granted() {}, merged() {}, taken() {}, interrupted() {} },
    });
    const begun = await lanes.begin({
      ...{ lane: "lane", key: "1", overlap: "queue", mergeKey: "", limit: 1, body: { text: "secret words" } },
    });
    if (begun.is !== "run") throw new Error("A free lane was not given.");
    await lanes.end(begun.grant);
    const client = createClient({ url: await url() });
    await client.connect();
    const keys = await client.keys(`${own}*`);
    expect(keys.map((key) => key.replace(/:[^:]{22}$/, ":EVENT")).sort()).toEqual([
      `${own}-owners`,
      `${own}-seen:{${own}::session:lane}:EVENT`,
    ]);
    const seen = keys.find((key) => key.includes("-seen:")) ?? "";
    const day = 24 * 60 * 60_000;
    expect(await client.pTTL(seen)).toBeGreaterThan(day - 60_000);
    client.destroy();
    await store.close();
  });
});

describeWithRedis("Redis Cluster", () => {
  let cluster: ReturnType<typeof startRedisCluster> | undefined;
  afterAll(async () => (await cluster)?.close());

  storeContract(
    { describe, it },
    {
      ...{ name: "on Redis Cluster", ...traits },
      open: () =>
        opened(async (namespace, connect) => {
          cluster ??= startRedisCluster();
          const rootNodes = (await cluster).urls.map((url) => ({ url }));
          const client = connect(createCluster({ rootNodes }));
          return openStore(client, { namespace, logger });
        }),
    },
  );
});

describeWithRedis("Redis Sentinel", () => {
  let sentinel: ReturnType<typeof startRedisSentinel> | undefined;
  afterAll(async () => (await sentinel)?.close());

  storeContract(
    { describe, it },
    {
      ...{ name: "on Redis Sentinel", ...traits },
      open: () =>
        opened(async (namespace, connect) => {
          sentinel ??= startRedisSentinel();
          const { name, port } = await sentinel;
          const client = connect(createSentinel({ name, sentinelRootNodes: [{ host: "127.0.0.1", port }] }));
          return openStore(client, { namespace, logger });
        }),
    },
  );
});
