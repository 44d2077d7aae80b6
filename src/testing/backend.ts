import { AssertionError } from "node:assert";
import type { Backend } from "../backends/backend.ts";
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
  close(): Promise<void>;
}

/** What `backendContract` takes. */
export interface BackendContractOptions {
  readonly name: string;
  /**
   * Starts the service anew.
   * @param deadlineMs how long the backend waits for an answer, in the one test where none comes. Without it give the
   *   backend its usual deadlines: on a busy machine even a stand-in's first answers take seconds.
   */
  start(deadlineMs?: number): Promise<BackendUnderTest>;
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
  const { name, remember, recall, slow, canLose = true, longestText = 100_000 } = options;

  const test = (
    title: string,
    run: (service: BackendUnderTest, mapper: SessionMapper) => Promise<void>,
    deadlineMs?: number,
  ) =>
    it(
      title,
      async () => {
        const service = await options.start(deadlineMs);
        const mapper = new SessionMapper({ agents: { helper: service.backend }, secret, logger: quiet });
        try {
          await run(service, mapper);
        } finally {
          service.accept();
          await mapper.close();
          await service.close();
        }
      },
      testTimeoutMs,
    );
  /** @param user who told the service their name before */
  const expectKnown = async (mapper: SessionMapper, user: string) => {
    const answer = await say(mapper, user, recall);
    const said = `${user}, who said ${show(remember(user))}, is told so when they ask ${show(recall)}`;
    expectThat(`${said}, and was told ${show(answer)}`, answer.includes(user));
  };

