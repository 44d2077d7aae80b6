import type { AskCall, Backend, RecoverCall, Recovered } from "../../backends/backend.ts";
import type { Clock } from "../../clock.ts";
import { timer } from "../../clock.ts";
import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { Link } from "./link.ts";
import { drawn } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** One turn as the agent got it. */
export interface Heard {
  readonly turnId: string;
  readonly conversation: string;
  readonly session: string;
  /** What was said, in order. */
  readonly words: readonly string[];
  readonly at: number;
  readonly answer: string;
  /** When the answer is whole, by the timeline; earlier where the turn was cancelled. */
  until: number;
}

/** The agent's service: it remembers all that it was told, in which conversation. */
export class AgentServer {
  readonly heard: Heard[] = [];
  /** When it was told to forget what was said, in which conversation. */
  readonly clears: { readonly conversation: string; readonly at: number }[] = [];
  /** The session of each conversation. */
  readonly conversations: Map<string, string> = new Map();
  readonly #timeline: Timeline;
  readonly #seed: number;
  readonly #slowestMs: number;

  constructor(timeline: Timeline, seed: number, slowestMs: number) {
    this.#timeline = timeline;
    this.#seed = seed;
    this.#slowestMs = slowestMs;
  }

  open(session: string): string {
    const id = `c${this.conversations.size + 1}`;
    this.conversations.set(id, session);
    return id;
  }

  find(session: string): string | undefined {
    for (const [id, other] of this.conversations) if (other === session) return id;
    return undefined;
  }

  ask(conversation: string, turnId: string, text: string): Heard {
    const at = this.#timeline.now;
    // Half of the turns are quick.
    const pace = drawn(this.#seed, this.heard.length) ** 2;
    const words = text.split("\n");
    const heard: Heard = {
      turnId,
      conversation,
      words,
      at,
      session: this.conversations.get(conversation) ?? "",
      answer: words.join(" "),
      until: at + 10 + pace * this.#slowestMs,
    };
    this.heard.push(heard);
    return heard;
  }

  turn(turnId: string): Heard | undefined {
    return this.heard.find((heard) => heard.turnId === turnId);
  }

  /** Resolves when the answer is whole. */
  async answer(heard: Heard): Promise<string> {
    const left = heard.until - this.#timeline.now;
    if (left > 0) await new Promise<void>((resolve) => this.#timeline.after(left, resolve));
    return heard.answer;
  }

  clear(conversation: string): void {
    this.clears.push({ conversation, at: this.#timeline.now });
  }

  cancel(turnId: string): void {
    const heard = this.turn(turnId);
    if (heard !== undefined) heard.until = Math.min(heard.until, this.#timeline.now);
  }
}

/** How long a call of the agent may take, and its whole answer, in milliseconds. */
export const agentCallMs = 2_000;

/** How often the service is asked what became of a turn, and how long between, in milliseconds. */
const lookTimes = 6;
const lookPauseMs = 500;

export interface AgentAbilities {
  /** Whether a turn can be asked for after it was sent. */
  readonly recovers: boolean;
  /** Whether a conversation can be looked for. */
  readonly finds: boolean;
}

/** The agent as one process has it. After any doubt the service is asked first, where it can be asked. */
export function simulatedBackend(
  server: AgentServer,
  link: Link,
  clock: Clock,
  { recovers, finds }: AgentAbilities,
): Backend {
  /** @returns undefined where the service does not have the turn */
  const look = async (turnId: string, signal: AbortSignal): Promise<Heard | undefined> => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await until(
          signal,
          link.call("look", () => server.turn(turnId)),
        );
      } catch (error) {
        if (signal.aborted || tries === lookTimes) throw error;
        await until(signal, timer(clock, lookPauseMs).over);
      }
    }
  };
  async function* answered(heard: Heard, signal: AbortSignal): AsyncGenerator<ReplyEvent> {
    yield { type: "text", delta: heard.answer.slice(0, 2) };
    for (let tries = 1; ; tries += 1) {
      try {
        const text = await until(
          signal,
          link.call("answer", () => server.answer(heard)),
        );
        yield { type: "message", text };
        return;
      } catch (error) {
        if (signal.aborted || !recovers || tries === lookTimes) throw error;
        await until(signal, timer(clock, lookPauseMs).over);
      }
    }
  }
  async function* ask({ conversationId, turnId, text, signal, note }: AskCall): AsyncGenerator<ReplyEvent> {
    const cancel = () => {
      const isOthers = signal.reason instanceof AparteError && signal.reason.code === "lease-lost";
      if (!isOthers) void link.call("cancel", () => server.cancel(turnId)).catch(() => {});
    };
    signal.addEventListener("abort", cancel, { once: true });
    let heard: Heard | undefined;
    try {
      heard = await until(
        signal,
        link.call("ask", () => server.ask(conversationId, turnId, text)),
      );
    } catch (error) {
      if (signal.aborted || !recovers) throw error;
      heard = await look(turnId, signal);
      if (heard === undefined) throw error;
    }
    note?.({ turnId });
    yield* answered(heard, signal);
    signal.removeEventListener("abort", cancel);
  }
  const recover = async ({ turnId, signal }: RecoverCall): Promise<Recovered> => {
    const heard = await look(turnId, signal);
    return heard === undefined ? "not-sent" : answered(heard, signal);
  };
  return {
    name: "simulated",
    open: ({ sessionName, signal }) =>
      until(
        signal,
        link.call("open", () => server.open(sessionName)),
      ),
    ask,
    clear: ({ conversationId, signal }) =>
      until(
        signal,
        link.call("clear", () => server.clear(conversationId)),
      ),
    ...(finds
      ? {
          find: ({ sessionName, signal }) =>
            until(
              signal,
              link.call("find", () => server.find(sessionName)),
            ),
        }
      : {}),
    ...(recovers ? { recover } : {}),
  };
}

/** Ends with the signal at the latest. */
async function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  work.catch(() => {}); // Nobody waits for it where the signal was first.
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
