import { checkText, isObject, longestTimer, optionInvalid, readBaseURL, refuseUnknown } from "../../check.ts";
import { AparteError } from "../../errors.ts";
import type { JsonObject } from "../backend.ts";
import {
  type Credentials,
  defaultCredentials,
  readCredentials,
  type ServiceAccountKey,
} from "./credentials.ts";
import type { DialogflowInput, DialogflowTurn } from "./query.ts";
import type { PayloadReply } from "./reply-events.ts";

/** The same for all turns, or made for each. */
export type DialogflowPerTurn<T> = T | ((turn: DialogflowTurn) => T | undefined);

/** What `dialogflowCx` takes. */
export interface DialogflowCxOptions {
  /** The agent's resource name: `projects/…/locations/…/agents/…`. Or give `project`, `location` and `agentId`. */
  readonly agent?: string;
  readonly project?: string;
  /** The agent's location, e.g. `"global"` or `"europe-west3"`. */
  readonly location?: string;
  readonly agentId?: string;
  /** The environment's id. Without it the draft answers; Google says to use an environment in production. */
  readonly environment?: string;
  /** The API's address. @default the location's own, e.g. "https://europe-west3-dialogflow.googleapis.com" */
  readonly baseURL?: string;
  /**
   * A service account's key: an object, JSON text or the path of a file.
   * @default Google's application-default credentials
   */
  readonly credentials?: ServiceAccountKey | string;
  /** Returns an access token for each request; keeps and renews it by itself. In place of `credentials`. */
  readonly accessToken?: () => Promise<string>;
  /** The language of what people say, e.g. `"de"`. @default "en" */
  readonly languageCode?: DialogflowPerTurn<string>;
  /** E.g. `"Europe/Berlin"`. @default the agent's own */
  readonly timeZone?: DialogflowPerTurn<string>;
  /** Picks the answers that the agent has for this channel. */
  readonly channel?: string;
  /**
   * Session parameters, put in at every turn with those of its context, over what the agent has set; null takes one
   * out. Plain JSON, not the `{ fields: … }` of Google's clients.
   */
  readonly parameters?: DialogflowPerTurn<JsonObject>;
  /** Passed to the agent's webhook with every turn. */
  readonly payload?: DialogflowPerTurn<JsonObject>;
  /** Makes an event, an intent or keypad input of a turn. @default the turn's text */
  readonly input?: (turn: DialogflowTurn) => DialogflowInput | undefined;
  /** Makes something a person can see of a custom payload. @default a status that says one came */
  readonly onPayload?: (payload: JsonObject, turn: DialogflowTurn) => PayloadReply | Promise<PayloadReply>;
  /** How long the service keeps a session after its last turn, in seconds, at most a day. @default 86_400 */
  readonly sessionTtl?: number;
  /** Whether page and parameters are kept, and sent back after a longer silence. @default true */
  readonly revive?: boolean;
  /**
   * Encrypts what is kept: at least 16 characters, the same in all processes. A list allows rotation: the first
   * encrypts, all decrypt. @default derived from the service account's key; with credentials that hold no such
   * key, a random one that dies with the process, so that nobody is brought back after a restart
   */
  readonly stateSecret?: string | readonly string[];
  /** The most bytes of page and parameters that are kept; parameters beyond are dropped. @default 16_384 */
  readonly maxStateBytes?: number;
  /** The most characters of a message; more are answered with a hint. @default 500 */
  readonly maxTextLength?: number;
  /** Whether partial responses are shown as they come. @default true */
  readonly stream?: boolean;
  /** The longest a turn may take, its repeats included, in milliseconds. @default 220_000 */
  readonly requestTimeout?: number;
  /** How often a turn is sent again that was refused for quota or never arrived. @default 3 */
  readonly maxRetries?: number;
  /** The first pause before that, in milliseconds; doubled each time up to 32 s. @default 1000 */
  readonly retryDelay?: number;
  /**
   * Used in place of the global `fetch`. The body of a turn is a stream, so that it is written at the last moment: what
   * repeats requests by itself cannot repeat it, and need not.
   */
  readonly fetch?: typeof fetch;
  /** The clock, in Unix milliseconds. @default Date.now */
  readonly now?: () => number;
}

