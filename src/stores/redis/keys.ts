/** The names of the keys beside the records. Short, since there is one for each event. */
export class RedisKeys {
  /** The owners, by until when they are taken for alive. */
  readonly owners: string;
  readonly #namespace: string;
  readonly #record: (lane: string) => string;
  readonly #isCluster: boolean;

  /** @param record the key of a session's record */
  constructor(namespace: string, record: (lane: string) => string, isCluster: boolean) {
    this.#namespace = namespace;
    this.#record = record;
    this.#isCluster = isCluster;
    this.owners = `${namespace}-owners`;
  }

  record(lane: string): string {
    return this.#record(lane);
  }

  document(lane: string): string {
    return `${this.#namespace}-lane:${this.#slot(lane)}`;
  }

  mark(lane: string, mark: string): string {
    return this.#isCluster
      ? `${this.#namespace}-m:${this.#slot(lane)}${mark}`
      : `${this.#namespace}-m:${mark}`;
  }

  /** The lanes of an owner. */
  list(owner: string): string {
    return `${this.#namespace}-own:${owner}`;
  }

  /** Where an owner listens. */
  channel(owner: string): string {
    return `${this.#namespace}-wake:${owner}`;
  }

  /** A cluster keeps keys together that have the same text in braces, and a record's key is such a text. */
  #slot(lane: string): string {
    return this.#isCluster ? `{${this.#record(lane)}}` : lane;
  }
}
