import type { JsonValue } from "../json.ts";

// The state machine of lanes: no clock, no store, no platform. Its table of transitions is in docs/architecture.md,
// and a test holds the two against each other.

/**
 * What a turn does that arrives while another one runs in its lane:
 * - `queue`: it waits; each gets its answer, in order.
 * - `merge`: those waiting become one turn, run by the last of them.
 * - `interrupt`: the running turn is stopped; those waiting become one turn.
 * - `reject`: it is not taken.
 */
export type Overlap = "queue" | "merge" | "interrupt" | "reject";

/** How far a turn is: recorded; sent to the agent; answered, but not yet on the platform. */
export type Phase = "taken" | "asked" | "answered";

/** A turn as its lane's document keeps it: all that another owner needs to go on with it. */
export interface LaneTurn {
  /** The event's name in its lane, the same for every delivery of the event. */
  readonly key: string;
  readonly owner: string;
  /** The platform and bot whose adapter delivers the answer. Missing where only the caller itself can read it. */
  readonly place?: string;
  readonly overlap: Overlap;
  /**
   * Only turns with equal `mergeKey` are merged, or interrupt each other: an answer has one agent and one place. An
   * operation's is empty, and no message's.
   */
  readonly mergeKey: string;
  /** An operation on the session, whose caller waits for it. It ends with its caller. */
  readonly isOperation?: true;
  /** How often the turn began to run; more than 1 means that an earlier owner died. 0 while it waits. */
  readonly attempt: number;
  readonly phase: Phase;
  /** What was said, by whom, and where the answer goes. */
  readonly body: JsonValue;
  /** The agent that has the turn, once that is written. */
  readonly agent?: string;
  /** What the service said of the turn, by which it can be asked for it. */
  readonly known?: JsonValue;
  /** The whole answer, from the phase `answered` on. */
  readonly answer?: JsonValue;
  /** What stands on the platform of the answer. */
  readonly posts?: JsonValue;
  /** Earlier turns whose words this one carries, oldest first. */
  readonly carries?: readonly CarriedTurn[];
  /** A later turn wants this one to stop. */
  readonly isInterrupted?: true;
  /** Its person wants it to stop. */
  readonly isStopped?: true;
  /** Another owner took it, and may have said so: whatever the present one took in vain, it was not this. */
  readonly isAdopted?: true;
  /** When it was parked, by the store's time, while it waits after its event came again: the agent is at work since then. */
  readonly leftAt?: number;
}

export interface CarriedTurn {
  readonly key: string;
  readonly body: JsonValue;
  readonly isAdopted?: true;
}

/** A turn whose owner died and whose answer only its caller could read: it waits for its event to come again. */
export interface ParkedTurn {
  readonly turn: LaneTurn;
  /** The store's time from which on it is forgotten, in milliseconds. */
  readonly until: number;
}

/** The document of a lane in use. An idle lane has none. */
export interface LaneDocument {
  /** The version of this format. */
  readonly v: 1;
  readonly running?: LaneTurn;
  /** In the order in which they run. */
  readonly waiting: readonly LaneTurn[];
  readonly parked?: readonly ParkedTurn[];
}

/** How far the running turn is, and what a successor needs. What is missing stays as it is. */
export interface Progress {
  readonly phase?: Phase;
  readonly agent?: string;
  readonly known?: JsonValue;
  readonly answer?: JsonValue;
  readonly posts?: JsonValue;
}

