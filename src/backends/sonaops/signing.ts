import { createHash, createHmac } from "node:crypto";

/** What a signature can be made from. */
export interface SonaopsRequestToSign {
  readonly method: "GET" | "POST";
  /** The API's own path, without what `baseURL` has before it, e.g. `"/v1/chat/stream"`. */
  readonly path: string;
  readonly query: Readonly<Record<string, unknown>>;
  /** The JSON body's fields, exactly as they are sent. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Unix time in seconds, as in the header `X-Timestamp`. */
  readonly timestamp: string;
  /** As in the header `X-Request-ID`: another one for every attempt. */
  readonly requestId: string;
  /** The session's pseudonym, as in the header `X-User-ID`. */
  readonly userId: string;
  readonly apiKey: string;
  readonly apiSecret: string;
}

/**
 * Signs one attempt: returns the headers to add, at least `X-Signature`. A header of the same name as one that
 * aparte sends takes its place.
 */
export type SonaopsSign = (
  request: SonaopsRequestToSign,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

/**
 * Profile A (docs-open-platform.ai-dol.club): SHA-256 over the body's fields with the secret appended. Neither
 * time, path nor user is signed in any of its examples.
 */
export const signA: SonaopsSign = ({ body, apiSecret }) => ({
  "x-signature": createHash("sha256")
    .update(canonicalBody(body) + apiSecret)
    .digest("hex"),
});

/** Profile B (docs-open-platform.aibabe.studio): HMAC-SHA256 over method, path, time, user, query and body. */
export const signB: SonaopsSign = ({ method, path, timestamp, userId, query, body, apiSecret }) => {
  const base = [method, path, timestamp, userId, canonicalQuery(query), canonicalBody(body)].join("\n");
  return { "x-signature": createHmac("sha256", apiSecret).update(base).digest("hex") };
};

/** A way to sign, by its name. */
export interface SonaopsSigner {
  readonly profile: "A" | "B" | "own";
  readonly sign: SonaopsSign;
}

/** The signers by profile. */
export const profiles: Readonly<Record<"A" | "B", SonaopsSigner>> = {
  A: { profile: "A", sign: signA },
  B: { profile: "B", sign: signB },
};

/** `k=v` joined with `&`, by name; without fields that are null or empty. Values are not URL-encoded. */
export function canonicalQuery(query: Readonly<Record<string, unknown>>): string {
  return canonical(query, (text) => text === "");
}

/** The same for a body, where blank texts are left out as well. Empty objects and lists take part. */
export function canonicalBody(body: Readonly<Record<string, unknown>>): string {
  return canonical(body, (text) => text.trim() === "");
}

function canonical(fields: Readonly<Record<string, unknown>>, isLeftOut: (text: string) => boolean): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== null && value !== undefined)
    .filter(([, value]) => !(typeof value === "string" && isLeftOut(value)))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value.trim() : JSON.stringify(value)}`)
    .join("&");
}

/**
 * A text as it can be signed and sent alike. The service trims before it checks the signature, and languages
 * differ in what they trim: control characters go as well as all that Unicode calls white space. Half surrogates,
 * which have no UTF-8, become U+FFFD here and not at each side in its own way.
 */
export function signable(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isTrimmed(text.charAt(start))) start += 1;
  while (end > start && isTrimmed(text.charAt(end - 1))) end -= 1;
  return Buffer.from(text.slice(start, end), "utf8").toString("utf8");
}

function isTrimmed(character: string): boolean {
  return character <= " " || character.trim() === "";
}
