import { createHash } from "node:crypto";
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

  constructor(limits: TurnLimits, rates: Rates) {
    this.#limits = limits;
    this.#rates = rates;
  }

  /** @returns 0 if the turn may run, else when one may again, in milliseconds from now. */
  async take(message: Message): Promise<number> {
    try {
      return await this.#take(message);
    } catch (error) {
      throw asAparteError(error, "store-failed", "The turns of a person could not be counted.");
    }
  }

  async #take({ platform, tenant = "", user }: Message): Promise<number> {
    const { person, tenant: all } = this.#limits;
    const own =
      person === undefined ? 0 : await this.#rates.take(digest(platform, tenant, user), person, minuteMs);
    // One who is over does not use up the others' turns.
    if (own > 0 || all === undefined) return own;
    return this.#rates.take(digest(platform, tenant), all, minuteMs);
  }
}

/** The store holds no names of people. */
function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}
