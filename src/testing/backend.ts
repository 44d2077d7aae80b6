import { AssertionError } from "node:assert";
import type { Backend, HistoryMessage } from "../backends/backend.ts";
import { AparteError, type AparteErrorCode } from "../errors.ts";
import { SessionMapper } from "../mapper.ts";
import type { Message } from "../turn/message.ts";
import type { ReplyEvent } from "../turn/reply-event.ts";
import { expectAnswer, expectThat, show } from "./expectations.ts";
import { type ContractRunner, testTimeoutMs } from "./runner.ts";

/** A backend and the service, or the stand-in, that it speaks to. */
export interface BackendUnderTest {
  readonly backend: Backend;
  /** Resolves when the service begins the next turn. */
  begun(): Promise<unknown>;
  /** How many conversations the service has opened. */
  opened(): number;
  /** Makes the service lose a conversation behind its owner's back. */
  lose(conversationId: string): void;
  /** The next request of a turn breaks off after the answer has begun. */
  cutNext(): void;
  /** The next requests are refused for their credentials, until `accept`. */
  refuse(): void;
  accept(): void;
  /** Requests are refused for their rate, until `accept`. */
  limit(): void;
  /** The next request of a turn is never answered, until `accept`. */
  hangNext(): void;
  /** Of a service that was started with a `seed`. */
  readonly hostile?: {
    /** Every text that the agent was asked, as often as it was. */
    runs(): readonly string[];
    /** Whether that is the whole answer to a text, and nothing beside it. */
    isWhole(text: string, answer: string): boolean;
  };
  close(): Promise<void>;
}

/** What `backendContract` takes. */
export interface BackendContractOptions {
  readonly name: string;
  /**
   * Starts the service anew.
   * @param deadlineMs how long the backend waits for an answer, in the one test where none comes. Without it give the
   *   backend its usual deadlines: on a busy machine even a stand-in's first answers take seconds.
   * @param seed of what goes wrong by itself, where the tests run under a hostile service
   */
  start(deadlineMs?: number, seed?: number): Promise<BackendUnderTest>;
  /**
   * What the agent is told and asked so that its memory shows: told `remember("x")`, it says `x` when asked
   * `recall`.
   */
  readonly remember: (name: string) => string;
  readonly recall: string;
  /** A message that takes long enough to be stopped in the middle. */
  readonly slow: string;
  /** False where the service opens conversations without being asked, so that none can be lost. */
  readonly canLose?: boolean;
  /** The longest text that the service takes, in characters. Longer ones are refused with `backend-rejected`. */
  readonly longestText?: number;
  /**
   * Runs the tests a second time, under a service that is hostile: it and the network before it fail by themselves,
   * in any request. A message may end with an error there, and its person says the same again. What is answered must
   * hold as ever, whole; no message may run twice; no error may ask to send again what ran.
   */
  readonly hostileSeed?: number;
}

const secret = "a secret of the contract suite";
const quiet = { info() {}, warn() {}, error() {} };
const hostileUsers = [
  "a:b",
  "a",
  "a:b:c",
  "u/../x",
  "ü",
  "\ud800",
  "李雷",
  "x".repeat(500),
  "1;2",
  "%2F",
  "' or 1=1",
  "\n",
];

/**
 * Defines the tests of what every {@link Backend} promises: alone, and under a mapper.
 *
 * ```ts
 * backendContract({ describe, it }, { name: "mine", start: async () => ({ backend: mine({ … }), … }), … });
 * ```
 */
export function backendContract({ describe, it }: ContractRunner, options: BackendContractOptions): void {
  describe(`Backend ${options.name}`, () => defineTests(it, options, undefined));
  const { hostileSeed } = options;
  if (hostileSeed === undefined) return;
  describe(`Backend ${options.name}, under a hostile service`, () => defineTests(it, options, hostileSeed));
}

