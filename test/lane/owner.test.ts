import { beforeEach, describe, expect, it } from "vitest";
import type { LaneDocument } from "../../src/lane/machine.ts";
import type { Place } from "../../src/lane/place.ts";
import { keysIn, leaseTime, newTurn, type OwnerInTest, ownerOf, storeTimeout } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { cut, storeAway, TestStore } from "../support/test-store.ts";

const third = leaseTime / 3;

let clock: TestClock;
let store: TestStore;
let a: OwnerInTest;

beforeEach(async () => {
  clock = new TestClock();
  store = new TestStore(clock);
  a = await started();
});

async function started(options: Parameters<typeof ownerOf>[2] = {}): Promise<OwnerInTest> {
  const made = ownerOf(clock, store, options);
  made.owner.start();
  await settled();
  return made;
}

async function take({ owner }: OwnerInTest, written: string, lane = "lane"): Promise<Place> {
  const taken = await owner.lane(lane).take(newTurn(written), 100, storeTimeout);
  if (taken.is !== "taken") throw new Error(`${written} was not taken: ${taken.is}`);
  return taken.place;
}

function count({ view }: OwnerInTest, name: string): number {
  return view.calls.filter((call) => call.name === name).length;
}

function reach({ view }: OwnerInTest): void {
  view.intercept = (_, run) => run();
}

async function documentOf(lane: string): Promise<LaneDocument | undefined> {
  return (await store.direct.read(lane)).document as unknown as LaneDocument | undefined;
}

describe("An owner that lives", () => {
  it("listens before its first sign of life, and gives one each third of a lease", async () => {
    expect(a.view.calls.map(({ name }) => name)).toEqual(["listen", "beat", "dead"]);
    await clock.pass(third * 3);
    expect(count(a, "beat")).toBe(4);
    expect(count(a, "listen")).toBe(1);
    expect(a.log.said).toEqual([]);
  });

  it("gives no sign before it is started, and begins when it has a turn", async () => {
    const b = ownerOf(clock, store);
    await clock.pass(leaseTime);
    expect(b.view.calls).toEqual([]);
    expect(b.owner.isAlive).toBe(false);
    const place = await take(b, "q1");
    expect(await place.begun).toBe("runs");
    expect(b.owner.isAlive).toBe(true);
  });

  it("trusts its lease but for its last tenth, from before the sign was sent", async () => {
    a.view.intercept = async (call, run) => {
      if (call.name === "beat") await a.owner.pause(1_000);
      return run();
    };
    await clock.pass(third + 1_000);
    a.view.intercept = cut;
    // The sign was sent after a third of a lease, and answered a second later.
    await clock.pass(leaseTime * 0.9 - 1_000 - 1);
    expect(a.owner.isAlive).toBe(true);
    await clock.pass(1);
    expect(a.owner.isAlive).toBe(false);
  });

  it("keeps no process alive by its signs, its lapse and what it looks at", async () => {
    const b = await started();
    await take(a, "q1");
    await take(b, "q2");
    await clock.pass(leaseTime * 3);
    expect([a.owner.isAlive, b.owner.isAlive, clock.isHeld]).toEqual([true, true, false]);
  });

  it("permits nothing after its lease, until it was heard again", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    let isPermitted = false;
    const permit = place.permit().then(() => {
      isPermitted = true;
    });
    await clock.pass(leaseTime);
    expect(isPermitted).toBe(false);
    reach(a);
    await clock.pass(250);
    await permit;
    expect(place.isLost).toBe(false);
    expect(a.log.said).toContain("warn: the store does not hear this process");
    await place.end();
    expect(await documentOf("lane")).toBeUndefined();
  });

  it("calls back what is about to be sent, when its lease is over or the turn is another's", async () => {
    const place = await take(a, "q1");
    const { permission } = place;
    expect(place.permission).toBe(permission);
    await clock.pass(leaseTime * 3);
    expect(permission.aborted).toBe(false);
    a.view.intercept = cut;
    await clock.pass(leaseTime * 0.9 - third - 1);
    expect(permission.aborted).toBe(false);
    await clock.pass(third + 1);
    expect(permission.aborted).toBe(true);
    expect(permission.reason).toMatchObject({ code: "lease-lost" });
    reach(a);
    await clock.pass(1_000);
    await place.permit();
    const { permission: again } = place;
    expect(again.aborted).toBe(false);
    await a.owner.stop();
    expect(again.aborted).toBe(true);
    expect(place.permission.aborted).toBe(true);
  });

  it("tries to be heard every quarter of a second at most while the store is away", async () => {
    a.view.intercept = cut;
    await clock.pass(third);
    const before = count(a, "beat");
    clock.chance = 0;
    await clock.pass(1_250);
    expect(count(a, "beat") - before).toBe(9);
    clock.chance = 1;
    const slow = count(a, "beat");
    await clock.pass(1_250);
    expect(count(a, "beat") - slow).toBe(5);
  });

  it("listens again where listening failed", async () => {
    const b = ownerOf(clock, store);
    b.view.intercept = async (call, run) => {
      if (call.name === "listen" && count(b, "listen") === 1) throw storeAway();
      return run();
    };
    b.owner.start();
    await clock.pass(250);
    expect(b.view.calls.slice(0, 3).map(({ name }) => name)).toEqual(["listen", "listen", "beat"]);
    expect(b.owner.isAlive).toBe(true);
  });

  it("forgets a lane in which it has nothing any more", async () => {
    const lane = a.owner.lane("lane");
    const place = await take(a, "q1");
    expect(a.owner.lane("lane")).toBe(lane);
    await place.end();
    expect(a.owner.lane("lane")).not.toBe(lane);
  });

  it("forgets a lane of which it was told something that is nothing of its own", async () => {
    const lane = a.owner.lane("lane");
    lane.look();
    await settled();
    expect(a.owner.lane("lane")).not.toBe(lane);
  });

  it("looks at a lane of which it was told something while it had nothing there", async () => {
    const b = await started();
    const first = await take(a, "q1");
    const version = (await store.direct.read("lane")).version;
    const document = await documentOf("lane");
    const running = { ...document?.running, owner: b.owner.id };
    await store.direct.commit({
      ...{ lane: "lane", version, document: { v: 1, running, waiting: [] } as never },
      ...{ until: store.now() + 1, wakes: [b.owner.id] },
    });
    await settled();
    expect(b.adopted.map(({ key }) => key)).toEqual([first.key]);
  });

  it("looks at all its lanes where it may have missed something", async () => {
    const b = await started();
    const first = await take(a, "q1");
    const second = await take(b, "q2");
    b.view.isDeaf = true;
    await first.end();
    b.view.isDeaf = false;
    expect(second.isRunning).toBe(false);
    // What a store tells when its connection was broken.
    store.tellAll(undefined);
    await settled();
    expect(second.isRunning).toBe(true);
  });
});

