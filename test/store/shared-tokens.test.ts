import { EventEmitter, once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StoredTokens } from "../../src/session/shared-tokens.ts";
import type { Records, Store } from "../../src/stores/old-store.ts";
import { openStore } from "../../src/stores/open.ts";
import { MortalStore } from "../../src/testing/mortal-store.ts";

const secret = "a secret of the tests, long enough";
const hour = 3_600_000;

let folder: string;
let store: Store;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aparte-tokens-"));
  store = await openStore(`sqlite:${join(folder, "tokens.db")}`);
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

const tokens = (...secrets: string[]) =>
  new StoredTokens(store.records, [secrets[0] ?? secret, ...secrets.slice(1)]);

/** All token records, as the store has them. */
async function kept(): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const [key, value] of store.records.entries<string>("token:")) found.push([key, value]);
  return found;
}

/** A minter that is told when to answer. */
function minter() {
  const calls: { resolve: (token: string) => void; reject: (error: Error) => void }[] = [];
  const mint = () =>
    new Promise<{ token: string; ttlMs: number }>((resolve, reject) => {
      calls.push({ resolve: (token) => resolve({ token, ttlMs: hour }), reject });
    });
  return { calls, mint };
}

describe("Tokens that processes share", () => {
  it("are found by another process with the same secret, with what is left of their life", async () => {
    await tokens().set("app:ada", { token: "tok_ada", ttlMs: hour });
    const found = await tokens().get("app:ada");
    expect(found?.token).toBe("tok_ada");
    expect(found?.ttlMs).toBeLessThanOrEqual(hour);
    expect(found?.ttlMs).toBeGreaterThan(hour - 60_000);
    expect(await tokens().get("app:bob")).toBeUndefined();
    await tokens().delete("app:ada");
    expect(await tokens().get("app:ada")).toBeUndefined();
  });

  it("lie encrypted: neither token nor session is in the store's files", async () => {
    await tokens().once("app:session-of-ada", async () => ({ token: "tok_very_secret", ttlMs: hour }));
    const files = await Promise.all(
      (await readdir(folder)).map((name) => readFile(join(folder, name), "latin1")),
    );
    expect(files.join()).toContain("token:");
    expect(files.join()).not.toContain("tok_very_secret");
    expect(files.join()).not.toContain("session-of-ada");
  });

  it("are opened by a rotated secret, and by no other", async () => {
    await tokens().set("app:ada", { token: "tok_ada", ttlMs: hour });
    expect(await tokens("another secret, long enough", secret).get("app:ada")).toMatchObject({
      token: "tok_ada",
    });
    expect(await tokens("another secret, long enough").get("app:ada")).toBeUndefined();
  });

  it("count as absent when they were tampered with, or copied to another session", async () => {
    await tokens().set("app:ada", { token: "tok_ada", ttlMs: hour });
    await tokens().set("app:bob", { token: "tok_bob", ttlMs: hour });
    const [[one = "", ofOne = ""] = [], [other = "", ofOther = ""] = []] = await kept();
    await store.records.set(one, ofOther);
    await store.records.set(other, `${ofOne.slice(0, -4)}AAAA`);
    expect(await tokens().get("app:ada")).toBeUndefined();
    expect(await tokens().get("app:bob")).toBeUndefined();
  });

  it("are dead when their life is over, and are kept a while longer for those whose clock is behind", async () => {
    await tokens().set("app:ada", { token: "tok_ada", ttlMs: 1 });
    await expect.poll(() => tokens().get("app:ada")).toBeUndefined();
    expect(await kept()).toHaveLength(1);
  });

  it("are minted by one of many at once", async () => {
    const { calls, mint } = minter();
    const asked = Promise.all(Array.from({ length: 20 }, () => tokens().once("app:ada", mint)));
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.resolve("tok_1");
    expect(new Set((await asked).map(({ token }) => token))).toEqual(new Set(["tok_1"]));
    expect(calls).toHaveLength(1);
  });

  it("are minted by the next one when a minting fails, whose own error it stays", async () => {
    const { calls, mint } = minter();
    const first = tokens().once("app:ada", mint);
    await expect.poll(() => calls.length).toBe(1);
    const second = tokens().once("app:ada", mint);
    calls[0]?.reject(new Error("the service refused"));
    await expect(first).rejects.toThrow("the service refused");
    await expect.poll(() => calls.length).toBe(2);
    calls[1]?.resolve("tok_2");
    expect((await second).token).toBe("tok_2");
  });

  it("are minted by another one soon after the process that minted has died", async () => {
    const { calls, mint } = minter();
    const dying = new MortalStore(store);
    void new StoredTokens(dying.records, [secret]).once("app:ada", mint);
    await expect.poll(() => calls.length).toBe(1);
    dying.die();
    const second = tokens().once("app:ada", mint);
    await expect.poll(() => calls.length, { timeout: 4_000 }).toBe(2);
    calls[1]?.resolve("tok_2");
    expect((await second).token).toBe("tok_2");
  });

  it("are waited for as long as the process that mints says that it is alive", async () => {
    const { calls, mint } = minter();
    const signs = new EventEmitter();
    const watched: Records = {
      ...store.records,
      async set(key, value, ttlMs) {
        await store.records.set(key, value, ttlMs);
        signs.emit("set", ttlMs);
      },
    };
    const slow = new StoredTokens(watched, [secret]).once("app:ada", mint);
    const second = tokens().once("app:ada", mint);
    // Longer than a lock lasts by itself.
    let from = performance.now();
    const [lockMs = 0] = await once(signs, "set");
    from -= lockMs / 3;
    while (performance.now() - from < lockMs * 1.3) await once(signs, "set");
    expect(calls).toHaveLength(1);
    calls[0]?.resolve("tok_1");
    expect((await slow).token).toBe("tok_1");
    expect((await second).token).toBe("tok_1");
    expect(calls).toHaveLength(1);
  });

  it("throw when the store fails", async () => {
    const broken = () => Promise.reject(new Error("store down"));
    const records = { get: broken, set: broken, setIfAbsent: broken, delete: broken } as unknown as Records;
    const failing = new StoredTokens(records, [secret]);
    await expect(failing.get("app:ada")).rejects.toThrow("store down");
    await expect(failing.once("app:ada", minter().mint)).rejects.toThrow("store down");
  });
});
