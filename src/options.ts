import { Keyv } from "keyv";
import type { Backend } from "./backends/backend.ts";
import { type Duration, duration, isObject, milliseconds, optionInvalid, refuseUnknown } from "./check.ts";
import { type Clock, systemClock } from "./clock.ts";
import { AparteError, asAparteError } from "./errors.ts";
import type { Overlap } from "./lane/machine.ts";
import { consoleLogger, describeError, type FieldsFirstLogger, type Logger, messageFirst } from "./logger.ts";
import { type Scope, scopes } from "./speaker/scope.ts";
import { secretCommand, secretProblem } from "./speaker/secret.ts";
import type { Speaker } from "./speaker/speaker.ts";
import { keyvStore } from "./stores/keyv.ts";
import { memoryStore } from "./stores/memory.ts";
import { redisOf, redisStore } from "./stores/redis/index.ts";
import { type SealedStore, sealedStore } from "./stores/sealed.ts";
import type { Store } from "./stores/store.ts";
import { english, type TextCode } from "./texts/english.ts";
import type { TextsOption, TextsSettings } from "./texts/texts.ts";
import type { TurnLimits } from "./turn/limits.ts";
import { isHost } from "./turn/links.ts";
import type { Message } from "./turn/message.ts";
import type { TurnFailure } from "./turn/watching.ts";

/**
 * What `new SessionMapper` takes.
 * @typeParam Agent the names of the agents, found out by the keys of `agents`
 */
export interface MapperOptions<Agent extends string = string> {
  /** The agents by name; the first one answers unless a message is routed elsewhere. */
  readonly agents: { readonly [Name in Agent]: Backend };
  /**
   * The agent that answers where none was chosen or routed to. Needed where a name looks like a number, since JavaScript
   * puts such keys first. @default the first one of `agents`
   */
  readonly defaultAgent?: NoInfer<Agent>;
  /**
   * The key of all session names: a random text that nobody can guess (32 random bytes), the same in all processes and
   * for all time. A list allows rotation: the first signs, sessions that the others named are still found.
   */
  readonly secret: string | readonly string[];
  /** From `openStore(url)`, or any Keyv 5. @default a store in memory, lost on restart */
  readonly store?: Store | Keyv;
  /**
   * Encrypts what the store has of sessions with a key made from the secret: ids of people and places, and words of
   * turns under way. Without the secret the store is lost. @default false
   */
  readonly encrypt?: boolean;
  /** Which parts of a speaker make a session. @default "user" */
  readonly scope?: Scope;
  /** What a message does that arrives while a turn runs. @default "queue" */
  readonly overlap?: Overlap;
  /** How many turns of a session may wait. @default 100 */
  readonly queueLimit?: number;
  /** The agent for a message; undefined leaves it to the person's own choice, then to the first agent. */
  readonly route?: (message: Message) => NoInfer<Agent> | undefined | Promise<NoInfer<Agent> | undefined>;
  /**
   * The names of the agents that a person may talk to; undefined: all of them. What was chosen, routed or asked for is
   * held to it, and the first of them answers where nothing was. @default all, for everybody
   */
  readonly allow?: (
    speaker: Speaker,
  ) => readonly NoInfer<Agent>[] | undefined | Promise<readonly NoInfer<Agent>[] | undefined>;
  /**
   * The application's own id for a person, so that one person on several platforms has one session;
   * undefined keeps the platform's.
   */
  readonly identify?: (speaker: Speaker) => string | undefined | Promise<string | undefined>;
  /**
   * The hosts to which links may lead in what an agent, a middleware or `send` says: `"docs.example.com"`, or `"*.example.com"` for all below it.
   * A link to another one is shown as text, on every platform: it could carry away what was said. `[]`: no links at all.
   * @default every host
   */
  readonly linkHosts?: readonly string[];
  /**
   * After how much silence a person's next message begins a new conversation, e.g. `"24h"`, as `reset` does; they are
   * told. A number counts milliseconds. @default never
   */
  readonly freshAfter?: Duration;
  /**
   * After how much silence a session is erased, as `forget` does: `{ idle: "90d" }`. One of the processes looks once an
   * hour, and erases a hundred a minute. @default never
   */
  readonly retention?: { readonly idle: Duration };
  /** Names a new conversation. @default the first message's first line; the backend cuts it */
  readonly title?: (message: Message) => string | undefined;
  /**
   * `"intent"`: a conversation is looked for at the service only where a process died while opening it.
   * `"always"`: also wherever the store knows none, for a store that was lost. @default "intent"
   */
  readonly recover?: "intent" | "always";
  /**
   * How many turns a person, or all people of a tenant, may have in a minute. Who is over is told when to come back.
   * Needs the package `rate-limiter-flexible`. @default none
   */
  readonly limits?: TurnLimits;
  /**
   * How long a message, or an operation, waits for a store that is away, in milliseconds; then it is told, and not
   * taken. What runs already waits as long as it must. @default 5000
   */
  readonly storeTimeout?: number;
  /** How long a process that has died keeps its turns from others, in milliseconds; the same in all. @default 10000 */
  readonly leaseTime?: number;
  /** How long a turn may wait in its lane, in milliseconds. @default 900000 */
  readonly waitTimeout?: number;
  /** How long a turn may run, in milliseconds. @default 600000 */
  readonly turnTimeout?: number;
  /**
   * How long an answer is kept that its platform does not take, in milliseconds; then it is given up, and the person is
   * told when they come back. @default 3600000
   */
  readonly undeliveredTime?: number;
  /** What aparte itself says to people, in your words: by code, or by `(code, facts, speaker)`. @default its own words */
  readonly texts?: TextsOption;
  /** The language for people of whom no other is known: English, or Chinese for `"zh"`, `"zh-CN"` … @default "en" */
  readonly locale?: string;
  /** @default the console */
  readonly logger?: Logger | FieldsFirstLogger;
  /**
   * Gets what a turn failed with, to report it elsewhere, beside the log: the error itself, with what was thrown underneath
   * as its `cause`, which may hold words of people. Of a delivery that is tried again, the first try and the last.
   */
  readonly onError?: (error: unknown, failure: TurnFailure) => void | Promise<void>;
  /** Time and chance, for simulations. @default the machine's */
  readonly clock?: Clock;
}

