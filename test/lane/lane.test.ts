import { beforeEach, describe, expect, it } from "vitest";
import type { LaneDocument } from "../../src/lane/machine.ts";
import { markOf } from "../../src/lane/place.ts";
import type { Committed } from "../../src/stores/store.ts";
import { keysIn, leaseTime, newTurn, type OwnerInTest, ownerOf, storeTimeout } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, doneUnheard, type Intercept, storeAway, TestStore } from "../support/test-store.ts";

let clock: TestClock;
let store: TestStore;
let a: OwnerInTest;
let b: OwnerInTest;

beforeEach(async () => {
  clock = new TestClock();
  store = new TestStore(clock);
  a = ownerOf(clock, store);
  b = ownerOf(clock, store);
  for (const { owner } of [a, b]) {
    owner.start();
    await settled();
  }
});

/** Takes a turn that must be taken. */
async function take({ owner }: OwnerInTest, written: string, patienceMs = storeTimeout) {
  const taken = await owner.lane("lane").take(newTurn(written), 100, patienceMs);
  if (taken.is !== "taken") throw new Error(`${written} was not taken: ${taken.is}`);
  return taken.place;
}

function commitsOf({ view }: OwnerInTest): number {
  return view.calls.filter(({ name }) => name === "commit").length;
}

/** The next commit is done, and its answer is lost. */
function loseAnswer({ view }: OwnerInTest): void {
  view.intercept = async (call, run) => {
    if (call.name !== "commit") return run();
    view.intercept = (_, again) => again();
    await run();
    throw storeAway();
  };
}

async function documentOf(lane: string): Promise<LaneDocument | undefined> {
  return (await store.direct.read(lane)).document as unknown as LaneDocument | undefined;
}

