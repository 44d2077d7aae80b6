import { createHash } from "node:crypto";
import { decodeProtectedHeader } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SharedToken } from "../../src/backends/backend.ts";
import { StoredTokens } from "../../src/session/shared-tokens.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Records } from "../../src/stores/store.ts";

const [secret, oldSecret] = ["the secret of this year", "the secret of last year"];
const hourMs = 60 * 60_000;
const epoch = 1_800_000_000_000;

let now: number;
let records: Records;
let tokens: StoredTokens;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setInterval", "clearInterval"], now: epoch });
  now = 0;
  records = memoryStore(() => now).records;
  tokens = new StoredTokens(records, [secret]);
});

afterEach(() => {
  vi.useRealTimers();
});

/** Where a key's token lies. */
function recordOf(key: string): string {
  return `token:${createHash("sha256").update(key).digest("base64url")}`;
}

describe("A token that processes share", () => {
  it("is not minted where another process has just put it there", async () => {
    const others = new StoredTokens(records, [secret]);
    const slow: Records = {
      get: (key) => records.get(key),
      set: (key, value, ttlMs) => records.set(key, value, ttlMs),
      delete: (key) => records.delete(key),
      entries: (prefix) => records.entries(prefix),
      setIfAbsent: async (key, value, ttlMs) => {
        await others.set("k", { token: "theirs", ttlMs: hourMs });
        return records.setIfAbsent(key, value, ttlMs);
      },
    };
    const mint = vi.fn<() => Promise<SharedToken>>();
    expect(await new StoredTokens(slow, [secret]).once("k", mint)).toMatchObject({ token: "theirs" });
    expect(mint).not.toHaveBeenCalled();
    expect(await records.get(`${recordOf("k")}:lock`)).toBeUndefined();
  });

  it("is there for what is left of its life, by the reader's clock, and never for longer", async () => {
    expect(await tokens.get("k")).toBeUndefined();
    await tokens.set("k", { token: "t1", ttlMs: hourMs });
    const at = async (ms: number) => {
      vi.setSystemTime(epoch + ms);
      return (await tokens.get("k"))?.ttlMs;
    };
    expect(await at(0)).toBe(hourMs);
    expect(await at(600_000)).toBe(hourMs - 600_000);
    expect(await at(hourMs - 1)).toBe(1);
    expect(await at(hourMs)).toBeUndefined();
    // A reader whose clock is an hour behind.
    expect(await at(-hourMs)).toBe(hourMs);
    expect(await tokens.get("k")).toEqual({ token: "t1", ttlMs: hourMs });
  });

  it("lies in the store for two hours longer than it lives, since clocks may be wrong", async () => {
    await tokens.set("k", { token: "t1", ttlMs: hourMs });
    now = 3 * hourMs - 1;
    expect(await records.get(recordOf("k"))).toBeTypeOf("string");
    now = 3 * hourMs;
    expect(await records.get(recordOf("k"))).toBeUndefined();
  });

  it("lies there encrypted, under a digest of its key", async () => {
    await tokens.set("ann's", { token: "a token", ttlMs: hourMs });
    const kept: [string, unknown][] = [];
    for await (const entry of records.entries("")) kept.push(entry);
    const [[key, text] = ["", ""]] = kept;
    expect(kept.length).toBe(1);
    expect(key).toBe(recordOf("ann's"));
    expect(decodeProtectedHeader(text as string)).toEqual({ alg: "dir", enc: "A256GCM" });
    const bytes = (text as string)
      .split(".")
      .map((part) => Buffer.from(part, "base64url").toString("latin1"));
    expect(bytes.join(" ")).not.toContain("a token");
  });

  it("is gone when it is deleted", async () => {
    await tokens.set("k", { token: "t1", ttlMs: hourMs });
    await tokens.delete("k");
    expect(await tokens.get("k")).toBeUndefined();
  });

  it("is read under each secret, and written under the first", async () => {
    const before = new StoredTokens(records, [oldSecret]);
    const rotated = new StoredTokens(records, [secret, oldSecret]);
    await before.set("k", { token: "t1", ttlMs: hourMs });
    expect((await rotated.get("k"))?.token).toBe("t1");
    expect(await tokens.get("k")).toBeUndefined();
    await rotated.set("k", { token: "t2", ttlMs: hourMs });
    expect((await tokens.get("k"))?.token).toBe("t2");
    expect(await before.get("k")).toBeUndefined();
  });

  it("counts as absent where its value is another key's, damaged, or none of ours", async () => {
    await tokens.set("k", { token: "t1", ttlMs: hourMs });
    const text = (await records.get<string>(recordOf("k"))) ?? "";
    const damaged = `${text.slice(0, -4)}${text.endsWith("AAAA") ? "BBBB" : "AAAA"}`;
    for (const value of [damaged, "text", "", 7, { token: "t1" }]) {
      await records.set(recordOf("k"), value);
      expect(await tokens.get("k")).toBeUndefined();
    }
    await records.set(recordOf("other"), text);
    expect(await tokens.get("other")).toBeUndefined();
    await records.set(recordOf("k"), text);
    expect((await tokens.get("k"))?.token).toBe("t1");
  });
});

