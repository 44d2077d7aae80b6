import type { JsonValue } from "../json.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { Delivery } from "../turn/delivery.ts";
import type { Message } from "../turn/message.ts";

/** What an adapter reads in a failure of its platform. */
export interface DeliveryFailure {
  /** False: the platform will never take the answer (no such channel, no permission …). True: it may, later. */
  readonly passes: boolean;
  /** When it may be tried again, where the platform says so, in milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
  /** The platform's own code for it, for the log: no words of anybody. */
  readonly reason?: string;
}

/** A message with where its reply goes, as the adapter put it there. */
export type AddressedMessage<ReplyTo> = unknown extends ReplyTo
  ? Message
  : Omit<Message, "replyTo"> & { readonly replyTo: ReplyTo };

/**
 * Code that turns one chat platform's events into messages, and replies into that platform's messages.
 *
 * An adapter registers itself with `mapper.connect(adapter)` and hands every message to
 * `mapper.receive(message)`. The mapper calls `deliver` when the turn is taken; usually in the same process, but
 * in another one if the first has died. So `deliver` works from the message alone, above all from
 * `message.replyTo`, which the adapter writes (it must survive JSON) and reads.
 */
export interface Adapter<ReplyTo = unknown> {
  /** The platform's name: the `platform` of its speakers. */
  readonly platform: string;
  /** The application that it speaks for: the `bot` of its speakers. Several bots of one platform have an adapter each. */
  readonly bot?: string;
  /**
   * Shows a reply to the person, as it comes, and resolves when all of it is on the platform. The lane's next turn runs
   * only then, so replies stay in order. Awaits {@link Delivery.permit} directly before every call to the platform, and
   * tells {@link Delivery.posted} what stands there.
   *
   * Throws what the platform failed with. When and whether the reply is delivered again is the mapper's: it calls
   * `deliver` anew, also in another process, with the whole reply and what was posted by then.
   */
  deliver(message: AddressedMessage<ReplyTo>, delivery: Delivery): Promise<void>;
  /**
   * Where something is posted for a speaker who has not just spoken: the `replyTo` of a message to them. Undefined where
   * the speaker's fields do not tell; without it, who sends something has to say where.
   */
  address?(speaker: Speaker): JsonValue | undefined | Promise<JsonValue | undefined>;
  /** What a failure that `deliver` threw means. @default it passes */
  failure?(error: unknown): DeliveryFailure;
  /**
   * Reads a message again whose turn has waited: what its person made of it meanwhile is what is asked. Undefined when
   * they took it back: nothing is asked, and nothing is said. Where it fails, or takes longer than five seconds, the
   * message is asked as it came.
   */
  reread?(
    message: AddressedMessage<ReplyTo>,
    signal: AbortSignal,
  ): Promise<Pick<Message, "text" | "files"> | undefined>;
  /** Loads a file again from its `ref`, for a turn whose process died. */
  loadFile?(ref: JsonValue, signal: AbortSignal): Promise<Uint8Array>;
}
