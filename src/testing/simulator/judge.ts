import type { Heard } from "./agent.ts";
import { type Server, usualMs } from "./link.ts";
import { type Post, toldPrefix } from "./platform.ts";
import type { Schedule } from "./schedule.ts";

/** Which promise was broken. */
export type ViolationKind =
  /** The agent got the same words twice. */
  | "asked-twice"
  /** The agent got words of a conversation, or was told to forget it, while it worked on others of it. */
  | "asked-at-once"
  /** Words of one person came to another, or into another's conversation. */
  | "mixed"
  /** One person has several conversations. */
  | "conversation-split"
  /** What was said later was asked or answered earlier. */
  | "out-of-order"
  /** An answer stands on the platform twice. */
  | "delivered-twice"
  /** A message was accepted, and neither answered nor was the person told. */
  | "lost"
  /** A message was accepted, and the person told to send it again, though the service could be asked. */
  | "told-to-send-again"
  /** A person was told that a turn was stopped, and has not wanted it since they said it. */
  | "stopped-unasked"
  /** An operation never ended, though its process lived. */
  | "operation-hung"
  /** A message was answered, and the process that was told of it said that it was not taken. */
  | "answered-and-told";

/** A promise that a simulated run broke. */
export interface Violation {
  readonly kind: ViolationKind;
  /** For people: which words, and where. */
  readonly what: string;
}

/** One message, as the platform knows it. */
export interface SaidEvent {
  readonly word: string;
  readonly person: number;
  /** When a process was first told of it. */
  readonly at: number;
  /** When a process said that it will be answered. */
  acceptedAt: number | undefined;
  /** Whether a process said that it was taken before. */
  isKnown: boolean;
  /** Whether a process said that it could not be taken. */
  isRefused: boolean;
  /** How often processes were told of it. */
  times: number;
}

/** Something that was done with a person's session, beside its messages. */
export interface Operation {
  readonly what: "reset" | "stop";
  readonly person: string;
  readonly at: number;
  /** Whether it has ended, or died with its process. */
  readonly hasEnded: () => boolean;
  /** Infinite where nobody heard of its end. */
  readonly endedAt: () => number;
}

