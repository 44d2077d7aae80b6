import type { Backend, ConversationCall } from "../backends/backend.ts";
import type { Clock } from "../clock.ts";
import { type LeftTurn, markOf } from "../lane/place.ts";
import { describeError, type Logger } from "../logger.ts";
import type { Session } from "../session/session.ts";
import { saidIn, storedIn } from "./message.ts";

/**
 * What callers that died had asked may not be answered yet: the service is asked until it is, as those callers will ask
 * when they come again. A conversation's turns run one at a time, and nothing is cleared away from under one.
 * @param call keeps and notes nothing
 */
export async function untilAnswered(
  parked: readonly LeftTurn[],
  session: Session,
  backend: Backend,
  call: ConversationCall,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  const from = clock.now();
  for (const { turn, leftMs } of parked) {
    const { key, agent, known, carries = [] } = turn;
    if (agent !== undefined && agent !== call.agent) continue;
    await session.permit();
    const late = new AbortController();
    const cancel = clock.after(from + leftMs - clock.now(), () => late.abort());
    const signal = AbortSignal.any([call.signal, late.signal]);
    try {
      const recovered = await backend.recover?.({
        ...call,
        signal,
        turnId: markOf(session.name, key),
        files: [],
        ...saidIn([...carries, turn].map(storedIn)),
        ...(known === undefined ? {} : { facts: known }),
      });
      if (typeof recovered === "object") for await (const _ of recovered) signal.throwIfAborted();
    } catch (error) {
      if (!call.signal.aborted) {
        logger.warn("an earlier turn's end could not be waited for", describeError(error));
      }
    }
    cancel();
    // Nobody waits any more: whoever called does nothing after it either.
    call.signal.throwIfAborted();
  }
}
