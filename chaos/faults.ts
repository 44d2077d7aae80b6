import { setTimeout as sleep } from "node:timers/promises";
import type { Bots } from "./bots.ts";
import { seconds, sinceStart } from "./clock.ts";
import type { FaultLog } from "./fault-log.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./platforms/platform.ts";
import { Random } from "./random.ts";
import type { StoreFaults } from "./store-faults.ts";

export interface FaultOptions {
  readonly bots: Bots;
  readonly ledger: Ledger;
  readonly platforms: ReadonlyMap<string, Platform>;
  readonly store: StoreFaults;
  readonly leaseMs: number;
  readonly runMs: number;
  /** The end of the run. */
  readonly until: number;
  readonly seed: number;
  readonly log: FaultLog;
}

/** How many new posts there are between two deaths: on a slow machine no turn dies again and again, which ends it. */
const postsPerDeath = 12;

/** Breaks everything now and then, until the end of the run. Resolves when everything is whole again. */
export async function breakThings(options: FaultOptions): Promise<void> {
  const { bots, ledger, platforms, store, leaseMs, runMs, until, seed, log } = options;
  /** One kind of fault, again and again: a pause, then the fault, which ends by itself. */
  const again = async (
    name: string,
    [least, most]: readonly [number, number],
    fault: (random: Random) => unknown,
  ) => {
    const random = new Random(seed, name);
    // Each comes at least once in a short run, too.
    let longest = Math.min(most, runMs / 3);
    for (;;) {
      const pause = random.between(Math.min(least, longest), longest);
      longest = most;
      if (sinceStart() + pause > until) return;
      await sleep(pause);
      await fault(random);
    }
  };
  let postsAtDeath = 0;
  const mayDie = () => {
    if (ledger.posts.size < postsAtDeath + postsPerDeath) return false;
    postsAtDeath = ledger.posts.size;
    return true;
  };
  await Promise.all([
    again("kills", [3_000, 9_000], (random) => {
      const bot = random.index(bots.count);
      if (!mayDie()) return;
      if (random.chance(0.8)) return bots.kill(bot);
      return void bots.deploy(bot, 20_000);
    }),
    again("freezes", [2_000, 8_000], async (random) => {
      const ms =
        random.chance(0.6) || !mayDie()
          ? random.between(100, 0.7 * leaseMs)
          : random.between(1.2 * leaseMs, 2.5 * leaseMs);
      const over = store.isLockedByBots ? store.troubles.begin() : undefined;
      await bots.freeze(random.index(bots.count), ms, leaseMs);
      over?.();
    }),
    ...store.faults.map(({ name, pause, cause }) => again(name, pause, cause)),
    ...[...platforms].map(([name, { outage }]) =>
      again(`outages of ${name}`, [5_000, 50_000], async (random) => {
        const chosen = random.chance(0.5) ? random.between(500, 5_000) : random.between(5_000, 30_000);
        // No longer than a short run has room for.
        const ms = Math.min(chosen, runMs / 4);
        log.note(`${name} is away for ${seconds(ms)}`);
        outage.isOn = true;
        await sleep(ms);
        outage.isOn = false;
      }),
    ),
  ]);
}
