import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";
import type { JsonObject } from "../backend.ts";
import type { Credentials } from "./credentials.ts";

/** Where a person is in the agent's flow, and what the agent has gathered on the way. */
export interface Place {
  /** The page's resource name; missing for agents without pages. */
  readonly page?: string;
  /** Missing when they were too many to keep. */
  readonly parameters?: JsonObject;
}

/** Whose place it is: a sealed place opens for its own conversation with its own agent only. */
export interface PlaceOwner {
  readonly agent: string;
  readonly conversationId: string;
}

/** Encrypts places for the store: session parameters are personal data. */
export interface PlaceSeal {
  /** Encrypts a place. Parameters that make it larger than the cap are left out. */
  seal(place: Place, owner: PlaceOwner): Promise<string>;
  /** Decrypts a place; undefined when it was sealed by another secret, or for somebody else. */
  open(sealed: string, owner: PlaceOwner): Promise<Place | undefined>;
}

/** The secret that follows from a service account's key; random where there is none. */
export function defaultSecret(credentials: Credentials | undefined): string | Buffer {
  if (credentials?.kind !== "service-account") return randomBytes(32);
  const key = credentials.key.export({ type: "pkcs8", format: "der" });
  return createHmac("sha256", key).update("aparte dialogflow-cx state secret").digest();
}

/**
 * @param secrets the first encrypts, all decrypt.
 * @param maxBytes the most bytes of a place as JSON.
 */
export function placeSeal(
  secrets: readonly [string | Buffer, ...(string | Buffer)[]],
  maxBytes: number,
): PlaceSeal {
  const [first, ...others] = secrets.map((secret) =>
    Buffer.from(hkdfSync("sha256", secret, "", "aparte dialogflow-cx place", 32)),
  );
  const keys = first === undefined ? [] : [first, ...others];
  return {
    async seal(place, { agent, conversationId }) {
      if (first === undefined) throw new TypeError("No secret.");
      const whole = JSON.stringify({ ...place, agent, conversationId });
      const fits = Buffer.byteLength(whole) <= maxBytes;
      const kept = fits ? whole : JSON.stringify({ page: place.page, agent, conversationId });
      return await new CompactEncrypt(Buffer.from(kept))
        .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
        .encrypt(first);
    },
    async open(sealed, owner) {
      for (const key of keys) {
        const plain = await compactDecrypt(sealed, key, {
          keyManagementAlgorithms: ["dir"],
          contentEncryptionAlgorithms: ["A256GCM"],
        }).catch(() => undefined);
        if (plain === undefined) continue;
        const { agent, conversationId, ...place } = JSON.parse(
          new TextDecoder().decode(plain.plaintext),
        ) as Place & PlaceOwner;
        return agent === owner.agent && conversationId === owner.conversationId ? place : undefined;
      }
      return undefined;
    },
  };
}
