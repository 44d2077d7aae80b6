import type { Store } from "aparte";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LogLines } from "../../support/log-lines.ts";
import { describeWithRedis, openPatientRedis, RedisServer } from "../../support/redis.ts";

const evicts = "warn: Redis drops conversations when its memory is full; set maxmemory-policy to noeviction";
const drops =
  "warn: Redis forgets which messages it had when its memory is full, and they may run twice; set maxmemory-policy to noeviction";
const forgets = "warn: Redis may forget conversations and messages when it restarts; set appendonly to yes";

describeWithRedis("A Redis server that is looked at when the store is opened", () => {
  let server: RedisServer;
  let log: LogLines;
  let stores: Store[];

  beforeEach(() => {
    log = new LogLines();
    stores = [];
  });

  afterEach(async () => {
    for (const store of stores) await store.close();
    await server.close();
  });

  async function open(url = server.url): Promise<Store> {
    const store = await openPatientRedis(url, { logger: log, namespace: "bot" });
    stores.push(store);
    return store;
  }

  it.each([
    [["--maxmemory-policy", "noeviction"], []],
    [["--maxmemory-policy", "volatile-lru"], [drops]],
    [["--maxmemory-policy", "volatile-ttl"], [drops]],
    [["--maxmemory-policy", "allkeys-lfu"], [evicts]],
    [["--appendonly", "no"], [forgets]],
    [
      ["--maxmemory-policy", "allkeys-random", "--appendonly", "no"],
      [evicts, forgets],
    ],
  ] as const)(
    "is warned of where it would forget conversations or messages: %j",
    async (options, warnings) => {
      server = await RedisServer.start(...options);
      await open();
      expect(log.said).toEqual(warnings);
    },
  );

  it("has nothing of it afterwards, and is looked at alike by who comes next", async () => {
    server = await RedisServer.start();
    for (let copy = 0; copy < 3; copy += 1) {
      await open();
      expect(await server.command("KEYS", "*")).toEqual(["bot-owners"]);
    }
    expect(await server.command("PUBSUB", "CHANNELS")).toEqual([]);
  });

  it("is refused where it is a replica", async () => {
    server = await RedisServer.start("--replicaof", "127.0.0.1", "1");
    await expect(open()).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "store" },
      message: expect.stringMatching(/^Redis does not allow signs of life: READONLY\. /),
    });
    await expect.poll(() => connections()).toBe(1);
  });

  it("is not refused where it is busy with a script of somebody else: it is there later", async () => {
    server = await RedisServer.start("--lua-time-limit", "1");
    const endless = server.command("EVAL", "while true do end", "0").catch(() => {});
    const answer = () => server.command("PING").catch((error: Error) => error.message.split(" ", 1)[0]);
    await expect.poll(answer).toBe("BUSY");
    const store = await open();
    await server.command("SCRIPT", "KILL");
    await endless;
    expect(await store.beat("ada", 1_000)).toMatchObject({ isBuried: false });
  });

  /** Those that somebody has to the server, with the one that asks. */
  async function connections(): Promise<number> {
    return String(await server.command("CLIENT", "LIST"))
      .trim()
      .split("\n").length;
  }

  const enough = "~bot* &bot-wake:* +@read +@write +@connection +@pubsub +@scripting +time +info";

  async function asUser(rights: string): Promise<string> {
    await server.command("ACL", "SETUSER", "ada", "reset", "on", ">pw", ...rights.split(" "));
    return server.url.replace("//", "//ada:pw@");
  }

  it.each([
    ["listening to a channel", "NOPERM", enough.replace("&bot-wake:*", "&other:*")],
    ["listening to a channel", "NOPERM", enough.replace("+@pubsub", "+publish")],
    ["signs of life", "NOPERM", enough.replace("~bot*", "~other*")],
    ["signs of life", "NOPERM", enough.replace("+@scripting ", "")],
    ["signs of life", "ERR", enough.replace("+time ", "")],
    ["writing, scripts and waking", "ERR", enough.replace("+@pubsub", "+subscribe +unsubscribe")],
    ["writing, scripts and waking", "NOPERM", enough.replace("~bot*", "~bot-owners ~bot::*")],
  ])("is refused where its user may not do what is needed for %s: %s (%s)", async (what, word, rights) => {
    server = await RedisServer.start();
    await expect(open(await asUser(rights))).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "store" },
      message: `Redis does not allow ${what}: ${word}. Its user needs: ${enough}`,
    });
  });

  it("names the rights that are enough", async () => {
    server = await RedisServer.start();
    const store = await open(await asUser(enough));
    await store.records.set("token", "t", 1_000);
    await store.beat("bob", 1_000);
    await store.listen("bob", () => {});
    const wakes = ["bob", "nobody"];
    const commit = { ...{ lane: "lane", version: 0, document: 1, record: 1, wakes }, until: 1e300 };
    expect(await store.commit({ ...commit, entering: ["bob"] })).toMatchObject({
      is: "done",
      unheard: ["nobody"],
    });
    expect(await store.rates?.take("key", 1, 1_000)).toBe(0);
    expect(await store.dead()).toEqual([]);
    const listed: string[] = [];
    for await (const [key] of store.records.entries("")) listed.push(key);
    expect(listed.sort()).toEqual(["session:lane", "token"]);
    expect(log.said).toEqual([]);
  });

  it("is warned of where its settings may not be looked at", async () => {
    server = await RedisServer.start("--appendonly", "no");
    await open(await asUser(enough.replace(" +info", "")));
    expect(log.said).toEqual(["warn: the settings of Redis could not be looked at"]);
  });
});
