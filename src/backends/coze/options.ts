import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { checkText, isObject, milliseconds, optionInvalid, readBaseURL, refuseUnknown } from "../../check.ts";
import { AparteError } from "../../errors.ts";
import { consoleLogger, type Logger } from "../../logger.ts";
import type { JsonObject, JsonValue } from "../backend.ts";
import { pasted, readPrivateKey } from "../http/pasted-key.ts";

/** For whom Coze counts and bills a session's use (flagship plans). Coze's own field names. */
export interface CozeSessionContext {
  readonly device_info?: { readonly device_id?: string; readonly custom_consumer?: string };
}

/** What the functions among the options learn of a turn. */
export interface CozeTurn {
  /** The session's pseudonym. */
  readonly sessionName: string;
  /** The agent's name in the mapper's configuration. */
  readonly agent: string;
  readonly text: string;
  /** What the message or a middleware gave. */
  readonly context: JsonObject;
}

/** Whose conversation is opened. */
export type CozeSession = Omit<CozeTurn, "text" | "context">;

/** The messages with which a conversation begins. */
export type CozeOpening = readonly { readonly role: "user" | "agent"; readonly text: string }[];

/** The same for all turns, or made for each. */
export type CozePerTurn<T> = T | ((turn: CozeTurn) => T | undefined);

/**
 * A tool that runs here when the agent asks for it. It may run twice where the process dies in between.
 * @param args the call's arguments, read as JSON; what the agent's model wrote, so check them
 * @returns what the agent is told: a text, or what JSON can say
 */
export type CozeTool = (
  args: JsonValue | undefined,
  turn: CozeTurn & { readonly signal: AbortSignal },
) => JsonValue | undefined | Promise<JsonValue | undefined>;

/** A published chatflow of a space or of an app (Coze docs: developer_guides/workflow_chat). It streams, and takes texts alone. */
export interface CozeWorkflow {
  /** Its id, a string of digits. */
  readonly id: string;
  /** The app in which it runs, in place of an agent: give no `botId` then. Coze lists no conversations of an app. */
  readonly appId?: string;
  /** E.g. `"v0.0.5"`. @default the newest */
  readonly version?: string;
}

