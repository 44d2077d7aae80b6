import { createParser } from "eventsource-parser";
import { SonaopsFailure } from "./failure.ts";
import type { SonaopsFrame } from "./reader.ts";

/** The largest event we take, in characters. */
const largestEvent = 16 * 1024 * 1024;

/**
 * The events of a stream.
 * @param onData called with each sign of life, comments of the SSE standard included.
 */
export async function* framesOf(
  body: ReadableStream<Uint8Array>,
  onData: () => void,
): AsyncGenerator<SonaopsFrame> {
  const waiting: SonaopsFrame[] = [];
  let isTooLarge = false;
  const parser = createParser({
    maxBufferSize: largestEvent,
    onEvent: ({ event = "", data }) => waiting.push({ event, data }),
    onError: ({ type }) => {
      if (type === "max-buffer-size-exceeded") isTooLarge = true;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    onData();
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* waiting.splice(0);
    if (isTooLarge) {
      const certainty = { mayHaveRun: true, isPassing: false };
      throw new SonaopsFailure("backend-protocol", "an event of the stream is too large", certainty);
    }
  }
}