describe("A lane", () => {
  it("goes on with a turn whose owner is dead by now when its event comes again, also as a process's first act", async () => {
    await take(a, "h1");
    a.view.intercept = cut;
    await b.owner.stop();
    const early = ownerOf(clock, store);
    expect(await early.owner.lane("lane").take(newTurn("h1"), 100, storeTimeout)).toEqual({
      is: "duplicate",
    });
    await early.owner.stop();
    await clock.pass(leaseTime);
    const late = ownerOf(clock, store);
    const again = await late.owner.lane("lane").take(newTurn("h1"), 100, storeTimeout);
    expect(again).toMatchObject({ is: "taken", place: { isRunning: true, attempt: 2 } });
  });

  it("says of a turn as well that it was taken when it cannot be known whether its owner lives", async () => {
    await take(a, "h1");
    b.view.intercept = async (call, run) => {
      if (call.name === "bury") throw storeAway();
      return run();
    };
    expect(await b.owner.lane("lane").take(newTurn("h1"), 100, storeTimeout)).toEqual({ is: "duplicate" });
  });

  it("goes on with a dead caller's turn, which nobody delivers, also where it can deliver to no platform", async () => {
    await take(a, "h1");
    a.view.intercept = cut;
    await b.owner.stop();
    await clock.pass(leaseTime);
    const silent = ownerOf(clock, store, { canDeliver: () => false });
    expect((await take(silent, "h1")).isRunning).toBe(true);
  });

  it("looks once whether an owner is dead whose turn it cannot deliver", async () => {
    await take(a, "q1");
    a.view.intercept = cut;
    await b.owner.stop();
    await clock.pass(leaseTime);
    const silent = ownerOf(clock, store, { canDeliver: () => false });
    let calls = 0;
    silent.view.intercept = (_, run) => {
      calls += 1;
      return calls > 20 ? new Promise(() => {}) : run();
    };
    const taken = silent.owner.lane("lane").take(newTurn("q1"), 100, storeTimeout);
    await settled();
    expect(await Promise.race([taken, "waits"])).toEqual({ is: "duplicate" });
  });

  it("waits for a store that fails no longer where it goes on with a dead owner's turn first", async () => {
    await take(a, "h1");
    a.view.intercept = cut;
    await b.owner.stop();
    await clock.pass(leaseTime);
    const late = ownerOf(clock, store);
    const from = clock.now();
    late.view.intercept = async (call, run) => {
      const isTakeOver = call.name === "commit" && call.commit?.marks === undefined;
      if (call.name === "dead" || (isTakeOver && clock.now() < from + storeTimeout - 1_000))
        throw storeAway();
      if (isTakeOver) late.view.intercept = cut;
      return run();
    };
    const told = late.owner
      .lane("lane")
      .take(newTurn("h1"), 100, storeTimeout)
      .then(
        () => "taken",
        (error) => error.code,
      );
    await clock.pass(storeTimeout + 10);
    expect(await Promise.race([told, "waits"])).toBe("store-failed");
    expect((await documentOf("lane"))?.parked).toMatchObject([{ turn: { key: "h1" } }]);
  });

  it("goes on with a dead owner's turn that it took over, also where it heard of that too late", async () => {
    await take(a, "q1");
    a.view.intercept = cut;
    await b.owner.stop();
    await clock.pass(leaseTime);
    const late = ownerOf(clock, store);
    late.view.intercept = async (call, run) => {
      if (call.name === "dead") throw storeAway();
      if (call.name !== "commit" || call.commit?.marks !== undefined) return run();
      late.view.intercept = cut;
      await run();
      throw storeAway();
    };
    const again = late.owner.lane("lane").take(newTurn("q1"), 100, storeTimeout);
    await clock.pass(storeTimeout + 10);
    expect(await Promise.race([again, "waits"])).toEqual({ is: "duplicate" });
    expect((await documentOf("lane"))?.running?.owner).toBe(late.owner.id);
    late.view.intercept = (_, run) => run();
    await clock.pass(leaseTime);
    expect(late.adopted).toMatchObject([{ key: "q1", isRunning: true, attempt: 2 }]);
  });

  it("waits for no store where its owner stops while it looks whether another one is dead", async () => {
    await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime * 0.9);
    const buries: (() => void)[] = [];
    b.view.intercept = async (call, run) => {
      if (call.name === "bury") await new Promise<void>((resolve) => buries.push(resolve));
      return run();
    };
    const taken = b.owner.lane("lane").take(newTurn("q1"), 100, storeTimeout);
    await clock.pass(leaseTime * 0.2);
    await b.owner.stop();
    for (const bury of buries) bury();
    await settled();
    expect(await Promise.race([taken, "waits"])).toEqual({ is: "duplicate" });
    await expect(take(b, "q2")).rejects.toMatchObject({ code: "closed" });
    expect(clock.isHeld).toBe(false);
  });

  it("takes a turn that runs by one command, and ends it by one", async () => {
    const before = a.view.calls.length;
    const place = await take(a, "q1");
    expect(await place.begun).toBe("runs");
    expect(place.lane).toBe("lane");
    expect(place.isRunning).toBe(true);
    expect(place.turn).toMatchObject({ key: "q1", owner: a.owner.id, attempt: 1, phase: "taken" });
    await place.end({ record: 1 });
    expect(a.view.calls.slice(before).map(({ name }) => name)).toEqual(["commit", "commit"]);
    expect(await store.direct.read("lane")).toMatchObject({ version: 0, record: { record: 1 } });
    expect(a.owner.lane("lane").isIdle).toBe(true);
  });

  it("commits what gathers while a commit is under way in the next one", async () => {
    const places = await Promise.all(Array.from({ length: 50 }, (_, index) => take(a, `q${index}`)));
    expect(commitsOf(a)).toBe(2);
    expect(await keysIn(store, "lane")).toEqual(Array.from({ length: 50 }, (_, index) => `q${index}`));
    expect(places.map(({ isRunning }) => isRunning)).toEqual([
      true,
      ...Array.from({ length: 49 }, () => false),
    ]);
  });

  it("gives the session's record to the turn that runs", async () => {
    await (await take(a, "q1")).end({ of: "q1" });
    const place = await take(a, "q2");
    expect(place.record).toEqual({ of: "q1" });
    await place.end(null);
    expect((await take(a, "q3")).record).toBeNull();
  });

  it("writes progress beside what is known, and the record only where it is given", async () => {
    const place = await take(a, "q1");
    await place.advance({ phase: "asked", known: { chat: 7 } }, { of: "q1" });
    await place.advance({ posts: ["p"] });
    expect((await documentOf("lane"))?.running).toMatchObject({
      ...{ phase: "asked", known: { chat: 7 }, posts: ["p"] },
    });
    expect((await store.direct.read("lane")).record).toEqual({ of: "q1" });
    expect(place.turn).toMatchObject({ phase: "asked", known: { chat: 7 }, posts: ["p"] });
  });

  it("lets the next turn run in another process, which is woken", async () => {
    const first = await take(a, "q1");
    const second = await take(b, "q2");
    expect(second.isRunning).toBe(false);
    await first.end();
    expect(await second.begun).toBe("runs");
    expect(commitsOf(b)).toBe(2);
  });

  it("refuses what the machine refuses", async () => {
    await take(a, "q1");
    const lane = a.owner.lane("lane");
    expect(await lane.take(newTurn("r2"), 100, storeTimeout)).toEqual({ is: "busy" });
    expect(await lane.take(newTurn("q3"), 0, storeTimeout)).toEqual({ is: "full" });
    expect(await lane.take(newTurn("q4"), 1, storeTimeout)).toMatchObject({ is: "taken" });
    expect(await lane.take(newTurn("q3"), 1, storeTimeout)).toEqual({ is: "full" });
    expect(await lane.take(newTurn("q3"), 2, storeTimeout)).toMatchObject({ is: "taken" });
  });

  it("knows an event that it has, that is being taken, that another process has, and that is over", async () => {
    const lane = a.owner.lane("lane");
    const taking = lane.take(newTurn("q1"), 100, storeTimeout);
    expect(await lane.take(newTurn("q1"), 100, storeTimeout)).toEqual({ is: "duplicate" });
    const taken = await taking;
    const again = await lane.take(newTurn("q1"), 100, storeTimeout);
    expect(again).toEqual({ is: "duplicate", place: taken.is === "taken" ? taken.place : "none" });
    expect(await b.owner.lane("lane").take(newTurn("q1"), 100, storeTimeout)).toEqual({ is: "duplicate" });
    if (taken.is === "taken") await taken.place.end();
    for (const { owner } of [a, b]) {
      expect(await owner.lane("lane").take(newTurn("q1"), 100, storeTimeout)).toEqual({ is: "duplicate" });
    }
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("tells an event that is over from those that come in the same moment", async () => {
    await (await take(b, "q1")).end();
    const lane = a.owner.lane("lane");
    const taken = ["q0", "q1", "q2", "q3"].map((written) => lane.take(newTurn(written), 100, storeTimeout));
    expect((await Promise.all(taken)).map((each) => each.is)).toEqual([
      "taken",
      "duplicate",
      "taken",
      "taken",
    ]);
    expect(await keysIn(store, "lane")).toEqual(["q0", "q2", "q3"]);
  });

  it("refuses a turn only by what the store has after it came", async () => {
    const running = await take(b, "q1");
    const waits = await take(a, "q2");
    const doneThen: Intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      a.view.intercept = (_, again) => again();
      const answer = await run();
      // While the answer is on its way, the lane gets idle, and one comes that does not wait.
      await running.end();
      reject = a.owner.lane("lane").take(newTurn("r3"), 100, storeTimeout);
      return answer;
    };
    let reject: ReturnType<ReturnType<typeof a.owner.lane>["take"]> | undefined;
    a.view.intercept = doneThen;
    expect(await waits.withdraw()).toBe(true);
    expect(await reject).toMatchObject({ is: "taken" });
  });

  it("goes on where what takes over its turns fails, and says so", async () => {
    a.adoptFails = true;
    await take(b, "q1");
    await b.owner.stop();
    await clock.pass(leaseTime / 3);
    expect(a.log.said).toEqual(["error: a lane could not go on"]);
    expect(a.log.lines[0]?.fields).toMatchObject({ session: "lane" });
    const later = a.owner.lane("lane").take(newTurn("q2"), 100, storeTimeout);
    expect(await later).toMatchObject({ is: "taken" });
  });

  it("tells turns that merge that another one carries their words", async () => {
    const running = await take(a, "m1");
    const merged = await take(a, "m2");
    const others = await take(b, "m3");
    const last = await take(a, "m4");
    await running.end();
    expect(await merged.begun).toBe("merged");
    expect(await others.begun).toBe("merged");
    expect(await last.begun).toBe("runs");
    expect(last.turn?.carries).toEqual([
      { key: "m2", body: { says: "m2" } },
      { key: "m3", body: { says: "m3" }, isAdopted: true },
    ]);
    await last.end();
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("gives the words of a turn that was stopped before it was sent to the one that stopped it", async () => {
    const running = await take(a, "i1");
    const next = await take(b, "i2");
    await running.end(undefined, { isUnsent: true });
    await settled();
    expect(await next.begun).toBe("runs");
    expect(next.turn?.carries?.map(({ key }) => key)).toEqual(["i1"]);
  });

  it("runs a turn again that was stopped before it was sent, where whoever stopped it was taken back", async () => {
    const running = await take(a, "i1");
    const next = await take(b, "i2");
    expect(await running.stopped).toBe("interrupted");
    expect(await next.withdraw()).toBe(true);
    await running.end(undefined, { isUnsent: true });
    await settled();
    expect(a.adopted.map(({ turn }) => turn)).toMatchObject([{ key: "i1", attempt: 1, phase: "taken" }]);
    expect(a.adopted[0]?.turn?.isInterrupted).toBeUndefined();
    await a.adopted[0]?.end();
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("does not let go of its lane where a turn runs again: what comes at once waits behind it", async () => {
    const running = await take(a, "i1");
    const next = await take(b, "i2");
    await running.stopped;
    await next.withdraw();
    const lane = a.owner.lane("lane");
    await running.end(undefined, { isUnsent: true });
    expect(a.owner.lane("lane")).toBe(lane);
    const after = await take(a, "q3");
    await settled();
    expect(a.adopted.map(({ key }) => key)).toEqual(["i1"]);
    expect(after.isRunning).toBe(false);
    await a.adopted[0]?.end();
    expect(await after.begun).toBe("runs");
    expect(a.adopted).toHaveLength(1);
  });

  it("takes turns together with marks that are put back", async () => {
    const lane = a.owner.lane("lane");
    const first = take(a, "q1");
    const [, second] = await Promise.all([lane.restoreMarks(["a mark"]), take(a, "q2")]);
    expect(await (await first).begun).toBe("runs");
    expect(second.isRunning).toBe(false);
    expect(await second.withdraw()).toBe(true);
  });

  it("asks a running turn of another process to stop", async () => {
    const running = await take(a, "i1");
    await take(b, "i2");
    expect(await running.stopped).toBe("interrupted");
    expect(running.turn?.isInterrupted).toBe(true);
  });
});

describe("Two processes at one lane", () => {
  it("both get their turn in, in one order", async () => {
    const places = await Promise.all([take(a, "q1"), take(b, "q2"), take(a, "q3"), take(b, "q4")]);
    const keys = await keysIn(store, "lane");
    expect([...keys].sort()).toEqual(["q1", "q2", "q3", "q4"]);
    expect(keys.indexOf("q1")).toBeLessThan(keys.indexOf("q3"));
    expect(keys.indexOf("q2")).toBeLessThan(keys.indexOf("q4"));
    expect(places.filter(({ isRunning }) => isRunning).map(({ key }) => key)).toEqual(keys.slice(0, 1));
  });

  it("decide anew on what the store's answer says, without a further read", async () => {
    await take(a, "q1");
    const place = await take(b, "q2");
    expect(
      b.view.calls.filter(({ name }) => name === "commit" || name === "read").map(({ name }) => name),
    ).toEqual(["commit", "commit"]);
    expect(place.isRunning).toBe(false);
  });

  it("wait a little after the third conflict, and try on", async () => {
    let tries = 0;
    await take(a, "q0");
    b.view.intercept = async (call, run) => {
      // Another process is always a moment faster.
      if (call.name === "commit" && tries < 5) {
        tries += 1;
        await take(a, `q${tries}`);
      }
      return run();
    };
    let isTaken = false;
    const taking = take(b, "q9").then(() => {
      isTaken = true;
    });
    await settled();
    expect(tries).toBe(4);
    // Half of ten milliseconds, as chance is a half here.
    await clock.pass(4.9);
    expect(tries).toBe(4);
    expect(isTaken).toBe(false);
    await clock.pass(10);
    await taking;
    expect(await keysIn(store, "lane")).toEqual(["q0", "q1", "q2", "q3", "q4", "q5", "q9"]);
  });
});

describe("A turn that is taken over", () => {
  it("is not taken once more by its own event, which comes in the same moment", async () => {
    await take(b, "q1");
    // One commit is under way: what comes meanwhile goes together in the next one.
    const blocking = a.owner.lane("lane").restoreMarks(["a mark"]);
    const takenOver = a.owner.lane("lane").takeOver(b.owner.id);
    const taken = await a.owner.lane("lane").take(newTurn("q1"), 100, storeTimeout);
    await Promise.all([blocking, takenOver]);
    await settled();
    expect(taken.is).toBe("duplicate");
    expect(a.adopted.map(({ key }) => key)).toEqual(["q1"]);
    expect((await documentOf("lane"))?.running).toMatchObject({ owner: a.owner.id, attempt: 2 });
  });
});

describe("A commit whose answer is lost", () => {
  it("takes its turn once", async () => {
    loseAnswer(a);
    const taking = take(a, "q1");
    await clock.pass(1_000);
    const place = await taking;
    expect(await place.begun).toBe("runs");
    expect((await documentOf("lane"))?.running).toMatchObject({ key: "q1", attempt: 1 });
    expect(a.adopted).toEqual([]);
  });

  it("takes its turn once, also where another one carries its words by then", async () => {
    const first = await take(a, "m1");
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      a.view.intercept = cut;
      await run();
      throw storeAway();
    };
    const taking = take(a, "m2");
    await settled();
    const last = await take(b, "m3");
    const ending = first.end();
    await settled();
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    await ending;
    expect(await last.begun).toBe("runs");
    expect(await (await taking).begun).toBe("merged");
    expect(await keysIn(store, "lane")).toEqual(["m3"]);
    expect(last.turn?.carries?.map(({ key }) => key)).toEqual(["m2"]);
  });

  it("takes its turns once, also where one of them carries the other's words by then", async () => {
    const first = await take(b, "m1");
    a.view.intercept = async (_, run) => {
      const answer = await run();
      if ((answer as { is?: string } | undefined)?.is !== "done") return answer;
      a.view.intercept = (_call, again) => again();
      await first.end();
      throw storeAway();
    };
    const taking = [take(a, "m2"), take(a, "m3")];
    await clock.pass(1_000);
    const [merged, carrier] = await Promise.all(taking);
    expect([await merged?.begun, await carrier?.begun]).toEqual(["merged", "runs"]);
    expect(carrier?.turn?.carries?.map(({ key }) => key)).toEqual(["m2"]);
  });

  it("ends its turn once, and says that it was done", async () => {
    const [first, second] = [await take(a, "q1"), await take(a, "q2")];
    loseAnswer(a);
    const ending = first.end({ of: "q1" });
    await clock.pass(1_000);
    await ending;
    expect(await second.begun).toBe("runs");
    expect(await keysIn(store, "lane")).toEqual(["q2"]);
    expect((await store.direct.read("lane")).record).toEqual({ of: "q1" });
  });

  it("takes a waiting turn back once, and says that it was done", async () => {
    await take(a, "q1");
    const place = await take(a, "q2");
    loseAnswer(a);
    const withdrawn = place.withdraw();
    await clock.pass(1_000);
    expect(await withdrawn).toBe(true);
    expect(await place.begun).toBe("withdrawn");
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
  });

  it("cannot tell its turn's end from another owner's taking over, and calls it done", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    const ending = place.end();
    ending.catch(() => {});
    await settled();
    const { version } = await store.direct.read("lane");
    const running = { ...(await documentOf("lane"))?.running, owner: b.owner.id };
    const document = { v: 1, running, waiting: [] } as never;
    await store.direct.commit({ lane: "lane", version, document, until: store.now() + 1 });
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    // Whether the first try went through cannot be told: the turn is gone from this owner, which is all that it wanted.
    await expect(ending).resolves.toBeUndefined();
    expect((await documentOf("lane"))?.running?.owner).toBe(b.owner.id);
  });
});

describe("A store that is away", () => {
  it("is tried again after pauses that grow to half a second", async () => {
    const at: number[] = [];
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      at.push(clock.now());
      throw storeAway();
    };
    const place = take(a, "q1", 3_000);
    place.catch(() => {});
    await clock.pass(3_000);
    await expect(place).rejects.toMatchObject({ code: "store-failed" });
    const pauses = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(pauses.slice(0, 5)).toEqual([37.5, 75, 150, 300, 375]);
    expect(Math.max(...pauses)).toBe(375);
  });

  it("is waited for by what runs, as long as it must", async () => {
    const place = await take(a, "q1");
    for (const { view } of [a, b]) view.intercept = cut;
    const ending = place.end();
    await clock.pass(60_000);
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    await ending;
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("is waited for by a message only within its patience, then nothing of it is left", async () => {
    a.view.intercept = cut;
    const taking = take(a, "q1", 200);
    taking.catch(() => {});
    await clock.pass(199);
    expect(a.owner.lane("lane").isIdle).toBe(false);
    await clock.pass(200);
    await expect(taking).rejects.toMatchObject({ code: "store-failed" });
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(await documentOf("lane")).toBeUndefined();
    expect(await (await take(a, "q1")).begun).toBe("runs");
  });

  it("is told of by whoever wants turns to stop, when their time is over", async () => {
    await take(a, "q1");
    a.view.intercept = cut;
    const stopped = expect(a.owner.lane("lane").stop(() => true)).rejects.toMatchObject({
      code: "store-failed",
    });
    await clock.pass(storeTimeout * 2);
    await stopped;
  });

  it("is named as what failed, also where it fails with an error of its own", async () => {
    const cause = new Error("no such table");
    a.view.intercept = async (call, run) => {
      if (call.name === "commit") throw cause;
      return run();
    };
    const taking = take(a, "q1", 100);
    taking.catch(() => {});
    await clock.pass(200);
    await expect(taking).rejects.toMatchObject({ code: "store-failed", cause });
  });

  it("is waited for by one message when another one's patience is over", async () => {
    a.view.intercept = cut;
    const hasty = take(a, "q1", 200);
    const patient = take(a, "q2", 5_000);
    hasty.catch(() => {});
    await clock.pass(1_000);
    await expect(hasty).rejects.toMatchObject({ code: "store-failed" });
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(await (await patient).begun).toBe("runs");
  });

  it("takes a turn back that it did all the same, so that its event may come again", async () => {
    a.view.intercept = doneUnheard;
    const taking = take(a, "q1", 100);
    taking.catch(() => {});
    await settled();
    const waiting = await take(b, "q2");
    a.view.intercept = cut;
    await clock.pass(200);
    await expect(taking).rejects.toMatchObject({ code: "store-failed" });
    expect(await keysIn(store, "lane")).toEqual(["q1", "q2"]);
    a.view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(await waiting.begun).toBe("runs");
    expect(a.adopted).toEqual([]);
    expect(await keysIn(store, "lane")).toEqual(["q2"]);
    await waiting.end();
    expect(await (await take(b, "q1")).begun).toBe("runs");
  });

  it("takes a turn back that it did all the same once its person was told, or could not be told for a while", async () => {
    for (const isTold of [true, false]) {
      loseAnswer(a);
      let toldNow = () => {};
      const telling = new Promise<boolean>((resolve) => {
        toldNow = () => resolve(true);
      });
      const taking = a.owner.lane("lane").take(newTurn("q1"), 9, 100, () => telling);
      taking.catch(() => {});
      await settled();
      a.view.intercept = cut;
      await clock.pass(100);
      await expect(taking).rejects.toMatchObject({ retryable: true });
      a.view.intercept = (_, run) => run();
      await clock.pass(storeTimeout - 1);
      expect(await keysIn(store, "lane")).toEqual(["q1"]);
      if (isTold) toldNow();
      else await clock.pass(1_000);
      await settled();
      expect(await keysIn(store, "lane")).toEqual([]);
    }
    expect(a.adopted).toEqual([]);
  });

  it("takes a turn back that comes late by its own clock, which is behind what was believed", async () => {
    let arrive: () => Promise<unknown> = async () => {};
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      a.view.intercept = cut;
      arrive = run;
      throw storeAway();
    };
    const taking = take(a, "q1", 1_000);
    taking.catch(() => {});
    await settled();
    store.jump(-3_000);
    await clock.pass(1_000);
    await expect(taking).rejects.toMatchObject({ retryable: true });
    a.view.intercept = (_, run) => run();
    // It looks, and hears what time it is.
    await clock.pass(1_000);
    await arrive();
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
    await clock.pass(3_000);
    expect(await keysIn(store, "lane")).toEqual([]);
    expect(a.adopted).toEqual([]);
    expect(await (await take(b, "q1")).begun).toBe("runs");
  });

  it("has no turn that was refused, where an earlier try comes late and the lane is idle by then", async () => {
    const running = await take(b, "q1");
    let arrive: () => Promise<unknown> = async () => {};
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      a.view.intercept = (_, again) => again();
      arrive = run;
      throw storeAway();
    };
    const taking = a.owner.lane("lane").take(newTurn("r2"), 100, storeTimeout);
    await clock.pass(100);
    expect(await taking).toEqual({ is: "busy" });
    await running.end();
    await arrive();
    expect(await keysIn(store, "lane")).toEqual(["r2"]);
    await clock.pass(storeTimeout);
    expect(a.adopted).toEqual([]);
    expect(await keysIn(store, "lane")).toEqual([]);
    expect(await (await take(b, "r2")).begun).toBe("runs");
  });

  it("takes a turn back that it did all the same, also where it was wanted again, in vain", async () => {
    loseAnswer(a);
    const taking = take(a, "q1", 100);
    taking.catch(() => {});
    await settled();
    for (const { view } of [a, b]) view.intercept = cut;
    await clock.pass(200);
    await expect(taking).rejects.toMatchObject({ code: "store-failed" });
    await clock.pass(leaseTime);
    // Its process may send nothing at this time: nothing of it is sent.
    const again = take(a, "q1", 100);
    again.catch(() => {});
    await clock.pass(600);
    await expect(again).rejects.toMatchObject({ code: "store-timeout" });
    for (const { view } of [a, b]) view.intercept = (_, run) => run();
    await clock.pass(1_000);
    expect(a.adopted).toEqual([]);
    expect(await keysIn(store, "lane")).toEqual([]);
  });

  it.each([0, 1_000])(
    "has a turn that it did all the same when it is wanted again, %i ms later",
    async (ms) => {
      loseAnswer(a);
      const taking = take(a, "q1", 100);
      taking.catch(() => {});
      await settled();
      a.view.intercept = cut;
      await clock.pass(200);
      await expect(taking).rejects.toMatchObject({ code: "store-failed" });
      await clock.pass(ms);
      const again = take(a, "q1");
      await settled();
      a.view.intercept = (_, run) => run();
      await clock.pass(1_000);
      expect(await (await again).begun).toBe("runs");
      await clock.pass(storeTimeout);
      expect(await keysIn(store, "lane")).toEqual(["q1"]);
      expect((await again).isLost).toBe(false);
      expect(await b.owner.lane("lane").take(newTurn("q1"), 9, storeTimeout)).toEqual({ is: "duplicate" });
    },
  );

  it("takes nothing back that another process took, which died: it goes on with it", async () => {
    await take(a, "q1");
    await a.owner.stop();
    let isSlow = true;
    b.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      const answer = (await run()) as Committed;
      if (answer.is !== "done" || !isSlow) return answer;
      // It has taken the turn over, and the message's time is over when it hears of a failure.
      isSlow = false;
      await b.owner.pause(200);
      throw storeAway();
    };
    const again = take(b, "q1", 100);
    again.catch(() => {});
    void b.owner.lane("lane").takeOver(a.owner.id);
    await clock.pass(200);
    await expect(again).rejects.toMatchObject({ code: "store-failed" });
    await clock.pass(storeTimeout);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
  });

  it("takes no words back that another process took, where a turn of its own carries them", async () => {
    const first = await take(a, "m1");
    b.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      b.view.intercept = (_, again) => again();
      throw storeAway();
    };
    const refused = b.owner.lane("lane").take(newTurn("m2"), 0, storeTimeout);
    await clock.pass(100);
    expect(await refused).toEqual({ is: "full" });
    await take(a, "m2");
    const carrier = await take(b, "m3");
    await first.end();
    await clock.pass(storeTimeout);
    expect(carrier.isRunning).toBe(true);
    expect((await documentOf("lane"))?.running?.carries).toMatchObject([{ key: "m2" }]);
  });

  it("takes nothing back that it had before, where the same came again in vain beside something else", async () => {
    const first = await take(a, "m0");
    const one = await take(a, "m1");
    const two = await take(a, "m2");
    await first.end();
    expect([await one.begun, await two.begun]).toEqual(["merged", "runs"]);
    a.view.intercept = cut;
    const lane = a.owner.lane("lane");
    const again = lane.take(newTurn("m1"), 100, storeTimeout).catch((error) => error);
    const other = lane.take(newTurn("m3"), 100, storeTimeout).catch((error) => error);
    await clock.pass(storeTimeout);
    expect([await again, await other]).toMatchObject([{ retryable: true }, { retryable: true }]);
    a.view.intercept = (_, run) => run();
    await clock.pass(storeTimeout);
    expect(await documentOf("lane")).toMatchObject({ running: { key: "m2", carries: [{ key: "m1" }] } });
    expect((await a.owner.lane("lane").take(newTurn("m1"), 100, storeTimeout)).is).toBe("duplicate");
    await two.end();
    expect((await a.owner.lane("lane").take(newTurn("m1"), 100, storeTimeout)).is).toBe("duplicate");
  });

  it("says that it was away where no sign of life got through in time", async () => {
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    expect(a.owner.isAlive).toBe(false);
    const commits = commitsOf(a);
    const taking = take(a, "q1", 1_000);
    taking.catch(() => {});
    await clock.pass(1_000);
    await expect(taking).rejects.toMatchObject({ code: "store-timeout" });
    expect(commitsOf(a)).toBe(commits);
  });

  it("gets no commit of a process whose lease is over, before it was heard again", async () => {
    const place = await take(a, "q1");
    for (const { view } of [a, b]) view.intercept = cut;
    await clock.pass(leaseTime);
    const order: string[] = [];
    a.view.intercept = async (call, run) => {
      order.push(call.name);
      return run();
    };
    const ending = place.end();
    await clock.pass(300);
    await ending;
    expect(order.filter((name) => name === "beat" || name === "commit").slice(0, 2)).toEqual([
      "beat",
      "commit",
    ]);
  });

  it("refuses a commit that arrives after its time, which is decided anew", async () => {
    let isSlow = true;
    a.view.intercept = async (call, run) => {
      if (call.name === "commit" && isSlow) {
        isSlow = false;
        await a.owner.pause(storeTimeout + 1);
      }
      return run();
    };
    const taking = take(a, "q1", storeTimeout * 2);
    await clock.pass(storeTimeout);
    expect(await documentOf("lane")).toBeUndefined();
    await clock.pass(10);
    expect(await (await taking).begun).toBe("runs");
    expect(commitsOf(a)).toBe(2);
  });

  it("refuses a commit that arrives after its turn was given up and taken back", async () => {
    let arrive: () => Promise<unknown> = async () => {};
    a.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      // The first try is lost, and the second one on its way for long.
      a.view.intercept = async (_, second) => {
        arrive = second;
        a.view.intercept = (_, other) => other();
        await a.owner.pause(storeTimeout);
        throw storeAway();
      };
      await a.owner.pause(storeTimeout / 2);
      throw storeAway();
    };
    const taking = take(a, "q1").catch((error) => error);
    await clock.pass(storeTimeout * 1.6);
    expect(await taking).toMatchObject({ code: "store-failed" });
    expect(await documentOf("lane")).toBeUndefined();
    expect(await arrive()).toMatchObject({ is: "late" });
    await clock.pass(storeTimeout);
    expect(await documentOf("lane")).toBeUndefined();
    expect(a.adopted).toEqual([]);
  });

  it("tells whoever takes a turn when its time is over, where the store only says that it is late", async () => {
    a.view.intercept = async (call, run) => {
      if (call.name === "commit") await a.owner.pause(storeTimeout + 1);
      return run();
    };
    const taking = take(a, "q1").catch((error) => error);
    await clock.pass(storeTimeout + 10);
    expect(await taking).toMatchObject({ code: "store-timeout" });
    await clock.pass(storeTimeout * 3);
    expect(await documentOf("lane")).toBeUndefined();
  });
});

