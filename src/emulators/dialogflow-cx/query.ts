import { Refusal } from "./refusal.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** What was said, in the one way of the five that was used. */
export type Input =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "event"; readonly event: string }
  | { readonly kind: "intent"; readonly intent: string }
  | { readonly kind: "dtmf"; readonly digits: string; readonly finishDigit: string };

/** A `detectIntent` request, checked. */
export interface Query {
  readonly input: Input;
  readonly languageCode: string;
  readonly timeZone: string | undefined;
  readonly channel: string;
  readonly payload: Fields | undefined;
  /** Null takes a parameter out. */
  readonly parameters: Fields;
  readonly currentPage: string | undefined;
  /** In seconds. */
  readonly sessionTtl: number | undefined;
  /** `queryParams` as sent. */
  readonly queryParams: Fields;
}

const requestFields = ["queryInput", "queryParams", "outputAudioConfig", "responseView", "session"];
const inputFields = ["text", "intent", "audio", "event", "dtmf", "toolCallResult", "languageCode"];
const paramFields = [
  "timeZone",
  "geoLocation",
  "sessionEntityTypes",
  "payload",
  "parameters",
  "currentPage",
  "currentPlaybook",
  "disableWebhook",
  "analyzeQueryTextSentiment",
  "webhookHeaders",
  "flowVersions",
  "channel",
  "sessionTtl",
  "endUserMetadata",
  "searchConfig",
  "parameterScope",
  "llmModelSettings",
  "populateDataStoreConnectionSignals",
];

/** Reads a request as strictly as the service does: a field it does not know is refused by name. */
export function readQuery(body: unknown, maxTextLength: number): Query {
  const request = asMessage(body, "", requestFields);
  const queryInput = asMessage(request.queryInput, "query_input", inputFields);
  const queryParams = asMessage(request.queryParams ?? {}, "query_params", paramFields);
  const languageCode = text(queryInput, "languageCode");
  if (languageCode === undefined || languageCode === "") {
    throw invalid(
      "com.google.apps.framework.request.BadRequestException: query_input.language_code is required",
    );
  }
  return {
    input: readInput(queryInput, maxTextLength),
    languageCode,
    timeZone: readTimeZone(text(queryParams, "timeZone")),
    channel: text(queryParams, "channel") ?? "",
    payload: struct(queryParams, "payload"),
    parameters: struct(queryParams, "parameters") ?? {},
    currentPage: text(queryParams, "currentPage") || undefined,
    sessionTtl: readTtl(text(queryParams, "sessionTtl")),
    queryParams,
  };
}

function readInput(queryInput: Fields, maxTextLength: number): Input {
  const kinds = Object.keys(queryInput).filter((name) => name !== "languageCode");
  const [kind] = kinds;
  if (kind === undefined) throw invalid("query_input: one of text, intent, audio, event, dtmf is required");
  if (kinds.length > 1)
    throw invalid(`query_input: oneof field 'input' is already set (${kinds.join(", ")})`);
  switch (kind) {
    case "text": {
      const said = text(asMessage(queryInput.text, "query_input.text", ["text"]), "text") ?? "";
      if (Array.from(said).length > maxTextLength) {
        throw invalid(`Input text exceeds ${maxTextLength} characters.`);
      }
      return { kind, text: said };
    }
    case "event":
      return {
        kind,
        event: text(asMessage(queryInput.event, "query_input.event", ["event"]), "event") ?? "",
      };
    case "intent": {
      const intent = text(asMessage(queryInput.intent, "query_input.intent", ["intent"]), "intent");
      if (intent === undefined || intent === "") throw invalid("query_input.intent.intent is required");
      return { kind, intent };
    }
    case "dtmf": {
      const dtmf = asMessage(queryInput.dtmf, "query_input.dtmf", ["digits", "finishDigit"]);
      return { kind, digits: text(dtmf, "digits") ?? "", finishDigit: text(dtmf, "finishDigit") ?? "" };
    }
    default:
      throw new Refusal("UNIMPLEMENTED", `The emulator's agent understands no ${kind}.`);
  }
}

/** A message of the protocol in proto3 JSON: an object without unknown members; null counts as absent. */
function asMessage(value: unknown, where: string, known: readonly string[]): Fields {
  if (!isObject(value)) throw invalid(`Invalid value at '${where}': an object is expected`);
  const fields = Object.entries(value).filter(([, member]) => member !== null && member !== undefined);
  return Object.fromEntries(
    fields.map(([name, member]) => {
      // Both spellings are the protocol's: `sessionTtl` and `session_ttl`.
      const camel = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      if (known.includes(camel)) return [camel, member];
      const place = where === "" ? "" : ` at '${where}'`;
      throw invalid(`Invalid JSON payload received. Unknown name "${name}"${place}: Cannot find field.`);
    }),
  );
}

function text(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid(`Invalid value at '${name}' (TYPE_STRING)`);
  return value;
}

function struct(fields: Fields, name: string): Fields | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (!isObject(value)) throw invalid(`Invalid value at '${name}' (google.protobuf.Struct)`);
  return value;
}

function readTtl(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^(\d+(?:\.\d{1,9})?)s$/.exec(value)?.[1];
  if (seconds === undefined)
    throw invalid("Invalid value at 'query_params.session_ttl' (google.protobuf.Duration)");
  if (Number(seconds) > 86_400) throw invalid("query_params.session_ttl must not be longer than 1 day");
  // A zero is the protocol's way to say that nothing is set.
  return Number(seconds) === 0 ? undefined : Number(seconds);
}

function readTimeZone(name: string | undefined): string | undefined {
  if (name === undefined || name === "") return undefined;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
  } catch {
    throw invalid("query_params.time_zone is not in the time zone database");
  }
  return name;
}

function invalid(message: string): Refusal {
  return new Refusal("INVALID_ARGUMENT", message);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
