import type { SessionExport, SessionMapper, SessionSummary, Speaker } from "aparte";
import type { Texts } from "aparte/adapter";
import { platform } from "./speaker.ts";

/**
 * Where something may be kept of a person in one installation: here, in private, and in all sessions of theirs that the
 * store has. Those that the app itself names (a scope function, `identify`) are known here alone.
 */
export async function placesOf(mapper: SessionMapper, here: Speaker): Promise<Speaker[]> {
  const places = here.direct === true ? [here] : [here, { ...here, direct: true }];
  for await (const session of mapper.sessions()) {
    if (session.speaker.user === here.user && isOf(session, here)) places.push(speakerOf(session));
  }
  return places;
}

/** Erases all that is kept of the people of an installation, and of its channels. */
export async function eraseAll(mapper: SessionMapper, installed: Omit<Speaker, "user">): Promise<void> {
  for await (const session of mapper.sessions()) {
    if (isOf(session, installed)) await mapper.forget(speakerOf(session));
  }
}

/** Whether a session belongs to an installation, and is not named by the app itself. */
function isOf({ speaker }: SessionSummary, { platform, bot, tenant }: Omit<Speaker, "user">): boolean {
  const isNamed = speaker.key !== undefined || speaker.identity !== undefined;
  return !isNamed && speaker.platform === platform && speaker.bot === bot && speaker.tenant === tenant;
}

/** Whoever the session is of. */
function speakerOf({ speaker }: SessionSummary): Speaker {
  const { direct, scope, key: _, identity: __, ...place } = speaker;
  return {
    // Anybody, where all who are in a place share a session.
    ...place,
    platform,
    user: place.user ?? "anybody",
    ...(direct === undefined ? {} : { direct: true }),
    ...(scope === "user-in-thread" ? { scope } : {}),
  };
}

/** One line on what is kept of one session. */
export function keptLine({ speaker, agent, conversations, messages }: SessionExport, texts: Texts): string {
  const shared =
    speaker.channel === undefined
      ? texts("kept-channels")
      : texts("kept-channel", { channel: `<#${speaker.channel}>` });
  const place = speaker.direct === undefined ? shared : texts("kept-direct");
  const talks = Object.keys(conversations).map((name) => {
    const count = messages[name]?.length;
    return count === undefined
      ? texts("kept-conversation", { agent: name })
      : texts("kept-messages", { agent: name, count });
  });
  const chosen = agent === undefined ? [] : [texts("kept-choice", { agent })];
  return `- ${place}: ${[talks.join(", "), ...chosen].filter((part) => part !== "").join("; ") || texts("kept-line")}`;
}
