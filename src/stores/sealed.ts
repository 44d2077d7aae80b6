import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { JsonValue } from "../json.ts";
import { type FoundLane, type Store, sessionKey } from "./store.ts";

const mark = "sealed.1.";
const algorithm = "aes-256-gcm";
const [nonceLength, tagLength] = [12, 16];

export interface SealedStore extends Store {
  /** Whether something of a session is sealed so that the first secret alone does not open it. */
  needsOther(session: string): Promise<boolean>;
}

/**
 * A store in which sessions and lanes are encrypted (AES-256-GCM, with a key made from the secret): whom they are of,
 * what is said while a turn is under way, and what could not be delivered. Session names and marks of events are keyed
 * or plain hashes already. What was written before it was sealed is read, and sealed when it is written again.
 *
 * What no secret opens counts as unreadable: it is told as a damaged record is, and not overwritten.
 * @param secrets the mapper's: the first one seals, all of them open
 */
export function sealedStore(store: Store, secrets: readonly [string, ...string[]]): SealedStore {
  const keys = secrets.map(
    (secret) => new Uint8Array(hkdfSync("sha256", secret, "", "aparte: what is kept of sessions", 32)),
  );
  const seal = (name: string, value: JsonValue): string => sealed(keys[0] as Uint8Array, name, value);
  const open = (name: string, value: unknown) => opened(keys, name, value);
  /** What no secret opens stays as it is: its reader says that it is none of ours. */
  const openIfPossible = (name: string, value: unknown) => {
    const plain = open(name, value);
    return plain === undefined ? value : plain;
  };
  const found = <Found extends Partial<Pick<FoundLane, "document" | "record">>>(
    lane: string,
    answer: Found,
  ): Found => {
    const { document, record } = answer;
    const plain = "document" in answer ? { document: openIfPossible(laneName(lane), document) } : {};
    return { ...answer, ...plain, record: open(sessionKey(lane), record) };
  };
  const { records } = store;
  const isSession = (key: string) => key.startsWith(sessionKey(""));
  const sealRecord = (key: string, value: unknown) =>
    isSession(key) ? seal(key, value as JsonValue) : value;
  const openRecord = (key: string, value: unknown) => (isSession(key) ? openIfPossible(key, value) : value);
  return {
    name: store.name,
    shared: store.shared,
    durable: store.durable,
    ...(store.rates === undefined ? {} : { rates: store.rates }),
    records: {
      get: async <T>(key: string) => openRecord(key, await records.get(key)) as T | undefined,
      set: (key, value, ttlMs) => records.set(key, sealRecord(key, value), ttlMs),
      setIfAbsent: (key, value, ttlMs) => records.setIfAbsent(key, sealRecord(key, value), ttlMs),
      delete: (key) => records.delete(key),
      async *entries<T>(prefix: string) {
        for await (const [key, value] of records.entries<unknown>(prefix)) {
          yield [key, openRecord(key, value) as T] as [string, T];
        }
      },
    },
    async commit(commit) {
      const { lane, document, record } = commit;
      const answer = await store.commit({
        ...commit,
        document: document === undefined ? undefined : seal(laneName(lane), document),
        ...(record === undefined || record === null ? {} : { record: seal(sessionKey(lane), record) }),
      });
      return found(lane, answer);
    },
    read: async (lane) => found(lane, await store.read(lane)),
    async needsOther(session) {
      const { document, record } = await store.read(session);
      const isClosed = (name: string, value: unknown) =>
        value !== undefined && opened(keys.slice(0, 1), name, value) === undefined;
      return isClosed(laneName(session), document) || isClosed(sessionKey(session), record);
    },
    beat: (owner, leaseMs) => store.beat(owner, leaseMs),
    bury: (owner, isUnknownToo) => store.bury(owner, isUnknownToo),
    dead: () => store.dead(),
    listen: (owner, wake) => store.listen(owner, wake),
    close: () => store.close(),
  };
}

function laneName(lane: string): string {
  return `lane:${lane}`;
}

/** @param name what the value is of: it opens under no other one */
function sealed(key: Uint8Array, name: string, value: JsonValue): string {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(name));
  const parts = [cipher.update(JSON.stringify(value)), cipher.final()];
  return mark + Buffer.concat([nonce, ...parts, cipher.getAuthTag()]).toString("base64url");
}

/** @returns undefined where no key opens it */
function opened(keys: readonly Uint8Array[], name: string, value: unknown): JsonValue | undefined {
  if (typeof value !== "string" || !value.startsWith(mark)) return value as JsonValue;
  const bytes = Buffer.from(value.slice(mark.length), "base64url");
  if (bytes.length < nonceLength + tagLength) return undefined;
  for (const key of keys) {
    try {
      const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceLength))
        .setAAD(Buffer.from(name))
        .setAuthTag(bytes.subarray(-tagLength));
      const text = decipher.update(bytes.subarray(nonceLength, -tagLength));
      return JSON.parse(Buffer.concat([text, decipher.final()]).toString()) as JsonValue;
    } catch {
      // Another secret's, or changed.
    }
  }
  return undefined;
}