/** What `coze` takes. */
export interface CozeOptions {
  /** The OAuth app's id (type "normal", client "service"). */
  readonly appId?: string;
  /** The public key's fingerprint, as the OAuth app's page shows it. */
  readonly keyId?: string;
  /** The private key as PEM text, PKCS#8 or PKCS#1. Literal `\n` and stray blanks are forgiven. */
  readonly privateKey?: string;
  /**
   * A personal or service access token, in place of `appId`, `keyId` and `privateKey`. All people share it: they are
   * kept apart by their conversations and by `user_id` alone, not by a session of Coze's.
   */
  readonly accessToken?: string;
  /** The agent's id, a string of digits. It must be published to the API channel. Required but for an app's chatflow. */
  readonly botId?: string;
  /** A chatflow that answers, in place of the agent's own prompt. */
  readonly workflow?: CozeWorkflow;
  /** Which Coze the key belongs to: coze.cn or coze.com. @default "cn" */
  readonly region?: "cn" | "com";
  /** The API's address, in place of `region`. @default "https://api.coze.cn" */
  readonly baseURL?: string;
  /**
   * The host that the token is asked for (the JWT's `aud`), where a gateway stands at `baseURL`, e.g.
   * `"api.coze.cn"`. @default the host of `baseURL`
   */
  readonly audience?: string;
  /** Asks for tokens of this account or organization. Not together with `enterpriseId`. */
  readonly accountId?: string;
  /** Asks for tokens of this enterprise (privilege apps). Not together with `accountId`. */
  readonly enterpriseId?: string;
  /** What the token may do, passed on to the token request (channel apps need it). */
  readonly scope?: { readonly [key: string]: JsonValue };
  /** Signed into the token: the same for all sessions, or made from the session's name. */
  readonly sessionContext?: CozeSessionContext | ((sessionName: string) => CozeSessionContext | undefined);
  /** The channel in which conversations are opened and searched. @default Coze's "1024", the API */
  readonly connectorId?: string;
  /** How long a token lives, in seconds, 1 to 86399. @default 3600 */
  readonly tokenTtlSeconds?: number;
  /** False asks in the polling way, for agents that cannot stream. @default true */
  readonly stream?: boolean;
  /** Values for `{{name}}` in the agent's prompt, beside those of the turn's context whose names are letters and `_`. */
  readonly customVariables?: CozePerTurn<{ readonly [name: string]: string }>;
  /**
   * Messages with which a conversation begins, e.g. what was said in a thread before: oldest first, at most 16. Called
   * when a conversation is opened, and not again where a reset keeps the conversation.
   */
  readonly opening?: (session: CozeSession) => CozeOpening | undefined | Promise<CozeOpening | undefined>;
  /** Input of the start node, for agents in chatflow mode, beside the turn's context. */
  readonly parameters?: CozePerTurn<{ readonly [name: string]: JsonValue }>;
  /** Tools that run here, by the names that the agent calls them by. */
  readonly tools?: { readonly [name: string]: CozeTool };
  /** The longest a tool may take, in milliseconds. @default 60_000 */
  readonly toolTimeout?: number;
  /** Further fields of the request that begins a chat, e.g. `{ enable_card: true }`. Those that aparte sets stay. */
  readonly extra?: { readonly [field: string]: JsonValue };
  /** Told of what fails beside a turn, e.g. a tool. @default the console */
  readonly logger?: Logger;
  /**
   * Sent with every conversation and chat, or made for each turn and sent with its chat alone: at most 14 pairs, keys of
   * 1 to 64, values of 1 to 512 characters.
   */
  readonly metaData?: CozePerTurn<{ readonly [key: string]: string }>;
  /** The longest a plain request may take, in milliseconds. @default 30_000 */
  readonly requestTimeout?: number;
  /** The longest silence of a stream, in milliseconds. @default 120_000 */
  readonly idleTimeout?: number;
  /** The longest a whole chat may take, in milliseconds. @default 600_000 */
  readonly chatTimeout?: number;
  /**
   * How long to wait for a chat that runs on without us, in milliseconds: an earlier one that keeps the
   * conversation busy, or this one after its stream was cut. @default 60_000
   */
  readonly waitTimeout?: number;
  /** Time between two looks at a running chat, in milliseconds. Coze allows one a second. @default 1000 */
  readonly pollInterval?: number;
  /** The first pause before a request is repeated, in milliseconds; doubled each time. @default 500 */
  readonly retryDelay?: number;
  /**
   * How many chats a second the account may begin: 20 on Coze's free plan, 100 to 500 on others. All processes share
   * the count; those above it wait. Needs the package `rate-limiter-flexible`. @default as many as come
   */
  readonly qps?: number;
  /**
   * Used in place of the global `fetch`. The body of a turn is a stream, so that it is written at the last moment: what
   * repeats requests by itself cannot repeat it, and need not.
   */
  readonly fetch?: typeof fetch;
}

export interface OAuthApp {
  readonly appId: string;
  readonly keyId: string;
  readonly key: KeyObject;
}

/** The options, checked and with their defaults. */
export interface CozeSettings {
  /** A token for each session is made of the OAuth app; or there is one token for all. */
  readonly credentials: OAuthApp | string;
  /** Undefined where an app's chatflow answers. */
  readonly botId: string | undefined;
  readonly workflow: CozeWorkflow | undefined;
  /** Without a trailing slash. */
  readonly baseURL: string;
  readonly audience: string;
  /** Path of the token endpoint. */
  readonly tokenPath: string;
  readonly scope: CozeOptions["scope"];
  readonly sessionContext: CozeOptions["sessionContext"];
  readonly connectorId: string | undefined;
  readonly tokenTtlSeconds: number;
  readonly stream: boolean;
  readonly customVariables: CozeOptions["customVariables"];
  readonly parameters: CozeOptions["parameters"];
  readonly metaData: CozeOptions["metaData"];
  readonly opening: CozeOptions["opening"];
  readonly tools: NonNullable<CozeOptions["tools"]>;
  readonly toolTimeout: number;
  readonly extra: CozeOptions["extra"];
  readonly logger: Logger;
  readonly requestTimeout: number;
  readonly idleTimeout: number;
  readonly chatTimeout: number;
  readonly waitTimeout: number;
  readonly pollInterval: number;
  readonly retryDelay: number;
  readonly qps: number | undefined;
  readonly fetch: typeof fetch;
  /** Digest of all that makes two tokens of one session differ, apart from a `sessionContext` function. */
  readonly issuer: string;
}

const optionNames: Record<keyof CozeOptions, true> = {
  appId: true,
  keyId: true,
  privateKey: true,
  accessToken: true,
  botId: true,
  workflow: true,
  region: true,
  baseURL: true,
  audience: true,
  accountId: true,
  enterpriseId: true,
  scope: true,
  sessionContext: true,
  connectorId: true,
  tokenTtlSeconds: true,
  stream: true,
  customVariables: true,
  parameters: true,
  metaData: true,
  opening: true,
  tools: true,
  toolTimeout: true,
  extra: true,
  logger: true,
  requestTimeout: true,
  idleTimeout: true,
  chatTimeout: true,
  waitTimeout: true,
  pollInterval: true,
  retryDelay: true,
  qps: true,
  fetch: true,
};

