import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import type { SharedToken, SharedTokens } from "../../src/backends/backend.ts";
import { type Mint, TokenCache } from "../../src/session/token.ts";

const forever = new AbortController().signal;

/** Mints `t1`, `t2` … once `release` is called; from the start unless it is held. */
function minter(ttlMs = 3_600_000) {
  let gate = Promise.resolve();
  const state = { minted: 0, failWith: undefined as Error | undefined, signals: [] as AbortSignal[] };
  const hold = (): (() => void) => {
    let release = () => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  };
  const mint: Mint = async (signal) => {
    state.signals.push(signal);
    state.minted += 1;
    const token = `t${state.minted}`;
    await gate;
    if (state.failWith !== undefined) throw state.failWith;
    return { token, ttlMs };
  };
  return Object.assign(state, { hold, mint });
}

function cache(options: { max?: number } = {}) {
  const clock = { now: 1000 };
  return { clock, tokens: new TokenCache({ issuer: "app", now: () => clock.now, ...options }) };
}

/** What the store lends: one map for all "processes", one minting at a time per key. */
function shelf(): SharedTokens & { readonly kept: Map<string, SharedToken> } {
  const kept = new Map<string, SharedToken>();
  const running = new Map<string, Promise<SharedToken>>();
  return {
    kept,
    get: async (key) => kept.get(key),
    set: async (key, token) => void kept.set(key, token),
    delete: async (key) => void kept.delete(key),
    once(key, mint) {
      const known = kept.get(key);
      if (known !== undefined) return Promise.resolve(known);
      const before = running.get(key);
      if (before !== undefined) return before;
      const minting = mint().then((token) => {
        kept.set(key, token);
        return token;
      });
      running.set(key, minting);
      return minting.finally(() => running.delete(key));
    },
  };
}

