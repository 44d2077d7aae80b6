import { type Clock, within } from "../clock.ts";
import { AparteError } from "../errors.ts";
import { type Records, sessionKey } from "../stores/store.ts";
import type { RekeyedNames } from "./rekeyed.ts";
import { encodeSpeaker, type Scope, type ScopedSpeaker, scoped } from "./scope.ts";
import { sessionName } from "./session-name.ts";
import type { Speaker } from "./speaker.ts";

export interface SessionIdentity {
  readonly name: string;
  readonly speaker: ScopedSpeaker;
}

export interface SessionNamesOptions {
  readonly secrets: readonly [string, ...string[]];
  readonly scope: Scope;
  readonly identify: ((speaker: Speaker) => string | undefined | Promise<string | undefined>) | undefined;
  readonly records: Records;
  /** Sessions that are found without the secret that named them. */
  readonly rekeyed: RekeyedNames;
  readonly clock: Clock;
  /** How long the identify hook may take, in milliseconds. */
  readonly hookTimeout: number;
}

/** How many sessions' names are remembered. */
const maxRemembered = 10_000;

/** Finds the session that a speaker belongs to. */
export class SessionNames {
  readonly #options: SessionNamesOptions;
  /** Names under the first secret, by encoded speaker: the keyed hash takes longer than all else here. */
  readonly #hashed = new Map<string, string>();
  /** The names that sessions were born with, by their name under the first secret. */
  readonly #born = new Map<string, string>();
  /** The last lookup under way for each speaker: names are found in the order in which messages came. */
  readonly #lookups = new Map<string, Promise<SessionIdentity>>();

  constructor(options: SessionNamesOptions) {
    this.#options = options;
  }

  /** Answers at once where nothing has to be asked, so that messages enter their lane in the order they came. */
  find(speaker: Speaker): SessionIdentity | Promise<SessionIdentity> {
    const { identify, secrets, rekeyed } = this.#options;
    if (identify === undefined && secrets.length === 1) {
      // All who come before that is known go on in the order in which they came.
      if (rekeyed.isUsed === undefined) return rekeyed.read().then(() => this.find(speaker));
      if (!rekeyed.isUsed) return this.#identity(speaker, undefined);
    }
    const { platform, bot, tenant, user, channel, thread, direct, scope } = speaker;
    const who = JSON.stringify([platform, bot, tenant, user, channel, thread, direct, scope]);
    const lookup = () => this.#lookUp(speaker);
    const earlier = this.#lookups.get(who);
    const found = earlier === undefined ? lookup() : earlier.then(lookup, lookup);
    this.#lookups.set(who, found);
    const forget = () => {
      if (this.#lookups.get(who) === found) this.#lookups.delete(who);
    };
    found.then(forget, forget);
    return found;
  }

  async #lookUp(speaker: Speaker): Promise<SessionIdentity> {
    const identity = await this.#identified(speaker);
    if (identity !== undefined && (typeof identity !== "string" || identity === "")) {
      throw new AparteError(
        "input-invalid",
        "The identify hook must return an id that is not empty, or undefined.",
        { field: "identify" },
      );
    }
    const session = this.#identity(speaker, identity);
    const { secrets, rekeyed } = this.#options;
    const [, ...others] = secrets;
    const isRekeyed = rekeyed.isUsed ?? (await rekeyed.read());
    if (others.length === 0 && !isRekeyed) return session;
    let name = this.#born.get(session.name);
    if (name === undefined) {
      name = await rekeyed.bornAs(session.name);
      name ??= others.length === 0 ? session.name : await this.#agreedName(session, others);
      if (this.#born.size >= maxRemembered) this.#born.clear();
      this.#born.set(session.name, name);
    }
    return { ...session, name };
  }

  /** @throws {AparteError} `turn-timeout` where the hook does not return: the person's next messages wait for it. */
  async #identified(speaker: Speaker): Promise<string | undefined> {
    const { identify, clock, hookTimeout } = this.#options;
    const found = identify?.(speaker);
    if (typeof found !== "object") return found;
    const problem = `The identify hook took longer than ${hookTimeout} ms.`;
    return within(clock, hookTimeout, found, () => new AparteError("turn-timeout", problem));
  }

  /** Kept at once: a session that is forgotten by the end of the rotation would not tell any more which name it had. */
  async #agreedName(session: SessionIdentity, others: readonly string[]): Promise<string> {
    const born = await this.#bornAs(session, others);
    if (born !== session.name) await this.#options.rekeyed.keep(born, session.speaker);
    return born;
  }

  /**
   * The name that the session was born with. Copies that know the same secrets in different orders meet at a record
   * whose key is the same for all of them; whoever writes it first decides, for all time.
   */
  async #bornAs({ name, speaker }: SessionIdentity, others: readonly string[]): Promise<string> {
    const { records, rekeyed } = this.#options;
    const made = [name, ...others.map((secret) => sessionName(speaker, secret))];
    // A secret that is replaced now may have replaced another one before.
    const kept = (await Promise.all(made.slice(1).map((each) => rekeyed.bornAs(each)))).filter(isDefined);
    const names = [...made, ...kept];
    const meeting = `name:${[...made].sort()[0]}`;
    const agreed = await records.get<string>(meeting);
    if (agreed !== undefined && names.includes(agreed)) return agreed;
    const known = await Promise.all(names.map((candidate) => records.get(sessionKey(candidate))));
    const born = names[known.findIndex((record) => record !== undefined)] ?? kept[0] ?? name;
    if (await records.setIfAbsent(meeting, born)) return born;
    const decided = await records.get<string>(meeting);
    return decided !== undefined && names.includes(decided) ? decided : born;
  }

  #identity(speaker: Speaker, identity: string | undefined): SessionIdentity {
    const { scope } = this.#options;
    // Whoever chose another scope wants it everywhere.
    const who = scoped(speaker, scope === "user" ? (speaker.scope ?? scope) : scope, identity);
    const encoded = encodeSpeaker(who);
    let name = this.#hashed.get(encoded);
    if (name === undefined) {
      name = sessionName(who, this.#options.secrets[0]);
      if (this.#hashed.size >= maxRemembered) this.#hashed.clear();
      this.#hashed.set(encoded, name);
    }
    return { name, speaker: who };
  }
}

function isDefined(name: string | undefined): name is string {
  return name !== undefined;
}
