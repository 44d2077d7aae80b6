import type { JsonValue } from "../../json.ts";
import {
  type Beat,
  burialMs,
  type Commit,
  type Committed,
  type DeadOwner,
  eventMemoryMs,
  type FoundLane,
  type Store,
} from "../store.ts";
import type { RedisClient } from "./client.ts";
import type { Commands } from "./commands.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisListener } from "./listener.ts";
import type { RedisRecords } from "./records.ts";
import { runScript, type Script } from "./scripts.ts";

/** How many lanes of one dead owner are listed at a time: any of them, so that those that cannot be had keep none up. */
const listedLanes = 500;

/** A version's digits stand before the document in one value. */
const versionDigits = 16;

/** What the scripts answer: texts, and null where there is nothing. */
type Answer = readonly (string | null)[];

export interface RedisParts {
  readonly client: RedisClient;
  readonly commands: Commands;
  readonly keys: RedisKeys;
  readonly records: RedisRecords;
  readonly listener: RedisListener;
  readonly isCluster: boolean;
}

/** Lanes and owners on a Redis server, or on several that are one. Each operation is one command. */
export class RedisLanes implements Pick<Store, "commit" | "read" | "beat" | "bury" | "dead" | "listen"> {
  readonly #parts: RedisParts;

  constructor(parts: RedisParts) {
    this.#parts = parts;
  }

  async commit(commit: Commit): Promise<Committed> {
    const { isCluster, records } = this.#parts;
    const { record, wakes = [] } = commit;
    const text = record === undefined ? "" : record === null ? "-" : `=${await records.stringify(record)}`;
    if (!isCluster) return this.#committed(commit, wakes, await this.#commit(commit, text));
    // The lists of owners lie on other servers. An entry too many does no harm, so it is made before, and taken after.
    const { entering = [], leaving = [], lane } = commit;
    await this.#change("sAdd", entering, lane);
    const answer = await this.#commit({ ...commit, entering: [], leaving: [] }, text);
    if (answer[0] === "done") await this.#change("sRem", leaving, lane);
    return this.#committed(commit, wakes, answer);
  }

  #commit(commit: Commit, record: string): Promise<Answer> {
    const { keys } = this.#parts;
    const { lane, version, document, until, ttlMs, wakes = [] } = commit;
    const { marks = [], restoredMarks = [], removedMarks = [], entering = [], leaving = [] } = commit;
    const names = [keys.document(lane), keys.record(lane)];
    for (const mark of marks) names.push(keys.mark(lane, mark));
    for (const mark of restoredMarks) names.push(keys.mark(lane, mark));
    for (const mark of removedMarks) names.push(keys.mark(lane, mark));
    for (const owner of entering) names.push(keys.list(owner));
    for (const owner of leaving) names.push(keys.list(owner));
    const args = [
      version === 0 ? "" : `${version}`,
      `${Math.floor(until)}`,
      lane,
      document === undefined ? "" : JSON.stringify(document),
      ttlMs === undefined ? "" : `${Math.max(1, Math.ceil(ttlMs))}`,
      record,
      `${eventMemoryMs}`,
    ];
    for (const { length } of [marks, restoredMarks, removedMarks, entering, leaving]) args.push(`${length}`);
    for (const owner of wakes) args.push(keys.channel(owner));
    return this.#run("commit", names, args);
  }

  async #committed(commit: Commit, wakes: readonly string[], answer: Answer): Promise<Committed> {
    const [is, first, record = null, now, ...places] = answer;
    const parse = () => this.#parts.records.parse(record);
    if (is === "done") {
      const unheard = places.map((place) => wakes[Number(place) - 1] as string);
      const done = { is, version: Number(first), now: Number(now), unheard } as const;
      return commit.document === undefined ? done : { record: await parse(), ...done };
    }
    const duplicates = places.map(
      (place) => (commit.marks as readonly string[])[Number(place) - 1] as string,
    );
    return {
      is: is as "changed" | "duplicate" | "late",
      ...parseDocument(first ?? ""),
      record: await parse(),
      now: Number(now),
      duplicates,
    };
  }

  async read(lane: string): Promise<FoundLane> {
    // A commit that is too late does nothing, and tells what is true.
    const answer = await this.#commit({ lane, version: 0, document: undefined, until: 0 }, "");
    const [, document, record = null, now] = answer;
    return {
      ...parseDocument(document ?? ""),
      record: await this.#parts.records.parse(record),
      now: Number(now),
    };
  }

  async beat(owner: string, leaseMs: number): Promise<Beat> {
    const { keys } = this.#parts;
    const [buried, until, now] = await this.#run("beat", [keys.owners], [owner, `${Math.floor(leaseMs)}`]);
    return {
      isBuried: buried === "1",
      until: until ? Number(until) : undefined,
      now: Number(now),
    };
  }

  async bury(owner: string, isUnknownToo = false): Promise<"dead" | "alive" | "unknown"> {
    const { keys } = this.#parts;
    const answer: unknown = await this.#run("bury", [keys.owners], [owner, isUnknownToo ? "1" : ""]);
    return answer as "dead" | "alive" | "unknown";
  }

  async dead(): Promise<readonly DeadOwner[]> {
    const { client, commands, keys } = this.#parts;
    const answer = await this.#run("dead", [keys.owners], [`${burialMs}`]);
    const owners = answer.filter((_, index) => index % 2 === 0) as readonly string[];
    const dead = await Promise.all(
      owners.map(async (owner, index): Promise<DeadOwner> => {
        const list = () => client.sRandMemberCount(keys.list(owner), listedLanes);
        const lanes = await commands.run("list lanes", list);
        if (lanes.length === 0 && answer[index * 2 + 1] === "1") {
          await commands.run("forget an owner", () => client.zRem(keys.owners, owner));
        }
        return { owner, lanes };
      }),
    );
    return dead.filter(({ lanes }) => lanes.length > 0);
  }

  listen(owner: string, wake: (lane: string | undefined) => void): Promise<() => void> {
    const { listener, keys } = this.#parts;
    return listener.listen(keys.channel(owner), wake);
  }

  #run(script: Script, names: string[], args: string[]): Promise<Answer> {
    const { client, commands } = this.#parts;
    return commands.run(script, () => runScript(client, script, names, args)) as Promise<Answer>;
  }

  async #change(how: "sAdd" | "sRem", owners: readonly string[], lane: string): Promise<void> {
    const { client, commands, keys } = this.#parts;
    await Promise.all(
      owners.map((owner) => commands.run("list a lane", () => client[how](keys.list(owner), lane))),
    );
  }
}

function parseDocument(text: string): Pick<FoundLane, "version" | "document"> {
  if (text === "") return { version: 0, document: undefined };
  const version = Number(text.slice(0, versionDigits));
  try {
    return { version, document: JSON.parse(text.slice(versionDigits)) as JsonValue };
  } catch {
    // Whoever reads the lane finds that it is no document.
    return { version, document: null };
  }
}
