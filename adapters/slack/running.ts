import type { Message, Speaker } from "aparte";
import { Recent } from "./recent.ts";

/** How many turns are remembered at most: those of messages that turn out to be known already do not end here. */
const limit = 10_000;

type Event = Pick<Message, "tenant" | "bot" | "id">;

interface Running {
  readonly speaker: Speaker;
  readonly stop: AbortController;
}

/** The turns that this process took, so that the people who asked can stop them. */
export class RunningTurns {
  readonly #turns = new Recent<string, Running>(limit);

  /** The message, to be stopped from here. A mention comes as two events, of which one becomes a turn. */
  begin(message: Message): Message {
    const key = keyOf(message);
    const { stop } = this.#turns.get(key) ?? { stop: new AbortController() };
    this.#turns.set(key, { speaker: message, stop });
    return { ...message, signal: stop.signal };
  }

  end(message: Event): void {
    this.#turns.delete(keyOf(message));
  }

  /** Stops what this person asked here. @returns whether there was anything to stop */
  stop(here: Speaker): boolean {
    return this.#stop(here, ["tenant", "bot", "user", "channel", "thread"]);
  }

  /** The same for all threads of the channel, for who is in none. */
  stopIn(here: Speaker): boolean {
    return here.thread === undefined
      ? this.#stop(here, ["tenant", "bot", "user", "channel"])
      : this.stop(here);
  }

  #stop(here: Speaker, parts: readonly (keyof Speaker)[]): boolean {
    const found = [...this.#turns.values()].filter(
      ({ speaker, stop }) => !stop.signal.aborted && parts.every((part) => speaker[part] === here[part]),
    );
    for (const { stop } of found) stop.abort();
    return found.length > 0;
  }
}

function keyOf({ tenant, bot, id }: Event): string {
  return JSON.stringify([tenant, bot, id]);
}