describe("An owner that is late", () => {
  it("goes on as if nothing had been, if nobody buried it", async () => {
    const [place, waits, id] = [await take(a, "q1"), await take(a, "q2"), a.owner.id];
    a.view.intercept = cut;
    await clock.pass(leaseTime * 3);
    reach(a);
    await clock.pass(250);
    expect(a.owner.id).toBe(id);
    expect(place.isLost).toBe(false);
    await place.end();
    expect(await waits.begun).toBe("runs");
  });

  it("is not buried by one that was without the store as well, and came back first", async () => {
    const b = await started();
    const [place, id] = [await take(a, "q1"), a.owner.id];
    for (const { view } of [a, b]) view.intercept = cut;
    await clock.pass(leaseTime * 3);
    reach(b);
    await clock.pass(leaseTime - third);
    reach(a);
    await clock.pass(250);
    expect(a.owner.id).toBe(id);
    expect(b.adopted).toEqual([]);
    await place.end();
    expect(await keysIn(store, "lane")).toEqual([]);
  });

  it("is buried by one that was without the store as well, when it does not come back within a lease", async () => {
    const b = await started();
    await take(a, "q1");
    for (const { view } of [a, b]) view.intercept = cut;
    await clock.pass(leaseTime * 3);
    reach(b);
    await clock.pass(leaseTime + third + 250);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
  });

  it.each([leaseTime, leaseTime * 100])(
    "is not buried because the store's clock jumps by %i ms",
    async (ms) => {
      await clock.pass(third / 2);
      // Its next sign of life, from which it learns of the jump, comes before the other one's.
      const b = await started();
      const [place, id] = [await take(a, "q1"), a.owner.id];
      await clock.pass(third * 0.75);
      store.jump(ms);
      await clock.pass(leaseTime * 2);
      expect(a.owner.id).toBe(id);
      expect([place.isLost, b.adopted]).toEqual([false, []]);
    },
  );

  it("is buried a lease after the store's clock has jumped, when it does not come back", async () => {
    const b = await started();
    await take(a, "q1");
    a.view.intercept = cut;
    store.jump(leaseTime * 100);
    await clock.pass(leaseTime + third * 2);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
  });

  it("is not buried before its lease is over", async () => {
    const b = await started();
    await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime - 1);
    expect(await store.direct.bury(a.owner.id)).toBe("alive");
    expect(b.adopted).toEqual([]);
    expect((await documentOf("lane"))?.running?.owner).toBe(a.owner.id);
  });

  it("loses its turns to others once it is buried, and starts under a new id", async () => {
    const b = await started();
    const [place, waits, id] = [await take(a, "q1"), await take(a, "q2"), a.owner.id];
    a.view.intercept = cut;
    await clock.pass(leaseTime + third);
    expect(b.adopted.map(({ key, turn }) => [key, turn?.attempt])).toEqual([["q1", 2]]);
    expect((await documentOf("lane"))?.waiting.map(({ owner }) => owner)).toEqual([b.owner.id]);
    // Nobody told it yet; but it may send nothing.
    expect(place.isLost).toBe(false);
    const permit = expect(place.permit()).rejects.toMatchObject({ code: "lease-lost" });
    reach(a);
    await clock.pass(250);
    await permit;
    expect(a.owner.id).not.toBe(id);
    expect(await waits.begun).toBe("lost");
    const wakes = [id, a.owner.id];
    const woken = await store.direct.commit({
      ...{ lane: "none", version: 0, document: undefined, until: store.now() + 1, wakes },
    });
    // Under its former id it hears nothing any more.
    expect(woken).toMatchObject({ is: "done", unheard: [id] });
    expect(a.log.said).toContain("warn: this process was taken for dead, and others go on with its turns");
    await expect(place.end()).rejects.toMatchObject({ code: "lease-lost" });
    const [taken] = b.adopted;
    await taken?.end();
    expect(await keysIn(store, "lane")).toEqual(["q2"]);
    // Under its new id it takes part as any other, and is woken.
    const next = await take(a, "q3");
    const [, second] = b.adopted;
    await second?.end();
    expect(await next.begun).toBe("runs");
  });

  it("fails what it had on its way when it finds itself buried", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    expect(await store.direct.bury(a.owner.id)).toBe("dead");
    const ending = expect(place.end()).rejects.toMatchObject({ code: "lease-lost" });
    reach(a);
    await clock.pass(250);
    await ending;
  });

  it("is not taken for buried by a late answer to its former id", async () => {
    const held: (() => void)[] = [];
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    await store.direct.bury(a.owner.id);
    reach(a);
    await clock.pass(250);
    const id = a.owner.id;
    a.view.intercept = async (call, run) => {
      const answer = await run();
      if (call.name === "beat") await new Promise<void>((resolve) => held.push(resolve));
      return answer;
    };
    await clock.pass(third);
    for (const tell of held) tell();
    await settled();
    expect(a.owner.id).toBe(id);
    expect(a.owner.isAlive).toBe(true);
  });
});