  describe(`Backend ${name}`, () => {
    test("keeps people apart, and remembers what each of them said", async (_, mapper) => {
      await Promise.all([say(mapper, "Ada", remember("Ada")), say(mapper, "Ben", remember("Ben"))]);
      await Promise.all(["Ada", "Ben"].map((user) => expectKnown(mapper, user)));
      for (const user of ["Ada", "Ben", "Eve"]) {
        const answer = await say(mapper, user, recall);
        const others = ["Ada", "Ben"].filter((name) => name !== user && answer.includes(name));
        expectThat(`${user} is told nothing of others, and was told ${show(answer)}`, others.length === 0);
      }
    });

    test("keeps hostile ids apart", async (_, mapper) => {
      await Promise.all(hostileUsers.map((user, index) => say(mapper, user, remember(`N${index}n`))));
      const answers = await Promise.all(hostileUsers.map((user) => say(mapper, user, recall)));
      for (const [index, answer] of answers.entries()) {
        const named = [...answer.matchAll(/N(\d+)n/g)].map(([, number]) => Number(number));
        expectThat(
          `the user ${show(hostileUsers[index])} is told N${index}n alone, as they said, and was told ${show(answer)}`,
          named.length > 0 && named.every((each) => each === index),
        );
      }
    });

    test("opens one conversation under a race, and answers all in order", async (service, mapper) => {
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await say(mapper, "Ada", `word ${index}`);
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
      test("replaces a lost conversation once, and tells the person", async (service, mapper) => {
        await say(mapper, "Ada", remember("Ada"));
        service.lose((await mapper.resolve(speaker("Ada"))).conversationId);
        const events = await eventsOf(mapper, "Ada", recall);
        const notices = (reply: readonly ReplyEvent[]) =>
          reply.filter(({ type }) => type === "notice").length;
        expectThat(
          `the reply after the service lost the conversation has one notice, and was ${show(events)}`,
          notices(events) === 1,
        );
        expectThat(
          `the service knows nothing of a conversation that was lost, and said ${show(textOf(events))}`,
          !textOf(events).includes("Ada"),
        );
        const later = await eventsOf(mapper, "Ada", recall);
        expectThat(`the next reply has no notice, and was ${show(later)}`, notices(later) === 0);
      });
    }

    test("ends a turn that is stopped, and takes the next one", async (service, mapper) => {
      const begun = service.begun();
      const reply = mapper.handle(message("Ada", slow));
      void begun.then(() => reply.cancel());
      const events: ReplyEvent[] = [];
      for await (const event of reply) events.push(event);
      const stopped = { type: "notice", code: "stopped", text: "Stopped." };
      expectAnswer(`ask(${show(slow)}), stopped when it had begun,`, events.at(-1), stopped);
      expectThat("the turn after a stopped one is answered", (await say(mapper, "Ada", "hello")) !== "");
    });

    test("tells what was said, where it can, and by whom", async (service, mapper) => {
      if (service.backend.history === undefined) return;
      await say(mapper, "Ada", remember("Ada"));
      const [first, ...others] = (await mapper.export(speaker("Ada")))?.messages.helper ?? [];
      const messages = [first, ...others];
      expectThat(
        `history() begins with what the person said, ${show(remember("Ada"))}, and gave ${show(messages)}`,
        first?.role === "user" && first.text.includes("Ada"),
      );
      expectThat(
        `history() goes on with what the agent answered, and gave ${show(messages)}`,
        others.length > 0 && others.every(({ role }) => role === "agent"),
      );
    });

    test("never takes a stream that breaks off for a whole answer", async (service, mapper) => {
      await say(mapper, "Ada", remember("Ada"));
      service.cutNext();
      try {
        // A service that can be asked brings the rest.
        await expectKnown(mapper, "Ada");
      } catch (error) {
        if (error instanceof AssertionError) throw error;
        expectCode(`ask(${show(recall)}), whose stream breaks off,`, error, [
          "backend-stream-cut",
          "backend-timeout",
        ]);
      }
      service.accept();
      await expectKnown(mapper, "Ada");
    });

    test("tells refused credentials, and goes on when they are taken again", async (service, mapper) => {
      await say(mapper, "Ada", remember("Ada"));
      service.refuse();
      await failsWith(mapper, "Ada", recall, ["backend-auth"]);
      service.accept();
      await expectKnown(mapper, "Ada");
    });

    test("tells a rate limit as something to try again", async (service, mapper) => {
      await say(mapper, "Ada", remember("Ada"));
      service.limit();
      await failsWith(mapper, "Ada", recall, ["backend-rate-limited"]);
      service.accept();
      await expectKnown(mapper, "Ada");
    });

    test(
      "keeps its deadline when the service is silent",
      async (service, mapper) => {
        service.hangNext();
        await failsWith(mapper, "Ada", recall, [
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

    test("carries unicode and long texts whole", async (_, mapper) => {
      const text = `${remember("Ädä👩‍👩‍👧李")} ${"x".repeat(Math.max(0, Math.min(100_000, longestText) - 100))}`;
      await say(mapper, "Ada", text);
      if (longestText < 100_000) await failsWith(mapper, "Ada", "x".repeat(100_000), ["backend-rejected"]);
      expectThat(
        `ask(${show(recall)}) is answered after a long text`,
        (await say(mapper, "Ada", recall)) !== "",
      );
    });
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

async function eventsOf(mapper: SessionMapper, user: string, text: string): Promise<ReplyEvent[]> {
  const events: ReplyEvent[] = [];
  for await (const event of mapper.handle(message(user, text))) events.push(event);
  return events;
}

async function say(mapper: SessionMapper, user: string, text: string): Promise<string> {
  return textOf(await eventsOf(mapper, user, text));
}

function textOf(events: readonly ReplyEvent[]): string {
  return events
    .map((event) => (event.type === "message" ? event.text : ""))
    .join("\n")
    .trim();
}

async function failsWith(
  mapper: SessionMapper,
  user: string,
  text: string,
  codes: readonly AparteErrorCode[],
): Promise<void> {
  const call = `ask(${show(text)})`;
  expectCode(call, await fails(call, () => say(mapper, user, text), codes.join(" or ")), codes);
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
