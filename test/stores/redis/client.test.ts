import { createClient } from "@keyv/redis";
import { describe, expect, it } from "vitest";
import { firstWord, type RedisClient, watchConnection } from "../../../src/stores/redis/client.ts";
import { LogLines } from "../../support/log-lines.ts";
import { describeWithRedis, RedisServer } from "../../support/redis.ts";

interface Emitter {
  once(event: string, heard: (value: unknown) => void): unknown;
}

const next = (client: unknown, event: string) =>
  new Promise<unknown>((resolve) => {
    (client as Emitter).once(event, resolve);
  });

describe("The first word of what Redis answered", () => {
  it.each([
    ["READONLY You can't write against a read only replica.", "READONLY"],
    ["-NOPERM this user has no permissions", "NOPERM"],
    ["OOM", "OOM"],
    ["ERR DB index is out of range", "ERR"],
    ["X25: a made-up one", "X25"],
    ["OK is too short", undefined],
    ["Ready", undefined],
    ["READONLYish", undefined],
    ["connect ECONNREFUSED 127.0.0.1:6379", undefined],
    ["it said READONLY", undefined],
    ["--ERR", undefined],
    ["1ERR", undefined],
    ["", undefined],
  ])("of %j is %j", (message, word) => {
    expect(firstWord(new Error(message))).toBe(word);
    expect(firstWord(message)).toBeUndefined();
    expect(firstWord({ message })).toBeUndefined();
  });

  it("is none of nothing", () => {
    for (const nothing of [undefined, null, 1]) expect(firstWord(nothing)).toBeUndefined();
  });
});

describeWithRedis("A connection to Redis that is watched", () => {
  it("is told as lost once, and as back once, each time", async () => {
    const server = await RedisServer.start();
    const client = createClient({ url: server.url, socket: { reconnectStrategy: 5 } });
    const log = new LogLines();
    watchConnection(client as unknown as RedisClient, "connection", log);
    await client.connect();
    expect(log.lines).toEqual([]);
    const lost = "warn: the connection to Redis is lost; it is being made again";
    const back = "warn: the connection to Redis is back";
    try {
      for (const times of [1, 2]) {
        const first = next(client, "error");
        await server.kill();
        await first;
        // Those of attempts to make it again.
        for (let more = 0; more < 3; more += 1) await next(client, "error");
        expect(log.said).toEqual([
          ...Array(times - 1)
            .fill([lost, back])
            .flat(),
          lost,
        ]);
        const ready = next(client, "ready");
        await server.up();
        await ready;
        expect(log.said).toEqual(Array(times).fill([lost, back]).flat());
      }
      expect(log.lines[0]?.fields).not.toHaveProperty("redis");
      expect(log.lines[0]?.fields).toHaveProperty("error");
    } finally {
      client.destroy();
      await server.close();
    }
  });

  it("is told with the server's word where it refuses, and without the password", async () => {
    const server = await RedisServer.start("--requirepass", "the right one");
    const url = server.url.replace("//", "//:hunter2@");
    const client = createClient({ url, socket: { reconnectStrategy: 5 } });
    const log = new LogLines();
    watchConnection(client as unknown as RedisClient, "connection for wakes", log);
    const refused = next(client, "error");
    void client.connect().catch(() => {});
    try {
      await refused;
      await next(client, "error");
      expect(log.said).toEqual(["warn: the connection for wakes to Redis is lost; it is being made again"]);
      expect(log.lines[0]?.fields).toMatchObject({ redis: "WRONGPASS" });
      expect(JSON.stringify(log.lines)).not.toContain("hunter2");
    } finally {
      client.destroy();
      await server.close();
    }
  });
});
