import type { AskCall, Backend } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import { isJson, type JsonValue } from "../json.ts";
import { describeError } from "../logger.ts";
import { conversationId, dropConversation, keepState } from "../session/conversation.ts";
import type { RunningTurn } from "./host.ts";
import type { TurnContext } from "./middleware.ts";
import { notice } from "./notices.ts";
import { untilAnswered } from "./parked.ts";
import type { ReplyEvent } from "./reply-event.ts";
import { withSignal } from "./stop.ts";

/** What the agent is asked. */
export type Asked = Pick<TurnContext, "agent" | "text" | "files" | "context">;

/** How long what the service says of a turn is gathered before it is written, in milliseconds: most turns end before. */
const gatherMs = 250;

/** One turn's question to an agent. */
export class Question {
  /** Whether the service may have it. */
  isSent = false;
  readonly #turn: RunningTurn;
  readonly #asked: Asked;
  readonly #backend: Backend;
  /** Names the conversation where it is opened now. */
  readonly #title: string | undefined;
  #cancelNote: (() => void) | undefined;

  /** @throws {AparteError} `agent-unknown` */
  constructor(turn: RunningTurn, asked: Asked) {
    this.#turn = turn;
    this.#asked = asked;
    this.#backend = turn.host.agents.backend(asked.agent);
    this.#title = turn.host.settings.title(turn.message);
  }

  /** What the agent says. Of a turn whose process died, the service is asked what it knows of it. */
  answer(): AsyncIterable<ReplyEvent> {
    return this.#turn.place.attempt > 1 ? this.#recover() : this.#ask();
  }

  /** What the service said of the turn, and is not written yet, need not be written any more. */
  dropNote(): void {
    this.#cancelNote?.();
  }

  /**
   * Asks the agent in the session's conversation. Where the service has lost the conversation, a new one is
   * opened, the person is told, and the turn goes on: once, and only while nothing has been said.
   */
  async *#ask(): AsyncGenerator<ReplyEvent> {
    let hasSpoken = false;
    try {
      // Not awaited where it is known: the agent is asked at once.
      const id = this.#knownId ?? (await this.#opened());
      await this.#untilParkedAnswered(id);
      await this.#beforeAsk();
      this.#turn.stop.throwIfStopped();
      this.isSent = true;
      this.#turn.watch.tell("asked");
      for await (const event of this.#said(id)) {
        hasSpoken = true;
        yield event;
      }
    } catch (error) {
      if (hasSpoken || !(error instanceof AparteError) || error.code !== "conversation-lost") throw error;
      dropConversation(this.#turn.session, this.#asked.agent);
      // Before one is opened: where that fails, the person's next turn opens it, and does not know of this.
      yield notice("new-conversation", this.#turn.texts);
      const id = await this.#opened();
      yield* this.#said(id);
    }
  }

  #said(id: string): AsyncIterable<ReplyEvent> {
    const said = this.#backend.ask(this.#callOf(id));
    // A backend of one's own may be no TypeScript.
    if (typeof said?.[Symbol.asyncIterator] === "function") return said;
    throw new AparteError(
      "backend-failed",
      `"ask" of the backend of the agent "${this.#asked.agent}" must be an async generator (async *ask) or return an AsyncIterable.`,
    );
  }

  /**
   * Goes on with a turn whose process died, perhaps after the service got it. The service is asked for the turn where it
   * can be; what it surely never got is asked now.
   */
  async *#recover(): AsyncGenerator<ReplyEvent> {
    const { place, texts } = this.#turn;
    const { known, phase, agent = this.#asked.agent } = place.turn ?? {};
    // No other agent knows what became of it, where the one that has it is gone or a middleware took another.
    if (agent !== this.#asked.agent) {
      this.#found(true);
      yield notice("answer-lost", texts);
      return;
    }
    const id = this.#knownId;
    // Without a conversation there was nothing that the turn could have been sent to, unless it was left since.
    if (phase !== "asked" && (id === undefined || this.#backend.recover === undefined)) {
      yield* this.#askAfterAll();
      return;
    }
    // What it asks the service for may go on there: a tool is called, a question answered.
    await place.permit();
    const facts = known === undefined ? {} : { facts: known };
    const recovered =
      id === undefined ? "unknown" : await this.#backend.recover?.({ ...this.#callOf(id), ...facts });
    if (recovered === "not-sent") yield* this.#askAfterAll();
    else if (recovered === undefined || recovered === "unknown") {
      yield notice("answer-lost", texts);
      this.#found(true);
    } else {
      this.#found(true);
      yield* recovered;
    }
  }

  /** What a process that died never sent is sent now, unless somebody stopped it meanwhile. */
  async *#askAfterAll(): AsyncGenerator<ReplyEvent> {
    this.#found(false);
    this.#turn.stop.throwIfStopped();
    yield* this.#ask();
  }

