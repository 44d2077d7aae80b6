import { type Clock, timer } from "../clock.ts";
import { describeError, type Logger } from "../logger.ts";
import { type Records, sessionKey } from "../stores/store.ts";
import type { ScopedSpeaker } from "./scope.ts";
import { sessionName } from "./session-name.ts";

/** Is there once a session's name is kept that the first secret does not make. */
const marker = "rekeyed";

/** How long until a store that is away is asked again, in milliseconds. */
const againMs = 250;

/** What became of the sessions that other secrets named. */
export interface Rekeyed {
  /** How many are found without their secret from now on. */
  readonly rekeyed: number;
  /** How many are not, since their person has another session under the first secret. */
  readonly left: number;
}

/** All that there are, by name. */
type Sessions = AsyncIterable<readonly [name: string, record: { readonly speaker: ScopedSpeaker }]>;

/** Which sessions have a name that another secret made, and under which name the first secret looks for them. */
export class RekeyedNames {
  readonly #records: Records;
  readonly #first: string;
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #isSealedByOther: (name: string) => Promise<boolean>;
  #reading: Promise<boolean> | undefined;
  #isClosed = false;
  /** Whether names are kept here; undefined before it is known. */
  isUsed: boolean | undefined;

  /**
   * @param first the secret that signs
   * @param patienceMs how long a message waits for a store that is away
   * @param isSealedByOther whether what is kept of a session is encrypted with another secret
   */
  constructor(
    records: Records,
    first: string,
    clock: Clock,
    patienceMs: number,
    isSealedByOther: (name: string) => Promise<boolean> = async () => false,
  ) {
    this.#records = records;
    this.#first = first;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#isSealedByOther = isSealedByOther;
  }

  /** Asks the store whether names are kept here: once for all who want to know. */
  async read(): Promise<boolean> {
    this.#reading ??= this.#read();
    try {
      const isUsed = await this.#reading;
      // A name may have been kept here while the store was asked.
      this.isUsed ??= isUsed;
      return this.isUsed;
    } catch (error) {
      this.#reading = undefined;
      throw error;
    }
  }

  /** @param name the session's under the first secret */
  async bornAs(name: string): Promise<string | undefined> {
    const isUsed = this.isUsed ?? (await this.read());
    return isUsed ? this.#records.get<string>(keyOf(name)) : undefined;
  }

  async #read(): Promise<boolean> {
    const end = this.#clock.now() + this.#patienceMs;
    for (;;) {
      try {
        return (await this.#records.get(marker)) === true;
      } catch (error) {
        const leftMs = end - this.#clock.now();
        if (leftMs <= 0) throw error;
        await timer(this.#clock, Math.min(againMs, leftMs)).over;
      }
    }
  }

  /**
   * Ends a rotation: sessions that another secret named are found without it from now on, under the name they have.
   * @param reseal encrypts what is kept of a session with the first secret
   */
  async end(
    sessions: Sessions,
    reseal: (name: string, speaker: ScopedSpeaker) => Promise<void>,
  ): Promise<Rekeyed> {
    let rekeyed = 0;
    let left = 0;
    for await (const [name, { speaker }] of sessions) {
      const isSealed = await this.#isSealedByOther(name);
      if (isSealed) await reseal(name, speaker);
      const isNamed = await this.#isNamedByOther(name, speaker);
      if (isNamed && !(await this.keep(name, speaker))) left += 1;
      else if (isNamed || isSealed) rekeyed += 1;
    }
    return { rekeyed, left };
  }

  /** Tells how far a rotation is. */
  async tell(sessions: Sessions, logger: Logger): Promise<void> {
    let count = 0;
    try {
      for await (const [name, { speaker }] of sessions) {
        if (this.#isClosed) return;
        if (await this.needsOther(name, speaker)) count += 1;
      }
    } catch (error) {
      logger.warn("it is not known how many sessions need an old secret", describeError(error));
      return;
    }
    if (count === 0) logger.info("no session needs an old secret: it may be dropped");
    else
      logger.warn("sessions still need an old secret: call rekey() before it is dropped", {
        sessions: count,
      });
  }

  /** Tells no more how far a rotation is. */
  close(): void {
    this.#isClosed = true;
  }

  /** Whether a session needs another secret to be found, or to be read. */
  async needsOther(name: string, speaker: ScopedSpeaker): Promise<boolean> {
    return (await this.#isNamedByOther(name, speaker)) || (await this.#isSealedByOther(name));
  }

  async #isNamedByOther(name: string, speaker: ScopedSpeaker): Promise<boolean> {
    const first = sessionName(speaker, this.#first);
    return first !== name && (await this.#records.get(keyOf(first))) !== name;
  }

  /** @returns false where the person has another session under the first secret */
  async keep(name: string, speaker: ScopedSpeaker): Promise<boolean> {
    const first = sessionName(speaker, this.#first);
    if ((await this.#records.get(sessionKey(first))) !== undefined) return false;
    // First, so that nobody believes that there are none.
    await this.#records.set(marker, true);
    this.isUsed = true;
    await this.#records.set(keyOf(first), name);
    return true;
  }
}

function keyOf(name: string): string {
  return `born:${name}`;
}
