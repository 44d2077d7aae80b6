import type { AparteError, AskCall, Backend, ReplyEvent } from "aparte";

/** What an agent answers, given what it was told and what this conversation told it before. */
export type Answer = (turn: AskCall, memory: readonly string[]) => AsyncIterable<ReplyEvent>;

/** An agent that remembers what each conversation told it, and says it back word by word. */
export const remembering: Answer = async function* ({ text }, memory) {
  const answer = `You say "${text}" after ${memory.join(" and ") || "nothing"}.`;
  for (const delta of answer.split(/(?<= )/)) yield { type: "text", delta };
  yield { type: "message", text: answer };
};

export function backend(answer: Answer): Backend {
  const memories = new Map<string, string[]>();
  return {
    name: "in the test",
    open: async () => {
      const id = `c${memories.size}`;
      memories.set(id, []);
      return id;
    },
    async *ask(turn) {
      const memory = memories.get(turn.conversationId) ?? [];
      yield* answer(turn, [...memory]);
      memory.push(turn.text);
    },
  };
}

/** An answer that the test speaks itself, until it is stopped. */
export class Speech {
  readonly #events: ReplyEvent[] = [];
  #isOver = false;
  #failure: AparteError | undefined;
  #wake = () => {};

  say(delta: string): void {
    this.event({ type: "text", delta });
  }

  event(event: ReplyEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  end(failure?: AparteError): void {
    this.#failure = failure;
    this.#isOver = true;
    this.#wake();
  }

  readonly answer: Answer = async function* (this: Speech, { signal }: Partial<AskCall>) {
    signal?.addEventListener("abort", () => this.#wake(), { once: true });
    for (;;) {
      signal?.throwIfAborted();
      yield* this.#events.splice(0);
      if (this.#isOver) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#events.length > 0 || this.#isOver || signal?.aborted === true) resolve();
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }.bind(this);
}
