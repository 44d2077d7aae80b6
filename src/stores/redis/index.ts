import type { RedisClientType } from "@keyv/redis";
import { Keyv } from "keyv";
import { systemClock, timer } from "../../clock.ts";
import { AparteError } from "../../errors.ts";
import { consoleLogger, type Logger } from "../../logger.ts";
import { callTimeout } from "../deadline.ts";
import { limiterRates } from "../rates.ts";
import { namespace as defaultNamespace, type Store } from "../store.ts";
import { closeClient, firstWord, type RedisClient, watchConnection } from "./client.ts";
import { Commands } from "./commands.ts";
import { redisKeys } from "./keys.ts";
import { RedisLanes } from "./lanes.ts";
import { RedisListener } from "./listener.ts";
import { probe } from "./probe.ts";
import { type RedisAdapter, RedisRecords } from "./records.ts";
import { loadScripts } from "./scripts.ts";

export type { RedisClient } from "./client.ts";

/** What `openStore` takes for a store on Redis. */
export interface RedisStoreOptions {
  /**
   * Keeps apart what lies in the same database: each bot (each `secret`) needs its own.
   * @default "aparte"
   */
  readonly namespace?: string;
  /** @default the console */
  readonly logger?: Logger;
}

/**
 * Settings with which no call hangs, and none is carried out long after it was given up: by default a client
 * keeps its calls while the server is away, for ever.
 */
const connection = (answerMs: number) => ({
  disableOfflineQueue: true,
  // Pings keep a healthy connection from looking idle; without an answer in time it is made anew.
  pingInterval: 0.4 * answerMs,
  socket: {
    connectTimeout: answerMs,
    socketTimeout: answerMs,
    // By default a client whose server was silent for too long is closed for good.
    reconnectStrategy: (attempts: number): number => Math.min(50 * 2 ** attempts, 2000),
  },
});

/**
 * Opens a store on Redis (or Valkey), for any number of processes and machines. Taken turns outlive them.
 *
 * A server that is away does not fail this: calls fail until it is back, and then work again.
 * @param target `redis://…` or `rediss://…`, or a client, cluster or sentinel of node-redis (5 or later), which
 * stays the caller's: it is connected if it is not, and left open.
 * @param answerMs how long the server may take to answer, in milliseconds: tests on a busy machine give it more
 * @throws {AparteError} `option-invalid` when the URL is wrong, the server refuses the credentials, or the
 * package `@keyv/redis` is missing.
 */
export async function openRedisStore(
  target: string | RedisClient,
  { namespace = defaultNamespace, logger = consoleLogger }: RedisStoreOptions = {},
  answerMs: number = callTimeout,
): Promise<Store> {
  if (!/^[\w.-]+$/.test(namespace)) {
    throw invalid("namespace", "A namespace consists of letters, digits, dots, hyphens and underscores.");
  }
  const { default: KeyvRedis, createClient } = await loadAdapter();
  const isOwn = typeof target === "string";
  let client: RedisClient;
  try {
    client = isOwn ? createClient({ url: target, ...connection(answerMs) }) : target;
  } catch {
    // The cause is not kept: it holds the URL, and that the password.
    throw invalid("store", 'The store\'s URL is wrong. It looks like "redis://user:password@host:6379/0".');
  }
  const adapter = new KeyvRedis(client as RedisClientType);
  const keyv = new Keyv(adapter, {
    namespace,
    useKeyPrefix: false,
    serialize: JSON.stringify,
    deserialize: JSON.parse,
  });
  const { store, connected } = redisStore(keyv, adapter, client, { isOwn, logger, answerMs });
  try {
    await connected;
  } catch (error) {
    await store.close();
    if (error instanceof AparteError) throw error;
    throw invalid(
      "store",
      `Redis refuses the connection (${firstWord(error)}). Look at the user, the password and the database's number.`,
      error,
    );
  }
  return store;
}

/** The adapter and the client of a Keyv that was made with `@keyv/redis`; undefined of any other. */
export function redisOf(keyv: Keyv): { adapter: RedisAdapter; client: RedisClient } | undefined {
  const adapter: unknown = keyv.store;
  if (typeof adapter !== "object" || adapter === null) return undefined;
  if (!("client" in adapter && "createKeyPrefix" in adapter && "isCluster" in adapter)) return undefined;
  const client = adapter.client as Partial<RedisClient> | undefined;
  if (typeof client?.evalSha !== "function") return undefined;
  return { adapter: adapter as unknown as RedisAdapter, client: client as RedisClient };
}