describe("An owner that takes over", () => {
  it("goes on with all lanes of a dead one, those that run and those that wait", async () => {
    const b = await started();
    for (const lane of ["one", "two", "three"]) await take(a, "q1", lane);
    await take(b, "q2", "two");
    a.view.intercept = cut;
    await clock.pass(leaseTime + third);
    expect(b.adopted.map(({ lane }) => lane).sort()).toEqual(["one", "three", "two"]);
    const [other] = await store.direct.dead();
    expect(other).toBeUndefined();
  });

  it("finds out within a lease that a turn it took over is to run, where the wake was lost", async () => {
    const other = await started({ canDeliver: () => false });
    const dying = await started();
    const first = await take(other, "q1");
    await take(dying, "q2");
    await dying.owner.stop();
    await clock.pass(third);
    expect((await documentOf("lane"))?.waiting[0]?.owner).toBe(a.owner.id);
    a.view.isDeaf = true;
    await first.end();
    await clock.pass(leaseTime + third);
    expect(a.adopted.map(({ key }) => key)).toEqual(["q2"]);
  });

  it("goes on with a hundred lanes of a dead one at a time", async () => {
    const b = await started();
    for (let lane = 0; lane < 250; lane += 1) await take(a, "q1", `lane ${lane}`);
    let underWay = 0;
    let most = 0;
    b.view.intercept = async (call, run) => {
      if (call.name !== "commit") return run();
      underWay += 1;
      most = Math.max(most, underWay);
      await settled();
      underWay -= 1;
      return run();
    };
    await a.owner.stop();
    await clock.pass(third);
    await expect.poll(() => b.adopted.length).toBe(250);
    expect(most).toBe(100);
  });

  it("looks for the dead once at a time", async () => {
    const b = await started();
    let answer = () => {};
    b.view.intercept = (call, run) =>
      call.name === "dead" ? new Promise<void>((resolve) => (answer = resolve)).then(run) : run();
    const before = count(b, "dead");
    await clock.pass(leaseTime);
    expect(count(b, "dead") - before).toBe(1);
    answer();
    await clock.pass(third);
    expect(count(b, "dead") - before).toBe(2);
  });

  it("leaves turns whose platform it does not serve to others", async () => {
    const b = await started({ canDeliver: () => false });
    await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime + third);
    expect(b.adopted).toEqual([]);
    expect((await documentOf("lane"))?.running?.owner).toBe(a.owner.id);
    const c = await started();
    await clock.pass(third);
    expect(c.adopted.map(({ key }) => key)).toEqual(["q1"]);
  });

  it("looks at once at an owner that does not listen, and at no other", async () => {
    const b = await started();
    const first = await take(b, "q1");
    const waits = await take(a, "q2");
    await a.owner.stop();
    expect(await waits.begun).toBe("lost");
    await first.end();
    await settled();
    expect(b.adopted.map(({ key }) => key)).toEqual(["q2"]);
  });

  it("asks once at a time whether a silent owner is dead", async () => {
    const b = await started();
    a.view.intercept = cut;
    const lane = b.owner.lane("lane");
    const before = count(b, "bury");
    b.owner.suspect(a.owner.id, lane);
    b.owner.suspect(a.owner.id, lane);
    b.owner.suspect(b.owner.id, lane);
    await settled();
    expect(count(b, "bury") - before).toBe(1);
    b.owner.suspect(a.owner.id, lane);
    await settled();
    expect(count(b, "bury") - before).toBe(2);
  });

  it("takes an owner that the store does not know for dead only after a lease of watching", async () => {
    const b = await started();
    await clock.pass(leaseTime * 2);
    await take(a, "q1");
    a.view.intercept = cut;
    const waits = await take(b, "q2");
    await store.loseOwner(a.owner.id);
    const lane = b.owner.lane("lane");
    const from = clock.now();
    const step = 500;
    while (b.adopted.length === 0 && clock.now() - from < leaseTime * 3) {
      b.owner.suspect(a.owner.id, lane);
      await clock.pass(step);
    }
    expect(clock.now() - from).toBeGreaterThanOrEqual(leaseTime);
    expect(clock.now() - from).toBeLessThanOrEqual(leaseTime + 2 * step);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
    await b.adopted[0]?.end();
    expect(await waits.begun).toBe("runs");
  });

  it("lets an unknown owner that is heard again live", async () => {
    const b = await started();
    await take(a, "q1");
    await store.loseOwner(a.owner.id);
    const lane = b.owner.lane("lane");
    for (let steps = 0; steps < 40; steps += 1) {
      b.owner.suspect(a.owner.id, lane);
      await clock.pass(500);
    }
    expect(b.adopted).toEqual([]);
    expect(await store.direct.bury(a.owner.id)).toBe("alive");
  });

  it("says that it could not look for the dead, and looks again", async () => {
    const b = await started();
    await take(a, "q1");
    a.view.intercept = cut;
    b.view.intercept = async (call, run) => {
      if (call.name === "dead") throw storeAway();
      return run();
    };
    await clock.pass(leaseTime + third);
    expect(b.log.said).toContain("warn: turns of dead processes could not be looked for");
    reach(b);
    await clock.pass(third);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
  });
});

