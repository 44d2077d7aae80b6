/** What a call may do, by its route. */
export interface Allowance {
  readonly isRefused: boolean;
  /** As the headers of the answer tell it. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long to wait, in seconds. */
  readonly retryAfter: number;
}

interface Window {
  readonly endsAt: number;
  left: number;
}

/**
 * Discord's rate limits: so many calls of one method and route, in one channel or by one interaction's token, in a
 * window of time that begins with the first of them. Acknowledging an interaction is not limited; registering commands is
 * by the day, which no test is long enough for.
 */
export class RouteLimits {
  /** How many calls a window has, and how long it is, in milliseconds. */
  limit = 5;
  windowMs = 5_000;
  readonly #windows = new Map<string, Window>();

  /** Counts a call. */
  take(method: string, path: string): Allowance {
    if (/^\/(applications|gateway)\/|\/callback$/.test(path))
      return { isRefused: false, headers: {}, retryAfter: 0 };
    const route = routeOf(method, path);
    const now = performance.now();
    const window = this.#window(route, now);
    const isRefused = window.left <= 0;
    window.left -= 1;
    return allowance(route, window, this.limit, now, isRefused);
  }

  /** No more calls of this route for so long, in seconds. */
  rest(method: string, path: string, seconds: number): Allowance {
    const route = routeOf(method, path);
    const now = performance.now();
    const window = { endsAt: now + seconds * 1_000, left: 0 };
    this.#windows.set(route, window);
    return allowance(route, window, this.limit, now, true);
  }

  #window(route: string, now: number): Window {
    const known = this.#windows.get(route);
    if (known !== undefined && known.endsAt > now) return known;
    const begun = { endsAt: now + this.windowMs, left: this.limit };
    this.#windows.set(route, begun);
    return begun;
  }
}

/** Ids of messages do not tell routes apart; those of channels, and tokens, do. */
function routeOf(method: string, path: string): string {
  return `${method} ${path.replace(/(?<=\/messages\/)[^/]+/, "*")}`;
}

function allowance(route: string, window: Window, limit: number, now: number, isRefused: boolean): Allowance {
  const retryAfter = Math.ceil(window.endsAt - now) / 1_000;
  const headers = {
    "x-ratelimit-bucket": Buffer.from(route).toString("hex").slice(-32),
    "x-ratelimit-limit": String(limit),
    "x-ratelimit-remaining": String(Math.max(0, window.left)),
    "x-ratelimit-reset": String((Date.now() + retryAfter * 1_000) / 1_000),
    "x-ratelimit-reset-after": String(retryAfter),
    ...(isRefused ? { "retry-after": String(Math.ceil(retryAfter)), "x-ratelimit-scope": "user" } : {}),
  };
  return { isRefused, headers, retryAfter };
}
