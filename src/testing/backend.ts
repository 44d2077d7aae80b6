import assert from "node:assert/strict";
import type { Backend } from "../backends/backend.ts";
import { AparteError, type AparteErrorCode } from "../errors.ts";
import { SessionMapper } from "../mapper.ts";
import type { Message } from "../turn/message.ts";
import type { ReplyEvent } from "../turn/reply-event.ts";
import type { ContractRunner } from "./runner.ts";

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
    it(title, async () => {
      const service = await options.start(deadlineMs);
      const mapper = new SessionMapper({ agents: { helper: service.backend }, secret, logger: quiet });
      try {
        await run(service, mapper);
      } finally {
        service.accept();
        await mapper.close();
        await service.close();
      }
    });

  describe(`Backend ${name}`, () => {
    test("keeps people apart, and remembers what each of them said", async (_, mapper) => {
      await Promise.all([say(mapper, "ada", remember("Ada")), say(mapper, "ben", remember("Ben"))]);
      const [ada, ben, eve] = await Promise.all(
        ["ada", "ben", "eve"].map((user) => say(mapper, user, recall)),
      );
      assert.match(ada ?? "", /Ada/);
      assert.doesNotMatch(ada ?? "", /Ben/);
      assert.match(ben ?? "", /Ben/);
      assert.doesNotMatch(`${ben}${eve}`, /Ada/);
      assert.doesNotMatch(eve ?? "", /Ben/);
    });

    test("keeps hostile ids apart", async (_, mapper) => {
      await Promise.all(hostileUsers.map((user, index) => say(mapper, user, remember(`N${index}n`))));
      const answers = await Promise.all(hostileUsers.map((user) => say(mapper, user, recall)));
      for (const [index, answer] of answers.entries()) {
        const named = [...answer.matchAll(/N(\d+)n/g)].map(([, number]) => Number(number));
        assert.ok(
          named.length > 0 && named.every((each) => each === index),
          `user ${index} was told: ${named}`,
        );
      }
    });

    test("opens one conversation under a race, and answers all in order", async (service, mapper) => {
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          await say(mapper, "ada", `word ${index}`);
          order.push(index);
        }),
      );
      assert.equal(service.opened(), 1);
      assert.deepEqual(
        order,
        order.toSorted((one, two) => one - two),
      );
    });

    if (canLose) {
      test("replaces a lost conversation once, and tells the person", async (service, mapper) => {
        await say(mapper, "ada", remember("Ada"));
        service.lose((await mapper.resolve(speaker("ada"))).conversationId);
        const events = await eventsOf(mapper, "ada", recall);
        assert.equal(events.filter((event) => event.type === "notice").length, 1);
        assert.doesNotMatch(textOf(events), /Ada/);
        const later = await eventsOf(mapper, "ada", recall);
        assert.ok(later.every((event) => event.type !== "notice"));
      });
    }

    test("ends a turn that is stopped, and takes the next one", async (service, mapper) => {
      const begun = service.begun();
      const reply = mapper.handle(message("ada", slow));
      void begun.then(() => reply.cancel());
      const events: ReplyEvent[] = [];
      for await (const event of reply) events.push(event);
      assert.deepEqual(events.at(-1), { type: "notice", code: "stopped", text: "Stopped." });
      assert.ok(await say(mapper, "ada", "hello"));
    });

    test("tells what was said, where it can, and by whom", async (service, mapper) => {
      if (service.backend.history === undefined) return;
      await say(mapper, "ada", remember("Ada"));
      const [first, ...others] = (await mapper.export(speaker("ada")))?.messages.helper ?? [];
      assert.equal(first?.role, "user", "the first message is the person's");
      assert.match(first.text, /Ada/);
      assert.ok(others.length > 0, "the agent's answer is there");
      for (const { role } of others) assert.equal(role, "agent", "the answer is the agent's");
    });

    test("never takes a stream that breaks off for a whole answer", async (service, mapper) => {
      await say(mapper, "ada", remember("Ada"));
      service.cutNext();
      try {
        // A service that can be asked brings the rest.
        assert.match(await say(mapper, "ada", recall), /Ada/);
      } catch (error) {
        assertCode(error, ["backend-stream-cut", "backend-timeout"]);
      }
      service.accept();
      assert.match(await say(mapper, "ada", recall), /Ada/);
    });

    test("tells refused credentials, and goes on when they are taken again", async (service, mapper) => {
      await say(mapper, "ada", remember("Ada"));
      service.refuse();
      await failsWith(mapper, "ada", recall, ["backend-auth"]);
      service.accept();
      assert.match(await say(mapper, "ada", recall), /Ada/);
    });

    test("tells a rate limit as something to try again", async (service, mapper) => {
      await say(mapper, "ada", remember("Ada"));
      service.limit();
      await failsWith(mapper, "ada", recall, ["backend-rate-limited"]);
      service.accept();
      assert.match(await say(mapper, "ada", recall), /Ada/);
    });

    test(
      "keeps its deadline when the service is silent",
      async (service, mapper) => {
        service.hangNext();
        await failsWith(mapper, "ada", recall, [
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
      await assert.rejects(async () => service.backend.open(call));
      await assert.rejects(async () => {
        const turn = { ...call, conversationId: "none", turnId: "t1", text: "hello", files: [] };
        for await (const _ of service.backend.ask(turn)) assert.fail("it answered");
      });
    });

    test("carries unicode and long texts whole", async (_, mapper) => {
      const text = `${remember("Ädä👩‍👩‍👧李")} ${"x".repeat(Math.max(0, Math.min(100_000, longestText) - 100))}`;
      await say(mapper, "ada", text);
      if (longestText < 100_000) await failsWith(mapper, "ada", "x".repeat(100_000), ["backend-rejected"]);
      assert.ok(await say(mapper, "ada", recall));
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
  const error = await say(mapper, user, text).then(
    () => assert.fail("it did not fail"),
    (failure: unknown) => failure,
  );
  assertCode(error, codes);
}

function assertCode(error: unknown, codes: readonly AparteErrorCode[]): void {
  assert.ok(error instanceof AparteError, String(error));
  assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
}
