import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Backend, openStore, SessionMapper } from "aparte";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryStore } from "../../src/stores/memory.ts";
import { sealedStore } from "../../src/stores/sealed.ts";
import { storeContract } from "../../src/testing/store.ts";

const [secret, oldSecret] = ["the secret of this year", "the secret of last year"];

storeContract(
  { describe, it },
  {
    name: "memory",
    shared: false,
    durable: false,
    open: async () => {
      const store = sealedStore(memoryStore(), [secret]);
      return { store, close: () => store.close() };
    },
  },
);

describe("A sealed store", () => {
  const inner = () => memoryStore();
  const until = Number.MAX_SAFE_INTEGER;
  const written = {
    lane: "a",
    version: 0,
    document: { v: 1, words: "canary" },
    record: { v: 1, user: "canary" },
    until,
  };

  it("keeps documents and sessions so that nobody reads them without the secret, and opens them with it", async () => {
    const store = inner();
    await sealedStore(store, [secret]).commit(written);
    const kept = await store.read("a");
    for (const text of [kept.document, kept.record]) {
      expect(text).toMatch(/^sealed\.1\.[\w-]+$/);
      const bytes = Buffer.from(String(text).slice(9), "base64url").toString("latin1");
      expect(bytes).not.toContain("canary");
    }
    const found = await sealedStore(store, [secret]).read("a");
    expect(found).toMatchObject({ document: written.document, record: written.record });
    expect(await sealedStore(store, [secret]).records.get("session:a")).toEqual(written.record);
  });

  it("says the same in two ways, so that nobody sees that it is the same", async () => {
    const texts = new Set<unknown>();
    for (const lane of ["a", "b", "c"]) {
      const store = inner();
      await sealedStore(store, [secret]).commit({ ...written, lane });
      texts.add((await store.read(lane)).record).add((await store.read(lane)).document);
    }
    expect(texts.size).toBe(6);
  });

  it("opens what each of the secrets sealed, and seals under the first", async () => {
    const store = inner();
    await sealedStore(store, [oldSecret]).records.set("session:old", { n: 1 });
    const rotated = sealedStore(store, [secret, oldSecret]);
    expect(await rotated.records.get("session:old")).toEqual({ n: 1 });
    await rotated.records.set("session:new", { n: 2 });
    expect(await sealedStore(store, [secret]).records.get("session:new")).toEqual({ n: 2 });
    expect(await sealedStore(store, [oldSecret]).records.get("session:new")).toBeTypeOf("string");
  });

  it("opens for all time what was sealed once", async () => {
    const store = inner();
    await store.records.set("session:a", "sealed.1.BwcHBwcHBwcHBwcHXRTQYIteNT_dm5ExTCgysV4mdJj_YC0");
    expect(await sealedStore(store, [secret]).records.get("session:a")).toEqual({ n: 1 });
  });

  it("reads what was written before it was sealed", async () => {
    const store = inner();
    await store.commit(written);
    const found = await sealedStore(store, [secret]).read("a");
    expect(found).toMatchObject({ document: written.document, record: written.record });
  });

  it("is the store that it seals in all else", () => {
    const store = { ...inner(), shared: true, durable: true };
    const { name, shared, durable, rates } = sealedStore(store, [secret]);
    expect({ name, shared, durable, rates }).toEqual({
      ...{ name: "memory", shared: true, durable: true, rates: store.rates },
    });
    expect("rates" in sealedStore({ ...store, rates: undefined } as never, [secret])).toBe(false);
  });

  it("tells whose document or record only an older secret opens", async () => {
    const store = inner();
    const rotated = sealedStore(store, [secret, oldSecret]);
    const old = sealedStore(store, [oldSecret]);
    await rotated.commit({ ...written, lane: "new" });
    await old.commit({ ...written, lane: "old" });
    await old.commit({ ...written, lane: "document", record: undefined } as never);
    await old.records.set("session:record", written.record);
    const told = await Promise.all(
      ["new", "old", "document", "record", "nobody"].map((lane) => rotated.needsOther?.(lane)),
    );
    expect(told).toEqual([false, true, true, true, false]);
  });

  it("takes nothing that was changed, or that is another session's, for a session's own", async () => {
    const store = inner();
    const sealed = sealedStore(store, [secret]);
    await sealed.commit(written);
    const { record, document } = await store.read("a");
    const text = String(record);
    const middle = Math.floor(text.length / 2);
    const flipped = text[middle] === "A" ? "B" : "A";
    const changed = text.slice(0, middle) + flipped + text.slice(middle + 1);
    for (const [lane, value] of [
      ["b", record],
      ["b", document],
      ["a", document],
      ["a", changed],
      ["a", text.slice(0, -4)],
      ["a", "sealed.1."],
    ] as const) {
      await store.records.set(`session:${lane}`, value);
      expect((await sealed.read(lane)).record, `${lane} ${value}`).toBeUndefined();
    }
    const { version } = await store.read("a");
    await store.commit({ lane: "a", version, document: changed, until });
    expect((await sealed.read("a")).document).toBe(changed);
    await store.commit({ lane: "b", version: 0, document, until });
    expect((await sealed.read("b")).document).toBe(document);
  });
});

describe("encrypt", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aparte-sealed-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function traces(): string[] {
    return readdirSync(folder).flatMap((file) => {
      const bytes = readFileSync(join(folder, file), "latin1");
      return ["word-canary", "user-canary", "acme-canary", "c-canary"].filter((word) => bytes.includes(word));
    });
  }

  async function talk(encrypt: boolean): Promise<{ during: string[]; answer: string }> {
    let during: string[] = [];
    const echo: Backend = {
      name: "echo",
      open: async () => "c-canary",
      async *ask({ text, note }) {
        note?.("word-canary");
        during = traces();
        yield { type: "message", text };
      },
    };
    const store = await openStore(`sqlite:${join(folder, "aparte.db")}`);
    const mapper = new SessionMapper({
      agents: { helper: echo },
      store,
      secret: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
      encrypt,
    });
    const ada = { platform: "web", tenant: "acme-canary", user: "user-canary" };
    const answer = await mapper.handle({ ...ada, id: "1", text: "word-canary" }).text();
    expect((await mapper.export(ada))?.speaker.user).toBe("user-canary");
    const listed: unknown[] = [];
    for await (const { speaker } of mapper.sessions()) listed.push(speaker.user);
    expect(listed).toEqual(["user-canary"]);
    await mapper.close();
    return { during, answer };
  }

  it("leaves no id and no word of anybody in the store's files, while a turn runs and after it", async () => {
    const { during, answer } = await talk(true);
    expect(answer).toBe("word-canary");
    expect(during).toEqual([]);
    expect(traces()).toEqual([]);
  });

  it("is what keeps them out", async () => {
    const { during } = await talk(false);
    expect(new Set(during)).toEqual(new Set(["word-canary", "user-canary", "acme-canary", "c-canary"]));
    expect(traces()).toContain("user-canary");
  });
});
