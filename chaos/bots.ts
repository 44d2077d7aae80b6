import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Message } from "aparte";
import type { BotReport, BotSettings } from "./bot.ts";
import { seconds, sinceStart, startOfRun } from "./clock.ts";
import type { FaultLog } from "./fault-log.ts";
import type { Ledger } from "./ledger.ts";
import type { Troubles } from "./store-faults.ts";

/** A process was killed, or stood still for longer than its lease: what it had in hand it could not note. */
export interface Death {
  readonly bot: number;
  readonly at: number;
  /** When it went on; undefined for a process that is gone. */
  readonly until?: number;
  /** It lived, and did not reach the store for longer than its lease: it heard then that others go on. */
  readonly isBuried?: true;
}

/**
 * How long after a thaw a call may come that was on its way when the process froze, and how long before it hears that
 * others go on one may come that it sent while it was trusted, in milliseconds. On a busy machine both take their time.
 */
const thawingMs = 2_000;

interface Bot {
  process: ChildProcess | undefined;
  /** Where its Slack app hears of events; undefined while it starts. */
  slackUrl: string | undefined;
  isFrozen: boolean;
  /** Its end is our doing. */
  isKilled: boolean;
  /** What its store has not answered yet: each is called when it has. */
  readonly writes: Map<number, () => void>;
}

/** The processes of one bot. Each is started again when it ends, as a supervisor does. */
export class Bots {
  readonly deaths: Death[] = [];
  /** Those that ended by themselves once they were ready. */
  readonly crashes: string[] = [];
  kills = 0;
  deploys = 0;
  freezes = 0;
  longFreezes = 0;
  readonly #bots: Bot[];
  readonly #settings: (bot: number) => BotSettings;
  readonly #folder: string;
  readonly #ledger: Ledger;
  readonly #troubles: Troubles;
  readonly #log: FaultLog;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #isOver = false;