describe("A turn that waits", () => {
  it("finds out within a lease that it is to run, where the wake was lost", async () => {
    const first = await take(a, "q1");
    b.view.isDeaf = true;
    const second = await take(b, "q2");
    await first.end();
    await clock.pass(leaseTime - 1_000);
    expect(second.isRunning).toBe(false);
    await clock.pass(leaseTime / 3 + 1_000);
    expect(second.isRunning).toBe(true);
  });

  it("is told within a lease that it is interrupted, where the wake was lost", async () => {
    const running = await take(a, "i1");
    let reason: unknown;
    void running.stopped.then((why) => {
      reason = why;
    });
    a.view.isDeaf = true;
    await take(b, "i2");
    await clock.pass(leaseTime - 1_000);
    expect(reason).toBeUndefined();
    await clock.pass(leaseTime / 3 + 1_000);
    expect(reason).toBe("interrupted");
  });

  it("finds out that whoever runs is dead, where the dead cannot be looked for", async () => {
    await take(a, "q1");
    const second = await take(b, "q2");
    a.view.intercept = cut;
    b.view.intercept = (call, run) => (call.name === "dead" ? cut(call, run) : run());
    await clock.pass(leaseTime * 3);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
    await b.adopted[0]?.end();
    expect(await second.begun).toBe("runs");
  });

  it("misses no wake that comes while it looks", async () => {
    const running = await take(b, "q1");
    const waits = await take(a, "q2");
    a.view.intercept = async (call, run) => {
      if (call.name !== "read") return run();
      a.view.intercept = (_, again) => again();
      const answer = await run();
      await running.end();
      return answer;
    };
    a.owner.lane("lane").look();
    await settled();
    expect(waits.isRunning).toBe(true);
  });

  it("looks no more often than once a lease", async () => {
    await take(a, "q1");
    await take(b, "q2");
    await clock.pass(leaseTime * 3);
    expect(b.view.calls.filter(({ name }) => name === "read").length).toBe(2);
    // It may have been stopped, and the wake lost.
    expect(a.view.calls.filter(({ name }) => name === "read").length).toBe(2);
  });

  it("can be taken back, and its event may come again", async () => {
    await take(a, "q1");
    const place = await take(a, "q2");
    expect(await place.withdraw()).toBe(true);
    expect(await place.begun).toBe("withdrawn");
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
    expect((await take(a, "q2")).isRunning).toBe(false);
  });

  it("can be taken back by its person: should its event come again, it is not run", async () => {
    await take(a, "q1");
    const place = await take(a, "q2");
    expect(await place.withdraw(true)).toBe(true);
    expect(await a.owner.lane("lane").take(newTurn("q2"), 10, storeTimeout)).toEqual({ is: "duplicate" });
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
  });

  it("waits for a store that fails for a while where its caller reads it, and as long as it must otherwise", async () => {
    const [first, second] = [await take(a, "h1"), await take(a, "q2")];
    expect([first.patienceMs, second.patienceMs]).toEqual([storeTimeout, Number.POSITIVE_INFINITY]);
  });

  it("cannot be taken back once it runs, or another one carries its words", async () => {
    const first = await take(a, "m1");
    expect(await first.withdraw()).toBe(false);
    const merged = await take(b, "m2");
    await take(a, "m3");
    b.view.isDeaf = true;
    await first.end();
    expect(await merged.withdraw()).toBe(false);
    expect(await merged.begun).toBe("merged");
    expect(await keysIn(store, "lane")).toEqual(["m3"]);
  });
});

