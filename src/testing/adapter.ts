import { isDeepStrictEqual } from "node:util";
import { SessionMapper } from "../mapper.ts";
import type { MapperOptions } from "../options.ts";
import { memoryStore } from "../stores/memory.ts";
import type { Message } from "../turn/message.ts";
import { fails, Gate, inner, type Script, scriptedAgent } from "./adapter-agent.ts";
import { expectThat, show } from "./expectations.ts";
import { MortalStore } from "./mortal-store.ts";
import { type ContractRunner, testTimeoutMs, until } from "./runner.ts";

/** A chat platform, or a stand-in for it, with one place in which two people talk to a bot. */
export interface PlatformUnderTest {
  /**
   * Runs a copy of the bot: the adapter on this mapper, with a client of its own.
   * @returns ends the client; the suite closes the mapper before
   */
  attach(mapper: SessionMapper): Promise<() => Promise<void>>;
  /**
   * A person says something to the bot, always in the same place.
   * @returns the event, for {@link again}, when it has been handed to the bot
   */
  say(person: "ada" | "bob", text: string): Promise<unknown>;
  /** Ada, with the same id of a user, says something in another tenant: where the platform has such. */
  sayElsewhere?(text: string): Promise<unknown>;
  /** The platform delivers the event once more. */
  again(event: unknown): Promise<unknown>;
  /** The texts of the bot's messages as they are now, oldest first. */
  shown(): readonly string[];
  close(): Promise<void>;
}

/** What `adapterContract` takes. */
export interface AdapterContractOptions {
  /** For the titles of the tests. */
  readonly name: string;
  /** Starts the platform anew. */
  readonly start: () => Promise<PlatformUnderTest>;
  /** The platform of the adapter's speakers. */
  readonly platform: string;
  /** The longest message that the platform takes, in UTF-16 code units. @default any */
  readonly maxLength?: number;
  /** Whether the beginning of an answer is shown before the whole of it. @default true */
  readonly showsDrafts?: boolean;
  /** Whether a copy can go on with a reply that another one began to deliver. @default true */
  readonly canTakeOver?: boolean;
}

const secret = "a secret of the contract suite";
const quiet = { info() {}, warn() {}, error() {} };

/** A lease that runs out soon, in milliseconds: for a copy that a test lets die. */
const shortLease = 300;

/**
 * Defines the tests of what every {@link Adapter} promises, on its platform or a stand-in for it.
 *
 * ```ts
 * import { describe, it } from "node:test";
 * import { adapterContract } from "aparte/testing";
 *
 * adapterContract({ describe, it }, { name: "mine", platform: "mine", start: async () => ({ attach: …, say: … }) });
 * ```
 */
