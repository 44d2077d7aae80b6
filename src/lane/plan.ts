import type { JsonValue } from "../json.ts";
import type { Commit } from "../stores/store.ts";
import { type Command, findTurn, type LaneDocument, type Outcome, ownersOf, transition } from "./machine.ts";
import { markOf } from "./place.ts";

/** A command that is to be committed, with what is written beside the document. */
export interface Wanted {
  /** Undefined: only what is written beside the document. */
  readonly command: Command | undefined;
  /** The session's; null deletes it, undefined leaves it as it is. */
  readonly record: JsonValue | null | undefined;
  readonly restoredMarks: readonly string[] | undefined;
  /** The store failed when it was sent: it may have been done all the same. */
  readonly isUnsure: boolean;
  /** The store has the mark of the turn that this command takes. */
  readonly isMarked: boolean;
}

/** What a batch of commands comes to. */
export interface Plan {
  readonly outcomes: readonly Outcome[];
  /** Undefined where nothing is to be written. */
  readonly commit: Omit<Commit, "lane" | "version" | "until"> | undefined;
}

/**
 * Decides a batch of commands, one after another, on what was seen of a lane last.
 * @param lane its name
 * @param before its document; undefined for an idle one
 * @param owner whose commands they are
 * @param now the store's time in milliseconds
 */
export function planCommit(
  lane: string,
  before: LaneDocument | undefined,
  batch: readonly Wanted[],
  owner: string,
  now: number,
): Plan {
  const outcomes: Outcome[] = [];
  const marks: string[] = [];
  const removedMarks: string[] = [];
  const restoredMarks: string[] = [];
  const wakes: string[] = [];
  let record: JsonValue | null | undefined;
  let document = before;
  for (const wanted of batch) {
    const { command } = wanted;
    if (wanted.restoredMarks !== undefined) restoredMarks.push(...wanted.restoredMarks);
    if (command === undefined) {
      outcomes.push("done");
      continue;
    }
    const isNew = isTaking(command) && findTurn(document, command.turn.key) === undefined;
    // Taken before and over by now; or, if it is put back, ended by another owner.
    if (wanted.isMarked && isNew) {
      outcomes.push(command.do === "take" ? "duplicate" : "lost");
      continue;
    }
    const step = transition(document, command, now);
    // This owner has it, and not by this command, which was never done: it took it over.
    const isKnown = command.do === "take" && !wanted.isUnsure && step.lane === document;
    outcomes.push(isKnown && isHeld(step.outcome) ? "duplicate" : step.outcome);
    if (wanted.record !== undefined && step.outcome !== "lost") record = wanted.record;
    if (isNew && step.lane !== document) {
      const mark = markOf(lane, command.turn.key);
      const at = removedMarks.indexOf(mark);
      // Taken back, and taken again: the mark stays.
      if (at >= 0) removedMarks.splice(at, 1);
      else if (!marks.includes(mark)) marks.push(mark);
    }
    for (const key of step.freed) {
      const mark = markOf(lane, key);
      const at = marks.indexOf(mark);
      if (at >= 0) marks.splice(at, 1);
      else removedMarks.push(mark);
    }
    for (const woken of step.wakes) if (woken !== owner && !wakes.includes(woken)) wakes.push(woken);
    document = step.lane;
  }
  // What comes with a command, a record or marks that are removed, comes with a changed document.
  if (document === before && restoredMarks.length === 0) return { outcomes, commit: undefined };
  const commit = {
    document: document as JsonValue | undefined,
    record,
    marks: unlessEmpty(marks),
    restoredMarks: unlessEmpty(restoredMarks),
    removedMarks: unlessEmpty(removedMarks),
    entering: unlessEmpty(ownersAdded(before, document)),
    leaving: unlessEmpty(ownersAdded(document, before)),
    wakes: unlessEmpty(wakes),
    ttlMs: lifeOf(document, now),
  };
  return { outcomes, commit };
}

type Taking = Command & ({ do: "take" } | { do: "restore" });

/** Whether the command brings a turn into the lane. */
export function isTaking(command: Command | undefined): command is Taking {
  return command?.do === "take" || command?.do === "restore";
}

/** Whether the lane holds the turn by now. */
export function isHeld(outcome: Outcome): boolean {
  return outcome === "runs" || outcome === "waits" || outcome === "merged";
}

/** The owners that a lane has and another one has not. */
function ownersAdded(before: LaneDocument | undefined, after: LaneDocument | undefined): readonly string[] {
  const had = ownersOf(before);
  return ownersOf(after).filter((owner) => !had.includes(owner));
}

function unlessEmpty(list: readonly string[]): readonly string[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** How long a document lives in which nothing runs, so that nothing waits either, in milliseconds. */
function lifeOf(document: LaneDocument | undefined, now: number): number | undefined {
  if (document === undefined || document.running !== undefined) return undefined;
  const last = Math.max(...(document.parked ?? []).map(({ until }) => until));
  return Math.max(1, Math.ceil(last - now));
}
