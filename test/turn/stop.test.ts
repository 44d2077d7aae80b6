import { describe, expect, it } from "vitest";
import { Stop } from "../../src/turn/stop.ts";
import { settled, TestClock } from "../support/test-clock.ts";

const never = () => new Promise<never>(() => {});

describe("A stop", () => {
  it("aborts its signal with the reason, also where that is asked for afterwards", () => {
    const stop = new Stop();
    const { signal } = stop;
    expect([signal.aborted, new Stop().signal.aborted]).toEqual([false, false]);
    stop.stop("interrupted");
    expect([signal.aborted, signal.reason]).toEqual([true, "interrupted"]);
    const late = new Stop();
    late.stop("stopped");
    expect([late.signal.aborted, late.signal.reason]).toEqual([true, "stopped"]);
  });

  it("has the first reason, and throws it", async () => {
    const stop = new Stop();
    stop.throwIfStopped();
    stop.stop("interrupted");
    stop.stop("stopped");
    await stop.stopped;
    expect(stop.reason).toBe("interrupted");
    expect(() => stop.throwIfStopped()).toThrow("interrupted");
  });

  it("waits until nothing is held any more, with the first reason; a time limit does not wait", async () => {
    const stop = new Stop();
    let first = () => {};
    const held = stop.holding(() => new Promise<void>((resolve) => (first = resolve)));
    const failed = expect(stop.holding(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
    stop.stop("interrupted");
    stop.stop("stopped");
    await failed;
    expect(stop.reason).toBeUndefined();
    first();
    await held;
    expect(stop.reason).toBe("interrupted");
    const late = new Stop();
    late.hold();
    const limit = new Error("too long");
    late.stop(limit as never);
    expect(late.reason).toBe(limit);
  });

  it("is over for work that does not end within five seconds of it", async () => {
    const clock = new TestClock();
    const stop = new Stop();
    const ended: unknown[] = [];
    stop.withGrace(never(), clock).catch((reason: unknown) => ended.push(reason));
    await clock.pass(60_000);
    stop.stop("stopped");
    await clock.pass(4_999);
    expect(ended).toEqual([]);
    await clock.pass(1);
    expect(ended).toEqual(["stopped"]);
  });

  it("plans nothing for work that has ended, before or after it", async () => {
    const clock = new TestClock();
    const stop = new Stop();
    let end = () => {};
    await stop.withGrace(Promise.resolve(), clock);
    const working = stop.withGrace(new Promise((resolve) => (end = resolve)), clock);
    stop.stop("stopped");
    await settled();
    expect(clock.planned).toEqual([5_000]);
    end();
    await working;
    expect(clock.planned).toEqual([]);
  });
});
