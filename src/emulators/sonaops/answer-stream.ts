import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { wordsOf } from "../agent.ts";
import type { SonaopsFault } from "./faults.ts";
import type { StartedTurn } from "./service.ts";

export interface AnswerOptions {
  readonly started: StartedTurn;
  readonly wordDelayMs: number;
  readonly cut: SonaopsFault["cut"];
  /** Breaks the connection once what is written has been sent. */
  readonly breakOff: () => void;
  /** Ends with the emulator. */
  readonly closing: AbortSignal;
}

/** After how many words a turn breaks that was asked to. */
const wordsBeforeBreak = 3;

/**
 * Streams the answer word by word. Only the event `message_saved` is public knowledge: the words' events
 * (`data: {"text": "…"}`), and the one for failures, are inferred. The turn is kept with `message_saved` alone, and
 * not at all when the client has left before it.
 */
export function answerStream(options: AnswerOptions): Response {
  const left = new AbortController();
  const ends = AbortSignal.any([options.closing, left.signal]);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const emit = (event: string, data: object): void => {
        if (!ends.aborted) {
          controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
        }
      };
      // Not awaited: the words follow the headers.
      void play(options, emit, ends)
        .then((isWhole) => {
          if (isWhole) controller.close();
        })
        .catch(() => {
          if (!left.signal.aborted) controller.close();
        });
    },
    cancel() {
      left.abort();
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache" },
  });
}

/** Plays the agent's plan; false when the connection is broken off. */
async function play(
  { started, wordDelayMs, cut, breakOff }: AnswerOptions,
  emit: (event: string, data: object) => void,
  ends: AbortSignal,
): Promise<boolean> {
  const { steps, wordDelayMs: ownDelayMs = wordDelayMs } = started.plan;
  const answer: string[] = [];
  const broken = (): false => {
    breakOff();
    return false;
  };
  for (const step of steps) {
    if (step.type !== "answer" && step.type !== "fail") continue;
    // The service has one message a turn.
    const text = answer.length === 0 ? step.text : `\n\n${step.text}`;
    for (const [index, word] of wordsOf(text).entries()) {
      const pace = { signal: ends };
      await (ownDelayMs > 0 ? sleep(ownDelayMs, undefined, pace) : nextTurn(undefined, pace));
      if (index === wordsBeforeBreak && "breaks" in step) {
        if (step.breaks === "cut") return broken();
        if (step.breaks === "hang") await aborted(ends);
      }
      emit("message", { text: word });
      if (cut === "in-answer") return broken();
    }
    if (step.type === "fail") {
      emit("error", { code: step.code, success: false, message: step.msg });
      return true;
    }
    answer.push(text);
  }
  if (answer.length === 0) {
    answer.push("This service knows no such thing.");
    emit("message", { text: answer[0] });
  }
  if (cut === "before-saved") return broken();
  emit("message_saved", { messageId: started.save(answer.join("")) });
  return cut === "after-saved" ? broken() : true;
}

async function aborted(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  throw signal.reason;
}