/** The options, checked and filled in. */
export interface Settings {
  /** The default one first. */
  readonly agents: ReadonlyMap<string, Backend>;
  readonly defaultAgent: string;
  readonly secrets: readonly [string, ...string[]];
  readonly store: Store | SealedStore;
  readonly scope: Scope;
  readonly overlap: Overlap;
  readonly queueLimit: number;
  readonly route: MapperOptions["route"];
  readonly allow: MapperOptions["allow"];
  readonly identify: MapperOptions["identify"];
  readonly linkHosts: readonly string[] | undefined;
  /** In milliseconds; infinite for never. */
  readonly freshAfter: number;
  /** In milliseconds; undefined for never. */
  readonly idleTime: number | undefined;
  readonly title: (message: Message) => string | undefined;
  readonly alwaysFind: boolean;
  readonly limits: TurnLimits | undefined;
  readonly storeTimeout: number;
  readonly leaseTime: number;
  readonly waitTimeout: number;
  readonly turnTimeout: number;
  readonly undeliveredTime: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Never throws. */
  readonly onError: (error: unknown, failure: TurnFailure) => void;
  readonly texts: TextsSettings;
}

const known = [
  "agents",
  "defaultAgent",
  "secret",
  "store",
  "encrypt",
  "scope",
  "overlap",
  "queueLimit",
  "route",
  "allow",
  "identify",
  "linkHosts",
  "freshAfter",
  "retention",
  "title",
  "recover",
  "limits",
  "storeTimeout",
  "leaseTime",
  "waitTimeout",
  "turnTimeout",
  "undeliveredTime",
  "texts",
  "locale",
  "logger",
  "onError",
  "clock",
] as const satisfies readonly (keyof MapperOptions)[];

