import assert from "node:assert/strict";
import { type Grant, type SessionRecord, sessionKey } from "../stores/old-store.ts";
import { onStore, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { leaseLost, Participant, recordOf } from "./participant.ts";
import type { ContractRunner } from "./runner.ts";

/** The order of a lane, its records and its events. */
export function laneContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  /** With two owners whose leases do not run out. */
  const by = (test: (a: Participant, b: Participant, pair: StorePair) => Promise<void>) => () =>
    onStore(options, apart, (pair) => test(new Participant(pair.store), new Participant(pair.other), pair));

  it(
    "gives a free lane at once, with the session's record",
    by(async (a, b, { store }) => {
      const body = { text: "hé 👩‍👧 \u0000", list: [null, 1.5] };
      const first = await a.run("lane", "one", { body });
      assert.deepEqual(first.turn, { key: "one", body });
      assert.deepEqual(
        { lane: first.lane, attempt: first.attempt, merged: first.merged, record: first.record },
        { lane: "lane", attempt: 1, merged: [], record: null },
      );
      assert.equal(first.facts, undefined);
      await a.lanes.end(first);
      await store.records.set(sessionKey("lane"), recordOf("kept"));
      assert.deepEqual((await b.run("lane", "two")).record, recordOf("kept"));
    }),
  );

  it(
    "lets turns run one at a time, first come, first served",
    by(async (a, b) => {
      let running = await a.run("lane", "1");
      assert.equal(await b.wait("lane", "2"), 1);
      assert.equal(await a.wait("lane", "3"), 2);
      assert.equal(await b.wait("lane", "4"), 3);
      for (const [owner, next, key] of [
        [a, b, "2"],
        [b, a, "3"],
        [a, b, "4"],
      ] as const) {
        await owner.lanes.end(running);
        const granted = await next.grant(key);
        assert.ok(granted.fence > running.fence, "the fence grows");
        assert.deepEqual({ attempt: granted.attempt, merged: granted.merged }, { attempt: 1, merged: [] });
        assert.deepEqual(granted.turn.body, { text: key });
        running = granted;
      }
      await b.lanes.end(running);
      assert.deepEqual([a.grants.length, b.grants.length], [1, 2]);
      assert.ok((await a.run("lane", "5")).fence > running.fence, "also after the lane was idle");
    }),
  );

  it(
    "lets lanes run beside each other",
    by(async (a, b) => {
      const one = await a.run("lane", "1");
      const two = await b.run("other lane", "1");
      await b.wait("lane", "2");
      await b.lanes.end(two);
      assert.equal(b.grants.length, 0);
      await a.lanes.end(one);
      await b.grant("2");
    }),
  );

  it(
    "keeps order and runs each turn once when many begin at the same time",
    by(async (a, b) => {
      const keys = Array.from({ length: 40 }, (_, index) => `turn ${index}`);
      const begun = await Promise.all(
        keys.map(async (key, index) => ({
          key,
          owner: index % 2 ? a : b,
          is: await (index % 2 ? a : b).begin("lane", key),
        })),
      );
      const places = begun.map(({ key, owner, is }) => ({
        key,
        owner,
        ahead: is.is === "wait" ? is.ahead : 0,
      }));
      const [first] = begun.flatMap(({ is }) => (is.is === "run" ? [is.grant] : []));
      assert.ok(first);
      places.sort((x, y) => x.ahead - y.ahead);
      assert.deepEqual(
        places.map(({ ahead }) => ahead),
        keys.map((_, index) => index),
      );
      let running: Grant = first;
      for (const { key, owner } of places) {
        if (key !== first.turn.key) running = await owner.grant(key);
        assert.equal(running.turn.key, key);
        await owner.lanes.end(running);
      }
      assert.equal(a.grants.length + b.grants.length, keys.length - 1);
    }),
  );

  it(
    "takes an event once: a second delivery is a duplicate while it waits, while it runs and after its end",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      for (const owner of [a, b]) {
        assert.deepEqual(await owner.begin("lane", "1"), { is: "duplicate" });
        assert.deepEqual(await owner.begin("lane", "2"), { is: "duplicate" });
      }
      await a.lanes.end(running);
      await a.lanes.end(await a.grant("2"));
      for (const owner of [a, b]) {
        assert.deepEqual(await owner.begin("lane", "1"), { is: "duplicate" });
        assert.deepEqual(await owner.begin("lane", "2"), { is: "duplicate" });
      }
      await b.run("another lane", "1");
    }),
  );

  it(
    "takes an event once when it is delivered many times at the same time",
    by(async (a, b) => {
      const begun = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 ? a : b).begin("lane", "1")),
      );
      assert.deepEqual(begun.map(({ is }) => is).sort(), [...Array(19).fill("duplicate"), "run"]);
    }),
  );

  it(
    "keeps apart events whose names look alike",
    by(async (a, b) => {
      const pairs = [
        ["l", "a b"],
        ["l", "a:b"],
        ["l:a", "b"],
        ["l", "a\u0000b"],
        ["l", "a"],
        ["l", '["a"]'],
        ["l", "ä"],
        ["l", "x".repeat(3000)],
      ];
      for (const [lane = "", key = ""] of pairs) {
        const begun = await a.begin(lane, key);
        assert.notEqual(begun.is, "duplicate");
        assert.deepEqual(await b.begin(lane, key), { is: "duplicate" });
      }
    }),
  );

  it(
    "takes a waiting turn out, and no other",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await b.wait("lane", "2");
      await b.wait("lane", "3");
      assert.equal(await b.lanes.withdraw("lane", "2"), true);
      assert.equal(await b.lanes.withdraw("lane", "2"), false);
      assert.equal(await a.lanes.withdraw("lane", "1"), false);
      assert.equal(await a.lanes.withdraw("lane", "never began"), false);
      assert.equal(await a.lanes.withdraw("no lane", "1"), false);
      assert.equal(await a.wait("lane", "4"), 2);
      await a.lanes.end(running);
      await b.lanes.end(await b.grant("3"));
      await a.lanes.end(await a.grant("4"));
      assert.deepEqual([a.grants.length, b.grants.length], [1, 1]);
    }),
  );

  it(
    "writes the session's record in mid-turn and at the end, and deletes it",
    by(async (a, b, { other }) => {
      const kept = () => other.records.get<SessionRecord>(sessionKey("lane"));
      const first = await a.run("lane", "1");
      await a.lanes.save(first, recordOf("in mid-turn"));
      assert.deepEqual(await kept(), recordOf("in mid-turn"));
      await a.lanes.end(first, recordOf("at the end"));
      assert.deepEqual(await kept(), recordOf("at the end"));
      const second = await b.run("lane", "2");
      await b.lanes.end(second);
      assert.deepEqual(await kept(), recordOf("at the end"));
      const third = await a.run("lane", "3");
      await b.wait("lane", "4");
      await a.lanes.end(third, recordOf("for the next"));
      const { record, ...fourth } = await b.grant("4");
      if (record !== undefined) assert.deepEqual(record, recordOf("for the next"));
      await b.lanes.end(fourth, null);
      assert.equal(await kept(), undefined);
      assert.equal((await a.run("lane", "5")).record, null);
    }),
  );

  it(
    "refuses every step of a turn that has ended",
    by(async (a, b, { store }) => {
      const grant = await a.run("lane", "1");
      await a.lanes.end(grant);
      const next = await b.run("lane", "2");
      await assert.rejects(a.lanes.note(grant, {}), leaseLost);
      await assert.rejects(a.lanes.save(grant, recordOf("late")), leaseLost);
      await assert.rejects(a.lanes.end(grant, recordOf("late")), leaseLost);
      assert.deepEqual(await a.lanes.renew([grant]), [grant]);
      assert.equal(await store.records.get(sessionKey("lane")), undefined);
      await b.lanes.end(next);
    }),
  );

  const { breakReads } = options;
  if (breakReads === undefined) return;
  it("takes nothing when the record cannot be read, and takes the event when it can", () =>
    onStore(options, apart, async ({ store, other }, opened) => {
      const a = new Participant(store);
      const b = new Participant(other);
      await store.records.set(sessionKey("lane"), recordOf("kept"));
      await breakReads(opened, true);
      await assert.rejects(a.begin("lane", "1"));
      await assert.rejects(store.records.get(sessionKey("lane")));
      await breakReads(opened, false);
      const grant = await b.run("lane", "1");
      assert.deepEqual(grant.record, recordOf("kept"));
      await a.wait("lane", "2");
      await b.lanes.end(grant);
      await a.grant("2");
    }));
}
