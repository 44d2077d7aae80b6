import { hash } from "node:crypto";
import type { JsonValue } from "../backend.ts";
import { AparteError } from "../errors.ts";
import type { RedisScripts } from "./redis-connection.ts";
import type { RedisKeys } from "./redis-keys.ts";
import type { RedisRecords } from "./redis-records.ts";
import type { Script } from "./redis-scripts.ts";
import type { RedisWakes, Wake } from "./redis-wakes.ts";
import {
  type Begun,
  eventMemoryMs,
  type Grant,
  type LaneOwner,
  type Lanes,
  type NewTurn,
  type SessionRecord,
  type TakenTurn,
} from "./store.ts";

/** A Redis server, or several that are one. */
export interface RedisServer {
  readonly scripts: RedisScripts;
  readonly keys: RedisKeys;
  readonly records: RedisRecords;
  readonly wakes: RedisWakes;
  readonly isCluster: boolean;
}

/** A grant as scripts tell it. What is missing is false. */
interface ToldGrant {
  /** JSON of the {@link TakenTurn}; missing where the caller knows it. */
  readonly turn?: string;
  readonly fence: string;
  readonly attempt: number | string;
  readonly platform?: string;
  readonly facts?: string | false;
  /** JSON of a list of such texts as `turn`. */
  readonly merged?: string | false;
  readonly record: string | false;
}

/** The scripts that are steps of one lane. */
type Step = Exclude<Script, "renew" | "beat" | "due" | "schedule" | "information" | "setIfAbsent">;

/** What a script answers. */
interface Answer {
  readonly is?: Begun["is"] | "done" | "lost" | "forgotten" | "gone";
  readonly grant?: ToldGrant;
  readonly ahead?: number;
  /** The event that {@link ToldGrant} is of. */
  readonly event?: string;
  /** A waiting turn of this owner that may run now. */
  readonly next?: string;
  /** On a cluster: when others shall look at the lane; empty for never. */
  readonly score?: string;
}

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

/** How many lanes one command renews or one look finds. */
const pageSize = 500;

/** How long the news of who has died may be old on a cluster, in milliseconds. */
const newsMs = 1000;

/** How many turns one {@link Lanes.takeOver} takes at most, so that the other processes get their share. */
const maxTaken = 1000;

/** The lanes of a Redis server, as one owner sees them. Each step is one script. */
export class RedisLanes implements Lanes {
  readonly #server: RedisServer;
  readonly #owner: LaneOwner;
  /** By event. */
  readonly #turns = new Map<string, OwnTurn>();
  #platforms: readonly string[] = [];
  #hasLeft = false;
  #listening: Promise<void> | undefined;
  /** `performance.now()` of the last sign of life. */
  #beatAt = Number.NEGATIVE_INFINITY;
  /** Other owners. On a cluster only: a single server's scripts look by themselves. */
  #dead: readonly string[] = [];
  #me: string;

