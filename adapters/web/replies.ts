import type { Reply } from "aparte";
import type { Texts } from "aparte/adapter";
import { KeptReply, type ReplyName } from "./kept-reply.ts";
import type { Settings } from "./options.ts";
import { Refusal } from "./refusal.ts";
import { later } from "./timer.ts";

type Limits = Pick<Settings, "graceTime" | "keepTime" | "maxReplies" | "maxPersonReplies">;

/** The replies of this process that run or have just ended, by person and message: nobody finds another's. */
export class Replies {
  readonly #limits: Limits;
  readonly #kept = new Map<string, KeptReply>();
  /** The keys of each person's. */
  readonly #persons = new Map<string, Set<string>>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  find(name: ReplyName): KeptReply | undefined {
    return this.#kept.get(keyOf(name));
  }

  /**
   * Keeps the reply that `make` begins.
   * @throws {Refusal} 429 when too many of the person's run, 503 when too many of all people's do
   */
  add(name: ReplyName, make: () => Reply, texts: Texts): KeptReply {
    const key = keyOf(name);
    const person = personKey(name);
    const own = this.#persons.get(person) ?? new Set();
    const { maxPersonReplies, maxReplies } = this.#limits;
    if (own.size >= maxPersonReplies && !this.#dropEnded(own)) {
      throw new Refusal("full", (texts) => texts("full"), {
        "retry-after": "10",
      });
    }
    if (this.#kept.size >= maxReplies && !this.#dropEnded(this.#kept.keys())) {
      throw new Refusal("overloaded", (texts) => texts("overloaded"), {
        "retry-after": "5",
      });
    }
    const kept = new KeptReply(name, make(), texts, this.#limits.graceTime);
    this.#kept.set(key, kept);
    this.#persons.set(person, own.add(key));
    void kept.ended.then(() => later(this.#limits.keepTime, () => this.#drop(name, kept)));
    return kept;
  }

  /** Forgets a reply to a message that was not taken: it may be sent again. */
  remove(name: ReplyName, kept: KeptReply): void {
    this.#drop(name, kept);
  }

  #drop(name: ReplyName, kept: KeptReply): void {
    const key = keyOf(name);
    if (this.#kept.get(key) !== kept) return;
    this.#kept.delete(key);
    const own = this.#persons.get(personKey(name));
    own?.delete(key);
    if (own?.size === 0) this.#persons.delete(personKey(name));
  }

  /** Drops the oldest one that has ended. @returns false where all run */
  #dropEnded(keys: Iterable<string>): boolean {
    for (const key of keys) {
      const kept = this.#kept.get(key);
      if (kept === undefined || !kept.hasEnded) continue;
      this.#drop(kept.name, kept);
      return true;
    }
    return false;
  }
}

/** Tells people apart, over all tenants. */
export function personKey({ tenant, user }: Omit<ReplyName, "id">): string {
  return JSON.stringify([tenant, user]);
}

function keyOf({ tenant, user, id }: ReplyName): string {
  return JSON.stringify([tenant, user, id]);
}