export type Command =
  /** @param limit how many turns may wait */
  | { readonly do: "take"; readonly turn: LaneTurn; readonly limit: number }
  /** @param forgets nothing is kept of the person any more, and so of no turn that is parked */
  | {
      readonly do: "advance";
      readonly key: string;
      readonly owner: string;
      readonly progress: Progress;
      readonly forgets?: boolean | undefined;
    }
  /**
   * @param isUnsent it was interrupted before the agent was asked: the words go to the turn that interrupted it. Where
   * that one was taken back, this one runs again.
   * @param mayComeAgain its caller may send it again; where no agent was asked, also those whose words it carries
   * @param forgets as where it advances; nor is it parked itself
   */
  | {
      readonly do: "end";
      readonly key: string;
      readonly owner: string;
      readonly forgets?: boolean | undefined;
      readonly isUnsent?: boolean;
      readonly mayComeAgain?: "own" | "all" | undefined;
    }
  /**
   * Takes a turn back that was not run: while it waits, or if its owner never learned that it, or the turn that carries
   * its words, was to run.
   * @param isStopped its person wants it: should its event come again, it is not run
   * @param isUntaken its owner told that it was not taken: what another owner took of the same event is not meant
   */
  | {
      readonly do: "withdraw";
      readonly key: string;
      readonly owner: string;
      readonly isStopped?: boolean;
      readonly isUntaken?: boolean;
    }
  /** @param canDeliver whether the new owner can deliver to a place */
  | {
      readonly do: "takeOver";
      readonly from: string;
      readonly owner: string;
      readonly canDeliver: (place: string) => boolean;
    }
  /** Turns of an owner that leaves: those that wait, or also the one that runs. */
  | { readonly do: "release"; readonly key: string; readonly owner: string; readonly to: string }
  /** Somebody wants turns to stop, whoever owns them. @param isMeant tells which, by their bodies */
  | { readonly do: "stop"; readonly isMeant: (body: JsonValue) => boolean }
  /** A turn that the owner runs, or that waits, and that the store has lost. */
  | { readonly do: "restore"; readonly turn: LaneTurn; readonly wasRunning: boolean };

/** What became of a command. */
export type Outcome =
  | "runs"
  | "waits"
  /** Its words are carried by another turn. */
  | "merged"
  | "done"
  /** Taken before. */
  | "duplicate"
  | "busy"
  | "full"
  /** The turn is not this owner's, or no longer; or there is none. */
  | "lost";

export interface Transition {
  /** Undefined: the lane is idle. The same object as before: nothing changed. */
  readonly lane: LaneDocument | undefined;
  readonly outcome: Outcome;
  /** Owners that have to hear of it. */
  readonly wakes: readonly string[];
  /** Keys of turns that were not run after all: their events may come again. */
  readonly freed: readonly string[];
}

/** How long a parked turn waits for its event, in milliseconds: as long as stores remember events. */
export const parkedMs: number = 24 * 60 * 60_000;

const emptyLane: LaneDocument = { v: 1, waiting: [] };

/**
 * Applies one command to a lane.
 * @param lane undefined for an idle one; it is not changed
 * @param now the store's time in milliseconds
 */
export function transition(lane: LaneDocument | undefined, command: Command, now: number): Transition {
  const before = lane ?? emptyLane;
  const after = applied(before, command, now);
  return after.lane === before ? { ...after, lane } : after;
}

function applied(lane: LaneDocument, command: Command, now: number): Transition {
  switch (command.do) {
    case "take":
      return take(lane, command.turn, command.limit, now);
    case "advance":
      return advance(lane, command);
    case "end":
      return end(lane, command, now);
    case "withdraw":
      return withdraw(lane, command, now);
    case "takeOver":
      return takeOver(lane, command, now);
    case "release":
      return release(lane, command.key, command.owner, command.to);
    case "stop":
      return stop(lane, command.isMeant);
    case "restore":
      return restore(lane, command.turn, command.wasRunning);
  }
}

/** Where a key stands in a lane. */
export function findTurn(
  lane: LaneDocument | undefined,
  key: string,
): { readonly is: "runs" | "waits" | "merged" | "parked"; readonly turn: LaneTurn } | undefined {
  if (lane === undefined) return undefined;
  const { running, waiting, parked = [] } = lane;
  if (running !== undefined && running.key === key) return { is: "runs", turn: running };
  for (const turn of waiting) if (turn.key === key) return { is: "waits", turn };
  for (const { turn } of parked) if (turn.key === key) return { is: "parked", turn };
  for (const turn of running === undefined ? waiting : [running, ...waiting]) {
    if (turn.carries?.some((carried) => carried.key === key)) return { is: "merged", turn };
  }
  return undefined;
}

