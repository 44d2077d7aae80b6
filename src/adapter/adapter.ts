import type { JsonValue } from "../backends/backend.ts";
import type { Message, Reply } from "../turn/message.ts";

/**
 * Code that turns one chat platform's events into messages, and replies into that platform's messages.
 *
 * An adapter registers itself with `mapper.connect(adapter)` and hands every message to
 * `mapper.receive(message)`. The mapper calls `deliver` when the turn runs; usually in the same process, but
 * in another one if the first has died. So `deliver` works from the message alone, above all from
 * `message.replyTo`.
 */
export interface Adapter {
  /** The platform's name: the `platform` of its speakers. */
  readonly platform: string;
  /**
   * Shows a reply to the person and resolves when all of it is on the platform. The lane's next turn runs only
   * then, so replies stay in order. Looks at {@link Reply.held} directly before every send, and sends nothing
   * more once it is false. Where an earlier process died over the reply, {@link Reply.earlierPost} and
   * {@link Reply.isResumed} tell of what it may have sent. Reading the reply throws an {@link AparteError} when
   * the turn failed: its `say` is for the person.
   */
  deliver(message: Message, reply: Reply): Promise<void>;
  /** Loads a file again from its `ref`, for a turn whose process died. */
  loadFile?(ref: JsonValue, signal: AbortSignal): Promise<Uint8Array>;
}