/**
 * Checks the options.
 * @throws {AparteError} `option-invalid` with the option's name.
 */
export function readOptions(options: CozeOptions): CozeSettings {
  refuseUnknown(options, Object.keys(optionNames));
  checkWorkflow(options);
  if (options.workflow?.appId === undefined) checkText("botId", options.botId);
  for (const name of ["accountId", "enterpriseId", "connectorId", "audience"] as const) {
    if (options[name] !== undefined) checkText(name, options[name]);
  }
  if (options.accountId !== undefined && options.enterpriseId !== undefined) {
    throw optionInvalid(
      "enterpriseId",
      "and accountId exclude each other: give the one that the OAuth app is for",
    );
  }
  const { tokenTtlSeconds = 3600, stream = true, scope, sessionContext, parameters } = options;
  if (!Number.isInteger(tokenTtlSeconds) || tokenTtlSeconds < 1 || tokenTtlSeconds > 86_399) {
    throw optionInvalid("tokenTtlSeconds", "must be a whole number from 1 to 86399");
  }
  if (typeof stream !== "boolean") throw optionInvalid("stream", "must be true or false");
  if (scope !== undefined && !isObject(scope)) throw optionInvalid("scope", "must be an object");
  if (sessionContext !== undefined && typeof sessionContext !== "function" && !isObject(sessionContext)) {
    throw optionInvalid(
      "sessionContext",
      "must be an object, or a function that makes it from a session's name",
    );
  }
  if (typeof parameters !== "function" && parameters !== undefined && !isObject(parameters))
    throw optionInvalid("parameters", "must be an object, or a function that makes one of a turn");
  if (typeof options.customVariables !== "function") checkTexts("customVariables", options.customVariables);
  if (options.extra !== undefined && !isObject(options.extra))
    throw optionInvalid("extra", "must be an object");
  const tools: unknown = options.tools ?? {};
  if (!isObject(tools) || !Object.values(tools).every((tool) => typeof tool === "function")) {
    throw optionInvalid("tools", "must be an object of functions");
  }
  if (typeof options.metaData !== "function") {
    checkTexts("metaData", options.metaData);
    const problem = metaDataProblem(options.metaData);
    if (problem !== undefined) throw optionInvalid("metaData", problem);
  }
  for (const name of ["opening", "fetch"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function") {
      throw optionInvalid(name, "must be a function");
    }
  }
  if (options.qps !== undefined && (!Number.isInteger(options.qps) || options.qps < 1)) {
    throw optionInvalid("qps", "must be a whole number above 0");
  }
  const baseURL = addressOf(options);
  const audience = options.audience ?? new URL(baseURL).host;
  if (/[/\s]/.test(audience)) throw optionInvalid("audience", 'must be a host alone, such as "api.coze.cn"');
  const credentials = readCredentials(options);
  const tokenPath = tokenPathOf(options);
  return {
    credentials,
    botId: options.botId,
    workflow: options.workflow,
    baseURL,
    audience,
    tokenPath,
    scope,
    sessionContext,
    connectorId: options.connectorId,
    tokenTtlSeconds,
    stream,
    customVariables: options.customVariables,
    parameters,
    metaData: options.metaData,
    opening: options.opening,
    tools: options.tools ?? {},
    toolTimeout: milliseconds("toolTimeout", options.toolTimeout, 60_000),
    extra: options.extra,
    logger: options.logger ?? consoleLogger,
    requestTimeout: milliseconds("requestTimeout", options.requestTimeout, 30_000),
    idleTimeout: milliseconds("idleTimeout", options.idleTimeout, 120_000),
    chatTimeout: milliseconds("chatTimeout", options.chatTimeout, 600_000),
    waitTimeout: milliseconds("waitTimeout", options.waitTimeout, 60_000),
    pollInterval: milliseconds("pollInterval", options.pollInterval, 1000),
    retryDelay: milliseconds("retryDelay", options.retryDelay, 500),
    qps: options.qps,
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    issuer: digest([
      baseURL,
      audience,
      tokenPath,
      typeof credentials === "string"
        ? credentials
        : [credentials.appId, credentials.keyId, publicPart(credentials.key)],
      scope,
      typeof sessionContext === "function" ? undefined : sessionContext,
      tokenTtlSeconds,
    ]),
  };
}

