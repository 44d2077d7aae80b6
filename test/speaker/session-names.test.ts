import type { Speaker } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import { RekeyedNames } from "../../src/speaker/rekeyed.ts";
import { scoped } from "../../src/speaker/scope.ts";
import { sessionName } from "../../src/speaker/session-name.ts";
import { SessionNames, type SessionNamesOptions } from "../../src/speaker/session-names.ts";
import { memoryStore } from "../../src/stores/memory.ts";
import type { Store } from "../../src/stores/store.ts";
import { settled, TestClock } from "../support/test-clock.ts";

const [oldSecret, newSecret, newest] = [
  "the old secret of 2024",
  "the new secret of 2025",
  "the newest one of 2026",
];
const ann: Speaker = { platform: "chat", tenant: "acme", user: "ann" };

let store: Store;
let clock: TestClock;

beforeEach(() => {
  store = memoryStore();
  clock = new TestClock();
});

/** One copy of the bot. */
function copy(
  secrets: SessionNamesOptions["secrets"],
  more: Partial<SessionNamesOptions> = {},
): SessionNames {
  const { records } = store;
  return new SessionNames({
    scope: "user",
    identify: undefined,
    hookTimeout: 1_000,
    clock,
    secrets,
    records,
    rekeyed: new RekeyedNames(memoryStore().records, secrets[0], clock, 0),
    ...more,
  });
}

async function nameOf(names: SessionNames, speaker: Speaker = ann): Promise<string> {
  return (await names.find(speaker)).name;
}

/** The name under a secret. */
function under(secret: string, speaker: Speaker = ann): string {
  return sessionName(scoped(speaker, "user"), secret);
}

/** A session that was born under a secret has a record. */
async function born(secret: string, speaker: Speaker = ann): Promise<void> {
  await store.records.set(`session:${under(secret, speaker)}`, { v: 1 });
}

describe("A session's name", () => {
  it("is found at once where nothing has to be asked", async () => {
    const names = copy([newSecret]);
    await names.find(ann);
    const found = names.find(ann);
    expect(found).toEqual({ name: under(newSecret), speaker: scoped(ann, "user") });
  });

  it("is the same however many people were asked for meanwhile", async () => {
    const names = copy([newSecret]);
    await names.find(ann);
    for (let index = 0; index < 10_001; index += 1) void names.find({ ...ann, user: `u${index}` });
    expect(names.find(ann)).toMatchObject({ name: under(newSecret) });
    expect(names.find({ ...ann, user: "u3" })).toMatchObject({
      name: under(newSecret, { ...ann, user: "u3" }),
    });
  });

  it("is made by the place's own scope where everybody has a session, and by the mapper's otherwise", async () => {
    const here: Speaker = { ...ann, channel: "c", thread: "t", scope: "user-in-thread" };
    const scopeOf = async (scope: SessionNamesOptions["scope"]) =>
      (await copy([newSecret], { scope }).find(here)).speaker.scope;
    expect(await scopeOf("user")).toBe("user-in-thread");
    expect(await scopeOf("channel")).toBe("channel");
    expect(await scopeOf("user-everywhere")).toBe("user-everywhere");
    expect((await copy([newSecret]).find(ann)).speaker.scope).toBe("user");
  });

  it("is of the person whom the application knows", async () => {
    const names = copy([newSecret], { identify: ({ user }) => (user === "bob" ? undefined : "ada") });
    const known = await names.find(ann);
    expect(known.speaker).toEqual({ scope: "user", identity: "ada" });
    expect(await names.find({ platform: "other", user: "x" })).toEqual(known);
    expect(await nameOf(names, { ...ann, user: "bob" })).toBe(under(newSecret, { ...ann, user: "bob" }));
  });

  it.each(["", 7, null])("is refused where the hook returns %j", async (identity) => {
    const names = copy([newSecret], { identify: () => identity as string });
    await expect(nameOf(names)).rejects.toMatchObject({ code: "input-invalid", field: "identify" });
    const later = copy([newSecret], { identify: async () => identity as string });
    await expect(nameOf(later)).rejects.toMatchObject({ code: "input-invalid", field: "identify" });
  });

  it("is found in the order in which a person's messages came, and beside those of others", async () => {
    const answers: (() => void)[] = [];
    const identify = () => new Promise<undefined>((resolve) => answers.push(() => resolve(undefined)));
    const names = copy([newSecret], { identify });
    const order: string[] = [];
    for (const [speaker, label] of [
      [ann, "first"],
      [ann, "second"],
      [{ ...ann, user: "bob" }, "bob's"],
      [{ ...ann, direct: true }, "in private"],
    ] as const) {
      void nameOf(names, speaker).then(() => order.push(label));
    }
    await settled();
    // The second one of the same person is not asked for before the first one is known.
    expect(answers.length).toBe(3);
    for (const answer of answers.splice(1).reverse()) answer();
    await settled();
    expect(order).toEqual(["in private", "bob's"]);
    answers[0]?.();
    await settled();
    answers[1]?.();
    await settled();
    expect(order).toEqual(["in private", "bob's", "first", "second"]);
  });

  it("is asked for at once where none of the same person's is under way", async () => {
    let times = 0;
    const identify = () => {
      times += 1;
      return undefined;
    };
    const names = copy([newSecret], { identify });
    for (const count of [1, 2, 3]) {
      const found = names.find(ann);
      expect(times).toBe(count);
      await found;
    }
  });

  it("is found again after a lookup that failed, and after one that never ended", async () => {
    let times = 0;
    const identify = (): Promise<undefined> => {
      times += 1;
      if (times === 1) return Promise.reject(new Error("raw"));
      return times === 2 ? new Promise(() => {}) : Promise.resolve(undefined);
    };
    const names = copy([newSecret], { identify });
    const found = ["failed", "hung", "found"].map(() => nameOf(names).catch(({ code }) => code ?? "raw"));
    await clock.pass(999);
    expect(times).toBe(2);
    await clock.pass(1);
    expect(await Promise.all(found)).toEqual(["raw", "turn-timeout", under(newSecret)]);
    expect(clock.planned).toEqual([]);
  });
});