function defineTests(
  it: ContractRunner["it"],
  options: BackendContractOptions,
  hostileSeed: number | undefined,
): void {
  const { remember, recall, slow, canLose = true, longestText = 100_000 } = options;
  let defined = 0;

  const test = (
    title: string,
    run: (service: BackendUnderTest, people: People) => Promise<void>,
    deadlineMs?: number,
  ) => {
    defined += 1;
    // Each test meets other faults than the one before it.
    const seed = hostileSeed === undefined ? undefined : hostileSeed + defined;
    it(
      title,
      async () => {
        const service = await options.start(deadlineMs, seed);
        const mapper = new SessionMapper({ agents: { helper: service.backend }, secret, logger: quiet });
        const people = new People(mapper, service.hostile);
        try {
          await run(service, people);
          people.expectNothingTwice();
        } finally {
          service.accept();
          await mapper.close();
          await service.close();
        }
      },
      testTimeoutMs,
    );
  };
  /** @param user who told the service their name before */
  const expectKnown = async (people: People, user: string) => {
    const answer = await people.say(user, recall);
    const said = `${user}, who said ${show(remember(user))}, is told so when they ask ${show(recall)}`;
    expectThat(`${said}, and was told ${show(answer)}`, answer.includes(user));
  };

  test("keeps people apart, and remembers what each of them said", async (_, people) => {
    await Promise.all([people.say("Ada", remember("Ada")), people.say("Ben", remember("Ben"))]);
    await Promise.all(["Ada", "Ben"].map((user) => expectKnown(people, user)));
    for (const user of ["Ada", "Ben", "Eve"]) {
      const answer = await people.say(user, recall);
      const others = ["Ada", "Ben"].filter((name) => name !== user && answer.includes(name));
      expectThat(`${user} is told nothing of others, and was told ${show(answer)}`, others.length === 0);
    }
  });

  test("keeps hostile ids apart", async (_, people) => {
    await Promise.all(hostileUsers.map((user, index) => people.say(user, remember(`N${index}n`))));
    const answers = await Promise.all(hostileUsers.map((user) => people.say(user, recall)));
    for (const [index, answer] of answers.entries()) {
      const named = [...answer.matchAll(/N(\d+)n/g)].map(([, number]) => Number(number));
      expectThat(
        `the user ${show(hostileUsers[index])} is told N${index}n alone, as they said, and was told ${show(answer)}`,
        named.length > 0 && named.every((each) => each === index),
      );
    }
  });

  test("opens one conversation under a race, and answers all in order", async (service, people) => {
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        await people.tryOnce("Ada", `word ${index}`);
        order.push(index);
      }),
    );
    expectAnswer("opened() after 20 messages of one person at once", service.opened(), 1);
    expectThat(
      `one person's turns end in the order in which they came, and ended in the order ${order}`,
      order.every((each, index) => each === index),
    );
  });

  if (canLose) {
    test("replaces a lost conversation once, and tells the person", async (service, people) => {
      await people.say("Ada", remember("Ada"));
      service.lose(await people.conversationOf("Ada"));
      const events = await people.eventsOf("Ada", recall);
      const notices = (reply: readonly ReplyEvent[]) => reply.filter(({ type }) => type === "notice").length;
      expectThat(
        `the reply after the service lost the conversation has one notice, and was ${show(events)}`,
        notices(events) === 1,
      );
      expectThat(
        `the service knows nothing of a conversation that was lost, and said ${show(textOf(events))}`,
        !textOf(events).includes("Ada"),
      );
      const later = await people.eventsOf("Ada", recall);
      expectThat(`the next reply has no notice, and was ${show(later)}`, notices(later) === 0);
    });
  }

  test("ends a turn that is stopped, and takes the next one", async (service, people) => {
    const events = await people.stopped("Ada", slow, () => service.begun());
    const stopped = { type: "notice", code: "stopped", text: "Stopped." };
    expectAnswer(`ask(${show(slow)}), stopped when it had begun,`, events.at(-1), stopped);
    expectThat("the turn after a stopped one is answered", (await people.say("Ada", "hello")) !== "");
  });

  test("tells what was said, where it can, and by whom", async (service, people) => {
    if (service.backend.history === undefined) return;
    await people.say("Ada", remember("Ada"));
    const [first, ...others] = await people.historyOf("Ada");
    const messages = [first, ...others];
    expectThat(
      `history() begins with what the person said, ${show(remember("Ada"))}, and gave ${show(messages)}`,
      first?.role === "user" && first.text.includes("Ada"),
    );
    expectThat(
      `history() goes on with what the agent answered, and gave ${show(messages)}`,
      // Who was not answered at first has said it again.
      others.some(({ role }) => role === "agent") &&
        others.every(({ role }) => role === "agent" || hostileSeed !== undefined),
    );
  });

  test("never takes a stream that breaks off for a whole answer", async (service, people) => {
    await people.say("Ada", remember("Ada"));
    service.cutNext();
    try {
      // A service that can be asked brings the rest.
      await expectKnown(people, "Ada");
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      expectCode(`ask(${show(recall)}), whose stream breaks off,`, error, [
        "backend-stream-cut",
        "backend-timeout",
      ]);
    }
    service.accept();
    await expectKnown(people, "Ada");
  });

  test("tells refused credentials, and goes on when they are taken again", async (service, people) => {
    await people.say("Ada", remember("Ada"));
    service.refuse();
    await people.failsWith("Ada", recall, ["backend-auth"]);
    service.accept();
    await expectKnown(people, "Ada");
  });

  test("tells a rate limit as something to try again", async (service, people) => {
    await people.say("Ada", remember("Ada"));
    service.limit();
    await people.failsWith("Ada", recall, ["backend-rate-limited"]);
    service.accept();
    await expectKnown(people, "Ada");
  });

  // A request that hangs, or is never sent, meets nothing else.
  if (hostileSeed === undefined) {
    test(
      "keeps its deadline when the service is silent",
      async (service, people) => {
        service.hangNext();
        await people.failsWith("Ada", recall, [
          "backend-timeout",
          "backend-stream-cut",
          "backend-unavailable",
        ]);
      },
      1_000,
    );

    test("ends each call when its signal is aborted", async (service) => {
      const gone = AbortSignal.abort(new Error("gone"));
      const call = { sessionName: "a1_contract", agent: "helper", signal: gone };
      await fails("open() with an aborted signal", async () => service.backend.open(call));
      const turn = { ...call, conversationId: "none", turnId: "t1", text: "hello", files: [] };
      await fails("ask() with an aborted signal", async () => {
        for await (const event of service.backend.ask(turn)) return event;
        return undefined;
      });
    });
  }

  test("carries unicode and long texts whole", async (_, people) => {
    const text = `${remember("Ädä👩‍👩‍👧李")} ${"x".repeat(Math.max(0, Math.min(100_000, longestText) - 100))}`;
    await people.say("Ada", text);
    if (longestText < 100_000) await people.failsWith("Ada", "x".repeat(100_000), ["backend-rejected"]);
    expectThat(
      `ask(${show(recall)}) is answered after a long text`,
      (await people.say("Ada", recall)) !== "",
    );
  });
}

