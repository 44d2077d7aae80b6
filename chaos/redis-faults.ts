import { setTimeout as sleep } from "node:timers/promises";
import { TcpProxy } from "../test/fakes/tcp-proxy.ts";
import { RedisServer } from "../test/support/redis-server.ts";
import { seconds } from "./clock.ts";
import type { FaultLog } from "./fault-log.ts";
import type { Random } from "./random.ts";
import { type StoreFaults, Troubles } from "./store-faults.ts";

/** A Redis server, and for each bot a proxy on its way to it. */
export async function startRedis(bots: number, leaseMs: number, log: FaultLog): Promise<StoreFaults> {
  const server = await RedisServer.start();
  const proxies = await Promise.all(Array.from({ length: bots }, () => TcpProxy.start(server.port)));
  const troubles = new Troubles();
  const counts = {
    cuts: 0,
    halfCloses: 0,
    swallowed: 0,
    delays: 0,
    partitions: 0,
    outages: 0,
    longOutages: 0,
  };
  const awayMs = (random: Random) =>
    random.chance(0.7) ? random.between(1_000, 3_000) : random.between(1.2 * leaseMs, 2.5 * leaseMs);

  const oneConnection = async (random: Random) => {
    const bot = random.index(bots);
    const proxy = proxies[bot];
    if (proxy === undefined) return;
    const over = troubles.begin(bot);
    const chosen = random.next();
    if (chosen < 0.3) {
      counts.cuts += 1;
      log.note(`the connections of bot ${bot} to the store are cut`);
      proxy.cut();
    } else if (chosen < 0.4) {
      counts.halfCloses += 1;
      log.note(`the connections of bot ${bot} to the store are half-closed`);
      proxy.halfClose(random.pick(["client", "server"]));
    } else if (chosen < 0.7) {
      // Requests go through, and nobody hears what became of them.
      counts.swallowed += 1;
      const ms = random.between(5, 800);
      log.note(
        `the store's answers to bot ${bot} are swallowed for ${seconds(ms)}, then its connections are cut`,
      );
      proxy.isSwallowing = true;
      await sleep(ms);
      proxy.cut();
      proxy.isSwallowing = false;
    } else if (chosen < 0.9) {
      counts.delays += 1;
      const most = random.pick([20, 100, 400]);
      log.note(`bot ${bot} and the store hear each other up to ${most} ms later`);
      proxy.delay = () => random.between(0, most);
      await sleep(random.between(500, 4_000));
      proxy.delay = () => 0;
    } else {
      counts.partitions += 1;
      const ms = awayMs(random);
      log.note(`bot ${bot} is without the store for ${seconds(ms)}`);
      proxy.isDown = true;
      proxy.cut();
      await sleep(ms);
      proxy.isDown = false;
    }
    // A client needs a moment to be connected again.
    void sleep(1_000).then(over);
  };

  const wholeServer = async (random: Random) => {
    const ms = awayMs(random);
    counts.outages += 1;
    if (ms > leaseMs) counts.longOutages += 1;
    const over = troubles.begin();
    log.note(`the store is away for ${seconds(ms)}`);
    if (random.chance(0.5)) {
      server.freeze();
      await sleep(ms);
      server.thaw();
    } else {
      await server.kill();
      await sleep(ms);
      await server.up();
    }
    void sleep(1_000).then(over);
  };

  return {
    url: (bot) => `redis://127.0.0.1:${proxies[bot]?.port}`,
    faults: [
      { name: "connections to the store", pause: [500, 3_000], cause: oneConnection },
      { name: "outages of the store", pause: [8_000, 30_000], cause: wholeServer },
    ],
    isLockedByBots: false,
    troubles,
    counts: () => ({
      ...{ "connections cut": counts.cuts, "half-closed": counts.halfCloses },
      ...{ "answers swallowed": counts.swallowed, "delayed for a while": counts.delays },
      ...{ "one bot without the store": counts.partitions },
      ...{ "outages of the store": counts.outages, "longer than the lease": counts.longOutages },
    }),
    async close() {
      for (const proxy of proxies) await proxy.close();
      await server.close();
    },
  };
}
