import { describe, expect, it, vi } from "vitest";
import { Pace } from "../../../src/backends/http/pace.ts";

describe("A service's rate", () => {
  it("fails what would wait too long, and stops waiting when nobody wants it any more", async () => {
    const { signal } = new AbortController();
    const never = new Pace({ take: async () => 60_000 });
    await expect(never.turn({ key: "k", perSecond: 1, tenant: "a", signal })).rejects.toMatchObject({
      ...{ code: "backend-rate-limited", retryAfterMs: 60_000 },
    });
    const soon = new Pace({ take: async () => 5_000 });
    const controller = new AbortController();
    const waiting = soon.turn({ key: "k", perSecond: 1, tenant: "a", signal: controller.signal });
    controller.abort(new Error("not wanted"));
    await expect(waiting).rejects.toThrow("not wanted");
    await expect(
      soon.turn({ key: "k", perSecond: 1, tenant: "a", signal: controller.signal }),
    ).rejects.toThrow("not wanted");
  });

  it("is asked for at once for who comes when all others have been told to come back later", async () => {
    const { signal } = new AbortController();
    const waits = [60_000, 0];
    const pace = new Pace({ take: async () => waits.shift() ?? 0 });
    const request = { key: "k", perSecond: 1, tenant: "a", signal };
    await expect(pace.turn(request)).rejects.toMatchObject({ code: "backend-rate-limited" });
    const later = new Promise((resolve) => setImmediate(resolve, "later"));
    expect(await Promise.race([pace.turn(request).then(() => "at once"), later])).toBe("at once");
  });

  it("fails all that wait where it cannot be counted, and counts again afterwards", async () => {
    const { signal } = new AbortController();
    let isAway = true;
    const pace = new Pace({
      take: async () => {
        if (isAway) throw new Error("away");
        return 0;
      },
    });
    const turns = () =>
      ["a", "a", "b"].map((tenant) => pace.turn({ key: "k", perSecond: 1, tenant, signal }));
    const failed = await Promise.allSettled(turns());
    expect(failed).toMatchObject(Array(3).fill({ status: "rejected", reason: { message: "away" } }));
    isAway = false;
    await Promise.all(turns());
  });

  it("is given to the tenants by turns, however many of one wait", async () => {
    const { signal } = new AbortController();
    const gone = new AbortController();
    const grants: ((waitMs: number) => void)[] = [];
    const pace = new Pace({ take: () => new Promise((resolve) => grants.push(resolve)) });
    const order: string[] = [];
    const wait = (tenant: string, name: string, stopped = signal) =>
      pace.turn({ key: "k", perSecond: 1, tenant, signal: stopped }).then(
        () => order.push(name),
        () => {},
      );
    const waiting = ["a1", "a2", "a3", "a4"].map((name) => wait("a", name));
    waiting.push(wait("c", "c1", gone.signal), wait("b", "b1"), wait("b", "b2"));
    gone.abort();
    // The account's other rates, and other accounts', are not held up by it.
    void pace.turn({ key: "other", perSecond: 1, tenant: "a", signal }).then(() => order.push("other"));
    grants[1]?.(0);
    for (let turn = 0; turn < 6; turn += 1) {
      await vi.waitUntil(() => grants.length > turn + (turn === 0 ? 0 : 1), 30_000);
      grants[turn === 0 ? 0 : turn + 1]?.(0);
    }
    await Promise.all(waiting);
    expect(order).toEqual(["other", "a1", "b1", "a2", "b2", "a3", "a4"]);
  });

  it("lets a tenant that asks again and again not go before another one that waits", async () => {
    const { signal } = new AbortController();
    const grants: ((waitMs: number) => void)[] = [];
    const pace = new Pace({ take: () => new Promise((resolve) => grants.push(resolve)) });
    const order: string[] = [];
    const wait = async (tenant: string, name: string) => {
      await pace.turn({ key: "k", perSecond: 1, tenant, signal });
      order.push(name);
    };
    const waiting = ["a1", "a2", "a3"].map((name) => wait("a", name));
    waiting.push(wait("b", "b1"));
    for (let turn = 0; turn < 7; turn += 1) {
      await vi.waitUntil(() => grants.length > turn, 30_000);
      grants[turn]?.(0);
      await vi.waitUntil(() => order.length > turn, 30_000);
      const asksAgain = order.at(-1)?.startsWith("b") && waiting.length < 7;
      if (asksAgain) waiting.push(wait("b", `b${waiting.length - 2}`));
    }
    await Promise.all(waiting);
    expect(order).toEqual(["a1", "b1", "a2", "b2", "a3", "b3", "b4"]);
  });
});
