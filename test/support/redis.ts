import { afterAll, describe } from "vitest";
import { hasRedis, RedisServer } from "./redis-server.ts";

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
