import { AparteError } from "../../errors.ts";
import { describeError, type Logger } from "../../logger.ts";
import type { Store } from "../store.ts";
import { firstWord, type RedisClient } from "./client.ts";

/** What Redis answers to somebody whom it does not let in. */
const refusals: ReadonlySet<string> = new Set([
  "WRONGPASS",
  "NOAUTH",
  "NOPERM",
  "ERR",
  "READONLY",
  "CROSSSLOT",
]);

/** The rights that are enough, as `ACL SETUSER` takes them. */
const rights = "~NAMESPACE* &NAMESPACE-wake:* +@read +@write +@connection +@pubsub +@scripting +time +info";

/**
 * Tries once what turns need: keys, scripts, channels. So what a server lacks is named at start, and not to the first
 * person.
 * @throws {AparteError} `option-invalid`
 */
export async function probe(
  store: Store,
  client: RedisClient,
  namespace: string,
  logger: Logger,
): Promise<void> {
  const lane = "probe";
  const owner = "probe";
  const steps: readonly [what: string, run: () => Promise<unknown>][] = [
    ["listening to a channel", async () => (await store.listen(owner, () => {}))()],
    ["signs of life", () => store.beat(owner, 0)],
    [
      "writing, scripts and waking",
      async () => {
        const { now } = await store.read(lane);
        const until = now + 5_000;
        const begun = { lane, version: 0, document: {}, until, ttlMs: 5_000 };
        const { version } = await store.commit({ ...begun, wakes: [owner], marks: ["probe"] });
        await store.commit({ lane, version, document: undefined, until, removedMarks: ["probe"] });
      },
    ],
  ];
  for (const [what, run] of steps) {
    try {
      await run();
    } catch (error) {
      const cause = error instanceof AparteError ? error.cause : error;
      const word = firstWord(cause) ?? "";
      // A server that is away, or just starting, is there later.
      if (!refusals.has(word)) return;
      throw new AparteError(
        "option-invalid",
        `Redis does not allow ${what}: ${word}. Its user needs: ${rights.replaceAll("NAMESPACE", namespace)}`,
        { field: "store", cause },
      );
    }
  }
  await lookAtSettings(client, logger);
}

/** Warns of settings with which the server would forget people's conversations or messages. */
async function lookAtSettings(client: RedisClient, logger: Logger): Promise<void> {
  try {
    const text = `${await client.info?.("memory")}${await client.info?.("persistence")}`;
    if (text.includes("maxmemory_policy:allkeys")) {
      logger.warn("Redis drops conversations when its memory is full; set maxmemory-policy to noeviction");
    }
    if (text.includes("maxmemory_policy:volatile")) {
      logger.warn(
        "Redis forgets which messages it had when its memory is full, and they may run twice; set maxmemory-policy to noeviction",
      );
    }
    if (text.includes("aof_enabled:0")) {
      logger.warn("Redis may forget conversations and messages when it restarts; set appendonly to yes");
    }
  } catch (error) {
    logger.warn("the settings of Redis could not be looked at", describeError(error));
  }
}
