import type { Logger, Speaker } from "aparte";
import { optionInvalid, refuseUnknown } from "aparte/adapter";

/** Who speaks, as the host application vouches for it. */
export type WebSpeaker = Omit<Speaker, "platform">;

/** What a request asks for by name, beyond what {@link WebOptions.authenticate} says. */
export interface Wanted {
  readonly speaker: WebSpeaker;
  readonly agent?: string;
  readonly channel?: string;
  readonly thread?: string;
}

/** What `web` takes. */
export interface WebOptions {
  /**
   * Who makes this request, by the host application's own session or token; undefined for nobody (401).
   * A throw means that this cannot be told now (503).
   */
  readonly authenticate: (request: Request) => WebSpeaker | undefined | Promise<WebSpeaker | undefined>;
  /**
   * Whether this speaker may talk to that agent, in that channel and thread. Asked when the request names one.
   * With the scopes `user…` every channel and thread is the speaker's own: `() => true` is right.
   * @default every agent, no channel and no thread: with the scope `channel` they would open other people's sessions
   */
  readonly authorize?: (wanted: Wanted) => boolean | Promise<boolean>;
  /**
   * Origins (`"https://app.example"`) whose pages may speak as their visitors, besides the handler's own.
   * @default none
   */
  readonly origins?: readonly string[];
  /** The speakers' platform. @default "web" */
  readonly platform?: string;
  /** How long a running turn waits for a client that left, in milliseconds; then it is stopped. @default 5000 */
  readonly graceTime?: number;
  /** How long a reply can still be read after its end, in milliseconds. @default 60000 */
  readonly keepTime?: number;
  /** How many replies run or are kept at one time; above it those kept go, then 503. @default 2000 */
  readonly maxReplies?: number;
  /**
   * How many of them may be one person's; above it their oldest that has ended goes, then 429. @default 50
   */
  readonly maxPersonReplies?: number;
  /** Milliseconds of silence after which a stream says that it lives. @default 15000 */
  readonly heartbeat?: number;
  /** The largest JSON body, in bytes. @default 1048576 (1 MiB) */
  readonly maxBodySize?: number;
  /** The largest multipart body with all its files, in bytes. @default 20971520 (20 MiB) */
  readonly maxUploadSize?: number;
  /** How many bytes of one person's messages may arrive, wait and run at one time; then 429. @default 41943040 (40 MiB) */
  readonly maxPersonBytes?: number;
  /** How many bytes of all people's; then 503. @default 104857600 (100 MiB) */
  readonly maxBytes?: number;
  /** How many files one message may have. @default 10 */
  readonly maxFiles?: number;
  /** Told why a person could not be authenticated. @default the console */
  readonly logger?: Pick<Logger, "error">;
}

export type Settings = Required<WebOptions>;

const consoleLogger: Settings["logger"] = {
  error: (message, fields) => console.error(`aparte: ${message}`, fields ?? ""),
};

/** @throws {AparteError} `option-invalid` with the option's name as `field`. */
export function readOptions(options: WebOptions): Settings {
  if (typeof options !== "object" || options === null) throw optionInvalid("options", "must be an object");
  const settings: Settings = {
    authenticate: options.authenticate,
    authorize: options.authorize ?? (({ channel, thread }) => channel === undefined && thread === undefined),
    origins: options.origins ?? [],
    platform: options.platform ?? "web",
    graceTime: wholeNumber(options, "graceTime", 5_000, 0),
    keepTime: wholeNumber(options, "keepTime", 60_000, 0),
    maxReplies: wholeNumber(options, "maxReplies", 2_000),
    maxPersonReplies: wholeNumber(options, "maxPersonReplies", 50),
    maxPersonBytes: wholeNumber(options, "maxPersonBytes", 40 * 1024 * 1024),
    maxBytes: wholeNumber(options, "maxBytes", 100 * 1024 * 1024),
    heartbeat: wholeNumber(options, "heartbeat", 15_000),
    maxBodySize: wholeNumber(options, "maxBodySize", 1024 * 1024),
    maxUploadSize: wholeNumber(options, "maxUploadSize", 20 * 1024 * 1024),
    maxFiles: wholeNumber(options, "maxFiles", 10, 0),
    logger: options.logger ?? consoleLogger,
  };
  refuseUnknown(options, Object.keys(settings));
  if (typeof settings.authenticate !== "function") {
    throw optionInvalid("authenticate", "must be a function that tells who makes a request; see jwtSpeaker");
  }
  if (typeof settings.authorize !== "function") throw optionInvalid("authorize", "must be a function");
  if (typeof settings.platform !== "string" || settings.platform === "") {
    throw optionInvalid("platform", "must be a text that is not empty");
  }
  if (typeof settings.logger?.error !== "function")
    throw optionInvalid("logger", "must have a function `error`");
  if (!Array.isArray(settings.origins) || !settings.origins.every(isOrigin)) {
    throw optionInvalid(
      "origins",
      'must be a list of origins such as "https://app.example", without "*" and path',
    );
  }
  return settings;
}

function wholeNumber(options: WebOptions, name: keyof WebOptions, fallback: number, least = 1): number {
  const value = options[name] ?? fallback;
  // Timers take no more than 2^31 - 1 milliseconds.
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value < 2 ** 31) return value;
  throw optionInvalid(name, `must be a whole number from ${least}`);
}

function isOrigin(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) && new URL(value).origin === value;
}
