import { setTimeout as sleep } from "node:timers/promises";
import type { ServerRequest } from "srvx";
import { breakOff, connectionOf, listen } from "../http-server.ts";
import { throughWire } from "../kit/wire.ts";
import type { CozeFaults, CozeHit } from "./faults.ts";
import { type Answer, type Call, Refusal, type Route, TokenRefusal } from "./protocol.ts";
import type { CozeState } from "./state.ts";

/** A request that came in. No query, no headers and no body: they may hold words and secrets. */
export interface CozeRequest {
  readonly method: string;
  readonly path: string;
  /** The HTTP status of the answer; undefined while there is none. */
  readonly status?: number;
}

export interface CozeServerOptions {
  readonly host: string;
  readonly port: number;
  readonly state: CozeState;
  readonly faults: CozeFaults;
  /** Ends with the emulator: lets go of the requests that a fault holds. */
  readonly closing: AbortSignal;
  readonly now: () => number;
  /** Called once the port is known, before the first request. */
  readonly routes: (port: number) => readonly Route[];
  readonly onRequest: (request: { method: string; path: string; status?: number }) => void;
}

export interface CozeServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens, finds the route, and gives every answer the form and the headers of the service. */
export async function startServer(options: CozeServerOptions): Promise<CozeServer> {
  const { host, port } = options;
  let route: ReturnType<typeof router> = () => undefined;
  const server = await listen({ host, port, fetch: (request) => respond(request, route, options) });
  route = router(options.routes(server.port));
  return server;
}

async function respond(
  request: ServerRequest,
  route: ReturnType<typeof router>,
  options: CozeServerOptions,
): Promise<Response> {
  const url = new URL(request.url);
  const entry: { method: string; path: string; status?: number } = {
    method: request.method,
    path: url.pathname,
  };
  options.onRequest(entry);
  const logId = options.state.newId();
  const hit = options.faults.take([request.method, url.pathname]);
  const answer = await answered(request, url, route, hit, options).catch((error: unknown) =>
    refused(error, logId),
  );
  const response =
    answer instanceof Response
      ? answer
      : Response.json({ code: 0, msg: "", ...answer, detail: { logid: logId } });
  response.headers.set("x-tt-logid", logId);
  response.headers.set("date", new Date(options.now()).toUTCString());
  const sent = hit === undefined ? response : await throughWire(response, hit.fault, request);
  entry.status = sent.status;
  return sent;
}

async function answered(
  request: ServerRequest,
  url: URL,
  route: ReturnType<typeof router>,
  hit: CozeHit | undefined,
  { closing }: CozeServerOptions,
): Promise<Answer> {
  if (hit !== undefined) await hold(hit, request, closing);
  const made = hit && responseOf(hit, url.pathname);
  if (made !== undefined) return made;
  const match = route(request.method, url.pathname);
  if (match === undefined)
    throw new Refusal(4200, `no such resource: ${request.method} ${url.pathname}`, 404);
  const call: Call = {
    request,
    params: match.params,
    query: url.searchParams,
    cut: () => breakOff(request),
    streamFault: hit?.fault ?? {},
  };
  const answer = await match.route.handle(call);
  // Before a single byte of the answer: to the client it looks as if the service died at its work.
  if (hit?.fault.dropResponse) connectionOf(request)?.destroy();
  return answer;
}

async function hold({ fault, lifted }: CozeHit, request: Request, closing: AbortSignal): Promise<void> {
  if (fault.delayMs !== undefined) await sleep(fault.delayMs, undefined, { signal: closing }).catch(() => {});
  if (fault.hang !== true) return;
  const over = AbortSignal.any([closing, request.signal]);
  const ended = new Promise<void>((resolve) =>
    over.addEventListener("abort", () => resolve(), { once: true }),
  );
  await Promise.race([lifted, ended]);
  // Nobody waits for the answer any more, so the work must not be done either.
  if (over.aborted) throw new Refusal(5000, "the connection is gone", 499);
}

function responseOf({ fault }: CozeHit, path: string): Response | undefined {
  const { status, code, msg = "failed on request", body, headers = {} } = fault;
  if (status === undefined && code === undefined && body === undefined) return undefined;
  const init = { status: status ?? 200, headers };
  if (body !== undefined)
    return new Response(body, { ...init, headers: { "content-type": "text/html", ...headers } });
  if (path.startsWith("/api/permission/oauth2/")) {
    const name = String(code ?? "internal_error");
    return Response.json({ error_code: name, error_message: msg, error: name }, init);
  }
  return Response.json({ code: code ?? 5000, msg }, init);
}

function refused(error: unknown, logId: string): Response {
  if (error instanceof TokenRefusal) {
    const { errorCode, message, status } = error;
    return Response.json({ error_code: errorCode, error_message: message, error: errorCode }, { status });
  }
  const { code, message, status } =
    error instanceof Refusal ? error : new Refusal(5000, "internal error of the emulator", 500);
  return Response.json({ code, msg: message, detail: { logid: logId } }, { status });
}

function router(routes: readonly Route[]) {
  const table = routes.map((route) => ({ route, parts: route.path.split("/") }));
  return (method: string, path: string): { route: Route; params: Record<string, string> } | undefined => {
    const given = path.split("/");
    for (const { route, parts } of table) {
      if (route.method !== method || parts.length !== given.length) continue;
      const params: Record<string, string> = {};
      const fits = parts.every((part, index) => {
        const value = given[index] ?? "";
        if (!part.startsWith(":")) return part === value;
        params[part.slice(1)] = value;
        return value !== "";
      });
      if (fits) return { route, params };
    }
    return undefined;
  };
}
