import { type Channel, channel } from "node:diagnostics_channel";
import type { Clock } from "../clock.ts";
import type { Place } from "../lane/place.ts";

/**
 * What is told of a turn on the channels `aparte:turn:start`, `…:asked`, `…:first-word`, `…:usage`, `…:error` and
 * `…:end` of `node:diagnostics_channel`. It holds no words, tokens or ids of people.
 */
export interface TurnEvent {
  readonly sessionName: string;
  /** 22 characters, the same for every delivery of the event and in every process. */
  readonly turnId: string;
  readonly platform: string;
  /** More than 1 where an earlier process died over the turn. */
  readonly attempt: number;
  /** Missing before it is known. */
  readonly agent?: string;
  /** Since this process began with the turn, in milliseconds. */
  readonly elapsedMs: number;
  /** What the service counted (tokens), with `usage`. */
  readonly usage?: { readonly input?: number; readonly output?: number; readonly total?: number };
  /** The error's code, with `error`. */
  readonly code?: string;
}

/** Where a turn failed, for the option `onError`. It holds no words, tokens or ids of people. */
export interface TurnFailure {
  /**
   * `take`: the message was not taken. `answer`: the application's own code or the agent failed. `deliver`: the platform
   * did not take the answer. `end`: the turn could not be ended in the store.
   */
  readonly stage: "take" | "answer" | "deliver" | "end";
  /** Missing before it is known. */
  readonly sessionName?: string | undefined;
  /** Missing before the message was taken. */
  readonly turnId?: string | undefined;
  /** The agent that is asked, where it is known. */
  readonly agent?: string | undefined;
}

const names = ["start", "asked", "first-word", "usage", "error", "end"] as const;

type TurnMoment = (typeof names)[number];

const channels = Object.fromEntries(
  names.map((name) => [name, channel(`aparte:turn:${name}`)]),
) as unknown as Readonly<Record<TurnMoment, Channel>>;

/** Tells whoever watches the process's turns of one of them, from when it begins to run. */
export class TurnWatch {
  /** Undefined before it is known. */
  agent: string | undefined;
  readonly #event: () => TurnEvent;

  constructor(place: Place, platform: string, clock: Clock) {
    const begunAt = clock.now();
    this.#event = () => ({
      sessionName: place.lane,
      turnId: place.mark,
      platform,
      attempt: place.attempt,
      ...(this.agent === undefined ? {} : { agent: this.agent }),
      elapsedMs: clock.now() - begunAt,
    });
    this.tell("start");
  }

  tell(moment: TurnMoment, more: Pick<TurnEvent, "usage" | "code"> = {}): void {
    if (channels[moment].hasSubscribers) channels[moment].publish({ ...this.#event(), ...more });
  }
}
