import { randomUUID } from "node:crypto";
import type { AllMiddlewareArgs, AnyMiddlewareArgs } from "@slack/bolt";
import type { Mapping, Reply, SessionMapper, Speaker } from "aparte";

/** The session of the person who did what Slack tells of. */
export interface SlackSession {
  readonly speaker: Speaker;
  /** Asks the person's agent, in the session's lane. Slack is told nothing: the reply is the caller's to show. */
  ask(text: string): Reply;
  /** The session's name, its conversation and its access token. */
  resolve(agent?: string): Promise<Mapping>;
  /** Lets the agent forget what was said. */
  reset(agent?: string): Promise<void>;
  /** Gives the conversation a name. */
  rename(title: string, agent?: string): Promise<void>;
  /** Stops what this process is answering the person in this place. @returns whether there was anything */
  stop(): boolean;
}

/** What {@link SlackAdapter.session} adds to Bolt's context: `new App<SlackContext>(…)`. */
export interface SlackContext {
  /** Undefined where Slack names no person. */
  session?: SlackSession;
}

/** A global middleware of Bolt. */
export type SessionMiddleware = (args: AnyMiddlewareArgs & AllMiddlewareArgs) => Promise<void>;

/** @param speakerOf who is behind a body */
export function sessionMiddleware(
  mapper: SessionMapper,
  speakerOf: (body: object) => Promise<Speaker | undefined>,
  stop: (speaker: Speaker) => boolean,
): SessionMiddleware {
  return async ({ body, context, next }) => {
    const speaker = await speakerOf(body);
    if (speaker !== undefined) {
      const session: SlackSession = {
        speaker,
        ask: (text) => mapper.handle({ ...speaker, id: randomUUID(), text }),
        resolve: (agent) => mapper.resolve(speaker, agent),
        reset: (agent) => mapper.reset(speaker, agent),
        rename: (title, agent) => mapper.rename(speaker, title, agent),
        stop: () => stop(speaker),
      };
      context.session = session;
    }
    await next();
  };
}