/** The options, checked and with their defaults. */
export interface Settings {
  readonly agent: string;
  /** The agent's name with the environment's, if any: what session names begin with. */
  readonly sessionParent: string;
  /** Without a trailing slash. */
  readonly baseURL: string;
  /** Undefined where the application gives the tokens. */
  readonly credentials: Credentials | undefined;
  readonly accessToken: (() => Promise<string>) | undefined;
  readonly languageCode: DialogflowPerTurn<string>;
  readonly timeZone: DialogflowPerTurn<string> | undefined;
  readonly channel: string | undefined;
  readonly parameters: DialogflowPerTurn<JsonObject> | undefined;
  readonly payload: DialogflowPerTurn<JsonObject> | undefined;
  readonly input: DialogflowCxOptions["input"];
  readonly onPayload: DialogflowCxOptions["onPayload"];
  readonly sessionTtl: number;
  readonly revive: boolean;
  readonly stateSecrets: readonly string[];
  readonly maxStateBytes: number;
  readonly maxTextLength: number;
  readonly stream: boolean;
  readonly requestTimeout: number;
  readonly maxRetries: number;
  readonly retryDelay: number;
  readonly fetch: typeof fetch;
  readonly now: () => number;
}

const known: Record<keyof DialogflowCxOptions, true> = {
  agent: true,
  project: true,
  location: true,
  agentId: true,
  environment: true,
  baseURL: true,
  credentials: true,
  accessToken: true,
  languageCode: true,
  timeZone: true,
  channel: true,
  parameters: true,
  payload: true,
  input: true,
  onPayload: true,
  sessionTtl: true,
  revive: true,
  stateSecret: true,
  maxStateBytes: true,
  maxTextLength: true,
  stream: true,
  requestTimeout: true,
  maxRetries: true,
  retryDelay: true,
  fetch: true,
  now: true,
};

/**
 * Checks the options.
 * @throws {AparteError} `option-invalid` with the option's name.
 */
