import { randomUUID } from "node:crypto";
import type { Call, LoggedRequest, Service } from "../kit/server.ts";
import { answerStream } from "./answer-stream.ts";
import type { Auth } from "./auth.ts";
import type { SonaopsFault } from "./faults.ts";
import { formOf, Refusal } from "./refusal.ts";
import type { SonaopsService, SonaopsTurn } from "./service.ts";

/** A request that came in. No query, no other headers and no body: they may hold words and secrets. */
export interface SonaopsRequest extends LoggedRequest {
  /** The `X-User-ID` of a request that was authentic. */
  readonly userId?: string;
  /** The envelope's code where the answer was JSON. */
  readonly code?: number;
}

export type SonaopsCall = Call<SonaopsRequest, SonaopsFault>;

export interface ServiceParts {
  readonly profile: "A" | "B";
  readonly service: SonaopsService;
  readonly auth: Auth;
  readonly wordDelayMs: number;
  readonly now: () => number;
  readonly onTurn: (turn: SonaopsTurn) => void;
}

const maxBodyCharacters = 4 * 1024 * 1024;

/** Finds what a request asks for, and gives every answer the form of the service. */
export function serviceOf(parts: ServiceParts): Service<SonaopsRequest, SonaopsFault> {
  const { service, auth, wordDelayMs, now, profile } = parts;

  /** The response's timestamp is a text of milliseconds, where the request's is in seconds. */
  function envelope(call: SonaopsCall, code: number, members: object, status = 200): Response {
    call.entry.code = code;
    const traceId = randomUUID().replaceAll("-", "");
    return Response.json({ code, ...members, traceId, timestamp: String(now()) }, { status });
  }

  return {
    async answer(call) {
      const { request, url, entry, fault } = call;
      if (fault.refuse !== undefined) throw new Refusal(fault.refuse);
      const body = await readBody(request);
      const userId = auth.check({ method: request.method, url, headers: request.headers, body });
      entry.userId = userId;
      const success = (data: object): Response =>
        envelope(call, 10200, { success: true, message: "OK", data });
      switch (`${request.method} ${url.pathname}`) {
        case "POST /v1/chat/conversation":
          return success({ conversationId: service.open(userId, body) });
        // With which method it is called, and what it answers besides the ids, is not public.
        case "GET /v1/agent/list":
        case "POST /v1/agent/list":
          return success({ list: service.agents.map((agentId) => ({ agentId, name: `Agent ${agentId}` })) });
        case "POST /v1/chat/stream": {
          const { turn, started } = service.begin(userId, body);
          parts.onTurn(turn);
          const { early } = started.plan;
          if (early === undefined) return answerStream(call, started, wordDelayMs);
          return envelope(call, early, { success: false, message: "failed on request" });
        }
        default:
          return envelope(call, 10404, { success: false, message: "Not found" }, 404);
      }
    },
    refuse(error, call) {
      const refusal = error instanceof Refusal ? error : new Refusal("server-error");
      const { status, code } = formOf(refusal.kind, profile);
      return envelope(call, code, { success: false, message: refusal.message }, status);
    },
  };
}

async function readBody(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = await request.text();
  if (request.method === "GET" && text === "") return {};
  if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal("bad-request", "Content-Type must be application/json");
  }
  if (text.length > maxBodyCharacters) throw new Refusal("bad-request", "the body is too long");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refusal("bad-request", "the body is no JSON");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refusal("bad-request", "the body must be an object");
  }
  return { ...body };
}
