import type { Store } from "aparte";
import { afterAll, describe } from "vitest";
import type { RedisClient } from "../../src/stores/redis/client.ts";
import { openRedisStore, type RedisStoreOptions } from "../../src/stores/redis/index.ts";
import { hasRedis, RedisServer } from "./redis-server.ts";

/** How long a server may take to answer that is not away, in milliseconds. */
export const patientMs = 60_000;

/**
 * A store whose server may take its time to answer: beside busy processes it takes more than the second that it
 * has by default. For tests in which no server is away.
 */
export function openPatientRedis(target: string | RedisClient, options?: RedisStoreOptions): Promise<Store> {
  return openRedisStore(target, options, patientMs);
}

export { hasRedis, RedisServer, startRedisCluster, startRedisSentinel } from "./redis-server.ts";

/** Defines suites that need a Redis server which they can start, freeze and kill. */
export const describeWithRedis = (name: string, define: () => void): void => {
  if (hasRedis) describe(name, define);
  else describe.skip(`${name} (there is no redis-server on the PATH, and none was installed)`, define);
};

/** Defines suites that only need a server: the one of `REDIS_URL`, if it is set. */
export const describeOnRedis = (name: string, define: (url: () => Promise<string>) => void): void => {
  const { REDIS_URL } = process.env;
  let server: Promise<RedisServer> | undefined;
  const url = async () => {
    if (REDIS_URL !== undefined) return REDIS_URL;
    server ??= RedisServer.start();
    return (await server).url;
  };
  const suite = () => {
    define(url);
    afterAll(async () => (await server)?.close());
  };
  if (REDIS_URL === undefined) describeWithRedis(name, suite);
  else describe(name, suite);
};
