import { beforeEach, describe, expect, it } from "vitest";
import { leaseTime, newTurn, type OwnerInTest, ownerOf, storeTimeout } from "../support/owner.ts";
import { settled, TestClock } from "../support/test-clock.ts";
import { TestStore } from "../support/test-store.ts";

let clock: TestClock;
let store: TestStore;
let a: OwnerInTest;
let former: string;

beforeEach(async () => {
  clock = new TestClock();
  store = new TestStore(clock);
  a = ownerOf(clock, store);
  a.owner.start();
  await settled();
  former = a.owner.id;
});

const documentOf = async (lane: string) => (await store.direct.read(lane)).document;

/**
 * Takes a turn; its commit is done or not, and never answered, and others bury the owner meanwhile.
 * @param written whose answer its caller reads, or its platform gets
 * @param then what the owner does besides before it is buried
 */
async function buriedInCommit(isDone: boolean, written: "h1" | "q1", then: () => void = () => {}) {
  a.view.intercept = async ({ name }, run) => {
    if (name !== "commit") return run();
    // Nor does it look for dead ones itself, before the turn is taken again.
    a.view.intercept = async (call, again) => (call.name === "dead" ? [] : again());
    if (isDone) await run();
    return new Promise(() => {});
  };
  const taken = a.owner.lane("lane").take(newTurn(written), 100, storeTimeout);
  await settled();
  then();
  await store.direct.beat(former, 0);
  expect(await store.direct.bury(former)).toBe("dead");
  return taken;
}

describe("An owner that is buried while it takes a turn", () => {
  async function expectTaken(isDone: boolean, attempt: number) {
    const taken = buriedInCommit(isDone, "h1");
    await clock.pass(leaseTime / 2);
    expect(await taken).toMatchObject({ is: "taken", place: { attempt } });
    expect(a.owner.id).not.toBe(former);
    expect(await documentOf("lane")).toMatchObject({ running: { key: "h1", owner: a.owner.id } });
  }

  it("takes it under its new id where the store does not have it", () => expectTaken(false, 1));

  it("goes on with it under its new id where the store has it", () => expectTaken(true, 2));

  it("leaves it for a lease to others where it was without the store itself, and then goes on with it", async () => {
    const taken = buriedInCommit(true, "q1");
    await settled();
    a.view.intercept = () => Promise.reject(new Error("The store is away."));
    await clock.pass(leaseTime);
    a.view.intercept = (_, run) => run();
    await clock.pass(leaseTime / 2);
    expect(await taken).toEqual({ is: "duplicate" });
    expect(a.adopted).toEqual([]);
    await clock.pass(leaseTime * 1.5);
    expect(a.adopted).toMatchObject([{ key: "q1", isRunning: true, attempt: 2 }]);
  });
});

describe("An owner that is buried while it stops a turn", () => {
  it("stops it under its new id", async () => {
    let stopped: Promise<boolean> | undefined;
    const taken = buriedInCommit(true, "h1", () => {
      stopped = a.owner.lane("lane").stop(() => true);
    });
    await clock.pass(leaseTime / 2);
    await taken;
    expect(await stopped).toBe(true);
    // It runs, or waits for its event to come again.
    expect(JSON.stringify(await documentOf("lane"))).toContain('"isStopped":true');
  });
});
