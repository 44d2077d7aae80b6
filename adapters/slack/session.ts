import { randomUUID } from "node:crypto";
import type { AllMiddlewareArgs, AnyMiddlewareArgs } from "@slack/bolt";
import type { SessionMapper, Speaker } from "aparte";
import { type PersonSession, personSession } from "aparte/adapter";

/** The session of the person who did what Slack tells of. Of what is asked here Slack is told nothing: the reply is the caller's to show. */
export type SlackSession = PersonSession;

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
): SessionMiddleware {
  return async ({ body, context, next }) => {
    const speaker = await speakerOf(body);
    if (speaker !== undefined) {
      context.session = personSession(mapper, speaker, { id: randomUUID(), text: textOf(body) });
    }
    await next();
  };
}

/** What was said, of an event or a slash command. */
function textOf(body: object): string {
  const { event, text } = body as { readonly event?: { readonly text?: string }; readonly text?: string };
  return event?.text ?? text ?? "";
}
