import { createCluster } from "@keyv/redis";
import type { Store } from "aparte";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { burialMs } from "../../../src/stores/store.ts";
import { LogLines } from "../../support/log-lines.ts";
import { describeWithRedis, openPatientRedis, RedisServer } from "../../support/redis.ts";

const base = { lane: "lane", version: 0, document: 1, until: 1e300 };
const options = () => ({ namespace: "bot", logger: new LogLines() });

describeWithRedis("Lanes on Redis", () => {
  let server: RedisServer;
  let store: Store;

  beforeEach(async () => {
    server = await RedisServer.start();
    store = await openPatientRedis(server.url, options());
    await server.command("FLUSHALL");
  });

  afterEach(async () => {
    await store.close();
    await server.close();
  });

  it("forget an owner a day after its end, unless it has lanes that somebody has to go on with", async () => {
    const now = Date.now();
    const long = now - burialMs - 60_000;
    const lately = now - burialMs + 60_000;
    const owners = {
      ...{ silent: long, buried: -long, "with a lane": long },
      ...{ "lately silent": lately, "lately buried": -lately, alive: now + 60_000 },
    };
    for (const [owner, score] of Object.entries(owners)) {
      await server.command("ZADD", "bot-owners", `${score}`, owner);
    }
    await store.commit({ ...base, entering: ["with a lane", "lately silent", "alive"] });
    const listed = [...(await store.dead())].sort((one, other) => one.owner.localeCompare(other.owner));
    expect(listed).toEqual([
      { owner: "lately silent", lanes: ["lane"] },
      { owner: "with a lane", lanes: ["lane"] },
    ]);
    const left = (await server.command("ZRANGE", "bot-owners", "0", "-1")) as string[];
    expect(left.sort()).toEqual(["alive", "lately buried", "lately silent", "with a lane"]);
  });

  it("of one dead owner are listed 500 at a time, any of them", async () => {
    const lanes = Array.from({ length: 600 }, (_, index) => `lane ${index}`);
    await server.command("SADD", "bot-own:ada", ...lanes);
    await store.beat("ada", 0);
    const seen = new Set<string>();
    for (let round = 0; seen.size < 600; round += 1) {
      const [dead] = await store.dead();
      expect(dead?.lanes).toHaveLength(500);
      for (const lane of dead?.lanes ?? []) seen.add(lane);
      expect(round).toBeLessThan(100);
    }
  });

  it("whose document is damaged say so, with the version by which they are replaced", async () => {
    const { version } = await store.commit(base);
    await server.command("SET", "bot-lane:lane", `${version}{"wo`);
    expect(await store.read("lane")).toMatchObject({ version, document: null });
    expect(await store.commit({ ...base, version, document: 2 })).toMatchObject({ is: "done" });
    expect(await store.read("lane")).toMatchObject({ document: 2 });
  });

  it("are kept for a moment at least, however short they are to live", async () => {
    expect(await store.commit({ ...base, ttlMs: 0 })).toMatchObject({ is: "done" });
    await expect.poll(async () => (await store.read("lane")).document).toBeUndefined();
  });

  it("say which of the owners did not hear, and which events were taken before", async () => {
    await store.listen("bob", () => {});
    const wakes = ["ada", "bob", "cid"];
    const done = await store.commit({ ...base, wakes, marks: ["b", "c"] });
    expect(done).toMatchObject({ is: "done", unheard: ["ada", "cid"] });
    const again = await store.commit({ ...base, version: done.version, marks: ["a", "b", "c"] });
    expect(again).toMatchObject({ is: "duplicate", duplicates: ["b", "c"], document: 1 });
  });

  it("can be left while the memory is full, by those who live, and nothing new is taken", async () => {
    await store.beat("ada", 1_000);
    const found = await store.commit({ ...base, document: ["runs", "waits"], entering: ["ada"] });
    await server.command("CONFIG", "SET", "maxmemory", "1");
    await expect(store.commit({ ...base, lane: "other" })).rejects.toThrow("OOM");
    await expect(store.beat("bob", 1_000)).rejects.toThrow("OOM");
    const { now, ...beat } = await store.beat("ada", 9_000);
    expect(beat).toMatchObject({ isBuried: false, until: expect.any(Number) });
    expect((await store.beat("ada", 9_000)).until).toBeGreaterThanOrEqual(now + 9_000);
    const longer = { ...base, version: found.version, document: ["runs", "waits", "waits"] };
    await expect(store.commit(longer)).rejects.toThrow("OOM");
    const next = await store.commit({ ...base, version: found.version, document: ["other"], record: "new" });
    expect(next).toMatchObject({ is: "done" });
    const end = { ...base, version: (next as typeof found).version, document: undefined, leaving: ["ada"] };
    expect(await store.commit(end)).toMatchObject({ is: "done", version: 0 });
    expect(await store.read(base.lane)).toMatchObject({ record: "new", version: 0 });
    expect(await server.command("KEYS", "bot-lane:*")).toEqual([]);
  });

  it("say which call failed", async () => {
    await store.beat("ada", 0);
    await server.command("SET", "bot-own:ada", "no set");
    await expect(store.dead()).rejects.toMatchObject({
      code: "store-failed",
      message: "Redis refused a command (list lanes): WRONGTYPE. Look at its log.",
    });
    await server.command("SET", "bot-owners", "no set");
    await expect(store.beat("ada", 0)).rejects.toMatchObject({ message: expect.stringContaining("(beat)") });
  });
});

