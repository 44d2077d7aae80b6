import type { SessionExport, SessionMapper, SessionSummary, Speaker } from "aparte";

/**
 * Where something may be kept of a person in one installation: here, in private, and in all sessions of theirs that the
 * store has. Those that the app itself names (a scope function, `identify`) are known here alone.
 */
export async function placesOf(mapper: SessionMapper, here: Speaker): Promise<Speaker[]> {
  const places = here.direct === true ? [here] : [here, { ...here, direct: true }];
  for await (const session of mapper.sessions()) {
    const speaker = ownSpeaker(session, here);
    if (speaker !== undefined) places.push(speaker);
  }
  return places;
}

/** Who a session is of, if it is the person's. */
function ownSpeaker({ speaker }: SessionSummary, here: Speaker): Speaker | undefined {
  const { platform, user } = here;
  const { key, identity, direct, scope, ...place } = speaker;
  const isOwn = (["platform", "bot", "tenant", "user"] as const).every((part) => place[part] === here[part]);
  if (!isOwn || key !== undefined || identity !== undefined) return undefined;
  return {
    ...{ ...place, platform, user },
    ...(direct === undefined ? {} : { direct: true }),
    ...(scope === "user-in-thread" ? { scope } : {}),
  };
}

/** One line on what is kept of one session. */
export function keptLine({ speaker, agent, conversations, messages }: SessionExport): string {
  const place =
    speaker.direct !== undefined
      ? "in private"
      : speaker.channel === undefined
        ? "in channels"
        : `in <#${speaker.channel}>`;
  const talks = Object.keys(conversations).map((name) => {
    const count = messages[name]?.length;
    return `a conversation with ${name}${count === undefined ? "" : ` (${count} messages)`}`;
  });
  const chosen = agent === undefined ? [] : [`you chose ${agent}`];
  return `- ${place}: ${[talks.join(", "), ...chosen].filter((part) => part !== "").join("; ") || "your place in line"}`;
}