describe("What is written of a lane", () => {
  it("names an event by a digest of 22 characters", async () => {
    await take(a, "q1");
    const commits = a.view.calls.flatMap(({ commit }) => commit ?? []);
    // The SHA-256 of "lane q1", in Base64 for URLs, as openssl computes it.
    expect(commits.map(({ marks }) => marks)).toEqual([["-H224i0VKVZHAdmwfB1Yrh"]]);
    expect(markOf("lane", "q1")).toBe("-H224i0VKVZHAdmwfB1Yrh");
  });

  it("says which owners the lane is one of, or no longer", async () => {
    const first = await take(a, "q1");
    const second = await take(b, "q2");
    await first.end();
    await second.end();
    const lists = [...a.view.calls, ...b.view.calls].flatMap(({ commit }) =>
      commit === undefined ? [] : [[commit.entering, commit.leaving, commit.wakes]],
    );
    expect(lists).toEqual([
      [[a.owner.id], undefined, undefined],
      // Tries that went against what was seen last: a lane without the second turn, and an idle one.
      [undefined, [a.owner.id], undefined],
      [undefined, [a.owner.id], [b.owner.id]],
      [[b.owner.id], undefined, undefined],
      [[b.owner.id], undefined, undefined],
      [undefined, [b.owner.id], undefined],
    ]);
  });

  it("lives for a day where only parked turns are left, and without end otherwise", async () => {
    await take(a, "h1");
    await a.owner.stop();
    await clock.pass(leaseTime / 3);
    const left = b.view.calls.flatMap(({ commit }) => commit ?? []);
    expect(left.map(({ ttlMs }) => ttlMs)).toEqual([24 * 60 * 60_000]);
    expect((await documentOf("lane"))?.parked?.map(({ turn }) => turn.key)).toEqual(["h1"]);
    await b.owner.stop();
    await clock.pass(24 * 60 * 60_000);
    expect(await documentOf("lane")).toBeUndefined();
    expect(a.view.calls.flatMap(({ commit }) => commit ?? []).map(({ ttlMs }) => ttlMs)).toEqual([undefined]);
  });

  it("is refused by the store from `storeTimeout` on after it was sent", async () => {
    // Signs of life were given meanwhile: each told this process the store's time.
    await clock.pass(leaseTime);
    await take(a, "q1");
    const [commit] = a.view.calls.flatMap((call) => call.commit ?? []);
    expect(commit?.until).toBe(store.now() + storeTimeout);
  });
});