const overlaps: readonly string[] = ["queue", "merge", "interrupt", "reject"] satisfies Overlap[];

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function checkOptions(options: MapperOptions): Settings {
  refuseUnknown(options, known);
  const { scope = "user", overlap = "queue", recover = "intent" } = options;
  const logger = checkLogger(options.logger);
  if (typeof scope !== "function" && !scopes.includes(scope)) {
    throw optionInvalid("scope", `must be a function or one of: ${scopes.join(", ")}`);
  }
  if (!overlaps.includes(overlap)) throw optionInvalid("overlap", `must be one of: ${overlaps.join(", ")}`);
  if (recover !== "intent" && recover !== "always") {
    throw optionInvalid("recover", 'must be "intent" or "always"');
  }
  const { encrypt = false } = options;
  if (typeof encrypt !== "boolean") throw optionInvalid("encrypt", "must be true or false");
  const secrets = checkSecrets(options.secret);
  const agents = checkAgents(options.agents, options.defaultAgent);
  const [defaultAgent = ""] = agents.keys();
  const storeTimeout = milliseconds("storeTimeout", options.storeTimeout, 5_000);
  return {
    agents,
    defaultAgent,
    secrets,
    scope: typeof scope === "function" ? hook("scope", scope) : scope,
    overlap,
    queueLimit: checkQueueLimit(options.queueLimit),
    route: hook("route", options.route),
    allow: hook("allow", options.allow),
    identify: hook("identify", options.identify),
    linkHosts: checkLinkHosts(options.linkHosts),
    freshAfter:
      options.freshAfter === undefined
        ? Number.POSITIVE_INFINITY
        : duration("freshAfter", options.freshAfter),
    idleTime: checkRetention(options.retention),
    title: hook("title", options.title) ?? firstLine,
    alwaysFind: recover === "always",
    limits: checkLimits(options.limits),
    storeTimeout,
    leaseTime: milliseconds("leaseTime", options.leaseTime, 10_000),
    waitTimeout: milliseconds("waitTimeout", options.waitTimeout, 900_000),
    turnTimeout: milliseconds("turnTimeout", options.turnTimeout, 600_000),
    undeliveredTime: milliseconds("undeliveredTime", options.undeliveredTime, 3_600_000),
    clock: options.clock ?? systemClock,
    logger,
    onError: reporter(options.onError, logger),
    texts: checkTexts(options, logger),
    // The last of them: it may connect to a server, which wrong options must not.
    store: encrypt
      ? sealedStore(checkStore(options.store, logger), secrets)
      : checkStore(options.store, logger),
  };
}

function checkLogger(logger: MapperOptions["logger"] = consoleLogger): Logger {
  const given: { readonly [Level in keyof Logger]?: unknown } | null = logger;
  for (const level of ["info", "warn", "error"] as const) {
    if (typeof given?.[level] !== "function") {
      throw optionInvalid("logger", "must have the functions info, warn and error, as the console has");
    }
  }
  return messageFirst(logger);
}

/** A function of the application's. What it throws becomes `hook-failed`, which names the option. */
function hook<Run extends ((...args: never[]) => unknown) | undefined>(name: string, run: Run): Run {
  if (run === undefined) return run;
  if (typeof run !== "function") throw optionInvalid(name, "must be a function");
  const failed = (error: unknown): never => {
    throw asAparteError(error, "hook-failed", `The option ${name} failed.`);
  };
  const hooked = (...args: never[]) => {
    try {
      const result = run(...args);
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  };
  return hooked as Run;
}

/** What fails while it reports harms no turn. */
function reporter(onError: MapperOptions["onError"], logger: Logger): Settings["onError"] {
  const report = hook("onError", onError);
  return async (error, failure) => {
    try {
      await report?.(error, failure);
    } catch (failed) {
      logger.error("the option onError failed", describeError(failed));
    }
  };
}

function checkLimits(limits: MapperOptions["limits"]): TurnLimits | undefined {
  if (limits === undefined) return undefined;
  if (typeof limits !== "object" || limits === null) {
    throw optionInvalid("limits", "must be an object, e.g. { person: 20 }");
  }
  refuseUnknown(limits, ["person", "tenant"], "limits.");
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) {
      throw optionInvalid(`limits.${name}`, "must be a whole number above 0: turns per minute");
    }
  }
  return limits;
}

function checkTexts({ texts, locale }: MapperOptions, logger: Logger): TextsSettings {
  if (texts !== undefined && typeof texts !== "function") {
    refuseUnknown(texts, Object.keys(english), "texts.");
    for (const [code, text] of Object.entries(texts)) {
      if (typeof text !== "string") throw optionInvalid(`texts.${code}`, "must be a text");
    }
  }
  if (locale !== undefined && !isLocale(locale)) {
    throw optionInvalid("locale", 'must be a language\'s tag, e.g. "en" or "zh-CN"');
  }
  const failed = (code: TextCode, cause: unknown) => {
    const error = new AparteError("hook-failed", "The option texts failed.", { cause });
    logger.error("the option texts failed, so our own words were said", {
      text: code,
      ...describeError(error),
    });
  };
  return { texts, locale, failed };
}

