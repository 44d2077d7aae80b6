import type { Keyv } from "keyv";
import { AparteError } from "../../errors.ts";
import { keyvRecords } from "../keyv.ts";
import { type Records, type SessionRecord, sessionKey } from "../old-store.ts";
import type { RedisScripts } from "./connection.ts";

/** The adapter of `@keyv/redis`, as far as it is needed here. */
export interface RedisAdapter {
  /** Off by default: then a failed write counts as done. */
  throwOnErrors: boolean;
  createKeyPrefix(key: string, namespace?: string): string;
  isCluster(): boolean;
  isSentinel(): boolean;
}

/** The records of a Keyv on Redis, and how it keeps them: scripts read and write them, too. */
export class RedisRecords {
  readonly records: Records;
  readonly #keyv: Keyv;
  readonly #adapter: RedisAdapter;

  constructor(keyv: Keyv, adapter: RedisAdapter, scripts: RedisScripts) {
    this.#keyv = keyv;
    this.#adapter = adapter;
    this.records = {
      ...keyvRecords(keyv),
      setIfAbsent: async (key, value, ttlMs) => {
        const ttl = ttlMs === undefined ? undefined : Math.max(1, Math.floor(ttlMs));
        const text = await this.#stringify(value, ttl);
        return (await scripts.run("setIfAbsent", [this.#key(key)], [text, `${ttl ?? ""}`])) === 1;
      },
    };
  }

  /** The Redis key of a session's record. */
  sessionKey(sessionName: string): string {
    return this.#key(sessionKey(sessionName));
  }

  stringify(record: SessionRecord): Promise<string> {
    return this.#stringify(record, undefined);
  }

  /** @param text as Redis has it; false if it has none */
  async parse(text: string | false): Promise<SessionRecord | null> {
    if (text === false) return null;
    return (await this.#keyv.deserializeData<SessionRecord>(text))?.value ?? null;
  }

  #key(key: string): string {
    const { namespace, useKeyPrefix } = this.#keyv;
    const prefixed = useKeyPrefix && namespace !== undefined ? `${namespace}:${key}` : key;
    return this.#adapter.createKeyPrefix(prefixed, namespace);
  }

  async #stringify(value: unknown, ttlMs: number | undefined): Promise<string> {
    const envelope = ttlMs === undefined ? { value } : { value, expires: Date.now() + ttlMs };
    const text = await this.#keyv.serializeData(envelope);
    if (typeof text === "string") return text;
    throw new AparteError("option-invalid", "A Keyv on Redis needs a serializer that gives text.", {
      field: "store",
    });
  }
}