/** What stands at the end: at the agent, on the platform, and what was promised. */
export interface Evidence {
  readonly schedule: Schedule;
  readonly said: readonly SaidEvent[];
  readonly heard: readonly Heard[];
  /** The session of each conversation. */
  readonly conversations: ReadonlyMap<string, string>;
  readonly posts: readonly Post[];
  /** Which words were to be answered with others, by these. */
  readonly carriers: ReadonlyMap<string, ReadonlySet<string>>;
  /** When the agent was told to forget a conversation. */
  readonly clears: readonly { readonly conversation: string; readonly at: number }[];
  readonly operations: readonly Operation[];
  /** Which owners had the turn of a word. */
  readonly owners: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Whether all that was accepted is answered, or the person told of it. */
export function isSettled(evidence: Evidence): boolean {
  return evidence.said.every((event) => !isTaken(event, evidence) || isAnswered(event, evidence));
}

/**
 * Whether a process said that it will be answered, or that another one has said so. That other one may have had to take
 * it back since: it tells first, where the platform lets it.
 */
function isTaken({ acceptedAt, isKnown, isRefused }: SaidEvent, { schedule }: Evidence): boolean {
  if (schedule.setting.isRead) return true;
  const mayBeTakenBack = isRefused && isAway(schedule, "platform");
  return acceptedAt !== undefined || (isKnown && !mayBeTakenBack && schedule.setting.overlap !== "reject");
}

function isAnswered(event: SaidEvent, evidence: Evidence): boolean {
  const { word } = event;
  const { schedule, posts, heard, carriers } = evidence;
  // Of a caller's own message no answer is kept: one that was read by a process which died is gone.
  if (schedule.setting.isRead && heard.some(({ words }) => words.includes(word))) return true;
  const carrying = carriers.get(word) ?? [];
  for (const one of [word, ...carrying]) if (posts.some((post) => isTold(post, one))) return true;
  if (posts.some((post) => holds(post, word))) return true;
  // Whoever stopped it expects no answer. That it was stopped is told by the process that had it, while it lives.
  if (isStopWanted(event, evidence)) return true;
  if (schedule.setting.overlap !== "interrupt") return false;
  // Whom a later message interrupts has said all there is to say with it: the words reached the agent. Where the agent
  // was away, a request that was broken off may have reached it or not.
  return isAway(schedule, "agent") || heard.some(({ words }) => words.includes(word));
}

/** Whether the person wanted to stop something after they said it. */
function isStopWanted({ word, at }: SaidEvent, { operations }: Evidence): boolean {
  return operations.some(
    ({ what, person, endedAt }) => what === "stop" && person === personOf(word) && endedAt() >= at,
  );
}

export function judge(evidence: Evidence): Violation[] {
  const violations: Violation[] = [];
  const found = (kind: ViolationKind, what: string) => violations.push({ kind, what });
  const { schedule, said, heard, conversations, posts, owners, carriers } = evidence;
  const { agentRecovers, platformFinds, overlap } = schedule.setting;

  for (const { word } of said) {
    const times = heard.reduce((sum, { words }) => sum + words.filter((one) => one === word).length, 0);
    if (times > 1) found("asked-twice", `${word} was asked ${times} times`);
  }

  for (const event of said) {
    const { word } = event;
    if (isTaken(event, evidence) && !isAnswered(event, evidence)) {
      found("lost", `${word} was accepted, and is neither answered nor told of`);
    }
    const answers = posts.filter((post) => holds(post, word));
    for (const [index, post] of answers.entries()) {
      const earlier = answers[index - 1];
      if (earlier === undefined) continue;
      // A post whose process could not write down that it stands there, where nobody can look.
      if (platformFinds || (earlier.notedAt ?? Number.POSITIVE_INFINITY) < post.at) {
        found("delivered-twice", `the answer to ${word} stands in ${earlier.id} and ${post.id}`);
      }
    }
    const told = posts.filter((post) => isTold(post, word)).map(({ text }) => text);
    // A caller of its own gets the same code where a later message interrupts the turn.
    const isStopped = overlap !== "interrupt" && told.some((text) => text.includes("stopped"));
    if (isStopped && !isStopWanted(event, evidence)) {
      found("stopped-unasked", `${word} was stopped, and nobody wanted that`);
    }
    const mustKnow = agentRecovers ? countDeaths(schedule) < 3 : isCalm(schedule);
    if (mustKnow && event.acceptedAt !== undefined && told.some((text) => text.includes("answer-lost"))) {
      found("told-to-send-again", `${word} could have been answered`);
    }
    // What another process has taken over meanwhile is known to nobody who cannot ask the store.
    const carrying = [word, ...(carriers.get(word) ?? [])];
    const ownersOfIt = new Set(carrying.flatMap((one) => [...(owners.get(one) ?? [])]));
    const isOnly = event.times === 1 && ownersOfIt.size <= 1;
    if (answers.length > 0 && isOnly && told.some((text) => text.includes("store-"))) {
      found("answered-and-told", `${word} was answered, and told not to be taken`);
    }
  }

  for (const { conversation, words } of heard) {
    if (new Set(words.map(personOf)).size > 1) found("mixed", `${conversation} was told ${words.join(", ")}`);
  }
  const sessions = new Map<string, string>();
  for (const { session, words } of heard) {
    for (const word of words) {
      const person = sessions.get(session) ?? personOf(word);
      sessions.set(session, person);
      if (person !== personOf(word)) found("mixed", `${word} was asked in the session of ${person}`);
    }
  }
  for (const post of posts) {
    const others = wordsIn(post).filter((word) => personOf(word) !== post.person);
    if (others.length > 0) found("mixed", `${others.join(", ")} stands with ${post.person}`);
  }

  const counts = new Map<string, number>();
  for (const session of conversations.values()) counts.set(session, (counts.get(session) ?? 0) + 1);
  for (const [session, count] of counts) {
    // Where nobody can look for it, one whose opener died is never found again.
    if (count > 1 && agentRecovers)
      found("conversation-split", `${sessions.get(session)} has ${count} conversations`);
  }

  for (const one of said) {
    for (const other of said) {
      if (one.person !== other.person || one === other) continue;
      if (one.acceptedAt === undefined || other.acceptedAt === undefined || one.acceptedAt >= other.at)
        continue;
      const [asked, askedOther] = [placeIn(heard, one.word), placeIn(heard, other.word)];
      // A request that was broken off may still be on its way when the next one is there.
      const isInterrupted =
        overlap === "interrupt" && (isAway(schedule, "agent") || areClose(heard, one, other));
      const isOvertaken = isInterrupted || isStopWanted(one, evidence);
      if (!isOvertaken && asked !== undefined && askedOther !== undefined && asked > askedOther) {
        found("out-of-order", `${other.word} was asked before ${one.word}`);
      }
      const [shown, shownOther] = [answeredAt(posts, one.word), answeredAt(posts, other.word)];
      if (shown !== undefined && shownOther !== undefined && shown > shownOther) {
        found("out-of-order", `${other.word} was answered before ${one.word}`);
      }
    }
  }

  for (const { at, hasEnded } of evidence.operations) {
    if (!hasEnded()) found("operation-hung", `what began at ${at.toFixed(0)} ms has not ended`);
  }

  // A turn that was stopped may still be at work there when the next one comes: it is broken off, and not waited for.
  if (agentRecovers && overlap === "queue" && !evidence.operations.some(({ what }) => what === "stop")) {
    for (const { conversation, at } of evidence.clears) {
      const busy = heard.find(
        (turn) => turn.conversation === conversation && turn.at < at && turn.until > at,
      );
      if (busy !== undefined)
        found("asked-at-once", `${conversation} was cleared while ${busy.words} was answered`);
    }
    for (const [index, { conversation, at, words }] of heard.entries()) {
      const busy = heard
        .slice(0, index)
        .find((other) => other.conversation === conversation && other.until > at);
      if (busy !== undefined) found("asked-at-once", `${words} was asked while ${busy.words} was answered`);
    }
  }
  return violations;
}

/** Whether the agent got one of them while the other could be on its way. */
function areClose(heard: readonly Heard[], ...events: readonly SaidEvent[]): boolean {
  const times = events.map(({ word }) => heard.find(({ words }) => words.includes(word))?.at ?? 0);
  return Math.max(...times) - Math.min(...times) <= usualMs;
}

/** Whether no process dies or is taken for dead, and the agent is there. */
function isCalm(schedule: Schedule): boolean {
  const isHarmless = ({ do: kind, ...step }: Schedule["steps"][number]) =>
    kind === "say" ||
    kind === "repeat" ||
    kind === "close" ||
    ("server" in step && step.server === "platform");
  return schedule.steps.every(isHarmless);
}

function isAway({ steps }: Schedule, server: Server): boolean {
  return steps.some((step) => (step.do === "cut" || step.do === "fault") && step.server === server);
}

function countDeaths({ steps }: Schedule): number {
  return steps.filter((step) => step.do === "crash" || step.do === "freeze" || step.do === "cut").length;
}

function personOf(word: string): string {
  return word.split("w", 1)[0] ?? "";
}

function wordsIn({ text }: Post): string[] {
  return text.split(/\s+/).filter((word) => /^p\d+w\d+$/.test(word));
}

function holds(post: Post, word: string): boolean {
  return post.text.includes(word) && wordsIn(post).includes(word);
}

/** Whether a post tells the person of a message that gets no answer. */
function isTold(post: Post, word: string): boolean {
  return post.event === word && post.text.includes(toldPrefix);
}

/** Which of all words, in the order in which the agent got them. */
function placeIn(heard: readonly Heard[], word: string): number | undefined {
  for (const [index, { words }] of heard.entries()) {
    const place = words.indexOf(word);
    if (place >= 0) return index * 1_000 + place;
  }
  return undefined;
}

function answeredAt(posts: readonly Post[], word: string): number | undefined {
  return posts.find((post) => holds(post, word))?.answeredAt;
}