/** The owners that have turns in a lane, each once. */
export function ownersOf(lane: LaneDocument | undefined): readonly string[] {
  if (lane === undefined) return [];
  const owners = lane.running === undefined ? [] : [lane.running.owner];
  for (const { owner } of lane.waiting) if (!owners.includes(owner)) owners.push(owner);
  return owners;
}

/**
 * How many of the turns that wait, from the first on, become one turn that the last of them runs. At least 1. One that
 * was begun before is asked for by itself: the agent may have its words. One that is to stop takes no other along, and its
 * words go nowhere.
 */
function countMerged(waiting: readonly LaneTurn[]): number {
  const [head] = waiting;
  if (head?.overlap !== "merge" && head?.overlap !== "interrupt") return 1;
  const isAlone = ({ attempt, isStopped }: LaneTurn) => attempt > 0 || isStopped === true;
  if (isAlone(head)) return 1;
  const end = waiting.findIndex(
    (turn) => turn.overlap !== head.overlap || turn.mergeKey !== head.mergeKey || isAlone(turn),
  );
  return end < 0 ? waiting.length : end;
}

function take(lane: LaneDocument, taken: LaneTurn, limit: number, now: number): Transition {
  const before = forget(lane, now);
  const found = findTurn(before, taken.key);
  if (found !== undefined && found.is !== "parked") {
    // Of the same owner's own: the answer of an earlier commit was lost, and it was done.
    return unchanged(lane, found.turn.owner === taken.owner ? found.is : "duplicate");
  }
  const left = before.parked?.find(({ turn }) => turn.key === taken.key);
  const turn = left === undefined ? taken : resumed(left, taken);
  const rest = withoutParked(before, taken.key);
  const { running, waiting } = rest;
  if (running === undefined && waiting.length === 0) {
    return changed({ running: begun(turn), ...rest }, "runs");
  }
  if (taken.overlap === "reject") return unchanged(lane, "busy");
  if (waiting.length >= limit) return unchanged(lane, "full");
  const next = { ...rest, waiting: [...waiting, turn] };
  const isAnswering = running !== undefined && running.phase !== "answered" && !running.isInterrupted;
  if (!isAnswering || !interrupts(turn, running)) return changed(next, "waits");
  return changed({ ...next, running: { ...running, isInterrupted: true } }, "waits", [running.owner]);
}

/** What was begun before came before the running turn, and takes none of its words along: the agent may have its own. */
function interrupts({ overlap, mergeKey, attempt }: LaneTurn, running: LaneTurn): boolean {
  return overlap === "interrupt" && mergeKey === running.mergeKey && attempt === 0;
}

function advance(lane: LaneDocument, command: Command & { readonly do: "advance" }): Transition {
  const { key, owner, progress, forgets } = command;
  const { running } = lane;
  if (running === undefined || running.key !== key || running.owner !== owner) return unchanged(lane, "lost");
  const after = { ...lane, running: { ...running, ...progress } };
  if (!forgets) return changed(after, "done");
  const { parked, ...others } = after;
  return { ...changed(others, "done"), freed: keysOf(parked) };
}

function end(lane: LaneDocument, command: Command & { readonly do: "end" }, now: number): Transition {
  const { key, owner, forgets, isUnsent, mayComeAgain } = command;
  const { running, ...rest } = lane;
  if (running === undefined || running.key !== key || running.owner !== owner) return unchanged(lane, "lost");
  if (forgets && lane.parked !== undefined) {
    const { parked, ...others } = lane;
    const ended = end(others, command, now);
    return { ...ended, freed: [...ended.freed, ...keysOf(parked)] };
  }
  if (mayComeAgain !== undefined) {
    if (!forgets && wasParked(running, "runs")) return parkedAgain(lane, running, now);
    const freed = mayComeAgain === "own" ? [key] : carriedOf(running).map((turn) => turn.key);
    return { ...next(rest), freed };
  }
  const carried = isUnsent && !running.isStopped ? carriedOn(rest, running) : rest;
  if (carried !== undefined) return next(carried);
  // Whoever interrupted it was taken back meanwhile. Where only its caller could read it, that one has been told.
  if (running.place === undefined) return next(rest);
  const { isInterrupted: _, ...again } = running;
  return changed({ ...lane, running: again }, "runs");
}