describe("An owner that leaves", () => {
  it("leaves its waiting turns to others at once, and goes on with what runs", async () => {
    const b = await started();
    const [running, waits] = [await take(a, "q1"), await take(a, "q2")];
    await take(a, "q3", "other");
    await a.owner.leave();
    expect(await waits.begun).toBe("lost");
    expect(running.isLost).toBe(false);
    await clock.pass(third);
    await running.end();
    await settled();
    expect(b.adopted.map(({ key }) => key)).toEqual(["q2"]);
    expect((await documentOf("other"))?.running?.owner).toBe(a.owner.id);
    expect(a.log.said).toEqual([]);
  });

  it("has left them when it says so", async () => {
    await take(a, "q1");
    await take(a, "q2");
    let leave = () => {};
    a.view.intercept = async (call, run) => {
      if (call.name === "commit") await new Promise<void>((resolve) => (leave = resolve));
      return run();
    };
    let hasLeft = false;
    const leaving = a.owner.leave().then(() => {
      hasLeft = true;
    });
    await settled();
    expect(hasLeft).toBe(false);
    leave();
    await leaving;
    expect((await documentOf("lane"))?.waiting.map(({ owner }) => owner)).toEqual([`${a.owner.id}~`]);
  });

  it("takes nothing over any more", async () => {
    const b = await started();
    await take(b, "q1");
    await a.owner.leave();
    b.view.intercept = cut;
    await clock.pass(leaseTime * 2);
    expect(a.adopted).toEqual([]);
    expect((await documentOf("lane"))?.running?.owner).toBe(b.owner.id);
  });

  it("does not take back what it left itself", async () => {
    const [running, waits] = [await take(a, "q1"), await take(a, "q2")];
    await a.owner.leave();
    await running.end();
    await settled();
    expect(await waits.begun).toBe("lost");
    expect(a.adopted).toEqual([]);
    const b = await started();
    expect(b.adopted.map(({ key }) => key)).toEqual(["q2"]);
  });

  it("keeps its turns where the store dies with it", async () => {
    const d = await started({ durable: false });
    const first = await take(d, "q1");
    const waits = await take(d, "q2");
    await d.owner.leave();
    await first.end();
    expect(await waits.begun).toBe("runs");
  });

  it("leaves a turn that runs, with its phase", async () => {
    const b = await started();
    const place = await take(a, "q1");
    await place.advance({ phase: "answered", answer: "all" });
    await a.owner.leave();
    await a.owner.release([place]);
    expect(place.isLost).toBe(true);
    await clock.pass(third);
    expect(b.adopted.map(({ turn }) => [turn?.phase, turn?.answer, turn?.attempt])).toEqual([
      ["answered", "all", 2],
    ]);
  });

  it("leaves a turn that runs when the store that failed is there again", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    const released = a.owner.release([place]);
    await clock.pass(1_000);
    expect(place.isLost).toBe(false);
    reach(a);
    await clock.pass(250);
    await released;
    expect(place.isLost).toBe(true);
    await clock.pass(third);
    // Nobody else is there: it looks itself.
    expect(a.adopted.map(({ key }) => key)).toEqual(["q1"]);
  });

  it("does not go on trying to leave a turn when it leaves itself", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    const released = a.owner.release([place]);
    await settled();
    await a.owner.leave();
    await clock.pass(250);
    await released;
    expect(place.isLost).toBe(true);
    expect(a.log.said.at(-1)).toBe("error: a turn could not be left");
  });

  it("leaves nothing that is not its own any more", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    const released = a.owner.release([place]);
    await settled();
    await a.owner.stop();
    await clock.pass(250);
    await released;
    expect(a.log.said).toEqual([]);
  });

  it("says which turns could not be left", async () => {
    const place = await take(a, "q1");
    await store.direct.commit({
      ...{ lane: "lane", version: (await store.direct.read("lane")).version, document: undefined },
      until: store.now() + 1,
    });
    await a.owner.release([place]);
    expect(a.log.said).toEqual(["error: a turn could not be left"]);
    const before = a.view.calls.length;
    await a.owner.release([]);
    expect(a.view.calls.length).toBe(before);
  });
});

