import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerRequest } from "srvx";
import { breakOff, connectionOf, listen } from "../http-server.ts";
import type { Hit } from "../kit/faults.ts";
import { throughWire } from "../kit/wire.ts";
import { answerStream } from "./answer-stream.ts";
import type { Auth } from "./auth.ts";
import type { SonaopsFault, SonaopsFaults } from "./faults.ts";
import { formOf, Refusal } from "./refusal.ts";
import type { Service, SonaopsTurn } from "./service.ts";

/** A request that came in. No query, no other headers and no body: they may hold words and secrets. */
export interface SonaopsRequest {
  readonly method: string;
  readonly path: string;
  /** The `X-User-ID` of a request that was authentic. */
  readonly userId?: string;
  /** The HTTP status of the answer; undefined while there is none. */
  readonly status?: number;
  /** The envelope's code where the answer was JSON. */
  readonly code?: number;
}

export interface ServerParts {
  readonly port: number;
  readonly profile: "A" | "B";
  readonly service: Service;
  readonly auth: Auth;
  readonly faults: SonaopsFaults;
  readonly wordDelayMs: number;
  /** Ends with the emulator: lets go of the requests that a fault holds. */
  readonly closing: AbortSignal;
  readonly now: () => number;
  readonly onRequest: (request: SonaopsRequest) => void;
  readonly onTurn: (turn: SonaopsTurn) => void;
}

type LogEntry = { -readonly [Name in keyof SonaopsRequest]: SonaopsRequest[Name] };

const maxBodyCharacters = 4 * 1024 * 1024;

/** Listens, and gives every answer the form of the service. */
export function startServer(parts: ServerParts): Promise<{ port: number; close: () => Promise<void> }> {
  return listen({ port: parts.port, fetch: (request) => respond(request, parts) });
}

async function respond(request: ServerRequest, parts: ServerParts): Promise<Response> {
  const url = new URL(request.url);
  const entry: LogEntry = { method: request.method, path: url.pathname };
  parts.onRequest(entry);
  const hit = parts.faults.take(url.pathname);
  const response = await answered(request, url, entry, hit, parts).catch((error: unknown) => {
    const refusal = error instanceof Refusal ? error : new Refusal("server-error");
    const { status, code } = formOf(refusal.kind, parts.profile);
    entry.code = code;
    return Response.json(envelope(parts, { code, success: false, message: refusal.message }), { status });
  });
  const sent = hit === undefined ? response : await throughWire(response, hit.fault, request);
  entry.status = sent.status;
  return sent;
}

async function answered(
  request: ServerRequest,
  url: URL,
  entry: LogEntry,
  hit: Hit<SonaopsFault> | undefined,
  parts: ServerParts,
): Promise<Response> {
  const { closing, service, auth } = parts;
  if (hit !== undefined) await hold(hit, request, closing);
  const { refuse, html, cut } = hit?.fault ?? {};
  if (refuse !== undefined) throw new Refusal(refuse);
  if (html !== undefined) {
    const page = `<html><head><title>${html}</title></head><body>${html}</body></html>`;
    return new Response(page, { status: html, headers: { "content-type": "text/html" } });
  }
  const body = await readBody(request);
  const userId = auth.check({ method: request.method, url, headers: request.headers, body });
  entry.userId = userId;
  const route = `${request.method} ${url.pathname}`;
  const success = (data: object): Response => {
    entry.code = 10200;
    // To the client it looks as if the service died at its work.
    if (cut === "before-answer") connectionOf(request)?.destroy();
    return Response.json(envelope(parts, { code: 10200, success: true, message: "OK", data }));
  };
  if (route === "POST /v1/chat/conversation") return success({ conversationId: service.open(userId, body) });
  // With which method it is called, and what it answers besides the ids, is not public.
  if (route === "GET /v1/agent/list" || route === "POST /v1/agent/list") {
    return success({ list: service.agents.map((agentId) => ({ agentId, name: `Agent ${agentId}` })) });
  }
  if (route === "POST /v1/chat/stream") {
    const { turn, started } = service.begin(userId, body);
    parts.onTurn(turn);
    if (cut === "before-answer") connectionOf(request)?.destroy();
    const { early } = started.plan;
    if (early !== undefined) {
      entry.code = early;
      return Response.json(envelope(parts, { code: early, success: false, message: "failed on request" }));
    }
    const { wordDelayMs } = parts;
    return answerStream({ started, wordDelayMs, cut, closing, breakOff: () => breakOff(request) });
  }
  return Response.json(envelope(parts, { code: 10404, success: false, message: "Not found" }), {
    status: 404,
  });
}

/** The response's timestamp is a text of milliseconds, where the request's is in seconds. */
function envelope({ now }: ServerParts, members: object): object {
  return { ...members, traceId: randomUUID().replaceAll("-", ""), timestamp: String(now()) };
}

async function hold(
  { fault, lifted }: Hit<SonaopsFault>,
  request: Request,
  closing: AbortSignal,
): Promise<void> {
  const over = AbortSignal.any([closing, request.signal]);
  if (fault.delayMs !== undefined) await sleep(fault.delayMs, undefined, { signal: over }).catch(() => {});
  if (fault.hang === true && !over.aborted) {
    const ended = new Promise<void>((resolve) =>
      over.addEventListener("abort", () => resolve(), { once: true }),
    );
    await Promise.race([lifted, ended]);
  }
  // Nobody waits for the answer any more, so the work must not be done either.
  if (over.aborted) throw new Refusal("server-error", "the connection is gone");
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
