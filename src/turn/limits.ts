import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";
import { asAparteError } from "../errors.ts";
import type { Rates } from "../stores/store.ts";
import type { Message } from "./message.ts";

/** How many turns there may be in a minute. Missing: as many as come. */
export interface TurnLimits {
  /** Of one person, by platform, tenant and user. */
  readonly person?: number;
  /** Of all people of one tenant. */
  readonly tenant?: number;
}

const minuteMs = 60_000;

/** Counts turns when they run: so an event that is delivered twice, or taken up again, counts once. */
export class Limits {
  readonly #limits: TurnLimits;
  readonly #rates: Rates;
  readonly #clock: Clock;
  /** Until when those are over that were found to be, by this process' own clock; the longest known first. */
  readonly #over = new Map<string, number>();

  constructor(limits: TurnLimits, rates: Rates, clock: Clock) {
    this.#limits = limits;
    this.#rates = rates;
    this.#clock = clock;
  }

  /**
   * What is known without the store, and so before a message is recorded: a flood of one person costs nothing there.
   * @returns 0 for those who are not known to be over, else when they may again, in milliseconds from now.
   */
  known(message: Message): number {
    const now = this.#clock.now();
    const waits = keysOf(message).map((key) => (this.#over.get(key) ?? now) - now);
    return Math.max(0, ...waits);
  }

  /** @returns 0 if the turn may run, else when one may again, in milliseconds from now. */
  async take(message: Message): Promise<number> {
    try {
      return await this.#take(message);
    } catch (error) {
      throw asAparteError(error, "store-failed", "The turns of a person could not be counted.");
    }
  }

  async #take(message: Message): Promise<number> {
    const { person, tenant } = this.#limits;
    const [own, all] = keysOf(message);
    const waitMs = person === undefined ? 0 : await this.#count(own, person);
    // One who is over does not use up the others' turns.
    if (waitMs > 0 || tenant === undefined) return waitMs;
    return this.#count(all, tenant);
  }

  async #count(key: string, limit: number): Promise<number> {
    const waitMs = await this.#rates.take(key, limit, minuteMs);
    if (waitMs > 0) this.#remember(key, waitMs);
    return waitMs;
  }

  #remember(key: string, waitMs: number): void {
    this.#over.delete(key);
    this.#over.set(key, this.#clock.now() + waitMs);
    const [oldest = key] = this.#over.keys();
    if (this.#over.size > mostOver) this.#over.delete(oldest);
  }
}

/** How many people and tenants who are over are remembered. */
const mostOver = 10_000;

/** Of the person, and of all people of the tenant. */
function keysOf({ platform, tenant = "", user }: Message): [own: string, all: string] {
  return [digest(platform, tenant, user), digest(platform, tenant)];
}

/** The store holds no names of people. */
function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}
