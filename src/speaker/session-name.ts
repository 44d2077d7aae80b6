import { createHmac } from "node:crypto";
import { encodeSpeaker, type ScopedSpeaker } from "./scope.ts";

/** The version of the naming scheme, first in every session name. */
const prefix = "a1_";

/** How many characters a session name has: the prefix and 198 bits of the keyed hash. */
const nameLength = 36;

/** Whether it is a session's name, by its form. */
export function isSessionName(name: string): boolean {
  return name.length === nameLength && /^a1_[\w-]+$/.test(name);
}

/**
 * The session's pseudonym: a keyed hash of the scoped speaker, equal in all processes that share the secret.
 * 36 ASCII characters (Dialogflow CX takes no more than 36 bytes as a session id).
 */
export function sessionName(speaker: ScopedSpeaker, secret: string): string {
  const hash = createHmac("sha256", secret)
    // UTF-16, since UTF-8 would turn all lone surrogates into the same replacement character.
    .update(encodeSpeaker(speaker), "utf16le")
    .digest("base64url");
  return (prefix + hash).slice(0, nameLength);
}
