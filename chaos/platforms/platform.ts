import type { Bots } from "../bots.ts";
import type { Ledger, Said } from "../ledger.ts";
import type { Outage } from "../outage.ts";
import type { Random } from "../random.ts";

/** A chat platform, as the program plays it. */
export interface Platform {
  readonly outage: Outage;
  /**
   * Delivers a message to the bots, often more than once. Resolves when it was received, or when the platform has
   * given up.
   */
  say(said: Said): Promise<void>;
  close(): Promise<void>;
}

/** What all platforms need. */
export interface Surroundings {
  readonly bots: () => Bots;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly outage: Outage;
}

/** How long a platform waits until a bot says that it has received an event, in milliseconds. */
export const patienceMs = 3_000;

/** How often an event is delivered before the platform gives up. */
export const maxDeliveries = 10;

/** How often an event is delivered although once would do. */
export function copies(random: Random): number {
  const chosen = random.next();
  return chosen < 0.6 ? 1 : chosen < 0.85 ? 2 : 3;
}
