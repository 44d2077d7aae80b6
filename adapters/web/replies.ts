import type { Reply } from "aparte";
import { KeptReply } from "./kept-reply.ts";
import type { Settings } from "./options.ts";
import { Refusal } from "./refusal.ts";
import { later } from "./timer.ts";

/** Whose message a reply answers. The same for every place where that person may say it. */
export interface ReplyName {
  readonly tenant?: string;
  readonly user: string;
  readonly id: string;
}

type Limits = Pick<Settings, "graceTime" | "keepTime" | "maxReplies">;

/** The replies of this process that run or have just ended, by person and message: nobody finds another's. */
export class Replies {
  readonly #limits: Limits;
  readonly #kept = new Map<string, KeptReply>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  find(name: ReplyName): KeptReply | undefined {
    return this.#kept.get(keyOf(name));
  }

  /**
   * Keeps the reply that `make` begins.
   * @throws {Refusal} 503 when too many run
   */
  add(name: ReplyName, make: () => Reply): KeptReply {
    this.#makeRoom();
    const key = keyOf(name);
    const kept = new KeptReply(make(), this.#limits.graceTime);
    this.#kept.set(key, kept);
    void kept.ended.then(() => later(this.#limits.keepTime, () => this.#drop(key, kept)));
    return kept;
  }

  /** Forgets a reply to a message that was not taken: it may be sent again. */
  remove(name: ReplyName, kept: KeptReply): void {
    this.#drop(keyOf(name), kept);
  }

  #drop(key: string, kept: KeptReply): void {
    if (this.#kept.get(key) === kept) this.#kept.delete(key);
  }

  #makeRoom(): void {
    if (this.#kept.size < this.#limits.maxReplies) return;
    for (const [key, kept] of this.#kept) {
      if (!kept.hasEnded) continue;
      this.#kept.delete(key);
      return;
    }
    throw new Refusal("overloaded", "Too many answers run at this moment. Please try again.", {
      "retry-after": "5",
    });
  }
}

function keyOf({ tenant, user, id }: ReplyName): string {
  return JSON.stringify([tenant, user, id]);
}
