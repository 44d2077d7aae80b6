import { hash } from "node:crypto";
import { AparteError } from "../errors.ts";
import type { JsonValue } from "../json.ts";
import type { Lane } from "./lane.ts";
import {
  type Command,
  type LaneDocument,
  type LaneTurn,
  type Progress,
  parkedMs,
  wasParked,
} from "./machine.ts";
import type { Owner } from "./owner.ts";

/** How a turn's waiting ended. */
export type Begun =
  | "runs"
  /** Another turn carries its words. */
  | "merged"
  /** It is another owner's. */
  | "lost"
  /** It was taken back while it waited. */
  | "withdrawn";

/** A turn whose caller died, and for how long the agent is taken to be at work on it, in milliseconds. */
export interface LeftTurn {
  readonly turn: LaneTurn;
  readonly leftMs: number;
}

/** Why a turn must stop: an {@link AparteError} is what its reply ends with. */
export type StopReason = "interrupted" | "stopped" | AparteError;

/** A turn's place in its lane, as its owner has it: from when it is taken until it ends. */
export class Place {
  readonly key: string;
  readonly begun: Promise<Begun>;
  /** Resolves when the turn must stop: its person or a later one wants it, or it is another owner's. */
  readonly stopped: Promise<StopReason>;
  /** Set when the turn is about to leave the lane: what the lane says of it then is no news. */
  isEnding = false;
  readonly #lane: Lane;
  readonly #owner: Owner;
  #stop: (reason: StopReason) => void = () => {};
  #begin: (begun: Begun) => void = () => {};
  #turn: LaneTurn | undefined;
  #mark: string | undefined;
  #record: JsonValue | null | undefined;
  /** As it was when the turn began to run. */
  #document: LaneDocument | undefined;
  #state: "waits" | "runs" | "lost" = "waits";
  #permission: AbortController | undefined;

