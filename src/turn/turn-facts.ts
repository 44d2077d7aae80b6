import type { JsonValue } from "../backends/backend.ts";
import type { HeldLane } from "../lane/lane.ts";

/** What is kept of a running turn, so that another process can go on with it after this one has died. */
export interface Facts {
  /** The service's: under which id it has the turn. */
  readonly service?: JsonValue;
  /** The adapter's: where the reply was posted. */
  readonly posted?: JsonValue;
}

/**
 * How long facts are gathered before they are written, in milliseconds: most turns need one write or none. A post
 * is written down at once, since it would be made a second time; unless the turn ends at once, too.
 */
const gatherMs = 250;

/** The facts of one held turn. Written in the background; a turn that ends soon writes nothing. */
export class TurnFacts {
  readonly #held: HeldLane;
  readonly #failed: (error: unknown) => void;
  #facts: Facts;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(held: HeldLane, failed: (error: unknown) => void) {
    this.#held = held;
    this.#failed = failed;
    this.#facts = (held.grant.facts ?? {}) as Facts;
  }

  get service(): JsonValue | undefined {
    return this.#facts.service;
  }

  get posted(): JsonValue | undefined {
    return this.#facts.posted;
  }

  keep(facts: Facts): void {
    this.#facts = { ...this.#facts, ...facts };
    if (facts.posted !== undefined) this.#immediate ??= setImmediate(() => this.#write());
    else this.#timer ??= setTimeout(() => this.#write(), gatherMs);
  }

  /** The turn has ended: nothing has to be kept any more. */
  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  #write(): void {
    this.stop();
    this.#held.note(this.#facts as JsonValue).catch(this.#failed);
  }
}