function checkWorkflow({ workflow, botId, stream }: CozeOptions): void {
  if (workflow === undefined) return;
  if (!isObject(workflow)) throw optionInvalid("workflow", "must be an object with an id");
  refuseUnknown(workflow, ["id", "appId", "version"], "workflow.");
  checkText("workflow.id", workflow.id);
  for (const name of ["appId", "version"] as const) {
    if (workflow[name] !== undefined) checkText(`workflow.${name}`, workflow[name]);
  }
  if (workflow.appId !== undefined && botId !== undefined)
    throw optionInvalid(
      "workflow.appId",
      "and botId exclude each other: give the one in which the chatflow runs",
    );
  if (stream === false)
    throw optionInvalid("stream", "must not be false with workflow: a chatflow only streams");
}

function publicPart(key: KeyObject): string {
  return createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
}

const tokenOnly = [
  "appId",
  "keyId",
  "privateKey",
  "audience",
  "accountId",
  "enterpriseId",
  "scope",
  "sessionContext",
] as const;

function readCredentials(options: CozeOptions): OAuthApp | string {
  if (options.accessToken === undefined) {
    const { appId = "", keyId = "", privateKey = "" } = options;
    for (const [name, value] of Object.entries({ appId, keyId, privateKey })) checkText(name, value);
    return { appId: pasted(appId), keyId: pasted(keyId), key: readPrivateKey(privateKey, "privateKey") };
  }
  checkText("accessToken", options.accessToken);
  const other = tokenOnly.find((name) => options[name] !== undefined);
  if (other !== undefined)
    throw optionInvalid("accessToken", `and ${other} exclude each other: give one of them`);
  const token = pasted(options.accessToken);
  // It becomes a header, where other characters cannot go.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw optionInvalid("accessToken", "must be of visible ASCII characters");
  return token;
}

function addressOf({ baseURL, region }: CozeOptions): string {
  if (region !== undefined && region !== "cn" && region !== "com") {
    throw optionInvalid("region", 'must be "cn" or "com"');
  }
  if (baseURL === undefined) return `https://api.coze.${region ?? "cn"}`;
  if (region !== undefined) throw optionInvalid("region", "and baseURL exclude each other: give one of them");
  return readBaseURL(baseURL, "https://api.coze.cn");
}

function tokenPathOf({ accountId, enterpriseId }: CozeOptions): string {
  const root = "/api/permission/oauth2";
  if (accountId !== undefined) return `${root}/account/${encodeURIComponent(accountId)}/token`;
  if (enterpriseId !== undefined) return `${root}/enterprise_id/${encodeURIComponent(enterpriseId)}/token`;
  return `${root}/token`;
}

/** Two pairs are aparte's own: Coze takes 16. */
function metaDataProblem(metaData: { readonly [key: string]: string } = {}): string | undefined {
  const pairs = Object.entries(metaData);
  const fits = ([key, value]: [string, string]): boolean =>
    key.length >= 1 && key.length <= 64 && value.length >= 1 && value.length <= 512;
  if (pairs.length > 14 || !pairs.every(fits)) {
    return "takes at most 14 pairs, keys of 1 to 64 and values of 1 to 512 characters";
  }
  return pairs.some(([key]) => key.startsWith("aparte"))
    ? 'must not have keys that begin with "aparte": aparte uses them itself'
    : undefined;
}

/**
 * An option's value for one turn.
 * @throws {AparteError} `input-invalid` where its function fails or makes something else.
 */
export function forTurn<T extends object>(
  name: "customVariables" | "parameters" | "metaData",
  option: CozePerTurn<T> | undefined,
  { sessionName, agent, text, context }: CozeTurn,
): T | undefined {
  if (typeof option !== "function") return option;
  let value: T | undefined;
  try {
    value = option({ sessionName, agent, text, context });
  } catch (cause) {
    const problem = `The function "${name}" failed. Its error is kept as the cause.`;
    throw new AparteError("input-invalid", problem, { field: name, cause });
  }
  if (value === undefined) return undefined;
  const [isWanted, wanted] =
    name === "parameters" ? [isObject(value), "an object"] : [isTexts(value), "an object of strings"];
  let problem = isWanted ? undefined : `must return ${wanted}, or undefined`;
  if (name === "metaData" && isTexts(value)) problem = metaDataProblem(value);
  if (problem === undefined) return value;
  throw new AparteError("input-invalid", `The function "${name}" ${problem}.`, { field: name });
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

function checkTexts(name: string, value: unknown): void {
  if (value !== undefined && !isTexts(value)) throw optionInvalid(name, "must be an object of strings");
}

function digest(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);
}
