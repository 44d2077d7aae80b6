import { describe, expect, it } from "vitest";
import { findTurn, ownersOf, transition } from "../../src/lane/machine.ts";
import { commandOf, dayMs, laneOf, turnOf } from "../support/lane-notation.ts";

/** Command, lane before, outcome, lane after (`same`: untouched), owners that are woken, events that may come again. */
type Row = readonly [string, string, string, string, wakes?: string, freed?: string];

const rows: Readonly<Record<string, readonly Row[]>> = {
  "a turn that comes": [
    ["take q1@A", "idle", "runs", "q1@A"],
    ["take r1@A", "idle", "runs", "r1@A"],
    ["take q2@B", "q1@A", "waits", "q1@A, q2@B"],
    ["take m2@B", "m1@A", "waits", "m1@A, m2@B"],
    ["take r1@B", "q1@A", "busy", "same"],
    ["take q4@B", "q1@A, q2@A, q3@A", "waits", "q1@A, q2@A, q3@A, q4@B"],
    ["take q5@B", "q1@A, q2@A, q3@A, q4@A", "full", "same"],
    ["take r5@B", "q1@A, q2@A, q3@A, q4@A", "busy", "same"],
  ],
  "a turn that interrupts": [
    ["take i2@B", "i1@A", "waits", "i1@A!, i2@B", "A"],
    ["take i2@B", "q1@A", "waits", "q1@A!, i2@B", "A"],
    ["take i2@B", "i1@A:asked", "waits", "i1@A:asked!, i2@B", "A"],
    ["take i2@B", "i1@A:answered", "waits", "i1@A:answered, i2@B"],
    ["take i2'@B", "i1@A", "waits", "i1@A, i2'@B"],
    ["take i2@B", "o1@A", "waits", "o1@A, i2@B"],
    ["take i3@B", "i1@A!, i2@A", "waits", "i1@A!, i2@A, i3@B"],
    ["take q2@B", "i1@A", "waits", "i1@A, q2@B"],
    ["take i5@B", "i1@A, q2@A, q3@A, q4@A", "full", "same"],
  ],
  "a turn that comes again": [
    ["take q1@A", "q1@A", "runs", "same"],
    ["take q1@B", "q1@A", "duplicate", "same"],
    ["take q2@A", "q1@A, q2@A", "waits", "same"],
    ["take q2@B", "q1@A, q2@A", "duplicate", "same"],
    ["take q4@A", "q1@A, q2@A, q3@A, q4@A", "waits", "same"],
    ["take r1@A", "r1@A", "runs", "same"],
    ["take m1@A", "m2@A+m1", "merged", "same"],
    ["take m1@B", "m2@A+m1", "duplicate", "same"],
    ["take m1@A", "q3@B, m2@A+m1", "merged", "same"],
  ],
  "a parked turn whose event comes again": [
    ["take h1@B", "(h1@A)", "runs", "h1@B#2"],
    ["take h1@B", "(h1@A:asked#2)", "runs", "h1@B:asked#3"],
    ["take h1@B", "(h1@A!)", "runs", "h1@B#2"],
    ["take h1@A", "(h1@A)", "runs", "h1@A#2"],
    ["take h1@B", "q2@A, (h1@A)", "waits", "q2@A, h1@B#1"],
    ["take h1@B", "q2@A, q3@A, q4@A, q5@A, (h1@A)", "full", "same"],
    ["take h1@B", "(h1@A), (h2@A)", "runs", "h1@B#2, (h2@A)"],
    ["take q1@B", "(h1@A), (h2@A)", "runs", "q1@B, (h1@A), (h2@A)"],
    ["take q1@B a day later", "(h1@A)", "runs", "q1@B"],
    ["take h1@B a day later", "(h1@A)", "runs", "h1@B"],
    ["take q1@B a day later", "q2@A, (h1@A)", "waits", "q2@A, q1@B"],
  ],
  "progress of a turn": [
    ["advance q1@A asked", "q1@A", "done", "q1@A:asked"],
    ["advance q1@A answered", "q1@A:asked, q2@B", "done", "q1@A:answered, q2@B"],
    ["advance q1@B asked", "q1@A", "lost", "same"],
    ["advance q2@A asked", "q1@A, q2@A", "lost", "same"],
    ["advance q1@A asked", "(h1@A)", "lost", "same"],
    ["advance q1@A asked", "idle", "lost", "same"],
  ],
  "the end of a turn": [
    ["end q1@A", "q1@A", "done", "idle"],
    ["end q1@A", "q1@A:answered", "done", "idle"],
    ["end q1@A", "q1@A, (h2@A)", "done", "(h2@A)"],
    ["end q1@B", "q1@A", "lost", "same"],
    ["end q2@A", "q1@A, q2@A", "lost", "same"],
    ["end q1@A", "idle", "lost", "same"],
    ["end q1@A", "q1@A, q2@B, q3@D", "done", "q2@B, q3@D", "B"],
    ["end q1@A", "q1@A, h2@B#1", "done", "h2@B#2", "B"],
    ["end q1@A", "q1@A, q2@A", "done", "q2@A", "A"],
  ],
  "the end of a turn that forgets its person": [
    ["end o1@A forgets", "o1@A, q2@B, (h1@A:asked), (h3@A+h2)", "done", "q2@B", "B", "h1, h2, h3"],
    ["end o1@A forgets", "o1@A, (h1@A)", "done", "idle", "", "h1"],
    ["end o1@A forgets", "o1@A, q2@B", "done", "q2@B", "B"],
    ["end o1@B forgets", "o1@A, (h1@A)", "lost", "same"],
    ["end q1@A", "q1@A, (h1@A)", "done", "(h1@A)"],
  ],
  "turns that merge": [
    ["end q1@A", "q1@A, m2@B, m3@D, m4@E, q5@B", "done", "m4@E+m2^+m3^, q5@B", "E, B, D"],
    ["end q1@A", "q1@A, m2@B#1, m3@D", "done", "m2@B#2, m3@D", "B"],
    ["end q1@A", "q1@A, m2@B, m3@D#1, m4@D", "done", "m2@B, m3@D#1, m4@D", "B"],
    ["end q1@A", "q1@A, i2@B, i3@D", "done", "i3@D+i2^", "D, B"],
    ["end q1@A", "q1@A, m2@B, m3'@D", "done", "m2@B, m3'@D", "B"],
    ["end q1@A", "q1@A, m2'@B, m3'@D, m4@D", "done", "m3'@D+m2'^, m4@D", "D, B"],
    ["end q1@A", "q1@A, m2@B, q3@D, m4@E", "done", "m2@B, q3@D, m4@E", "B"],
    ["end q1@A", "q1@A, m2@B, i3@D", "done", "m2@B, i3@D", "B"],
    ["end q1@A", "q1@A, i2@B, m3@D", "done", "i2@B, m3@D", "B"],
    ["end q1@A", "q1@A, q2@B, m3@D", "done", "q2@B, m3@D", "B"],
    ["end q1@A", "q1@A, m2@B, o1@A, m3@D", "done", "m2@B, o1@A, m3@D", "B"],
    ["end m1@A", "m1@A+m0, m2@B", "done", "m2@B", "B"],
    ["end q1@A", "q1@A, m3@B+m2, m4@D", "done", "m4@D+m2^+m3^", "D, B"],
  ],
  "words of a turn that was stopped before it was sent": [
    ["end i1@A unsent", "i1@A!, i2@B", "done", "i2@B+i1^", "B"],
    ["end i1@A", "i1@A!, i2@B", "done", "i2@B", "B"],
    ["end i1@A unsent", "i1@A, i2@B", "done", "i2@B+i1^", "B"],
    ["end i2@A unsent", "i2@A!+i0+i1, i3@B", "done", "i3@B+i0^+i1^+i2^", "B"],
    ["end i1@A unsent", "i1@A!, i2@B, i3@D", "done", "i3@D+i1^+i2^", "D, B"],
    ["end i1@A unsent", "i1@A!, o1@A, i2@B", "done", "o1@A, i2@B+i1^", "A"],
    ["end i1@A unsent", "i1@A!, i2'@B, i3@B", "done", "i2'@B, i3@B+i1^", "B"],
    ["end o1@A", "o1@A, i2@B+i1, i3@D", "done", "i3@D+i1^+i2^", "D, B"],
    ["end i1@A unsent", "i1@A!", "runs", "i1@A"],
    ["end i1@A unsent", "i1@A!, o2@B, i3'@B", "runs", "i1@A, o2@B, i3'@B"],
    ["end h1@A unsent", "h1@A, q2'@B", "done", "q2'@B", "B"],
  ],
  "a turn that is taken back": [
    ["withdraw q2@A", "q1@A, q2@A, q3@A", "done", "q1@A, q3@A", "", "q2"],
    ["withdraw q2@A", "q1@B, q2@A", "done", "q1@B", "", "q2"],
    ["withdraw q2@B", "q1@A, q2@A", "lost", "same"],
    ["withdraw i2@B", "i1@A!, i2@B", "done", "i1@A", "", "i2"],
    ["withdraw i2@B", "i1@A!, i2@B, i3@D", "done", "i1@A!, i3@D", "", "i2"],
    ["withdraw i2@B", "i1@A!, i2@B, i3'@D, o4@D", "done", "i1@A, i3'@D, o4@D", "", "i2"],
    ["withdraw q1@A", "q1@A", "done", "idle", "", "q1"],
    ["withdraw q1@A", "q1@A, q2@B", "done", "q2@B", "B", "q1"],
    ["withdraw q1@B", "q1@A", "lost", "same"],
    ["withdraw i1@A", "i1@A!, i2@B", "done", "i2@B", "B", "i1"],
    ["withdraw m1@A", "m2@A+m1", "done", "m2@A", "", "m1"],
    ["withdraw m1@A", "m3@A+m1+m2, q4@A", "done", "m3@A+m2, q4@A", "", "m1"],
    ["withdraw i1@A", "q3@B, i2@A+i1, q4@B", "done", "q3@B, i2@A, q4@B", "", "i1"],
    ["withdraw m1@A", "m2@B+m1", "lost", "same"],
    ["withdraw h1@A", "(h1@A)", "lost", "same"],
    ["end h1@A failed", "h1@A:asked, q2@B", "done", "q2@B", "B", "h1"],
    ["end h1@A failed", "h1@A:asked#2, q2@B", "done", "q2@B, (h1@A:asked)", "B"],
    ["end h1@A", "h1@A:asked#2, q2@B", "done", "q2@B", "B"],
    ["withdraw h1@A", "h1@A, q2@B", "done", "q2@B", "B", "h1"],
    ["withdraw h1@A", "h1@A#2, q2@B, (h3@D)", "done", "q2@B, (h3@D), (h1@A)", "B"],
    ["withdraw h1@A untaken", "h1@A:asked#2+h5", "done", "(h1@A:asked+h5)"],
    ["withdraw h2@A", "q1@B!, h2@A:asked#1, q3@D", "done", "q1@B, q3@D, (h2@A:asked)"],
    ["withdraw h2@A", "q1@B, h2@A", "done", "q1@B", "", "h2"],
    ["withdraw o2@A", "o2@A#2", "done", "idle", "", "o2"],
    ["withdraw q1@A", "idle", "lost", "same"],
    ["withdraw m3@B", "m3@B+m1+m2, q4@A", "done", "m2@B+m1, q4@A", "", "m3"],
    ["withdraw m2@B", "m2@B+m1", "done", "m1@B", "", "m2"],
    ["withdraw m2@A", "q3@B, m2@A+m1, q4@B", "done", "q3@B, m1@A, q4@B", "", "m2"],
  ],
  "turns of a dead owner that can be delivered": [
    ["takeOver A to B", "q1@A", "runs", "q1@B^#2"],
    ["takeOver A to B", "q1@A:asked#2, q2@A, q3@D", "runs", "q1@B^:asked#3, q2@B^, q3@D"],
    ["takeOver A to B", "q1@A:answered!, i2@D+i1", "runs", "q1@B^:answered!#2, i2@D+i1"],
    ["takeOver A to B", "i1@A!, q2@D", "runs", "i1@B^#2, q2@D"],
    ["takeOver A to B", "q1@D, q2@A, q3@A", "done", "q1@D, q2@B^, q3@B^"],
    ["takeOver A to B", "q1@D, q2@E", "lost", "same"],
    ["takeOver A to B", "idle", "lost", "same"],
    ["takeOver A to B", "(h1@A)", "lost", "same"],
    ["takeOver A to C", "q1@A, q2@A", "lost", "same"],
    ["takeOver A to C", "q1@D, q2@A", "lost", "same"],
  ],
  "turns of a dead owner whose callers died with it": [
    ["takeOver A to B", "h1@A", "done", "(h1@A)"],
    ["takeOver A to B", "h1@A:asked#2", "done", "(h1@A:asked#2)"],
    ["takeOver A to B", "h1@A, q2@D, q3@D", "done", "q2@D, q3@D, (h1@A)", "D"],
    ["takeOver A to B", "h1@A, m2@D, m3@A", "done", "m3@B^+m2^, (h1@A)", "B, D"],
    ["takeOver A to B", "h1@A, (h2@E)", "done", "(h2@E), (h1@A)"],
    ["takeOver A to B", "h1@A, h2@A, q3@A", "done", "q3@B^, (h1@A)", "B", "h2"],
    ["takeOver A to B", "q1@A, h2@A, q3@D", "runs", "q1@B^#2, q3@D", "", "h2"],
    ["takeOver A to B", "q1@D, h2@A, h3@A", "done", "q1@D", "", "h2, h3"],
    ["takeOver A to C", "q1@A, h2@A", "done", "q1@A", "", "h2"],
    ["takeOver A to B", "q1@D, h2@A, h3@D", "done", "q1@D, h3@D", "", "h2"],
    ["takeOver A to B", "q1@D, h2@A#1", "done", "q1@D, (h2@A)"],
    ["takeOver A to B", "q1@D, h3@A+h2", "done", "q1@D", "", "h2, h3"],
    ["takeOver A to B", "o1@A, o2@A, q3@D", "done", "q3@D", "D"],
    ["takeOver A to B", "o1@A", "done", "idle"],
    ["takeOver A to B", "q1@D, o1@A", "done", "q1@D"],
  ],
  "a turn that its owner leaves": [
    ["release q2@A to Z", "q1@A, q2@A, q3@A", "done", "q1@A, q2@Z, q3@A"],
    ["release q1@A to Z", "q1@A:answered, q2@A", "done", "q1@Z:answered, q2@A"],
    ["release q1@B to Z", "q1@A", "lost", "same"],
    ["release q2@B to Z", "q1@A, q2@A", "lost", "same"],
    ["release m1@A to Z", "m2@A+m1", "lost", "same"],
    ["release q1@A to Z", "idle", "lost", "same"],
  ],
  "a turn whose person wants it to stop": [
    ["stop q1", "q1@A, q2@B", "done", "q1@A~, q2@B", "A"],
    ["stop q2", "q1@A, q2@B", "done", "q1@A, q2@B~", "B"],
    ["stop q1+q2+q4", "q1@A:asked, q2@A, q3@B, q4@D", "done", "q1@A:asked~, q2@A~, q3@B, q4@D~", "A, D"],
    ["stop q1", "q1@A~, q2@B", "done", "same"],
    ["stop q1+q2", "q1@A~, q2@B", "done", "q1@A~, q2@B~", "B"],
    ["stop i1", "i1@A!, i2@B", "done", "i1@A!~, i2@B", "A"],
    ["stop q1", "q1@A:answered", "lost", "same"],
    ["stop q1+q2", "q1@A:answered, q2@B", "done", "q1@A:answered, q2@B~", "B"],
    ["stop o1", "o1@A", "lost", "same"],
    ["stop q2", "q1@A", "lost", "same"],
    ["stop h1", "(h1@A)", "lost", "same"],
    ["stop q1", "idle", "lost", "same"],
    ["take i2@B", "i1@A~", "waits", "i1@A!~, i2@B", "A"],
    ["end q1@A", "q1@A, m2@B~, m3@D", "done", "m2@B~, m3@D", "B"],
    ["end q1@A", "q1@A, m2@B, m3@D~, m4@E", "done", "m2@B, m3@D~, m4@E", "B"],
    ["end i1@A unsent", "i1@A!~, i2@B", "done", "i2@B", "B"],
    ["end i1@A unsent", "i1@A!, i2@B~", "runs", "i1@A, i2@B~"],
    ["end i1@A unsent", "i1@A!, i2@B~, i3@D", "done", "i2@B~, i3@D+i1^", "B"],
    ["withdraw q2@A", "q1@B, q2@A~", "done", "q1@B", "", "q2"],
    ["withdraw q2@A stopped", "q1@B, q2@A~", "done", "q1@B"],
    ["withdraw m2@A stopped", "q1@B, m2@A+m1, q3@B", "done", "q1@B, m1@A, q3@B"],
    ["withdraw i2@A", "q3@B, i2@A~+i1", "done", "q3@B, i1@A", "", "i2"],
    ["takeOver A to B", "q1@A:asked~, q2@A~", "runs", "q1@B^:asked~#2, q2@B^~"],
    ["takeOver A to B", "h1@A~", "done", "(h1@A~)"],
    ["take h1@B", "(h1@A~)", "runs", "h1@B#2"],
  ],
  "a turn that the store has lost": [
    ["restore q1@A ran", "idle", "runs", "q1@A"],
    ["restore q1@A waited", "idle", "runs", "q1@A"],
    ["restore q1@A:asked#2 ran", "idle", "runs", "q1@A:asked#2"],
    ["restore q1@A ran", "(h2@D)", "runs", "q1@A, (h2@D)"],
    ["restore q1@A:asked ran", "q1@A, q2@B", "runs", "q1@A:asked, q2@B"],
    ["restore q1@A:asked ran", "q2@B, q3@B", "waits", "q2@B, q1@A:asked#1, q3@B"],
    ["restore q2@A:asked ran", "q1@B, q3@B, q2@A", "waits", "q1@B, q2@A:asked#1, q3@B"],
    ["restore q1@A waited", "q2@B, q3@B", "waits", "q2@B, q3@B, q1@A"],
    ["restore q2@A waited", "q1@B, q2@A, q3@B", "waits", "same"],
    ["restore q1@A waited", "q1@A", "runs", "same"],
    ["restore q1@A waited", "q1@A:asked#2, q2@B", "runs", "same"],
    ["restore h1@A ran", "(h1@A)", "lost", "same"],
    ["restore q1@A ran", "q1@B", "lost", "same"],
    ["restore q2@A waited", "q1@B, q2@B", "lost", "same"],
    ["restore m1@A waited", "m2@A+m1", "merged", "same"],
    ["restore m1@A waited", "m2@B+m1", "lost", "same"],
  ],
};

