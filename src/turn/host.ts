import type { AsyncLocalStorage } from "node:async_hooks";
import type { Adapter } from "../adapter/adapter.ts";
import type { Pace } from "../backends/http/pace.ts";
import type { BriefMap } from "../brief-map.ts";
import type { Clock } from "../clock.ts";
import type { Owner } from "../lane/owner.ts";
import type { Place } from "../lane/place.ts";
import type { Settings } from "../options.ts";
import type { Session } from "../session/session.ts";
import type { SessionNames } from "../speaker/session-names.ts";
import type { Texts } from "../texts/texts.ts";
import type { Agents } from "./agents.ts";
import type { Closing } from "./closing.ts";
import type { Limits } from "./limits.ts";
import type { Message } from "./message.ts";
import type { Middleware } from "./middleware.ts";
import type { RecentAnswers } from "./recent-answers.ts";
import type { Reply } from "./reply.ts";
import type { ReplyLog } from "./reply-log.ts";
import type { Stop } from "./stop.ts";
import type { TurnWatch } from "./watching.ts";

/** What all turns of a mapper share. */
export interface TurnHost {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly owner: Owner;
  readonly names: SessionNames;
  readonly agents: Agents;
  /** Undefined where there are none. */
  readonly limits: Limits | undefined;
  readonly pace: Pace;
  /** By the place where they deliver. */
  readonly adapters: ReadonlyMap<string, Adapter>;
  readonly middlewares: readonly Middleware[];
  readonly current: AsyncLocalStorage<CurrentLane>;
  /** The turns of this process that have not ended, by lane and event. */
  readonly turns: BriefMap<LiveTurn>;
  readonly answers: RecentAnswers;
  readonly closing: Closing;
}

/** The lane in which the calling code runs, in a middleware or `inLane`: its operations must not wait for it. */
export interface CurrentLane {
  /** Undefined once it has gone on. */
  readonly session: Session | undefined;
  readonly agent: string | undefined;
}

/** A turn that has not ended, for those who hand its message in again, and for the turn that carries its words. */
export interface LiveTurn {
  readonly message: Message;
  readonly reply: Reply;
}

/** A turn that runs, as its parts have it. */
export interface RunningTurn {
  readonly host: TurnHost;
  readonly place: Place;
  readonly session: Session;
  readonly message: Message;
  /** Delivers the reply; without it, only the caller reads it. */
  readonly adapter: Adapter | undefined;
  /** In the person's language. */
  readonly texts: Texts;
  readonly log: ReplyLog;
  readonly stop: Stop;
  readonly watch: TurnWatch;
}
