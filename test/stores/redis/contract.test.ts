import { storeContract } from "aparte/testing";
import { describe, it } from "vitest";
import { openRedis } from "../../support/opened-stores.ts";
import { describeOnRedis } from "../../support/redis.ts";

describeOnRedis("On a Redis server", (url) => {
  storeContract(
    { describe, it },
    { name: "redis", shared: true, durable: true, canSpoil: true, open: async () => openRedis(await url()) },
  );
});
