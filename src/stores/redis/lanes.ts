import type { JsonValue } from "../../backends/backend.ts";
import { AparteError } from "../../errors.ts";
import { describeError } from "../../logger.ts";
import type { Begun, Grant, LaneOwner, Lanes, NewTurn, SessionRecord, TakenTurn } from "../old-store.ts";
import { inBackground, nameOf, pageSize, type RedisServer, RedisSteps } from "./steps.ts";
import type { Wake } from "./wakes.ts";

/** A turn of this owner, from its `begin` until it ends. */
interface OwnTurn {
  readonly lane: string;
  readonly key: string;
  /** As it was begun; missing for a turn that was taken over. */
  readonly turn?: NewTurn;
  readonly platform: string;
  /** `unsure`: the connection broke before `begin` was answered, which may have been done all the same. */
  state: "begins" | "unsure" | "waits" | "runs";
  /** A later turn interrupted this one before it was known to run. */
  isInterrupted: boolean;
  /** When it was last looked for, it neither waited nor ran. */
  isMissing: boolean;
  /** While it runs. */
  grant?: Grant;
}

/** How many turns one {@link Lanes.takeOver} takes at most, so that the other processes get their share. */
const maxTaken = 1000;

/** The lanes of a Redis server, as one owner sees them. Each step is one script. */
export class RedisLanes implements Lanes {
  readonly #server: RedisServer;
  readonly #owner: LaneOwner;
  readonly #steps: RedisSteps;
  /** By event. */
  readonly #turns = new Map<string, OwnTurn>();
  #hasLeft = false;
  #listening: Promise<void> | undefined;

  constructor(server: RedisServer, owner: LaneOwner) {
    this.#server = server;
    this.#owner = owner;
    this.#steps = new RedisSteps(server, owner, (lane, event) => inBackground(this.#claim(lane, event)));
  }

  async begin(turn: NewTurn): Promise<Begun> {
    await this.#listen();
    const { lane, key } = turn;
    const event = nameOf(lane, key);
    const known = this.#turns.get(event);
    // Known from now on: wakes may come before the answer.
    const own: OwnTurn = known ?? {
      ...{ lane, key, turn, platform: turn.platform ?? "" },
      ...{ state: "begins", isInterrupted: false, isMissing: false },
    };
    this.#turns.set(event, own);
    try {
      const begun = await this.#begin(turn, event, own);
      if (begun.is !== "run" && begun.is !== "wait" && known === undefined) this.#forget(event, own);
      return begun;
    } catch (error) {
      if (known === undefined && isRefusal(error)) this.#forget(event, own);
      else if (own.state === "begins") own.state = "unsure";
      throw error;
    }
  }

