import { setTimeout as sleep } from "node:timers/promises";
import type { ServerRequest } from "srvx";
import { breakOff, connectionOf, listen } from "../http-server.ts";
import { throughWire } from "../kit/wire.ts";
import type { Auth } from "./auth.ts";
import { withNumbers } from "./enums.ts";
import type { DialogflowCxFault, DialogflowCxFaults } from "./faults.ts";
import { Refusal } from "./refusal.ts";
import type { Outcome, Service } from "./service.ts";

/** A request that came in. No headers and no body: they may hold words and secrets. */
export interface DialogflowCxRequest {
  readonly method: string;
  readonly path: string;
  /** E.g. `"detectIntent"`, `"entityTypes"` or `"token"`. */
  readonly call: string;
  /** The HTTP status of the answer; undefined while there is none. */
  readonly status?: number;
  /** Whom the call is charged to, where the client names a project. */
  readonly quotaProject: string | undefined;
}

export interface ServerParts {
  readonly port: number;
  readonly service: Service;
  readonly auth: Auth;
  readonly faults: DialogflowCxFaults;
  /** Ends with the emulator: lets go of the requests that a fault holds. */
  readonly closing: AbortSignal;
  readonly onRequest: (request: DialogflowCxRequest) => void;
}

/** Listens on 127.0.0.1, and gives every answer the form of the service. */
export function startServer(parts: ServerParts): Promise<{ port: number; close: () => Promise<void> }> {
  return listen({ port: parts.port, fetch: (request) => respond(request, parts) });
}

const streamingCall = "serverStreamingDetectIntent";

async function respond(request: ServerRequest, parts: ServerParts): Promise<Response> {
  const url = new URL(request.url);
  const call = callOf(url.pathname);
  const entry: { -readonly [Name in keyof DialogflowCxRequest]: DialogflowCxRequest[Name] } = {
    method: request.method,
    path: url.pathname,
    call,
    quotaProject: request.headers.get("x-goog-user-project") ?? undefined,
  };
  parts.onRequest(entry);
  const fault = parts.faults.take(call)?.fault ?? {};
  const made = await route(request, url, call, fault, parts).catch((error: unknown) => {
    const refusal =
      error instanceof Refusal ? error : new Refusal("INTERNAL", "Internal error of the emulator.");
    // A stream's refusal is in a list as well.
    const body = call === streamingCall ? [refusal.body] : refusal.body;
    return Response.json(body, { status: refusal.httpStatus });
  });
  const response = await throughWire(made, fault, request);
  entry.status = response.status;
  return response;
}

async function route(
  request: ServerRequest,
  url: URL,
  call: string,
  fault: DialogflowCxFault,
  parts: ServerParts,
): Promise<Response> {
  const { service, auth } = parts;
  if (fault.hang === true) await held(request, parts.closing);
  const made = responseOf(fault);
  if (made !== undefined) return made;
  if (url.pathname === "/token" && request.method === "POST") return await auth.exchange(request);
  if (url.pathname === "/computeMetadata/v1/instance/service-accounts/default/token")
    return auth.metadata(request);
  if (!url.pathname.startsWith("/v3/")) throw new Refusal("NOT_FOUND", "Requested entity was not found.");
  await auth.check(request);
  if (call === "entityTypes" && request.method === "GET") {
    service.findSession(url.pathname.slice("/v3/".length, -"/entityTypes".length));
    return Response.json({});
  }
  if (request.method !== "POST" || (call !== "detectIntent" && call !== streamingCall)) {
    throw new Refusal("UNIMPLEMENTED", `The emulator has no call ${request.method} ${call}.`);
  }
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal("INVALID_ARGUMENT", "Content-Type must be application/json.");
  }
  const path = url.pathname.slice("/v3/".length, -`:${call}`.length);
  const outcome = service.detectIntent(path, call, await readJson(request));
  return await answered(request, outcome, {
    call,
    fault,
    hasNumbers: asksForNumbers(url),
    closing: parts.closing,
  });
}

interface Wire {
  readonly call: string;
  readonly fault: DialogflowCxFault;
  readonly hasNumbers: boolean;
  readonly closing: AbortSignal;
}

