import { AparteError } from "../../errors.ts";
import { describeError, type Logger } from "../../logger.ts";
import type { RedisClient } from "./connection.ts";

/** What an owner is told of what others did to a turn. */
export interface Wake {
  readonly is: "granted" | "merged" | "interrupted";
  readonly lane: string;
  readonly event: string;
}

/** What reaches an owner of this process from others: at once, by Redis' channels. */
export class RedisWakes {
  readonly #client: RedisClient;
  readonly #connected: Promise<void>;
  readonly #logger: Logger;
  readonly #again = new Set<() => void>();
  readonly #channels = new Set<string>();

  /**
   * @param client that listens
   * @param main that sends commands
   * @param connected resolves when both are connected, or when that takes too long
   */
  constructor(client: RedisClient, main: RedisClient, connected: Promise<void>, logger: Logger) {
    this.#client = client;
    this.#connected = connected;
    this.#logger = logger;
    for (const each of new Set([client, main])) {
      each.on("ready", () => {
        for (const look of this.#again) look();
      });
    }
  }

  /**
   * Listens from when this resolves.
   * @param missed called when a connection was made again: wakes may have been missed, or the server changed
   */
  async listen(channel: string, receive: (wake: Wake) => void, missed: () => void): Promise<void> {
    await this.#connected;
    // It would wait for the server, and nobody knows how long.
    if (this.#client.isReady === false) {
      throw new AparteError("store-failed", "The connection to Redis is being made again.");
    }
    await this.#client.subscribe(channel, (message) => {
      try {
        receive(JSON.parse(message) as Wake);
      } catch (error) {
        this.#logger.error("a wake from another process was not understood", describeError(error));
      }
    });
    this.#again.add(missed);
    this.#channels.add(channel);
  }

  async close(): Promise<void> {
    this.#again.clear();
    // A connection that is away listens to nothing either.
    await Promise.all([...this.#channels].map((channel) => this.#client.unsubscribe(channel))).catch(
      () => {},
    );
  }
}
