import type { Clock } from "../../src/clock.ts";

interface Planned {
  readonly at: number;
  readonly run: () => void;
  readonly isBackground: boolean;
}

/** A clock that stands still until the test lets time pass. */
export class TestClock implements Clock {
  /** What every random number is. */
  chance = 0.5;
  #now = 0;
  #planned: Planned[] = [];

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, run: () => void, isBackground = false): () => void {
    const planned = { at: this.#now + Math.max(ms, 0), run, isBackground };
    this.#planned.push(planned);
    return () => {
      this.#planned = this.#planned.filter((one) => one !== planned);
    };
  }

  /** How long until each thing that is planned, in milliseconds, soonest first. */
  get planned(): number[] {
    return this.#planned.map(({ at }) => at - this.#now).sort((one, other) => one - other);
  }

  /** Whether something is planned that keeps the process alive. */
  get isHeld(): boolean {
    return this.#planned.some(({ isBackground }) => !isBackground);
  }

  /** Lets time pass, with all that happens in it. Resolves when everything has come to rest. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settled();
    for (;;) {
      const next = this.#planned.reduce<Planned | undefined>(
        (first, one) => (first === undefined || one.at < first.at ? one : first),
        undefined,
      );
      if (next === undefined || next.at > until) break;
      this.#planned = this.#planned.filter((one) => one !== next);
      this.#now = next.at;
      next.run();
      await settled();
    }
    this.#now = until;
    await settled();
  }
}

/** Resolves when everything that can go on without time has done so. */
export async function settled(): Promise<void> {
  for (let rounds = 0; rounds < 3; rounds += 1) await new Promise((resolve) => setImmediate(resolve));
}
