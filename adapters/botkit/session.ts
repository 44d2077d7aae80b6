import { randomUUID } from "node:crypto";
import {
  AparteError,
  type Mapping,
  type Reply,
  type SessionExport,
  type SessionMapper,
  type Speaker,
} from "aparte";
import type { BotkitMessage } from "botkit";

/** The session of the person who sent a message, for handlers and dialogs. */
export interface BotkitSession {
  readonly speaker: Speaker;
  /**
   * Asks the agent in the person's conversation, in order with all else they say. The same message that is
   * delivered twice is not asked twice.
   * @param text in place of the message's own
   * @param agent in place of the one that the person talks to
   */
  ask(text?: string, agent?: string): Reply;
  /** The conversation's ids and token, for code that calls the service itself. */
  resolve(agent?: string): Promise<Mapping>;
  reset(agent?: string): Promise<void>;
  select(agent: string): Promise<void>;
  rename(title: string, agent?: string): Promise<void>;
  /** Erases the session, here and at the services. */
  forget(): Promise<void>;
  /** All that is kept of the session; undefined where there is none. */
  export(): Promise<SessionExport | undefined>;
}

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
  const id = eventId(message);
  let asked = 0;
  const session: BotkitSession = {
    speaker,
    ask(text = message.text ?? "", agent) {
      asked += 1;
      const own = agent === undefined ? {} : { agent };
      return mapper.handle({ ...speaker, id: `${id}:${asked}`, text, ...own });
    },
    resolve: (agent) => mapper.resolve(speaker, agent),
    reset: (agent) => mapper.reset(speaker, agent),
    select: (agent) => mapper.select(speaker, agent),
    rename: (title, agent) => mapper.rename(speaker, title, agent),
    forget: () => mapper.forget(speaker),
    export: () => mapper.export(speaker),
  };
  sessions.set(message, session);
  // A client may have sent a field of this name.
  message.session = session;
}
