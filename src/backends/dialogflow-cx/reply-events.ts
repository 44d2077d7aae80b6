import { AparteError } from "../../errors.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { JsonObject } from "../backend.ts";
import type { Settings } from "./options.ts";
import type { DialogflowTurn } from "./query.ts";
import type { Place } from "./sealed-place.ts";

/** What `onPayload` may make of a custom payload. */
export type PayloadReply = PayloadEvent | readonly PayloadEvent[] | undefined;

type PayloadEvent = Extract<
  ReplyEvent,
  { readonly type: "message" | "file" | "suggestions" | "status" | "handoff" }
>;

type Fields = Readonly<Record<string, unknown>>;

/** One answer of the service, as much of it as matters here. */
export interface DetectIntentResponse {
  /** Names the answer for feedback. */
  readonly id: string | undefined;
  readonly isPartial: boolean;
  readonly messages: readonly Fields[];
  readonly place: Place;
  /** The agent reached the end of its flow. */
  readonly hasEnded: boolean;
  /** How the agent's webhooks failed, by gRPC code. A turn is told as a success all the same. */
  readonly webhookFailures: readonly number[];
}

/** Play and telephone instructions and notes for statistics: named, since a chat can do nothing with them. */
const named: Readonly<Record<string, string>> = {
  outputAudioText: "speech",
  playAudio: "audio clip",
  mixedAudio: "audio",
  telephonyTransferCall: "telephone transfer",
  knowledgeInfoCard: "info card",
  conversationSuccess: "conversation succeeded",
};

export function readResponse(value: unknown): DetectIntentResponse {
  const response = fields(value);
  const result = fields(response?.queryResult);
  const isPartial = response?.responseType === "PARTIAL";
  if (result === undefined && !isPartial) {
    throw new AparteError("backend-protocol", "Dialogflow's answer holds no queryResult. Check baseURL.");
  }
  const messages = list(result?.responseMessages);
  const page = fields(result?.currentPage)?.name;
  const id = response?.responseId;
  return {
    id: typeof id === "string" && id !== "" ? id : undefined,
    isPartial,
    messages,
    place: {
      ...(typeof page === "string" && page !== "" ? { page } : {}),
      parameters: (fields(result?.parameters) ?? {}) as JsonObject,
    },
    hasEnded: messages.some((message) => "endInteraction" in message),
    webhookFailures: list(result?.webhookStatuses)
      .map(({ code }) => Number(code ?? 0))
      .filter((code) => code !== 0),
  };
}

/**
 * Turns the service's messages into ours, in their order. `end` is left to the end of the turn.
 * @param answer names them for feedback
 */
export async function* replyEvents(
  messages: readonly Fields[],
  { onPayload }: Settings,
  turn: DialogflowTurn,
  answer: { readonly id?: string },
): AsyncGenerator<ReplyEvent> {
  const hasText = messages.some((message) => textOf(message) !== "");
  for (const message of messages) {
    const text = textOf(message);
    if (text !== "") {
      yield { type: "text", delta: text };
      yield { type: "message", text, ...answer };
    } else if ("payload" in message) {
      yield* payloadEvents(message.payload, onPayload, turn);
    } else if ("liveAgentHandoff" in message) {
      const metadata = fields(message.liveAgentHandoff)?.metadata;
      yield { type: "handoff", ...(metadata === undefined ? {} : { detail: metadata }) };
    } else if ("outputAudioText" in message && !hasText) {
      // An agent made for the telephone may have no other words.
      const spoken = spokenText(message.outputAudioText);
      if (spoken !== "") yield { type: "message", text: spoken, ...answer };
    } else if (!("endInteraction" in message) && !("text" in message)) {
      yield { type: "status", text: `Dialogflow: ${nameOf(message)}` };
    }
  }
}

/** A tool call waits for a result that only the application could give: the agent would wait forever. */
export function refuseToolCalls(messages: readonly Fields[]): void {
  if (!messages.some((message) => "toolCall" in message)) return;
  throw new AparteError(
    "action-required",
    "The agent asked for a client-side tool, which this backend cannot run. Let the agent use a webhook instead.",
  );
}

/** The variants of a text are lines of one message. Joined by `join()` they would get commas in between. */
function textOf(message: Fields): string {
  const variants = fields(message.text)?.text;
  if (!Array.isArray(variants)) return "";
  return variants.filter((variant) => typeof variant === "string" && variant !== "").join("\n");
}

function spokenText(value: unknown): string {
  const { text, ssml } = fields(value) ?? {};
  if (typeof text === "string") return text;
  return typeof ssml === "string" ? ssml.replace(/<[^>]*>/g, "").trim() : "";
}

function nameOf(message: Fields): string {
  const kind = Object.keys(message).find((key) => key !== "channel" && key !== "responseType");
  if (kind === undefined) return "empty message";
  return Object.hasOwn(named, kind) ? (named[kind] ?? kind) : kind;
}

async function* payloadEvents(
  value: unknown,
  onPayload: Settings["onPayload"],
  turn: DialogflowTurn,
): AsyncGenerator<ReplyEvent> {
  const payload = fields(value);
  if (payload === undefined)
    throw new AparteError("backend-protocol", "Dialogflow sent a payload that is no object.");
  if (onPayload === undefined) {
    yield { type: "status", text: "Dialogflow: custom payload" };
    return;
  }
  let made: unknown;
  try {
    made = await onPayload(payload as JsonObject, turn);
  } catch (cause) {
    throw new AparteError(
      "backend-failed",
      'The function "onPayload" failed. Its error is kept as the cause.',
      {
        field: "onPayload",
        cause,
      },
    );
  }
  for (const event of made === undefined ? [] : Array.isArray(made) ? made : [made]) {
    if (!isPayloadEvent(event)) {
      throw new AparteError(
        "backend-failed",
        'The function "onPayload" must return message, file, suggestions, status or handoff events, or undefined.',
        { field: "onPayload" },
      );
    }
    yield event;
  }
}

function isPayloadEvent(event: unknown): event is ReplyEvent {
  const { type, text, items, kind, url } = fields(event) ?? {};
  if (type === "file")
    return ["image", "audio", "file"].includes(String(kind)) && /^https?:\/\//i.test(String(url));
  if (type === "message" || type === "status") return typeof text === "string";
  if (type === "suggestions") return Array.isArray(items) && items.every((item) => typeof item === "string");
  return type === "handoff";
}

function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fields).filter((item) => item !== undefined) : [];
}
