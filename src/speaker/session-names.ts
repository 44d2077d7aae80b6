import { AparteError } from "../errors.ts";
import type { Settings } from "../options.ts";
import { type Records, sessionKey } from "../stores/old-store.ts";
import { encodeSpeaker, type ScopedSpeaker, type Speaker, scoped, sessionName } from "./speaker.ts";

export interface SessionIdentity {
  readonly name: string;
  readonly speaker: ScopedSpeaker;
}

/** How many sessions' names are remembered. */
const maxRemembered = 10_000;

/** Finds the session that a speaker belongs to. */
export class SessionNames {
  readonly #settings: Settings;
  readonly #records: Records;
  /** Names under the first secret, by encoded speaker: the keyed hash takes longer than all else here. */
  readonly #hashed = new Map<string, string>();
  /** Names born under an older secret (or known not to be), by the name under the first one. */
  readonly #remembered = new Map<string, string>();
  /** The last lookup under way for each speaker: names are found in the order in which messages came. */
  readonly #lookups = new Map<string, Promise<SessionIdentity>>();

  constructor(settings: Settings, records: Records) {
    this.#settings = settings;
    this.#records = records;
  }

  /** Answers at once where nothing has to be asked, so that messages enter their lane in the order they came. */
  find(speaker: Speaker): SessionIdentity | Promise<SessionIdentity> {
    const { identify, secrets } = this.#settings;
    if (identify === undefined && secrets.length === 1) return this.#identity(speaker, undefined);
    const who = JSON.stringify([
      speaker.platform,
      speaker.tenant,
      speaker.user,
      speaker.channel,
      speaker.thread,
    ]);
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
    const identity = await this.#settings.identify?.(speaker);
    if (identity !== undefined && (typeof identity !== "string" || identity === "")) {
      throw new AparteError(
        "input-invalid",
        "The identify hook must return an id that is not empty, or undefined.",
        {
          field: "identify",
        },
      );
    }
    const session = this.#identity(speaker, identity);
    const [, ...older] = this.#settings.secrets;
    if (older.length === 0) return session;
    const remembered = this.#remembered.get(session.name);
    if (remembered !== undefined) return { ...session, name: remembered };
    const name = await this.#bornAs(session, older);
    if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
    this.#remembered.set(session.name, name);
    return { ...session, name };
  }

  /** The name under which the session is in the store: it keeps the one it was born with. */
  async #bornAs({ name, speaker }: SessionIdentity, older: readonly string[]): Promise<string> {
    const names = [name, ...older.map((secret) => sessionName(speaker, secret))];
    const records = await Promise.all(names.map((candidate) => this.#records.get(sessionKey(candidate))));
    return names[records.findIndex((record) => record !== undefined)] ?? name;
  }

  #identity(speaker: Speaker, identity: string | undefined): SessionIdentity {
    const who = scoped(speaker, this.#settings.scope, identity);
    const encoded = encodeSpeaker(who);
    let name = this.#hashed.get(encoded);
    if (name === undefined) {
      name = sessionName(who, this.#settings.secrets[0]);
      if (this.#hashed.size >= maxRemembered) this.#hashed.clear();
      this.#hashed.set(encoded, name);
    }
    return { name, speaker: who };
  }

  /** A session was erased: its person's next one is named anew. */
  forget(name: string): void {
    for (const [first, remembered] of this.#remembered)
      if (remembered === name) this.#remembered.delete(first);
  }
}
