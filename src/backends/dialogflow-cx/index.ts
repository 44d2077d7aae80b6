import { isDeepStrictEqual } from "node:util";
import { AparteError } from "../../errors.ts";
import { plainTexts } from "../../texts/texts.ts";
import type { ReplyEvent } from "../../turn/reply-event.ts";
import type { AskCall, Backend, FeedbackCall, JsonValue, Located } from "../backend.ts";
import { noAnswer } from "../http/no-answer.ts";
import { Client } from "./client.ts";
import { type DialogflowCxOptions, readOptions, type Settings } from "./options.ts";
import { type DialogflowInput, type DialogflowTurn, readInput, requestBody } from "./query.ts";
import { type DetectIntentResponse, readResponse, refuseToolCalls, replyEvents } from "./reply-events.ts";
import { defaultSecret, type PlaceSeal, placeSeal } from "./sealed-place.ts";
import {
  isConversationId,
  newConversationId,
  planSession,
  type SessionPlan,
  stateAfter,
  withoutPlace,
} from "./session.ts";
import { tokenFunction, tokenSource } from "./token.ts";

export type { JsonObject } from "../backend.ts";
export { serviceWords } from "../http/failure.ts";
export type { ServiceAccountKey } from "./credentials.ts";
export type { DialogflowCxOptions, DialogflowPerTurn } from "./options.ts";
export type { DialogflowInput, DialogflowTurn } from "./query.ts";
export type { PayloadReply } from "./reply-events.ts";

/** The longest that a request for a token may take. */
const tokenTimeout = 10_000;

