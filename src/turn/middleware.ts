import type { FileInput } from "../backends/backend.ts";
import { AparteError, asAparteError } from "../errors.ts";
import type { Message } from "./message.ts";

/** A turn as a middleware sees it. Used after the turn has ended, it throws. */
export interface TurnContext {
  readonly message: Message;
  readonly sessionName: string;
  /**
   * The agent that is asked; a middleware may choose another one before `next()`.
   * @throws {AparteError} `agent-unknown` when it is set to one that is not configured
   */
  agent: string;
  /** How often this turn was begun: more than 1 where an earlier process died over it. */
  readonly attempt: number;
  /** What the agent is asked; a middleware may change it before `next()`. */
  text: string;
  /** What the agent gets with the text; a middleware may change them before `next()`. */
  files: readonly FileInput[];
  /** What the person was answered so far, drafts included; the whole answer behind `await next()`. */
  readonly answer: string;
  /** Aborted when the turn is stopped. */
  readonly signal: AbortSignal;
  /** Answers the person; a middleware that says all there is to say need not call `next()`. */
  say(text: string): void;
}

/** Runs around each turn, in its lane. `next` asks the agent and resolves when the reply is complete. */
export type Middleware = (turn: TurnContext, next: () => Promise<void>) => void | Promise<void>;

/**
 * Runs the middlewares, the first one outermost, and `last` innermost. An inner part that was not awaited is awaited
 * here, so that nothing of a turn is left behind when it ends.
 * @param forgotten told of a middleware that did not await `next()`
 */
export async function through(
  middlewares: readonly Middleware[],
  turn: TurnContext,
  last: () => Promise<void>,
  forgotten: () => void,
): Promise<void> {
  const [middleware, ...inner] = middlewares;
  if (middleware === undefined) return last();
  let running: Promise<void> | undefined;
  let isSettled = false;
  const next = (): Promise<void> => {
    if (running !== undefined) {
      throw new AparteError("input-invalid", "A middleware called next() twice.", { field: "next" });
    }
    running = through(inner, turn, last, forgotten).finally(() => {
      isSettled = true;
    });
    running.catch(() => {}); // Whoever awaits it is told, and so is the turn below.
    return running;
  };
  try {
    await middleware(turn, next);
  } catch (error) {
    await running?.catch(() => {});
    throw asAparteError(error, "hook-failed", "A middleware failed. The cause is kept in the error.");
  }
  if (running === undefined) return;
  if (!isSettled) forgotten();
  await running;
}
