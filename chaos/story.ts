import type { Death } from "./bots.ts";
import { seconds } from "./clock.ts";
import type { Shown } from "./ledger.ts";
import type { Outcome } from "./outcome.ts";

/** Tells all that is known of a message, for somebody who looks into a broken promise. */
export function storyTeller(deaths: readonly Death[]): (outcome: Outcome) => string {
  return ({ said, posts, told, isWhole, ended = said.sentAt + 10_000 }) => {
    const { word, person, history } = said;
    const died = deaths
      .filter(({ at }) => at >= said.sentAt && at <= ended)
      .map(({ bot, at, until, isBuried }) =>
        isBuried
          ? `bot ${bot} hears at ${seconds(at)} that it was taken for dead`
          : until === undefined
            ? `bot ${bot} is killed at ${seconds(at)}`
            : `bot ${bot} is frozen from ${seconds(at)} to ${seconds(until)}`,
      );
    const lines = [
      ...history,
      ...died,
      ...posts.map(post),
      ...(told === undefined ? [] : [`told: ${told.slice(-120)}`]),
      isWhole ? "the whole answer is shown" : "the answer is not shown",
    ];
    return [`${word} on ${person.platform}${person.isDirect ? ", direct" : ""}`, ...lines].join("\n      ");
  };
}

function post({ id, bot, createdAt, changedAt, changedBy, text }: Shown): string {
  const made = `${id} by bot ${bot} at ${seconds(createdAt)}`;
  const changed = `last changed by bot ${changedBy} at ${seconds(changedAt)}`;
  return `${made}, ${changed}, ${text.length} characters: ${text.slice(0, 50).replace(/\s+/g, " ")}`;
}
