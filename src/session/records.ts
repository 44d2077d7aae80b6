import { describeError, type Logger } from "../logger.ts";
import { type Records, sessionKey } from "../stores/store.ts";
import { readRecord, type SessionRecord } from "./record.ts";

/**
 * All sessions of a store by name, in no particular order. Those that cannot be read are left out.
 * @param logger told of those, where somebody wants to know
 */
export async function* sessionRecords(
  records: Records,
  logger?: Logger,
): AsyncGenerator<[name: string, record: SessionRecord]> {
  const prefix = sessionKey("");
  for await (const [key, value] of records.entries<unknown>(prefix)) {
    const session = key.slice(prefix.length);
    let record: SessionRecord | undefined;
    try {
      record = readRecord(value);
    } catch (error) {
      logger?.error("a session cannot be read", { session, ...describeError(error) });
    }
    if (record !== undefined) yield [session, record];
  }
}
