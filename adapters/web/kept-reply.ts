import type { Reply, ReplyEvent } from "aparte";
import { type Texts, Transcript } from "aparte/adapter";
import { type FailureBody, failureBody } from "./refusal.ts";
import { later } from "./timer.ts";

/** One event of a reply as it goes to clients; `done` or `failed` is the last. */
export type KeptEvent =
  | { readonly name: "message"; readonly data: ReplyEvent }
  | { readonly name: "done"; readonly data: Record<string, never> }
  | { readonly name: "failed"; readonly data: FailureBody };

/** Whose message a reply answers. The same for every place where that person may say it. */
export interface ReplyName {
  readonly tenant?: string;
  readonly user: string;
  readonly id: string;
}

/**
 * A reply, read from the mapper as it comes and kept for clients that read it at their own pace, leave, and come
 * back. When none of them is there for the grace time, the turn is stopped.
 */
export class KeptReply {
  readonly name: ReplyName;
  /** Tells this reading of the message from another one, after whose end or loss the numbers start again. */
  readonly epoch: string = crypto.randomUUID().slice(0, 8);
  /** Resolves when the last event is there. */
  readonly ended: Promise<void>;
  readonly #reply: Reply;
  readonly #texts: Texts;
  readonly #graceTime: number;
  readonly #events: KeptEvent[] = [];
  readonly #transcript = new Transcript();
  #failure: unknown;
  #hasEnded = false;
  #readers = 0;
  #cancelGrace: (() => void) | undefined;
  #waiting = new Set<() => void>();

  constructor(name: ReplyName, reply: Reply, texts: Texts, graceTime: number) {
    const { tenant, user, id } = name;
    this.name = { ...(tenant === undefined ? {} : { tenant }), user, id };
    this.#reply = reply;
    this.#texts = texts;
    this.#graceTime = graceTime;
    this.ended = this.#read();
  }

  /** See {@link Reply.taken}. */
  get taken(): Promise<boolean> {
    return this.#reply.taken;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What the turn failed with, once it has ended. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The whole answer, once it has ended. */
  get text(): string {
    return this.#transcript.answer;
  }

  /** The events so far; the list grows. */
  get events(): readonly KeptEvent[] {
    return this.#events;
  }

  /** Stops the turn, at the service too. */
  cancel(): void {
    this.#reply.cancel();
  }

  /** A client reads from now on. @returns to be called when it has left; more than once does no harm. */
  attach(): () => void {
    this.#cancelGrace?.();
    this.#cancelGrace = undefined;
    this.#readers += 1;
    let isHere = true;
    return () => {
      if (!isHere) return;
      isHere = false;
      this.#readers -= 1;
      if (this.#readers === 0 && !this.#hasEnded) {
        this.#cancelGrace = later(this.#graceTime, () => this.#reply.cancel());
      }
    };
  }

  /** Resolves when there are more than `count` events, or after `ms`. @returns whether there are. */
  async moreThan(count: number, ms: number): Promise<boolean> {
    if (this.#events.length > count) return true;
    let stop: () => void = () => {};
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      stop = later(ms, wake);
    });
    stop();
    return this.#events.length > count;
  }

  async #read(): Promise<void> {
    try {
      for await (const event of this.#reply) {
        this.#transcript.add(event);
        this.#push({ name: "message", data: event });
      }
      this.#hasEnded = true;
      this.#push({ name: "done", data: {} });
    } catch (error) {
      this.#failure = error;
      this.#hasEnded = true;
      this.#push({ name: "failed", data: failureBody(error, this.#texts) });
    }
    this.#cancelGrace?.();
  }

  #push(event: KeptEvent): void {
    this.#events.push(event);
    for (const wake of this.#waiting) wake();
  }
}
