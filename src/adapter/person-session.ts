import type { SessionMapper } from "../mapper.ts";
import type { Mapping } from "../session/mapping.ts";
import type { Erasure, SessionExport } from "../session/operations.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { Message } from "../turn/message.ts";
import type { Reply } from "../turn/reply.ts";

/** The session of the person who sent a message, for a bot's own handlers. */
export interface PersonSession {
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
  rename(title: string, agent?: string): Promise<string>;
  /** Erases the session, here and at the services. */
  forget(agent?: string): Promise<Erasure>;
  /** Stops what the person asked in this place, in whichever process it runs. @returns whether there was anything */
  stop(): Promise<boolean>;
  /** All that is kept of the session; undefined where there is none. */
  export(): Promise<SessionExport | undefined>;
}

/**
 * The session of the person who sent a message, for an adapter to lend to the bot's own handlers.
 * @param message the event's id, and what was said and sent: its files go along with whatever is asked
 */
export function personSession(
  mapper: SessionMapper,
  speaker: Speaker,
  message: Pick<Message, "id" | "text" | "files">,
): PersonSession {
  let asked = 0;
  return {
    speaker,
    ask(text = message.text, agent) {
      asked += 1;
      const own = agent === undefined ? {} : { agent };
      const { id, files = [] } = message;
      return mapper.handle({ ...speaker, id: `${id}:${asked}`, text, files, ...own });
    },
    resolve: (agent) => mapper.resolve(speaker, agent),
    reset: (agent) => mapper.reset(speaker, agent),
    select: (agent) => mapper.select(speaker, agent),
    rename: (title, agent) => mapper.rename(speaker, title, agent),
    forget: (agent) => mapper.forget(speaker, agent),
    stop: () => mapper.stop(speaker),
    export: () => mapper.export(speaker),
  };
}
