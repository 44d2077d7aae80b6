import type { Keyv } from "keyv";
import { AparteError } from "../../errors.ts";
import type { JsonValue } from "../../json.ts";
import { boundedRecords } from "../deadline.ts";
import { adapterKey, keyvRecords } from "../keyv.ts";
import { type Records, sessionKey } from "../store.ts";
import type { Commands } from "./commands.ts";

/** The adapter of `@keyv/redis`, as far as it is needed here. */
export interface RedisAdapter {
  /** Off by default: then a failed write counts as done. */
  throwOnErrors: boolean;
  createKeyPrefix(key: string, namespace?: string): string;
  isCluster(): boolean;
  isSentinel(): boolean;
}

/** What is used of the client beyond scripts. */
interface SettingClient {
  set(key: string, value: string, options: object): Promise<unknown>;
}

/** The records of a Keyv on Redis, and how it keeps them: commits read and write them, too. */
export class RedisRecords {
  readonly records: Records;
  readonly #keyv: Keyv;
  readonly #adapter: RedisAdapter;

  constructor(keyv: Keyv, adapter: RedisAdapter, client: object, commands: Commands) {
    this.#keyv = keyv;
    this.#adapter = adapter;
    const setIfAbsent = async (key: string, value: unknown, ttlMs?: number) => {
      const ttl = ttlMs === undefined ? undefined : Math.max(1, Math.floor(ttlMs));
      const text = await this.stringify(value, ttl);
      const set = await (client as SettingClient).set(this.#key(key), text, { NX: true, PX: ttl });
      return set === "OK";
    };
    const run: Commands["run"] = (what, call) => commands.run(what, call);
    this.records = boundedRecords({ ...keyvRecords(keyv), setIfAbsent }, run);
  }

  /** The Redis key of a session's record. */
  sessionKey(sessionName: string): string {
    return this.#key(sessionKey(sessionName));
  }

  /** The text of a record, as Keyv keeps it. */
  async stringify(value: unknown, ttlMs?: number): Promise<string> {
    const envelope = ttlMs === undefined ? { value } : { value, expires: Date.now() + ttlMs };
    const text = await this.#keyv.serializeData(envelope);
    if (typeof text === "string") return text;
    throw new AparteError("option-invalid", "A Keyv on Redis needs a serializer that gives text.", {
      field: "store",
    });
  }

  /** @param text as Redis has it. @returns undefined where it cannot be understood, null where there is none */
  async parse(text: string | null): Promise<JsonValue | null | undefined> {
    if (text === null) return null;
    const envelope = await this.#keyv.deserializeData<JsonValue>(text).catch(() => undefined);
    return envelope?.value ?? undefined;
  }

  #key(key: string): string {
    return this.#adapter.createKeyPrefix(adapterKey(this.#keyv, key), this.#keyv.namespace);
  }
}
