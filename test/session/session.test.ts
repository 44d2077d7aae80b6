import type { JsonValue } from "aparte";
import { beforeEach, describe, expect, it } from "vitest";
import type { Place } from "../../src/lane/place.ts";
import { Session } from "../../src/session/session.ts";

const speaker = { scope: "user", platform: "chat", user: "ann" };
const minute = 60_000;

let now: number;
/** What was written while the turn ran, with how long a store that fails is waited for. */
let written: [record: JsonValue | undefined, patienceMs: number | undefined][];

beforeEach(() => {
  now = 1_000;
  written = [];
});

/** A session in a lane that this process runs, with what the store had of it. */
function sessionOf(record: unknown, isToGo = false): Session {
  const place = {
    storeNow: () => now,
    patienceMs: 5_000,
    permit: async () => {},
    advance: async (_: object, changed?: JsonValue, patienceMs?: number) =>
      void written.push([changed, patienceMs]),
  };
  const stop = { signal: new AbortController().signal };
  return new Session("a1_x", speaker, place as unknown as Place, stop, record, isToGo);
}

const fresh = { v: 1, speaker, createdAt: 1_000, conversations: {} };
const known = { ...fresh, createdAt: 5, agent: "helper", conversations: { helper: { id: "c1" } } };

describe("A session's record", () => {
  it("is begun where there is none, and nothing is to be written before something changes", () => {
    const session = sessionOf(null);
    expect([session.isNew, session.record, session.changed]).toEqual([true, fresh, undefined]);
    expect(session.conversation("helper")).toBeUndefined();
    session.changeConversation("helper", { id: "c1" });
    session.changeConversation("writer", { id: "c2" });
    session.changeConversation("helper", undefined);
    expect(session.changed).toEqual({ ...fresh, conversations: { writer: { id: "c2" } } });
  });

  it("keeps all else, whatever of it changes", () => {
    const session = sessionOf(known);
    expect([session.isNew, session.changed]).toEqual([false, undefined]);
    const undelivered = { place: "p", text: "words" };
    session.choose("writer");
    session.pause(true);
    session.keepUndelivered(undelivered);
    expect(session.changed).toEqual({ ...known, agent: "writer", isPaused: true, undelivered });
    session.pause(false);
    session.keepUndelivered(undefined);
    expect(session.changed).toEqual({ ...known, agent: "writer" });
  });

  it("has no conversation of an agent that only its prototype has", () => {
    expect(sessionOf(known).conversation("constructor")).toBeUndefined();
  });

  it("tells a minute's turns by the first of them", () => {
    const session = sessionOf(known);
    session.touch();
    expect(session.changed).toEqual({ ...known, lastTurnAt: 1_000 });
    now += minute - 1;
    const again = sessionOf({ ...known, lastTurnAt: 1_000 });
    expect(again.idleMs).toBe(minute - 1);
    again.touch();
    expect(again.changed).toBeUndefined();
    now += 1;
    again.touch();
    expect(again.changed).toEqual({ ...known, lastTurnAt: 1_000 + minute });
    expect(sessionOf(known).idleMs).toBe(now - known.createdAt);
  });

  it("is deleted when it is erased, and what changes afterwards begins a new one", () => {
    const session = sessionOf(known);
    now = 2_000;
    session.erase();
    expect([session.changed, session.record]).toEqual([null, { ...fresh, createdAt: 2_000 }]);
    session.changeConversation("helper", { id: "c2" });
    expect(session.changed).toEqual({ ...fresh, createdAt: 2_000, conversations: { helper: { id: "c2" } } });
  });

  it("is written at once where that is asked for, and then there is nothing more to write", async () => {
    const session = sessionOf(known);
    session.choose("writer");
    await session.save();
    expect(written).toEqual([[{ ...known, agent: "writer" }, 5_000]]);
    expect(session.changed).toBeUndefined();
    session.choose("helper");
    expect(session.changed).toMatchObject({ agent: "helper" });
  });

  it.each([undefined, { v: 2 }, {}, 7])("is not overwritten where it cannot be read: %j", (record) => {
    expect(() => sessionOf(record)).toThrow(expect.objectContaining({ code: "store-unreadable" }));
    const session = sessionOf(record, true);
    session.erase();
    expect([session.record, session.changed]).toEqual([fresh, null]);
  });
});
