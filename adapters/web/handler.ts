import { AparteError, type Message, type SessionMapper } from "aparte";
import { readId, readSaid, type Said } from "./body.ts";
import type { KeptReply } from "./kept-reply.ts";
import { readOptions, type Settings, type WebOptions, type WebSpeaker } from "./options.ts";
import { preflight, refuseForeign, shareWith } from "./origin.ts";
import { describe, failureResponse, Refusal } from "./refusal.ts";
import { personKey, Replies } from "./replies.ts";
import { eventStream, readPosition } from "./stream.ts";
import { WaitingBytes } from "./waiting-bytes.ts";

/** A standard fetch handler. It looks at the query only, so it may be mounted under any path. */
export type WebHandler = (request: Request) => Promise<Response>;

/**
 * The mapper as a fetch handler, for Hono, Express (through its bridges), Next.js, Bun, Deno and Workers.
 *
 * - `POST` a message `{ id, text, agent?, channel?, thread? }` as JSON, or as `multipart/form-data` with `files` and
 *   the header `x-aparte: 1`. The reply comes as server-sent events: one `data` line of JSON for each reply event,
 *   then the event `done`, or `failed` with `{ error }`. With `Accept: application/json` it comes whole, as
 *   `{ id, text, events }`.
 * - `GET ?id=…` reads the reply to an earlier message, from `Last-Event-ID` on; the same `POST` again does too.
 *   204 when the client has it all (an EventSource stops then), 404 when it is not kept here any more.
 * - `DELETE ?id=…` stops the turn, at the service too: 204.
 *
 * An event's id is `<reading>.<number>`: when the part before the dot changes, the reply has started over, and what
 * came before is to be dropped. A client that leaves has `graceTime` to come back; then its turn is stopped.
 *
 * Replies are kept by the process that runs them: with several, send a person to one and the same. When it dies, the
 * same `POST` goes on with the turn elsewhere, or after a restart, without asking the agent twice; until the dead
 * process is found out (`leaseTime`) it gets 409 `duplicate`, as does a message whose reply nobody remembers any more.
 *
 * Failures before the stream are `{ error: { code, message, reference, field? } }` with the fitting status.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function web(mapper: SessionMapper, options: WebOptions): WebHandler {
  const settings = readOptions(options);
  const replies = new Replies(settings);
  const waiting = new WaitingBytes(settings);
  return async (request) => {
    const response = await answer({ mapper, settings, replies, waiting }, request).catch((error: unknown) =>
      failureResponse(
        error,
        settings.logger,
        mapper.texts({ platform: settings.platform, ...localeOf(request) }),
      ),
    );
    response.headers.set("cache-control", "no-store, no-transform");
    response.headers.set("x-content-type-options", "nosniff");
    return shareWith(response, request, settings.origins);
  };
}

interface Host {
  readonly mapper: SessionMapper;
  readonly settings: Settings;
  readonly replies: Replies;
  readonly waiting: WaitingBytes;
}

async function answer(host: Host, request: Request): Promise<Response> {
  const { settings, replies } = host;
  refuseForeign(request, settings.origins);
  if (request.method === "OPTIONS") return preflight();
  if (!["GET", "POST", "DELETE"].includes(request.method)) {
    throw new Refusal("method-not-allowed", (texts) => texts("method-not-allowed"), {
      allow: "GET, POST, DELETE, OPTIONS",
    });
  }
  const speaker = await authenticate(settings, request);
  if (request.method === "POST") return ask(host, request, speaker);

  const id = readId(request);
  const kept = replies.find({ ...speaker, id });
  if (kept === undefined) {
    throw new Refusal("not-found", (texts) => texts("not-found"));
  }
  if (request.method === "GET") return deliver(settings, request, id, kept, attach(request, kept));
  kept.cancel();
  return new Response(null, { status: 204 });
}

async function ask(host: Host, request: Request, speaker: WebSpeaker): Promise<Response> {
  const { mapper, settings, replies } = host;
  const room = host.waiting.room(personKey(speaker));
  let message: Message;
  let kept: KeptReply;
  try {
    const said = await readSaid(request, settings, room);
    await authorize(settings, said, speaker);
    message = { ...localeOf(request), ...said, ...speaker, platform: settings.platform };
    // No await between these two: the same message sent twice at once has one reply.
    const found = replies.find(message);
    kept = found ?? replies.add(message, () => mapper.handle(message), mapper.texts(message));
    if (found === undefined) void kept.ended.then(room.free);
    else room.free();
  } catch (error) {
    room.free();
    throw error;
  }
  const leave = attach(request, kept);
  try {
    if (!(await kept.taken)) await refuseUntaken(kept);
  } catch (error) {
    replies.remove(message, kept);
    leave();
    throw error;
  }
  return deliver(settings, request, message.id, kept, leave);
}

/** @throws {Refusal} 401, 503 */
async function authenticate({ authenticate, logger }: Settings, request: Request): Promise<WebSpeaker> {
  let speaker: WebSpeaker | undefined;
  try {
    speaker = await authenticate(request);
  } catch (error) {
    const code = "authentication-unavailable";
    const refusal = new Refusal(code, (texts) => texts(code));
    logger.error("authenticate failed", { ...describe(error), reference: refusal.reference });
    throw refusal;
  }
  if (speaker === undefined || speaker === null) {
    throw new Refusal("unauthenticated", (texts) => texts("unauthenticated"), {
      "www-authenticate": "Bearer",
    });
  }
  // Only these: what else the hook returns must not become part of the message.
  const { tenant, user, channel, thread, locale } = speaker;
  if (typeof tenant !== "string" || typeof user !== "string" || user === "") {
    throw new AparteError(
      "option-invalid",
      "authenticate must return { tenant, user }, and user not empty.",
      {
        field: "authenticate",
      },
    );
  }
  return {
    tenant,
    user,
    ...(channel === undefined ? {} : { channel }),
    ...(thread === undefined ? {} : { thread }),
    ...(locale === undefined ? {} : { locale }),
  };
}