/** The words of a turn that was interrupted before it was sent go with the next one to the same place, if there is one. */
function carriedOn(rest: LaneDocument, interrupted: LaneTurn): LaneDocument | undefined {
  const at = rest.waiting.findIndex(
    ({ mergeKey, isStopped, attempt }) => mergeKey === interrupted.mergeKey && !isStopped && attempt === 0,
  );
  if (at < 0) return undefined;
  const waiting = rest.waiting.map((turn, index) =>
    index === at ? { ...turn, carries: [...carriedTo(turn, interrupted), ...(turn.carries ?? [])] } : turn,
  );
  return { ...rest, waiting };
}

/** The turns that wait move up. */
function next(rest: LaneDocument): Transition {
  const { waiting } = rest;
  const count = countMerged(waiting);
  const head = waiting[count - 1];
  if (head === undefined) return changed(rest, "done");
  const merged = waiting.slice(0, count - 1);
  const carries = [...merged.flatMap((turn) => carriedTo(head, turn)), ...(head.carries ?? [])];
  const turn = carries.length === 0 ? head : { ...head, carries };
  const lane = { ...rest, running: begun(turn), waiting: waiting.slice(count) };
  return changed(lane, "done", [head.owner, ...merged.map(({ owner }) => owner)]);
}

function withdraw(
  lane: LaneDocument,
  { key, owner, isStopped, isUntaken }: Command & { readonly do: "withdraw" },
  now: number,
): Transition {
  const { running, ...rest } = lane;
  const found = findTurn(lane, key);
  if (found?.turn.owner !== owner) return unchanged(lane, "lost");
  if (found.is === "parked") return unchanged(lane, "lost");
  const meant =
    found.is === "merged" ? found.turn.carries?.find((carried) => carried.key === key) : found.turn;
  if (isUntaken && meant?.isAdopted) return unchanged(lane, "lost");
  if (found.is !== "merged" && wasParked(found.turn, found.is)) return parkedAgain(lane, found.turn, now);
  // The agent may have the words that a turn carried which was begun before, and waits: they end with it.
  const isBegun = found.is === "waits" && found.turn.attempt > 0;
  const left =
    found.is === "merged" ? withoutCarried(found.turn, key) : isBegun ? undefined : carriedBy(found.turn);
  let after: Transition;
  if (found.turn === running) {
    after = left === undefined ? next(rest) : changed({ ...rest, running: left }, "done");
  } else {
    const waiting = lane.waiting.flatMap((turn) => (turn === found.turn ? (left ?? []) : turn));
    after = changed(stillInterrupted({ ...lane, waiting }), "done");
  }
  return isStopped ? after : { ...after, freed: [key] };
}

/** Whether it goes on with what a process that died had begun: the agent may have its words. */
export function wasParked({ place, isOperation, attempt }: LaneTurn, state: "runs" | "waits"): boolean {
  return place === undefined && !isOperation && attempt > (state === "runs" ? 1 : 0);
}

/** It came again in vain: it waits for its event once more, and keeps what is known of it. */
function parkedAgain({ parked = [], ...lane }: LaneDocument, turn: LaneTurn, now: number): Transition {
  const isRunning = turn === lane.running;
  const attempt = isRunning ? turn.attempt - 1 : turn.attempt;
  const all = [...parked, parkedTurn({ ...turn, attempt }, now)];
  const { running, ...rest } = { ...lane, parked: all };
  if (isRunning) return next(rest);
  const waiting = rest.waiting.filter((other) => other !== turn);
  return changed(stillInterrupted({ ...rest, ...(running && { running }), waiting }), "done");
}

