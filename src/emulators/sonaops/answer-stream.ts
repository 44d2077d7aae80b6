import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { wordsOf } from "../agent.ts";
import { breakOff } from "../http-server.ts";
import { aborted } from "../kit/server.ts";
import { streamOf } from "../kit/wire.ts";
import type { SonaopsCall } from "./server.ts";
import type { StartedTurn } from "./service.ts";

/** After how many words a turn breaks that was asked to. */
const wordsBeforeBreak = 3;

/**
 * Streams the answer word by word. Only the event `message_saved` is public knowledge: the words' events
 * (`data: {"text": "…"}`), and the one for failures, are inferred. The turn is kept with `message_saved` alone, and
 * not at all when the client has left before it.
 */
export function answerStream(call: SonaopsCall, started: StartedTurn, wordDelayMs: number): Response {
  return new Response(streamOf(play(call, started, wordDelayMs)), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache" },
  });
}

async function* play(
  { request, fault: { cut }, closing }: SonaopsCall,
  { plan, save }: StartedTurn,
  wordDelayMs: number,
): AsyncGenerator<Uint8Array> {
  const ends = AbortSignal.any([closing, request.signal]);
  const delayMs = plan.wordDelayMs ?? wordDelayMs;
  const answer: string[] = [];
  const breaks = async (): Promise<void> => {
    breakOff(request);
    await aborted(ends);
  };
  for (const step of plan.steps) {
    if (step.type !== "answer" && step.type !== "fail") continue;
    // The service has one message a turn.
    const text = answer.length === 0 ? step.text : `\n\n${step.text}`;
    for (const [index, word] of wordsOf(text).entries()) {
      const isPaused = await (delayMs > 0 ? sleep(delayMs, true, { signal: ends }) : nextTurn(true)).catch(
        () => false,
      );
      if (!isPaused) return;
      if (index === wordsBeforeBreak && "breaks" in step) {
        if (step.breaks === "cut") return await breaks();
        if (step.breaks === "hang") return await aborted(ends);
      }
      yield eventOf("message", { text: word });
      if (cut === "in-answer") return await breaks();
    }
    if (step.type === "fail")
      return yield eventOf("error", { code: step.code, success: false, message: step.msg });
    answer.push(text);
  }
  if (answer.length === 0) {
    answer.push("This service knows no such thing.");
    yield eventOf("message", { text: answer[0] });
  }
  if (cut === "before-saved") return await breaks();
  if (ends.aborted) return;
  yield eventOf("message_saved", { messageId: save(answer.join("")) });
  if (cut === "after-saved") await breaks();
}

function eventOf(event: string, data: object): Uint8Array {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}
