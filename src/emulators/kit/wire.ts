import { setImmediate as nextTurn } from "node:timers/promises";
import { breakOff, connectionOf } from "../http-server.ts";

/** What a network, a proxy or a gateway does to an answer. The work is done in any case. */
export interface WireFault {
  /** Lets the service do all its work, then answers with this HTTP status and a page, as a gateway does. */
  readonly afterWork?: number;
  /** Says that the answer is of this type. */
  readonly contentType?: string;
  /** Writes the answer in pieces of this many bytes, which tears events and characters. */
  readonly pieces?: number;
  /** Leaves out the blank line behind the last event of a stream. */
  readonly unterminated?: boolean;
  /** Resets the connection after this many bytes of the answer's body. */
  readonly resetAt?: number;
  /** Ends the connection after this many bytes of the answer's body. */
  readonly endAt?: number;
  /** Ends the answer after this many bytes of its body as if it were whole, as a proxy does that has lost the service. */
  readonly closeAt?: number;
}

export const wireFaults: Readonly<Record<keyof WireFault, true>> = {
  afterWork: true,
  contentType: true,
  pieces: true,
  unterminated: true,
  resetAt: true,
  endAt: true,
  closeAt: true,
};

/** The answer as it comes through. */
export async function throughWire(
  response: Response,
  { afterWork, contentType, pieces, unterminated, resetAt, endAt, closeAt }: WireFault,
  request: Request,
): Promise<Response> {
  if (afterWork !== undefined) {
    await response.arrayBuffer();
    const headers = { "content-type": "text/html" };
    return new Response(`<html><body>${afterWork}</body></html>`, { status: afterWork, headers });
  }
  if (contentType !== undefined) response.headers.set("content-type", contentType);
  const stopAt = resetAt ?? endAt ?? closeAt;
  if ((pieces ?? stopAt) === undefined && unterminated !== true) return response;
  const { status, headers } = response;
  const source = unterminated === true ? withoutEnd(response.body) : bytesOf(response.body);
  let stop: (() => void) | undefined;
  if (resetAt !== undefined) stop = () => connectionOf(request)?.resetAndDestroy();
  else if (endAt !== undefined) stop = () => breakOff(request);
  const torn = tear(source, pieces ?? 4096, stopAt ?? Number.POSITIVE_INFINITY, stop);
  return new Response(streamOf(torn), { status, headers });
}

/** A body of what comes out of `source`. Whoever stops reading ends it. */
export function streamOf(source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    // Not awaited: what waits within the source may wait for long.
    cancel() {
      void source.return(undefined);
    },
  });
}

async function* bytesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  for await (const bytes of body ?? []) yield bytes as Uint8Array;
}

/** Without the line ends that stand last. */
async function* withoutEnd(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  let ends = Buffer.alloc(0);
  for await (const bytes of bytesOf(body)) {
    const all = Buffer.concat([ends, bytes]);
    let end = all.length;
    while (end > 0 && (all[end - 1] === 0x0a || all[end - 1] === 0x0d)) end -= 1;
    ends = all.subarray(end);
    if (end > 0) yield all.subarray(0, end);
  }
}

async function* tear(
  source: AsyncGenerator<Uint8Array>,
  size: number,
  stopAt: number,
  /** Undefined where the answer just ends. */
  stop: (() => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length && sent < stopAt; at += size) {
      const piece = bytes.subarray(at, Math.min(at + size, at + stopAt - sent));
      yield piece;
      sent += piece.length;
      // What was written so far goes out first, as a piece of its own.
      await nextTurn();
    }
    if (sent >= stopAt) break;
  }
  if (stop === undefined) return;
  await nextTurn();
  stop();
  // An end that comes from here would make the answer look whole.
  await new Promise(() => {});
}
