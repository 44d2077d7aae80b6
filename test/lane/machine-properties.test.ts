import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Command, type LaneDocument, ownersOf, transition } from "../../src/lane/machine.ts";
import { commandOf } from "../support/lane-notation.ts";

const kinds = ["q", "m", "i", "r", "h", "o"] as const;
const owner = fc.constantFrom("A", "B", "C");
const turn = fc
  .tuple(fc.constantFrom(...kinds), fc.integer({ min: 1, max: 3 }), fc.constantFrom("", "'"), owner)
  .map(([kind, number, prime, by]) => `${kind}${number}${kind === "o" ? "" : prime}@${by}`);

const command: fc.Arbitrary<Command> = fc
  .oneof(
    { weight: 4, arbitrary: turn.map((taken) => `take ${taken}`) },
    { weight: 2, arbitrary: turn.map((ended) => `end ${ended}`) },
    turn.map((ended) => `end ${ended} unsent`),
    turn.map((stopped) => `stop ${stopped.split("@")[0]}`),
    turn.map((asked) => `advance ${asked} asked`),
    turn.map((withdrawn) => `withdraw ${withdrawn}`),
    fc.tuple(owner, owner).map(([from, to]) => `takeOver ${from} to ${to}`),
    fc.tuple(turn, owner).map(([released, to]) => `release ${released} to ${to}`),
    turn.map((restored) => `restore ${restored} ran`),
    turn.map((restored) => `restore ${restored} waited`),
  )
  .map((written) => commandOf(written).command);

/** Commands that often find their turn: with a chance of two in three they name the one that runs. */
const steps = fc.array(fc.tuple(command, fc.nat(2)), { maxLength: 40 });

function aimed(lane: LaneDocument | undefined, given: Command, aim: number): Command {
  const { running } = lane ?? {};
  if (aim === 0 || running === undefined || given.do === "take" || given.do === "restore") return given;
  if (given.do === "stop") return given;
  if (given.do === "takeOver") return { ...given, from: running.owner };
  return { ...given, key: running.key, owner: running.owner };
}

/** All events of a lane in the order in which their words are or will be said; parked ones are apart. */
function events(lane: LaneDocument | undefined): string[] {
  const turns = lane?.running === undefined ? [] : [lane.running, ...lane.waiting];
  return turns.flatMap(({ key, carries = [] }) => [...carries.map((carried) => carried.key), key]);
}

function parked(lane: LaneDocument | undefined): string[] {
  return (lane?.parked ?? []).flatMap((entry) => [
    ...(entry.turn.carries ?? []).map(({ key }) => key),
    entry.turn.key,
  ]);
}

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}

/** Runs random commands one after another, and looks at each step. */
function eachStep(
  look: (before: LaneDocument | undefined, done: Command, result: ReturnType<typeof transition>) => void,
): void {
  fc.assert(
    fc.property(steps, (given) => {
      let lane: LaneDocument | undefined;
      for (const [next, aim] of given) {
        const done = aimed(lane, next, aim);
        const result = transition(frozen(lane), frozen(done), 0);
        look(lane, done, result);
        lane = result.lane;
      }
    }),
    { numRuns: 150 },
  );
}