  constructor(key: string, lane: Lane, owner: Owner) {
    this.key = key;
    this.#lane = lane;
    this.#owner = owner;
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  /** The event's name in the store: the same for every delivery of the event and in every process. 22 characters. */
  get mark(): string {
    this.#mark ??= markOf(this.#lane.name, this.key);
    return this.#mark;
  }

  /** The session's name. */
  get lane(): string {
    return this.#lane.name;
  }

  /**
   * How long a store that fails is waited for before the agent is asked, in milliseconds. Who reads the reply is told
   * then. A message that an adapter has taken is not given back: its answer comes when the store is there again.
   */
  get patienceMs(): number {
    return this.#turn?.place === undefined ? this.#owner.storeTimeout : Number.POSITIVE_INFINITY;
  }

  /** The store's time, in milliseconds. */
  storeNow(): number {
    return this.#owner.storeNow();
  }

  get isRunning(): boolean {
    return this.#state === "runs";
  }

  get isLost(): boolean {
    return this.#state === "lost";
  }

  /** The turn as the store has it, with all that was written of it. Undefined before it was seen there. */
  get turn(): LaneTurn | undefined {
    return this.#turn;
  }

  /** How often the turn was begun: more than 1 where an earlier owner died over it. */
  get attempt(): number {
    return this.#turn?.attempt ?? 1;
  }

  /** The session's record when the turn began to run; null for none, undefined where it could not be understood. */
  get record(): JsonValue | null | undefined {
    return this.#record;
  }

  /**
   * Turns of callers that died, which the agent may still be at work on: those left at most so many milliseconds ago, and
   * those that came again and wait. With how much of that time is left.
   */
  parkedWithin(ms: number): readonly LeftTurn[] {
    const { parked = [], waiting = [] } = this.#document ?? {};
    const since = this.storeNow() - ms;
    const left = parked.map(({ turn, until }) => ({ turn, leftMs: until - parkedMs - since }));
    const again = waiting.filter((turn) => wasParked(turn, "waits"));
    const all = [...left, ...again.map((turn) => ({ turn, leftMs: (turn.leftAt ?? since + ms) - since }))];
    return all.filter(({ leftMs }) => leftMs > 0);
  }

  /**
   * Resolves when this process may send something for the turn: at once, or when the store has heard of it again.
   * @throws {AparteError} `lease-lost` when the turn is another owner's
   */
  async permit(): Promise<void> {
    while (this.#state !== "lost" && !this.#owner.isAlive) {
      await this.#owner.alive(Number.POSITIVE_INFINITY);
    }
    if (this.#state === "lost") throw leaseLost();
  }

  /** Aborted when what was permitted is so no longer: what waits to be sent then must not be. */
  get permission(): AbortSignal {
    if (this.isLost) return AbortSignal.abort(leaseLost());
    this.#permission ??= new AbortController();
    return this.#permission.signal;
  }

  /** Nothing may be sent for the turn until it is permitted anew. */
  revoke(): void {
    this.#permission?.abort(leaseLost());
    this.#permission = undefined;
  }

  /**
   * Writes how far the turn is, and the session's record if it is given.
   * @param patienceMs how long a store that fails is waited for; otherwise as long as it must
   * @param forgets whether the person was forgotten
   */
  async advance(
    progress: Progress,
    record?: JsonValue | null,
    patienceMs?: number,
    forgets?: boolean,
  ): Promise<void> {
    // Its lane may have been let go of: asked once more, it would take a turn that came since for one that nobody runs.
    if (this.isEnding) return;
    if (this.#turn !== undefined) this.#turn = { ...this.#turn, ...progress };
    await this.#lane.change(
      { do: "advance", key: this.key, owner: this.#owner.id, progress, ...(forgets ? { forgets } : {}) },
      record,
      patienceMs,
    );
  }

  /**
   * Ends the turn: the next one runs.
   * @param record the session's, if it changed; null deletes it
   * @param how whether it was interrupted before the agent was asked, whether the event may come again, and whether the
   * person was forgotten
   */
  async end(
    record?: JsonValue | null,
    how: Pick<Command & { do: "end" }, "isUnsent" | "mayComeAgain" | "forgets"> = {},
  ): Promise<void> {
    this.isEnding = true;
    try {
      const end = { do: "end", key: this.key, owner: this.#owner.id, ...how } as const;
      const outcome = await this.#lane.change(end, record);
      // It runs again, as a turn that nobody in this process waits for. The lane is not let go of before it has looked.
      if (outcome === "runs") this.#lane.look();
    } finally {
      this.#lane.drop(this);
    }
  }

  /**
   * Takes the turn back while it waits.
   * @param isStopped its person wants it: should its event come again, it is not run
   * @returns false if it runs by now
   */
  async withdraw(isStopped = false): Promise<boolean> {
    const isTaken = await this.#lane.withdraw(this, isStopped);
    if (isTaken) this.#begin("withdrawn");
    return isTaken;
  }

  /** Leaves the turn to whoever looks first. */
  async release(to: string): Promise<void> {
    this.isEnding = true;
    try {
      await this.#lane.change({ do: "release", key: this.key, owner: this.#owner.id, to });
    } finally {
      this.lose();
      this.#lane.drop(this);
    }
  }

  /** It waits, as the lane has it. */
  wait(turn: LaneTurn): void {
    this.#turn = turn;
    if (turn.isStopped) this.#stop("stopped");
  }

  run(turn: LaneTurn, record: JsonValue | null | undefined, document?: LaneDocument): void {
    if (this.#state === "waits") {
      this.#state = "runs";
      this.#turn = turn;
      this.#record = record;
      this.#document = document;
      this.#begin("runs");
    }
    const { isInterrupted, isStopped } = turn;
    this.#turn = {
      ...(this.#turn ?? turn),
      ...(isInterrupted ? { isInterrupted } : {}),
      ...(isStopped ? { isStopped } : {}),
    };
    if (isStopped) this.#stop("stopped");
    else if (isInterrupted) this.#stop("interrupted");
  }

  merge(): void {
    this.#begin("merged");
    this.#lane.drop(this);
  }

  lose(): void {
    if (this.#state === "lost") return;
    this.#state = "lost";
    this.revoke();
    this.#begin("lost");
    this.#stop(leaseLost());
    this.#lane.drop(this);
  }
}

/** A digest, so that it is short and nobody's id is in it. */
export function markOf(lane: string, key: string): string {
  return hash("sha256", `${lane} ${key}`, "base64url").slice(0, 22);
}

export function leaseLost(): AparteError {
  return new AparteError("lease-lost", "Another process goes on with the turn.");
}
