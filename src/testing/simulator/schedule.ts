import type { Overlap } from "../../lane/machine.ts";
import type { CallFault, Server } from "./link.ts";
import { type Random, randomOf } from "./random.ts";

/** What a simulation has, and what its services can. */
export interface Setting {
  readonly processes: number;
  readonly people: number;
  readonly overlap: Overlap;
  /** Whether the agent's service can be asked for a turn that it was sent. */
  readonly agentRecovers: boolean;
  /** Whether a post can be looked for at the platform. */
  readonly platformFinds: boolean;
  /** Whether an answer is shown as it comes: a draft is posted first. */
  readonly streams: boolean;
  /**
   * Whether answers are read by whoever brings the messages, over a connection that ends with the process, and are not
   * delivered: such a caller asks again until it is answered.
   */
  readonly isRead?: boolean;
  /** How long the agent takes for an answer at most, in milliseconds. */
  readonly slowestMs: number;
}

/** Something that is done to the simulated world at a time, in milliseconds. Processes are counted from 0. */
export type Step = {
  readonly at: number;
} /** A person says a word, and the platform tells a process of it. */ & (
  | { readonly do: "say"; readonly person: number; readonly word: string; readonly process: number }
  /** Somebody has the agent forget what a person said. */
  | { readonly do: "reset"; readonly person: number; readonly process: number }
  /** A person wants what they asked to stop. */
  | { readonly do: "stop"; readonly person: number; readonly process: number }
  /** The platform tells of a word once more. */
  | { readonly do: "repeat"; readonly word: string; readonly process: number }
  /** The process ends without a word. After `ms` another one begins in its place. */
  | { readonly do: "crash"; readonly process: number; readonly ms: number }
  /** The process stands still; its clock too, if its machine does. */
  | { readonly do: "freeze"; readonly process: number; readonly ms: number; readonly withClock: boolean }
  /** The process closes, as for a deploy. `ms` after its end another one begins in its place. */
  | { readonly do: "close"; readonly process: number; readonly ms: number }
  /** Nothing comes through between a process, or all of them, and a server. */
  | {
      readonly do: "cut";
      readonly process: number | "all";
      readonly server: Server;
      readonly ms: number;
      /** Whether calls fail at once; otherwise they run out of time. */
      readonly refuses: boolean;
    }
  /** Something befalls the next call of that name. */
  | {
      readonly do: "fault";
      readonly process: number;
      readonly server: Server;
      readonly call: string;
      readonly fault: CallFault;
      readonly ms: number;
    }
  /** The store forgets what was written in its last `ms`. */
  | { readonly do: "lose"; readonly ms: number }
  /** A clock is set. */
  | { readonly do: "jump"; readonly of: number | "store"; readonly ms: number }
);

/** What happens in one simulated run, step by step. */
export interface Schedule {
  readonly seed: number;
  readonly setting: Setting;
  readonly steps: readonly Step[];
}

/** How long a process that has died keeps its turns from others, in milliseconds. */
export const leaseMs = 3_000;

/** How long a request to the agent or the platform may be on its way: less than the part of a lease that is kept free. */
const lateRequestMs = 250;

/** The time in which people speak and things befall, in milliseconds. */
const spanMs = 7_000;

const calls: { readonly [S in Server]: readonly string[] } = {
  store: ["commit", "commit", "commit", "beat", "beat", "read", "bury", "dead", "listen", "wake", "wake"],
  agent: ["ask", "ask", "answer", "look", "open", "find", "cancel"],
  platform: ["post", "post", "edit", "look"],
};

const faults: readonly CallFault[] = ["request-lost", "reply-lost", "request-late", "reply-late"];

