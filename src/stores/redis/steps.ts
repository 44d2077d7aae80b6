import { hash } from "node:crypto";
import type { JsonValue } from "../../backends/backend.ts";
import { AparteError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { type Begun, eventMemoryMs, type Grant, type LaneOwner, type TakenTurn } from "../old-store.ts";
import type { RedisScripts } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisRecords } from "./records.ts";
import type { Script } from "./scripts.ts";
import type { RedisWakes } from "./wakes.ts";

/** A Redis server, or several that are one. */
export interface RedisServer {
  readonly scripts: RedisScripts;
  readonly keys: RedisKeys;
  readonly records: RedisRecords;
  readonly wakes: RedisWakes;
  readonly isCluster: boolean;
  readonly logger: Logger;
}

/** A grant as scripts tell it. What is missing is false. */
export interface ToldGrant {
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
export type Step = Exclude<Script, "renew" | "beat" | "due" | "schedule" | "information" | "setIfAbsent">;

/** What a script answers. */
export interface Answer {
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

/** How many lanes one command renews or one look finds. */
export const pageSize = 500;

/** How long the news of who has died may be old on a cluster, in milliseconds. */
const newsMs = 1000;

/** The scripts, as one owner runs them. */
export class RedisSteps {
  readonly #server: RedisServer;
  readonly #owner: LaneOwner;
  readonly #next: (lane: string, event: string) => void;
  /** Undefined when this owner has left and takes no turn any more. */
  #platforms: readonly string[] | undefined = [];
  /** `performance.now()` of the last sign of life. */
  #beatAt = Number.NEGATIVE_INFINITY;
  /** Other owners. On a cluster only: a single server's scripts look by themselves. */
  #dead: readonly string[] = [];
  #me: string;

  /** @param next told of a waiting turn of this owner that may run now */
  constructor(server: RedisServer, owner: LaneOwner, next: (lane: string, event: string) => void) {
    this.#server = server;
    this.#owner = owner;
    this.#next = next;
    this.#me = this.#describe();
  }

  /** The platforms that this owner can deliver to; undefined when it takes no turn any more. */
  set platforms(platforms: readonly string[] | undefined) {
    this.#platforms = platforms;
    this.#me = this.#describe();
  }

  async run(script: Step, lane: string, event: string, args: readonly string[] = []): Promise<Answer> {
    const { scripts, keys, isCluster } = this.#server;
    this.#beatIfDue();
    // Noted first: if this process dies, others must find the lane.
    if (script === "begin" && isCluster) inBackground(this.#schedule(lane, "lease"));
    const text = await scripts.run(script, keys.of(lane, event), [this.#me, lane, event, ...args]);
    const answer = JSON.parse(String(text)) as Answer;
    if (answer.score !== undefined) inBackground(this.#schedule(lane, answer.score));
    if (answer.next !== undefined) this.#next(lane, answer.next);
    return answer;
  }

  /** @returns the state of each grant, in order */
  async renew(grants: readonly Grant[]): Promise<readonly string[]> {
    const { scripts, keys, isCluster } = this.#server;
    // The lanes of a cluster lie on several nodes.
    const size = isCluster ? 1 : pageSize;
    const pages = Array.from({ length: Math.ceil(grants.length / size) }, (_, page) =>
      grants.slice(page * size, (page + 1) * size),
    );
    if (isCluster) {
      // Were they not noted when they began, nobody would take them over.
      for (const { lane } of grants) inBackground(this.#schedule(lane, "lease"));
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

  /** Lanes to look at by now, a page of them. */
  async due(shard: string, offset: number): Promise<string[]> {
    return (await this.#server.scripts.run("due", [shard], [`${offset}`, `${pageSize}`])) as string[];
  }

  /** Gives a sign of life. */
  async beat(): Promise<void> {
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
    if (performance.now() - this.#beatAt > due) inBackground(this.beat());
  }

  /** @param known the turn, where the script did not tell it */
  async grant(lane: string, told: ToldGrant | undefined, known?: TakenTurn): Promise<Grant> {
    if (told === undefined) throw new AparteError("store-failed", "Redis answered a step without its grant.");
    const turn = told.turn === undefined ? known : (JSON.parse(told.turn) as TakenTurn);
    if (turn === undefined) throw new AparteError("store-failed", "Redis granted a turn without its text.");
    const merged = told.merged ? (JSON.parse(told.merged) as string[]) : [];
    return {
      ...{ lane, turn, fence: Number(told.fence), attempt: Number(told.attempt) },
      merged: merged.map((text) => JSON.parse(text) as TakenTurn),
      ...(told.facts ? { facts: JSON.parse(told.facts) as JsonValue } : {}),
      ...(await this.#record(told.record)),
    };
  }

  /** Missing where it cannot be understood: whoever runs the turn reads it once more, and tells the person. */
  async #record(text: string | false): Promise<Pick<Grant, "record">> {
    try {
      return { record: await this.#server.records.parse(text) };
    } catch {
      return {};
    }
  }

  /** Who takes a step, as its script is told. */
  #describe(): string {
    const { keys, isCluster } = this.#server;
    return JSON.stringify({
      ...{ owner: this.#owner.id, lease: this.#owner.leaseMs, memory: eventMemoryMs, channel: keys.channel },
      ...(isCluster ? { dead: this.#dead } : { indexed: true, owners: keys.owners }),
      platforms: this.#platforms,
    });
  }

  async #schedule(lane: string, score: string): Promise<void> {
    const { scripts, keys } = this.#server;
    await scripts.run("schedule", [keys.leasesOf(lane)], [lane, score, `${this.#owner.leaseMs}`]);
  }
}

/** What fails here is made up for by the next renewal. */
export function inBackground(work: Promise<void>): void {
  work.catch(() => {});
}

/** The name of an event: its digest, so that keys are short, and nobody's id is in them. */
export function nameOf(lane: string, key: string): string {
  return hash("sha256", JSON.stringify([lane, key]), "base64url").slice(0, 22);
}
