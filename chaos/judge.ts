import type { AgentMemory } from "./agent-memory.ts";
import type { Death } from "./bots.ts";
import type { Ledger, Said } from "./ledger.ts";
import { type Outcome, outcomes } from "./outcome.ts";
import { leaseMs } from "./settings.ts";
import type { Troubles } from "./store-faults.ts";
import { storyTeller } from "./story.ts";

/** One line of the report. */
export interface Count {
  readonly name: string;
  readonly count: number;
  /** It breaks a promise that there are any. */
  readonly isBroken?: boolean;
  /** What it was, for people to look into. */
  readonly cases?: readonly string[];
}

/** What a process may need to note where it posted while its store is whole, in milliseconds. */
const notingMs = 1_000;

/** How long before it hears that it was taken for dead a process could note nothing: its lease, and two signs of life. */
const deafMs = (leaseMs * 5) / 3;

/** How long a call of a process may be on its way when the process has ended, in milliseconds. */
const arrivalMs = 500;

/** Counts what was promised, and what was not kept. */
export function judge(
  ledger: Ledger,
  memory: AgentMemory,
  deaths: readonly Death[],
  troubles: Troubles,
): Count[] {
  const all = outcomes(ledger, memory.answers);
  const accepted = all.filter(isAccepted);
  const refused = all.filter(isRefused);
  const delivered = all.filter(({ isWhole }) => isWhole);
  const twice = all.filter(({ isTwice }) => isTwice);
  const excused = new Set(twice.filter((outcome) => isExcused(outcome, deaths, troubles)));
  const swallowed = new Set(twice.filter((outcome) => !excused.has(outcome) && isSwallowed(outcome)));
  const story = storyTeller(deaths);
  const toldAgain = accepted.filter(
    ({ said, isWhole, told }) => said.takenAt !== undefined && !isWhole && told !== undefined,
  );
  const toldInVain = all.filter((outcome) => isToldInVain(outcome, deaths));
  const timesAsked = ({ said }: Outcome) => memory.asked.get(said.word)?.length ?? 0;
  const firstAsk = ({ said }: Outcome) => memory.asked.get(said.word)?.[0] ?? Number.NaN;
  const count = (name: string, found: readonly unknown[]): Count => ({ name, count: found.length });
  const never = (name: string, found: readonly Outcome[]) => neverListed(name, found.map(story));
  const neverOvertaken = (name: string, isBefore: (a: Outcome, b: Outcome) => boolean) => {
    const found = overtakings(all, isBefore);
    const tell = ({ early, late }: Overtaking) => `${story(late)}\n    overtook ${story(early)}`;
    return neverListed(name, found.map(tell));
  };
  return [
    count("accepted", accepted),
    count(
      "asked",
      all.filter((outcome) => timesAsked(outcome) > 0),
    ),
    never(
      "asked twice",
      all.filter((outcome) => timesAsked(outcome) > 1),
    ),
    count(
      "answered",
      all.filter(({ said }) => memory.answers.has(said.word)),
    ),
    count("delivered", delivered),
    never(
      "delivered twice",
      twice.filter((outcome) => !excused.has(outcome) && !swallowed.has(outcome)),
    ),
    listed("delivered twice, death or outage between storing and noting", [...excused].map(story)),
    listed(
      "delivered twice, stored by a platform without marks that did not say so",
      [...swallowed].map(story),
    ),
    listed("shown late by a bot that had frozen, or was taken for dead", ledger.stale),
    neverOvertaken("asked out of order", (early, late) => firstAsk(early) > firstAsk(late)),
    neverOvertaken("delivered out of order", ({ ended }, { begun }) => (ended ?? 0) > (begun ?? Infinity)),
    neverListed("mixed in replies", ledger.mixed),
    neverListed("mixed in the agent's memory", memory.mixed),
    neverListed(
      "people in two conversations",
      memory.split.map((person) => `person ${person}`),
    ),
    neverListed("sessions with two conversations", memory.openedTwice),
    never(
      "accepted and told to send again",
      toldAgain.filter((outcome) => !isTakenBack(outcome)),
    ),
    listed(
      "taken back and told so, while another bot saw it taken",
      toldAgain.filter(isTakenBack).map(story),
    ),
    never(
      "answered and told that it failed",
      toldInVain.filter((outcome) => !couldNotTakeBack(outcome, deaths)),
    ),
    listed(
      "answered, and told by a bot that died before it could take it back",
      toldInVain.filter((outcome) => couldNotTakeBack(outcome, deaths)).map(story),
    ),
    never("accepted and neither answered nor told", accepted.filter(isOpen)),
    count(
      "refused by all bots that heard of it, and told",
      refused.filter(({ told }) => told !== undefined),
    ),
    count(
      "refused by all bots that heard of it, not told",
      refused.filter(({ told }) => told === undefined),
    ),
    ...[...new Set(all.map(({ said }) => said.person.platform))].map((platform) => {
      const found = delivered.filter(({ said }) => said.person.platform === platform);
      // Where nothing was delivered at all, nothing was proven.
      return { ...count(`delivered on ${platform}`, found), isBroken: found.length === 0 };
    }),
    count(
      "delivered in several posts",
      delivered.filter(({ posts }) => posts.length > 1),
    ),
  ];
}

