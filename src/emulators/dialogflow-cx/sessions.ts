import type { Fields } from "./query.ts";

/** What the service knows of one session. */
export interface Session {
  readonly bornAt: number;
  page: string;
  parameters: Fields;
  /** What was said, oldest first: the history that a language model reads. */
  told: string[];
  turns: number;
  /** Forgotten from then on. */
  expiresAt: number;
}

/** How long a session lives after its last turn when the turn does not say. */
const defaultTtlMs = 30 * 60_000;
/** Turns later than this after a session's beginning are left out of its history. */
const historyMs = 48 * 3_600_000;

/** The sessions, by their whole names: the draft's and an environment's are not the same. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The session, begun anew when there is none or it has lapsed. Nothing tells the two apart to the caller. */
  enter(name: string, startPage: string): Session {
    const now = this.#now();
    const known = this.find(name);
    if (known !== undefined) return known;
    const session: Session = {
      bornAt: now,
      page: startPage,
      parameters: {},
      told: [],
      turns: 0,
      expiresAt: now,
    };
    this.#sessions.set(name, session);
    return session;
  }

  find(name: string): Session | undefined {
    const session = this.#sessions.get(name);
    return session !== undefined && this.#now() < session.expiresAt ? session : undefined;
  }

  /** Counts the lifetime from now; a turn's own wish does not hold for later turns. */
  touch(session: Session, ttlSeconds: number | undefined): void {
    session.expiresAt = this.#now() + (ttlSeconds === undefined ? defaultTtlMs : ttlSeconds * 1000);
  }

  remember(session: Session, said: string): void {
    if (this.#now() - session.bornAt < historyMs) session.told.push(said);
  }

  end(name: string): void {
    this.#sessions.delete(name);
  }

  /** The names of the sessions that live. */
  get names(): readonly string[] {
    return [...this.#sessions.keys()].filter((name) => this.find(name) !== undefined);
  }
}
