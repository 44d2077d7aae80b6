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
  const bytes = new TextEncoder().encode(request.body);
  const headers = new Headers(request.headers);
  headers.set("content-length", String(bytes.byteLength));
  let isAsked = false;
  let refused: unknown;
  const body = new ReadableStream({
    type: "bytes",
    async pull(stream) {
      try {
        await permit();
      } catch (error) {
        refused = error;
        throw error;
      }
      isAsked = true;
      stream.enqueue(bytes);
      stream.close();
    },
  });
  try {
    return await fetch(url, { ...request, headers, body, duplex: "half" });
  } catch (error) {
    if (refused !== undefined) throw refused;
    if (!isAsked && error instanceof Error) neverSent.add(error);
    throw error;
  }
}
