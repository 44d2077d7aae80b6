import { randomUUID } from "node:crypto";
import { Log } from "../kit/log.ts";
import { type AgentAnswer, answer, type Message } from "./agent.ts";
import { flowOf, pageNamed, pageOf } from "./flow.ts";
import type { Settings } from "./options.ts";
import { type Fields, type Query, readQuery } from "./query.ts";
import { Refusal } from "./refusal.ts";
import { type Session, Sessions } from "./sessions.ts";

/** A turn that ran. */
export interface DialogflowCxTurn {
  /** The session's whole name. */
  readonly session: string;
  /** Its last part, of 36 bytes at most. */
  readonly sessionId: string;
  /** Undefined for the draft. */
  readonly environment: string | undefined;
  readonly call: string;
  /** Whether it was the first turn of its session. */
  readonly startedSession: boolean;
  readonly input: Query["input"];
  readonly languageCode: string;
  /** As sent. */
  readonly queryParams: Fields;
  /** The page's name as people see it, after the turn. */
  readonly page: string;
  readonly parameters: Fields;
  readonly responseId: string;
  /** What the person thinks of the answer, as sent. */
  feedback?: Fields;
}

/** What a turn answers, part by part; the last one is the final one. */
export interface Outcome {
  readonly parts: readonly object[];
  readonly pauseMs: number;
  readonly fault: AgentAnswer["fault"];
}

/** Where a request wants to go: the parts of a session's name. */
interface SessionName {
  readonly name: string;
  readonly sessionId: string;
  readonly environment: string | undefined;
}

/** The sessions of one agent, and what a turn does to them. */
export class DialogflowCxService {
  readonly agent: string;
  /** A turn is logged before it is answered. */
  readonly turns: Log<DialogflowCxTurn> = new Log();
  readonly sessions: Sessions;
  readonly #settings: Settings;

  constructor(settings: Settings, now: () => number) {
    this.#settings = settings;
    this.agent = `projects/${settings.project}/locations/${settings.location}/agents/${settings.agentId}`;
    this.sessions = new Sessions(now);
  }

  /** Runs a turn. The session is as it will be when the answer is read, whether anybody reads it or not. */
  detectIntent(path: string, call: string, body: unknown): Outcome {
    const place = this.findSession(path);
    const query = readQuery(body, this.#settings.maxTextLength);
    const page = query.currentPage === undefined ? undefined : this.#page(query.currentPage);
    const startPage = pageOf(this.agent, "start").name;
    const startedSession = this.sessions.find(place.name) === undefined;
    const session = this.sessions.enter(place.name, startPage);
    if (page !== undefined) {
      // A page from outside makes the service ignore what the session had.
      session.page = page;
      session.parameters = {};
      session.told = [];
    }
    session.parameters = merged(session.parameters, query.parameters);
    return this.#run(place, session, query, { call, startedSession });
  }

  /** Keeps what a person thinks of an answer. */
  giveFeedback(path: string, body: unknown): void {
    const { sessionId, environment } = this.findSession(path);
    if (environment !== undefined) throw new Refusal("NOT_FOUND", "Requested entity was not found.");
    const { responseId, answerFeedback } = body as { responseId?: unknown; answerFeedback?: Fields };
    const { rating } = answerFeedback ?? {};
    if (rating !== "THUMBS_UP" && rating !== "THUMBS_DOWN") {
      throw new Refusal("INVALID_ARGUMENT", "answer_feedback.rating is required.");
    }
    const turn = this.turns.last.find(
      (each) => each.sessionId === sessionId && each.responseId === responseId,
    );
    if (turn === undefined) throw new Refusal("INVALID_ARGUMENT", "There is no such response.");
    turn.feedback = answerFeedback ?? {};
  }

  /** The session that a path names, or a refusal. */
  findSession(path: string): SessionName {
    const { location } = this.#settings;
    const match =
      /^projects\/([^/]+)\/locations\/([^/]+)\/agents\/([^/]+)(?:\/environments\/([^/]+))?\/sessions\/([^/]+)$/.exec(
        path,
      );
    const [project, givenLocation, agentId, environment, sessionId] = (match?.slice(1) ?? []).map(decoded);
    if (project === undefined || sessionId === undefined || sessionId === "") {
      throw new Refusal("INVALID_ARGUMENT", "Resource name does not match a session of an agent.");
    }
    if (project !== this.#settings.project) {
      const right = "dialogflow.sessions.detectIntent";
      throw new Refusal("PERMISSION_DENIED", `IAM permission '${right}' on 'projects/${project}' denied.`);
    }
    if (givenLocation !== location) {
      throw new Refusal(
        "INVALID_ARGUMENT",
        `This endpoint serves '${location}'. Please find the correct endpoint to access resources located in '${givenLocation}'.`,
      );
    }
    if (agentId !== this.#settings.agentId)
      throw new Refusal("NOT_FOUND", `Agent '${agentId}' does not exist.`);
    if (environment !== undefined && environment !== "production") {
      throw new Refusal("NOT_FOUND", `Environment '${environment}' does not exist.`);
    }
    if (Buffer.byteLength(sessionId) > 36) {
      throw new Refusal("INVALID_ARGUMENT", "The length of the Session ID must not exceed 36 characters.");
    }
    const parent = environment === undefined ? this.agent : `${this.agent}/environments/${environment}`;
    return { name: `${parent}/sessions/${sessionId}`, sessionId, environment };
  }

  #page(name: string): string {
    if (pageNamed(this.agent, name) !== undefined) return name;
    throw new Refusal("INVALID_ARGUMENT", `Page '${name}' does not exist in the agent.`);
  }

  #run(
    place: SessionName,
    session: Session,
    query: Query,
    facts: { readonly call: string; readonly startedSession: boolean },
  ): Outcome {
    session.turns += 1;
    const page = pageNamed(this.agent, session.page) ?? "start";
    const { parameters, told } = session;
    const given = answer({ query, page, parameters, told: [...told], number: session.turns });
    session.page = pageOf(this.agent, given.page).name;
    session.parameters = merged(parameters, given.set ?? {});
    if (query.input.kind === "text") this.sessions.remember(session, query.input.text);
    this.sessions.touch(session, query.sessionTtl);
    if (given.page === "end") this.sessions.end(place.name);
    const { displayName } = pageOf(this.agent, given.page);
    const turn: DialogflowCxTurn = {
      session: place.name,
      sessionId: place.sessionId,
      environment: place.environment,
      ...facts,
      input: query.input,
      languageCode: query.languageCode,
      queryParams: query.queryParams,
      page: displayName,
      parameters: session.parameters,
      responseId: randomUUID(),
    };
    this.turns.add(turn);
    return {
      parts: this.#responses(query, given, session, turn),
      pauseMs: given.pauseMs ?? 0,
      fault: given.fault,
    };
  }

