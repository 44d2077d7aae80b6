import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { readMemory } from "./agent-memory.ts";
import { Bots } from "./bots.ts";
import { seconds, sinceStart } from "./clock.ts";
import { FaultLog } from "./fault-log.ts";
import { breakThings } from "./faults.ts";
import { type Count, hasOpen, judge } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { Outage } from "./outage.ts";
import { talk } from "./people.ts";
import { startChat } from "./platforms/chat.ts";
import { startDiscord } from "./platforms/discord.ts";
import type { Platform } from "./platforms/platform.ts";
import { startSlack } from "./platforms/slack.ts";
import { Random } from "./random.ts";
import { startRedis } from "./redis-faults.ts";
import { leaseMs, readSettings } from "./settings.ts";
import { startSqlite } from "./sqlite-faults.ts";

/** How many cases of a broken promise are printed whole. */
const printedCases = 3;

/** How long nothing may have been shown until everything counts as settled, in milliseconds. */
const quietMs = 8_000;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const settings = readSettings(args);
  const { store: kind, runMs, processes, seed } = settings;
  console.log(`seed ${seed}, ${kind}, ${processes} processes, ${seconds(runMs)}, lease ${leaseMs} ms`);
  const folder = mkdtempSync(join(tmpdir(), "aparte-chaos-"));
  const log = new FaultLog(folder);
  const store =
    kind === "redis" ? await startRedis(processes, leaseMs, log) : startSqlite(folder, leaseMs, log);
  const emulator = await startCozeEmulator({ wordDelayMs: 20 });
  const ledger = new Ledger();

  let bots: Bots | undefined;
  const surroundings = (platform: string, mayCarryOut = true) => ({
    bots: () => {
      if (bots === undefined) throw new Error("The bots are not there yet.");
      return bots;
    },
    ledger,
    random: new Random(seed, platform),
    outage: new Outage(new Random(seed, `calls of ${platform}`), mayCarryOut),
  });
  const slack = await startSlack(surroundings("slack"));
  const discord = await startDiscord(surroundings("discord"));
  const chat = await startChat("chat", true, surroundings("chat"));
  // Nothing tells whether a post was stored, so its answers are never lost: what doubles here was killed in between.
  const plain = await startChat("plain", false, surroundings("plain", false));
  const platforms = new Map<string, Platform>(Object.entries({ slack, discord, chat, plain }));

  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  bots = new Bots(
    processes,
    (bot) => ({
      ...{ bot, leaseMs, store: store.url(bot) },
      agent: { appId, keyId, privateKey, botId, baseURL },
      ...{ slack: slack.settings, discord: discord.settings, chats: [chat.settings, plain.settings] },
    }),
    folder,
    ledger,
    store.troubles,
    log,
  );
  ledger.frozenAt = (bot) => bots?.frozenAt(bot);
  let isBroken = true;
  try {
    await bots.start();
    const from = sinceStart();
    const until = from + runMs;
    const progress = setInterval(() => {
      console.log(`  ${seconds(sinceStart())}: ${ledger.said.length} said, ${ledger.posts.size} posts`);
    }, 30_000);
    const [people] = await Promise.all([
      talk(settings.talkers, until, platforms, ledger, seed),
      breakThings({ bots, ledger, platforms, store, leaseMs, runMs, until, seed, log }),
    ]);
    const isSettled = await settle(bots, ledger, emulator, settings.settleMs);
    clearInterval(progress);
    const counts: Count[] = [
      { name: "people", count: people },
      { name: "said", count: ledger.said.length },
      ...judge(ledger, readMemory(emulator), bots.deaths, store.troubles),
      { name: "kills", count: bots.kills },
      { name: "deployments", count: bots.deploys },
      { name: "freezes", count: bots.freezes },
      { name: "freezes longer than the lease", count: bots.longFreezes },
      ...Object.entries(store.counts()).map(([name, count]) => ({ name, count })),
      ...[...platforms].map(([name, { outage }]) => ({
        name: `failed calls of ${name}`,
        count: outage.failures,
      })),
      {
        name: "bots that ended by themselves",
        count: bots.crashes.length,
        isBroken: bots.crashes.length > 0,
        cases: bots.crashes,
      },
    ];
    for (const count of counts) print(count, join(folder, "cases.log"));
    const broken = counts.filter((count) => count.isBroken === true);
    isBroken = broken.length > 0;
    console.log(
      `took ${seconds(sinceStart())}${isSettled ? "" : ", and was not settled by then"}; seed ${seed}`,
    );
    if (isBroken) console.log(`BROKEN: ${broken.map(({ name }) => name).join(", ")}. Logs: ${folder}`);
    else console.log("All promises were kept.");
    return isBroken ? 1 : 0;
  } finally {
    await bots.close();
    await Promise.all([...platforms.values()].map((platform) => platform.close()));
    await emulator.close();
    await store.close();
    if (!isBroken) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Waits until each accepted message has its end and nothing moves any more. Somebody who said much has a long row of
 * long answers: they are waited for as long as they come.
 * @param settleMs how long nothing may move while something is open
 * @returns false if in vain
 */
async function settle(
  bots: Bots,
  ledger: Ledger,
  emulator: CozeEmulator,
  settleMs: number,
): Promise<boolean> {
  const deadline = sinceStart() + settleMs * 5;
  console.log(`  ${seconds(sinceStart())}: the faults are over`);
  await bots.allReady();
  while (sinceStart() < deadline && ledger.quietMs < settleMs) {
    if (ledger.quietMs > quietMs && !hasOpen(ledger, readMemory(emulator))) return true;
    await sleep(1_000);
  }
  return false;
}

/** @param file where all cases go; the first ones of broken promises are printed */
function print({ name, count, isBroken = false, cases = [] }: Count, file: string): void {
  console.log(`${isBroken ? "!" : " "} ${name.padEnd(52)} ${count.toLocaleString("en")}`);
  if (cases.length === 0) return;
  if (isBroken) for (const one of cases.slice(0, printedCases)) console.log(`    ${one}`);
  appendFileSync(file, [name, ...cases].join("\n    ").concat("\n\n"));
}