function listOf(written = ""): string[] {
  return written === "" ? [] : written.split(", ");
}

describe("transition", () => {
  for (const [what, ofThat] of Object.entries(rows)) {
    describe(what, () => {
      for (const [written, before, outcome, after, wakes, freed] of ofThat) {
        it(`${written} on ${before}: ${outcome}, ${after}`, () => {
          const lane = laneOf(before);
          const { command, now } = commandOf(written);
          const result = transition(lane, command, now);
          expect(result).toStrictEqual({
            lane: after === "same" ? lane : laneOf(after),
            outcome,
            wakes: listOf(wakes),
            freed: listOf(freed),
          });
          if (after === "same") expect(result.lane).toBe(lane);
          else expect(lane).toStrictEqual(laneOf(before));
        });
      }
    });
  }

  it("changes only what progress names, and keeps the rest", () => {
    const asked = { phase: "asked", known: { chat: "7" } } as const;
    let lane = transition(
      laneOf("q1@A, q2@B"),
      { do: "advance", key: "q1", owner: "A", progress: asked },
      0,
    ).lane;
    for (const progress of [{ posts: ["p1"] }, { answer: "all", phase: "answered" }] as const) {
      lane = transition(lane, { do: "advance", key: "q1", owner: "A", progress }, 0).lane;
    }
    expect(lane).toStrictEqual({
      v: 1,
      running: {
        ...turnOf("q1@A", "runs"),
        ...{ phase: "answered", known: { chat: "7" }, posts: ["p1"], answer: "all" },
      },
      waiting: [turnOf("q2@B")],
    });
  });

  it("writes nothing new with progress that names nothing, and still says that the turn is its owner's", () => {
    const command = { do: "advance", key: "q1", owner: "A", progress: {} } as const;
    expect(transition(laneOf("q1@A"), command, 0)).toStrictEqual({
      lane: laneOf("q1@A"),
      outcome: "done",
      wakes: [],
      freed: [],
    });
  });

  it("keeps all that is known of a turn for whoever takes it over", () => {
    const running = { ...turnOf("q1@A:asked", "runs"), known: { chat: "7" }, posts: ["p1"] };
    const command = { do: "takeOver", from: "A", owner: "B", canDeliver: () => true } as const;
    const { lane } = transition({ v: 1, running, waiting: [] }, command, 0);
    expect(lane?.running).toStrictEqual({ ...running, owner: "B", attempt: 2, isAdopted: true });
  });

  it("asks for each place whether it can be delivered to", () => {
    const [one, two, three] = ["q1@A", "q2@A", "q3@A"].map((written) => turnOf(written));
    const lane = {
      v: 1,
      running: { ...one, attempt: 1, place: "slack" },
      waiting: [
        { ...two, place: "discord" },
        { ...three, place: "slack" },
      ],
    } as const;
    const canDeliver = (place: string) => place === "discord";
    const taken = transition(lane as never, { do: "takeOver", from: "A", owner: "B", canDeliver }, 0);
    expect(taken.outcome).toBe("done");
    expect([...ownersOf(taken.lane)]).toEqual(["A", "B"]);
    expect(taken.lane?.waiting.map(({ key, owner }) => [key, owner])).toEqual([
      ["q2", "B"],
      ["q3", "A"],
    ]);
  });

  it("takes the words of the event that came again, and what is known of the parked turn", () => {
    const parked = { ...turnOf("h1@A:asked", "parked"), known: { chat: "7" } };
    const turn = { ...turnOf("h1@B"), body: { says: "again" } };
    const { lane } = transition(
      { v: 1, waiting: [], parked: [{ turn: parked, until: 1 }] },
      { do: "take", turn, limit: 1 },
      0,
    );
    expect(lane?.running).toStrictEqual({
      ...parked,
      owner: "B",
      attempt: 2,
      body: { says: "again" },
    });
  });

  it("interrupts the running turn by one whose event comes again only where it had not begun", () => {
    const interruptedBy = (attempt: number) => {
      const turn = { ...turnOf("i2@A", "parked"), attempt };
      const parked = [{ turn, until: dayMs }];
      const command = { do: "take", turn: turnOf("i2@B"), limit: 1 } as const;
      const lane = { v: 1, running: turnOf("i1@A", "runs"), waiting: [], parked } as const;
      return transition(lane, command, 0).lane?.running?.isInterrupted;
    };
    expect([0, 1].map(interruptedBy)).toEqual([true, undefined]);
  });

  it("parks a turn for a day from the moment that it is parked", () => {
    const command = { do: "takeOver", from: "A", owner: "B", canDeliver: () => true } as const;
    const { lane } = transition(laneOf("h1@A"), command, 5_000);
    expect(lane?.parked?.map(({ until }) => until)).toEqual([5_000 + dayMs]);
  });

  it("forgets a parked turn when its day is over, and not a millisecond earlier", () => {
    const lane = laneOf("(h1@A), (h2@A)");
    const parked = lane?.parked?.map((entry, index) => ({ ...entry, until: entry.until + index })) ?? [];
    const left = (now: number) =>
      transition(
        { v: 1, waiting: [], parked },
        { do: "take", turn: turnOf("q1@B"), limit: 3 },
        now,
      ).lane?.parked?.map(({ turn }) => turn.key);
    expect(left(dayMs - 1)).toEqual(["h1", "h2"]);
    expect(left(dayMs)).toEqual(["h2"]);
    expect(left(dayMs + 1)).toBeUndefined();
  });

  it("lets nobody wait where nobody may", () => {
    const command = { do: "take", turn: turnOf("q2@B"), limit: 0 } as const;
    expect(transition(undefined, command, 0).outcome).toBe("runs");
    expect(transition(laneOf("q1@A"), command, 0).outcome).toBe("full");
  });
});

describe("findTurn", () => {
  const lane = laneOf("m2@A+m1, m4@B+m3, (h1@D+h0)");

  it.each([
    ["m2", "runs", "m2"],
    ["m1", "merged", "m2"],
    ["m4", "waits", "m4"],
    ["m3", "merged", "m4"],
    ["h1", "parked", "h1"],
  ])("finds %s: it %s, with the turn %s", (key, is, turn) => {
    const found = findTurn(lane, key);
    expect([found?.is, found?.turn.key]).toEqual([is, turn]);
  });

  it("finds nothing else", () => {
    expect(findTurn(lane, "m")).toBeUndefined();
    expect(findTurn(lane, "h0")).toBeUndefined();
    expect(findTurn(undefined, "m2")).toBeUndefined();
    expect(findTurn(laneOf("(h1@D)"), "m1")).toBeUndefined();
  });
});

describe("ownersOf", () => {
  it("names those whose turns run or wait, each once", () => {
    expect([...ownersOf(laneOf("q1@A, q2@B, q3@A, (h1@D)"))]).toEqual(["A", "B"]);
    expect([...ownersOf(laneOf("(h1@D)"))]).toEqual([]);
    expect([...ownersOf(undefined)]).toEqual([]);
  });
});
