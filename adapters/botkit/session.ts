import { randomUUID } from "node:crypto";
import { AparteError, type FileInput, type SessionMapper, type Speaker } from "aparte";
import { type PersonSession, personSession } from "aparte/adapter";
import type { BotkitMessage } from "botkit";

/** A person's session, as handlers get it. */
export interface BotkitSession extends PersonSession {
  /**
   * What the agent answers to the message, asked once for all handlers.
   * @throws {AparteError} what the turn failed with
   */
  answer(): Promise<string>;
}

/** The answers that handlers asked for. */
const answers = new WeakMap<object, Promise<string>>();

/** Undefined where no handler asked for it. */
export function answerOf(message: BotkitMessage): Promise<string> | undefined {
  return answers.get(message);
}

/**
 * For `controller.hears`: hears what the agent answers in place of what the person said. The agent is asked once for
 * all such handlers; where none takes the message, the answer is shown.
 * @param patterns words, in any case, or regular expressions, whose match is the message's `matches`
 */
export function agentSays(
  ...patterns: readonly (string | RegExp)[]
): (message: BotkitMessage) => Promise<boolean> {
  return async (message) => {
    const answer = await getSession(message).answer();
    return patterns.some((pattern) => {
      if (typeof pattern === "string") return answer.toLowerCase().includes(pattern.toLowerCase());
      const matches = answer.match(pattern);
      if (matches !== null) message.matches = matches;
      return matches !== null;
    });
  };
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

/**
 * Names the event. Where the activity does not, Facebook's and Twilio's adapters have left the platform's own name in the
 * message, and others may let the client give one, which binds only its own events.
 */
export function eventId(message: BotkitMessage): string {
  const names: unknown[] = [message.incoming_message.id, message.id, message.mid, message.MessageSid];
  return (
    (names.find((name) => typeof name === "string" && name !== "") as string | undefined) ?? randomUUID()
  );
}

export function giveSession(
  message: BotkitMessage,
  speaker: Speaker,
  mapper: SessionMapper,
  files: readonly FileInput[],
): void {
  const person = personSession(mapper, speaker, { id: eventId(message), text: message.text ?? "", files });
  const session: BotkitSession = {
    ...person,
    answer() {
      const asked = answers.get(message) ?? person.ask().text();
      answers.set(message, asked);
      return asked;
    },
  };
  sessions.set(message, session);
  // A client may have sent a field of this name.
  message.session = session;
}