  constructor(server: RedisServer, owner: LaneOwner) {
    this.#server = server;
    this.#owner = owner;
    this.#me = this.#describe();
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
    const answer = await this.#step("begin", lane, event, args);
    switch (answer.is) {
      case "run": {
        const grant = await this.#grant(lane, answer.grant, { key, body });
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
    const keep = () => this.#step("note", grant.lane, event, [`${grant.fence}`, JSON.stringify(facts)]);
    let answer = await keep();
    if (answer.is === "forgotten" && (await this.#restore(grant))) answer = await keep();
    if (answer.is !== "done") throw leaseLost();
  }

  async save(grant: Grant, record: SessionRecord): Promise<void> {
    const text = await this.#server.records.stringify(record);
    const answer = await this.#step("save", grant.lane, eventOf(grant), [`${grant.fence}`, text]);
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
    const answer = await this.#step("end", grant.lane, event, [`${grant.fence}`, ...how]);
    this.#turns.delete(event);
    if (answer.is !== "done") throw leaseLost();
  }

  async withdraw(lane: string, key: string): Promise<boolean> {
    const event = nameOf(lane, key);
    const answer = await this.#step("withdraw", lane, event);
    if (answer.is !== "done") return false;
    this.#turns.delete(event);
    return true;
  }

  async renew(grants: readonly Grant[]): Promise<readonly Grant[]> {
    const [lost] = await Promise.all([this.#renewOrRestore(grants), this.#beat()]);
    for (const grant of lost) this.#turns.delete(eventOf(grant));
    // After those that run, which come first where the server has lost its data.
    await this.#lookForMissed(true);
    return lost;
  }

  /** @returns the grants that are lost */
  async #renewOrRestore(grants: readonly Grant[]): Promise<Grant[]> {
    const states = await this.#renew(grants);
    const lost: Grant[] = [];
    for (const [index, grant] of grants.entries()) {
      if (states[index] === "held") continue;
      if (states[index] === "forgotten" && (await this.#restore(grant))) continue;
      lost.push(grant);
    }
    return lost;
  }

  /** @returns the state of each grant, in order */
  async #renew(grants: readonly Grant[]): Promise<readonly string[]> {
    const { scripts, keys, isCluster } = this.#server;
    // The lanes of a cluster lie on several nodes.
    const size = isCluster ? 1 : pageSize;
    const pages = Array.from({ length: Math.ceil(grants.length / size) }, (_, page) =>
      grants.slice(page * size, (page + 1) * size),
    );
    if (isCluster) {
      // Were they not noted when they began, nobody would take them over.
      for (const { lane } of grants) this.#inBackground(this.#schedule(lane, "lease"));
    }
    const states = await Promise.all(
      pages.map((page) => {
        const fences = page.map(({ fence }) => `${fence}`);
        return scripts.run(
          "renew",
          page.map(({ lane }) => keys.lane(lane)),
          [`${this.#owner.leaseMs}`, ...fences],
        );
      }),
    );
    return states.flat() as string[];
  }

  async takeOver(platforms: readonly string[]): Promise<readonly Grant[]> {
    this.#platforms = platforms;
    this.#me = this.#describe();
    const taken: Grant[] = [];
    for (const shard of this.#server.keys.leases) {
      // Those that cannot be taken are passed over.
      for (let left = 0; !this.#hasLeft && taken.length < maxTaken; ) {
        const lanes = await this.#due(shard, left);
        const grants = await Promise.all(lanes.map((lane) => this.#takeOver(lane)));
        taken.push(...grants.filter((grant) => grant !== undefined));
        left += grants.filter((grant) => grant === undefined).length;
        if (lanes.length < pageSize) break;
      }
    }
    return taken;
  }

  async #due(shard: string, offset: number): Promise<string[]> {
    return (await this.#server.scripts.run("due", [shard], [`${offset}`, `${pageSize}`])) as string[];
  }

  async #takeOver(lane: string): Promise<Grant | undefined> {
    const { event, grant: told } = await this.#step("takeOver", lane, "");
    if (event === undefined) return undefined;
    const grant = await this.#grant(lane, told);
    this.#own(event, grant, told?.platform);
    return grant;
  }

  async leave(): Promise<void> {
    this.#hasLeft = true;
    this.#me = this.#describe();
    const waiting = [...this.#turns].filter(([, own]) => own.state === "waits");
    await Promise.all(waiting.map(([event, { lane }]) => this.#step("leave", lane, event)));
    for (const [event, own] of waiting) this.#forget(event, own);
  }

  /** The connection was made again, maybe to a server that lost its data. */
  async #reconnected(): Promise<void> {
    await this.#renewOrRestore([...this.#turns.values()].flatMap(({ grant }) => grant ?? []));
    await this.#lookForMissed(false);
  }

  /**
   * Looks at what this owner waits for: a wake, or the answer of a `begin`, may have been lost.
   * @param isRegular a third of a lease has passed since the last look
   */
  async #lookForMissed(isRegular: boolean): Promise<void> {
    const open = [...this.#turns].filter(([, { state }]) => state === "waits" || state === "unsure");
    await Promise.all(open.map(([event, { lane, state }]) => this.#claim(lane, event, state, isRegular)));
  }

  /** Takes a turn that was granted to this owner, if it is still this owner's. */
  async #claim(
    lane: string,
    event: string,
    state: OwnTurn["state"] = "waits",
    isRegular = false,
  ): Promise<void> {
    const since = performance.now();
    const answer = await this.#step("claim", lane, event, [state]);
    if (answer.is === "run") {
      const grant = await this.#grant(lane, answer.grant);
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

  /** Puts a running turn back, since the server lost its data. @returns false if another owner has it. */
  async #restore(grant: Grant): Promise<boolean> {
    const event = eventOf(grant);
    const { platform = "", grant: { facts } = grant } = this.#turns.get(event) ?? {};
    const fields = {
      ...{ run: event, turn: JSON.stringify(grant.turn), platform, attempt: `${grant.attempt}` },
      ...(facts === undefined ? {} : { facts: JSON.stringify(facts) }),
      ...(grant.merged.length === 0
        ? {}
        : { merged: JSON.stringify(grant.merged.map((turn) => JSON.stringify(turn))) }),
    };
    const values = Object.entries(fields).flat();
    const answer = await this.#step("restore", grant.lane, event, [`${grant.fence}`, ...values]);
    return answer.is === "done";
  }

  #listen(): Promise<void> {
    const { keys, wakes } = this.#server;
    this.#listening ??= wakes
      .listen(
        keys.channel + this.#owner.id,
        (wake) => this.#woken(wake),
        () => this.#inBackground(this.#reconnected()),
      )
      .then(() => this.#beat())
      .catch((error) => {
        this.#listening = undefined;
        throw error;
      });
    return this.#listening;
  }

  /** Gives a sign of life. */
  async #beat(): Promise<void> {
    const { scripts, keys, isCluster } = this.#server;
    const before = this.#beatAt;
    this.#beatAt = performance.now();
    try {
      const args = [this.#owner.id, `${this.#owner.leaseMs}`, `${eventMemoryMs}`];
      const dead = await scripts.run("beat", [keys.owners], args);
      if (isCluster) this.#dead = dead as string[];
      this.#me = this.#describe();
    } catch (error) {
      this.#beatAt = before;
      throw error;
    }
  }

  #beatIfDue(): void {
    const third = this.#owner.leaseMs / 3;
    const due = this.#server.isCluster ? Math.min(third, newsMs) : third;
    if (performance.now() - this.#beatAt > due) this.#inBackground(this.#beat());
  }

  #woken({ is, lane, event }: Wake): void {
    if (is === "granted") {
      this.#inBackground(this.#claim(lane, event));
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

  async #grant(lane: string, told: ToldGrant | undefined, known?: TakenTurn): Promise<Grant> {
    if (told === undefined) throw new AparteError("store-failed", "Redis answered a step without its grant.");
    const turn = told.turn === undefined ? known : (JSON.parse(told.turn) as TakenTurn);
    if (turn === undefined) throw new AparteError("store-failed", "Redis granted a turn without its text.");
    const merged = told.merged ? (JSON.parse(told.merged) as string[]) : [];
    return {
      ...{ lane, turn, fence: Number(told.fence), attempt: Number(told.attempt) },
      merged: merged.map((text) => JSON.parse(text) as TakenTurn),
      ...(told.facts ? { facts: JSON.parse(told.facts) as JsonValue } : {}),
      record: await this.#server.records.parse(told.record),
    };
  }

  async #step(script: Step, lane: string, event: string, args: readonly string[] = []): Promise<Answer> {
    const { scripts, keys } = this.#server;
    this.#beatIfDue();
    const text = await scripts.run(script, keys.of(lane, event), [this.#me, lane, event, ...args]);
    const answer = JSON.parse(String(text)) as Answer;
    if (answer.score !== undefined) this.#inBackground(this.#schedule(lane, answer.score));
    if (answer.next !== undefined) this.#inBackground(this.#claim(lane, answer.next));
    return answer;
  }

  /** Who takes a step, as its script is told. */
  #describe(): string {
    const { keys, isCluster } = this.#server;
    return JSON.stringify({
      ...{ owner: this.#owner.id, lease: this.#owner.leaseMs, memory: eventMemoryMs, channel: keys.channel },
      ...(isCluster ? { dead: this.#dead } : { indexed: true, owners: keys.owners }),
      ...(this.#hasLeft ? {} : { platforms: this.#platforms }),
    });
  }

  async #schedule(lane: string, score: string): Promise<void> {
    const { scripts, keys } = this.#server;
    await scripts.run("schedule", [keys.leasesOf(lane)], [lane, score, `${this.#owner.leaseMs}`]);
  }

  /** What fails here is made up for by the next look, see {@link renew}. */
  #inBackground(work: Promise<void>): void {
    work.catch(() => {});
  }
}

/** The name of an event: its digest, so that keys are short, and nobody's id is in them. */
function nameOf(lane: string, key: string): string {
  return hash("sha256", JSON.stringify([lane, key]), "base64url").slice(0, 22);
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