describe("Secrets that rotate", () => {
  it("name a new session under the first one", async () => {
    expect(await nameOf(copy([newSecret, oldSecret]))).toBe(under(newSecret));
  });

  it("keep the name that a session was born with, whichever of them that was", async () => {
    for (const secret of [oldSecret, newSecret, newest]) {
      store = memoryStore();
      await born(secret);
      expect(await nameOf(copy([newest, newSecret, oldSecret]))).toBe(under(secret));
    }
  });

  it("keep it on copies with the secrets in another order, also when they meet a new person at once", async () => {
    const copies = [copy([newSecret, oldSecret]), copy([oldSecret, newSecret])];
    const people = Array.from({ length: 50 }, (_, index) => ({ ...ann, user: `u${index}` }));
    const found = await Promise.all(
      copies.map((names) => Promise.all(people.map((who) => nameOf(names, who)))),
    );
    expect(found[1]).toEqual(found[0]);
    const allowed = people.map((who) => [under(newSecret, who), under(oldSecret, who)]);
    for (const [index, name] of (found[0] ?? []).entries()) expect(allowed[index]).toContain(name);
  });

  it("keep it after the record is gone", async () => {
    await born(oldSecret);
    const names = copy([newSecret, oldSecret]);
    expect(await nameOf(names)).toBe(under(oldSecret));
    await store.records.delete(`session:${under(oldSecret)}`);
    expect(await nameOf(names)).toBe(under(oldSecret));
    expect(await nameOf(copy([newSecret, oldSecret]))).toBe(under(oldSecret));
    expect(await nameOf(copy([oldSecret, newSecret]))).toBe(under(oldSecret));
  });

  it("is the one that was kept when a rotation ended, in processes that never had the old secret", async () => {
    const kept = memoryStore().records;
    const rekeyed = () => new RekeyedNames(kept, newSecret, clock, 0);
    await rekeyed().keep(under(oldSecret), scoped(ann, "user"));
    const bob = { ...ann, user: "bob" };
    const names = copy([newSecret], { rekeyed: rekeyed() });
    expect([await nameOf(names), await nameOf(names, bob)]).toEqual([
      under(oldSecret),
      under(newSecret, bob),
    ]);
  });

  it("are looked for once for each session", async () => {
    let reads = 0;
    const records: Store["records"] = {
      ...store.records,
      get: (key) => {
        reads += 1;
        return memoryStore().records.get(key);
      },
      setIfAbsent: async () => true,
    };
    const names = copy([newSecret, oldSecret], { records });
    await nameOf(names);
    const once = reads;
    expect(once).toBe(3);
    for (let times = 0; times < 10; times += 1) await nameOf(names);
    expect(reads).toBe(once);
  });

  it("are looked for with one question where the copies have agreed on one", async () => {
    const keys: string[] = [];
    const get: Store["records"]["get"] = (key) => {
      keys.push(key);
      return store.records.get(key);
    };
    const records: Store["records"] = {
      ...{ get, set: store.records.set, delete: store.records.delete, entries: store.records.entries },
      setIfAbsent: (key, value) => store.records.setIfAbsent(key, value),
    };
    await nameOf(copy([newSecret, oldSecret], { records }));
    expect(keys.splice(0).map((key) => key.split(":")[0])).toEqual(["name", "session", "session"]);
    await nameOf(copy([oldSecret, newSecret], { records }));
    expect(keys.map((key) => key.split(":")[0])).toEqual(["name"]);
  });

  it("are remembered of ten thousand sessions", async () => {
    let reads = 0;
    const { records } = store;
    const get: Store["records"]["get"] = (key) => {
      reads += 1;
      return records.get(key);
    };
    const names = copy([newSecret, oldSecret], {
      records: { ...records, get, setIfAbsent: async () => true },
    });
    const isRead = async (index: number) => {
      const before = reads;
      await names.find({ ...ann, user: `u${index}` });
      return reads > before;
    };
    for (let index = 0; index < 10_000; index += 1) expect(await isRead(index)).toBe(true);
    expect(await isRead(0)).toBe(false);
    expect(await isRead(10_000)).toBe(true);
    expect(await isRead(0)).toBe(true);
  });

  it("are not led by a record that is none of theirs", async () => {
    const [first = ""] = [under(newSecret), under(oldSecret)].sort();
    await store.records.set(`name:${first}`, "a1_someone-elses");
    expect(await nameOf(copy([newSecret, oldSecret]))).toBe(under(newSecret));
  });

  it("fail where the store fails, and are looked for again", async () => {
    let isAway = true;
    const records: Store["records"] = {
      ...store.records,
      get: async (key) => {
        if (isAway) throw new Error("away");
        return store.records.get(key);
      },
      setIfAbsent: (key, value) => store.records.setIfAbsent(key, value),
    };
    await born(oldSecret);
    const names = copy([newSecret, oldSecret], { records });
    await expect(nameOf(names)).rejects.toThrow("away");
    isAway = false;
    expect(await nameOf(names)).toBe(under(oldSecret));
  });
});