  async #begin(turn: NewTurn, event: string, own: OwnTurn): Promise<Begun> {
    const { lane, key, body, overlap, mergeKey, limit } = turn;
    const text = JSON.stringify({ key, body } satisfies TakenTurn);
    const args = [text, `${limit}`, overlap, mergeKey === "" ? "" : nameOf("", mergeKey), own.platform];
    const answer = await this.#steps.run("begin", lane, event, args);
    switch (answer.is) {
      case "run": {
        const grant = await this.#steps.grant(lane, answer.grant, { key, body });
        this.#runs(own, grant);
        return { is: "run", grant };
      }
      case "wait":
        // By now it may run already, or have ended.
        if (own.state !== "runs") own.state = "waits";
        return { is: "wait", ahead: answer.ahead ?? 0 };
      case "busy":
      case "full":
        return { is: answer.is };
      default:
        return { is: "duplicate" };
    }
  }

  async note(grant: Grant, facts: JsonValue): Promise<void> {
    const event = eventOf(grant);
    const own = this.#turns.get(event);
    if (own?.grant !== undefined) own.grant = { ...own.grant, facts };
    const keep = () => this.#steps.run("note", grant.lane, event, [`${grant.fence}`, JSON.stringify(facts)]);
    let answer = await keep();
    if (answer.is === "forgotten" && (await this.#restore(grant))) answer = await keep();
    if (answer.is !== "done") throw leaseLost();
  }

  async save(grant: Grant, record: SessionRecord): Promise<void> {
    const text = await this.#server.records.stringify(record);
    const answer = await this.#steps.run("save", grant.lane, eventOf(grant), [`${grant.fence}`, text]);
    if (answer.is !== "done") throw leaseLost();
  }

  async end(grant: Grant, record?: SessionRecord | null): Promise<void> {
    if (record === undefined) return this.#end(grant, ["keep"]);
    if (record === null) return this.#end(grant, ["delete"]);
    return this.#end(grant, ["write", await this.#server.records.stringify(record)]);
  }

  park(grant: Grant): Promise<void> {
    return this.#end(grant, ["park"]);
  }

  async #end(grant: Grant, how: readonly string[]): Promise<void> {
    const event = eventOf(grant);
    const answer = await this.#steps.run("end", grant.lane, event, [`${grant.fence}`, ...how]);
    this.#turns.delete(event);
    if (answer.is !== "done") throw leaseLost();
  }

  async withdraw(lane: string, key: string): Promise<boolean> {
    const event = nameOf(lane, key);
    const answer = await this.#steps.run("withdraw", lane, event);
    if (answer.is !== "done") return false;
    this.#turns.delete(event);
    return true;
  }

  async renew(grants: readonly Grant[]): Promise<readonly Grant[]> {
    this.#forgetAbandoned(grants);
    const [lost] = await Promise.all([this.#renewOrRestore(grants), this.#steps.beat()]);
    // After those that run, which come first where the server has lost its data.
    await this.#lookForMissed(true);
    return lost;
  }

  /** Turns that run no more, and whose leases shall run out. */
  #forgetAbandoned(held: readonly Grant[]): void {
    const events = new Set(held.map(eventOf));
    for (const [event, { state }] of this.#turns) {
      if (state === "runs" && !events.has(event)) this.#turns.delete(event);
    }
  }

  /** @returns the grants that are lost */
  async #renewOrRestore(grants: readonly Grant[]): Promise<Grant[]> {
    const states = await this.#steps.renew(grants);
    const lost: Grant[] = [];
    for (const [index, grant] of grants.entries()) {
      const state = states[index];
      // Once more: the wake may have found nobody.
      if (state === "interrupted") this.#owner.interrupted(grant.lane, grant.turn.key);
      if (state === "held" || state === "interrupted" || (await this.#restore(grant))) continue;
      lost.push(grant);
    }
    return lost;
  }

  async takeOver(platforms: readonly string[]): Promise<readonly Grant[]> {
    if (!this.#hasLeft) this.#steps.platforms = platforms;
    // Those whose turns are taken over can be interrupted, too.
    await this.#listen();
    const taken: Grant[] = [];
    for (const shard of this.#server.keys.leases) {
      // Those that cannot be taken are passed over.
      for (let left = 0; !this.#hasLeft && taken.length < maxTaken; ) {
        const lanes = await this.#steps.due(shard, left);
        const grants = await Promise.all(lanes.map((lane) => this.#tryTakeOver(lane)));
        taken.push(...grants.filter((grant) => grant !== undefined));
        left += grants.filter((grant) => grant === undefined).length;
        if (lanes.length < pageSize) break;
      }
    }
    return taken;
  }

  /** A lane that cannot be read must not keep the others from being taken over. */
  async #tryTakeOver(lane: string): Promise<Grant | undefined> {
    try {
      return await this.#takeOver(lane);
    } catch (error) {
      const { logger } = this.#server;
      logger.warn("a turn could not be taken over", { session: lane, ...describeError(error) });
      return undefined;
    }
  }

  async #takeOver(lane: string): Promise<Grant | undefined> {
    const { event, grant: told } = await this.#steps.run("takeOver", lane, "");
    if (event === undefined) return undefined;
    const grant = await this.#steps.grant(lane, told);
    this.#own(event, grant, told?.platform);
    return grant;
  }

  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.#steps.platforms = undefined;
    const waiting = [...this.#turns].filter(([, own]) => own.state === "waits");
    await Promise.all(waiting.map(([event, { lane }]) => this.#steps.run("leave", lane, event)));
    for (const [event, own] of waiting) this.#forget(event, own);
  }

  /** The connection was made again, maybe to a server that lost its data. */
  async #reconnected(): Promise<void> {
    await this.#steps.beat();
    await this.#renewOrRestore([...this.#turns.values()].flatMap(({ grant }) => grant ?? []));
    await this.#lookForMissed(false);
  }

  /**
   * Looks at what this owner waits for: a wake, or the answer of a `begin`, may have been lost.
   * @param isRegular a third of a lease has passed since the last look
   */
  async #lookForMissed(isRegular: boolean): Promise<void> {
    const open = [...this.#turns].filter(([, { state }]) => state === "waits" || state === "unsure");
    const claims = open.map(([event, { lane, state }]) => this.#claim(lane, event, state, isRegular));
    // What fails is looked for again, and must not cost others their leases.
    await Promise.allSettled(claims);
  }

  /** Takes a turn that was granted to this owner, if it is still this owner's. */
  async #claim(
    lane: string,
    event: string,
    state: OwnTurn["state"] = "waits",
    isRegular = false,
  ): Promise<void> {
    const since = performance.now();
    const answer = await this.#steps.run("claim", lane, event, [state]).catch((error: unknown) => {
      // It may have been done all the same, and no other claim would find the grant.
      const open = this.#turns.get(event);
      if (open?.state === "waits") open.state = "unsure";
      throw error;
    });
    if (answer.is === "run") {
      const grant = await this.#steps.grant(lane, answer.grant);
      // Claimed twice: each connection that is made again looks for what was missed.
      if (this.#turns.get(event)?.grant?.fence === grant.fence) return;
      this.#own(event, grant, answer.grant?.platform);
      this.#owner.granted(grant, since);
      return;
    }
    const own = this.#turns.get(event);
    if (own?.state === "unsure") {
      // It waits, or was never taken, as whoever began it was told.
      if (answer.is === "wait") own.state = "waits";
      else this.#turns.delete(event);
    }
    if (own?.state !== "waits") return;
    const isGone = answer.is === "gone" || answer.is === "forgotten";
    // Only when it is gone for the second time. A wake that tells what became of it may be under way; and where
    // the server lost its data, those that run must first be put back, also by other processes.
    if (isGone && own.isMissing && isRegular) await this.#gone(event, own, answer.is === "forgotten");
    else if (isRegular) own.isMissing = isGone;
  }

  async #gone(event: string, own: OwnTurn, isForgotten: boolean): Promise<void> {
    if (isForgotten && own.turn !== undefined) await this.#beginAgain(own.turn, event, own);
    else this.#taken(event, own);
  }

  /** Takes a waiting turn once more, since the server lost its data. */
  async #beginAgain(turn: NewTurn, event: string, own: OwnTurn): Promise<void> {
    const since = performance.now();
    const begun = await this.#begin(turn, event, own);
    if (begun.is === "run") this.#owner.granted(begun.grant, since);
    else if (begun.is !== "wait") this.#taken(event, own);
  }

  /**
   * Puts a running turn back, if the server lost its data.
   * @returns false if it is lost: another owner has it, or it waits now for a turn that began meanwhile
   */
  async #restore(grant: Grant): Promise<boolean> {
    const { lane, fence, turn, merged, attempt } = grant;
    const event = eventOf(grant);
    const own = this.#turns.get(event);
    const { facts } = own?.grant ?? grant;
    const answer = await this.#steps.run("restore", lane, event, [
      ...[`${fence}`, JSON.stringify(turn), own?.platform ?? "", `${attempt}`],
      facts === undefined ? "" : JSON.stringify(facts),
      merged.length === 0 ? "" : JSON.stringify(merged.map((carried) => JSON.stringify(carried))),
    ]);
    if (answer.is === "done") return true;
    if (answer.is === "wait" && own !== undefined) {
      own.state = "waits";
      delete own.grant;
    } else this.#turns.delete(event);
    return false;
  }

  #listen(): Promise<void> {
    const { keys, wakes } = this.#server;
    this.#listening ??= wakes
      .listen(
        keys.channel + this.#owner.id,
        (wake) => this.#woken(wake),
        () => inBackground(this.#reconnected()),
      )
      // Sent before the turn, which needs it only if it waits.
      .then(() => inBackground(this.#steps.beat()))
      .catch((error) => {
        this.#listening = undefined;
        throw error;
      });
    return this.#listening;
  }

  #woken({ is, lane, event }: Wake): void {
    if (is === "granted") {
      inBackground(this.#claim(lane, event));
      return;
    }
    const own = this.#turns.get(event);
    if (own === undefined) return;
    if (is === "merged") {
      this.#turns.delete(event);
      this.#owner.merged(lane, own.key);
    } else if (own.state === "runs") this.#owner.interrupted(lane, own.key);
    else own.isInterrupted = true;
  }

  /** The turn runs here, and its owner knows in a moment. */
  #runs(own: OwnTurn, grant: Grant): void {
    own.state = "runs";
    own.grant = grant;
    if (own.isInterrupted) setImmediate(() => this.#owner.interrupted(own.lane, own.key));
  }

  #own(event: string, grant: Grant, platform = ""): void {
    const { lane, turn } = grant;
    const own: OwnTurn = this.#turns.get(event) ?? {
      ...{ lane, key: turn.key, platform },
      ...{ state: "runs", isInterrupted: false, isMissing: false },
    };
    this.#turns.set(event, own);
    this.#runs(own, grant);
  }

  #taken(event: string, own: OwnTurn): void {
    this.#turns.delete(event);
    this.#owner.taken(own.lane, own.key);
  }

  #forget(event: string, own: OwnTurn): void {
    if (this.#turns.get(event) === own && own.state !== "runs") this.#turns.delete(event);
  }
}

/** Errors of node-redis after which it is certain that nothing was done. */
const refusals: ReadonlySet<string> = new Set(["SimpleError", "ClientOfflineError", "ClientClosedError"]);

function isRefusal(error: unknown): boolean {
  return error instanceof Error && refusals.has(error.constructor.name);
}

function eventOf({ lane, turn }: Grant): string {
  return nameOf(lane, turn.key);
}

function leaseLost(): AparteError {
  return new AparteError("lease-lost", "The turn's lease ran out and another owner took it over.");
}
