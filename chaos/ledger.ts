import { seconds, sinceStart } from "./clock.ts";

/** Somebody who talks. All that one person says is said in one place. */
export interface Person {
  readonly number: number;
  readonly platform: string;
  /** In private, or where others are. */
  readonly isDirect: boolean;
}

/** One message of a person. */
export interface Said {
  readonly person: Person;
  readonly index: number;
  /** Stands in its text, and in everything that is made of it: it is in no other message. */
  readonly word: string;
  readonly text: string;
  readonly sentAt: number;
  /** When the platform heard first that it was received, or a bot said that it has taken it. */
  acceptedAt: number | undefined;
  /** When a bot said that it has taken it; where none did, when one said that it was taken before. */
  takenAt: number | undefined;
  /** The bots that said that they have taken it themselves, and when. */
  readonly takers: Map<number, number>;
  /** The bots that could not take it, and tell the person. */
  readonly refusers: Set<number>;
  /** When the person saw the beginning of its answer, or of what was said in place of one. */
  shownAt: number | undefined;
  /** Which process showed something of it last. */
  shownBy: number | undefined;
  /** What became of it, for people to read. */
  readonly history: string[];
}

/** One post of the bot. */
export interface Shown {
  readonly id: string;
  readonly place: string;
  readonly createdAt: number;
  /** Of the process that made it. */
  readonly bot: number;
  /** Of the process that changed it last. */
  changedBy: number;
  /** The platform stored it, and did not say so. */
  readonly isLost: boolean;
  changedAt: number;
  /** What another process had shown there before. */
  before?: Pick<Shown, "text" | "changedBy" | "changedAt">;
  /** When it showed an answer first, in place of an apology. */
  answersSince: number | undefined;
  text: string;
  /** What it answers; undefined where the platform does not show that, and the text does not either. */
  said: Said | undefined;
}

export interface ShownCall {
  readonly platform: string;
  readonly id: string;
  readonly place: string;
  readonly text: string;
  readonly bot: number;
  readonly isLost: boolean;
  /** The platform's names of the message that is answered, as far as it shows one. */
  readonly about: readonly string[];
}

const anyWord = /\bw(\d+)x\d+\b/g;

/** All that was said and shown, as the platforms know it. */
export class Ledger {
  readonly said: Said[] = [];
  readonly posts = new Map<string, Shown>();
  /** Posts that were deleted again. */
  readonly removed: Shown[] = [];
  /** What bots showed late over what others had shown meanwhile, after a thaw or a burial; it counts as not shown. */
  readonly stale: string[] = [];
  /** When a process froze that has thawed just now after more than its lease. */
  frozenAt: (bot: number) => number | undefined = () => undefined;
  /** A word of somebody else in a reply. */
  readonly mixed: string[] = [];
  #lastChange = 0;
  readonly #byName = new Map<string, Said>();
  readonly #byWord = new Map<string, Said>();
  /** The message that was answered last in a place. */
  readonly #lastIn = new Map<string, Said>();
  readonly #waiting = new Map<Said, (() => void)[]>();

  /** @param name of the message on its platform */
  say(person: Person, index: number, text: string): Said {
    const word = wordOf(person, index);
    const said: Said = {
      ...{ person, index, word, text: `${word} ${text}`.trim(), sentAt: sinceStart() },
      ...{
        acceptedAt: undefined,
        takenAt: undefined,
        takers: new Map(),
        refusers: new Set(),
        shownAt: undefined,
        shownBy: undefined,
        history: [],
      },
    };
    this.said.push(said);
    this.#byWord.set(word, said);
    this.note(said, "sent");
    return said;
  }

  /** How the platform calls a message. */
  name(said: Said, name: string): void {
    this.#byName.set(`${said.person.platform} ${name}`, said);
    this.note(said, `is ${name}`);
  }

  /** @param name as on the platform, or with more before it: Slack's adapter puts the channel there */
  find(platform: string, name: string): Said | undefined {
    return this.#byName.get(`${platform} ${name.split(":").at(-1)}`);
  }

  note(said: Said, what: string): void {
    said.history.push(`${seconds(sinceStart())} ${what}`);
  }

  accepted(said: Said): void {
    said.acceptedAt ??= sinceStart();
  }

  taken(said: Said, bot: number): void {
    // What another bot saw taken before may have been taken back.
    if (said.takers.size === 0) said.takenAt = sinceStart();
    said.takers.set(bot, sinceStart());
    this.accepted(said);
  }

  takenBefore(said: Said): void {
    said.takenAt ??= sinceStart();
    this.accepted(said);
  }

