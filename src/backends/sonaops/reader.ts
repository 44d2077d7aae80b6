import type { ServerEvent } from "../http/events.ts";
import { type Fields, fieldsOf, numberOf, parsed, textOf } from "../http/json.ts";

/** One event of the stream, as the SSE standard frames it. `event` is `""` where it has no name. */
export type SonaopsFrame = ServerEvent;

/** What one event means for the reply. */
export type SonaopsReading =
  /** More of the answer. */
  | { readonly type: "text"; readonly delta: string }
  /** The whole answer so far. Takes the place of all that came before. */
  | { readonly type: "message"; readonly text: string }
  /** The service has kept the turn: without this, a stream that ends was cut. */
  | { readonly type: "saved"; readonly messageId?: string }
  /** The stream is over, though the connection may stay open. */
  | { readonly type: "end" }
  /** The service tells of a failure, with the members of its JSON envelope. */
  | { readonly type: "failed"; readonly message: string; readonly code?: number; readonly traceId?: string }
  | { readonly type: "ignore" };

/** Reads the stream's events. Called once for each, in order. */
export type SonaopsReader = (frame: SonaopsFrame) => SonaopsReading;

/**
 * The reader for a stream of JSON events. Only `message_saved` is public knowledge; the rest is inferred: the
 * answer's next piece is the text at `textPath`, `[DONE]` ends the stream, and the JSON envelope of a refusal, or an
 * event called `error`, is a failure. Whatever else comes is ignored.
 * @param textPath names joined by dots, e.g. `"data.text"`.
 */
export function sonaopsReader(textPath: string): SonaopsReader {
  const path = textPath.split(".");
  return ({ event, data }) => {
    if (data.trim() === "[DONE]") return { type: "end" };
    const fields = fieldsOf(parsed(data));
    // Some services name the event inside the data instead.
    const name = event || textOf(fields.event) || textOf(fields.type) || "";
    if (name === "message_saved") {
      const messageId = textOf(fields.messageId) ?? textOf(fieldsOf(fields.data).messageId);
      return { type: "saved", ...(messageId === undefined ? {} : { messageId }) };
    }
    if (name === "error" || fields.success === false) return failed(fields);
    const delta = textAt(fields, path);
    return delta === undefined || delta === "" ? { type: "ignore" } : { type: "text", delta };
  };
}

function failed(fields: Fields): SonaopsReading {
  const traceId = textOf(fields.traceId);
  const code = numberOf(fields.code);
  return {
    type: "failed",
    message: textOf(fields.message) ?? "",
    ...(code === undefined ? {} : { code }),
    ...(traceId === undefined ? {} : { traceId }),
  };
}

function textAt(fields: Fields, path: readonly string[]): string | undefined {
  return textOf(path.reduce<unknown>((value, name) => fieldsOf(value)[name], fields));
}
