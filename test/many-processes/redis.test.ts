import { afterEach, beforeEach } from "vitest";
import { describeWithRedis, RedisServer } from "../support/redis.ts";
import { manyProcesses } from "./suite.ts";

describeWithRedis("Four processes on Redis", () => {
  let redis: RedisServer;
  beforeEach(async () => {
    redis = await RedisServer.start();
  });
  afterEach(() => redis.close());
  manyProcesses(async () => redis.url, { people: 100, messages: 5 });
});
