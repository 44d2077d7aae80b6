import { randomUUID } from "node:crypto";
import { AparteError, type SessionMapper, type Speaker } from "aparte";
import { type PersonSession, personSession } from "aparte/adapter";
import type { BotkitMessage } from "botkit";

/** A person's session, as handlers get it. */
export type BotkitSession = PersonSession;

const sessions = new WeakMap<object, BotkitSession>();

/**
 * The session of a message that a `hears`, `on` or `interrupts` handler got.
 * @throws {AparteError} `input-invalid` for a message without a person, or of a controller without the plugin.
 */
export function getSession(message: BotkitMessage): BotkitSession {
  const session = sessions.get(message);
  if (session !== undefined) return session;
  throw new AparteError("input-invalid", "This message has no session: it names no person.", {
    field: "message",
  });
}

export function hasSession(message: BotkitMessage): boolean {
  return sessions.has(message);
}

/** Names the event. Adapters without ids of their own may let the client give one, which binds only its own events. */
export function eventId(message: BotkitMessage): string {
  const { id } = message.incoming_message;
  if (typeof id === "string" && id !== "") return id;
  const own: unknown = message.id;
  return typeof own === "string" && own !== "" ? own : randomUUID();
}

export function giveSession(message: BotkitMessage, speaker: Speaker, mapper: SessionMapper): void {
  const session = personSession(mapper, speaker, { id: eventId(message), text: message.text ?? "" });
  sessions.set(message, session);
  // A client may have sent a field of this name.
  message.session = session;
}