function isLocale(tag: unknown): boolean {
  try {
    return typeof tag === "string" && Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

function checkLinkHosts(hosts: MapperOptions["linkHosts"]): readonly string[] | undefined {
  if (hosts === undefined) return undefined;
  if (Array.isArray(hosts) && hosts.every(isHost)) return hosts;
  throw optionInvalid("linkHosts", 'must be a list of hosts, e.g. ["docs.example.com", "*.example.org"]');
}

function checkRetention(retention: MapperOptions["retention"]): number | undefined {
  if (retention === undefined) return undefined;
  if (!isObject(retention)) throw optionInvalid("retention", 'must be an object, e.g. { idle: "90d" }');
  refuseUnknown(retention, ["idle"], "retention.");
  return duration("retention.idle", retention.idle);
}

function checkAgents(
  agents: MapperOptions["agents"],
  defaultAgent: string | undefined,
): ReadonlyMap<string, Backend> {
  if (typeof agents !== "object" || agents === null) {
    throw optionInvalid(
      "agents",
      "must be an object of backends by agent name, e.g. { helper: coze({ … }) }",
    );
  }
  const entries = Object.entries(agents);
  if (entries.length === 0) throw optionInvalid("agents", "must name at least one agent");
  for (const [name, backend] of entries) {
    if (name === "") throw optionInvalid("agents", "must not hold an agent without a name");
    // No store and no address can hold it.
    if (/\p{Surrogate}/u.test(name))
      throw optionInvalid("agents", "must not hold a name with half a character");
    const isBackend =
      typeof backend === "object" &&
      backend !== null &&
      typeof backend.name === "string" &&
      typeof backend.open === "function" &&
      typeof backend.ask === "function";
    if (!isBackend) throw optionInvalid(`agents.${name}`, "must be a backend with name, open and ask");
  }
  const number = entries.map(([name]) => name).find((name) => /^(?:0|[1-9]\d*)$/.test(name));
  if (number !== undefined && defaultAgent === undefined) {
    const problem = `is needed, since "${number}" looks like a number: such names come first, wherever they are written`;
    throw optionInvalid("defaultAgent", problem);
  }
  if (defaultAgent !== undefined && !Object.hasOwn(agents, defaultAgent)) {
    throw optionInvalid("defaultAgent", "must be one of the agents' names");
  }
  const isDefault = ([name]: [string, Backend]) => name === defaultAgent;
  return new Map([...entries.filter(isDefault), ...entries.filter((entry) => !isDefault(entry))]);
}

function checkSecrets(secret: MapperOptions["secret"]): readonly [string, ...string[]] {
  const [first, ...others] = Array.isArray(secret) ? secret : [secret];
  for (const value of [first, ...others]) {
    if (typeof value !== "string")
      throw optionInvalid("secret", "must be a text, or a list of texts; set APARTE_SECRET");
    const problem = secretProblem(value);
    if (problem !== undefined)
      throw optionInvalid("secret", `is ${problem}. This makes a good one: ${secretCommand}`);
  }
  return [first, ...others];
}

const storeMembers = [
  "name",
  "records",
  "commit",
  "read",
  "beat",
  "bury",
  "dead",
  "listen",
  "close",
] as const;

function checkStore(store: MapperOptions["store"], logger: Logger): Store {
  if (store === undefined) return memoryStore();
  if (typeof store === "object" && store !== null) {
    if ("commit" in store || "records" in store) {
      const missing = storeMembers.filter((member) => !(member in store));
      if (missing.length === 0) return store as Store;
      throw optionInvalid("store", `lacks ${missing.join(", ")}: docs/store.md says what a store is`);
    }
    if (isKeyv(store)) {
      const redis = redisOf(store);
      if (redis === undefined) return keyvStore(store);
      return redisStore(store, redis.adapter, redis.client, { isOwn: false, logger }).store;
    }
  }
  throw optionInvalid(
    "store",
    "must be a Keyv, what openStore(url) returns (await it), or a Store of your own",
  );
}

/** By shape: a Keyv of another copy of the package is a Keyv too. */
function isKeyv(store: object): store is Keyv {
  return store instanceof Keyv || ("get" in store && "set" in store && "opts" in store);
}

function checkQueueLimit(limit = 100): number {
  if (!Number.isInteger(limit) || limit < 1)
    throw optionInvalid("queueLimit", "must be a whole number above 0");
  return limit;
}

function firstLine(message: Message): string | undefined {
  return message.text.trim().split("\n", 1)[0]?.trim() || message.files?.[0]?.name;
}
