import { Refusal } from "./refusal.ts";

const methods = "GET, POST, DELETE";

/** A header that no page can send to another site without asking first: it makes a form's content type safe. */
export const ownHeader = "x-aparte";

const headers = `authorization, content-type, last-event-id, ${ownHeader}`;

/**
 * Whether the page of another site makes this request. Browsers say so in `Sec-Fetch-Site` and `Origin`; what is no
 * browser sends neither, and has no cookies that it did not get itself.
 * @param origins other origins whose pages may
 */
export function isForeign(request: Request, origins: readonly string[] = []): boolean {
  const origin = request.headers.get("origin");
  if (origin !== null) {
    if (origins.includes(origin)) return false;
    // Hosts alone, since behind a proxy that ends TLS the handler sees http where the browser sees https.
    if (!URL.canParse(origin) || new URL(origin).host !== hostOf(request)) return true;
  }
  const site = request.headers.get("sec-fetch-site");
  return site !== null && site !== "same-origin" && site !== "none";
}

/** The host that the client asked for, with its port. */
export function hostOf(request: Request): string {
  return (request.headers.get("host") ?? new URL(request.url).host).toLowerCase();
}

/** @throws {Refusal} 403 */
export function refuseForeign(request: Request, origins: readonly string[]): void {
  if (isForeign(request, origins)) {
    // The option `origins` names those that may.
    throw new Refusal("foreign-origin", (texts) => texts("foreign-origin"));
  }
}

export function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": methods,
      "access-control-allow-headers": headers,
      "access-control-max-age": "600",
    },
  });
}

/** Lets the pages of the allowed origins read the response. */
export function shareWith(response: Response, request: Request, origins: readonly string[]): Response {
  if (origins.length === 0) return response;
  response.headers.append("vary", "origin");
  const origin = request.headers.get("origin");
  if (origin === null || !origins.includes(origin)) return response;
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-allow-credentials", "true");
  response.headers.set("access-control-expose-headers", "retry-after");
  return response;
}
