import { AparteError } from "../../errors.ts";
import type { JsonObject } from "../backend.ts";
import { fieldsOf } from "../http/json.ts";
import { forTurn, type Settings } from "./options.ts";
import type { Place } from "./sealed-place.ts";

/** What the functions among the options learn of a turn. */
export interface DialogflowTurn {
  /** The session's pseudonym. */
  readonly sessionName: string;
  /** The agent's name in the mapper's configuration. */
  readonly agent: string;
  readonly text: string;
  /** What the message or a middleware gave. */
  readonly context: JsonObject;
  /** Whether this is the first turn of a session at the service. */
  readonly startsSession: boolean;
}

/** What is said to the agent: words, a named event, an intent's resource name, or keys of a telephone. */
export type DialogflowInput =
  | { readonly text: string }
  | { readonly event: string }
  | { readonly intent: string }
  | { readonly dtmf: { readonly digits: string; readonly finishDigit?: string } };

/** The turn's input: its text, unless the option `input` makes something else of it. */
export function readInput(settings: Settings, turn: DialogflowTurn): DialogflowInput {
  const input: unknown = forTurn("input", settings.input, turn) ?? { text: turn.text };
  if (isOneOf(input)) return input;
  throw new AparteError(
    "input-invalid",
    'The option "input" must return one of { text }, { event }, { intent }, { dtmf: { digits } }, or undefined.',
    { field: "input" },
  );
}

function isOneOf(input: unknown): input is DialogflowInput {
  const [[name, value] = [], ...others] = Object.entries(fieldsOf(input));
  if (others.length > 0) return false;
  if (name === "text" || name === "event" || name === "intent")
    return typeof value === "string" && value !== "";
  const { digits, finishDigit = "" } = fieldsOf(value);
  return name === "dtmf" && typeof digits === "string" && typeof finishDigit === "string";
}

/** A `detectIntent` request. The session's name is in the path alone. */
export function requestBody(
  settings: Settings,
  turn: DialogflowTurn,
  input: DialogflowInput,
  place: Place | undefined,
): object {
  const own = checkObject("parameters", forTurn("parameters", settings.parameters, turn));
  const parameters = { ...place?.parameters, ...turn.context, ...own };
  const isGiven = place?.parameters !== undefined || Object.keys(parameters).length > 0;
  return {
    queryInput: {
      ...wireInput(input),
      languageCode: forTurn("languageCode", settings.languageCode, turn) ?? "en",
    },
    queryParams: {
      // Whether one value holds for later turns is not documented, so each turn carries it.
      sessionTtl: `${settings.sessionTtl}s`,
      timeZone: forTurn("timeZone", settings.timeZone, turn),
      channel: settings.channel,
      payload: checkObject("payload", forTurn("payload", settings.payload, turn)),
      // Makes the service ignore the page and parameters it has: for the first turn of a session only.
      currentPage: place?.page,
      parameters: isGiven ? parameters : undefined,
    },
    // Without diagnostics, whose structure is not stable anyway.
    responseView: "DETECT_INTENT_RESPONSE_VIEW_BASIC",
  };
}

function wireInput(input: DialogflowInput): object {
  if ("text" in input) return { text: { text: input.text } };
  if ("event" in input) return { event: { event: input.event } };
  if ("intent" in input) return { intent: { intent: input.intent } };
  return { dtmf: input.dtmf };
}

function checkObject(field: string, value: unknown): JsonObject | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new AparteError("input-invalid", `The function "${field}" must return an object or undefined.`, {
    field,
  });
}
