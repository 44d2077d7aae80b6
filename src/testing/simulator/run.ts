import type { LaneDocument } from "../../lane/machine.ts";
import type { Logger } from "../../logger.ts";
import type { Speaker } from "../../speaker/speaker.ts";
import type { Commit } from "../../stores/store.ts";
import type { Message } from "../../turn/message.ts";
import { AgentServer } from "./agent.ts";
import { type Evidence, isSettled, judge, type Operation, type SaidEvent, type Violation } from "./judge.ts";
import { PlatformServer, toldPrefix } from "./platform.ts";
import { SimulatedProcess, type World } from "./process.ts";
import { leaseMs, type Schedule, type Step } from "./schedule.ts";
import { postsIn, StoreServer } from "./store.ts";
import { atRest, Timeline } from "./timeline.ts";

/** What a schedule came to. */
export interface Outcome {
  readonly violations: readonly Violation[];
  /** How many messages were accepted. */
  readonly accepted: number;
  /** How long it took, in simulated milliseconds. */
  readonly lastedMs: number;
}

/** How long after the last step all that was accepted must be settled, in milliseconds: no failure is repeated for long. */
const patienceMs = 90_000;

/** How long it is waited for what must not come any more, in milliseconds: all are found dead who are. */
const tailMs = leaseMs + 1_500;

/** How often it is looked whether all is settled, in milliseconds. */
const lookMs = 500;

/** After how long a caller that has no answer asks again, in milliseconds, and how often. */
const askAgainMs = 4_000;
const asks = 8;

/** When a platform tells another process of a message, if nobody has said that it was received, in milliseconds. */
const retriesMs = [3_000, 7_000, 20_000];

/** Runs a schedule on the real lanes, turns and deliveries, and judges what comes of it. */
export async function runSchedule(schedule: Schedule, trace?: (line: string) => void): Promise<Outcome> {
  const simulation = new Simulation(schedule, trace);
  await simulation.run();
  const { evidence, now } = simulation;
  return {
    violations: judge(evidence),
    accepted: evidence.said.filter(({ acceptedAt }) => acceptedAt !== undefined).length,
    lastedMs: now,
  };
}

class Simulation {
  readonly evidence: Evidence;
  readonly #schedule: Schedule;
  readonly #timeline = new Timeline();
  readonly #world: World;
  readonly #said: SaidEvent[] = [];
  readonly #carriers = new Map<string, Set<string>>();
  readonly #owners = new Map<string, Set<string>>();
  readonly #received = new Set<string>();
  readonly #operations: Operation[] = [];
  /** By place: a process that has ended is followed by another one. */
  readonly #processes: SimulatedProcess[] = [];
  readonly #trace: ((line: string) => void) | undefined;
  /** Of servers that nobody reaches: who starts meanwhile does not, either. */
  readonly #outages: (Step & { readonly do: "cut" })[] = [];
  #started = 0;