  #responses(
    query: Query,
    given: AgentAnswer,
    session: Session,
    { call, responseId }: DialogflowCxTurn,
  ): readonly object[] {
    const result = {
      ...echo(query),
      languageCode: query.languageCode,
      parameters: session.parameters,
      currentPage: pageOf(this.agent, given.page),
      currentFlow: flowOf(this.agent),
      match: { matchType: given.matchType, confidence: given.matchType === "NO_MATCH" ? 0.3 : 1 },
      ...(given.webhookStatuses === undefined ? {} : { webhookStatuses: given.webhookStatuses }),
    };
    const respond = (responseType: "PARTIAL" | "FINAL", messages: readonly Message[]): object => ({
      responseId,
      queryResult: { ...result, responseMessages: forChannel(messages, query.channel) },
      responseType,
    });
    const ahead = given.partial ?? [];
    // Without a stream, what would have come ahead comes with the rest.
    if (call === "detectIntent" || ahead.length === 0)
      return [respond("FINAL", [...ahead, ...given.messages])];
    return [respond("PARTIAL", ahead), respond("FINAL", given.messages)];
  }
}

function echo({ input }: Query): object {
  switch (input.kind) {
    case "text":
      return { text: input.text };
    case "event":
      return { triggerEvent: input.event };
    case "intent":
      return { triggerIntent: input.intent };
    case "dtmf":
      return { dtmf: { digits: input.digits, finishDigit: input.finishDigit } };
  }
}

/** The messages made for the channel; where there are none, those made for no channel. */
function forChannel(messages: readonly Message[], channel: string): readonly Message[] {
  const own = channel === "" ? [] : messages.filter((message) => message.channel === channel);
  return own.length > 0 ? own : messages.filter((message) => message.channel === undefined);
}

function merged(parameters: Fields, changes: Fields): Fields {
  return Object.fromEntries(
    Object.entries({ ...parameters, ...changes }).filter(([, value]) => value !== null),
  );
}

function decoded(part: string | undefined): string | undefined {
  if (part === undefined) return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refusal("INVALID_ARGUMENT", "The path is not encoded as an address must be.");
  }
}
