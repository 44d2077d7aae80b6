import { describe, expect, it } from "vitest";
import { jsonArray } from "../../../src/backends/dialogflow-cx/json-array.ts";
import { type Place, placeSeal } from "../../../src/backends/dialogflow-cx/sealed-place.ts";
import {
  newConversationId,
  planSession,
  stateAfter,
  withoutPlace,
} from "../../../src/backends/dialogflow-cx/session.ts";

const owner = { agent: "projects/p/locations/global/agents/a", conversationId: "c".repeat(32) };
const seal = placeSeal(["a secret of the test"], 1000);
const hours = 3_600_000;
const bornAt = 1_700_000_000_000;
const whole: Place = { page: "pages/p", parameters: { a: 1 } };

async function kept(place: Place = whole, more: object = {}) {
  const plan = { id: owner.conversationId, generation: 0, bornAt, starts: true, isForgotten: false };
  const end = { owner, plan, sentAt: bornAt, ttl: 86_400, hasEnded: false, place };
  return { ...((await stateAfter(end, seal)) as object), ...more } as never;
}

describe("A session's plan", () => {
  const going = { id: owner.conversationId, generation: 0, bornAt, starts: false, isForgotten: false };

  it.each([
    // The service counts from when the turn arrives, so ten seconds before its time a session counts as lapsed.
    [24 * hours - 10_001, { ttl: 86_400 }, false],
    [24 * hours - 10_000, { ttl: 86_400 }, true],
    // Of a short one it is a twentieth of its time.
    [94_999, { ttl: 100 }, false],
    [95_000, { ttl: 100 }, true],
    [48 * hours - 1, { lastUsedAt: bornAt + 47 * hours }, false],
    [48 * hours, { lastUsedAt: bornAt + 47 * hours }, true],
  ])("after %i ms, with %j, is another session: %j", async (age, more, isNext) => {
    const now = bornAt + age;
    const plan = await planSession(owner, await kept(whole, more), now, seal);
    if (!isNext) return expect(plan).toEqual(going);
    expect(plan).toEqual({
      ...{ id: expect.stringMatching(/^[0-9a-f]{32}$/), generation: 1, bornAt: now, starts: true },
      ...{ isForgotten: false, place: whole },
    });
    expect(plan.id).not.toBe(owner.conversationId);
    return expect(withoutPlace(plan)).toEqual({ ...plan, place: undefined, isForgotten: true });
  });

  it("says what is forgotten: all of the place, or its parameters, and keeps an old session for it", async () => {
    const late = bornAt + 25 * hours;
    const half = await planSession(owner, await kept({ page: "pages/p" }), late, seal);
    expect(half).toMatchObject({ place: { page: "pages/p" }, isForgotten: true, generation: 1 });
    for (const [state, opened] of [
      [await kept(whole, { place: undefined }), seal],
      [await kept(whole, { place: 7 }), seal],
      [await kept(), undefined],
      [await kept(), placeSeal(["another secret"], 1000)],
    ] as const) {
      const plan = await planSession(owner, state, late, opened);
      expect(plan).toMatchObject({ isForgotten: true, starts: true });
      expect(plan).not.toHaveProperty("place");
    }
    const old = await kept({ page: "pages/p" }, { lastUsedAt: bornAt + 48 * hours });
    expect(await planSession(owner, old, bornAt + 49 * hours, seal)).toEqual(going);
  });

  it("is the next session at once after an end, and the first one where nothing readable is kept", async () => {
    const now = bornAt + 1;
    expect(await planSession(owner, await kept(whole, { ended: true }), now, seal)).toMatchObject({
      ...{ generation: 1, bornAt: now, starts: true, isForgotten: false },
    });
    expect(await planSession(owner, await kept(whole, { ended: "yes" }), now, seal)).toEqual(going);
    const first = { id: owner.conversationId, generation: 0, bornAt: now, starts: true, isForgotten: false };
    const unreadable = [undefined, null, "x", [], {}, await kept(whole, { v: 2 })];
    for (const name of ["generation", "bornAt", "lastUsedAt", "ttl"]) {
      unreadable.push(await kept(whole, { [name]: "1" }));
    }
    for (const state of unreadable)
      expect(await planSession(owner, state as never, now, seal)).toEqual(first);
  });

  it("names sessions that differ by their conversation, agent and place in line", async () => {
    const idOf = async (who: typeof owner, generation: number) => {
      const state = await kept(whole, { generation, ended: true });
      return (await planSession(who, state, bornAt, seal)).id;
    };
    const ids = [
      await idOf(owner, 0),
      await idOf(owner, 1),
      await idOf({ ...owner, agent: "b" }, 0),
      await idOf({ ...owner, conversationId: "d" }, 0),
      newConversationId("ada", "a"),
      newConversationId("ada", "a"),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(await idOf(owner, 0)).toBe(ids[0]);
  });
});

describe("A sealed place", () => {
  it("holds its parameters up to its most bytes, and its page in any case", async () => {
    const bytes = Buffer.byteLength(JSON.stringify({ ...whole, ...owner }));
    for (const [most, place] of [
      [bytes, whole],
      [bytes - 1, { page: "pages/p" }],
    ] as const) {
      const cut = placeSeal(["a secret of the test"], most);
      expect(await cut.open(await cut.seal(whole, owner), owner)).toEqual(place);
    }
  });

  it("opens by any of its secrets, for its own conversation with its own agent alone", async () => {
    const sealed = await seal.seal(whole, owner);
    expect(await placeSeal(["new", "a secret of the test"], 9).open(sealed, owner)).toEqual(whole);
    expect(await placeSeal(["new"], 9).open(sealed, owner)).toBeUndefined();
    expect(await seal.open(sealed, { ...owner, agent: "b" })).toBeUndefined();
    expect(await seal.open(sealed, { ...owner, conversationId: "d" })).toBeUndefined();
    expect(await seal.open("x", owner)).toBeUndefined();
  });
});

it("takes no element of a stream above 16 million characters", async () => {
  const most = 16 * 1024 * 1024;
  const read = async (length: number) => {
    const begin = '[{"a":"';
    async function* bytes() {
      yield Buffer.from(begin + "x".repeat(length - (begin.length - 1)));
      yield Buffer.from('"}]');
    }
    for await (const element of jsonArray(bytes())) return Object.keys(element as object);
    return [];
  };
  expect(await read(most)).toEqual(["a"]);
  await expect(read(most + 1)).rejects.toMatchObject({
    ...{ code: "backend-protocol", message: "Dialogflow's streamed answer is too long." },
  });
});