/** The schedule of a seed. */
export function scheduleOf(seed: number): Schedule {
  const random = randomOf(seed);
  const below = (count: number) => Math.floor(random() * count);
  const one = <T>(of: readonly T[]): T => of[below(of.length)] as T;
  const setting: Setting = {
    processes: 1 + below(3),
    people: 1 + below(2),
    overlap: one(["queue", "queue", "queue", "merge", "interrupt", "reject"]),
    agentRecovers: random() < 0.75,
    platformFinds: random() < 0.7,
    streams: random() < 0.5,
    slowestMs: one([50, 500, 3_000]),
  };
  // Drawn apart, so that the seeds of other schedules stay what they were.
  const kinds = randomOf(seed + 0.25);
  const steps: Step[] = [];
  const process = () => below(setting.processes);
  let at = 100;
  const count = 2 + below(6);
  for (let index = 0; index < count; index += 1) {
    // Half of the messages come in bursts.
    at += random() < 0.5 ? random() * 40 : random() ** 2 * 3_000;
    const person = below(setting.people);
    const word = `p${person}w${index}`;
    steps.push({ at, do: "say", person, word, process: process() });
    if (random() < 0.2) {
      steps.push({ at: at + random() ** 2 * 6_000, do: "repeat", word, process: process() });
    }
  }
  // Drawn apart, so that the seeds of schedules without any stay what they were.
  const resets = randomOf(seed + 0.5);
  for (const step of [...steps]) {
    if (step.do !== "say" || resets() >= 0.1) continue;
    const after = resets() ** 2 * 3_000;
    const process = Math.floor(resets() * setting.processes);
    steps.push({ at: step.at + after, do: "reset", person: step.person, process });
  }
  const told = steps.map((step) => ({ at: step.at, process: "process" in step ? step.process : 0 }));
  const weather = 1 + below(5);
  for (let index = 0; index < weather; index += 1) {
    const near = one(told);
    // Most of what befalls does so soon after somebody spoke: as likely in the first 10 ms as in the next 90.
    const isNear = random() < 0.8;
    const when = isNear ? near.at + 4_000 ** random() : random() * spanMs;
    const process = isNear && random() < 0.7 ? (near.process as number) : below(setting.processes);
    steps.push(befalling(when, process, random));
  }
  // Drawn apart, too.
  const stops = randomOf(seed + 0.75);
  const stopping = stops() < 0.2 ? 0.4 : 0;
  for (const step of [...steps]) {
    if (step.do !== "say" || stops() >= stopping) continue;
    const after = stops() ** 2 * 3_000;
    const process = Math.floor(stops() * setting.processes);
    steps.push({ at: step.at + after, do: "stop", person: step.person, process });
  }
  return {
    seed,
    setting: kinds() < 0.1 ? { ...setting, isRead: true } : setting,
    steps: inOrder(steps),
  };
}

function befalling(at: number, process: number, random: Random): Step {
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  /** Short ones, and some that are longer than a lease. */
  const duration = () => random() ** 1.5 * 2 * leaseMs;
  const kind = random();
  if (kind < 0.5) {
    const server = one(["store", "store", "agent", "platform"] as const);
    // Agent and platform know a request again that comes twice over one connection.
    const fault = one(server === "store" ? [...faults, "doubled" as const] : faults);
    const isBounded = fault === "request-late" && server !== "store";
    const ms = isBounded ? random() * lateRequestMs : random() ** 2 * 4_000;
    return { at, do: "fault", process, server, call: one(calls[server]), fault, ms };
  }
  if (kind < 0.65) return { at, do: "crash", process, ms: duration() };
  if (kind < 0.77) return { at, do: "freeze", process, ms: duration(), withClock: random() < 0.1 };
  if (kind < 0.82) return { at, do: "close", process, ms: duration() };
  if (kind < 0.95) {
    const server = one(["store", "store", "agent", "platform"] as const);
    const whose = random() < 0.3 ? "all" : process;
    return { at, do: "cut", process: whose, server, ms: duration(), refuses: random() < 0.5 };
  }
  if (kind < 0.98) return { at, do: "lose", ms: random() < 0.2 ? Number.MAX_SAFE_INTEGER : random() * 1_000 };
  const of = random() < 0.5 ? "store" : process;
  return { at, do: "jump", of, ms: of === "store" ? -random() * 5_000 : random() * 5_000 };
}

export function inOrder(steps: readonly Step[]): Step[] {
  return [...steps].sort((one, other) => one.at - other.at);
}