describeWithRedis("Lanes on a cluster of Redis", () => {
  let server: RedisServer;
  let store: Store;
  let client: ReturnType<typeof createCluster>;

  // It takes two seconds until it says that it is one.
  beforeAll(async () => {
    server = await RedisServer.start("--cluster-enabled", "yes");
    await server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    const info = () => server.command("CLUSTER", "INFO");
    await vi.waitUntil(async () => String(await info()).includes("cluster_state:ok"), 20_000);
  });

  beforeEach(async () => {
    await server.command("FLUSHALL");
    client = createCluster({ rootNodes: [{ url: server.url }] });
    store = await openPatientRedis(client as never, options());
  });

  afterEach(async () => {
    await store.close();
    client.destroy();
  });

  afterAll(() => server.close());

  const listOf = (owner: string) => server.command("SMEMBERS", `bot-own:${owner}`);

  it("keep what belongs to a lane together, and the lists of owners elsewhere", async () => {
    await store.commit({ ...base, marks: ["event"], record: 1, entering: ["ada"] });
    const keys = (await server.command("KEYS", "*")) as string[];
    expect(keys.sort()).toEqual([
      ...["bot-lane:{bot::session:lane}", "bot-m{bot::session:lane}event", "bot-own:ada"],
      ...["bot-owners", "bot::session:lane"],
    ]);
  });

  it("are listed before a commit, and no longer after one that was done", async () => {
    const { version } = await store.commit({ ...base, entering: ["ada", "bob"] });
    expect([await listOf("ada"), await listOf("bob")]).toEqual([["lane"], ["lane"]]);
    const refused = await store.commit({ ...base, entering: ["cid"], leaving: ["ada"] });
    expect(refused).toMatchObject({ is: "changed", version });
    // One too many is looked at by who takes over; one too few is lost.
    expect([await listOf("ada"), await listOf("cid")]).toEqual([["lane"], ["lane"]]);
    await store.commit({ ...base, version, leaving: ["ada", "cid"] });
    expect([await listOf("ada"), await listOf("bob"), await listOf("cid")]).toEqual([[], ["lane"], []]);
  });

  it("stay as they are where they cannot be listed: nobody would find them", async () => {
    await server.command("SET", "bot-own:ada", "no set");
    await expect(store.commit({ ...base, entering: ["ada"] })).rejects.toMatchObject({
      code: "store-failed",
      message: "Redis refused a command (list a lane): WRONGTYPE. Look at its log.",
    });
    expect(await store.read("lane")).toMatchObject({ version: 0, document: undefined });
  });

  it("are found with their dead owner, and wake the others", async () => {
    const heard: unknown[] = [];
    const end = await store.listen("bob", (lane) => heard.push(lane));
    await store.beat("ada", 0);
    expect(await store.commit({ ...base, entering: ["ada"], wakes: ["bob", "cid"] })).toMatchObject({
      is: "done",
      unheard: ["cid"],
    });
    await expect.poll(() => heard).toEqual(["lane"]);
    expect(await store.dead()).toEqual([{ owner: "ada", lanes: ["lane"] }]);
    await server.command("SCRIPT", "FLUSH");
    expect(await store.read("lane")).toMatchObject({ document: 1 });
    end();
    await expect.poll(() => server.command("PUBSUB", "CHANNELS")).toEqual([]);
  });

  it("are listened to no more when the store is closed, and the client goes on", async () => {
    await store.listen("ada", () => {});
    await store.listen("bob", () => {});
    expect(await server.command("PUBSUB", "CHANNELS")).toHaveLength(2);
    await store.close();
    expect(await server.command("PUBSUB", "CHANNELS")).toEqual([]);
    expect(await client.get("key")).toBeNull();
  });
});
