import type { SessionExport, SessionMapper, SessionSummary, Speaker } from "aparte";
import type { Texts } from "aparte/adapter";
import { platform } from "./speaker.ts";

/**
 * The sessions of an installation's people: those that the app itself names (a scope function, `identify`) are left out.
 * @param of whom, where it is not everybody
 */
export async function* sessionsOf(
  mapper: SessionMapper,
  { bot, tenant }: Pick<Speaker, "bot" | "tenant">,
  of: Partial<Pick<Speaker, "user">> = {},
): AsyncGenerator<SessionSummary> {
  for await (const session of mapper.sessions({ platform, ...of })) {
    const { speaker } = session;
    const isNamed = speaker.key !== undefined || speaker.identity !== undefined;
    if (!isNamed && speaker.bot === bot && speaker.tenant === tenant) yield session;
  }
}

/**
 * Of whom something may be kept in one installation: the person here and in private, and all sessions of theirs that the
 * store has, by their names.
 */
export async function keptOf(mapper: SessionMapper, here: Speaker): Promise<(Speaker | string)[]> {
  const kept: (Speaker | string)[] = [here, { ...here, direct: true }];
  for await (const { sessionName } of sessionsOf(mapper, here, { user: here.user })) kept.push(sessionName);
  return kept;
}

/** One line on what is kept of one session. */
export function keptLine(
  { speaker, agent, conversations, earlier, messages }: SessionExport,
  texts: Texts,
): string {
  const shared =
    speaker.channel === undefined
      ? texts("kept-channels")
      : texts("kept-channel", { channel: `<#${speaker.channel}>` });
  const place = speaker.direct === undefined ? shared : texts("kept-direct");
  const talks = Object.keys({ ...earlier, ...conversations }).map((name) => {
    const count = messages[name]?.length;
    return count === undefined
      ? texts("kept-conversation", { agent: name })
      : texts("kept-messages", { agent: name, count });
  });
  const chosen = agent === undefined ? [] : [texts("kept-choice", { agent })];
  return `- ${place}: ${[talks.join(", "), ...chosen].filter((part) => part !== "").join("; ") || texts("kept-line")}`;
}
