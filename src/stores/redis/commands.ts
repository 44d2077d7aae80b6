import { AparteError } from "../../errors.ts";
import { callTimeout } from "../deadline.ts";
import { firstWord } from "./client.ts";

/** How many commands are under way at a time: more would wait in the client, and its clock would run. */
const maxInFlight = 500;

/** How long a command may wait before it is sent, in milliseconds. Nobody is told later than then. */
const maxWaitMs = 10_000;

interface Waiting {
  readonly send: () => void;
  readonly refuse: (error: AparteError) => void;
  readonly since: number;
  next?: Waiting;
}

/**
 * Commands on their way to the server, a bounded number at a time, first come, first served. The deadline of each
 * starts when it is sent.
 */
export class Commands {
  /** Called with the first word of what Redis refused, where it refused something. */
  readonly #refused: (word: string) => void;
  readonly #answerMs: number;
  /** Those under way, oldest first, each with when it was sent and what gives it up. */
  readonly #underWay = new Map<object, { readonly since: number; readonly giveUp: () => void }>();
  /** How many are under way, with those whose turn has just come: a place that becomes free goes to who waits. */
  #taken = 0;
  /** Those that wait, each with the one after it: an array would move all that are left, for each one that goes. */
  #first: Waiting | undefined;
  #last: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param answerMs how long the server may take to answer, in milliseconds */
  constructor(refused: (word: string) => void, answerMs: number = callTimeout) {
    this.#refused = refused;
    this.#answerMs = answerMs;
  }

  /**
   * @param what for people: "commit", "read" …
   * @throws {AparteError} `store-timeout`, `store-failed`
   */
  async run<T>(what: string, call: () => Promise<T>): Promise<T> {
    if (this.#taken < maxInFlight) this.#taken += 1;
    else await this.#turn();
    const ticket = {};
    const late = new Promise<never>((_, reject) => {
      this.#underWay.set(ticket, {
        since: performance.now(),
        giveUp: () => reject(tooLate(what, this.#answerMs)),
      });
    });
    this.#watch();
    try {
      return await Promise.race([call(), late]);
    } catch (error) {
      throw this.#failed(what, error);
    } finally {
      this.#underWay.delete(ticket);
      this.#sendNext();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { send: resolve, refuse: reject, since: performance.now() };
      if (this.#last !== undefined) this.#last.next = waiting;
      this.#last = waiting;
      this.#first ??= waiting;
      this.#watch();
    });
  }

  #sendNext(): void {
    const first = this.#first;
    this.#first = first?.next;
    if (first === undefined) this.#taken -= 1;
    else first.send();
  }

  /** One timer for all: those that were sent first are late first. */
  #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const { since, giveUp } of this.#underWay.values()) {
        if (now - since < this.#answerMs) break;
        giveUp();
      }
      for (let first = this.#first; first && now - first.since > maxWaitMs; first = first.next) {
        this.#first = first.next;
        first.refuse(
          new AparteError(
            "store-timeout",
            `Redis does not keep up: a command waited ${maxWaitMs} ms to be sent, and was not.`,
          ),
        );
      }
      if (this.#underWay.size > 0) this.#watch();
    }, this.#answerMs / 10);
    this.#timer.unref();
  }

  #failed(what: string, error: unknown): AparteError {
    if (error instanceof AparteError) return error;
    // Its text is no JSON: the server is there.
    if (error instanceof SyntaxError) {
      return new AparteError("store-failed", `A record on Redis is damaged (${what}).`, { cause: error });
    }
    const word = firstWord(error);
    if (word === undefined) {
      return new AparteError("store-failed", `Redis could not be reached (${what}). Look whether it is up.`, {
        cause: error,
      });
    }
    this.#refused(word);
    const remedy = remedies[word] ?? "Look at its log.";
    return new AparteError("store-failed", `Redis refused a command (${what}): ${word}. ${remedy}`, {
      cause: error,
    });
  }
}

const remedies: Readonly<Record<string, string>> = {
  READONLY: "It is a replica. Name the primary.",
  NOPERM: "Its user may not do what aparte does. See the docs for the rights that it needs.",
  NOAUTH: "It wants a password.",
  WRONGPASS: "It does not accept the user and the password.",
  OOM: "Its memory is full.",
  MISCONF: "It cannot write to its disk.",
  LOADING: "It is starting.",
  CROSSSLOT: "It is a cluster: hand in a cluster client.",
  CLUSTERDOWN: "The cluster is down.",
  BUSY: "A script of somebody else keeps it busy.",
};

function tooLate(what: string, ms: number): AparteError {
  return new AparteError(
    "store-timeout",
    `Redis did not answer within ${ms} ms (${what}). Look whether it is up.`,
  );
}