  /** A bot showed something: a new post, or another text of one. */
  shown(call: ShownCall): void {
    const { platform, id, place, text, bot, isLost } = call;
    const key = `${platform} ${id}`;
    const now = sinceStart();
    this.#lastChange = now;
    let post = this.posts.get(key);
    const said =
      post?.said ?? call.about.map((name) => this.find(platform, name)).find((found) => found !== undefined);
    const shownBy = post === undefined ? said?.shownBy : post.changedBy;
    const frozenAt = this.frozenAt(bot);
    const isOfBefore = frozenAt !== undefined && !((said?.takers.get(bot) ?? 0) > frozenAt);
    // Whoever goes on with a post after its thaw shows more of it.
    const isLess = post === undefined || text.length < post.text.length;
    if (shownBy !== undefined && shownBy !== bot && isOfBefore && isLess) {
      this.stale.push(`${seconds(now)} bot ${bot}: ${platform} ${id}: ${text.slice(0, 50)}`);
      if (said !== undefined) this.note(said, `bot ${bot} changes ${id} in the moment of its thaw`);
      return;
    }
    const isNews = post?.changedBy !== bot;
    if (post === undefined) {
      post = {
        ...{ id, place: `${platform} ${place}`, createdAt: now, bot, changedBy: bot, isLost },
        ...{ changedAt: now, answersSince: undefined, text, said },
      };
      this.posts.set(key, post);
    } else if (post.text !== text) {
      if (post.changedBy !== bot) {
        const { text: earlier, changedBy, changedAt } = post;
        post.before = { text: earlier, changedBy, changedAt };
      }
      post.text = text;
      post.changedAt = now;
      post.changedBy = bot;
    }
    if (!isApology(text)) post.answersSince ??= now;
    const asked = answeredWord(text);
    post.said ??= asked === undefined ? undefined : this.#byWord.get(asked);
    // The rest of a long answer tells by itself whose it is where only one person is.
    const whose = post.said ?? this.#lastIn.get(post.place);
    if (whose === undefined) return;
    this.#lastIn.set(post.place, whose);
    this.#sawShown(whose, post, bot, isNews, now);
  }

  #sawShown(said: Said, { id, text, isLost }: Shown, bot: number, isNews: boolean, now: number): void {
    said.shownBy = bot;
    // Not each edit of one process.
    if (isNews) this.note(said, `bot ${bot} shows ${id}${isLost ? ", and is not told so" : ""}`);
    for (const [word, number] of text.matchAll(anyWord)) {
      if (Number(number) !== said.person.number) this.mixed.push(`${word} in the reply to ${said.word}`);
    }
    said.shownAt ??= now;
    for (const wake of this.#waiting.get(said) ?? []) wake();
    this.#waiting.delete(said);
  }

  /** A process was taken for dead: what it has shown since over what another one had shown was sent before. */
  buried(bot: number, since: number): void {
    for (const post of this.posts.values()) {
      const { before, changedBy, changedAt, id, text, said } = post;
      if (changedBy !== bot || changedAt < since || before === undefined) continue;
      if (text.length >= before.text.length) continue;
      this.stale.push(`${seconds(changedAt)} bot ${bot}: ${id}: ${text.slice(0, 50)}`);
      if (said !== undefined) this.note(said, `what bot ${bot} showed in ${id} was sent before its end`);
      Object.assign(post, before);
    }
  }

  deleted(platform: string, id: string): void {
    const post = this.posts.get(`${platform} ${id}`);
    if (post === undefined) return;
    this.posts.delete(`${platform} ${id}`);
    this.removed.push(post);
    if (post.said !== undefined) this.note(post.said, `${id} is deleted`);
  }

  /** Resolves when something was shown in answer, or after this time. */
  async untilShown(said: Said, withinMs: number): Promise<void> {
    if (said.shownAt !== undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      const wake = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.set(said, [...(this.#waiting.get(said) ?? []), wake]);
    });
  }

  /** How long nothing has been shown, in milliseconds. */
  get quietMs(): number {
    return sinceStart() - this.#lastChange;
  }
}

export function wordOf(person: Person, index: number): string {
  return `w${person.number}x${index}`;
}

/** The message that an answer of the agent begins with. */
export function answeredWord(text: string): string | undefined {
  return /^Turn \d+\. You said: "(w\d+x\d+)\b/.exec(text)?.[1];
}

/** Whether a text begins with what aparte says when a turn fails. */
export function isApology(text: string): boolean {
  return apology.test(text) && answeredWord(text) === undefined;
}

/** aparte's own words about a failure, wherever they stand. */
export const apology = /\(ref [0-9A-Z]{8}\)|(?:send it|try) again/i;

/** All messages whose words are in a text. */
export function wordsIn(text: string): string[] {
  return [...text.matchAll(anyWord)].map(([word]) => word);
}