export function adapterContract({ describe, it }: ContractRunner, options: AdapterContractOptions): void {
  const { name, platform: platformName, maxLength = Number.POSITIVE_INFINITY } = options;
  const { showsDrafts = true, canTakeOver = true } = options;

  interface Stage {
    readonly platform: PlatformUnderTest;
    /** The messages whose turns ran. */
    readonly messages: readonly Message[];
    /** Starts a copy of the bot. */
    copy(scripts?: { [text: string]: Script }, more?: Partial<MapperOptions>): Promise<SessionMapper>;
  }

  const test = (title: string, run: (stage: Stage) => Promise<void>) =>
    it(
      title,
      async () => {
        const platform = await options.start();
        const messages: Message[] = [];
        const endings: (() => Promise<void>)[] = [];
        try {
          await run({
            platform,
            messages,
            copy: async (scripts, more) => {
              const agents = { helper: scriptedAgent(scripts) };
              const mapper = new SessionMapper({ agents, secret, logger: quiet, ...more });
              mapper.use(async (turn, next) => {
                messages.push(turn.message);
                await next();
              });
              const detach = await platform.attach(mapper);
              endings.push(async () => {
                await mapper.close({ drainTimeout: 2_000 });
                await detach();
              });
              return mapper;
            },
          });
        } finally {
          for (const end of endings) await end();
          await platform.close();
        }
      },
      testTimeoutMs,
    );

  /** Waits until the bot's messages, put together, hold a text. */
  const shows = (platform: PlatformUnderTest, text: string, unless = "") =>
    until(
      () => `the bot shows ${show(text)}${unless}; it shows ${show(allOf(platform))}`,
      () => (allOf(platform).includes(text) ? true : undefined),
    );

  describe(`Adapter ${name}`, () => {
    test("gives two people in one place a session each", async ({ platform, messages, copy }) => {
      await copy();
      await platform.say("ada", "the first of Ada");
      await shows(platform, 'the first of Ada" after nothing');
      await platform.say("bob", "the first of Bob");
      await shows(platform, 'the first of Bob" after nothing');
      await platform.say("ada", "the second of Ada");
      await shows(platform, 'the second of Ada" after "the first of Ada"');
      const [ada, bob, again] = messages;
      const of = messages.map(({ platform: name, tenant, user, id }) => ({
        platform: name,
        tenant,
        user,
        id,
      }));
      const were = `, and were ${show(of)}`;
      expectThat(
        `the messages are of the platform ${show(platformName)}${were}`,
        messages.every((message) => message.platform === platformName),
      );
      expectThat(`Ada's messages are of one user${were}`, ada?.user === again?.user);
      expectThat(`Ada and Bob are two users${were}`, ada?.user !== bob?.user);
      expectThat(`Ada and Bob are of one tenant${were}`, ada?.tenant === bob?.tenant);
      expectThat(`two messages have two ids${were}`, ada?.id !== again?.id);
      expectThat("replyTo is kept whole as JSON", isJson(ada?.replyTo));
    });

    test("keeps what a person says in another tenant apart", async ({ platform, messages, copy }) => {
      await copy();
      await platform.say("ada", "said here");
      await shows(platform, "said here");
      if (platform.sayElsewhere === undefined) return;
      await platform.sayElsewhere("said elsewhere");
      await shows(platform, 'said elsewhere" after nothing');
      const [here, elsewhere] = messages;
      expectThat(
        `what is said elsewhere has another tenant or user than ${show([here?.tenant, here?.user])}`,
        here?.tenant !== elsewhere?.tenant || here?.user !== elsewhere?.user,
      );
    });

    test("answers an event that is delivered twice once", async ({ platform, messages, copy }) => {
      await copy();
      const event = await platform.say("ada", "only once");
      await platform.again(event);
      await shows(platform, "only once");
      await platform.again(event);
      await platform.say("ada", "and then this");
      await shows(platform, 'and then this" after "only once".');
      expectThat(`two events make two turns, and made ${messages.length}`, messages.length === 2);
      expectThat(
        `an event that came three times has one answer; shown is ${show(allOf(platform))}`,
        count(allOf(platform), 'You say "only once"') === 1,
      );
    });

    test("shows the whole answer, in order, and what belongs to it", async ({ platform, copy }) => {
      await copy({
        several: async function* () {
          yield { type: "status", text: "looking things up" };
          yield { type: "text", delta: "The draft " };
          yield { type: "text", delta: "of the first." };
          yield { type: "message", text: "The first answer." };
          yield { type: "message", text: "The second answer." };
          yield { type: "file", kind: "image", url: "https://files.example/a.png", name: "a.png" };
          yield { type: "suggestions", items: ["What else?", "And then?"] };
          yield { type: "usage", total: 12 };
        },
      });
      await platform.say("ada", "several");
      await shows(platform, "The second answer.");
      await platform.say("ada", "the end");
      await shows(platform, "the end");
      const all = allOf(platform);
      const shown = `; shown is ${show(all)}`;
      expectThat(`the first answer is there${shown}`, all.includes("The first answer."));
      expectThat(
        `the first answer is before the second${shown}`,
        all.indexOf("The first answer.") < all.indexOf("The second answer."),
      );
      const picture = all.indexOf("https://files.example/a.png");
      expectThat(`the picture's address follows them${shown}`, all.indexOf("The second answer.") < picture);
      expectThat(`the draft is gone${shown}`, !all.includes("The draft"));
      expectThat(`the status is gone${shown}`, !all.includes("looking things up"));
    });

    test("cuts a long answer and drops nothing of it", async ({ platform, copy }) => {
      const lines = Array.from({ length: 700 }, (_, index) => `line ${index} of a long answer`);
      const code = ["```js", ...lines.slice(200, 500), "```"];
      const answer = [...lines.slice(0, 200), "", ...code, "", ...lines.slice(500)].join("\n");
      await copy({
        long: async function* () {
          yield { type: "message", text: answer };
        },
      });
      await platform.say("ada", "a long one");
      await shows(platform, lines.at(-1) ?? "");
      const numbers = [...allOf(platform).matchAll(/line (\d+) of a long answer/g)].map(([, n]) => Number(n));
      expectThat(
        `the ${lines.length} lines of an answer are shown once each, in order, and shown were the lines ${show(numbers)}`,
        numbers.length === lines.length && numbers.every((number, index) => number === index),
      );
      for (const text of platform.shown()) {
        expectThat(`code is closed in each message, as in ${show(text)}`, count(text, "```") % 2 === 0);
        expectThat(
          `a message has at most ${maxLength} characters, and one has ${text.length}`,
          text.length <= maxLength,
        );
      }
    });

    test("shows the replies of a person in the order of the messages", async ({ platform, copy }) => {
      const gate = new Gate();
      await copy({
        slow: async function* () {
          yield { type: "text", delta: "The slow " };
          await gate.opened;
          yield { type: "message", text: "The slow one." };
        },
      });
      await platform.say("ada", "slow");
      await platform.say("ada", "quick");
      // Somebody else does not wait.
      await platform.say("bob", "meanwhile");
      await shows(platform, "meanwhile");
      expectThat(
        `an answer waits for the one before it; shown is ${show(allOf(platform))}`,
        !allOf(platform).includes("quick"),
      );
      gate.open();
      await shows(platform, "quick");
      const all = allOf(platform);
      expectThat(`the first reply is there; shown is ${show(all)}`, all.includes("The slow one."));
      expectThat(
        `the replies are in order; shown is ${show(all)}`,
        all.indexOf("The slow one.") < all.indexOf('You say "quick"'),
      );
    });

    test("tells the person that a turn failed, without inner words, and answers the next", async ({
      platform,
      copy,
    }) => {
      await copy({ failing: fails });
      await platform.say("ada", "failing");
      await shows(platform, "(ref ");
      await platform.say("ada", "the next");
      await shows(platform, "the next");
      const all = allOf(platform);
      expectThat(
        `the person is told what failed; shown is ${show(all)}`,
        all.includes("The agent has used up its quota."),
      );
      expectThat(`an error's own words are not shown; shown is ${show(all)}`, !all.includes(inner));
    });

    test("does not lose a message silently when the store fails", async ({ platform, copy }) => {
      const store = new MortalStore(memoryStore());
      await copy({}, { store: store.store, storeTimeout: 300 });
      await platform.say("ada", "the first");
      await shows(platform, "the first");
      store.die();
      // The platform may be told to deliver it again; the person is told in any case.
      await platform.say("ada", "the lost one").catch(() => {});
      await shows(platform, "(ref ");
      expectThat(
        `what the store did not take is not answered; shown is ${show(allOf(platform))}`,
        !allOf(platform).includes('You say "the lost one"'),
      );
    });

    test("ends what runs when the mapper is closed", async ({ platform, copy }) => {
      const [begun, gate] = [new Gate(), new Gate()];
      const mapper = await copy({
        slow: async function* () {
          yield { type: "text", delta: "The slow " };
          begun.open();
          await gate.opened;
          yield { type: "message", text: "The slow one is whole." };
        },
      });
      await platform.say("ada", "slow");
      await begun.opened;
      const closed = mapper.close();
      gate.open();
      await closed;
      expectThat(
        `the answer that ran is shown when close() resolves; shown is ${show(allOf(platform))}`,
        allOf(platform).includes("The slow one is whole."),
      );
    });

    test("sends nothing more when its lease is lost, and leaves the reply to another copy", async ({
      platform,
      copy,
    }) => {
      const shared = memoryStore();
      const first = new MortalStore(shared);
      const begun = new Gate();
      const late = new Gate();
      await copy(
        {
          "to be taken over": async function* () {
            yield { type: "text", delta: "The beginning of what " };
            begun.open();
            await late.opened;
            yield { type: "message", text: "The words of the dead." };
          },
        },
        { store: first.store, leaseTime: shortLease },
      );
      await platform.say("ada", "to be taken over");
      await begun.opened;
      if (showsDrafts) {
        await shows(platform, "The beginning of what", " (unless `showsDrafts` is false)");
        await first.noted;
      }
      first.die();
      await copy({}, { store: shared, leaseTime: shortLease });
      if (canTakeOver) await shows(platform, 'You say "to be taken over"');
      late.open();
      await platform.say("bob", "afterwards").catch(() => {});
      await shows(platform, "afterwards");
      const all = allOf(platform);
      const shown = `; shown is ${show(all)}`;
      expectThat(
        `the copy that lost its lease goes on with no answer${shown}`,
        !all.includes("The words of the dead"),
      );
      if (canTakeOver) {
        expectThat(
          `the other copy shows the reply once${shown}`,
          count(all, 'You say "to be taken over"') === 1,
        );
        expectThat(
          `the other copy goes on in what was begun${shown}`,
          !all.includes("The beginning of what"),
        );
      }
      // Its reply ended with that failure, which is for nobody.
      expectThat(`the copy that lost its lease says nothing${shown}`, !all.includes("(ref "));
    });
  });
}

function allOf(platform: PlatformUnderTest): string {
  return platform.shown().join("\n");
}

function isJson(value: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(value) ?? "null"), value);
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}
