import { createHash, hkdfSync, randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { CompactEncrypt, compactDecrypt } from "jose";
import type { SharedToken, SharedTokens } from "../backends/backend.ts";
import type { Records } from "../stores/store.ts";

/** What is encrypted. */
interface KeptToken {
  /** The key it was put under: a value that somebody copied to another key is not taken for that one's. */
  readonly key: string;
  readonly token: string;
  /** What was left of its life when it was put here, in milliseconds, and until when: Unix time. */
  readonly ttlMs: number;
  readonly until: number;
  readonly followers?: readonly string[];
}

/** How long a process that has died holds up those that wait for its minting; one that lives says so before. */
const lockMs = 1500;

/** How often those look that wait for another process's minting, in milliseconds: at least, and how much more. */
const lookMs = { least: 20, spread: 40 };

/**
 * How much longer a token's record is kept than the token lives, in milliseconds: Keyv deletes for all what is
 * out of date by the reader's own clock, which may be wrong.
 */
const clockErrorMs = 2 * 60 * 60_000;

/**
 * The tokens of all processes that share a store, encrypted there (JWE, `dir` with A256GCM, RFC 7516) under a key
 * made from the mapper's secret. A value that this secret does not open counts as absent, as does one that was
 * tampered with; a store that fails throws.
 *
 * Lives go by the processes' own clocks. A wrong one costs a signature, and never a turn: a token that is thought
 * dead is minted anew, and one that is thought alive is refused by the service, and then minted anew.
 */
export class StoredTokens implements SharedTokens {
  readonly #records: Records;
  /** The first encrypts, all decrypt. */
  readonly #keys: readonly Uint8Array[];

  /** @param secrets the mapper's, the newest first */
  constructor(records: Records, secrets: readonly [string, ...string[]]) {
    this.#records = records;
    this.#keys = secrets.map(encryptionKey);
  }

  async get(key: string): Promise<SharedToken | undefined> {
    const kept = await this.#read(key);
    if (kept === undefined) return undefined;
    const ttlMs = Math.min(kept.ttlMs, kept.until - Date.now());
    if (ttlMs <= 0) return undefined;
    const { token, followers } = kept;
    return { token, ttlMs, ...(followers === undefined ? {} : { followers }) };
  }

  async set(key: string, fresh: SharedToken): Promise<void> {
    const { ttlMs } = fresh;
    const kept: KeptToken = { ...fresh, key, until: Date.now() + ttlMs };
    const text = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(kept)))
      .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .encrypt(this.#keys[0] as Uint8Array);
    await this.#records.set(recordKey(key), text, ttlMs + clockErrorMs);
  }

  async delete(key: string): Promise<void> {
    await this.#records.delete(recordKey(key));
  }

  async once(key: string, mint: () => Promise<SharedToken>): Promise<SharedToken> {
    const lock = `${recordKey(key)}:lock`;
    const me = randomUUID();
    for (;;) {
      const found = await this.get(key);
      if (found !== undefined) return found;
      if (await this.#records.setIfAbsent(lock, me, lockMs)) break;
      await pause(lookMs.least + Math.random() * lookMs.spread);
    }
    // If this fails, or comes too late, another process mints too: that costs a signature, and nothing else.
    const prolong = async () => this.#records.set(lock, me, lockMs);
    const timer = setInterval(() => void prolong().catch(() => {}), lockMs / 3);
    try {
      // Another process may have put it here between the two steps above.
      const found = await this.get(key);
      if (found !== undefined) return found;
      const fresh = await mint();
      await this.set(key, fresh);
      return fresh;
    } finally {
      clearInterval(timer);
      // One that ran out is another process's by now.
      if ((await this.#records.get(lock)) === me) await this.#records.delete(lock);
    }
  }

  async #read(key: string): Promise<KeptToken | undefined> {
    const text = await this.#records.get<unknown>(recordKey(key));
    if (typeof text !== "string") return undefined;
    for (const secret of this.#keys) {
      const kept = await open(text, secret);
      if (kept?.key === key) return kept;
    }
    return undefined;
  }
}

/** Undefined where this key does not open it. */
async function open(text: string, key: Uint8Array): Promise<KeptToken | undefined> {
  try {
    const options = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const { plaintext } = await compactDecrypt(text, key, options);
    return JSON.parse(new TextDecoder().decode(plaintext)) as KeptToken;
  } catch {
    return undefined;
  }
}

/** Not the key of the session names, although it is made from the same secret. */
function encryptionKey(secret: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", "aparte: tokens that processes share", 32));
}

/** A digest, so that the store tells nobody which session a token is for. */
function recordKey(key: string): string {
  return `token:${createHash("sha256").update(key).digest("base64url")}`;
}
