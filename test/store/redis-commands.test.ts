import { EventEmitter, once } from "node:events";
import { createClient } from "@keyv/redis";
import { type AskCall, SessionMapper } from "aparte";
import { expect, it } from "vitest";
import { openStore } from "../../src/store/open.ts";
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
  it("takes one command before the agent is asked and one after, or two if it runs long", async () => {
    const server = await RedisServer.start();
    const marker = createClient({ url: server.url });
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
    const mapper = new SessionMapper({
      agents: { helper: agent },
      store: await openStore(server.url, { logger: quiet }),
      secret: "a secret of the tests, long enough",
      logger: quiet,
      // No renewal comes between.
      leaseTime: 600_000,
    });
    const says = (id: string, text: string) =>
      mapper.handle({ platform: "web", tenant: "t", user: "ada", id, text }).text();
    await says("m1", "the first");
    await says("m2", "the second");
    const monitor = await watch(server);
    // Those before it have ended, and their commands are not counted.
    await marker.sendCommand(["ECHO", "mark"]);
    await monitor.take(1);
    for (const id of ["m3", "m4", "m5"]) {
      await says(id, "short");
      expect(await monitor.take(3)).toEqual(["EVALSHA", "asked", "EVALSHA"]);
    }
    await says("m6", "long");
    expect(await monitor.take(1)).toEqual(["EVALSHA"]);
    await mapper.close();
    monitor.close();
    marker.destroy();
    await server.close();
  });
});
