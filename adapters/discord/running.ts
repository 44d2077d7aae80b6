interface RunningTurn {
  readonly user: string;
  readonly channelId: string;
  readonly abort: AbortController;
}

/** The turns that this process takes and delivers, so that their people can stop them. */
export class Running {
  readonly #turns = new Map<string, RunningTurn>();

  /** @returns what is aborted when the person stops the turn */
  begin(messageId: string, user: string, channelId: string): AbortSignal {
    const abort = new AbortController();
    this.#turns.set(messageId, { user, channelId, abort });
    return abort.signal;
  }

  has(messageId: string): boolean {
    return this.#turns.has(messageId);
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
