import assert from "node:assert/strict";
import type { Grant, SessionRecord } from "../store/store.ts";
import { sessionKey } from "../store/store.ts";
import { type OpenedStore, onStore, type StoreContractOptions, type StorePair } from "./opened-store.ts";
import { Participant, shortLease } from "./participant.ts";
import { type ContractRunner, until } from "./runner.ts";

const leaseLost = { name: "AparteError", code: "lease-lost" };

/** A session's record that can be told from others. */
function recordOf(title: string): SessionRecord {
  const speaker = { scope: "user", platform: "test", tenant: "t", user: "ü" };
  return { v: 1, speaker, conversations: { helper: { id: "c1", title } } };
}

export function laneContract({ it }: ContractRunner, options: StoreContractOptions, apart: boolean): void {
  const on = (test: (pair: StorePair, opened: OpenedStore) => Promise<void>) => () =>
    onStore(options, apart, test);
  /** With two owners whose leases do not run out. */
  const by = (test: (a: Participant, b: Participant, pair: StorePair) => Promise<void>) =>
    on((pair) => test(new Participant(pair.store), new Participant(pair.other), pair));

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
    "takes no more turns than may wait",
    by(async (a, b) => {
      const running = await a.run("lane", "1", { limit: 2 });
      await b.wait("lane", "2", { limit: 2 });
      await a.wait("lane", "3", { limit: 2 });
      assert.deepEqual(await b.begin("lane", "4", { limit: 2 }), { is: "full" });
      assert.deepEqual(await b.begin("lane", "5", { limit: 0 }), { is: "full" });
      await a.lanes.end(running);
      const second = await b.grant("2");
      assert.equal(await b.wait("lane", "6", { limit: 2 }), 2);
      await b.lanes.end(second);
      await a.lanes.end(await a.grant("3"));
      await b.lanes.end(await b.grant("6"));
      await a.run("lane", "7", { limit: 0 });
    }),
  );

  it(
    "does not take a turn that rejects waiting",
    by(async (a, b) => {
      const running = await a.run("lane", "1", { overlap: "reject" });
      assert.deepEqual(await b.begin("lane", "2", { overlap: "reject" }), { is: "busy" });
      await a.lanes.end(running);
      await b.run("lane", "3", { overlap: "reject" });
      assert.deepEqual([a.grants, b.grants], [[], []]);
    }),
  );

  it(
    "merges those that wait into the last of them, if their merge keys are equal",
    by(async (a, b) => {
      const merge = (mergeKey: string) => ({ overlap: "merge", mergeKey }) as const;
      const running = await a.run("lane", "1", merge("x"));
      await a.wait("lane", "2", merge("x"));
      await b.wait("lane", "3", merge("x"));
      await b.wait("lane", "4", merge("x"));
      await a.wait("lane", "5", merge("y"));
      await b.wait("lane", "6", merge("x"));
      await a.lanes.end(running);
      const carrier = await b.grant("4");
      assert.deepEqual(carrier.merged, [
        { key: "2", body: { text: "2" } },
        { key: "3", body: { text: "3" } },
      ]);
      await until("the owners know", () =>
        a.mergedKeys.length + b.mergedKeys.length === 2 ? true : undefined,
      );
      assert.deepEqual([a.mergedKeys, b.mergedKeys], [["2"], ["3"]]);
      assert.deepEqual(await a.begin("lane", "2", merge("x")), { is: "duplicate" });
      assert.equal(await a.lanes.withdraw("lane", "2"), false);
      await b.lanes.end(carrier);
      const alone = await a.grant("5");
      assert.deepEqual(alone.merged, []);
      await a.lanes.end(alone);
      assert.deepEqual((await b.grant("6")).merged, []);
      assert.deepEqual(await a.begin("lane", "2", merge("x")), { is: "duplicate" });
    }),
  );

  it(
    "does not merge turns that queue",
    by(async (a) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      await a.wait("lane", "3", { overlap: "merge" });
      await a.lanes.end(running);
      assert.deepEqual((await a.grant("2")).merged, []);
    }),
  );

  it(
    "tells the owner of a running turn that it is interrupted, and merges those that interrupt",
    by(async (a, b) => {
      const interrupt = { overlap: "interrupt" } as const;
      const running = await a.run("lane", "1", interrupt);
      await b.wait("lane", "2", interrupt);
      await until("the owner knows", () => a.interruptedKeys[0]);
      await b.wait("lane", "3", interrupt);
      assert.deepEqual(new Set(a.interruptedKeys), new Set(["1"]));
      assert.deepEqual(b.grants, []);
      await a.lanes.end(running);
      const carrier = await b.grant("3");
      assert.deepEqual(
        carrier.merged.map(({ key }) => key),
        ["2"],
      );
      await a.wait("lane", "4", interrupt);
      await until("the owner knows", () => b.interruptedKeys[0]);
      assert.deepEqual(b.interruptedKeys, ["3"]);
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

  it(
    "takes over nothing while leases run",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      assert.deepEqual(await b.takeOverAll(), []);
      assert.deepEqual(await a.lanes.renew([running]), []);
      assert.deepEqual(await a.lanes.renew([]), []);
      assert.deepEqual(await b.takeOverAll(), []);
    }),
  );

  it(
    "lets another owner take over when a lease has run out, with what was noted",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other, shortLease);
      const c = new Participant(store);
      const first = await a.run("lane", "1", { body: { reply: "here" } });
      await a.lanes.note(first, { chat: "c0" });
      await a.lanes.note(first, { chat: "c1", posted: ["p"] });
      const second = await b.takeOver("1");
      assert.deepEqual(second.turn, { key: "1", body: { reply: "here" } });
      assert.deepEqual([second.attempt, second.facts], [2, { chat: "c1", posted: ["p"] }]);
      assert.ok(second.fence > first.fence);
      const third = await c.takeOver("1");
      assert.deepEqual([third.attempt, third.facts], [3, { chat: "c1", posted: ["p"] }]);
      assert.ok(third.fence > second.fence);
      await c.lanes.end(third);
      assert.deepEqual(await c.takeOverAll(), []);
      assert.ok((await c.run("lane", "2")).fence > third.fence);
    }),
  );

  it(
    "takes over a merged turn whole",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other);
      const running = await b.run("lane", "1");
      for (const key of ["2", "3", "4"]) await a.wait("lane", key, { overlap: "merge" });
      await b.lanes.end(running);
      const carrier = await a.grant("4");
      const taken = await b.takeOver("4");
      assert.deepEqual([taken.merged, taken.turn, taken.attempt], [carrier.merged, carrier.turn, 2]);
      await b.lanes.end(taken);
      await b.run("lane", "5");
    }),
  );

  it(
    "refuses every step of an owner whose turn was taken over",
    on(async ({ store, other }) => {
      const a = new Participant(store, shortLease);
      const b = new Participant(other);
      const lost = await a.run("lane", "1");
      await a.lanes.save(lost, recordOf("kept"));
      const taken = await b.takeOver("1");
      await assert.rejects(a.lanes.note(lost, { chat: "of the dead" }), leaseLost);
      await assert.rejects(a.lanes.save(lost, recordOf("of the dead")), leaseLost);
      await assert.rejects(a.lanes.end(lost, recordOf("of the dead")), leaseLost);
      await assert.rejects(a.lanes.end(lost, null), leaseLost);
      const lost2 = await a.run("elsewhere", "1");
      assert.deepEqual(await a.lanes.renew([lost, lost2]), [lost]);
      assert.deepEqual(await store.records.get(sessionKey("lane")), recordOf("kept"));
      await b.lanes.note(taken, { chat: "of the living" });
      await b.lanes.end(taken, recordOf("of the living"));
      assert.deepEqual(await store.records.get(sessionKey("lane")), recordOf("of the living"));
    }),
  );

  it(
    "lets nobody take over a lease that is renewed",
    on(async ({ store, other }) => {
      const a = new Participant(store, 900);
      const b = new Participant(other);
      const grant = await a.run("lane", "1");
      const end = performance.now() + 2 * a.leaseMs;
      let renewedAt = performance.now();
      await until("two leases would have run out", async () => {
        const taken = await b.takeOverAll();
        // Where the machine stood still for a whole lease, it has run out rightly.
        if (taken.length > 0 && performance.now() - renewedAt > a.leaseMs / 2) return true;
        assert.deepEqual(taken, []);
        assert.deepEqual(await a.lanes.renew([grant]), []);
        renewedAt = performance.now();
        return renewedAt > end ? true : undefined;
      });
    }),
  );

  it(
    "leaves the waiting turns of an owner that leaves to others, as turns that never ran",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await b.wait("lane", "2");
      await a.wait("lane", "3");
      await b.lanes.leave();
      await a.lanes.end(running);
      const taken = await a.takeOver("2");
      assert.equal(taken.attempt, 1);
      assert.deepEqual(b.grants, []);
      await a.lanes.end(taken);
      await a.grant("3");
    }),
  );

  it(
    "lets an owner that leaves end what it runs, and finds what waits behind it",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.wait("lane", "2");
      await a.lanes.leave();
      assert.deepEqual(await a.lanes.renew([running]), []);
      await a.lanes.note(running, {});
      await a.lanes.end(running, recordOf("left"));
      const taken = await b.takeOver("2");
      assert.equal(taken.attempt, 1);
      if (taken.record !== undefined) assert.deepEqual(taken.record, recordOf("left"));
      assert.deepEqual(a.grants, []);
      await b.lanes.end(taken);
      await b.run("lane", "3");
    }),
  );

  it(
    "gives a turn that its owner left to the owner that gets its event again",
    by(async (a, b) => {
      const running = await b.run("lane", "1");
      await a.wait("lane", "2");
      await a.wait("lane", "3");
      await a.lanes.leave();
      assert.deepEqual(await b.begin("lane", "3"), { is: "wait", ahead: 2 });
      assert.deepEqual(await b.begin("lane", "2"), { is: "wait", ahead: 1 });
      assert.deepEqual(await b.begin("lane", "2"), { is: "duplicate" });
      await b.lanes.end(running);
      const second = await b.grant("2");
      assert.equal(second.attempt, 1);
      await b.lanes.end(second);
      assert.equal((await b.grant("3")).attempt, 1);
    }),
  );

  it(
    "takes over only turns that the owner can deliver",
    on(async ({ store, other }) => {
      const dead = new Participant(store, shortLease, ["slack"]);
      const discord = new Participant(store, undefined, ["discord"]);
      const slack = new Participant(other, undefined, ["discord", "slack"]);
      await dead.run("lane", "1", { platform: "slack" });
      await dead.wait("lane", "2", { platform: "slack" });
      await dead.lanes.leave();
      const taken = await until("the turn is taken over", async () => {
        assert.deepEqual(await discord.takeOverAll(), []);
        return (await slack.takeOverAll())[0];
      });
      assert.equal(taken.turn.key, "1");
      await slack.lanes.leave();
      await slack.lanes.end(taken);
      assert.deepEqual(await discord.takeOverAll(), []);
      assert.equal(await discord.wait("lane", "3", { platform: "discord" }), 1);
      const next = new Participant(store, undefined, ["slack"]);
      await next.lanes.end(await next.takeOver("2"));
      await discord.grant("3");
    }),
  );

  it(
    "parks a turn until its event is delivered again",
    by(async (a, b) => {
      const running = await a.run("lane", "1");
      await a.lanes.note(running, { chat: "c1" });
      await b.wait("lane", "2");
      await a.lanes.park(running);
      await assert.rejects(a.lanes.end(running), leaseLost);
      await assert.rejects(a.lanes.park(running), leaseLost);
      const second = await b.grant("2");
      assert.deepEqual(await b.begin("lane", "1", { limit: 0 }), { is: "full" });
      assert.deepEqual(await b.begin("lane", "1", { overlap: "reject" }), { is: "busy" });
      assert.equal(await b.wait("lane", "1"), 1);
      assert.deepEqual(await a.begin("lane", "1"), { is: "duplicate" });
      await b.lanes.end(second);
      const again = await b.grant("1");
      assert.deepEqual([again.attempt, again.facts], [2, { chat: "c1" }]);
      await b.lanes.park(again);
      const third = await a.run("lane", "1");
      assert.deepEqual([third.attempt, third.facts], [3, { chat: "c1" }]);
      assert.ok(third.fence > again.fence);
      await a.lanes.end(third);
      assert.deepEqual(await b.begin("lane", "1"), { is: "duplicate" });
    }),
  );

  const { breakReads } = options;
  if (breakReads === undefined) return;
  it(
    "takes nothing when the record cannot be read, and takes the event when it can",
    on(async ({ store, other }, opened) => {
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
    }),
  );
}