/** The language that the person's browser asks for first. */
function localeOf(request: Request): { readonly locale?: string } {
  const [locale] =
    /^[a-z]{1,8}(-[a-z\d]{1,8}){0,4}/i.exec(request.headers.get("accept-language") ?? "") ?? [];
  return locale === undefined ? {} : { locale };
}

/** @throws {Refusal} 403 */
async function authorize(settings: Settings, said: Said, speaker: WebSpeaker): Promise<void> {
  const { agent, channel, thread } = said;
  const isElsewhere = (place: "channel" | "thread") =>
    said[place] !== undefined && speaker[place] !== undefined && said[place] !== speaker[place];
  const isNamed = agent !== undefined || channel !== undefined || thread !== undefined;
  const isAllowed =
    !isElsewhere("channel") &&
    !isElsewhere("thread") &&
    (!isNamed ||
      (await settings.authorize({
        speaker,
        ...(agent === undefined ? {} : { agent }),
        ...(channel === undefined || channel === speaker.channel ? {} : { channel }),
        ...(thread === undefined || thread === speaker.thread ? {} : { thread }),
      })));
  if (!isAllowed) {
    // Channels and threads need the option `authorize`.
    throw new Refusal("forbidden", (texts) => texts("forbidden"));
  }
}

/** Counts this request as a reader until it has all, or is gone. */
function attach({ signal }: Request, kept: KeptReply): () => void {
  const leave = kept.attach();
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
  return () => {
    signal.removeEventListener("abort", leave);
    leave();
  };
}

/** A message that was not taken gets a notice why, or the answer that it had a moment ago. */
async function refuseUntaken(kept: KeptReply): Promise<void> {
  await kept.ended;
  for (const { name, data } of kept.events) {
    if (name !== "message" || data.type !== "notice") continue;
    const { code, text, retryAfterMs = 10_000 } = data;
    if (code === "busy" || code === "duplicate") throw new Refusal(code, text, { "retry-after": "2" });
    if (code === "full" || code === "limited") {
      throw new Refusal(code, text, { "retry-after": String(Math.ceil(retryAfterMs / 1000)) });
    }
  }
  if (kept.failure !== undefined) throw kept.failure;
}

/** The reply in the form that the client wants. */
async function deliver(
  settings: Settings,
  request: Request,
  id: string,
  kept: KeptReply,
  leave: () => void,
): Promise<Response> {
  try {
    if (wantsWhole(request)) return await wholeReply(id, kept, request.signal);
    const position = readPosition(request, kept);
    if (kept.hasEnded && position === kept.events.length) {
      leave();
      return new Response(null, { status: 204 });
    }
    const headers = { "content-type": "text/event-stream", "x-accel-buffering": "no" };
    return new Response(eventStream(kept, position, settings.heartbeat, leave), { headers });
  } catch (error) {
    leave();
    throw error;
  }
}

function wantsWhole(request: Request): boolean {
  const accept = request.headers.get("accept") ?? "";
  return accept.includes("application/json") && !accept.includes("text/event-stream");
}

async function wholeReply(id: string, kept: KeptReply, signal: AbortSignal): Promise<Response> {
  await Promise.race([kept.ended, aborted(signal)]);
  if (!kept.hasEnded) return new Response(null, { status: 499 }); // Nobody is there to read it.
  if (kept.failure !== undefined) throw kept.failure;
  const events = kept.events.flatMap(({ name, data }) =>
    name === "message" && data.type !== "text" ? [data] : [],
  );
  return Response.json({ id, text: kept.text, events });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
