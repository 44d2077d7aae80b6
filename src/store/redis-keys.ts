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

  /** @param record the key of a session's record */
  constructor(namespace: string, record: (lane: string) => string, isCluster: boolean) {
    this.#namespace = namespace;
    this.#record = record;
    this.channel = `${namespace}-wake:`;
    this.owners = `${namespace}-owners`;
    this.leases = isCluster
      ? Array.from({ length: clusterShards }, (_, shard) => `${namespace}-leases:${shard}`)
      : [`${namespace}-leases`];
  }

  record(lane: string): string {
    return this.#record(lane);
  }

  /** A cluster keeps keys together that have the same text in braces, and a record's key is such a text. */
  lane(lane: string): string {
    return `${this.#namespace}-lane:{${this.#record(lane)}}`;
  }

  queue(lane: string): string {
    return `${this.#namespace}-queue:{${this.#record(lane)}}`;
  }

  seen(lane: string, event: string): string {
    return `${this.#namespace}-seen:{${this.#record(lane)}}:${event}`;
  }

  leasesOf(lane: string): string {
    const shard = this.leases.length === 1 ? 0 : hash("sha256", lane, "buffer").readUInt8(0);
    return this.leases[shard % this.leases.length] as string;
  }
}