/**
 * A store on a Keyv that was made with `@keyv/redis`. Keyv and adapter are told to throw: otherwise they answer
 * a failed read as "nothing there" and a failed write as done.
 * @param isOwn whether the client is closed with the store
 * @returns `connected` resolves also when the server does not answer in time, and rejects when it refuses
 */
export function redisStore(
  keyv: Keyv,
  adapter: RedisAdapter,
  client: RedisClient,
  {
    isOwn,
    logger,
    answerMs = callTimeout,
  }: { readonly isOwn: boolean; readonly logger: Logger; readonly answerMs?: number },
): { store: Store; connected: Promise<void> } {
  adapter.throwOnErrors = true;
  keyv.throwOnErrors = true;
  const namespace = keyv.namespace ?? defaultNamespace;
  const isCluster = adapter.isCluster();
  const hasOwnListener = !isCluster && !adapter.isSentinel();
  const listening = hasOwnListener ? (client.duplicate?.() as RedisClient) : client;
  watchConnection(client, "connection", logger);
  if (hasOwnListener) watchConnection(listening, "connection for wakes", logger);
  loadScripts(client);

  const clients = new Set([client, listening]);
  const commands = new Commands((word) => {
    // A planned failover: the server became a replica and keeps its clients, while its name leads elsewhere.
    if (word === "READONLY" && hasOwnListener) for (const each of clients) void connectAnew(each);
  }, answerMs);
  const records = new RedisRecords(keyv, adapter, client, commands);
  const keys = redisKeys(namespace, (lane) => records.sessionKey(lane), isCluster);
  const connecting = connect(clients, 0.8 * answerMs);
  const settled = connecting.catch(() => {}); // Whoever opens the store is told; later calls fail by themselves.
  const listener = new RedisListener(listening, client, settled, answerMs);
  const lanes = new RedisLanes({ client, commands, keys, records, listener, isCluster });
  const store: Store = {
    name: "redis",
    shared: true,
    durable: true,
    records: records.records,
    rates: limiterRates(
      (library, { keyPrefix, ...options }) =>
        new library.RateLimiterRedis({
          ...options,
          keyPrefix: `${namespace}-${keyPrefix}`,
          storeClient: client,
          useRedisPackage: true,
        }),
      (count) => commands.run("count", count),
    ),
    commit: (commit) => lanes.commit(commit),
    read: (lane) => lanes.read(lane),
    beat: (owner, leaseMs) => lanes.beat(owner, leaseMs),
    bury: (owner, isUnknownToo) => lanes.bury(owner, isUnknownToo),
    dead: () => lanes.dead(),
    listen: (owner, wake) => lanes.listen(owner, wake),
    close: async () => {
      if (!hasOwnListener) await listener.close();
      else closeClient(listening);
      if (isOwn) closeClient(client);
    },
  };
  const connected = connecting.then(() => probe(store, client, namespace, logger));
  connected.catch(() => {}); // Whoever opens the store is told.
  return { store, connected };
}

/** The clients that are being connected anew. */
const reconnecting = new WeakSet<RedisClient>();

async function connectAnew(client: RedisClient): Promise<void> {
  if (reconnecting.has(client)) return;
  reconnecting.add(client);
  try {
    client.destroy();
    await client.connect();
  } catch {
    // It goes on trying by itself, or was closed meanwhile.
  } finally {
    reconnecting.delete(client);
  }
}

/**
 * Connects those that are not. Resolves when all are, or after that time: it goes on in the background. Rejects when one
 * is refused.
 */
async function connect(clients: ReadonlySet<RedisClient>, ms: number): Promise<void> {
  const late = timer(systemClock, ms);
  // A client that is refused goes on trying, and tells of it only here.
  const refused = [...clients].map(
    (client) =>
      new Promise<void>((_, reject) => {
        client.on("error", (error) => {
          if (isRefusal(error)) reject(error);
        });
      }),
  );
  const all = [...clients].filter(({ isOpen }) => !isOpen).map((client) => client.connect());
  try {
    await Promise.race([Promise.all(all), late.over, ...refused]);
  } finally {
    late.end();
  }
}

/** Whether the server does not want these credentials, or has no such database. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error && /^(WRONGPASS|NOAUTH|NOPERM|ERR (AUTH|invalid|DB index))/.test(error.message)
  );
}

async function loadAdapter(): Promise<typeof import("@keyv/redis")> {
  try {
    return await import("@keyv/redis");
  } catch (error) {
    throw invalid(
      "store",
      'The Redis store needs the package "@keyv/redis". Install it: npm i @keyv/redis@5.1.6',
      error,
    );
  }
}

function invalid(field: string, message: string, cause?: unknown): AparteError {
  return new AparteError("option-invalid", message, cause === undefined ? { field } : { field, cause });
}