  /** @param folder for the processes' logs */
  constructor(
    count: number,
    settings: (bot: number) => BotSettings,
    folder: string,
    ledger: Ledger,
    troubles: Troubles,
    log: FaultLog,
  ) {
    this.#bots = Array.from({ length: count }, () => ({
      ...{ process: undefined, slackUrl: undefined, isFrozen: false, isKilled: false, writes: new Map() },
    }));
    this.#settings = settings;
    this.#folder = folder;
    this.#ledger = ledger;
    this.#troubles = troubles;
    this.#log = log;
    process.once("exit", () => {
      for (const bot of this.#bots) bot.process?.kill("SIGKILL");
    });
  }

  get count(): number {
    return this.#bots.length;
  }

  async start(): Promise<void> {
    for (const index of this.#bots.keys()) void this.#keepUp(index);
    await this.allReady();
  }

  async allReady(): Promise<void> {
    while (this.#bots.some(({ slackUrl }) => slackUrl === undefined)) await once(this.#events, "ready");
  }

  async #keepUp(index: number): Promise<void> {
    const bot = this.#bots[index];
    while (bot !== undefined && !this.#isOver) {
      const log = openSync(join(this.#folder, `bot-${index}.log`), "a");
      const child = fork(fileURLToPath(new URL("bot.js", import.meta.url)), {
        env: { ...process.env, CHAOS_FROM: startOfRun, SETTINGS: JSON.stringify(this.#settings(index)) },
        stdio: ["ignore", log, log, "ipc"],
      });
      closeSync(log);
      bot.process = child;
      bot.isKilled = false;
      child.on("message", (report: BotReport) => this.#heard(index, report));
      const [code, signal] = await once(child, "exit");
      if (bot.slackUrl !== undefined && !bot.isKilled) {
        this.crashes.push(`bot ${index} at ${seconds(sinceStart())}: ${signal ?? `exit code ${code}`}`);
      }
      bot.slackUrl = undefined;
      bot.isFrozen = false;
      for (const written of bot.writes.values()) written();
      bot.writes.clear();
      this.#events.emit(`gone ${index}`);
      await sleep(300);
    }
  }

  #heard(index: number, report: BotReport): void {
    if (report.is === "ready") {
      const bot = this.#bots[index];
      if (bot !== undefined) bot.slackUrl = report.slackUrl;
      this.#log.note(`bot ${index} is ready`);
      this.#events.emit("ready");
      return;
    }
    if (report.is === "buried") {
      this.deaths.push({ bot: index, at: sinceStart(), isBuried: true });
      this.#ledger.buried(index, sinceStart() - thawingMs);
      return;
    }
    if (report.is === "writing") {
      // However long that takes, on a machine whose processes take turns: while it writes, it can have noted nothing.
      this.#bots[index]?.writes.set(report.write, this.#troubles.begin(index));
      return;
    }
    if (report.is === "written") {
      const writes = this.#bots[index]?.writes;
      writes?.get(report.write)?.();
      writes?.delete(report.write);
      return;
    }
    const { platform, id, outcome } = report;
    const said = this.#ledger.find(platform, id);
    if (said === undefined) return;
    this.#ledger.note(said, `bot ${index}: ${outcome}`);
    if (outcome === "taken") this.#ledger.taken(said, index);
    else if (outcome === "not taken") this.#ledger.takenBefore(said);
    else said.refusers.add(index);
    this.#events.emit(`${index} ${id}`, outcome);
    this.#events.emit(`any ${id}`, outcome);
  }

  slackUrl(index: number): string | undefined {
    return this.#bots[index]?.slackUrl;
  }

  /** Gives a message to a process. @returns whether it is received: not when the process says so, or says nothing */
  async deliver(index: number, message: Message, withinMs: number): Promise<boolean> {
    const bot = this.#bots[index];
    if (bot?.process?.connected !== true || bot.slackUrl === undefined) return false;
    const outcome = this.#outcome(`${index} ${message.id}`, withinMs, `gone ${index}`);
    bot.process.send(message, () => {}); // One that dies meanwhile takes nothing.
    return outcome;
  }

  /** Resolves when some process has said whether it takes a message. */
  heardOf(id: string, withinMs: number): Promise<boolean> {
    return this.#outcome(`any ${id}`, withinMs);
  }

  #outcome(event: string, withinMs: number, gone?: string): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (outcome?: string) => {
        clearTimeout(timer);
        this.#events.off(event, done);
        if (gone !== undefined) this.#events.off(gone, done);
        resolve(outcome === "taken" || outcome === "not taken");
      };
      const timer = setTimeout(done, withinMs);
      this.#events.on(event, done);
      if (gone !== undefined) this.#events.on(gone, done);
    });
  }

  kill(index: number): void {
    const bot = this.#bots[index];
    if (bot?.slackUrl === undefined) return;
    this.kills += 1;
    bot.isKilled = true;
    this.deaths.push({ bot: index, at: sinceStart() });
    this.#log.note(`bot ${index} is killed`);
    bot.process?.kill("SIGKILL");
  }

  /** Ends a process as a deployment does; killed when it takes longer. */
  async deploy(index: number, withinMs: number): Promise<void> {
    const bot = this.#bots[index];
    const child = bot?.process;
    if (bot?.slackUrl === undefined || child === undefined || bot.isFrozen) return;
    this.deploys += 1;
    this.#log.note(`bot ${index} is told to end`);
    bot.isKilled = true;
    child.kill("SIGTERM");
    const gone = once(child, "exit");
    await Promise.race([gone, sleep(withinMs)]);
    if (child.exitCode !== null || child.signalCode !== null) return;
    this.deaths.push({ bot: index, at: sinceStart() });
    this.#log.note(`bot ${index} has not ended in time, and is killed`);
    child.kill("SIGKILL");
  }

  async freeze(index: number, ms: number, leaseMs: number): Promise<void> {
    const bot = this.#bots[index];
    const child = bot?.process;
    if (bot?.slackUrl === undefined || bot.isFrozen) return;
    this.freezes += 1;
    if (ms > leaseMs) {
      this.longFreezes += 1;
      this.deaths.push({ bot: index, at: sinceStart(), until: sinceStart() + ms });
    }
    this.#log.note(`bot ${index} is frozen for ${seconds(ms)}`);
    bot.isFrozen = true;
    child?.kill("SIGSTOP");
    await sleep(ms);
    child?.kill("SIGCONT");
    bot.isFrozen = false;
  }

  /** When this process froze, if it has just thawed after more than its lease: what it sends was on its way then. */
  frozenAt(index: number): number | undefined {
    const now = sinceStart();
    return this.deaths.find(
      ({ bot, until }) => bot === index && until !== undefined && Math.abs(now - until) < thawingMs,
    )?.at;
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const bot of this.#bots) {
      const { process: child } = bot;
      bot.isKilled = true;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
  }
}
