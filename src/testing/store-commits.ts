import { eventMemoryMs, sessionKey } from "../stores/store.ts";
import { expectAnswer, expectThat } from "./expectations.ts";
import type { StoreSuite } from "./opened-store.ts";
import { type Change, commits, isRefused, listsDead, nothing, stands } from "./store-calls.ts";
import { newsOf } from "./store-wakes.ts";

const lane = "lane";

/** A document is replaced if it is the one that was seen; what belongs to it is written with it, or not at all. */
export function commitContract({ it, itInTime }: StoreSuite): void {
  it("knows nothing of a lane that nobody has used", async ({ store }) => {
    await stands(store, lane, nothing);
    await isRefused(store, "changed", { lane, version: 1, document: 1 }, nothing);
  });

  it("makes, replaces and deletes a document by its version, which only grows", async ({ store, other }) => {
    const first = await commits(store, { lane, version: 0, document: { v: 1 } });
    await stands(other, lane, { ...nothing, version: first.version, document: { v: 1 } });
    const second = await commits(other, { lane, version: first.version, document: { v: 2 } });
    expectThat(
      `a new version (${second.version}) is more than ${first.version}`,
      second.version > first.version,
    );
    await stands(store, lane, { ...nothing, version: second.version, document: { v: 2 } });
    await commits(store, { lane, version: second.version, document: undefined });
    await stands(other, lane, nothing);
    await commits(other, { lane, version: 0, document: undefined });
    const third = await commits(other, { lane, version: 0, document: { v: 3 } });
    expectThat(
      `a version after deletion (${third.version}) is more than before (${second.version})`,
      third.version > second.version,
    );
    await stands(store, lane, { ...nothing, version: third.version, document: { v: 3 } });
  });

  it("tells a time that does not go back", async ({ store, other }) => {
    let last = 0;
    for (let version = 0, round = 0; round < 20; round += 1) {
      const done = await commits(round % 2 ? store : other, { lane, version, document: round });
      const { now } = await other.read(lane);
      const beat = await store.beat("ada", 1000);
      expectThat(
        `the times of commit, read and beat (${last}, ${done.now}, ${now}, ${beat.now}) grow`,
        last <= done.now && done.now <= now && now <= beat.now,
      );
      ({ version } = done);
      last = beat.now;
    }
  });

  /** Everything that a commit can write: none of it may be there after it was refused. */
  const all = (version: number): Change => ({
    lane,
    version,
    document: { v: "refused" },
    record: { v: "refused" },
    marks: ["new"],
    restoredMarks: ["restored"],
    removedMarks: ["kept"],
    entering: ["eve"],
    leaving: ["ada"],
    wakes: ["ada"],
  });

  it("does nothing at all against another version, and tells what is true", async ({ store, other }) => {
    const record = { v: 1, words: "of the record" };
    const old = await commits(store, { lane, version: 0, document: { n: 0 }, marks: ["kept"] });
    const { version } = await commits(store, {
      lane,
      version: old.version,
      document: { n: 1 },
      record,
      entering: ["ada"],
    });
    const news = await newsOf(store, "ada");
    const truth = { version, document: { n: 1 }, record };
    for (const wrong of [0, old.version, version - 1, version + 1]) {
      await isRefused(other, "changed", all(wrong), truth);
      await isRefused(other, "changed", { ...all(wrong), document: undefined, record: null }, truth);
    }
    await stands(store, lane, truth);
    await news.areNone(other);
    await store.beat("ada", 0);
    await store.beat("eve", 0);
    await listsDead(other, { ada: [lane] });
    await isRefused(
      other,
      "duplicate",
      { lane, version, document: 1, marks: ["kept", "new", "restored"] },
      truth,
      ["kept"],
    );
    await commits(other, { lane, version, document: undefined });
    await isRefused(store, "changed", all(version), { ...nothing, record });
  });

  it("takes an event once: names exactly the marks that were there, and does nothing at all then", async ({
    store,
    other,
  }) => {
    await commits(store, { lane, version: 0, document: undefined, marks: ["kept", "m1", "m2"] });
    await isRefused(other, "duplicate", { ...all(0), marks: ["m0", "m2", "m3", "m1"] }, nothing, [
      "m1",
      "m2",
    ]);
    const { version } = await commits(other, {
      lane,
      version: 0,
      document: { n: 1 },
      record: { r: 1 },
      entering: ["ada"],
    });
    const news = await newsOf(store, "ada");
    const truth = { version, document: { n: 1 }, record: { r: 1 } };
    await isRefused(other, "duplicate", { ...all(version), marks: ["m0", "m1"] }, truth, ["m1"]);
    await isRefused(
      store,
      "duplicate",
      { ...all(version), marks: ["m2"], document: undefined, record: null },
      truth,
      ["m2"],
    );
    await stands(other, lane, truth);
    expectAnswer(`records.get("${sessionKey(lane)}")`, await store.records.get(sessionKey(lane)), { r: 1 });
    await news.areNone(other);
    await store.beat("ada", 0);
    await store.beat("eve", 0);
    await listsDead(other, { ada: [lane] });
    await isRefused(
      other,
      "duplicate",
      { lane, version, document: 1, marks: ["kept", "m0", "m3", "new", "restored"] },
      truth,
      ["kept"],
    );
    await commits(store, { lane, version, document: { n: 2 }, marks: ["m0", "m3", "new", "restored"] });
  });

  it("says that a commit which is sent again has changed the document, although its marks are there", async ({
    store,
    other,
  }) => {
    const change = { lane, version: 0, document: { n: 1 }, marks: ["m"] };
    const { version } = await commits(store, change);
    await isRefused(other, "changed", change, { ...nothing, version, document: { n: 1 } });
  });

  it("forgets marks that are removed, and knows those that are restored", async ({ store, other }) => {
    const base = { lane, version: 0, document: undefined };
    await commits(store, { ...base, marks: ["m1", "m2"] });
    await commits(other, { ...base, removedMarks: ["m1", "never there"] });
    await isRefused(store, "duplicate", { ...base, marks: ["m1", "m2"] }, nothing, ["m2"]);
    await commits(store, { ...base, marks: ["m1"] });
    await commits(other, { ...base, restoredMarks: ["m1", "m9"] });
    await isRefused(store, "duplicate", { ...base, marks: ["m9", "m10", "m1"] }, nothing, ["m1", "m9"]);
    await commits(store, { ...base, marks: ["m10"], restoredMarks: ["m11"], removedMarks: ["m9"] });
    await isRefused(other, "duplicate", { ...base, marks: ["m9", "m10", "m11"] }, nothing, ["m10", "m11"]);
  });

  it("does nothing at all once it is too late", async ({ store, other }) => {
    const { version } = await commits(store, {
      lane,
      version: 0,
      document: 1,
      record: { r: 1 },
      marks: ["kept"],
      entering: ["ada"],
    });
    const news = await newsOf(store, "ada");
    const truth = { version, document: 1, record: { r: 1 } };
    const { now } = await store.read(lane);
    for (const until of [now, now - 1, 0]) await isRefused(other, "late", { ...all(version), until }, truth);
    await stands(store, lane, truth);
    await news.areNone(other);
    await store.beat("ada", 0);
    await store.beat("eve", 0);
    await listsDead(other, { ada: [lane] });
    await isRefused(
      other,
      "duplicate",
      { lane, version, document: 2, marks: ["kept", "new", "restored"] },
      truth,
      ["kept"],
    );
    await commits(other, { lane, version, document: 2, until: now + 600_000 });
  });

  itInTime(
    "takes a commit until its time has come, and not from then on",
    async ({ store, other, advance }) => {
      const { now } = await store.read(lane);
      advance(499);
      const { version } = await commits(other, { lane, version: 0, document: 1, until: now + 500 });
      advance(1);
      await isRefused(
        other,
        "late",
        { lane, version, document: 2, until: now + 500 },
        { ...nothing, version, document: 1 },
      );
    },
  );

  it("forgets a document whose life is over, and nothing else of its lane", async ({
    store,
    other,
    pass,
  }) => {
    const record = { r: 1 };
    const change = { lane, version: 0, document: { n: 1 }, record, marks: ["m"], entering: ["ada"] };
    const { version } = await commits(store, { ...change, ttlMs: 100 });
    const longer = await commits(store, { lane: "longer", version: 0, document: 1, ttlMs: 600_000 });
    const isGone = async () => (await other.read(lane)).version === 0;
    await pass(100, "the document is gone", isGone);
    await stands(other, "longer", { ...nothing, version: longer.version, document: 1 });
    await stands(other, lane, { ...nothing, record });
    await isRefused(store, "changed", { lane, version, document: 2 }, { ...nothing, record });
    await isRefused(
      store,
      "duplicate",
      { lane, version: 0, document: 2, marks: ["m"] },
      { ...nothing, record },
      ["m"],
    );
    await store.beat("ada", 0);
    await listsDead(other, { ada: [lane] });
    const next = await commits(other, { lane, version: 0, document: { n: 2 } });
    expectThat(
      `a version after the document's life (${next.version}) is more than before (${version})`,
      next.version > version,
    );
  });

  itInTime(
    "keeps a document until its life is over, and one without an end for ever",
    async ({ store, other, advance }) => {
      const first = await commits(store, { lane, version: 0, document: 1, ttlMs: 1_000 });
      advance(999);
      await stands(other, lane, { ...nothing, version: first.version, document: 1 });
      const { version } = await commits(other, { lane, version: first.version, document: 2 });
      advance(366 * 24 * 3_600_000);
      await stands(store, lane, { ...nothing, version, document: 2 });
      const ending = await commits(store, { lane, version, document: 3, ttlMs: 0.5 });
      expectThat("a life may be a fraction of a millisecond", ending.version > version);
      advance(1);
      await stands(other, lane, nothing);
    },
  );

  itInTime("knows an event for a day", async ({ store, other, advance }) => {
    const base = { lane, version: 0, document: undefined };
    await commits(store, { ...base, marks: ["first"] });
    advance(eventMemoryMs / 2);
    await commits(store, { ...base, marks: ["second"], restoredMarks: ["third"] });
    advance(eventMemoryMs / 2 - 1);
    await isRefused(other, "duplicate", { ...base, marks: ["first"] }, nothing, ["first"]);
    advance(2);
    await commits(store, { ...base, marks: ["fourth"] });
    advance(eventMemoryMs / 2 - 2);
    const marks = ["second", "third", "fourth"];
    await isRefused(other, "duplicate", { ...base, marks }, nothing, marks);
  });
}
