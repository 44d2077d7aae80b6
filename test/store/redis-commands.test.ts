import { EventEmitter, once } from "node:events";
import { createClient } from "@keyv/redis";
import { type AskCall, SessionMapper } from "aparte";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStore } from "../../src/stores/open.ts";
import { until } from "../../src/testing/runner.ts";
import { describeWithRedis, RedisServer } from "../redis.ts";

const quiet = { info() {}, warn() {}, error() {} };

/** What clients send to a server, as it tells: not what scripts call within, and no pings. */
async function watch(server: RedisServer) {
  const commands: string[] = [];
  const news = new EventEmitter();
  const client = createClient({ url: server.url });
  await client.connect();
  await client.monitor((line) => {
    const [, place, command = ""] = /\[\d+ (\S+)\] "([^"]+)"/.exec(String(line)) ?? [];
    if (place === "lua" || /^ping$/i.test(command)) return;
    const text = String(line);
    commands.push(/echo/i.test(command) ? (/"asked"/.test(text) ? "asked" : "mark") : command.toUpperCase());
    news.emit("news");
  });
  return {
    /** The commands since the last call, when `count` of them are there. */
    async take(count: number): Promise<string[]> {
      while (commands.length < count) await once(news, "news");
      return commands.splice(0);
    },
    close: () => client.destroy(),
  };
}

describeWithRedis("A warm turn on Redis", () => {
  let server: RedisServer;
  let marker: ReturnType<typeof createClient>;
  let mapper: SessionMapper;
  let monitor: Awaited<ReturnType<typeof watch>>;

  beforeEach(async () => {
    server = await RedisServer.start();
    marker = createClient({ url: server.url });
    await marker.connect();
    const agent = {
      name: "test",
      open: async () => "c1",
      async *ask({ text, note }: AskCall) {
        await marker.sendCommand(["ECHO", "asked"]);
        if (text === "long") {
          note?.({ chat: "1" });
          await monitor
            .take(3)
            .then((seen) => expect(seen).toEqual(["EVALSHA", "asked", expect.any(String)]));
        }
        yield { type: "message", text: "ok" } as const;
      },
    };
    mapper = new SessionMapper({
      agents: { helper: agent },
      store: await openStore(server.url, { logger: quiet }),
      secret: "a secret of the tests, long enough",
      logger: quiet,
      // No renewal comes between.
      leaseTime: 600_000,
    });
  });

  afterEach(async () => {
    await mapper.close();
    monitor.close();
    marker.destroy();
    await server.close();
  });

  /** From now on, when the turns before have ended. */
  async function startMonitor(): Promise<void> {
    await until("all turns have ended", async () =>
      ((await marker.sendCommand(["KEYS", "aparte-lane:*"])) as string[]).length === 0 ? true : undefined,
    );
    monitor = await watch(server);
  }

  it("takes one command before the agent is asked and one after, or two if it runs long", async () => {
    const says = (id: string, text: string) =>
      mapper.handle({ platform: "web", tenant: "t", user: "ada", id, text }).text();
    await says("m1", "the first");
    await says("m2", "the second");
    await startMonitor();
    for (const id of ["m3", "m4", "m5"]) {
      await says(id, "short");
      expect(await monitor.take(3)).toEqual(["EVALSHA", "asked", "EVALSHA"]);
    }
    await says("m6", "long");
    expect(await monitor.take(1)).toEqual(["EVALSHA"]);
  });

  it("takes one command before the agent is asked and two after, where an adapter posts a draft", async () => {
    mapper.connect({
      platform: "chat",
      async deliver(_, reply) {
        for await (const event of reply) if (event.type === "message") reply.posted({ post: 1 });
        // A call of the platform's.
        await marker.sendCommand(["ECHO", "mark"]);
      },
    });
    const says = (id: string) =>
      mapper.receive({ platform: "chat", tenant: "t", user: "ada", id, text: "short" });
    expect(await says("m1")).toBe(true);
    await startMonitor();
    // The scripts that the first turn did not need are sent in full, once.
    for (const [id, script] of [
      ["m2", /^EVAL(SHA)?$/],
      ["m3", /^EVALSHA$/],
    ] as const) {
      expect(await says(id)).toBe(true);
      const seen = await monitor.take(5);
      expect(seen.slice(0, 2)).toEqual(["EVALSHA", "asked"]);
      expect(seen.filter((command) => script.test(command))).toHaveLength(3);
      expect(seen).toContain("mark");
    }
  });
});
