import type { SessionCall } from "../backend.ts";
import { neverSent } from "./failure.ts";

/** A request as `fetch` takes it, with its address and what is awaited before it is sent. */
export interface OutgoingRequest extends RequestInit {
  readonly url: string | URL;
  readonly permit?: SessionCall["permit"] | undefined;
}

/**
 * Sends a request. Its `permit` is awaited when the connection stands, directly before the first byte is written: opening
 * one takes long enough for a process to be stopped in, and for another one to go on with the turn. That is why the body
 * is a stream of bytes: the HTTP client asks it for them no sooner than it can write them. Its length is told, so that
 * the service sees no difference.
 * @throws what `permit` throws, else what `fetch` throws; {@link lost} knows of it whether a byte was written
 */
export async function send(
  fetch: typeof globalThis.fetch,
  { url, permit, ...request }: OutgoingRequest,
): Promise<Response> {
  if (permit === undefined || typeof request.body !== "string") return await fetch(url, request);
  const text = request.body;
  const bytes = new TextEncoder().encode(text);
  const headers = new Headers(request.headers);
  headers.set("content-length", String(bytes.byteLength));
  let isAsked = false;
  let refused: unknown;
  const stream = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        await permit();
      } catch (error) {
        refused = error;
        throw error;
      }
      isAsked = true;
      controller.enqueue(bytes);
      controller.close();
    },
  });
  // What knows no such streams makes text of the body, as node-fetch does: it is the right one.
  const body = Object.assign(stream, {
    toString() {
      isAsked = true;
      return text;
    },
  });
  try {
    // With a browser's credentials, which our own headers are no part of, a 401 would mean that it is sent again with
    // others: with a stream, fetch fails instead, as some versions of Node.js do.
    return await fetch(url, { ...request, headers, body, duplex: "half", credentials: "omit" });
  } catch (error) {
    if (refused !== undefined) throw refused;
    if (!isAsked && error instanceof Error) neverSent.add(error);
    throw error;
  }
}
