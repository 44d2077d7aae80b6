import { createRequire } from "node:module";
import type { RateLimiterAbstract } from "rate-limiter-flexible";
import { AparteError } from "../errors.ts";
import type { Rates } from "./store.ts";

type Library = typeof import("rate-limiter-flexible");

const packageName = "rate-limiter-flexible";

/** Those that need the package. */
const limiting = new WeakSet<Rates>();

/** How many uses one span has, and how long it is. */
export interface RateOptions {
  readonly points: number;
  /** In seconds. */
  readonly duration: number;
  readonly keyPrefix: string;
}

/**
 * Rates that `rate-limiter-flexible` counts: in fixed spans of time, each of which begins with its first use. The
 * package is loaded with the first use, since most bots set no limits.
 * @param make a limiter for one limit
 * @param run runs one call to the database, with its deadline
 */
export function limiterRates(
  make: (library: Library, options: RateOptions) => RateLimiterAbstract | Promise<RateLimiterAbstract>,
  run: (count: () => Promise<number>) => Promise<number> = (count) => count(),
): Rates {
  const limiters = new Map<string, Promise<RateLimiterAbstract>>();
  const rates: Rates = {
    async take(key, limit, spanMs) {
      const name = `${limit}/${spanMs}`;
      let limiter = limiters.get(name);
      if (limiter === undefined) {
        const options = { points: limit, duration: spanMs / 1000, keyPrefix: "rate" };
        limiter = loadLimiter().then((library) => make(library, options));
        limiters.set(name, limiter);
        limiter.catch(() => limiters.delete(name)); // Tried again with the next use.
      }
      const ready = await limiter;
      return run(async () => {
        try {
          await ready.consume(`${name}:${key}`);
          return 0;
        } catch (error) {
          // The library rejects with the state of the key where the limit is reached, and with an error otherwise.
          if (error instanceof Error) throw error;
          return Math.max(1, (error as { readonly msBeforeNext: number }).msBeforeNext);
        }
      });
    },
  };
  limiting.add(rates);
  return rates;
}

/**
 * Told at start, and not with the first turn.
 * @throws {AparteError} `option-invalid` where these rates need the package and it is not there
 */
export function checkRates(rates: Rates): void {
  if (!limiting.has(rates)) return;
  try {
    createRequire(import.meta.url).resolve(packageName);
  } catch (error) {
    throw packageMissing(error);
  }
}

/** Counts within this process. */
export function memoryRates(): Rates {
  return limiterRates((library, options) => new library.RateLimiterMemory(options));
}

/** @throws {AparteError} `option-invalid` without the package. */
export async function loadLimiter(): Promise<Library> {
  try {
    const loaded = await import("rate-limiter-flexible");
    return "default" in loaded ? (loaded.default as Library) : loaded;
  } catch (error) {
    throw packageMissing(error);
  }
}

function packageMissing(cause: unknown): AparteError {
  const problem = `Limits need the package "${packageName}". Install it: npm i ${packageName}`;
  return new AparteError("option-invalid", problem, { field: "limits", cause });
}
