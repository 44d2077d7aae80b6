import { setTimeout as sleep } from "node:timers/promises";
import { aborted, type Call, type LoggedRequest, type Service } from "../kit/server.ts";
import { streamOf, throughWire } from "../kit/wire.ts";
import type { Auth } from "./auth.ts";
import { withNumbers } from "./enums.ts";
import type { DialogflowCxFault } from "./faults.ts";
import { Refusal } from "./refusal.ts";
import type { DialogflowCxService, Outcome } from "./service.ts";

/** A request that came in. No headers and no body: they may hold words and secrets. */
export interface DialogflowCxRequest extends LoggedRequest {
  /** E.g. `"detectIntent"`, `"entityTypes"` or `"token"`. */
  readonly call: string;
  /** Whom the call is charged to, where the client names a project. */
  readonly quotaProject: string | undefined;
}

type DialogflowCall = Call<DialogflowCxRequest, DialogflowCxFault>;

const streamingCall = "serverStreamingDetectIntent";

export function entryOf({ method, headers }: Request, { pathname }: URL): DialogflowCxRequest {
  const call = pathname.endsWith("/token") ? "token" : /(?::|\/)([A-Za-z]+)$/.exec(pathname)?.[1];
  return {
    method,
    path: pathname,
    call: call ?? "",
    quotaProject: headers.get("x-goog-user-project") ?? undefined,
  };
}

/** Finds what a request asks for, and gives every answer the form of the service. */
export function serviceOf(
  service: DialogflowCxService,
  auth: Auth,
): Service<DialogflowCxRequest, DialogflowCxFault> {
  return {
    async answer(call) {
      const { request, url, entry, fault } = call;
      const { status, message = "Failed on request.", details } = fault;
      if (status !== undefined) throw new Refusal(status, message, details);
      const route = `${request.method} ${url.pathname}`;
      if (route === "POST /token") return await auth.exchange(request);
      if (url.pathname === "/computeMetadata/v1/instance/service-accounts/default/token")
        return auth.metadata(request);
      if (!url.pathname.startsWith("/v3/")) throw new Refusal("NOT_FOUND", "Requested entity was not found.");
      await auth.check(request);
      if (entry.call === "entityTypes" && request.method === "GET") {
        service.findSession(url.pathname.slice("/v3/".length, -"/entityTypes".length));
        return Response.json({});
      }
      if (entry.call === "submitAnswerFeedback" && request.method === "POST") {
        const path = url.pathname.slice("/v3/".length, -":submitAnswerFeedback".length);
        service.giveFeedback(path, await readJson(request));
        return Response.json({});
      }
      if (request.method !== "POST" || (entry.call !== "detectIntent" && entry.call !== streamingCall)) {
        throw new Refusal("UNIMPLEMENTED", `The emulator has no call ${request.method} ${entry.call}.`);
      }
      const path = url.pathname.slice("/v3/".length, -`:${entry.call}`.length);
      return await answered(call, service.detectIntent(path, entry.call, await readJson(request)));
    },
    refuse(error, { entry, fault }) {
      const refusal =
        error instanceof Refusal ? error : new Refusal("INTERNAL", "Internal error of the emulator.");
      // A stream's refusal is in a list as well.
      const body = entry.call === streamingCall ? [refusal.body] : refusal.body;
      return Response.json(body, { status: refusal.httpStatus, headers: fault.headers ?? {} });
    },
  };
}

async function answered(call: DialogflowCall, outcome: Outcome): Promise<Response> {
  const { request, url, entry, fault } = call;
  if (typeof outcome.fault === "object") throw new Refusal(outcome.fault.status, "Failed on request.");
  // Google's clients write it percent-encoded: `$alt=json%3Benum-encoding=int`.
  const hasNumbers = url.searchParams.get("$alt") === "json;enum-encoding=int";
  const write = (part: object): string => JSON.stringify(hasNumbers ? withNumbers(part) : part, undefined, 2);
  let texts: readonly string[];
  if (entry.call === "detectIntent") {
    texts = [write(outcome.parts.at(-1) ?? {})];
  } else {
    const { midway } = fault;
    const parts =
      midway === undefined
        ? outcome.parts
        : [...outcome.parts.slice(0, -1), new Refusal(midway, "Failed on request.").body];
    texts = parts.map(
      (part, index) =>
        `${index === 0 ? "[" : "\n,\r\n"}${write(part)}${index === parts.length - 1 ? "\n]\n" : ""}`,
    );
  }
  const response = new Response(streamOf(bytesOf(call, outcome, texts)), {
    headers: { "content-type": "application/json; charset=UTF-8" },
  });
  // Pieces end anywhere, also in the middle of a letter: so do a network's. On request the answer breaks in the midst
  // of its only part, or once the partial response is out.
  const first = Buffer.byteLength(texts[0] ?? "");
  const ends = outcome.fault === "cut" ? { endAt: texts.length === 1 ? Math.floor(first / 2) : first } : {};
  return await throughWire(response, { pieces: 97, ...ends }, request);
}

async function* bytesOf(
  { request, closing }: DialogflowCall,
  { pauseMs, fault }: Outcome,
  texts: readonly string[],
): AsyncGenerator<Uint8Array> {
  const over = AbortSignal.any([closing, request.signal]);
  for (const [index, text] of texts.entries()) {
    if (index > 0 && pauseMs > 0) await sleep(pauseMs, undefined, { signal: over }).catch(() => {});
    if (over.aborted) return;
    yield Buffer.from(text);
    if (fault === "hang") return await aborted(over);
  }
}

async function readJson(request: Request): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal("INVALID_ARGUMENT", "Content-Type must be application/json.");
  }
  try {
    return JSON.parse(await request.text());
  } catch {
    throw new Refusal("INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected end of string.");
  }
}
