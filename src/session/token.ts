import { createHash } from "node:crypto";
import type { SharedToken, SharedTokens } from "../backends/backend.ts";

/** Signs and exchanges: a new token and how long it lives. Must have a deadline of its own. */
export type Mint = (signal: AbortSignal) => Promise<SharedToken>;

export interface TokenCacheOptions {
  /**
   * A digest of everything besides the session that makes two tokens differ (app, key, address …). Holds no
   * secret: it is part of the key under which the tokens of all processes lie.
   */
  readonly issuer: string;
  /** How many sessions' tokens are held in memory; the least used goes first. @default 10_000 */
  readonly max?: number;
  /** A clock that no one sets, in milliseconds. @default performance.now */
  readonly now?: () => number;
}

interface HeldToken {
  readonly token: string;
  /** When it is used no more, on the cache's own clock. 0 when it was refused. */
  endsAt: number;
  /** From when on one caller renews it while all others go on using it. */
  renewAt: number;
}

interface Flight {
  readonly promise: Promise<string>;
  readonly controller: AbortController;
  waiters: number;
}

/** The longest time before its end that a token is renewed. Short-lived ones: the last fifth of their life. */
const renewBeforeMs = 5 * 60_000;

/** Of how many followers of a token the keys are kept: those before have ended. */
const mostFollowers = 8;

/** A token is not used in its last seconds: the request has to arrive. Short-lived ones: the last twentieth. */
const marginMs = 10_000;

/**
 * The sessions' access tokens: each minted once, however many ask for it at once, cached, shared with the other
 * processes, and renewed before it ends. It knows no service: signing and exchange are the backend's.
 */
export class TokenCache {
  readonly #issuer: string;
  readonly #max: number;
  readonly #now: () => number;
  /** In the order of use, the least lately used first. */
  readonly #held = new Map<string, HeldToken>();
  readonly #flights = new Map<string, Flight>();
  #shelf: SharedTokens | undefined;

  constructor({ issuer, max = 10_000, now = () => performance.now() }: TokenCacheOptions) {
    this.#issuer = issuer;
    this.#max = max;
    this.#now = now;
  }

  /** Shares the tokens with the other processes from now on. */
  share(shelf: SharedTokens): void {
    this.#shelf = shelf;
  }

  /**
   * The session's token. Callers at the same time share one minting; a caller that is aborted leaves it to the
   * others. A failed minting fails those that wait for it, and the next call tries anew.
   * @param key the session's name, with whatever else makes its tokens differ.
   */
  async get(key: string, mint: Mint, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const held = this.#held.get(key);
    if (held !== undefined && this.#now() < held.endsAt) {
      this.#hold(key, held);
      if (this.#now() >= held.renewAt) this.#renew(key, held, mint);
      return held.token;
    }
    return await join(this.#flights.get(key) ?? this.#start(key, mint), signal);
  }

  /** How long the session's token is used from now on, in milliseconds. */
  lifeMs(key: string): number {
    const { endsAt = 0 } = this.#held.get(key) ?? {};
    return Math.max(0, endsAt - this.#now());
  }

  /** Tells that the service refused exactly this token. The next {@link get} brings another one. */
  refused(key: string, token: string): void {
    const held = this.#held.get(key);
    if (held === undefined || held.token === token) this.#hold(key, { token, endsAt: 0, renewAt: 0 });
  }

  /** Forgets the session's token, here and where all processes find it. */
  async forget(key: string): Promise<void> {
    this.#held.delete(key);
    const shelfKey = this.#shelfKey(key);
    const shelf = this.#shelf;
    if (shelf === undefined) return;
    const { followers = [] } = (await shelf.get(shelfKey)) ?? {};
    for (const each of [...followers, shelfKey]) await shelf.delete(each);
  }

  #shelfKey(key: string): string {
    return `${this.#issuer}:${key}`;
  }

  #renew(key: string, held: HeldToken, mint: Mint): void {
    if (this.#flights.has(key)) return;
    const flight = this.#start(key, mint);
    // Nobody waits for it, so nobody's abort may end it. If it fails, the old token still serves: try later.
    flight.waiters = Number.POSITIVE_INFINITY;
    flight.promise.catch(() => {
      held.renewAt = this.#now() + (held.endsAt - this.#now()) / 4;
    });
  }

  #start(key: string, mint: Mint): Flight {
    const controller = new AbortController();
    const forget = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    const promise = this.#obtain(key, mint, controller.signal).finally(forget);
    promise.catch(() => {}); // All who waited may have left.
    const flight: Flight = { promise, controller, waiters: 0 };
    controller.signal.addEventListener("abort", forget);
    this.#flights.set(key, flight);
    return flight;
  }

  async #obtain(key: string, mint: Mint, signal: AbortSignal): Promise<string> {
    const old = this.#held.get(key)?.token;
    const shelf = this.#shelf;
    const fresh = await (shelf === undefined
      ? mint(signal)
      : this.#obtainShared(shelf, key, old, mint, signal));
    const now = this.#now();
    const endsAt = now + fresh.ttlMs - Math.min(marginMs, fresh.ttlMs / 20);
    this.#hold(key, {
      token: fresh.token,
      endsAt,
      renewAt: Math.max(now, endsAt - Math.min(renewBeforeMs, fresh.ttlMs / 5)),
    });
    return fresh.token;
  }

  /**
   * Takes the token from the shelf, or mints it there for all. The follower of a token that ends or was refused
   * lies under a key made from that token: all processes that replace the same token meet there, and none of
   * them is handed the old one again.
   */
  async #obtainShared(
    shelf: SharedTokens,
    key: string,
    old: string | undefined,
    mint: Mint,
    signal: AbortSignal,
  ): Promise<SharedToken> {
    const shelfKey = this.#shelfKey(key);
    const followerKey = old === undefined ? undefined : `${shelfKey}:${digest(old)}`;
    let minting: Promise<SharedToken> | undefined;
    const mintForAll = async (): Promise<SharedToken> => {
      minting = mint(signal);
      const fresh = await minting;
      // Those who do not know the old token look here. If it cannot be written, they mint one of their own.
      if (followerKey !== undefined) await this.#shelve(shelf, shelfKey, followerKey, fresh).catch(() => {});
      return fresh;
    };
    try {
      return await shelf.once(followerKey ?? shelfKey, mintForAll);
    } catch {
      // A shelf that fails costs a signature, not the turn: nothing is lost by minting a second token.
      return await (minting ?? mint(signal));
    }
  }

  /** With the keys of those that followed one another, so that they can be found to be forgotten. */
  async #shelve(shelf: SharedTokens, key: string, followerKey: string, fresh: SharedToken): Promise<void> {
    const { followers = [] } = (await shelf.get(key)) ?? {};
    await shelf.set(key, { ...fresh, followers: [...followers, followerKey].slice(-mostFollowers) });
  }

  /** Puts the token at the end of the order of use. */
  #hold(key: string, held: HeldToken): void {
    this.#held.delete(key);
    this.#held.set(key, held);
    if (this.#held.size <= this.#max) return;
    for (const oldest of this.#held.keys()) {
      this.#held.delete(oldest);
      break;
    }
  }
}

/** Waits for the flight until `signal` is aborted. The last one to leave ends it. */
function join(flight: Flight, signal: AbortSignal): Promise<string> {
  flight.waiters++;
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(signal.reason);
      flight.waiters--;
      if (flight.waiters === 0) flight.controller.abort(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    flight.promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