describe("An owner that stops", () => {
  it("gives no further sign, drops what it has, and others take it over at once", async () => {
    const b = await started();
    const place = await take(a, "q1");
    await a.owner.stop();
    expect(a.owner.isAlive).toBe(false);
    expect(place.isLost).toBe(true);
    const beats = count(a, "beat");
    await clock.pass(third);
    expect(count(a, "beat")).toBe(beats);
    expect(b.adopted.map(({ key }) => key)).toEqual(["q1"]);
    await a.owner.stop();
    expect(count(a, "beat")).toBe(beats);
    // The other one's next sign of life, and the end of its lease.
    expect(clock.planned.length).toBe(2);
  });

  it("is told nothing more", async () => {
    const b = await started();
    const first = await take(b, "q1");
    await take(a, "q2");
    await a.owner.stop();
    const reads = count(a, "read");
    await first.end();
    await settled();
    expect(count(a, "read")).toBe(reads);
  });

  it("stops also while the store is away, and where it never began", async () => {
    a.view.intercept = cut;
    await a.owner.stop();
    await clock.pass(leaseTime);
    expect(clock.planned).toEqual([]);
    const b = ownerOf(clock, store);
    await b.owner.stop();
    expect(b.view.calls).toEqual([]);
    b.owner.start();
    await settled();
    expect(b.view.calls).toEqual([]);
  });

  it("lets nobody wait for it for ever", async () => {
    const place = await take(a, "q1");
    a.view.intercept = cut;
    await clock.pass(leaseTime);
    const permit = expect(place.permit()).rejects.toMatchObject({ code: "lease-lost" });
    await a.owner.stop();
    await permit;
  });
});

