import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall } from "../backend.ts";
import { ServiceFailure } from "../http/failure.ts";
import { type ChatProgress, type Lookup, startChat } from "./chat.ts";
import type { CozeClient, CozeRequest } from "./client.ts";
import { fetchRest } from "./rest.ts";
import { readChat } from "./wire.ts";

/** Asks in the polling way, for agents that cannot stream: start, look until it has ended, fetch the answers. */
export async function* pollChat(
  client: CozeClient,
  turn: AskCall,
  request: CozeRequest,
  progress: ChatProgress,
  isThere?: Lookup,
): AsyncGenerator<ReplyEvent> {
  try {
    const answer = await startChat(client, turn, progress, () => client.call(request), isThere);
    if (answer !== undefined) progress.began(readChat(answer.data).id);
  } catch (error) {
    // The answer to the start was lost, the chat may run all the same: it is looked for.
    if (!(error instanceof ServiceFailure && error.mayHaveRun)) throw error;
  }
  const late = new AparteError("backend-timeout", "Coze: the chat's answer could not be fetched in time.");
  yield* fetchRest(client, turn, progress, client.settings.chatTimeout, late);
}