let count = 0;

function speaker(user: string) {
  return { platform: "contract", tenant: "t", user };
}

function message(user: string, text: string): Message {
  count += 1;
  return { ...speaker(user), id: `m${count}`, text };
}

/** How often a person says the same, to a service that is hostile. So many failures in a row come by no chance. */
const mostTries = 60;

/** People who talk to the agent; to a hostile service, until they are answered. */
class People {
  readonly #mapper: SessionMapper;
  readonly #hostile: BackendUnderTest["hostile"];

  constructor(mapper: SessionMapper, hostile: BackendUnderTest["hostile"]) {
    this.#mapper = mapper;
    this.#hostile = hostile;
  }

  async say(user: string, text: string): Promise<string> {
    return textOf(await this.#untilDone(`ask(${show(text)})`, () => this.#ask(user, text)));
  }

  /** All that the person got until they were answered. */
  async eventsOf(user: string, text: string): Promise<ReplyEvent[]> {
    const events: ReplyEvent[] = [];
    await this.#untilDone(`ask(${show(text)})`, () => this.#ask(user, text, events));
    return events;
  }

  /** Says it once, answered or not. */
  async tryOnce(user: string, text: string): Promise<void> {
    try {
      await this.#ask(user, text);
    } catch (error) {
      this.#expectTold(`ask(${show(text)})`, error);
    }
  }

  /** What the person got of a turn that was stopped when it had begun. */
  async stopped(user: string, text: string, begun: () => Promise<unknown>): Promise<ReplyEvent[]> {
    return await this.#untilDone(`ask(${show(text)})`, async () => {
      const began = begun();
      const reply = this.#mapper.handle(message(user, this.#marked(text)));
      void began.then(() => reply.cancel());
      const events: ReplyEvent[] = [];
      for await (const event of reply) events.push(event);
      return events;
    });
  }

  async conversationOf(user: string): Promise<string> {
    const found = await this.#untilDone("resolve()", () => this.#mapper.resolve(speaker(user)));
    return found.conversationId;
  }

  async historyOf(user: string): Promise<readonly HistoryMessage[]> {
    const found = await this.#untilDone("export()", () => this.#mapper.export(speaker(user)));
    return found?.messages.helper ?? [];
  }

  async failsWith(user: string, text: string, codes: readonly AparteErrorCode[]): Promise<void> {
    const call = `ask(${show(text)})`;
    for (let tries = 1; ; tries++) {
      const error = await fails(call, async () => textOf(await this.#ask(user, text)), codes.join(" or "));
      const isExpected = error instanceof AparteError && codes.includes(error.code);
      // Before it is refused for this, something else may befall it.
      if (isExpected || this.#hostile === undefined || tries === mostTries)
        return expectCode(call, error, codes);
      this.#expectTold(call, error);
    }
  }

  expectNothingTwice(): void {
    const runs = this.#hostile?.runs() ?? [];
    const twice = runs.filter((text, index) => runs.indexOf(text) !== index);
    expectThat(`no message runs twice at the service, and these did: ${show(twice)}`, twice.length === 0);
  }

  /** @param seen what the person gets is added to it as it comes */
  async #ask(user: string, text: string, seen: ReplyEvent[] = []): Promise<readonly ReplyEvent[]> {
    const said = this.#marked(text);
    const events: ReplyEvent[] = [];
    try {
      for await (const event of this.#mapper.handle(message(user, said))) {
        events.push(event);
        seen.push(event);
      }
    } catch (error) {
      const isInviting = error instanceof AparteError && error.retryable;
      const isTwice = isInviting && this.#hostile?.runs().includes(said) === true;
      expectThat(`a message that ran is not to be sent again, and failed with ${String(error)}`, !isTwice);
      throw error;
    }
    const answers = events.flatMap((event) => (event.type === "message" ? [event.text] : []));
    if (this.#hostile !== undefined) {
      const isWhole = answers.length === 1 && this.#hostile.isWhole(said, answers[0] ?? "");
      expectThat(`ask(${show(said)}) has one whole answer, and got ${show(answers)}`, isWhole);
    }
    return events;
  }

  /** Under a hostile service no two messages are the same, so that it can be seen what ran. */
  #marked(text: string): string {
    return this.#hostile === undefined ? text : `${text} #${count}`;
  }

  async #untilDone<T>(call: string, run: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await run();
      } catch (error) {
        if (tries === mostTries) throw error;
        this.#expectTold(call, error);
      }
    }
  }

  /** To a service that is not hostile nothing may fail. */
  #expectTold(call: string, error: unknown): void {
    if (this.#hostile === undefined || error instanceof AssertionError) throw error;
    const isTold =
      error instanceof AparteError &&
      /^(backend|conversation)-/.test(error.code) &&
      error.say.includes(error.reference);
    expectThat(`${call} fails with an error of a service's, and failed with ${String(error)}`, isTold);
  }
}

function textOf(events: readonly ReplyEvent[]): string {
  return events
    .map((event) => (event.type === "message" ? event.text : ""))
    .join("\n")
    .trim();
}

/** @returns what it failed with */
async function fails(call: string, run: () => Promise<unknown>, failure = "any"): Promise<unknown> {
  const answer = await run().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in answer) return answer.error;
  const message = `${call} answers ${show(answer.value)}; expected is a failure: ${failure}`;
  throw new AssertionError({ message });
}

function expectCode(call: string, error: unknown, codes: readonly AparteErrorCode[]): void {
  if (error instanceof AparteError && codes.includes(error.code)) return;
  const actual = error instanceof AparteError ? `${error.code}: ${error.message}` : String(error);
  const message = `${call} fails with ${show(actual)}; expected is ${codes.join(" or ")}`;
  throw new AssertionError({ message, actual, expected: codes });
}
