import type { FileInput } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { CarriedTurn } from "../lane/machine.ts";
import { clearConversation } from "../session/operations.ts";
import type { Session } from "../session/session.ts";
import { type Asked, Question } from "./ask.ts";
import { checkContext } from "./context.ts";
import type { CurrentLane, RunningTurn } from "./host.ts";
import { mergeKey, restoreMessage, saidIn, storedIn } from "./message.ts";
import { type Emit, through, turnOver } from "./middleware.ts";
import { conversationOver, fileLost, limited, notice, undelivered } from "./notices.ts";
import { isReplyEvent, type ReplyEvent } from "./reply-event.ts";
import { SeenTurn } from "./seen-turn.ts";

/** How a turn that runs gets its answer: limits, the agent that is meant, the middlewares, and the agent within them. */
export class Answering implements CurrentLane {
  /** The person or the tenant is over a limit: the agent was not asked. */
  isLimited = false;
  readonly #turn: RunningTurn;
  #question: Question | undefined;
  #isOver = false;

  constructor(turn: RunningTurn) {
    this.#turn = turn;
  }

  /** The session, while the turn goes on and is this process's: what is changed later would be written nowhere. */
  get session(): Session | undefined {
    const { place, session } = this.#turn;
    return this.#isOver || place.isEnding || place.isLost ? undefined : session;
  }

  /** The agent that is asked, once it is known. */
  get agent(): string | undefined {
    return this.#turn.watch.agent;
  }

  /** Whether the agent's service may have the turn. */
  get isSent(): boolean {
    return this.#question?.isSent ?? false;
  }

  async run(): Promise<void> {
    const { host, place, session, message, log, texts, stop, watch } = this.#turn;
    const { middlewares, limits } = host;
    this.#tellUndelivered();
    const { carries = [] } = place.turn ?? {};
    // A turn that is taken up again was counted before.
    const waitMs = limits === undefined || place.attempt > 1 ? 0 : await limits.take(message);
    if (waitMs > 0) {
      log.push(limited(waitMs, texts));
      this.isLimited = true;
      return;
    }
    // What became of a turn is known to the agent that has it, whichever is chosen by now. It may be denied by now.
    const { agent: before } = place.turn ?? {};
    const isKept = before !== undefined && (await host.agents.allowedTo(message)).includes(before);
    const found = isKept ? before : host.agents.reachedBy(message, session.record.agent);
    const agent = typeof found === "string" ? found : await found;
    watch.agent = agent;
    const asked: Asked = {
      agent,
      files: this.#files(carries),
      ...saidIn([...carries.map(storedIn), message]),
    };
    const emit = (event: ReplyEvent) => this.#say(event);
    const last = (into: Emit) => this.#ask(asked, into);
    if (middlewares.length === 0) return last(emit);
    const forgotten = () =>
      host.settings.logger.error(
        "a middleware did not await next(): write `await next()` or `return next()`",
      );
    const change = (changed: Partial<Asked>) => this.#change(asked, changed);
    const locals = {};
    const seen = (into: Emit) => new SeenTurn(this.#turn, asked, locals, change, into);
    await host.current.run(this, () => through(middlewares, seen, last, emit, forgotten));
    // A middleware that answers for an agent that failed does not answer for one that was stopped.
    stop.throwIfStopped();
  }

  /** Nothing more is written of what the service says: the answer is whole, or there is none. */
  dropNote(): void {
    this.#question?.dropNote();
  }

  /** The turn has ended: what was made for it works no more. */
  end(): void {
    this.#isOver = true;
  }

  #say(event: ReplyEvent): void {
    if (this.#isOver) throw turnOver();
    if (this.#turn.stop.reason === undefined) this.#turn.log.say(event);
  }

  #tellUndelivered(): void {
    const { session, message, adapter, log, texts } = this.#turn;
    const { undelivered: lost } = session.record;
    if (lost === undefined || adapter === undefined) return;
    log.push(undelivered(lost.place === mergeKey(message) ? lost.text : undefined, texts));
    session.keepUndelivered(undefined);
  }

  /** The files of the message, and of those whose words it carries. */
  #files(carries: readonly CarriedTurn[]): readonly FileInput[] {
    const { host, place, message, adapter, log, texts } = this.#turn;
    const { files = [] } = message;
    const earlier = carries.flatMap((carried) => {
      const name = `${place.lane} ${carried.key}`;
      const live = host.turns.get(name)?.message;
      host.turns.delete(name);
      const restored = live ?? restoreMessage(storedIn(carried), adapter);
      if (restored === undefined) log.push(fileLost(texts));
      return restored?.files ?? [];
    });
    return [...earlier, ...files];
  }

  /** Takes over what a middleware changes of what is asked. */
  #change(asked: Asked, changed: Partial<Asked>): void {
    if (this.#isOver) throw turnOver();
    if (changed.agent !== undefined) this.#turn.host.agents.backend(changed.agent);
    if (changed.context !== undefined) checkContext(changed.context);
    Object.assign(asked, changed);
    this.#turn.watch.agent = asked.agent;
  }

  async #ask(asked: Asked, emit: Emit): Promise<void> {
    const { host, session, stop, watch, texts } = this.#turn;
    const question = new Question(this.#turn, { ...asked });
    if (session.record.isPaused) {
      emit(notice("paused", texts));
      return;
    }
    if (session.idleMs >= host.settings.freshAfter) await this.#startAfresh(asked.agent, emit);
    session.touch();
    stop.throwIfStopped();
    this.#question = question;
    let hasSpoken = false;
    for await (const event of question.answer()) {
      stop.throwIfStopped();
      if (!isReplyEvent(event)) throw noEvent(asked.agent);
      if (event.type === "usage") {
        const { type: _, ...usage } = event;
        watch.tell("usage", { usage });
      } else if (event.type === "handoff") session.pause(true);
      else if (!hasSpoken && ["text", "message", "file"].includes(event.type)) {
        hasSpoken = true;
        watch.tell("first-word");
      }
      emit(event);
    }
    stop.throwIfStopped();
  }

  /** After long silence no agent is to know what was said before. Written down before one is asked. */
  async #startAfresh(asked: string, emit: Emit): Promise<void> {
    const { host, session, texts } = this.#turn;
    const { agents } = host.settings;
    const hadConversation = session.conversation(asked)?.id !== undefined;
    for (const agent of Object.keys(session.record.conversations)) {
      const backend = agents.get(agent);
      if (backend !== undefined) await clearConversation(session, agent, backend);
    }
    session.touch();
    await session.save();
    if (hadConversation) emit(conversationOver(texts));
  }
}

function noEvent(agent: string): AparteError {
  return new AparteError(
    "backend-failed",
    `The backend of the agent "${agent}" yielded what is no reply event. { type: "text", delta: "…" } and { type: "message", text: "…" } are two.`,
  );
}