  constructor(schedule: Schedule, trace: ((line: string) => void) | undefined) {
    this.#schedule = schedule;
    this.#trace = trace;
    const { seed, setting, steps } = schedule;
    const timeline = this.#timeline;
    const platform = new PlatformServer(timeline, (word) => {
      const event = this.#said.find((one) => one.word === word);
      if (event !== undefined) event.isRefused = true;
    });
    const agent = new AgentServer(timeline, seed, setting.slowestMs);
    const isLossy = steps.some((step) => step.do === "lose");
    const store = new StoreServer(timeline, isLossy, (commit) => {
      platform.noted(postsIn(commit));
      this.#note(commit);
      this.#log(`commit ${JSON.stringify(commit.document)}`);
    });
    const logger = (process: number) => (trace === undefined ? silent : this.#logger(process));
    this.#world = { timeline, seed, setting, store, agent, platform, logger };
    this.evidence = {
      schedule,
      said: this.#said,
      heard: agent.heard,
      conversations: agent.conversations,
      posts: platform.posts,
      carriers: this.#carriers,
      owners: this.#owners,
      clears: agent.clears,
      operations: this.#operations,
    };
    for (let place = 0; place < setting.processes; place += 1) this.#start(place);
    for (const step of steps) {
      timeline.at(step.at, () => {
        this.#log(`-- ${JSON.stringify(step)}`);
        this.#do(step);
      });
    }
  }

  get now(): number {
    return this.#timeline.now;
  }

  async run(): Promise<void> {
    const timeline = this.#timeline;
    const last = this.#schedule.steps.reduce((end, step) => Math.max(end, step.at + durationOf(step)), 0);
    let isOver = false;
    /** For so long nothing has changed any more. */
    let quietMs = 0;
    const look = () => {
      const isSettled = this.#isSettled();
      quietMs = isSettled ? quietMs + lookMs : 0;
      isOver = quietMs >= tailMs || timeline.now > last + patienceMs;
      timeline.after(lookMs, look);
    };
    timeline.at(last + 1, look);
    while (!isOver && timeline.step()) await atRest();
  }

  /** Whether all that was accepted is settled, and a process has said of each message whether it takes it. */
  #isSettled(): boolean {
    if (!this.#operations.every(({ hasEnded }) => hasEnded())) return false;
    return this.#said.every(({ word }) => this.#received.has(word)) && isSettled(this.evidence);
  }

  #do(step: Step): void {
    const { store } = this.#world;
    switch (step.do) {
      case "say": {
        const { person, word, at } = step;
        this.#said.push({
          person,
          word,
          at,
          acceptedAt: undefined,
          isKnown: false,
          isRefused: false,
          times: 0,
        });
        if (this.#schedule.setting.isRead) {
          this.#ask(word, step.process, 1);
          break;
        }
        this.#tell(word, step.process);
        for (const [index, ms] of retriesMs.entries()) {
          this.#timeline.after(ms, () => {
            if (!this.#received.has(word)) this.#tell(word, step.process + index + 1);
          });
        }
        break;
      }
      case "reset":
      case "stop":
        this.#operate(step.do, step.person, this.#process(step.process));
        break;
      case "repeat":
        if (!this.#schedule.setting.isRead) this.#tell(step.word, step.process);
        break;
      case "crash":
        this.#end(step.process, step.ms, (process, ended) => {
          process.crash();
          ended();
        });
        break;
      case "close":
        this.#end(step.process, step.ms, (process, ended) => process.close(ended));
        break;
      case "freeze": {
        const process = this.#process(step.process);
        process.clock.freeze(step.withClock);
        this.#timeline.after(step.ms, () => process.clock.thaw());
        break;
      }
      case "cut": {
        if (step.process === "all") this.#outages.push(step);
        const cut = step.process === "all" ? this.#processes : [this.#process(step.process)];
        for (const process of cut) process.cut(step.server, step.ms, step.refuses);
        break;
      }
      case "fault":
        this.#process(step.process).link(step.server).plan(step);
        break;
      case "lose":
        void store.lose(step.ms);
        break;
      case "jump":
        if (step.of === "store") store.jump(step.ms);
        else this.#process(step.of).clock.jump(step.ms);
    }
  }

  /** A caller asks until it is answered, or told that it is not. */
  #ask(word: string, first: number, times: number): void {
    const event = this.#said.find((one) => one.word === word);
    if (event === undefined || this.#received.has(word)) return;
    if (times > asks) this.#received.add(word);
    else this.#timeline.after(askAgainMs, () => this.#ask(word, first + 1, times + 1));
    const process = this.#processes
      .map((_, index) => this.#process(first + index))
      .find(({ isOpen }) => isOpen);
    event.times += 1;
    process?.ask({ ...speakerOf(event.person), id: word, text: word }, (answer) => {
      if (this.#received.has(word)) return;
      const isAnswered = typeof answer === "string";
      this.#log(`process ${process.number} answers ${word}: ${isAnswered ? answer : answer.code}`);
      if (!isAnswered && (answer.code === "duplicate" || answer.code === "closed")) return;
      this.#received.add(word);
      const text = isAnswered ? answer : `${toldPrefix}${answer.code}`;
      this.#world.platform.post(`p${event.person}`, word, text, process.number);
    });
  }

  #operate(what: Operation["what"], person: number, process: SimulatedProcess): void {
    if (!process.isOpen) return;
    let endedAt: number | undefined;
    this.#operations.push({
      ...{ what, person: `p${person}`, at: this.now },
      hasEnded: () => endedAt !== undefined || process.clock.isDead,
      endedAt: () => endedAt ?? Number.POSITIVE_INFINITY,
    });
    process[what](speakerOf(person), () => {
      endedAt = this.now;
    });
  }

  /** The platform tells a process of a word; where that one is down, another one. */
  #tell(word: string, first: number): void {
    const event = this.#said.find((one) => one.word === word);
    if (event === undefined) return;
    const { length } = this.#processes;
    const order = this.#processes.map((_, index) => this.#process((first + index) % length));
    const process = order.find(({ isOpen }) => isOpen);
    if (process === undefined) {
      this.#timeline.after(1_000, () => this.#tell(word, first));
      return;
    }
    const message: Message = { ...speakerOf(event.person), id: word, text: word };
    event.times += 1;
    process.receive(message, (isAccepted) => {
      this.#received.add(word);
      if (isAccepted) event.acceptedAt ??= this.#timeline.now;
      if (isAccepted === false) event.isKnown = true;
      if (isAccepted === undefined) event.isRefused = true;
      this.#log(`process ${process.number} ${isAccepted ? "accepts" : "does not take"} ${word}`);
    });
  }

  #process(place: number): SimulatedProcess {
    return this.#processes[place % this.#processes.length] as SimulatedProcess;
  }

  #start(place: number): void {
    const process = new SimulatedProcess(this.#world, this.#started);
    this.#processes[place] = process;
    this.#started += 1;
    for (const { at, server, ms, refuses } of this.#outages) {
      if (at + ms > this.now) process.cut(server, at + ms - this.now, refuses);
    }
  }

  #end(place: number, pauseMs: number, end: (process: SimulatedProcess, ended: () => void) => void): void {
    const process = this.#process(place);
    // It has ended already, or is about to: another one is on its way.
    if (!process.isOpen) return;
    end(process, () => {
      this.#timeline.after(pauseMs, () => this.#start(place % this.#processes.length));
    });
  }

  #note({ document }: Commit): void {
    const { running, waiting = [] } = (document ?? {}) as Partial<LaneDocument>;
    for (const turn of running === undefined ? waiting : [running, ...waiting]) {
      if (turn.isOperation) continue;
      const word = wordOf(turn.key);
      added(this.#owners, word, turn.owner);
      for (const { key } of turn.carries ?? []) added(this.#carriers, wordOf(key), word);
    }
  }

  #log(line: string): void {
    this.#trace?.(`${this.now.toFixed(1).padStart(9)} ${line}`);
  }

  #logger(process: number): Logger {
    const log = (message: string, fields?: Record<string, unknown>) =>
      this.#log(`process ${process}: ${message} ${JSON.stringify(fields ?? {})}`);
    return { info: log, warn: log, error: log };
  }
}

function speakerOf(person: number): Speaker {
  const user = `p${person}`;
  return { platform: "simulated", tenant: "t", user, channel: user, direct: true };
}

const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} };

function durationOf(step: Step): number {
  return "ms" in step && step.do !== "lose" && step.do !== "jump" ? step.ms : 0;
}

function added(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

/** The event's id is the last part of its name in its lane. */
function wordOf(key: string): string {
  return (JSON.parse(key) as string[]).at(-1) ?? "";
}