/** Whether there is an accepted message that is neither answered nor told about. */
export function hasOpen(ledger: Ledger, memory: AgentMemory): boolean {
  return outcomes(ledger, memory.answers).some((outcome) => isAccepted(outcome) && isOpen(outcome));
}

function listed(name: string, cases: readonly string[]): Count {
  return { name, count: cases.length, cases };
}

function neverListed(name: string, cases: readonly string[]): Count {
  return { ...listed(name, cases), isBroken: cases.length > 0 };
}

/** A bot has taken it, or the platform was told that it need not send it again. */
function isAccepted({ said }: Outcome): boolean {
  return said.acceptedAt !== undefined;
}

function isOpen({ isWhole, told }: Outcome): boolean {
  return !isWhole && told === undefined;
}

function isRefused({ said, isWhole }: Outcome): boolean {
  return said.refusers.size > 0 && said.takenAt === undefined && !isWhole;
}

/**
 * The answer is there, and so is the news that there is none. A bot that could not reach the store may say so when
 * another one, which the platform told as well, has taken the message.
 */
function isToldInVain(outcome: Outcome, deaths: readonly Death[]): boolean {
  const { said, isWhole, told, toldAt = 0 } = outcome;
  // What it sent last may arrive after its end, and that it refused is told when its person was.
  const isJustDead = ({ at }: Death) => at >= toldAt - arrivalMs && at <= toldAt + arrivalMs;
  const isRefused = deaths.some((death) => isRefuser(outcome, death.bot) && isJustDead(death));
  return (
    isWhole && told !== undefined && !(said.takenAt !== undefined && (said.refusers.size > 0 || isRefused))
  );
}

/** Whether a bot refused it: one that died before it could say so is known by its words. */
function isRefuser({ said, toldBy }: Outcome, bot: number): boolean {
  return said.refusers.has(bot) || (bot === toldBy && !said.takers.has(bot));
}

/**
 * A bot gave up taking it, since the store did not answer, and told so; the store had done it, and the bot died before
 * it could take that back.
 */
function couldNotTakeBack(outcome: Outcome, deaths: readonly Death[]): boolean {
  const { said, begun = Infinity } = outcome;
  return deaths.some(({ bot, at }) => isRefuser(outcome, bot) && at >= said.sentAt && at <= begun);
}

/**
 * A bot gave up taking it, since the store did not answer, and took it back from where it stood all the same. Whoever
 * got the message meanwhile saw it taken.
 */
function isTakenBack({ said }: Outcome): boolean {
  return said.refusers.size > 0 && said.takers.size === 0;
}

/** A message that was served before one of the same person that had been taken before it was sent. */
interface Overtaking {
  readonly early: Outcome;
  readonly late: Outcome;
}

function overtakings(
  all: readonly Outcome[],
  isBefore: (early: Outcome, late: Outcome) => boolean,
): Overtaking[] {
  const byPerson = new Map<number, Outcome[]>();
  for (const outcome of all) {
    const { number } = outcome.said.person;
    byPerson.set(number, [...(byPerson.get(number) ?? []), outcome]);
  }
  return [...byPerson.values()].flatMap((list) =>
    list.flatMap((late, index) => {
      const early = list.slice(0, index).find((one) => {
        const { takenAt } = one.said;
        return takenAt !== undefined && takenAt <= late.said.sentAt && isBefore(one, late);
      });
      return early === undefined ? [] : [{ early, late }];
    }),
  );
}

/**
 * Whether a process that posted a part of this could not note that before another one went on, or itself after it
 * was started again, since it died or the store was away. Where posts bear a mark that is no excuse.
 */
function isExcused({ said, posts }: Outcome, deaths: readonly Death[], troubles: Troubles): boolean {
  if (hasMarks(said)) return false;
  return posts.some(({ bot, createdAt }, index) =>
    posts.slice(index + 1).some((again) => {
      // What a process sent last may arrive after its end.
      const isBetween = ({ at }: Death) => at >= createdAt - arrivalMs && at <= again.createdAt;
      const death = deaths.find((one) => one.bot === bot && isBetween(one));
      if (death === undefined && again.bot === bot) return false;
      const { at, isBuried } = death ?? { at: again.createdAt };
      return troubles.healthy(bot, createdAt, isBuried ? at - deafMs : at) < notingMs;
    }),
  );
}

/** The platform stored a post and did not say so, and nothing tells afterwards that it is there. */
function isSwallowed({ said, posts }: Outcome): boolean {
  return !hasMarks(said) && posts.some(({ isLost }) => isLost);
}

/** Whether the platform tells later which message a post answers: Slack's streams, in threads, do not. */
function hasMarks({ person: { platform, isDirect } }: Said): boolean {
  return platform !== "plain" && (platform !== "slack" || isDirect);
}
