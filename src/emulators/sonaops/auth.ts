import { createHash, createHmac } from "node:crypto";
import { Refusal } from "./refusal.ts";

export interface AuthOptions {
  readonly profile: "A" | "B";
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly now: () => number;
}

export interface SignedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

/** How far a request's time may be off (profile B). */
const windowSeconds = 300;

/**
 * Checks that a request is authentic. Written apart from the backend's signing, since a judge that shares its code
 * would share its mistakes.
 */
export class Auth {
  readonly #options: AuthOptions;
  readonly #requestIds = new Set<string>();

  constructor(options: AuthOptions) {
    this.#options = options;
  }

  /** The user that the request is for. @throws {Refusal} `unauthorized` or `invalid-key`. */
  check(request: SignedRequest): string {
    const { profile, apiKey } = this.#options;
    const header = (name: string): string => {
      const value = request.headers.get(name);
      if (value === null || value === "") throw new Refusal("unauthorized", `the header ${name} is missing`);
      return value;
    };
    const [scheme, key] = header("Authorization").split(" ");
    if (scheme !== "Bearer") throw new Refusal("unauthorized", "Authorization must be Bearer <apiKey>");
    if (key !== apiKey) throw new Refusal("invalid-key");
    const user = header("X-User-ID");
    const signature = header("X-Signature");
    const expected =
      profile === "A" ? this.#signatureA(request) : this.#signatureB(request, user, header("X-Timestamp"));
    if (signature !== expected) throw new Refusal("unauthorized", "the signature is wrong");
    if (profile === "B") this.#checkRequestId(header("X-Request-ID"));
    return user;
  }

  #signatureA({ body }: SignedRequest): string {
    return createHash("sha256")
      .update(`${joined(body)}${this.#options.apiSecret}`, "utf8")
      .digest("hex");
  }

  #signatureB({ method, url, body }: SignedRequest, user: string, timestamp: string): string {
    const age = this.#options.now() / 1000 - Number(timestamp);
    if (!/^\d{1,12}$/.test(timestamp) || Math.abs(age) > windowSeconds) {
      throw new Refusal("unauthorized", "X-Timestamp must be in seconds, at most 5 minutes off");
    }
    const base = `${method}\n${url.pathname}\n${timestamp}\n${user}\n${joined(Object.fromEntries(url.searchParams))}\n${joined(body)}`;
    return createHmac("sha256", this.#options.apiSecret).update(base, "utf8").digest("hex");
  }

  /** Stricter than the service is known to be: "unique per request" is written, but not what happens otherwise. */
  #checkRequestId(id: string): void {
    if (this.#requestIds.has(id)) throw new Refusal("unauthorized", "the X-Request-ID was used before");
    this.#requestIds.add(id);
  }
}

function joined(fields: Readonly<Record<string, unknown>>): string {
  const parts: string[] = [];
  for (const name of Object.keys(fields).sort()) {
    const value = fields[name];
    const text = typeof value === "string" ? value.trim() : JSON.stringify(value);
    if (value !== null && text !== "") parts.push(`${name}=${text}`);
  }
  return parts.join("&");
}
