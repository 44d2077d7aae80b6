import { setTimeout as pause } from "node:timers/promises";
import { AparteError } from "../../errors.ts";
import type { Rates } from "../../stores/store.ts";

/** How long a request may be held back, in milliseconds. */
const longestWait = 10_000;

/** A request that may have to wait for its rate. */
export interface PacedRequest {
  /** Of whoever pays for the requests; it holds no secret. */
  readonly key: string;
  /** How many there may be in a second. */
  readonly perSecond: number;
  /** For whom it is: each has as much of the rate as every other one that waits. */
  readonly tenant: string;
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly tenant: string;
  /** Those of an earlier one go first. Each tenant has one in each. */
  readonly round: number;
  /** Until when it waits, by this process' own clock. */
  readonly end: number;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

/** Those that wait for one rate, in the order in which they came. */
interface Line {
  round: number;
  /** The tenants that had their turn in this round. */
  readonly served: Set<string>;
  waiting: Waiting[];
}

/** Keeps requests within their rates, which all processes share; in each process the tenants have their turns. */
export class Pace {
  readonly #rates: Rates;
  readonly #lines = new Map<string, Line>();

  constructor(rates: Rates) {
    this.#rates = rates;
  }

  /**
   * Waits until a request is within its rate.
   * @throws {AparteError} `backend-rate-limited` when that would take too long
   */
  async turn(request: PacedRequest): Promise<void> {
    const { key, perSecond, tenant, signal } = request;
    signal.throwIfAborted();
    const name = `${perSecond} ${key}`;
    const known = this.#lines.get(name);
    const line = known ?? { round: 0, served: new Set(), waiting: [] };
    const before = line.waiting.findLast((other) => other.tenant === tenant);
    const round = before === undefined ? line.round + Number(line.served.has(tenant)) : before.round + 1;
    let stop = () => {};
    const turn = new Promise<void>((go, fail) => {
      const waiting = { tenant, round, end: performance.now() + longestWait, go, fail };
      line.waiting.push(waiting);
      stop = () => {
        leave(line, waiting);
        fail(signal.reason);
      };
    });
    signal.addEventListener("abort", stop, { once: true });
    if (known === undefined) {
      this.#lines.set(name, line);
      void this.#serve(name, request, line);
    }
    try {
      await turn;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Asks for one use after the other, each for whoever is next by then. */
  async #serve(name: string, { key, perSecond }: PacedRequest, line: Line): Promise<void> {
    try {
      while (line.waiting.length > 0) {
        const waitMs = await this.#rates.take(key, perSecond, 1_000);
        if (waitMs === 0) serveNext(line);
        else {
          failLate(line, waitMs);
          // Spread over a little time: otherwise all processes would ask at the same moment.
          if (line.waiting.length > 0) await pause(waitMs + Math.random() * 50);
        }
      }
    } catch (error) {
      for (const { fail } of line.waiting) fail(error);
    } finally {
      this.#lines.delete(name);
    }
  }
}

function serveNext(line: Line): void {
  const [first] = line.waiting;
  if (first === undefined) return; // All have left meanwhile.
  const next = line.waiting.reduce((best, other) => (other.round < best.round ? other : best), first);
  if (next.round > line.round) line.served.clear();
  line.round = next.round;
  line.served.add(next.tenant);
  leave(line, next);
  next.go();
}

function failLate(line: Line, waitMs: number): void {
  const next = performance.now() + waitMs;
  for (const waiting of line.waiting.filter(({ end }) => next > end)) {
    leave(line, waiting);
    waiting.fail(
      new AparteError(
        "backend-rate-limited",
        "More requests are waiting than the agent's rate lets through.",
        { retryAfterMs: waitMs },
      ),
    );
  }
}

function leave(line: Line, gone: Waiting): void {
  line.waiting = line.waiting.filter((waiting) => waiting !== gone);
}