/** Where whoever interrupted the running turn was taken back, or died, it is not interrupted any more. */
function stillInterrupted(lane: LaneDocument): LaneDocument {
  const { running, waiting } = lane;
  if (!running?.isInterrupted) return lane;
  if (waiting.some((turn) => interrupts(turn, running))) return lane;
  const { isInterrupted: _, ...left } = running;
  return { ...lane, running: left };
}

/** What a turn carried that is taken back: the last of those others stands in its place, and carries the rest. */
function carriedBy(turn: LaneTurn): LaneTurn | undefined {
  const { carries = [], isStopped: _, isAdopted: __, ...rest } = turn;
  const last = carries.at(-1);
  if (last === undefined) return undefined;
  const others = carries.slice(0, -1);
  return { ...rest, ...last, ...(others.length === 0 ? {} : { carries: others }) };
}

/** A turn without the words of another one that it carried. */
function withoutCarried({ carries = [], ...turn }: LaneTurn, key: string): LaneTurn {
  const others = carries.filter((carried) => carried.key !== key);
  return others.length === 0 ? turn : { ...turn, carries: others };
}

function takeOver(
  lane: LaneDocument,
  { from, owner, canDeliver }: Command & { do: "takeOver" },
  now: number,
): Transition {
  const isTaken = ({ owner: of, place }: LaneTurn) => of === from && place !== undefined && canDeliver(place);
  const isLeft = ({ owner: of, place }: LaneTurn) => of === from && place === undefined;
  const { running, parked = [], ...rest } = lane;
  const left = [...(running === undefined ? [] : [running]), ...lane.waiting].filter(isLeft);
  const isRunningTaken = running !== undefined && isTaken(running);
  if (left.length === 0 && !isRunningTaken && !lane.waiting.some(isTaken)) return unchanged(lane, "lost");
  // What began to run may have been asked: only its own event may go on with it. An operation ends with its caller.
  const began = left.filter(({ isOperation, attempt }) => !isOperation && attempt > 0);
  const freed = left.filter(({ isOperation, attempt }) => !isOperation && attempt === 0);
  const allParked = [...parked, ...began.map((turn) => parkedTurn(turn, now))];
  const after: LaneDocument = {
    ...rest,
    waiting: lane.waiting
      .filter((turn) => !isLeft(turn))
      .map((turn) => (isTaken(turn) ? adopted(turn, owner) : turn)),
    ...(allParked.length === 0 ? {} : { parked: allParked }),
  };
  let taken: Transition;
  if (running === undefined || isLeft(running)) taken = next(after);
  else if (isRunningTaken) {
    taken = changed(stillInterrupted({ ...after, running: begun(adopted(running, owner)) }), "runs");
  } else taken = changed(stillInterrupted({ ...after, running }), "done");
  return { ...taken, freed: freed.flatMap(carriedOf).map(({ key }) => key) };
}

function release(lane: LaneDocument, key: string, owner: string, to: string): Transition {
  const { running, waiting } = lane;
  if (running?.key === key && running.owner === owner) {
    return changed({ ...lane, running: { ...running, owner: to } }, "done");
  }
  if (!waiting.some((turn) => turn.key === key && turn.owner === owner)) return unchanged(lane, "lost");
  const others = waiting.map((turn) => (turn.key === key ? { ...turn, owner: to } : turn));
  return changed({ ...lane, waiting: others }, "done");
}

function stop(lane: LaneDocument, isMeant: (body: JsonValue) => boolean): Transition {
  const { running, waiting } = lane;
  // Nothing waits where nothing runs.
  if (running === undefined) return unchanged(lane, "lost");
  // An answer that is whole is nothing to stop, and an operation's caller waits for it.
  const isFound = ({ phase, isOperation, body }: LaneTurn) =>
    phase !== "answered" && !isOperation && isMeant(body);
  const found = [running, ...waiting].filter(isFound);
  if (found.length === 0) return unchanged(lane, "lost");
  const owners = [...new Set(found.filter(({ isStopped }) => !isStopped).map(({ owner }) => owner))];
  if (owners.length === 0) return unchanged(lane, "done");
  const stopped = (turn: LaneTurn) => (isFound(turn) ? { ...turn, isStopped: true as const } : turn);
  return changed({ ...lane, running: stopped(running), waiting: waiting.map(stopped) }, "done", owners);
}

