import { randomUUID } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import { within } from "../clock.ts";
import { AparteError } from "../errors.ts";
import { leaseLost } from "../lane/place.ts";
import { describeError } from "../logger.ts";
import { clearConversation, conversationCall } from "../session/operations.ts";
import { Session } from "../session/session.ts";
import { isSessionName } from "../speaker/session-name.ts";
import type { SessionIdentity } from "../speaker/session-names.ts";
import { checkSpeaker, type Speaker } from "../speaker/speaker.ts";
import type { TurnHost } from "./host.ts";
import { untilAnswered } from "./parked.ts";

/** Runs operations on sessions: each in the session's lane, as a turn of its own, or as part of the turn that it is called in. */
export class Operations {
  readonly #host: TurnHost;

  constructor(host: TurnHost) {
    this.#host = host;
  }

  /** The session of a speaker, or of a name, whose speaker its record tells if there is one. */
  find(who: Speaker | string): SessionIdentity | Promise<SessionIdentity> {
    if (typeof who !== "string") {
      checkSpeaker(who);
      return this.#host.names.find(who);
    }
    if (isSessionName(who)) return { name: who, speaker: { scope: "unknown" } };
    throw new AparteError("input-invalid", "That is not the name of a session.", { field: "sessionName" });
  }

  /**
   * The agent that a message from the speaker would reach; in a middleware of the session, the turn's.
   * @param session its name
   * @param chosen the person's own choice
   */
  agentFor(session: string, chosen: string | undefined, who: Speaker | string): string | Promise<string> {
    const { agents, current } = this.#host;
    const lane = current.getStore();
    if (lane?.session?.name === session && lane.agent !== undefined) return lane.agent;
    return typeof who === "string" ? agents.only : agents.reachedBy({ id: "", text: "", ...who }, chosen);
  }

  /** Runs an operation after the turns that came before it. */
  async run<T>(
    who: Speaker | string,
    operation: string,
    run: (session: Session) => T | Promise<T>,
  ): Promise<T> {
    const { closing, current } = this.#host;
    closing.assertOpen();
    const found = this.find(who);
    const identity = found instanceof Promise ? await found : found;
    const session = current.getStore()?.session;
    if (session?.name === identity.name) {
      const result = await run(session);
      // Nobody waited for it: what it changed of a turn that has ended since is written nowhere.
      const isOver = current.getStore()?.session !== session;
      if (operation === "forget" && isOver) return this.runIn(identity, operation, run);
      // Whoever is told so must not be remembered for the turn's process dying.
      const isToWrite = session.changed !== undefined || session.forgets;
      if (operation === "forget" && isToWrite) await session.save();
      return result;
    }
    const isByName = typeof who === "string" && operation !== "forget";
    return this.runIn(identity, operation, (its) => {
      if (!isByName || !its.isNew) return run(its);
      throw new AparteError("input-invalid", "There is no session of that name.", { field: "sessionName" });
    });
  }

  /** Runs an operation on the conversation with one agent: the one that is named, or else that a message would reach. */
  runWith<T>(
    who: Speaker | string,
    operation: string,
    named: string | undefined,
    run: (session: Session, agent: string, backend: Backend) => T | Promise<T>,
  ): Promise<T> {
    return this.run(who, operation, async (session) => {
      const agent = named ?? (await this.agentFor(session.name, session.record.agent, who));
      return run(session, agent, this.#host.agents.backend(agent));
    });
  }

  /** The agent forgets what was said, once it is at work on nothing any more. */
  async clear(session: Session, agent: string, backend: Backend): Promise<void> {
    const { settings } = this.#host;
    const { id, state } = session.conversation(agent) ?? {};
    if (backend.clear !== undefined && id !== undefined) {
      const kept = state === undefined ? {} : { state };
      const call = { ...conversationCall(session, agent, id), ...kept };
      await untilAnswered(session.parkedWithin(settings.turnTimeout), session, backend, call, settings);
    }
    await clearConversation(session, agent, backend);
  }

  /** Runs an operation in a session's lane, from wherever it is called. */
  runIn<T>(
    identity: SessionIdentity,
    operation: string,
    run: (session: Session) => T | Promise<T>,
  ): Promise<T> {
    const work = this.#runIn(identity, operation, run);
    this.#host.closing.track(work);
    return work;
  }

  async #runIn<T>(
    { name, speaker }: SessionIdentity,
    operation: string,
    run: (session: Session) => T | Promise<T>,
  ): Promise<T> {
    const { owner, settings } = this.#host;
    const { storeTimeout, turnTimeout, waitTimeout, clock, logger } = settings;
    const turn = {
      ...({
        key: `${operation} ${randomUUID()}`,
        overlap: "queue",
        mergeKey: "",
        isOperation: true,
      } as const),
      body: { v: 1 },
    };
    const notRun = (when = "") =>
      new AparteError("wait-timeout", `"${operation}" did not get its turn${when}.`);
    const taken = await owner.lane(name).take(turn, Number.MAX_SAFE_INTEGER, storeTimeout);
    if (taken.is !== "taken") throw notRun();
    const { place } = taken;
    const cancelWait = clock.after(waitTimeout, () => void place.withdraw().catch(() => {}));
    const begun = await place.begun;
    cancelWait();
    if (begun === "lost") throw leaseLost();
    if (begun !== "runs") throw notRun(" in time");
    const stop = new AbortController();
    const lost = place.stopped.then((reason) => {
      stop.abort(reason);
      throw reason;
    });
    const whole = async () => {
      const session = new Session(name, speaker, place, stop, place.record, operation === "forget");
      const result = await run(session);
      // Where it came too late, the lane has gone on, and may have been let go of.
      if (!place.isEnding) await place.end(session.changed, { forgets: session.forgets });
      return result;
    };
    try {
      return await within(clock, turnTimeout, Promise.race([whole(), lost]), () => {
        const tooLong = new AparteError("turn-timeout", `"${operation}" took longer than ${turnTimeout} ms.`);
        stop.abort(tooLong);
        return tooLong;
      });
    } catch (error) {
      // The lane goes on; what the operation failed with is the caller's to know.
      if (!place.isEnding && !place.isLost) {
        await place.end().catch((failure) => logger.warn("a lane was left", describeError(failure)));
      }
      throw error;
    }
  }
}
