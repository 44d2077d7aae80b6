import { describeError, type Logger } from "../../logger.ts";

/** What aparte uses of a node-redis client, cluster or sentinel (`createClient` and so on of `@keyv/redis`). */
export interface RedisClient {
  readonly isOpen: boolean;
  /** A cluster has none. */
  readonly isReady?: boolean;
  connect(): Promise<unknown>;
  eval(script: string, call: ScriptCall): Promise<unknown>;
  evalSha(sha1: string, call: ScriptCall): Promise<unknown>;
  /** A cluster has none. */
  scriptLoad?(script: string): Promise<unknown>;
  info?(section: string): Promise<string>;
  sAdd(key: string, member: string): Promise<unknown>;
  sRem(key: string, member: string): Promise<unknown>;
  sRandMemberCount(key: string, count: number): Promise<string[]>;
  zRem(key: string, member: string): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  /** @param listener without it, all listeners of the channel */
  unsubscribe(channel: string, listener?: (message: string) => void): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** A client that listens can do nothing else; clusters and sentinels see to that themselves. */
  duplicate?(): unknown;
  destroy(): unknown;
}

interface ScriptCall {
  readonly keys: string[];
  readonly arguments: string[];
}

/** Tells the operator, once each, that the server is away and that it is back. */
export function watchConnection(client: RedisClient, what: string, logger: Logger): void {
  let isAway = false;
  client.on("error", (error: unknown) => {
    if (isAway) return;
    isAway = true;
    logger.warn(`the ${what} to Redis is lost; it is being made again`, {
      ...describeError(error),
      ...(firstWord(error) === undefined ? {} : { redis: firstWord(error) }),
    });
  });
  client.on("ready", () => {
    if (isAway) logger.warn(`the ${what} to Redis is back`);
    isAway = false;
  });
}

/** Closes a client. One that is being connected closes a moment later: node-redis would connect it all the same. */
export function closeClient(client: RedisClient): void {
  const end = () => {
    if (client.isOpen) client.destroy();
  };
  if (client.isReady) end();
  else for (const event of ["ready", "error", "reconnecting"]) client.on(event, end);
}

/** The first word of what Redis answered: READONLY, NOPERM, OOM … It says what is wrong, and holds no secret. */
export function firstWord(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /^-?([A-Z][A-Z0-9]{2,})\b/.exec(error.message)?.[1];
}