export function readOptions(options: DialogflowCxOptions): Settings {
  refuseUnknown(options, Object.keys(known));
  const agent = readAgent(options);
  const { environment, accessToken, channel, stream = true, revive = true } = options;
  if (environment !== undefined && !isSegment(environment)) {
    throw optionInvalid("environment", "must be the environment's id, not its name or its whole path");
  }
  if (accessToken !== undefined && options.credentials !== undefined) {
    throw optionInvalid("accessToken", "and credentials exclude each other: give one of them");
  }
  for (const name of ["accessToken", "input", "onPayload", "fetch", "now"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function") {
      throw optionInvalid(name, "must be a function");
    }
  }
  for (const [name, flag] of Object.entries({ stream, revive })) {
    if (typeof flag !== "boolean") throw optionInvalid(name, "must be true or false");
  }
  if (channel !== undefined) checkText("channel", channel);
  for (const name of ["languageCode", "timeZone"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function") checkText(name, options[name]);
  }
  for (const name of ["parameters", "payload"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function" && !isObject(options[name])) {
      throw optionInvalid(name, "must be an object, or a function that makes one for a turn");
    }
  }
  return {
    agent: agent.name,
    sessionParent: environment === undefined ? agent.name : `${agent.name}/environments/${environment}`,
    baseURL: addressOf(options.baseURL, agent.location),
    credentials: accessToken === undefined ? readAccount(options.credentials) : undefined,
    accessToken,
    languageCode: options.languageCode ?? "en",
    timeZone: options.timeZone,
    channel,
    parameters: options.parameters,
    payload: options.payload,
    input: options.input,
    onPayload: options.onPayload,
    sessionTtl: wholeNumber("sessionTtl", options.sessionTtl, { min: 1, max: 86_400, otherwise: 86_400 }),
    revive,
    stateSecrets: readSecrets(options.stateSecret),
    maxStateBytes: wholeNumber("maxStateBytes", options.maxStateBytes, { min: 0, otherwise: 16_384 }),
    maxTextLength: wholeNumber("maxTextLength", options.maxTextLength, { min: 1, otherwise: 500 }),
    stream,
    requestTimeout: wholeNumber("requestTimeout", options.requestTimeout, { min: 1, otherwise: 220_000 }),
    maxRetries: wholeNumber("maxRetries", options.maxRetries, { min: 0, otherwise: 3 }),
    retryDelay: wholeNumber("retryDelay", options.retryDelay, { min: 1, otherwise: 1000 }),
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    now: options.now ?? Date.now,
  };
}

const agentPattern = /^projects\/([^/]+)\/locations\/([^/]+)\/agents\/([^/]+)$/;

function readAgent({ agent, project, location, agentId }: DialogflowCxOptions): {
  name: string;
  location: string;
} {
  if (agent !== undefined) {
    for (const [name, value] of Object.entries({ project, location, agentId })) {
      if (value !== undefined)
        throw optionInvalid(name, "is part of agent: give either agent or the three parts");
    }
    const parts = typeof agent === "string" ? agentPattern.exec(agent)?.slice(1) : undefined;
    if (parts === undefined || !parts.every(isSegment)) {
      throw optionInvalid(
        "agent",
        "must be a resource name: projects/…/locations/…/agents/…, as the console copies it",
      );
    }
    return { name: agent, location: checkLocation("agent", parts[1]) };
  }
  for (const [name, value] of Object.entries({ project, location, agentId })) {
    if (!isSegment(value))
      throw optionInvalid(name, "is missing: give agent, or project, location and agentId");
  }
  const name = `projects/${project}/locations/${location}/agents/${agentId}`;
  return { name, location: checkLocation("location", location) };
}

/** One part of a resource name; it goes into an address as it is. */
function isSegment(value: unknown): boolean {
  return typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(value);
}

/** The location becomes part of the host's name. */
function checkLocation(field: string, location: string | undefined): string {
  if (location === undefined || !/^[a-z0-9-]+$/.test(location)) {
    throw optionInvalid(field, 'names no location such as "global" or "europe-west3"');
  }
  return location;
}

function addressOf(baseURL: string | undefined, location: string): string {
  if (baseURL !== undefined) return readBaseURL(baseURL, "https://dialogflow.googleapis.com");
  // "global-dialogflow…" works for some; the plain host is the documented one.
  return `https://${location === "global" ? "" : `${location}-`}dialogflow.googleapis.com`;
}

function readAccount(given: DialogflowCxOptions["credentials"]): Credentials {
  return given === undefined ? defaultCredentials() : readCredentials(given);
}

function readSecrets(secret: DialogflowCxOptions["stateSecret"]): readonly string[] {
  if (secret === undefined) return [];
  const secrets = typeof secret === "string" ? [secret] : secret;
  const isLong = (value: unknown): boolean => typeof value === "string" && value.length >= 16;
  if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isLong)) {
    throw optionInvalid("stateSecret", "must be a text of at least 16 characters, or a list of such");
  }
  return secrets;
}

function wholeNumber(
  field: string,
  value: number | undefined,
  { min, max = longestTimer, otherwise }: { min: number; max?: number; otherwise: number },
): number {
  if (value === undefined) return otherwise;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw optionInvalid(field, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}

/** What a function among the options made for this turn, or the option itself. */
export function forTurn<T>(
  field: string,
  option: DialogflowPerTurn<T> | undefined,
  turn: DialogflowTurn,
): T | undefined {
  if (typeof option !== "function") return option;
  try {
    return (option as (turn: DialogflowTurn) => T | undefined)(turn);
  } catch (cause) {
    throw new AparteError(
      "backend-failed",
      `The function "${field}" failed. Its error is kept as the cause.`,
      {
        field,
        cause,
      },
    );
  }
}
