import type { KeptEvent, KeptReply } from "./kept-reply.ts";
import { fieldInvalid } from "./refusal.ts";

/** After how many milliseconds an EventSource comes back by itself: well within the grace time. */
const retryMs = 1_000;

/** The most events that are sent in one piece, so that a slow client's long answer is not copied whole. */
const mostAtOnce = 100;

/**
 * The event that a client saw last, as the number of events it has.
 * @throws {AparteError} `input-invalid` when the header is none of ours
 */
export function readPosition(request: Request, kept: KeptReply): number {
  const header = request.headers.get("last-event-id");
  if (header === null || header === "") return 0;
  const [, epoch, count] = /^([0-9a-f]{8})\.(\d{1,9})$/.exec(header) ?? [];
  if (epoch === undefined) throw fieldInvalid("last-event-id", "must be an id of an event of this reply");
  // Another reading of the message (by a process that died): what the client has is not of this one.
  return epoch === kept.epoch ? Math.min(Number(count), kept.events.length) : 0;
}

/**
 * A reply as server-sent events, from a position on. It is read as fast as the client takes it.
 * @param left called once, when the client has all or is gone
 */
export function eventStream(
  kept: KeptReply,
  position: number,
  heartbeat: number,
  left: () => void,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next = position;
  let isOpen = true;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // Sent at once: proxies and browsers hold the response back until its first byte.
        controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`));
      },
      async pull(controller) {
        const hasMore = await kept.moreThan(next, heartbeat);
        if (!isOpen) return;
        if (!hasMore) {
          controller.enqueue(encoder.encode(": alive\n\n"));
          return;
        }
        const events = kept.events.slice(next, next + mostAtOnce);
        const text = events
          .map((event, index) => encode(event, `${kept.epoch}.${next + index + 1}`))
          .join("");
        next += events.length;
        controller.enqueue(encoder.encode(text));
        if (kept.hasEnded && next === kept.events.length) {
          isOpen = false;
          controller.close();
          left();
        }
      },
      cancel() {
        isOpen = false;
        left();
      },
    },
    { highWaterMark: 1 },
  );
}

/** JSON has no line breaks of its own, so each event is one `data` line. */
function encode({ name, data }: KeptEvent, id: string): string {
  const event = name === "message" ? "" : `event: ${name}\n`;
  return `id: ${id}\n${event}data: ${JSON.stringify(data)}\n\n`;
}
