import { hash } from "node:crypto";

/** Over how many keys a cluster spreads the lanes that have turns, so that none of its nodes has them all. */
const clusterShards = 16;

/** The names of the keys beside the records. See redis-scripts.ts for what they hold. */
export class RedisKeys {
  /** All keys of lanes that have turns. */
  readonly leases: readonly string[];
  /** Followed by an owner's id: where it listens. */
  readonly channel: string;
  /** The owners, by how long they are taken for alive. */
  readonly owners: string;
  readonly #namespace: string;
  readonly #record: (lane: string) => string;
  readonly #isCluster: boolean;

  /** @param record the key of a session's record */
  constructor(namespace: string, record: (lane: string) => string, isCluster: boolean) {
    this.#namespace = namespace;
    this.#record = record;
    this.#isCluster = isCluster;
    this.channel = `${namespace}-wake:`;
    this.owners = `${namespace}-owners`;
    this.leases = isCluster
      ? Array.from({ length: clusterShards }, (_, shard) => `${namespace}-leases:${shard}`)
      : [`${namespace}-leases`];
  }

  lane(lane: string): string {
    return `${this.#namespace}-lane:{${this.#record(lane)}}`;
  }

  /** All keys of a lane and an event, in the order in which scripts expect them. */
  of(lane: string, event: string): string[] {
    const record = this.#record(lane);
    const namespace = this.#namespace;
    // A cluster keeps keys together that have the same text in braces, and a record's key is such a text.
    const keys = [
      `${namespace}-lane:{${record}}`,
      `${namespace}-queue:{${record}}`,
      record,
      `${namespace}-seen:{${record}}:${event}`,
    ];
    if (!this.#isCluster) keys.push(this.leasesOf(lane));
    return keys;
  }

  leasesOf(lane: string): string {
    const shard = this.#isCluster ? hash("sha256", lane, "buffer").readUInt8(0) : 0;
    return this.leases[shard % this.leases.length] as string;
  }
}
