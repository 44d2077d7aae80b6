import type { Call } from "./protocol.ts";

/** Where a running chat tells what happens. */
export interface Sink {
  emit(event: string, data: unknown): void;
  /** Breaks the connection; what is emitted after it is heard by nobody. */
  cut(): void;
  /** The chat is over: nothing more comes. */
  end(): void;
}

/** For a chat that is polled: nobody listens. */
export const silent: Sink = { emit: () => {}, cut: () => {}, end: () => {} };

/**
 * An event stream, with what the request's fault does to it. As it is captured from the service, `/v3/chat` writes no
 * blank behind the colons, and a chatflow does; they differ in their last event, too.
 */
export function openStream(
  call: Call,
  { blank = "", done = "[DONE]" }: { readonly blank?: string; readonly done?: unknown } = {},
): { readonly sink: Sink; readonly response: Response } {
  const { cut, hangAfter, errorEvent } = call.fault;
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let events = 0;
  const body = new ReadableStream<Uint8Array>({
    start(started) {
      controller = started;
    },
    cancel() {
      controller = undefined;
    },
  });
  const breakOff = () => {
    controller = undefined;
    call.cut();
  };
  const breakByError = () => {
    if (events !== errorEvent?.after) return;
    controller?.enqueue(encoder.encode(`event:error\ndata:${errorEvent.data}\n\n`));
    controller?.close();
    controller = undefined;
  };
  const emit = (event: string, data: unknown) => {
    if (hangAfter !== undefined && events >= hangAfter) return;
    controller?.enqueue(encoder.encode(`event:${blank}${event}\ndata:${blank}${JSON.stringify(data)}\n\n`));
    events += 1;
    if (events === cut) breakOff();
    breakByError();
  };
  breakByError();
  if (cut === 0) breakOff();
  return {
    sink: {
      emit,
      cut: breakOff,
      end() {
        emit("done", done);
        if (hangAfter === undefined || events < hangAfter) controller?.close();
        controller = undefined;
      },
    },
    response: new Response(body, { headers: { "content-type": "text/event-stream" } }),
  };
}
