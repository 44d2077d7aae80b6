import {
  type AskCall,
  type Backend,
  type MapperOptions,
  type Message,
  type OpenCall,
  type ReplyEvent,
  SessionMapper,
} from "aparte";
import { type Adapter, type Delivery, type DeliveryFailure, Transcript } from "aparte/adapter";
import { LogLines } from "./log-lines.ts";
import { leaseTime, storeTimeout } from "./owner.ts";
import type { TestClock } from "./test-clock.ts";
import type { TestStore, View } from "./test-store.ts";

/** One turn as the agent got it. */
export interface Asked {
  readonly call: AskCall;
  say(event: ReplyEvent): void;
  /** Says a last message. */
  answer(text: string): void;
  fail(error: unknown): void;
}

/** An agent that answers when the test wants it. */
export class TestAgent implements Backend {
  readonly name = "test";
  readonly asked: Asked[] = [];
  readonly opened: OpenCall[] = [];
  /** Answers every turn at once, by what was said. */
  reply: ((text: string) => string) | undefined;
  /** What opening a conversation waits for. */
  opening: Promise<void> = Promise.resolve();
  recover?: NonNullable<Backend["recover"]>;
  find?: NonNullable<Backend["find"]>;
  clear?: NonNullable<Backend["clear"]>;
  remove?: NonNullable<Backend["remove"]>;
  rename?: NonNullable<Backend["rename"]>;
  exists?: NonNullable<Backend["exists"]>;
  accessToken?: NonNullable<Backend["accessToken"]>;
  history?: NonNullable<Backend["history"]>;
  feedback?: NonNullable<Backend["feedback"]>;

  async open(call: OpenCall): Promise<string> {
    this.opened.push(call);
    const number = this.opened.length;
    await this.opening;
    call.signal.throwIfAborted();
    return `c${number}`;
  }

  ask(call: AskCall): AsyncIterable<ReplyEvent> {
    const said = new Said(call.signal);
    const asked: Asked = {
      call,
      say: (event) => said.push(event),
      answer: (text) => {
        said.push({ type: "message", text });
        said.end();
      },
      fail: (error) => said.fail(error),
    };
    this.asked.push(asked);
    if (this.reply !== undefined) asked.answer(this.reply(call.text));
    return said.read();
  }

  /** What was asked, in order. */
  get texts(): string[] {
    return this.asked.map(({ call }) => call.text);
  }

  /** The turn that was asked last. */
  get last(): Asked {
    const last = this.asked.at(-1);
    if (last === undefined) throw new Error("Nothing was asked.");
    return last;
  }
}

/** Events as they are pushed, until the end or the signal. */
class Said {
  readonly #events: ReplyEvent[] = [];
  readonly #signal: AbortSignal;
  #isOver = false;
  #error: unknown;
  #wake = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  push(event: ReplyEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.end();
  }

  async *read(): AsyncGenerator<ReplyEvent> {
    this.#signal.addEventListener("abort", () => this.#wake(), { once: true });
    for (;;) {
      this.#signal.throwIfAborted();
      const event = this.#events.shift();
      if (event !== undefined) yield event;
      else if (this.#isOver) break;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    if (this.#error !== undefined) throw this.#error;
  }
}

/** What a platform failed with. */
export class PlatformError extends Error {
  readonly failure: DeliveryFailure;

  constructor(failure: DeliveryFailure) {
    super("The platform failed.");
    this.failure = failure;
  }
}

/** A chat platform that shows each reply as one post, when it is whole. */
export class TestPlatform implements Adapter {
  readonly platform: string;
  readonly bot?: string;
  /** Posts, in the order in which they stand: words and notices of a reply, or what it failed with. */
  readonly shown: string[] = [];
  /** Every call of `deliver`. */
  readonly deliveries: { readonly message: Message; readonly delivery: Delivery }[] = [];
  /** Called directly before a post, and may throw. */
  beforePost: (message: Message, delivery: Delivery) => void | Promise<void> = () => {};
  readonly loaded: unknown[] = [];

  constructor(platform = "chat", bot?: string) {
    this.platform = platform;
    if (bot !== undefined) this.bot = bot;
  }

  async deliver(message: Message, delivery: Delivery): Promise<void> {
    this.deliveries.push({ message, delivery });
    const parts: string[] = [];
    const transcript = new Transcript();
    try {
      for await (const event of delivery) {
        transcript.add(event);
        if (event.type === "notice") parts.push(`(${event.code})`);
      }
    } catch (error) {
      parts.push(`failed: ${(error as { code?: string }).code}`);
    }
    if (transcript.answer !== "") parts.unshift(transcript.answer);
    await delivery.permit();
    await this.beforePost(message, delivery);
    this.shown.push(parts.join(" "));
  }

  failure(error: unknown): DeliveryFailure {
    return error instanceof PlatformError ? error.failure : { passes: true };
  }

  async loadFile(ref: unknown): Promise<Uint8Array> {
    this.loaded.push(ref);
    return new Uint8Array([1]);
  }
}

export interface BotInTest {
  readonly mapper: SessionMapper;
  readonly agent: TestAgent;
  readonly platform: TestPlatform;
  readonly view: View;
  readonly log: LogLines;
  /** Gives the adapter's message to the mapper. */
  receive(id: string, text?: string, more?: Partial<Message>): Promise<boolean>;
}

export const secret = "a secret of the tests, long enough";

/** One process with an agent and a platform. */
export function botOf(
  clock: TestClock,
  store: TestStore,
  options: Partial<MapperOptions> & { readonly agent?: TestAgent; readonly platform?: TestPlatform } = {},
): BotInTest {
  const { agent = new TestAgent(), platform = new TestPlatform(), ...rest } = options;
  const view = store.view();
  const log = new LogLines();
  const mapper = new SessionMapper({
    ...{ agents: { helper: agent }, secret, clock, leaseTime, storeTimeout, store: view, logger: log },
    ...rest,
  });
  mapper.connect(platform);
  const receive = (id: string, text = id, more: Partial<Message> = {}) =>
    mapper.receive({ platform: platform.platform, tenant: "acme", user: "ann", id, text, ...more });
  return { mapper, agent, platform, view, log, receive };
}

/** A message of the person `ann`. */
export function messageOf(id: string, text: string = id, more: Partial<Message> = {}): Message {
  return { platform: "web", tenant: "acme", user: "ann", id, text, ...more };
}
