import { hash } from "node:crypto";
import { describeError, type Logger } from "../../logger.ts";
import { type Script, scripts } from "./scripts.ts";

/** What aparte uses of a node-redis client, cluster or sentinel (`createClient` and so on of `@keyv/redis`). */
export interface RedisClient {
  readonly isOpen: boolean;
  /** A cluster has none. */
  readonly isReady?: boolean;
  connect(): Promise<unknown>;
  eval(script: string, call: ScriptCall): Promise<unknown>;
  evalSha(sha1: string, call: ScriptCall): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** A client that listens can do nothing else; clusters and sentinels see to that themselves. */
  duplicate?(): unknown;
  destroy(): unknown;
}

interface ScriptCall {
  readonly keys: string[];
  readonly arguments: string[];
}

const digests = Object.fromEntries(
  Object.entries(scripts).map(([name, source]) => [name, hash("sha1", source)]),
) as Record<Script, string>;

/** The scripts of a server (or of the servers of a cluster). */
export class RedisScripts {
  readonly #client: RedisClient;
  /** Whether the server has seen the script since it was connected last. */
  readonly #known = new Set<Script>();

  constructor(client: RedisClient) {
    this.#client = client;
    client.on("ready", () => this.#known.clear());
  }

  async run(script: Script, keys: string[], args: readonly string[]): Promise<unknown> {
    const call = { keys, arguments: [...args] };
    // In full until the server has it for sure: sent twice, a later call could come before an earlier one.
    if (!this.#known.has(script)) {
      const answer = await this.#client.eval(scripts[script], call);
      this.#known.add(script);
      return answer;
    }
    try {
      return await this.#client.evalSha(digests[script], call);
    } catch (error) {
      // Another node of a cluster, or somebody has flushed the server's scripts.
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return await this.#client.eval(scripts[script], call);
    }
  }
}

/** Tells the operator, once each, that the server is away and that it is back. */
export function watchConnection(client: RedisClient, what: string, logger: Logger): void {
  let isAway = false;
  client.on("error", (error: unknown) => {
    if (isAway) return;
    isAway = true;
    logger.warn(`the ${what} to Redis is lost; it is being made again`, describeError(error));
  });
  client.on("ready", () => {
    if (isAway) logger.warn(`the ${what} to Redis is back`);
    isAway = false;
  });
}
