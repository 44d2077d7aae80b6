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
  enter(id: string, permit: () => Promise<unknown>, isInteraction = false): ChannelStay {
    const channel = this.#channels.get(id) ?? {
      replies: 0,
      nextEdit: 0,
      typing: new Set(),
      timer: undefined,
    };
    this.#channels.set(id, channel);
    channel.replies += 1;
    if (!isInteraction) {
      channel.typing.add(permit);
      channel.timer ??= setTimeout(() => this.#type(id, channel), typingAfterMs);
    }
    const stopTyping = () => {
      channel.typing.delete(permit);
      if (channel.typing.size > 0) return;
      clearTimeout(channel.timer);
      channel.timer = undefined;
    };
    return {
      editTurn: async () => {
        const now = performance.now();
        const at = Math.max(now, channel.nextEdit);
        channel.nextEdit = at + this.#editInterval;
        await new Promise((resolve) => setTimeout(resolve, at - now));
        return true;
      },
      stopTyping,
      leave: () => {
        stopTyping();
        channel.replies -= 1;
        if (channel.replies === 0) this.#channels.delete(id);
      },
    };
  }

  #type(id: string, channel: Channel): void {
    channel.timer = setTimeout(() => this.#type(id, channel), typingMs);
    // Answers do not depend on the typing sign.
    Promise.any([...channel.typing].map((permit) => permit()))
      .then(() => this.#sendTyping(id))
      .catch(() => {});
  }
}

interface Channel {
  replies: number;
  /** Of `performance.now()`. */
  nextEdit: number;
  /** The permits of the replies that show the typing sign. */
  readonly typing: Set<() => Promise<unknown>>;
  timer: NodeJS.Timeout | undefined;
}

/** One reply's part in its channel. */
export interface ChannelStay {
  /** Resolves when the channel has room for another edit. Replies get their turns in the order in which they ask. */
  editTurn(): Promise<true>;
  stopTyping(): void;
  leave(): void;
}
