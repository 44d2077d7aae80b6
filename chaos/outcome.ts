import { answeredWord, apology, isApology, type Ledger, type Said, type Shown } from "./ledger.ts";

/** What a person sees in the end of the answer to one message. */
export interface Outcome {
  readonly said: Said;
  /** The posts that show its answer, whole or in part, in the order in which they were made. */
  readonly posts: readonly Shown[];
  /** The whole answer is there. */
  readonly isWhole: boolean;
  /** All of the answer or a part of it is there more than once. */
  readonly isTwice: boolean;
  /** aparte's own words about a failure, where there are some. */
  readonly told: string | undefined;
  /** The bot that said so, and when. */
  readonly toldBy: number | undefined;
  readonly toldAt: number | undefined;
  /** When the person saw its first words, and when anything of it changed last. */
  readonly begun: number | undefined;
  readonly ended: number | undefined;
}

/** What became of all messages. @param answers all that the agent said, by the messages' words */
export function outcomes(ledger: Ledger, answers: ReadonlyMap<string, readonly string[]>): Outcome[] {
  const posts = postsBySaid(ledger);
  return ledger.said.map((said) => outcome(said, posts.get(said) ?? [], answers.get(said.word) ?? []));
}

/** A post that shows only the rest of an answer belongs to the message of the post before it, in the same place. */
function postsBySaid(ledger: Ledger): Map<Said, Shown[]> {
  const bySaid = new Map<Said, Shown[]>();
  const last = new Map<string, Said>();
  for (const post of ledger.posts.values()) {
    const said = post.said ?? last.get(post.place);
    if (said === undefined) continue;
    last.set(post.place, said);
    const list = bySaid.get(said);
    if (list === undefined) bySaid.set(said, [post]);
    else list.push(post);
  }
  return bySaid;
}

function outcome(said: Said, shown: readonly Shown[], answers: readonly string[]): Outcome {
  const posts = shown.filter(({ text }) => !isApology(text));
  const telling = shown.find(({ text }) => apology.test(text));
  const told = telling?.text;
  // The cut of a long answer takes blanks away, and nothing else.
  const all = withoutBlanks(posts.map(({ text }) => text).join(""));
  const whole = answers.map(withoutBlanks).find((answer) => answer !== "" && all.includes(answer));
  const starts = posts.filter(({ text }) => answeredWord(text) !== undefined).length;
  return {
    said,
    posts,
    isWhole: whole !== undefined,
    isTwice: starts > 1 || (whole !== undefined && told === undefined && all.length > whole.length),
    told,
    toldBy: telling?.changedBy,
    toldAt: telling?.changedAt,
    begun: posts[0]?.answersSince,
    ended: posts.length === 0 ? undefined : Math.max(...posts.map(({ changedAt }) => changedAt)),
  };
}

function withoutBlanks(text: string): string {
  return text.replace(/\s+/g, "");
}