function restore(lane: LaneDocument, turn: LaneTurn, wasRunning: boolean): Transition {
  const found = findTurn(lane, turn.key);
  if (found?.is === "parked" || (found !== undefined && found.turn.owner !== turn.owner)) {
    return unchanged(lane, "lost");
  }
  // Of what did not run here, nothing is known that the lane does not say.
  if (found?.is === "merged" || (found !== undefined && !wasRunning)) return unchanged(lane, found.is);
  if (found?.is === "runs") return changed({ ...lane, running: turn }, "runs");
  if (lane.running === undefined) {
    return changed({ ...lane, running: turn.attempt === 0 ? begun(turn) : turn }, "runs");
  }
  const others = lane.waiting.filter(({ key }) => key !== turn.key);
  return changed({ ...lane, waiting: wasRunning ? [turn, ...others] : [...others, turn] }, "waits");
}

/** A parked turn whose event came again: whoever wanted it to stop has been answered since. */
function resumed({ turn, until }: ParkedTurn, { owner, body }: LaneTurn): LaneTurn {
  const { isInterrupted: _, isStopped: __, ...parked } = turn;
  return { ...parked, owner, body, leftAt: until - parkedMs };
}

/** One that only waited since its event came again was parked when it was parked first. */
function parkedTurn({ leftAt, ...turn }: LaneTurn, now: number): ParkedTurn {
  return { turn, until: (leftAt ?? now) + parkedMs };
}

function begun(turn: LaneTurn): LaneTurn {
  const { attempt } = turn;
  if (turn.leftAt === undefined) return { ...turn, attempt: attempt + 1 };
  const { leftAt: _, ...left } = turn;
  return { ...left, attempt: attempt + 1 };
}

/** A turn that goes to another owner than the one that took it. */
function adopted(turn: LaneTurn, owner: string): LaneTurn {
  const { carries } = turn;
  const isAdopted = true;
  return {
    ...turn,
    owner,
    isAdopted,
    ...(carries && { carries: carries.map((one) => ({ ...one, isAdopted })) }),
  };
}

function carriedOf({ key, body, isAdopted, carries = [] }: LaneTurn): CarriedTurn[] {
  return [...carries, { key, body, ...(isAdopted && { isAdopted }) }];
}

function keysOf(parked: readonly ParkedTurn[] = []): readonly string[] {
  return parked.flatMap(({ turn }) => carriedOf(turn)).map(({ key }) => key);
}

/** What a turn carries of one before it. */
function carriedTo({ owner }: LaneTurn, turn: LaneTurn): CarriedTurn[] {
  return carriedOf(turn.owner === owner ? turn : adopted(turn, owner));
}

function withoutParked(lane: LaneDocument, key: string): LaneDocument {
  const { parked, ...rest } = lane;
  const others = parked?.filter(({ turn }) => turn.key !== key) ?? [];
  return others.length === 0 ? rest : { ...rest, parked: others };
}

/** Without the parked turns whose event will not come again. */
function forget(lane: LaneDocument, now: number): LaneDocument {
  if (lane.parked === undefined) return lane;
  const { parked, ...rest } = lane;
  const left = parked.filter(({ until }) => until > now);
  return left.length === 0 ? rest : { ...rest, parked: left };
}

function unchanged(lane: LaneDocument, outcome: Outcome): Transition {
  return { lane, outcome, wakes: [], freed: [] };
}

function changed(lane: LaneDocument, outcome: Outcome, wakes: readonly string[] = []): Transition {
  // Nothing waits where nothing runs.
  const isIdle = lane.running === undefined && lane.parked === undefined;
  return { lane: isIdle ? undefined : lane, outcome, wakes, freed: [] };
}
