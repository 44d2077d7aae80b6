import type { Clock } from "../clock.ts";
import type { StoredAnswer } from "./reply-log.ts";

/** How long an answer is remembered at least, unless very many come, in milliseconds; at most twice as long. */
const memoryMs = 60_000;

/** How many answers are remembered: twice as many at most, and none of more characters. */
const mostAnswers = 500;
const mostCharacters = 20_000;

/** What callers were answered a moment ago, by lane and event: for one who hands the same message in again. */
export class RecentAnswers {
  readonly #clock: Clock;
  #recent = new Map<string, string>();
  #older = new Map<string, string>();
  #ages = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(name: string): StoredAnswer | undefined {
    const json = this.#recent.get(name) ?? this.#older.get(name);
    return json === undefined ? undefined : JSON.parse(json);
  }

  add(name: string, answer: StoredAnswer): void {
    const json = JSON.stringify(answer);
    if (json.length > mostCharacters) return;
    if (this.#recent.size === mostAnswers) this.#age();
    this.#recent.set(name, json);
    if (!this.#ages) this.#ageLater();
  }

  forget(lane: string): void {
    for (const answers of [this.#recent, this.#older]) {
      for (const name of answers.keys()) if (name.startsWith(`${lane} `)) answers.delete(name);
    }
  }

  #age(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  #ageLater(): void {
    const later = () => {
      this.#age();
      this.#ages = this.#older.size > 0;
      if (this.#ages) this.#ageLater();
    };
    this.#ages = true;
    this.#clock.after(memoryMs, later, true);
  }
}
