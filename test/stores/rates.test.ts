import { RateLimiterMemory } from "rate-limiter-flexible";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limiterRates, loadLimiter, memoryRates, type RateOptions } from "../../src/stores/rates.ts";

describe("Rates of the limiter", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: 1_800_000_000_000 });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it("let through as many as the limit says, and then say how long it takes, to the millisecond", async () => {
    const { take } = memoryRates();
    const uses = async () => [
      await take("ada", 2, 1_500),
      await take("ada", 2, 1_500),
      await take("ada", 2, 1_500),
    ];
    expect(await uses()).toEqual([0, 0, 1_500]);
    await vi.advanceTimersByTimeAsync(1_499);
    expect(await take("ada", 2, 1_500)).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await uses()).toEqual([0, 0, 1_500]);
  });

  it("count each key apart, and each limit of a key", async () => {
    const { take } = memoryRates();
    expect(await take("ada", 1, 1_000)).toBe(0);
    expect(await take("ada", 1, 1_000)).toBe(1_000);
    expect(await take("bob", 1, 1_000)).toBe(0);
    expect(await take("ada", 1, 60_000)).toBe(0);
    expect(await take("ada", 5, 1_000)).toBe(0);
    expect(await memoryRates().take("ada", 1, 1_000)).toBe(0);
  });

  it("make one limiter for each limit, and again where that failed", async () => {
    const made: RateOptions[] = [];
    let isAway = true;
    const { take } = limiterRates(async (_, options) => {
      made.push(options);
      if (isAway) throw new Error("the server is away");
      return new RateLimiterMemory(options);
    });
    await expect(take("ada", 3, 2_000)).rejects.toThrow("the server is away");
    isAway = false;
    expect(await Promise.all([take("ada", 3, 2_000), take("bob", 3, 2_000), take("ada", 3, 2_000)])).toEqual([
      0, 0, 0,
    ]);
    expect(made).toEqual(Array(2).fill({ points: 3, duration: 2, keyPrefix: "rate" }));
  });

  it("fail where the limiter fails, and let nobody through", async () => {
    const { take } = limiterRates((library, options) => {
      const limiter = new library.RateLimiterMemory(options);
      limiter.consume = async () => {
        throw new Error("the connection broke");
      };
      return limiter;
    });
    await expect(take("ada", 1, 1_000)).rejects.toThrow("the connection broke");
  });

  it("never say that it takes no time", async () => {
    const { take } = limiterRates((library, options) => {
      const limiter = new library.RateLimiterMemory(options);
      limiter.consume = () => Promise.reject(new library.RateLimiterRes(0, 0, 1, false));
      return limiter;
    });
    expect(await take("ada", 1, 1_000)).toBe(1);
  });
});

it("Rates without the limiter's package say which option needs it, and how to have it", async () => {
  vi.doMock("rate-limiter-flexible", () => {
    throw new Error("Cannot find package");
  });
  try {
    await expect(loadLimiter()).rejects.toMatchObject({
      ...{ code: "option-invalid", field: "limits" },
      message: 'Limits need the package "rate-limiter-flexible". Install it: npm i rate-limiter-flexible',
    });
  } finally {
    vi.doUnmock("rate-limiter-flexible");
  }
});