describe("any commands, one after another,", () => {
  it("leave a lane in which no event stands twice, and nothing waits where nothing runs", () => {
    eachStep((_, __, { lane }) => {
      const all = [...events(lane), ...parked(lane)];
      expect(new Set(all).size).toBe(all.length);
      if (lane === undefined) return;
      expect(lane.running === undefined && lane.waiting.length > 0).toBe(false);
      expect(lane.running !== undefined || lane.parked !== undefined).toBe(true);
      expect(lane.running?.attempt ?? 1).toBeGreaterThan(0);
      expect(lane.parked?.length).not.toBe(0);
    });
  });

  it("lose no event: it leaves by its own end, by being taken back, or with a dead owner to come again", () => {
    eachStep((before, done, { lane, outcome, freed }) => {
      const after = new Set([...events(lane), ...parked(lane)]);
      const gone = [...events(before), ...parked(before)].filter((key) => !after.has(key));
      const { running } = before ?? {};
      const isEnd = done.do === "end" && outcome === "done";
      const ended = isEnd ? [...(running?.carries ?? []).map(({ key }) => key), done.key] : [];
      const operations = done.do === "takeOver" ? gone.filter((key) => key.startsWith("o")) : [];
      const left = [...ended, ...freed, ...operations];
      expect(gone.filter((key) => !left.includes(key))).toEqual([]);
      if (isEnd && !done.isUnsent) expect(gone.sort()).toEqual(ended.sort());
      const goesOn = done.do === "end" && done.isUnsent && running?.place !== undefined && !running.isStopped;
      if (isEnd && goesOn) expect(gone).toEqual([]);
      expect(freed.filter((key) => after.has(key))).toEqual([]);
    });
  });

  it("add an event only where it is taken or put back, and say that it runs, waits or is carried", () => {
    eachStep((before, done, { lane, outcome }) => {
      const known = new Set([...events(before), ...parked(before)]);
      const added = [...events(lane), ...parked(lane)].filter((key) => !known.has(key));
      const key = done.do === "take" || done.do === "restore" ? done.turn.key : undefined;
      expect(added.filter((one) => one !== key)).toEqual([]);
      if (added.length > 0) expect(["runs", "waits"]).toContain(outcome);
      if (key !== undefined && ["runs", "waits", "merged"].includes(outcome))
        expect(events(lane)).toContain(key);
    });
  });

  it("keep the order of events, but for one that is put back", () => {
    eachStep((before, done, { lane }) => {
      const moved = done.do === "restore" ? done.turn.key : undefined;
      const was = events(before);
      const is = events(lane);
      const stayed = (list: string[], other: string[]) =>
        list.filter((key) => other.includes(key) && key !== moved);
      // What is carried on goes past turns to another place, which have another answer.
      if (done.do === "end" && done.isUnsent) return;
      expect(stayed(is, was)).toEqual(stayed(was, is));
    });
  });

  it("do nothing when they are given again at once", () => {
    eachStep((_, done, result) => {
      const { lane } = result;
      if (done.do === "release" && done.owner === done.to) return;
      const again = transition(lane, done, 0);
      if (done.do === "takeOver" && done.from === done.owner) return;
      expect(again.lane).toEqual(lane);
      expect(again.freed).toEqual([]);
      expect(again.wakes).toEqual([]);
      if (result.outcome === "runs" && done.do === "end") return;
      if (done.do === "end" || done.do === "withdraw" || done.do === "takeOver")
        expect(again.outcome).toBe("lost");
    });
  });

  it("touch nothing and wake nobody where they are refused", () => {
    eachStep((before, _, result) => {
      if (!["lost", "busy", "full", "duplicate", "merged"].includes(result.outcome)) return;
      expect(result.lane).toBe(before);
      expect(result.wakes).toEqual([]);
      expect(result.freed).toEqual([]);
    });
  });

  it("wake only owners that had a turn there, and the one whose turn runs now", () => {
    eachStep((before, done, { lane, wakes, outcome }) => {
      const owners = new Set([...ownersOf(before), ...ownersOf(lane)]);
      expect(wakes.filter((woken) => !owners.has(woken))).toEqual([]);
      const begins = lane?.running !== undefined && lane.running.key !== before?.running?.key;
      if (begins && (done.do === "end" || (done.do === "withdraw" && wakes.length > 0))) {
        expect(outcome).toBe("done");
        expect(wakes).toContain(lane.running?.owner);
      }
    });
  });

  it("let nobody change a turn of another owner, but for taking over, interrupting and carrying", () => {
    eachStep((before, done, { lane }) => {
      if (!("owner" in done) || done.do === "takeOver") return;
      const others = (of: LaneDocument | undefined) =>
        [...(of?.running === undefined ? [] : [of.running]), ...(of?.waiting ?? [])]
          .filter((one) => one.owner !== done.owner)
          .map(({ key, phase, owner: by }) => `${key} ${phase} ${by}`);
      const is = new Set([...others(lane), ...events(lane)]);
      const changed = others(before).filter((one) => !is.has(one) && !is.has(one.split(" ")[0] ?? ""));
      expect(changed).toEqual([]);
    });
  });
});
