import type { FileInput } from "../backends/backend.ts";
import type { JsonObject } from "../json.ts";
import type { Asked } from "./ask.ts";
import type { RunningTurn } from "./host.ts";
import type { Message } from "./message.ts";
import { checked, type Emit, type TurnContext, type TurnLocals } from "./middleware.ts";

/** A turn as one middleware sees it: what it changes is asked, and what it says goes through those around it. */
export class SeenTurn implements TurnContext {
  readonly message: Message;
  readonly sessionName: string;
  readonly attempt: number;
  readonly locals: Partial<TurnLocals>;
  readonly say: (text: string) => void;
  readonly #turn: RunningTurn;
  readonly #asked: Asked;
  readonly #change: (changed: Partial<Asked>) => void;

  /**
   * @param asked by all middlewares of the turn, as they left it so far
   * @param change checks and takes over what one sets
   * @param emit takes what the middleware says one step further out
   */
  constructor(
    turn: RunningTurn,
    asked: Asked,
    locals: Partial<TurnLocals>,
    change: (changed: Partial<Asked>) => void,
    emit: Emit,
  ) {
    this.#turn = turn;
    this.#asked = asked;
    this.#change = change;
    this.message = turn.message;
    this.sessionName = turn.session.name;
    this.attempt = turn.place.attempt;
    this.locals = locals;
    this.say = (text) => emit(checked({ type: "message", text }));
  }

  get agent(): string {
    return this.#asked.agent;
  }

  set agent(agent: string) {
    this.#change({ agent });
  }

  get text(): string {
    return this.#asked.text;
  }

  set text(text: string) {
    this.#change({ text });
  }

  get files(): readonly FileInput[] {
    return this.#asked.files;
  }

  set files(files: readonly FileInput[]) {
    this.#change({ files });
  }

  get context(): JsonObject {
    return this.#asked.context;
  }

  set context(context: JsonObject) {
    this.#change({ context });
  }

  get answer(): string {
    return this.#turn.log.answer;
  }

  get signal(): AbortSignal {
    return this.#turn.stop.signal;
  }
}
