import type { Clock } from "../../clock.ts";
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** Time as one process has it: the process can stand still, with its clock or without, and die. */
export class ProcessClock implements Clock {
  readonly random: Random;
  readonly #timeline: Timeline;
  /** The process's time less the timeline's. */
  #ahead: number;
  #state: "runs" | "stands" | "dead" = "runs";
  /** When the clock itself was stopped, by the timeline. */
  #stoppedAt: number | undefined;
  /** What came while the process stood still. */
  #held: (() => void)[] = [];

  /** @param ahead where the clock begins: two processes have nothing in common but how fast time passes */
  constructor(timeline: Timeline, random: Random, ahead: number) {
    this.#timeline = timeline;
    this.random = random;
    this.#ahead = ahead;
  }

  get isDead(): boolean {
    return this.#state === "dead";
  }

  get runs(): boolean {
    return this.#state === "runs";
  }

  now(): number {
    return (this.#stoppedAt ?? this.#timeline.now) + this.#ahead;
  }

  after(ms: number, run: () => void): () => void {
    const due = this.now() + ms;
    let cancel = this.#timeline.after(ms, () => this.enter(fire));
    const fire = () => {
      // The clock stood still meanwhile.
      if (this.now() < due - 1e-6) cancel = this.#timeline.after(due - this.now(), () => this.enter(fire));
      else run();
    };
    let isCancelled = false;
    const unlessCancelled = run;
    run = () => {
      if (!isCancelled) unlessCancelled();
    };
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  /** Lets something reach the process: at once, when it goes on, or never. */
  enter(run: () => void): void {
    if (this.#state === "runs") run();
    else if (this.#state === "stands") this.#held.push(run);
  }

  /** @param withClock whether the clock stands still too, as when a whole machine is suspended */
  freeze(withClock: boolean): void {
    if (this.#state !== "runs") return;
    this.#state = "stands";
    if (withClock) this.#stoppedAt = this.#timeline.now;
  }

  thaw(): void {
    if (this.#state !== "stands") return;
    this.#state = "runs";
    if (this.#stoppedAt !== undefined) this.#ahead -= this.#timeline.now - this.#stoppedAt;
    this.#stoppedAt = undefined;
    // One after another, with all that each of them causes: the process may stand still again or die in between.
    for (const run of this.#held.splice(0)) this.#timeline.after(0, () => this.enter(run));
  }

  jump(ms: number): void {
    this.#ahead += ms;
  }

  die(): void {
    this.#state = "dead";
    this.#held = [];
  }
}
