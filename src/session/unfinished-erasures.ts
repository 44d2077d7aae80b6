import { createHash } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import type { Clock } from "../clock.ts";
import { describeError, type Logger } from "../logger.ts";
import type { Records } from "../stores/store.ts";

/** A conversation that its service has yet to erase. */
interface Unfinished {
  readonly sessionName: string;
  readonly agent: string;
  readonly conversationId: string;
}

export interface UnfinishedErasuresOptions {
  readonly records: Records;
  readonly agents: ReadonlyMap<string, Backend>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long one call to a service may take, in milliseconds. */
  readonly callTimeout: number;
}

const prefix = "erase:";

/** Is there while there may be some: to list them, a store has to go through all its records. */
const marker = "unfinished-erasures";

/** How long until the services are tried again, in milliseconds. */
const pauseTime = 10 * 60_000;

/**
 * Conversations whose services failed when they were to be erased: kept until it is done, and tried again by every
 * process that starts, and in a while. That two do it at once does no harm.
 */
export class UnfinishedErasures {
  readonly #options: UnfinishedErasuresOptions;
  #cancel: (() => void) | undefined;
  #isClosed = false;
  #begun: Promise<void> | undefined;

  constructor(options: UnfinishedErasuresOptions) {
    this.#options = options;
  }

  async add(unfinished: Unfinished): Promise<void> {
    const { records } = this.#options;
    // Before, should this process die in between; and after, should another one begin in between.
    await records.set(marker, true);
    await records.set(keyOf(unfinished), unfinished);
    await records.set(marker, true);
    this.#later();
  }

  /** Tries all of them, once in a process; what still fails is tried later. */
  begin(): Promise<void> {
    this.#begun ??= this.#finish();
    return this.#begun;
  }

  async #finish(): Promise<void> {
    const { records, agents, logger, callTimeout } = this.#options;
    let areLeft = false;
    try {
      if ((await records.get(marker)) !== true) return;
      // First, so that one which is added meanwhile is not lost.
      await records.delete(marker);
      for await (const [key, unfinished] of records.entries<Unfinished>(prefix)) {
        const backend = agents.get(unfinished.agent);
        // Another process may have the agent.
        if (this.#isClosed || backend?.remove === undefined) {
          areLeft = true;
          continue;
        }
        try {
          await backend.remove({ ...unfinished, signal: AbortSignal.timeout(callTimeout) });
          await records.delete(key);
        } catch (error) {
          areLeft = true;
          logger.warn("a conversation is yet to be erased", {
            agent: unfinished.agent,
            ...describeError(error),
          });
        }
      }
      if (areLeft) await records.set(marker, true);
    } catch (error) {
      areLeft = true;
      logger.warn("erasures could not be finished", describeError(error));
    }
    if (areLeft) this.#later();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #later(): void {
    if (this.#isClosed) return;
    const again = () => {
      this.#cancel = undefined;
      void this.#finish();
    };
    this.#cancel ??= this.#options.clock.after(pauseTime, again, true);
  }
}

function keyOf({ agent, conversationId }: Unfinished): string {
  return (
    prefix +
    createHash("sha256")
      .update(JSON.stringify([agent, conversationId]))
      .digest("base64url")
  );
}