describe("Minting for all processes", () => {
  const minted = (token: string): SharedToken => ({ token, ttlMs: hourMs });

  it("happens once, and the others find it", async () => {
    const other = new StoredTokens(records, [secret]);
    let mints = 0;
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const mint = async () => {
      mints += 1;
      begin();
      await finished;
      return minted(`t${mints}`);
    };
    const first = tokens.once("k", mint);
    const second = other.once("k", mint);
    await begun;
    finish();
    expect(await first).toEqual(minted("t1"));
    expect((await second).token).toBe("t1");
    expect(mints).toBe(1);
    expect((await tokens.once("k", mint)).token).toBe("t1");
    expect((await tokens.once("other", mint)).token).toBe("t2");
  });

  it("lets the next one try where it failed", async () => {
    await expect(tokens.once("k", () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(await records.get(`${recordOf("k")}:lock`)).toBeUndefined();
    expect((await tokens.once("k", async () => minted("t1"))).token).toBe("t1");
  });

  it("is held up for a second and a half by a process that died over it", async () => {
    await records.setIfAbsent(`${recordOf("k")}:lock`, "a dead one's", 1_500);
    now = 1_499;
    let mints = 0;
    const tries: Promise<boolean>[] = [];
    let triedThrice = () => {};
    const thrice = new Promise<void>((resolve) => {
      triedThrice = resolve;
    });
    const watched: Records = {
      ...records,
      get: (key) => records.get(key),
      set: (key, value, ttlMs) => records.set(key, value, ttlMs),
      delete: (key) => records.delete(key),
      setIfAbsent: (key, value, ttlMs) => {
        tries.push(records.setIfAbsent(key, value, ttlMs));
        if (tries.length === 3) triedThrice();
        return tries.at(-1) as Promise<boolean>;
      },
    };
    const waiting = new StoredTokens(watched, [secret]).once("k", async () => {
      mints += 1;
      return minted("t1");
    });
    await thrice;
    expect(await Promise.all(tries)).toEqual([false, false, false]);
    expect(mints).toBe(0);
    now = 1_500;
    expect((await waiting).token).toBe("t1");
  });

  it("says that it lives every half second while it takes long", async () => {
    const lock = `${recordOf("k")}:lock`;
    let finish = () => {};
    let minting: Promise<SharedToken> | undefined;
    await new Promise<void>((begun) => {
      minting = tokens.once("k", async () => {
        begun();
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        return minted("t1");
      });
    });
    expect(vi.getTimerCount()).toBe(1);
    now = 1_400;
    vi.advanceTimersByTime(499);
    now = 1_499;
    expect(await records.setIfAbsent(lock, "another", 1)).toBe(false);
    vi.advanceTimersByTime(1);
    now = 2_998;
    expect(await records.setIfAbsent(lock, "another", 1)).toBe(false);
    finish();
    await minting;
    expect(vi.getTimerCount()).toBe(0);
    expect(await records.get(lock)).toBeUndefined();
  });

  it("takes what another process put there in between, and leaves alone a lock that is another's by then", async () => {
    const lock = `${recordOf("k")}:lock`;
    const racing: Records = {
      ...records,
      get: (key) => records.get(key),
      set: (key, value, ttlMs) => records.set(key, value, ttlMs),
      delete: (key) => records.delete(key),
      setIfAbsent: async (key, value, ttlMs) => {
        await tokens.set("k", minted("theirs"));
        return records.setIfAbsent(key, value, ttlMs);
      },
    };
    const mine = await new StoredTokens(racing, [secret]).once("k", () =>
      Promise.reject(new Error("minted")),
    );
    expect(mine.token).toBe("theirs");
    expect(await records.get(lock)).toBeUndefined();
    await tokens.delete("k");
    await tokens.once("k", async () => {
      await records.set(lock, "another's", 1_500);
      return minted("t1");
    });
    expect(await records.get(lock)).toBe("another's");
  });
});
