import { AparteError } from "../../errors.ts";
import { withDeadline } from "../deadline.ts";
import type { Wake } from "../listeners.ts";
import type { RedisClient } from "./client.ts";

/** What reaches the owners of this process from others: at once, by Redis' channels. */
export class RedisListener {
  readonly #client: RedisClient;
  readonly #connected: Promise<unknown>;
  readonly #answerMs: number;
  readonly #wakes = new Map<string, Wake>();
  /** By channel, the end of what came to be after it was given up. */
  readonly #late = new Map<string, Promise<unknown>>();

  /**
   * @param client that listens
   * @param main that sends commands
   * @param connected resolves when both are connected, or when that takes too long
   * @param answerMs how long the server may take to answer, in milliseconds
   */
  constructor(client: RedisClient, main: RedisClient, connected: Promise<unknown>, answerMs: number) {
    this.#client = client;
    this.#connected = connected;
    this.#answerMs = answerMs;
    for (const each of new Set([client, main])) {
      // Wakes may have been missed, or the server is another one.
      each.on("ready", () => {
        for (const wake of this.#wakes.values()) wake(undefined);
      });
    }
  }

  async listen(channel: string, wake: Wake): Promise<() => void> {
    await this.#connected;
    // It would wait for the server, and nobody knows how long.
    if (this.#client.isReady === false) {
      throw new AparteError("store-failed", "The connection to Redis is being made again.");
    }
    // Redis may have sent a wake already when somebody ends listening.
    const hear: Wake = (lane) => {
      if (this.#wakes.get(channel) === hear) wake(lane);
    };
    // After one that was given up: what ends that one would end this one as well.
    const before = this.#late.get(channel) ?? Promise.resolve();
    const listening = before.then(() => this.#client.subscribe(channel, hear));
    try {
      await withDeadline("listen", () => listening, this.#answerMs);
    } catch (error) {
      this.#endLate(channel, hear, listening);
      throw error;
    }
    this.#wakes.set(channel, hear);
    return () => {
      if (this.#wakes.get(channel) !== hear) return;
      this.#wakes.delete(channel);
      // This listener alone: the channel's would take with it one that begins to listen meanwhile.
      this.#client.unsubscribe(channel, hear).catch(() => {}); // A connection that is away listens to nothing either.
    };
  }

  /** Others would take its owner for one that hears, for as long as the client lives. */
  #endLate(channel: string, hear: Wake, listening: Promise<unknown>): void {
    const ended = listening.then(() => this.#client.unsubscribe(channel, hear));
    // It may never come to be.
    this.#late.set(
      channel,
      ended.catch(() => {}),
    );
  }

  async close(): Promise<void> {
    const channels = [...this.#wakes.keys()];
    this.#wakes.clear();
    await Promise.all(channels.map((channel) => this.#client.unsubscribe(channel))).catch(() => {});
  }
}