  /** It is known now whether the service may have got the turn from a process that died. */
  #found(isSent: boolean): void {
    this.isSent ||= isSent;
    this.#turn.stop.release();
  }

  /** Not awaited where nothing is parked: the agent is asked at once. */
  #untilParkedAnswered(id: string): Promise<void> | undefined {
    const { session, host } = this.#turn;
    const parked = session.parkedWithin(host.settings.turnTimeout);
    if (parked.length === 0) return undefined;
    // Nothing is kept of what is only waited for.
    const { keep: _, note: __, ...call } = this.#callOf(id);
    return untilAnswered(parked, session, this.#backend, call, host.settings);
  }

  /** Where the service cannot be asked for the turn afterwards, it is written down that it got it. */
  #beforeAsk(): Promise<void> | undefined {
    const { host, place } = this.#turn;
    const { agent } = this.#asked;
    const isUnwritten = this.#backend.recover === undefined && place.turn?.phase === "taken";
    if (isUnwritten) return place.advance({ phase: "asked", agent }, undefined, place.patienceMs);
    return host.owner.isAlive ? undefined : place.permit();
  }

  get #knownId(): string | undefined {
    return this.#turn.session.conversation(this.#asked.agent)?.id;
  }

  /** Not broken off: the next turn would look for the conversation before the service has it, and open another one. */
  async #opened(): Promise<string> {
    const { host, session, stop } = this.#turn;
    const conversation = {
      ...{
        session,
        agent: this.#asked.agent,
        backend: this.#backend,
        title: this.#title,
        signal: stop.signal,
      },
      alwaysFind: host.settings.alwaysFind,
    };
    const id = await stop.holding(() => conversationId(conversation));
    stop.throwIfStopped();
    return id;
  }

  #callOf(conversationId: string): AskCall {
    const { host, place, session, message, stop, texts } = this.#turn;
    const { agent, text, files, context } = this.#asked;
    const state = session.conversation(agent)?.state;
    return withSignal<Omit<AskCall, "signal">>(stop, {
      sessionName: session.name,
      agent,
      conversationId,
      turnId: place.mark,
      text,
      files,
      context,
      texts,
      ...(state === undefined ? {} : { state }),
      keep: (kept) => keepState(session, agent, this.#json("keep", kept)),
      note: (known) => this.#note(this.#json("note", known)),
      pace: (key, perSecond) => {
        const tenant = JSON.stringify([message.platform, message.tenant]);
        return host.pace.turn({ key, perSecond, tenant, signal: stop.signal });
      },
      permit: session.permit,
    });
  }

  /** No store could write anything else down: the lane would stand for good. */
  #json(call: "keep" | "note", value: JsonValue): JsonValue {
    if (isJson(value)) return value;
    throw new AparteError(
      "backend-failed",
      `The backend of the agent "${this.#asked.agent}" gave to "${call}" what is no JSON.`,
    );
  }

  /** Writes down what the service said of the turn. */
  #note(known: JsonValue): void {
    const { host, place } = this.#turn;
    const { clock, logger } = host.settings;
    this.#cancelNote?.();
    this.#cancelNote = clock.after(gatherMs, () => {
      place.advance({ phase: "asked", agent: this.#asked.agent, known }).catch((error) => {
        if (!place.isLost) logger.warn("a turn could not be noted", describeError(error));
      });
    });
  }
}