/**
 * A backend for a Dialogflow CX agent (Conversational Agents), over REST v3.
 *
 * A session lapses at the service after `sessionTtl`. Page and parameters are kept, encrypted, and sent back
 * with the first turn after that, so that a person who returns goes on where they were.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function dialogflowCx(options: DialogflowCxOptions): Backend {
  return new DialogflowCx(readOptions(options));
}

class DialogflowCx implements Backend {
  readonly name = "dialogflow-cx";
  readonly #settings: Settings;
  readonly #client: Client;
  readonly #seal: PlaceSeal | undefined;

  constructor(settings: Settings) {
    const { credentials, accessToken, baseURL, now, fetch } = settings;
    this.#settings = settings;
    this.#client = new Client({
      ...settings,
      tokens:
        credentials === undefined
          ? tokenFunction(accessToken ?? noToken)
          : tokenSource(credentials, { baseURL, now, fetch, timeout: tokenTimeout }),
      quotaProject: credentials?.kind === "authorized-user" ? credentials.quotaProject : undefined,
    });
    const [secret = defaultSecret(credentials), ...older] = settings.stateSecrets;
    this.#seal = settings.revive ? placeSeal([secret, ...older], settings.maxStateBytes) : undefined;
  }

  /** The service has no call to open a session: a new id in the first turn does it. */
  async open({ sessionName, agent, signal }: Parameters<Backend["open"]>[0]): Promise<string> {
    signal.throwIfAborted();
    return newConversationId(sessionName, agent);
  }

  async *ask(call: AskCall): AsyncGenerator<ReplyEvent> {
    const { conversationId } = call;
    if (!isConversationId(conversationId)) {
      throw new AparteError(
        "conversation-lost",
        "This conversation's id was not made by the Dialogflow CX backend.",
      );
    }
    if (call.files.length > 0) {
      throw new AparteError(
        "backend-rejected",
        "Dialogflow CX takes no files. Send the message without them.",
      );
    }
    const { agent, now, maxTextLength } = this.#settings;
    const owner = { agent, conversationId };
    const plan = await planSession(owner, call.state, now(), this.#seal);
    const turn = {
      sessionName: call.sessionName,
      agent: call.agent,
      text: call.text,
      context: call.context ?? {},
      startsSession: plan.starts,
    };
    const input = readInput(this.#settings, turn);
    const length = "text" in input ? Array.from(input.text).length : 0;
    if (length > maxTextLength) {
      const { texts = plainTexts } = call;
      yield { type: "notice", code: "too-long", text: texts("too-long", { length, most: maxTextLength }) };
      return;
    }
    yield* this.#run(call, turn, input, plan);
  }

  /** The current session's id; after its end, or when it has lapsed, the next one's, with page and parameters. */
  async locate(call: Parameters<NonNullable<Backend["locate"]>>[0]): Promise<Located> {
    const owner = { agent: this.#settings.agent, conversationId: call.conversationId };
    const { id, place } = await planSession(owner, call.state, this.#settings.now(), this.#seal);
    if (place === undefined) return { conversationId: id };
    const { page, parameters } = place;
    return {
      conversationId: id,
      start: {
        ...(page === undefined ? {} : { currentPage: page }),
        ...(parameters === undefined ? {} : { parameters: parameters as JsonValue }),
      },
    };
  }

  async feedback({ answer, rating, words, signal }: FeedbackCall): Promise<void> {
    const [, session, responseId] = /^([0-9a-f]{32}):([A-Za-z0-9-]{1,100})$/.exec(answer) ?? [];
    if (session === undefined) {
      throw new AparteError("backend-rejected", "That is not the id of an answer of Dialogflow's.");
    }
    // The service has this call for sessions without an environment's name alone.
    await this.#client.call(
      `${this.#settings.agent}/sessions/${session}:submitAnswerFeedback`,
      {
        responseId,
        answerFeedback: {
          rating: rating === "up" ? "THUMBS_UP" : "THUMBS_DOWN",
          ...(words === undefined ? {} : { ratingReason: { feedback: words } }),
        },
      },
      { signal },
    );
  }

  /** Lists a session's entity types, which asks for the same role as a turn does and changes nothing. */
  async probe(signal: AbortSignal): Promise<void> {
    const session = newConversationId("probe", this.#settings.agent);
    await this.#client.call(`${this.#settings.sessionParent}/sessions/${session}/entityTypes`, undefined, {
      signal,
    });
  }

  async *#run(
    call: AskCall,
    turn: DialogflowTurn,
    input: DialogflowInput,
    plan: SessionPlan,
  ): AsyncGenerator<ReplyEvent> {
    let hasSpoken = false;
    try {
      for await (const event of this.#say(call, turn, input, plan)) {
        hasSpoken = true;
        yield event;
      }
    } catch (error) {
      // Refused, so it did not run: most likely the page is gone from the agent since.
      const wasRefused = error instanceof AparteError && error.code === "backend-rejected";
      if (!wasRefused || hasSpoken || plan.place === undefined) throw error;
      yield* this.#say(call, turn, input, withoutPlace(plan));
    }
  }

  async *#say(
    call: AskCall,
    turn: DialogflowTurn,
    input: DialogflowInput,
    plan: SessionPlan,
  ): AsyncGenerator<ReplyEvent> {
    const { agent, sessionTtl, now } = this.#settings;
    const sentAt = now();
    const body = requestBody(this.#settings, turn, input, plan.place);
    const shown: DetectIntentResponse["messages"][number][] = [];
    let isNoticed = !plan.isForgotten;
    let final: DetectIntentResponse | undefined;
    for await (const response of this.#responses(plan, body, call)) {
      if (!isNoticed) {
        isNoticed = true;
        const { texts = plainTexts } = call;
        const text = texts(plan.place === undefined ? "session-over" : "session-half-over");
        yield { type: "notice", code: "new-conversation", text };
      }
      // The service wants to know the session as well, and that may be another one by then.
      const answer = response.id === undefined ? {} : { id: `${plan.id}:${response.id}` };
      if (response.isPartial) {
        shown.push(...response.messages);
        yield* replyEvents(response.messages, this.#settings, turn, answer);
        continue;
      }
      final = response;
      const owner = { agent, conversationId: call.conversationId };
      const { hasEnded, place } = response;
      call.keep?.(await stateAfter({ owner, plan, sentAt, ttl: sessionTtl, hasEnded, place }, this.#seal));
      const rest = response.messages.slice(countRepeated(response.messages, shown));
      yield* replyEvents(rest, this.#settings, turn, answer);
      refuseToolCalls(response.messages);
      refuseSilence(response, shown.length);
      if (response.messages.length === 0 && shown.length === 0 && !hasEnded) yield noAnswer(call);
      if (hasEnded) yield { type: "end" };
    }
    if (final === undefined) {
      throw new AparteError(
        "backend-stream-cut",
        "Dialogflow's answer ended without a final part. Ask again.",
      );
    }
  }

  async *#responses(plan: SessionPlan, body: object, call: AskCall): AsyncGenerator<DetectIntentResponse> {
    const session = `${this.#settings.sessionParent}/sessions/${plan.id}`;
    if (!this.#settings.stream) {
      yield readResponse(await this.#client.call(`${session}:detectIntent`, body, call));
      return;
    }
    for await (const element of this.#client.stream(`${session}:serverStreamingDetectIntent`, body, call)) {
      yield readResponse(element);
    }
  }
}

/**
 * How many messages of the final answer were already shown as partial ones. The service flushes a queue, so
 * there should be none; whether the last answer may hold all of them again is not documented.
 */
function countRepeated(
  messages: DetectIntentResponse["messages"],
  shown: DetectIntentResponse["messages"],
): number {
  return isDeepStrictEqual(messages.slice(0, shown.length), shown) ? shown.length : 0;
}

/** A failed webhook is told beside an answer; where it left no answer at all, the turn has failed. */
function refuseSilence({ messages, webhookFailures }: DetectIntentResponse, shown: number): void {
  const [code] = webhookFailures;
  if (code === undefined || messages.length > 0 || shown > 0) return;
  throw new AparteError(
    "backend-failed",
    `The agent's webhook failed (gRPC code ${code}), and the agent said nothing.`,
  );
}

async function noToken(): Promise<string> {
  return "";
}
