import type { AskCall, Backend } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import type { ReplyEvent } from "../turn/reply-event.ts";

/** What an answer looks like, in the order in which it comes. */
export type Script = (turn: AskCall, earlier: readonly string[]) => AsyncIterable<ReplyEvent>;

/** An agent that remembers what each conversation told it, and says what the test has written for a text. */
export function scriptedAgent(scripts: { readonly [text: string]: Script } = {}): Backend {
  const told = new Map<string, string[]>();
  return {
    name: "of the contract suite",
    open: async () => {
      const id = `c${told.size}`;
      told.set(id, []);
      return id;
    },
    async *ask(turn) {
      const earlier = told.get(turn.conversationId) ?? [];
      const script = Object.entries(scripts).find(([text]) => turn.text.includes(text))?.[1] ?? echo;
      yield* script(turn, [...earlier]);
      earlier.push(turn.text);
    },
    // What was under way when its process died has been answered here: the suite's agent never fails.
    recover: async (turn) => echo(turn, []),
  };
}

/** Streams what it was told, now and before. */
export const echo: Script = async function* ({ text }, earlier) {
  const answer = `You say "${text}" after ${earlier.map((said) => `"${said}"`).join(", ") || "nothing"}.`;
  for (const delta of answer.split(/(?<= )/)) yield { type: "text", delta };
  yield { type: "message", text: answer };
};

/** Opens when the test says so. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => {};

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

/** What an agent's failure is told as: the code's own words, and none of these. */
export const inner = "words that are for the log alone";

export const fails: Script = async function* () {
  yield { type: "text", delta: "A beginning" };
  throw new AparteError("backend-quota", inner);
};
