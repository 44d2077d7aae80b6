import { createClient } from "@keyv/redis";
import { openStore, type Store } from "aparte";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RedisClient } from "../../../src/stores/redis/client.ts";
import { RedisListener } from "../../../src/stores/redis/listener.ts";
import { LogLines } from "../../support/log-lines.ts";
import { describeWithRedis, openPatientRedis, RedisServer } from "../../support/redis.ts";

describeWithRedis("Listening on Redis", () => {
  let server: RedisServer;
  let store: Store;
  let heard: (string | undefined)[];
  let next: PromiseLike<void> & { again(): void };

  beforeEach(async () => {
    server = await RedisServer.start();
    store = await openPatientRedis(server.url, { namespace: "bot", logger: new LogLines() });
    heard = [];
    let resolve = () => {};
    let promise: Promise<void>;
    const again = () => {
      promise = new Promise((done) => {
        resolve = done;
      });
    };
    again();
    // biome-ignore lint/suspicious/noThenProperty: what it waits for is another promise each time
    next = { again, then: (done, failed) => promise.then(done, failed) };
    wake = (lane) => {
      heard.push(lane);
      resolve();
    };
  });
  let wake: (lane: string | undefined) => void;

  afterEach(async () => {
    await store.close();
    await server.close();
  });

  const tell = (owner: string, lane: string) => server.command("PUBLISH", `bot-wake:${owner}`, lane);

  it("hears what its owner is told, and no other's", async () => {
    await store.listen("ada", wake);
    expect(await tell("bob", "other")).toBe(0);
    expect(await tell("ada", "lane")).toBe(1);
    await next;
    expect(heard).toEqual(["lane"]);
  });

  it("hears nothing more when it has ended, and ends once", async () => {
    const others: (string | undefined)[] = [];
    const end = await store.listen("ada", wake);
    await store.listen("bob", (lane) => others.push(lane));
    end();
    end();
    await expect.poll(() => tell("ada", "late")).toBe(0);
    await tell("bob", "lane");
    await expect.poll(() => others).toEqual(["lane"]);
    expect(heard).toEqual([]);
  });

  it("goes on for who begins while another one ends", async () => {
    const end = await store.listen("ada", () => heard.push("of the one before"));
    await store.listen("ada", wake);
    end();
    // Behind what ends the one before, on the same connection.
    await store.listen("bob", () => {});
    expect(await tell("ada", "lane")).toBe(1);
    await next;
    expect(heard).toEqual(["lane"]);
  });

  it.each(["pubsub", "normal"])(
    "is told that it may have missed something when its %s connection broke",
    async (type) => {
      await store.listen("ada", wake);
      await server.command("CLIENT", "KILL", "TYPE", type, "SKIPME", "yes");
      await next;
      expect(heard).toEqual([undefined]);
      await expect.poll(() => tell("ada", "lane")).toBe(1);
      await expect.poll(() => heard).toContain("lane");
    },
  );

  it("is told nothing of that when it has ended", async () => {
    const end = await store.listen("ada", () => heard.push("of one that ended"));
    await store.listen("bob", wake);
    end();
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    await next;
    expect(heard).toEqual([undefined]);
  });

  it("cannot begin while the connection is away, says so at once, and can when it is back", async () => {
    await store.listen("bob", wake);
    await server.kill();
    const listen = () =>
      store
        .listen("ada", () => {})
        .then(
          () => "listens",
          ({ code, message }) => `${code}: ${message}`,
        );
    await expect.poll(listen).toBe("store-failed: The connection to Redis is being made again.");
    await server.up();
    await next;
    await expect.poll(listen, { timeout: 20_000 }).toBe("listens");
    await expect.poll(() => tell("ada", "lane")).toBeGreaterThan(0);
  });

  it("begins as soon as a connection that is still being made is there", async () => {
    const client = createClient({ url: server.url }) as unknown as RedisClient;
    const listener = new RedisListener(client, client, client.connect(), 60_000);
    try {
      await listener.listen("bot-wake:ada", wake);
      expect(await tell("ada", "lane")).toBe(1);
      await next;
      expect(heard).toEqual(["lane"]);
    } finally {
      client.destroy();
    }
  });

  it("waits for the server as long as it may take to answer", async () => {
    const client = createClient({ url: server.url }) as unknown as RedisClient;
    const listener = new RedisListener(client, client, client.connect(), 60_000);
    try {
      await listener.listen("bot-wake:bob", () => {});
      server.freeze();
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const listening = listener.listen("bot-wake:ada", wake);
      await vi.advanceTimersByTimeAsync(59_999);
      vi.useRealTimers();
      server.thaw();
      await listening;
      expect(await tell("ada", "lane")).toBe(1);
    } finally {
      vi.useRealTimers();
      server.thaw();
      client.destroy();
    }
  });

  it("that was given up ends when it comes to be, and goes on for who tried again meanwhile", async () => {
    const client = createClient({ url: server.url });
    client.on("error", () => {});
    const given = await openStore(client as unknown as RedisClient, {
      namespace: "bot",
      logger: new LogLines(),
    });
    const late = { code: "store-timeout" };
    try {
      const listens = (owner: string) => given.listen(owner, wake).then(Boolean, () => false);
      await vi.waitUntil(() => listens("bob"), 30_000);
      server.freeze();
      const givenUp = ["ada", "cid"].map((owner) => given.listen(owner, () => heard.push("late")));
      for (const call of givenUp) await expect(call).rejects.toMatchObject(late);
      const again = listens("ada");
      server.thaw();
      if (!(await again)) await vi.waitUntil(() => listens("ada"), 30_000);
      await expect.poll(() => tell("cid", "lane")).toBe(0);
      expect(await tell("ada", "lane")).toBe(1);
      await next;
      expect(heard).toEqual(["lane"]);
    } finally {
      server.thaw();
      await given.close();
      client.destroy();
    }
  });
});