describe("A store that lost what was written last", () => {
  it("shows in a sign of life, and gets back turns and marks of the last five seconds", async () => {
    await clock.pass(third - 10);
    const [running, waits] = [await take(a, "q1"), await take(a, "q2")];
    await (await take(a, "q3", "ended")).end();
    await clock.pass(20);
    await store.goBackTo(third - 100);
    expect(await keysIn(store, "lane")).toEqual([]);
    await clock.pass(third);
    expect(a.log.said).toEqual([
      "warn: the store has lost what was written last; it is put back as far as it is known",
    ]);
    expect(await keysIn(store, "lane")).toEqual(["q1", "q2"]);
    expect([running.isLost, waits.isLost]).toEqual([false, false]);
    const b = await started();
    expect(await b.owner.lane("ended").take(newTurn("q3"), 1, storeTimeout)).toEqual({ is: "duplicate" });
  });

  it("shows in a lane as well, where no sign of life was lost", async () => {
    const running = await take(a, "q1");
    await clock.pass(100);
    await running.advance({ phase: "asked" });
    await (await take(a, "q2", "ended")).end();
    await store.goBackTo(50);
    await running.advance({ posts: ["p"] });
    await settled();
    expect((await documentOf("lane"))?.running).toMatchObject({ phase: "asked", posts: ["p"] });
    const b = await started();
    expect(await b.owner.lane("ended").take(newTurn("q2"), 1, storeTimeout)).toEqual({ is: "duplicate" });
    expect(a.log.said).toEqual([
      "warn: the store has lost what was written last; it is put back as far as it is known",
    ]);
  });

  it("is put back once a second, however many lanes show it", async () => {
    const places = [];
    for (const lane of ["one", "two", "three"]) places.push(await take(a, "q1", lane));
    await store.goBackTo(-1);
    for (const place of places) await place.advance({ phase: "asked" });
    await settled();
    expect(a.log.said.length).toBe(1);
    await clock.pass(1_000);
    await store.goBackTo(-1);
    for (const place of places) await place.advance({ phase: "asked" });
    await settled();
    expect(a.log.said.length).toBe(2);
    for (const lane of ["one", "two", "three"]) expect(await keysIn(store, lane)).toEqual(["q1"]);
  });

  it("forgets marks that are older than that", async () => {
    await clock.pass(7);
    await (await take(a, "q1", "early")).end();
    await clock.pass(third * 2 - 10);
    await (await take(a, "q1", "late")).end();
    await clock.pass(20);
    await store.goBackTo(-1);
    await clock.pass(third);
    const b = await started();
    expect(await b.owner.lane("late").take(newTurn("q1"), 1, storeTimeout)).toEqual({ is: "duplicate" });
    expect(await b.owner.lane("early").take(newTurn("q1"), 1, storeTimeout)).toMatchObject({ is: "taken" });
  });

  it("gets back the marks of the last twenty thousand events at most", async () => {
    const last = 20_000;
    for (let number = 0; number <= last; number += 1) {
      a.owner.remember({ lane: "lane", mark: `mark ${number}` } as Place);
    }
    await store.goBackTo(-1);
    await clock.pass(third);
    const restored = a.view.calls.flatMap(({ commit }) => commit?.restoredMarks ?? []);
    expect([restored.length, restored[0], restored.at(-1)]).toEqual([10_001, "mark 10000", `mark ${last}`]);
  });

  it("counts as lost where it does not know the owner at all", async () => {
    await take(a, "q1");
    await store.goBackTo(-1);
    await clock.pass(third);
    expect(await keysIn(store, "lane")).toEqual(["q1"]);
  });
});
