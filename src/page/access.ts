import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { hostOf, Refusal } from "aparte/web";
import { optionInvalid } from "../check.ts";

/** The fewest characters of a token. */
const tokenLength = 16;

/** A token that nobody can guess. */
export function newPageToken(): string {
  return randomBytes(24).toString("base64url");
}

/** Lets in those who have the page's token. */
export class PageAccess {
  readonly #token: string;

  /** @throws {AparteError} `option-invalid` */
  constructor(token: string) {
    if (typeof token !== "string" || !/^[\w-]+$/.test(token) || token.length < tokenLength) {
      throw optionInvalid(
        "playground.token",
        `must have at least ${tokenLength} letters, digits, "_" and "-"`,
      );
    }
    this.#token = token;
  }

  /** @throws {Refusal} 401 */
  check(request: Request): void {
    if (!this.#isRight(cookie(request, cookieName(request))) && !this.#isRight(bearer(request)))
      throw refusal();
  }

  /**
   * Lets in who opens the page, also by the token in the address.
   * @returns the headers with which the browser remembers the token
   * @throws {Refusal} 401
   */
  admit(request: Request): Record<string, string> {
    const { searchParams, protocol } = new URL(request.url);
    if (!this.#isRight(searchParams.get("token") ?? undefined)) {
      this.check(request);
      return {};
    }
    // No redirect: the browser would follow it without a strict cookie where a page of another site had the link.
    const secure = protocol === "https:" ? "; Secure" : "";
    return {
      "set-cookie": `${cookieName(request)}=${this.#token}; Path=/; HttpOnly; SameSite=Strict${secure}`,
    };
  }

  #isRight(token: string | undefined): boolean {
    return token !== undefined && timingSafeEqual(digest(token), digest(this.#token));
  }
}

/** Browsers send a host's cookies to all its ports: two pages on one machine must not take each other's. */
function cookieName(request: Request): string {
  return `aparte_${/:(\d+)$/.exec(hostOf(request))?.[1] ?? "page"}`;
}

function cookie(request: Request, name: string): string | undefined {
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const [key = "", value] = pair.split("=", 2);
    if (key.trim() === name) return value?.trim();
  }
  return undefined;
}

function bearer(request: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1];
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function refusal(): Refusal {
  return new Refusal(
    "unauthenticated",
    "Open the page by the address that the program told at its start: it ends in ?token=…",
    { "www-authenticate": "Bearer" },
  );
}
