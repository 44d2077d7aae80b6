import { createParser } from "eventsource-parser";
import { ranPerhaps, ServiceFailure } from "./failure.ts";

/** The largest event we take, in characters. Those of the services are far smaller. */
const largestEvent = 16 * 1024 * 1024;

/** One event of a stream, as the SSE standard frames it. */
export interface ServerEvent {
  /** The event's name; `""` where it has none. */
  readonly event: string;
  readonly data: string;
}

/** Whether a stream of events answers: gateways spell the type in their own ways, or take it for plain text. */
export function isEventStream(response: Response): boolean {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  return type === "text/event-stream" || type === "text/plain";
}

/** Takes a stream's bytes apart into events. */
class EventReader {
  readonly #decoder: InstanceType<typeof TextDecoder> = new TextDecoder();
  readonly #found: ServerEvent[] = [];
  readonly #parser: ReturnType<typeof createParser>;
  readonly #service: string;
  #isTooLarge = false;

  constructor(service: string) {
    this.#service = service;
    this.#parser = createParser({
      maxBufferSize: largestEvent,
      onEvent: ({ event = "", data }) => this.#found.push({ event, data }),
      onError: ({ type }) => {
        if (type === "max-buffer-size-exceeded") this.#isTooLarge = true;
      },
    });
  }

  /** The events that are whole with this piece. */
  read(bytes: Uint8Array): ServerEvent[] {
    return this.#feed(this.#decoder.decode(bytes, { stream: true }));
  }

  /**
   * The event that the stream ended with. The standard drops one without a blank line behind it, but services do
   * leave that out: a reader that meets half an event sees that its data is none.
   */
  end(): ServerEvent[] {
    return this.#feed(`${this.#decoder.decode()}\n\n`);
  }

  #feed(text: string): ServerEvent[] {
    this.#parser.feed(text);
    if (this.#isTooLarge) {
      throw new ServiceFailure(
        "backend-protocol",
        `${this.#service}: an event of the stream is too large`,
        ranPerhaps,
      );
    }
    return this.#found.splice(0);
  }
}

/**
 * Opens a stream of events; or returns the text of an answer that is JSON under a stream's type, as a refusal may be.
 * @param onData called with each sign of life, comments of the SSE standard included.
 */
export async function openEvents(
  body: ReadableStream<Uint8Array>,
  service: string,
  onData: () => void,
): Promise<AsyncGenerator<ServerEvent> | string> {
  const pieces = body[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let beginning = "";
  while (beginning === "") {
    const { done, value } = await pieces.next();
    if (done === true) break;
    onData();
    first.push(value);
    beginning = Buffer.concat(first)
      .toString("utf8")
      .replace(/^[\s\uFEFF]+/, "");
  }
  if (!beginning.startsWith("{")) return eventsOf(first, pieces, new EventReader(service), onData);
  for (let piece = await pieces.next(); piece.done !== true; piece = await pieces.next())
    first.push(piece.value);
  return Buffer.concat(first).toString("utf8");
}

async function* eventsOf(
  first: readonly Uint8Array[],
  rest: AsyncIterableIterator<Uint8Array>,
  reader: EventReader,
  onData: () => void,
): AsyncGenerator<ServerEvent> {
  try {
    for (const bytes of first) yield* reader.read(bytes);
    for (let piece = await rest.next(); piece.done !== true; piece = await rest.next()) {
      onData();
      yield* reader.read(piece.value);
    }
    yield* reader.end();
  } finally {
    // Whoever leaves early lets the connection go as well.
    await rest.return?.();
  }
}
