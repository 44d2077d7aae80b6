import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall } from "../backend.ts";
import { Deadline } from "../http/deadline.ts";
import { lost, ranPerhaps, ServiceFailure } from "../http/failure.ts";
import { noAnswer } from "../http/no-answer.ts";
import type { SonaopsClient, SonaopsRequest } from "./client.ts";
import { streamFailure } from "./failure.ts";
import type { SonaopsFrame, SonaopsReading } from "./reader.ts";
import { signable } from "./signing.ts";

/** Asks in the streaming way, the only one known of the service. A turn is never sent again once it may have run. */
export async function* ask(client: SonaopsClient, turn: AskCall): AsyncGenerator<ReplyEvent> {
  const words = wordsOf(turn);
  const whole = new Deadline(turn.signal, client.settings.chatTimeout);
  try {
    const { sessionName: userId, conversationId, permit } = turn;
    const agentId = await client.agentId(userId, whole.signal);
    const body = { agentId, conversationId, text: words };
    const request = { path: "/v1/chat/stream", body, userId, isTurn: true, permit };
    yield* answer(client, request, turn, whole.signal);
  } catch (error) {
    if (!whole.isOver) throw error;
    throw new ServiceFailure("backend-timeout", "Sonaops: the answer took too long", ranPerhaps, {
      cause: error,
    });
  } finally {
    whole.end();
  }
}

function wordsOf({ text, files }: AskCall): string {
  if (files.length > 0) {
    throw new AparteError(
      "backend-rejected",
      "Sonaops: files and images cannot be sent. Send the words alone.",
    );
  }
  const words = signable(text);
  if (words === "")
    throw new AparteError("backend-rejected", "Sonaops: the message has no words. Send some.");
  return words;
}

async function* answer(
  client: SonaopsClient,
  request: SonaopsRequest,
  turn: AskCall,
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  let ending: NodeJS.Timeout | undefined;
  const { events, idle } = await client.stream(request, signal, () => ending?.refresh());
  const { savedTimeout } = client.settings;
  let draft = "";
  let isSaved = false;
  try {
    for await (const frame of events) {
      const reading = read(client, frame);
      if (reading.type === "end") break;
      if (reading.type === "text" && reading.delta !== "") {
        draft += reading.delta;
        yield reading;
      } else if (reading.type === "message") draft = reading.text;
      else if (reading.type === "failed") {
        const { message, code, traceId } = reading;
        const failure = streamFailure({ message, code, traceId }, client.judge(request), draft !== "");
        client.watchQuota(failure);
        throw failure;
      } else if (reading.type === "saved") {
        isSaved = true;
        // Whether it is the last event is not known, so what may follow is waited for.
        ending ??= setTimeout(() => idle.abort(), savedTimeout);
      }
    }
  } catch (error) {
    // The answer is whole and kept: how the connection ended after that does not matter.
    const isEnded = isSaved && !(error instanceof AparteError) && !signal.aborted;
    if (!isEnded) throw lost(error, signal, idle, "Sonaops", "backend-stream-cut");
  } finally {
    clearTimeout(ending);
    idle.end();
  }
  if (!isSaved) {
    const what =
      "Sonaops: the answer's stream ended before the service had kept it (message_saved); it is not sent again";
    throw new ServiceFailure("backend-stream-cut", what, ranPerhaps);
  }
  if (draft.trim() === "") {
    client.settings.logger.warn(
      "Sonaops: an answer had no text. If none has, check textPath, or give a reader.",
    );
    yield noAnswer(turn);
    return;
  }
  yield { type: "message", text: draft };
}

function read({ settings }: SonaopsClient, frame: SonaopsFrame): SonaopsReading {
  try {
    return settings.reader(frame);
  } catch (cause) {
    const what = "Sonaops: the function reader failed. Its error is kept as the cause";
    throw new ServiceFailure("backend-protocol", what, ranPerhaps, { cause });
  }
}
