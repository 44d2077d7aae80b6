import { describe, expect, it } from "vitest";
import type { Command } from "../../src/lane/machine.ts";
import { markOf } from "../../src/lane/place.ts";
import { planCommit, type Wanted } from "../../src/lane/plan.ts";
import { dayMs, laneOf, turnOf } from "../support/lane-notation.ts";

const now = 5;

function wanted(command: Command | undefined, more: Partial<Wanted> = {}): Wanted {
  const nothing = { record: undefined, restoredMarks: undefined, isUnsure: false, isMarked: false };
  return { command, ...nothing, ...more };
}

const take = (written: string): Command => ({ do: "take", turn: turnOf(written), limit: 3 });
const takeBack = (key: string): Command => ({ do: "withdraw", key, owner: "A", isUntaken: true });
const end = (key: string): Command => ({ do: "end", key, owner: "A" });
const marked = (...keys: string[]) => keys.map((key) => markOf("lane", key));
const plan = (before: string, ...batch: Wanted[]) => planCommit("lane", laneOf(before), batch, "A", now);

describe("A batch of commands", () => {
  it("is decided one after another, and written as one commit", () => {
    const { outcomes, commit } = plan("idle", wanted(take("q1@A")), wanted(take("q2@A")), wanted(end("q1")));
    expect(outcomes).toEqual(["runs", "waits", "done"]);
    expect(commit).toEqual({
      document: laneOf("q2@A"),
      ...{ marks: marked("q1", "q2"), entering: ["A"], record: undefined, ttlMs: undefined },
      ...{ restoredMarks: undefined, removedMarks: undefined, leaving: undefined, wakes: undefined },
    });
  });

  it("writes nothing where nothing changes, and outcomes all the same", () => {
    expect(plan("q1@B", wanted(end("q1")), wanted(undefined))).toEqual({
      outcomes: ["lost", "done"],
      commit: undefined,
    });
  });

  it("writes marks that are put back also where nothing else changes", () => {
    const { outcomes, commit } = plan("q1@B", wanted(undefined, { restoredMarks: ["m1", "m2"] }));
    expect([outcomes, commit?.restoredMarks]).toEqual([["done"], ["m1", "m2"]]);
    expect(commit?.document).toEqual(laneOf("q1@B"));
  });

  it("leaves the mark of what is taken back and taken again, and makes none of what is taken and taken back", () => {
    const again = plan("q1@B, q2@A", wanted(takeBack("q2")), wanted(take("q2@A")));
    expect(again.outcomes).toEqual(["done", "waits"]);
    expect([again.commit?.marks, again.commit?.removedMarks]).toEqual([undefined, undefined]);
    const gone = plan("q1@B", wanted(take("q2@A")), wanted(take("q3@A")), wanted(takeBack("q2")));
    expect([gone.commit?.marks, gone.commit?.removedMarks]).toEqual([marked("q3"), undefined]);
    const both = plan(
      "q1@B, q2@A, q3@A",
      wanted(takeBack("q2")),
      wanted(takeBack("q3")),
      wanted(take("q2@A")),
    );
    expect([both.commit?.marks, both.commit?.removedMarks]).toEqual([undefined, marked("q3")]);
  });

  it("takes nothing whose mark the store has, and puts back nothing that another owner has ended", () => {
    const isMarked = { isMarked: true };
    const restore: Command = { do: "restore", turn: turnOf("q1@A"), wasRunning: true };
    expect(plan("idle", wanted(take("q1@A"), isMarked), wanted(restore, isMarked)).outcomes).toEqual([
      "duplicate",
      "lost",
    ]);
    // The lane has it: so the mark is its own.
    expect(plan("q1@A", wanted(take("q1@A"), { ...isMarked, isUnsure: true })).outcomes).toEqual(["runs"]);
  });

  it("calls a turn of its own that this command has not brought a duplicate", () => {
    expect(plan("q1@A", wanted(take("q1@A"))).outcomes).toEqual(["duplicate"]);
    expect(plan("q1@A", wanted(take("q1@A"), { isUnsure: true })).outcomes).toEqual(["runs"]);
    expect(plan("q1@B", wanted(take("q1@A"), { isUnsure: true })).outcomes).toEqual(["duplicate"]);
  });

  it("writes the last record that is given, but none with a command that came to nothing", () => {
    const advance = (owner: string): Command => ({ do: "advance", key: "q1", owner, progress: {} });
    const { commit } = plan(
      "q1@A",
      wanted(advance("A"), { record: 1 }),
      wanted(advance("A")),
      wanted(advance("A"), { record: 2 }),
      wanted(advance("A")),
      wanted(advance("B"), { record: 3 }),
    );
    expect(commit?.record).toBe(2);
    expect(plan("q1@A", wanted(end("q1"), { record: null })).commit?.record).toBeNull();
  });

  it("wakes the other owners that have to hear of it, each once, and says who comes and goes", () => {
    const { commit } = plan("q1@A, q2@B, q3@C", wanted(end("q1")), wanted(take("q4@A")));
    expect([commit?.wakes, commit?.entering, commit?.leaving]).toEqual([["B"], undefined, undefined]);
    const left = plan("q1@A, q2@B", wanted(end("q1")));
    expect([left.commit?.wakes, left.commit?.leaving]).toEqual([["B"], ["A"]]);
    const own = plan("q1@A, q2@A", wanted(end("q1")));
    expect([own.commit?.wakes, own.commit?.leaving]).toEqual([undefined, undefined]);
  });

  it("lets a document live for as long as what is parked in it, where nothing else is", () => {
    expect(plan("q1@A, (h1@C)", wanted(end("q1"))).commit?.ttlMs).toBe(dayMs - now);
    expect(plan("q1@A, q2@B, (h1@C)", wanted(end("q1"))).commit?.ttlMs).toBeUndefined();
    expect(plan("q1@A", wanted(end("q1"))).commit).toMatchObject({ document: undefined, ttlMs: undefined });
  });
});