describe("A document that is not ours to read", () => {
  beforeEach(async () => {
    const until = store.now() + 1_000;
    await store.direct.commit({ lane: "lane", version: 0, document: { v: 2 }, until });
  });

  it("fails what comes, is logged and stays as it is", async () => {
    const taking = take(a, "q1");
    await expect(taking).rejects.toMatchObject({ code: "store-unreadable" });
    await expect(taking).rejects.toThrow("newer version");
    expect(a.log.said).toEqual(["error: a lane cannot be read"]);
    expect(a.log.lines[0]?.fields).toMatchObject({ session: "lane", code: "store-unreadable" });
    expect(await documentOf("lane")).toEqual({ v: 2 });
    const other = await a.owner.lane("other").take(newTurn("q1"), 1, storeTimeout);
    expect(other.is).toBe("taken");
  });
});

describe("A store that went back in time", () => {
  it("gets a running turn back, with all that was written of it", async () => {
    const place = await take(a, "q1");
    await place.advance({ phase: "asked", known: 7 });
    await store.goBackTo(-1);
    await clock.pass(leaseTime);
    expect((await documentOf("lane"))?.running).toMatchObject({
      key: "q1",
      attempt: 1,
      phase: "asked",
      known: 7,
    });
    expect(place.isLost).toBe(false);
    await place.end();
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("gets what it lost of a turn's progress back", async () => {
    const place = await take(a, "q1");
    await clock.pass(100);
    await place.advance({ phase: "asked", known: 7 });
    await store.goBackTo(50);
    a.owner.lane("lane").look();
    await settled();
    expect((await documentOf("lane"))?.running).toMatchObject({
      key: "q1",
      attempt: 1,
      phase: "asked",
      known: 7,
    });
  });

  it("gets turns that wait back, in their order", async () => {
    await take(a, "q1");
    await clock.pass(100);
    const places = [await take(a, "q2"), await take(a, "q3")];
    await store.goBackTo(50);
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
    a.owner.lane("lane").look();
    await settled();
    expect(await keysIn(store, "lane")).toEqual(["q1", "q2", "q3"]);
    expect(places.some(({ isLost }) => isLost)).toBe(false);
  });

  it("gets a turn back that is about to end, and then its end with the session's record", async () => {
    const [place, waits] = [await take(a, "q1"), await take(a, "q2")];
    await store.goBackTo(-1);
    await place.end({ of: "q1" });
    expect(await waits.begun).toBe("runs");
    expect(waits.record).toEqual({ of: "q1" });
    await settled();
    expect(await keysIn(store, "lane")).toEqual(["q2"]);
    expect(await b.owner.lane("lane").take(newTurn("q1"), 9, storeTimeout)).toEqual({ is: "duplicate" });
  });

  it("gets a turn back that is about to end, and whose event may come again", async () => {
    const place = await take(a, "q1");
    // Marks of the last seconds are put back by themselves.
    await clock.pass(leaseTime);
    await store.goBackTo(-1);
    await place.end(undefined, { mayComeAgain: "own" });
    expect(await (await take(b, "q1")).begun).toBe("runs");
  });

  it("gets a turn back before what is written of it, and turns that wait behind it before those that come", async () => {
    const place = await take(a, "q1");
    await take(a, "q2");
    await take(a, "q3");
    await store.goBackTo(-1);
    const advanced = place.advance({ phase: "asked" });
    await take(a, "q4");
    await advanced;
    expect((await documentOf("lane"))?.running).toMatchObject({ key: "q1", phase: "asked", attempt: 1 });
    expect(await keysIn(store, "lane")).toEqual(["q1", "q2", "q3", "q4"]);
  });

  it("does not get back what another process ended", async () => {
    const place = await take(a, "q1");
    await store.direct.commit({
      lane: "lane",
      version: (await store.direct.read("lane")).version,
      document: undefined,
      until: store.now() + 1,
    });
    a.owner.lane("lane").look();
    await settled();
    expect(place.isLost).toBe(true);
    expect(await place.stopped).toMatchObject({ code: "lease-lost" });
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("has an ended turn's mark put back, so that its event does not run again", async () => {
    await clock.pass(3_300);
    // With it a sign of life is lost, which shows it.
    await (await take(a, "q1")).end();
    await clock.pass(100);
    await store.goBackTo(3_200);
    await clock.pass(leaseTime / 3);
    expect(a.log.said).toContain(
      "warn: the store has lost what was written last; it is put back as far as it is known",
    );
    expect(await b.owner.lane("lane").take(newTurn("q1"), 1, storeTimeout)).toEqual({ is: "duplicate" });
  });
});

describe("A turn that runs", () => {
  it("knows how far it is, also while the store does not", async () => {
    const place = await take(a, "q1");
    await take(b, "q2");
    const phases: unknown[] = [];
    a.view.intercept = async (call, run) => {
      // Of the second one, the first of which tells that the lane has changed.
      if (call.name === "commit") phases.push(place.turn?.phase);
      return run();
    };
    await place.advance({ phase: "asked" });
    expect(phases).toEqual(["asked", "asked"]);
  });
});

describe("A turn that became another owner's", () => {
  it("stops, and can write nothing more", async () => {
    const place = await take(a, "q1");
    const waits = await take(a, "q2");
    const { version } = await store.direct.read("lane");
    const document = await documentOf("lane");
    const theirs = { ...document?.running, owner: b.owner.id };
    const others = document?.waiting.map((turn) => ({ ...turn, owner: b.owner.id }));
    await store.direct.commit({
      ...{ lane: "lane", version, until: store.now() + 1, wakes: [a.owner.id] },
      document: { v: 1, running: theirs, waiting: others } as never,
    });
    await settled();
    expect([place.isLost, waits.isLost]).toEqual([true, true]);
    expect(await place.stopped).toMatchObject({ code: "lease-lost" });
    expect(await waits.begun).toBe("lost");
    await expect(place.permit()).rejects.toMatchObject({ code: "lease-lost" });
    await expect(place.advance({ phase: "asked" })).rejects.toMatchObject({ code: "lease-lost" });
    await expect(place.end()).rejects.toMatchObject({ code: "lease-lost" });
    expect(a.owner.lane("lane").isIdle).toBe(true);
  });
});
