import assert from "node:assert/strict";
import type { JsonValue } from "../json.ts";
import { type Commit, type Committed, type Store, sessionKey } from "../stores/store.ts";
import { onStore, openAgain, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { type ContractRunner, until } from "./runner.ts";

/**
 * Defines the tests of what every {@link Store} promises.
 *
 * ```ts
 * import { describe, it } from "node:test";
 * import { storeContract } from "aparte/testing";
 *
 * storeContract({ describe, it }, { name: "mine", shared: true, durable: true, open: async () => ({ store, … }) });
 * ```
 */
export function storeContract(runner: ContractRunner, options: StoreContractOptions): void {
  const { describe, it } = runner;
  const { name, shared, durable } = options;
  describe(`Store ${name}`, () => {
    it(`says that it is ${shared ? "" : "not "}shared and ${durable ? "" : "not "}durable`, () =>
      onStore(options, false, async ({ store, opened }) => {
        assert.deepEqual({ shared: store.shared, durable: store.durable }, { shared, durable });
        if (shared || durable) assert.ok(opened.again, "it can be opened again");
      }));
    for (const apart of shared ? [false, true] : [false]) {
      describe(apart ? "of two processes" : "of one process", () => {
        commitContract(runner, options, apart);
        ownerContract(runner, options, apart);
        recordContract(runner, options, apart);
      });
    }
    if (durable) it("finds all again after it was closed", () => onStore(options, false, durableContract));
  });
}

/** A time that no test lives to see. */
const never = Number.MAX_SAFE_INTEGER;

/** Commits, and says which lane it was if that was not done. */
async function done(
  store: Store,
  commit: Omit<Commit, "until"> & { until?: number },
): Promise<Committed & { is: "done" }> {
  const answer = await store.commit({ until: never, ...commit });
  assert.equal(answer.is, "done", `commit to ${commit.lane} against version ${commit.version}`);
  return answer as Committed & { is: "done" };
}

async function refused(
  store: Store,
  is: "changed" | "duplicate" | "late",
  commit: Omit<Commit, "until"> & { until?: number },
): Promise<Exclude<Committed, { is: "done" }>> {
  const answer = await store.commit({ until: never, ...commit });
  assert.equal(answer.is, is, `commit to ${commit.lane} against version ${commit.version}`);
  return answer as Exclude<Committed, { is: "done" }>;
}

function commitContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  const on = (test: (pair: StorePair) => Promise<void>) => () => onStore(options, apart, test);
  const lane = "a1_lane";

  it(
    "makes, replaces and deletes a document, each time by its version",
    on(async ({ store, other }) => {
      const nothing = await store.read(lane);
      assert.deepEqual(
        { version: nothing.version, document: nothing.document, record: nothing.record },
        { version: 0, document: undefined, record: null },
      );
      const first = await done(store, { lane, version: 0, document: { v: 1 } });
      assert.ok(first.version > 0, "a document has a version");
      assert.equal(first.record, null);
      const seen = await other.read(lane);
      assert.deepEqual([seen.version, seen.document], [first.version, { v: 1 }]);
      const second = await done(other, { lane, version: first.version, document: { v: 2 } });
      assert.ok(second.version > first.version, "versions grow");
      const gone = await done(store, { lane, version: second.version, document: undefined });
      assert.equal(gone.version, 0);
      assert.equal((await other.read(lane)).document, undefined);
      const again = await done(other, { lane, version: 0, document: { v: 3 } });
      assert.ok(again.version > second.version, "versions grow over deletion");
    }),
  );

  it(
    "does nothing against another version, and tells what is true",
    on(async ({ store, other }) => {
      const record = { v: 1, words: "of the record" };
      const { version } = await done(store, { lane, version: 0, document: { n: 1 }, record });
      for (const wrong of [0, version - 1, version + 1]) {
        const answer = await refused(other, "changed", {
          ...{ lane, version: wrong, document: { n: 2 }, record: { v: 9 } },
          ...{ marks: ["m1"], entering: ["late"] },
        });
        assert.deepEqual(
          { version: answer.version, document: answer.document, record: answer.record },
          { version, document: { n: 1 }, record },
        );
      }
      assert.deepEqual(await other.records.get(sessionKey(lane)), record);
      await other.beat("late", 0);
      assert.deepEqual(await other.dead(), [], "no list was written");
      await done(other, { lane, version, document: { n: 2 }, marks: ["m1"] });
    }),
  );

  it(
    "takes an event once, names the marks that were there, and writes nothing else then",
    on(async ({ store, other }) => {
      await done(store, { lane, version: 0, document: undefined, marks: ["m1", "m2"] });
      const answer = await refused(other, "duplicate", {
        ...{ lane, version: 0, document: { n: 1 }, record: { v: 1 } },
        ...{ marks: ["m0", "m2", "m1"] },
      });
      assert.deepEqual([...answer.duplicates].sort(), ["m1", "m2"]);
      assert.equal(answer.document, undefined);
      assert.equal(await store.records.get(sessionKey(lane)), undefined);
      await done(other, { lane, version: 0, document: undefined, marks: ["m0"] });
      await done(store, { lane, version: 0, document: undefined, removedMarks: ["m1", "never there"] });
      await done(other, { lane, version: 0, document: undefined, marks: ["m1"] });
      await done(store, { lane, version: 0, document: undefined, restoredMarks: ["m1", "m9"] });
      const later = await refused(other, "duplicate", {
        ...{ lane, version: 0, document: undefined, marks: ["m9", "m10"] },
      });
      assert.deepEqual(later.duplicates, ["m9"]);
    }),
  );

  it(
    "does nothing once its time is over",
    on(async ({ store, other }) => {
      const { now } = await store.read(lane);
      const late = { lane, version: 0, document: { n: 1 }, marks: ["m1"], record: { v: 1 } };
      const answer = await refused(other, "late", { ...late, until: now });
      assert.ok(answer.now >= now, "it tells the time");
      assert.equal((await store.read(lane)).document, undefined);
      await done(other, { ...late, until: answer.now + 60_000 });
    }),
  );

  it(
    "writes the session's record with the document, leaves it, and deletes it",
    on(async ({ store, other }) => {
      const one = await done(store, { lane, version: 0, document: { n: 1 }, record: { v: 1, n: 1 } });
      assert.equal(one.record, null, "the record before");
      const two = await done(other, { lane, version: one.version, document: { n: 2 } });
      assert.deepEqual(two.record, { v: 1, n: 1 });
      const three = await done(store, {
        ...{ lane, version: two.version },
        document: { n: 3 },
        record: null,
      });
      assert.deepEqual(three.record, { v: 1, n: 1 });
      assert.equal((await other.read(lane)).record, null);
      assert.equal(await other.records.get(sessionKey(lane)), undefined);
    }),
  );

  it(
    "keeps any document whole",
    on(async ({ store, other }) => {
      const documents: JsonValue[] = [
        { text: "hé 👩‍👧 \u0000 \u2028 李", list: [null, 1.5, -0.25, true, ""], nested: { a: { b: [] } } },
        { text: "'; DROP TABLE aparte_lanes; --" },
        { text: "x".repeat(1_000_000) },
      ];
      for (const [index, document] of documents.entries()) {
        const name = `lane "${index}" {odd} ✓`;
        await done(store, { lane: name, version: 0, document });
        assert.deepEqual((await other.read(name)).document, document);
      }
    }),
  );

  it(
    "lets exactly one of many win at the same time",
    on(async ({ store, other }) => {
      const race = async (version: number) => {
        const racers = Array.from({ length: 40 }, (_, n) =>
          (n % 2 ? store : other).commit({ lane, version, document: { n }, record: { n }, until: never }),
        );
        const answers = await Promise.all(racers);
        const winners = answers.flatMap((answer, n) => (answer.is === "done" ? [{ n, answer }] : []));
        assert.equal(winners.length, 1, `winners of 40 commits against version ${version}`);
        return winners[0] as { n: number; answer: Committed };
      };
      const first = await race(0);
      const second = await race(first.answer.version);
      const seen = await other.read(lane);
      assert.deepEqual([seen.document, seen.record], [{ n: second.n }, { n: second.n }]);
      const marked = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 ? store : other).commit({
            ...{ lane: `lane ${n}`, version: 0, document: undefined, marks: ["one"], until: never },
          }),
        ),
      );
      const taken = marked.filter(({ is }) => is === "done");
      assert.ok(taken.length >= 1, "somebody takes the event");
    }),
  );

  const { open } = options;
  it("forgets a document whose life is over, where the store's time can be advanced", async () => {
    const opened = await open();
    try {
      await done(opened.store, { lane, version: 0, document: { n: 1 }, ttlMs: 1_000 });
      assert.deepEqual((await opened.store.read(lane)).document, { n: 1 });
      if (opened.advance === undefined) return;
      opened.advance(1_001);
      assert.equal((await opened.store.read(lane)).document, undefined);
      await done(opened.store, { lane, version: 0, document: { n: 2 } });
    } finally {
      await opened.close();
    }
  });
}

function ownerContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  const on = (test: (pair: StorePair) => Promise<void>) => () => onStore(options, apart, test);
  const lease = 60_000;

  it(
    "takes an owner for alive, for dead when its time is over, and for dead for ever once it is buried",
    on(async ({ store, other }) => {
      assert.equal(await other.bury("ada"), "unknown");
      const first = await store.beat("ada", lease);
      assert.deepEqual([first.isBuried, first.until], [false, undefined]);
      assert.equal(await other.bury("ada"), "alive");
      const second = await store.beat("ada", lease);
      assert.equal(second.until, first.now + lease, "until when it was taken for alive before");
      await store.beat("ada", 0);
      assert.equal(await other.bury("ada"), "dead");
      assert.equal((await store.beat("ada", lease)).isBuried, true);
      assert.equal(await store.bury("ada"), "dead", "a sign of life brings nobody back");
    }),
  );

  it(
    "buries an owner that it does not know, if that is asked for",
    on(async ({ store, other }) => {
      assert.equal(await other.bury("bob", true), "dead");
      assert.equal((await store.beat("bob", lease)).isBuried, true);
    }),
  );

  it(
    "lists the lanes of the dead, and of nobody else",
    on(async ({ store, other }) => {
      await store.beat("ada", lease);
      await store.beat("bob", lease);
      const versions = new Map<string, number>();
      for (const lane of ["one", "two", "three"]) {
        const entering = lane === "three" ? ["bob"] : ["ada", "bob"];
        const { version } = await done(store, { lane, version: 0, document: { v: 1 }, entering });
        versions.set(lane, version);
      }
      assert.deepEqual(await other.dead(), []);
      await store.beat("ada", 0);
      const listed = async () =>
        (await other.dead()).map(({ owner, lanes }) => [owner, [...lanes].sort()] as const);
      assert.deepEqual(await listed(), [["ada", ["one", "two"]]]);
      await other.bury("ada");
      const version = versions.get("one") ?? 0;
      await done(other, { lane: "one", version, document: { v: 1 }, leaving: ["ada"] });
      assert.deepEqual(await listed(), [["ada", ["two"]]]);
    }),
  );

  it(
    "lists many lanes, some at a time, until none is left",
    on(async ({ store, other }) => {
      const count = 1_200;
      const lanes = Array.from({ length: count }, (_, n) => `lane ${n}`);
      await store.beat("ada", 0);
      const versions = new Map<string, number>();
      await Promise.all(
        lanes.map(async (lane) => {
          const { version } = await done(store, { lane, version: 0, document: 1, entering: ["ada"] });
          versions.set(lane, version);
        }),
      );
      const seen = new Set<string>();
      for (let rounds = 0; seen.size < count; rounds += 1) {
        assert.ok(rounds < count, "each look lists some that were not listed before");
        const [dead] = await other.dead();
        assert.ok(dead !== undefined && dead.lanes.length > 0, "the owner still has lanes");
        await Promise.all(
          dead.lanes.map((lane) => {
            seen.add(lane);
            const version = versions.get(lane) ?? 0;
            return done(other, { lane, version, document: undefined, leaving: ["ada"] });
          }),
        );
      }
      assert.deepEqual(await other.dead(), []);
    }),
  );

  it(
    "wakes those who listen, and names those who do not",
    on(async ({ store, other }) => {
      const woken: (string | undefined)[] = [];
      await store.beat("ada", lease);
      const end = await store.listen("ada", (lane) => void woken.push(lane));
      const first = await done(other, { lane: "one", version: 0, document: 1, wakes: ["ada", "nobody"] });
      assert.ok(first.unheard.includes("nobody"), "nobody listens");
      assert.ok(!first.unheard.includes("ada"), "ada listens");
      await until("ada is woken", () => (woken.includes("one") ? true : undefined));
      const { version } = first;
      await refused(other, "changed", { lane: "one", version: version + 1, document: 2, wakes: ["ada"] });
      await done(other, { lane: "two", version: 0, document: 2, wakes: ["ada"] });
      await until("ada is woken again", () => (woken.includes("two") ? true : undefined));
      assert.deepEqual(
        woken.filter((lane) => lane === "one"),
        ["one"],
        "what was not done wakes nobody",
      );
      end();
    }),
  );
}

function recordContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  const on = (test: (pair: StorePair) => Promise<void>) => () => onStore(options, apart, test);

  it(
    "keeps records, tells that there is none, and deletes them",
    on(async ({ store, other }) => {
      assert.equal(await store.records.get("a"), undefined);
      const value = { text: "hé 👩‍👧 \u0000", list: [1, null] };
      await store.records.set("a", value);
      await store.records.set("b", "b", 60_000.5);
      assert.deepEqual(await other.records.get("a"), value);
      assert.equal(await other.records.get("b"), "b");
      await other.records.delete("a");
      await other.records.delete("never there");
      assert.equal(await store.records.get("a"), undefined);
    }),
  );

  it(
    "writes only if nothing is there, and lets one of many win",
    on(async ({ store, other }) => {
      const won = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? store : other).records.setIfAbsent("lock", n)),
      );
      assert.equal(won.filter(Boolean).length, 1, "one of 20 writes");
      assert.equal(await other.records.get("lock"), won.indexOf(true));
      await store.records.delete("lock");
      assert.equal(await other.records.setIfAbsent("lock", "next", 60_000), true);
    }),
  );

  it(
    "lists the records whose key begins with a text",
    on(async ({ store, other }) => {
      for (const key of ["session:a", "session:b%", "sessions", "token:a"]) await store.records.set(key, key);
      const found: [string, unknown][] = [];
      for await (const entry of other.records.entries("session:")) found.push(entry);
      assert.deepEqual(found.sort(), [
        ["session:a", "session:a"],
        ["session:b%", "session:b%"],
      ]);
    }),
  );
}

async function durableContract({ store, opened }: StorePair): Promise<void> {
  const commit = { lane: "lane", version: 0, document: { v: 1 }, record: { v: 1 } };
  await store.beat("ada", 0);
  const { version } = await done(store, { ...commit, marks: ["m"], entering: ["ada"] });
  await store.records.set("kept", 1);
  await store.close();
  const reopened = await openAgain(opened);
  const found = await reopened.read("lane");
  assert.deepEqual([found.version, found.document, found.record], [version, { v: 1 }, { v: 1 }]);
  assert.equal(await reopened.records.get("kept"), 1);
  assert.deepEqual(await reopened.dead(), [{ owner: "ada", lanes: ["lane"] }]);
  await refused(reopened, "duplicate", { lane: "lane", version, document: { v: 2 }, marks: ["m"] });
}
