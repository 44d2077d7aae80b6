/** The names of the keys beside the records. */
export interface RedisKeys {
  /** The owners, by until when they are taken for alive. */
  readonly owners: string;
  document(lane: string): string;
  record(lane: string): string;
  /** One for each event. In the default namespace it has 30 characters: Redis takes 17 bytes more for 31. */
  mark(lane: string, mark: string): string;
  /** The lanes of an owner. */
  list(owner: string): string;
  /** Where an owner listens. */
  channel(owner: string): string;
}

/** @param record the key of a session's record */
export function redisKeys(
  namespace: string,
  record: (lane: string) => string,
  isCluster: boolean,
): RedisKeys {
  // A cluster keeps keys together that have the same text in braces, and a record's key is such a text.
  const slot = (lane: string) => (isCluster ? `{${record(lane)}}` : lane);
  return {
    record,
    owners: `${namespace}-owners`,
    document: (lane) => `${namespace}-lane:${slot(lane)}`,
    mark: (lane, mark) => `${namespace}-m${isCluster ? slot(lane) : ""}${mark}`,
    list: (owner) => `${namespace}-own:${owner}`,
    channel: (owner) => `${namespace}-wake:${owner}`,
  };
}