async function answered(request: ServerRequest, outcome: Outcome, wire: Wire): Promise<Response> {
  const { fault, call, hasNumbers, closing } = wire;
  const write = (part: object): string => JSON.stringify(hasNumbers ? withNumbers(part) : part, undefined, 2);
  if (fault.dropResponse === true) {
    connectionOf(request)?.destroy();
    return new Response(null, { status: 499 });
  }
  if (typeof outcome.fault === "object") throw new Refusal(outcome.fault.status, "Failed on request.");
  const headers = { "content-type": "application/json; charset=UTF-8" };
  if (call === "detectIntent") {
    if (outcome.fault === "hang") await held(request, closing);
    const [last] = outcome.parts.slice(-1);
    const text = write(last ?? {});
    const cutAt = fault.cut ?? (outcome.fault === "cut" ? Math.floor(text.length / 2) : undefined);
    if (cutAt === undefined) return new Response(text, { headers });
    return new Response(body(pieces([text]), request, { cutAt, closing }), { headers });
  }
  const { midway } = fault;
  const parts =
    midway === undefined
      ? outcome.parts
      : [...outcome.parts.slice(0, -1), new Refusal(midway, "Failed on request.").body];
  const texts = parts.map(
    (part, index) =>
      `${index === 0 ? "[" : "\n,\r\n"}${write(part)}${index === parts.length - 1 ? "\n]\n" : ""}`,
  );
  const first = Buffer.byteLength(texts[0] ?? "");
  return new Response(
    body(pieces(texts, outcome.pauseMs, closing), request, {
      closing,
      ...(fault.cut === undefined ? {} : { cutAt: fault.cut }),
      // On request it breaks once the partial response is out.
      ...(outcome.fault === "cut" ? { cutAt: first } : {}),
      ...(outcome.fault === "hang" ? { hangAt: first } : {}),
    }),
    { headers },
  );
}

/** Bytes in pieces that end anywhere, also in the middle of a letter: so do a network's. */
async function* pieces(
  texts: readonly string[],
  pauseMs = 0,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const [index, text] of texts.entries()) {
    if (index > 0 && pauseMs > 0) await sleep(pauseMs, undefined, signal === undefined ? {} : { signal });
    const bytes = Buffer.from(text);
    for (let start = 0; start < bytes.length; start += 97) yield bytes.subarray(start, start + 97);
  }
}

/** A body that may break off, or fall silent, after some bytes. */
function body(
  source: AsyncGenerator<Uint8Array>,
  request: ServerRequest,
  options: { readonly cutAt?: number; readonly hangAt?: number; readonly closing: AbortSignal },
): ReadableStream<Uint8Array> {
  const { cutAt, hangAt, closing } = options;
  const stopAt = cutAt ?? hangAt ?? Number.POSITIVE_INFINITY;
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent >= stopAt) {
        if (cutAt === undefined)
          return await held(request, closing).catch((error: unknown) => controller.error(error));
        breakOff(request);
        return await new Promise<void>(() => {});
      }
      const next = await source.next().catch(() => ({ done: true as const, value: undefined }));
      if (next.done === true) return controller.close();
      const piece = next.value.subarray(0, stopAt - sent);
      sent += piece.length;
      controller.enqueue(piece);
    },
    async cancel() {
      await source.return(undefined);
    },
  });
}

/** Waits until the client has left or the emulator closes. */
async function held(request: Request, closing: AbortSignal): Promise<never> {
  const over = AbortSignal.any([closing, request.signal]);
  if (!over.aborted) {
    await new Promise<void>((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));
  }
  throw new Refusal("CANCELLED", "The connection is gone.");
}

function responseOf({
  status,
  message,
  details,
  httpStatus,
  body: text,
  headers = {},
}: DialogflowCxFault): Response | undefined {
  if (status !== undefined) {
    const refusal = new Refusal(status, message ?? "Failed on request.", details);
    return Response.json(refusal.body, { status: refusal.httpStatus, headers });
  }
  if (httpStatus === undefined && text === undefined) return undefined;
  return new Response(text ?? "", {
    status: httpStatus ?? 200,
    headers: { "content-type": "text/html", ...headers },
  });
}

function callOf(path: string): string {
  if (path.endsWith("/token")) return "token";
  return /(?::|\/)([A-Za-z]+)$/.exec(path)?.[1] ?? "";
}

/** Google's clients write it percent-encoded: `$alt=json%3Benum-encoding=int`. */
function asksForNumbers(url: URL): boolean {
  return url.searchParams.get("$alt") === "json;enum-encoding=int";
}

async function readJson(request: Request): Promise<unknown> {
  try {
    return JSON.parse(await request.text());
  } catch {
    throw new Refusal("INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected end of string.");
  }
}
