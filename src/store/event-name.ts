import { hash } from "node:crypto";

/** The name of an event: its digest, so that stores keep it short, and nobody's id is kept. 16 bytes. */
export function eventName(lane: string, key: string): Uint8Array {
  return hash("sha256", JSON.stringify([lane, key]), "buffer").subarray(0, 16);
}