describe("TokenCache", () => {
  it("mints another one for a session that was forgotten", async () => {
    const { tokens } = cache();
    const { mint } = minter();
    expect(await tokens.get("ann", mint, forever)).toBe("t1");
    expect(await tokens.get("bob", mint, forever)).toBe("t2");
    await tokens.forget("ann");
    expect([tokens.lifeMs("ann"), tokens.lifeMs("bob")]).toEqual([0, 3_590_000]);
    expect(await tokens.get("bob", mint, forever)).toBe("t2");
    expect(await tokens.get("ann", mint, forever)).toBe("t3");
  });

  it("mints once for fifty callers at the same time", async () => {
    const { tokens } = cache();
    const service = minter();
    const all = await Promise.all(
      Array.from({ length: 50 }, () => tokens.get("s", service.mint, new AbortController().signal)),
    );
    expect(new Set(all)).toEqual(new Set(["t1"]));
    expect(service.minted).toBe(1);
  });

  it("keeps sessions apart", async () => {
    const { tokens } = cache();
    const service = minter();
    expect(await tokens.get("a", service.mint, forever)).not.toBe(
      await tokens.get("b", service.mint, forever),
    );
  });

  it("lets one caller leave without failing the others, and ends the minting when all have left", async () => {
    const { tokens } = cache();
    const service = minter();
    const release = service.hold();
    const leaver = new AbortController();
    const left = tokens.get("s", service.mint, leaver.signal);
    const stays = tokens.get("s", service.mint, forever);
    leaver.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    expect(service.signals[0]?.aborted).toBe(false);
    release();
    expect(await stays).toBe("t1");

    const hold = service.hold();
    const alone = new AbortController();
    const only = tokens.get("other", service.mint, alone.signal);
    alone.abort(new Error("gone"));
    await expect(only).rejects.toThrow("gone");
    expect(service.signals[1]?.aborted).toBe(true);
    hold();
    expect(await tokens.get("other", service.mint, forever)).toBe("t3");
  });

  it("leaves nothing at the signal of a caller that has its token", async () => {
    const { tokens } = cache();
    const { signal } = new AbortController();
    expect(await tokens.get("s", minter().mint, signal)).toBe("t1");
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("fails all that wait for a failed minting, and does not keep the failure", async () => {
    const { tokens } = cache();
    const service = minter();
    service.failWith = new Error("refused");
    const both = await Promise.allSettled([1, 2].map(() => tokens.get("s", service.mint, forever)));
    expect(both.map((one) => one.status)).toEqual(["rejected", "rejected"]);
    expect(service.minted).toBe(1);
    service.failWith = undefined;
    expect(await tokens.get("s", service.mint, forever)).toBe("t2");
  });

  it("renews early in the background while the old token serves", async () => {
    const { tokens, clock } = cache();
    const service = minter(3_600_000);
    await tokens.get("s", service.mint, forever);
    clock.now += 3_400_000;
    const release = service.hold();
    expect(await Promise.all([1, 2, 3].map(() => tokens.get("s", service.mint, forever)))).toEqual(
      Array(3).fill("t1"),
    );
    expect(service.minted).toBe(2);
    release();
    await expect.poll(() => tokens.get("s", service.mint, forever)).toBe("t2");
    expect(service.minted).toBe(2);
  });

  it("goes on with the old token when the renewal fails, and does not try at every call", async () => {
    const { tokens, clock } = cache();
    const service = minter(3_600_000);
    await tokens.get("s", service.mint, forever);
    service.failWith = new Error("down");
    clock.now += 3_400_000;
    for (let call = 0; call < 5; call++) {
      expect(await tokens.get("s", service.mint, forever)).toBe("t1");
      await new Promise(setImmediate);
    }
    expect(service.minted).toBe(2);
  });

  it("never hands out a token that has ended", async () => {
    const { tokens, clock } = cache();
    const service = minter(60_000);
    await tokens.get("s", service.mint, forever);
    clock.now += 60_000;
    expect(await tokens.get("s", service.mint, forever)).toBe("t2");
  });

  it("replaces exactly the refused token", async () => {
    const { tokens } = cache();
    const service = minter();
    await tokens.get("s", service.mint, forever);
    tokens.refused("s", "an older one");
    expect(await tokens.get("s", service.mint, forever)).toBe("t1");
    tokens.refused("s", "t1");
    expect(await tokens.get("s", service.mint, forever)).toBe("t2");
  });

  it("drops the least used session beyond its bound", async () => {
    const { tokens } = cache({ max: 2 });
    const service = minter();
    for (const key of ["a", "b", "a", "c"]) await tokens.get(key, service.mint, forever);
    expect(await tokens.get("a", service.mint, forever)).toBe("t1");
    expect(await tokens.get("b", service.mint, forever)).toBe("t4");
  });
});

describe("TokenCache on a shared shelf", () => {
  it("signs once for all processes, also when the token is renewed or refused", async () => {
    const kept = shelf();
    const service = minter();
    const processes = Array.from({ length: 4 }, () => cache());
    for (const { tokens } of processes) tokens.share(kept);
    const ask = () => Promise.all(processes.map(({ tokens }) => tokens.get("s", service.mint, forever)));

    expect(new Set(await ask())).toEqual(new Set(["t1"]));
    for (const { tokens } of processes) tokens.refused("s", "t1");
    expect(new Set(await ask())).toEqual(new Set(["t2"]));
    for (const { clock } of processes) clock.now += 3_400_000;
    await ask();
    await expect.poll(async () => [...new Set(await ask())]).toEqual(["t3"]);
    expect(service.minted).toBe(3);

    const late = cache();
    late.tokens.share(kept);
    expect(await late.tokens.get("s", service.mint, forever)).toBe("t3");
  });

  it("mints one of its own when the shelf fails", async () => {
    const { tokens } = cache();
    const service = minter();
    const broken = () => Promise.reject(new Error("store down"));
    tokens.share({ get: broken, set: broken, delete: broken, once: broken });
    expect(await tokens.get("s", service.mint, forever)).toBe("t1");
  });

  it("uses what it minted when the shelf cannot keep it, and tells a failed minting as it is", async () => {
    const { tokens } = cache();
    const service = minter();
    tokens.share({
      ...shelf(),
      once: async (_key, mint) => {
        await mint();
        throw new Error("store down");
      },
    });
    expect(await tokens.get("s", service.mint, forever)).toBe("t1");
    service.failWith = new Error("refused by the service");
    await expect(tokens.get("other", service.mint, forever)).rejects.toThrow("refused by the service");
    expect(service.minted).toBe(2);
  });

  it("ends its use a twentieth of its life early where it lives for less than two hundred seconds", async () => {
    const { mint } = minter(100_000);
    const { clock, tokens } = cache();
    expect(await tokens.get("s", mint, forever)).toBe("t1");
    const flights = minter(100_000);
    flights.failWith = new Error("no renewal");
    clock.now = 1000 + 95_000 - 1;
    expect(await tokens.get("s", flights.mint, forever)).toBe("t1");
    await Promise.resolve();
    clock.now = 1000 + 95_000;
    await expect(tokens.get("s", flights.mint, forever)).rejects.toThrow("no renewal");
  });

  it("holds more than ten sessions where no bound is given", async () => {
    const { mint } = minter();
    const { tokens } = cache();
    for (let session = 1; session <= 11; session += 1) await tokens.get(`s${session}`, mint, forever);
    expect(await tokens.get("s1", mint, forever)).toBe("t1");
  });

  it("shares none with another issuer's", async () => {
    const shared = shelf();
    const issued = ["app", "other app"].map((issuer) => new TokenCache({ issuer, now: () => 1000 }));
    const { mint } = minter();
    for (const tokens of issued) tokens.share(shared);
    expect([await issued[0]?.get("s", mint, forever), await issued[1]?.get("s", mint, forever)]).toEqual([
      "t1",
      "t2",
    ]);
  });

  it("renews five minutes before the end of its use, and tries again after a quarter of what is left", async () => {
    const minted = minter();
    const { clock, tokens } = cache();
    const mintsAt = async (now: number) => {
      clock.now = now;
      expect(await tokens.get("s", minted.mint, forever)).toBe("t1");
      await new Promise((resolve) => setImmediate(resolve));
      return minted.minted;
    };
    // Minted at 1,000 for an hour, of which the last ten seconds are not used.
    expect(await mintsAt(1_000)).toBe(1);
    minted.failWith = new Error("no renewal");
    expect(await mintsAt(3_290_999)).toBe(1);
    expect(await mintsAt(3_291_000)).toBe(2);
    expect(await mintsAt(3_365_999)).toBe(2);
    expect(await mintsAt(3_366_000)).toBe(3);
  });

  it("renews one that lives for minutes in the last fifth of its life", async () => {
    const minted = minter(600_000);
    const { clock, tokens } = cache();
    const mintsAt = async (now: number) => {
      clock.now = now;
      await tokens.get("s", minted.mint, forever);
      await new Promise((resolve) => setImmediate(resolve));
      return minted.minted;
    };
    // Minted at 1,000 for ten minutes, of which the last ten seconds are not used.
    expect(await mintsAt(1_000)).toBe(1);
    expect(await mintsAt(470_999)).toBe(1);
    expect(await mintsAt(471_000)).toBe(2);
  });
});
