/** The typing sign lasts ten seconds at Discord. */
const typingMs = 8_000;

/** A reply that is there at once needs no typing sign, which would outlive it. */
const typingAfterMs = 250;

/** What the replies under way in one channel share: the typing sign, and the channel's allowance of edits. */
export class Channels {
  readonly #sendTyping: (channelId: string) => Promise<void>;
  readonly #editInterval: number;
  readonly #channels = new Map<string, Channel>();

  /** @param editInterval between two edits in one channel, in milliseconds. */
  constructor(sendTyping: (channelId: string) => Promise<void>, editInterval: number) {
    this.#sendTyping = sendTyping;
    this.#editInterval = editInterval;
  }

  /**
   * @param id the channel's, or that of an interaction, whose edits are counted apart and which has a sign of its own
   * @param permit resolves when the reply may show something, and rejects when it may not any more
   */
  enter(id: string, permit: () => Promise<void>, isInteraction = false): ChannelStay {
    const channel = this.#channels.get(id) ?? new Channel(() => this.#sendTyping(id), this.#editInterval);
    this.#channels.set(id, channel);
    const stay: ChannelStay = {
      editTurn: () => channel.editTurn(),
      stopTyping: () => channel.stopTyping(permit),
      leave: () => {
        channel.stopTyping(permit);
        channel.replies -= 1;
        if (channel.replies === 0) this.#channels.delete(id);
      },
    };
    channel.replies += 1;
    if (!isInteraction) channel.type(permit);
    return stay;
  }
}

/** One reply's part in its channel. */
export interface ChannelStay {
  /** Resolves when the channel has room for another edit. Replies get their turns in the order in which they ask. */
  editTurn(): Promise<true>;
  stopTyping(): void;
  leave(): void;
}

class Channel {
  replies = 0;
  readonly #sendTyping: () => Promise<void>;
  readonly #editInterval: number;
  readonly #typing = new Set<() => Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #nextEdit = 0;

  constructor(sendTyping: () => Promise<void>, editInterval: number) {
    this.#sendTyping = sendTyping;
    this.#editInterval = editInterval;
  }

  async editTurn(): Promise<true> {
    const now = performance.now();
    const at = Math.max(now, this.#nextEdit);
    this.#nextEdit = at + this.#editInterval;
    if (at > now) await new Promise((resolve) => setTimeout(resolve, at - now));
    return true;
  }

  type(permit: () => Promise<void>): void {
    this.#typing.add(permit);
    this.#timer ??= setTimeout(() => this.#type(), typingAfterMs);
  }

  stopTyping(permit: () => Promise<void>): void {
    this.#typing.delete(permit);
    if (this.#typing.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #type(): void {
    this.#timer = setTimeout(() => this.#type(), typingMs);
    // Answers do not depend on the typing sign.
    const permits = [...this.#typing].map((permit) => permit());
    if (permits.length > 0)
      Promise.any(permits)
        .then(this.#sendTyping)
        .catch(() => {});
  }
}
