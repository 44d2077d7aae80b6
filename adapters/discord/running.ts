import type { Message, SessionMapper } from "aparte";
import type { Message as DiscordMessage, Interaction } from "discord.js";
import { replyAddress } from "./address.ts";
import { withEvent } from "./event.ts";

interface RunningTurn {
  readonly user: string;
  readonly channelId: string;
  readonly abort: AbortController;
}

/** The turns that this process takes and delivers, so that their people can stop them. */
export class Running {
  readonly #mapper: SessionMapper;
  readonly #turns = new Map<string, RunningTurn>();

  constructor(mapper: SessionMapper) {
    this.#mapper = mapper;
  }

  /**
   * Hands a message to the mapper, and remembers its turn until it is delivered.
   * @param comesAgain whoever looks for missed messages finds it, when this process is closing
   */
  async receive(message: Message, event: DiscordMessage | Interaction, comesAgain = false): Promise<void> {
    // A second delivery must not part the first one from its button.
    if (this.#turns.has(message.id)) return;
    const abort = new AbortController();
    const { channelId } = replyAddress(message);
    this.#turns.set(message.id, { user: message.user, channelId, abort });
    const isTaken = await this.#mapper
      .receive(withEvent({ ...message, signal: abort.signal }, event), { comesAgain })
      .catch(() => false); // Told through `deliver`, and logged by the mapper.
    if (!isTaken) this.end(message.id);
  }

  end(messageId: string): void {
    this.#turns.delete(messageId);
  }

  /** Stops what runs or waits for a person in a channel. @returns whether there was something */
  stop(user: string, channelId: string): boolean {
    const own = [...this.#turns.values()].filter(
      (turn) => turn.user === user && turn.channelId === channelId,
    );
    for (const { abort } of own) abort.abort();
    return own.length > 0;
  }
}
