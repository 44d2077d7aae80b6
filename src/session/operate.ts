import { randomUUID } from "node:crypto";
import { within } from "../clock.ts";
import { AparteError } from "../errors.ts";
import type { Owner } from "../lane/owner.ts";
import { leaseLost, type Place } from "../lane/place.ts";
import { describeError } from "../logger.ts";
import type { Settings } from "../options.ts";
import type { SessionIdentity } from "../speaker/session-names.ts";
import { Session } from "./session.ts";

/**
 * Runs an operation on a session: in its lane, as a turn of its own after those that came before.
 * @param operation its name
 */
export async function operate<T>(
  owner: Owner,
  settings: Settings,
  { name, speaker }: SessionIdentity,
  operation: string,
  run: (session: Session) => T | Promise<T>,
): Promise<T> {
  const { turnTimeout, clock, logger } = settings;
  const place = await placeOf(owner, settings, name, operation);
  const stop = new AbortController();
  void place.stopped.then((reason) => stop.abort(reason));
  const whole = async () => {
    const session = new Session(name, speaker, place, stop, place.record);
    const result = await run(session);
    await place.end(session.changed);
    return result;
  };
  try {
    return await within(clock, turnTimeout, whole(), () => {
      const tooLong = new AparteError("turn-timeout", `"${operation}" took longer than ${turnTimeout} ms.`);
      stop.abort(tooLong);
      return tooLong;
    });
  } catch (error) {
    // The lane goes on; what the operation failed with is the caller's to know.
    if (!place.isEnding) {
      await place.end().catch((failure) => logger.warn("a lane was left", describeError(failure)));
    }
    throw error;
  }
}

/** The operation's place in the lane, once it runs. */
async function placeOf(
  owner: Owner,
  { storeTimeout, waitTimeout, clock }: Settings,
  lane: string,
  operation: string,
): Promise<Place> {
  const turn = {
    ...({ key: `${operation} ${randomUUID()}`, overlap: "queue", mergeKey: "", isOperation: true } as const),
    body: { v: 1, operation },
  };
  const taken = await owner.lane(lane).take(turn, Number.MAX_SAFE_INTEGER, storeTimeout);
  if (taken.is !== "taken") throw new AparteError("wait-timeout", `"${operation}" did not get its turn.`);
  const { place } = taken;
  const cancelWait = clock.after(waitTimeout, () => void place.withdraw().catch(() => {}));
  const begun = await place.begun;
  cancelWait();
  if (begun === "lost") throw leaseLost();
  if (begun !== "runs") throw new AparteError("wait-timeout", `"${operation}" did not get its turn in time.`);
  return place;
}
