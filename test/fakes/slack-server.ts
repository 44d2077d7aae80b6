import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { receive } from "./receive.ts";
import { missingArgument, wrongBlock } from "./slack-arguments.ts";
import { Watch } from "./watch.ts";

/** Calls a minute, in one workspace. */
const budgets: Readonly<Record<string, number>> = {
  "chat.startStream": 20,
  "chat.appendStream": 100,
  "chat.stopStream": 20,
  "chat.update": 50,
};

/** What an app with the adapter's own manifest has. */
const neededScopes = [
  ...["app_mentions:read", "assistant:write", "channels:history", "channels:read", "chat:write"],
  ...["commands", "files:read", "groups:history", "im:history", "mpim:history", "users:read"],
];

/** A call of Slack's API that the bot made. */
export interface ApiCall {
  readonly method: string;
  readonly body: ApiBody;
  readonly at: number;
  /** Which process of the bot made it, where the bot says so in the header `x-process`. */
  readonly process: string | undefined;
  /** Slack's error, or "" when the call was carried out; undefined while there is no answer. */
  result?: string;
}

export interface ApiBody {
  readonly channel?: string;
  readonly ts?: string;
  readonly thread_ts?: string;
  readonly oldest?: string;
  readonly text?: string;
  readonly markdown_text?: string;
  readonly recipient_user_id?: string;
  readonly recipient_team_id?: string;
  readonly unfurl_links?: string;
  readonly blocks?: readonly SentBlock[];
  readonly metadata?: object;
  readonly status?: string;
  readonly file?: string;
  readonly user?: string;
  readonly include_locale?: string;
  readonly value?: string;
  readonly response_type?: string;
  readonly title?: string;
  readonly prompts?: readonly object[];
}

export interface SentBlock {
  readonly type: string;
  readonly text?: string;
  readonly elements?: readonly { readonly action_id?: string; readonly value?: string }[];
}

/** How a matching call goes wrong. */
export interface Fault {
  readonly method: string;
  /** How many calls it meets. @default 1 */
  readonly times?: number;
  /** Slack's answer. Nothing is carried out. */
  readonly error?: string;
  /** The call is carried out, but its answer is lost: the connection breaks, or Slack answers 503. */
  readonly lost?: "dropped" | "unavailable";
  /** The connection breaks before anything is carried out. */
  readonly refused?: boolean;
  /** Answers this HTTP status. Nothing is carried out. */
  readonly status?: number;
  /** Answers 429 with this many seconds to wait. */
  readonly retryAfter?: number;
  /** The call is carried out only when this resolves. */
  readonly until?: Promise<unknown>;
}

export interface StoredMessage {
  readonly channel: string;
  readonly ts: string;
  readonly thread: string | undefined;
  /** What a person reads: the markdown block or the stream, or the text without Slack's escapes. */
  shown: string;
  text: string;
  isStreaming: boolean;
  wasStream: boolean;
  metadata: object | undefined;
  /** All of its blocks, those below the text included. */
  blocks?: readonly SentBlock[];
}

export interface SayOptions {
  readonly channel?: string;
  readonly thread?: string;
  readonly ts?: string;
  /** Further fields of the event. */
  readonly event?: object;
  /** Further fields of the envelope. */
  readonly envelope?: object;
  /** Which events come. @default what Slack sends: for a mention both */
  readonly as?: readonly ("message" | "app_mention")[];
  /** Slack's retries: the same event again, with its headers. */
  readonly retry?: number;
  /** Where the events are posted to, of a bot with several processes. @default the server's `eventsUrl` */
  readonly eventsUrl?: string;
  /** How long the bot may take, in milliseconds. @default for ever */
  readonly withinMs?: number;
}

/** Slack as an error answer; nothing was carried out. */
class Refusal extends Error {}

/**
 * Slack in small: its Web API, its event deliveries over HTTP and in Socket Mode, and its files, on one port of
 * the loopback. As strict as the real one where a bot can go wrong: tokens, streams, lengths, recipients.
 */
export class SlackServer {
  readonly token = "xoxb-of-the-tests";
  readonly appToken = "xapp-of-the-tests";
  readonly signingSecret = "a signing secret of the tests";
  readonly teamId = "T1";
  readonly botUserId = "UBOT";
  /** A channel, and Ann's direct-message channel. */
  readonly channel = "C1";
  readonly direct = "D1";
  /** What `users.info` and `conversations.info` tell, by id. */
  readonly people = new Map<string, object>();
  readonly channels = new Map<string, object>();
  /** Whether calls have Slack's budgets: so many of a method in any minute, and a post a second in a channel. */
  hasBudgets = false;
  /** When calls were carried out, by what they share a budget with. */
  readonly #spent = new Map<string, number[]>();
  /** When a stream ends by itself, in milliseconds after its beginning. */
  streamLife = 300_000;
  /** When streams began. */
  readonly #began = new Map<string, number>();
  /** Calls that can only be a fault of the adapter. */
  readonly #wrongCalls: string[] = [];
  /** What the token may do. */
  scopes: readonly string[] = neededScopes;
  readonly calls: ApiCall[] = [];
  readonly messages = new Map<string, StoredMessage>();
  /** Where events are posted to; without it they go through Socket Mode. */
  eventsUrl: string | undefined;
  /** How a call goes wrong that no {@link fail} meets; asked for each, for programs that run for long. */
  faultOf: (call: ApiCall) => Fault | undefined = () => undefined;
  /** A call has ended. `message` is what it posted or changed; undefined when it was deleted, or for other calls. */
  onCall: (call: ApiCall, message: StoredMessage | undefined) => void = () => {};
  readonly #server: Server;
  readonly #gateway = new WebSocketServer({ noServer: true });
  readonly #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #files = new Map<string, { name: string; type: string; bytes: Uint8Array }>();
  readonly #read = new Set<ApiCall>();
  readonly #watch = new Watch(() => this.calls.map(({ method, result }) => `${method} ${result}`).join("\n"));
  /** By envelope: how often it was sent, and what its acknowledgement ends. */
  readonly #acks = new Map<string, () => void>();
  #count = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on("upgrade", (request, socket, head) => {
      this.#gateway.handleUpgrade(request, socket, head, (one) => this.#connected(one));
    });
  }

  static async start(): Promise<SlackServer> {
    const server = new SlackServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  async close(): Promise<void> {
    // A bot that was stopped is about to leave by itself: Bolt does not wait for that.
    const leaving = [...this.#gateway.clients].map((socket) => once(socket, "close"));
    await Promise.all(leaving);
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    // What Slack refuses once it refuses always: an adapter that goes on without has a fault all the same.
    if (this.#wrongCalls.length > 0)
      throw new Error(`Slack takes no such call: ${this.#wrongCalls.join("; ")}`);
  }

  #wrong(what: string, code: string): Refusal {
    this.#wrongCalls.push(what);
    return new Refusal(code);
  }

  /** What markdown blocks show; undefined without any. */
  #checkBlocks(blocks: readonly SentBlock[] = []): string | undefined {
    const wrong = wrongBlock(blocks);
    if (wrong !== undefined) throw this.#wrong(wrong, "invalid_blocks");
    const markdown = blocks.flatMap(({ type, text }) => (type === "markdown" ? [text ?? ""] : []));
    if (markdown.join("").length > 12_000) throw new Refusal("msg_blocks_too_long");
    return markdown.length === 0 ? undefined : markdown.join("\n\n");
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get apiUrl(): string {
    return `http://${this.host}/api/`;
  }

  fail(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /** What the bot's messages show, in the order in which they were posted. */
  shown(channel?: string): StoredMessage[] {
    return [...this.messages.values()].filter((one) => channel === undefined || one.channel === channel);
  }

  /** The next answered call of a method that no `next` has returned yet. */
  async next(method: string, matches: (call: ApiCall) => boolean = () => true): Promise<ApiCall> {
    return this.until(() => {
      const call = this.calls.find(
        (one) => !this.#read.has(one) && one.result !== undefined && one.method === method && matches(one),
      );
      if (call !== undefined) this.#read.add(call);
      return call;
    });
  }

  /** Resolves with what `look` finds; it looks again whenever something happened here. */
  until<T>(look: () => T | undefined | false, withinMs?: number): Promise<T> {
    return this.#watch.until(look, withinMs);
  }

  /** Ends a stream, as Slack does some minutes after its beginning. */
  expire(ts: string): void {
    const message = this.messages.get(ts);
    if (message !== undefined) message.isStreaming = false;
  }

  /** Keeps a file, and returns it as events tell of it. */
  file(name: string, type: string, bytes: Uint8Array): object {
    const id = `F${++this.#count}`;
    this.#files.set(id, { name, type, bytes });
    return this.#fileFacts(id);
  }

  #fileFacts(id: string): object {
    const { name, type } = this.#files.get(id) ?? {};
    return { id, name, mimetype: type, mode: "hosted", url_private: `http://${this.host}/files/${id}` };
  }

  /** A fresh timestamp, which names a message. */
  ts(): string {
    return `1790000000.${String(++this.#count).padStart(6, "0")}`;
  }

  /** A person says something. Resolves with its ts when the bot has taken all of its events. */
  async say(user: string, text: string, options: SayOptions = {}): Promise<string> {
    const { channel = this.channel, thread, ts = this.ts(), event = {}, envelope = {} } = options;
    const isMention = text.includes(`<@${this.botUserId}>`);
    const isDirect = channel.startsWith("D");
    const types = options.as ?? (isMention && !isDirect ? ["message", "app_mention"] : ["message"]);
    const blocks = text === "" ? {} : { blocks: [richText(text)] };
    const base = { user, text, ts, channel, team: this.teamId, event_ts: ts, ...blocks };
    await Promise.all(
      types.map((type) => {
        const kind = type === "message" ? { channel_type: isDirect ? "im" : "channel" } : {};
        const place = thread === undefined ? {} : { thread_ts: thread };
        return this.#dispatch({ ...base, ...kind, ...place, type, ...event }, envelope, options);
      }),
    );
    return ts;
  }

  async #dispatch(event: object, envelope: object, options: SayOptions): Promise<void> {
    const { retry, eventsUrl = this.eventsUrl, withinMs } = options;
    const payload = {
      ...{ type: "event_callback", api_app_id: "A1", team_id: this.teamId, event },
      ...{ event_id: `Ev${++this.#count}`, event_time: 1_790_000_000, is_ext_shared_channel: false },
      authorizations: [{ team_id: this.teamId, enterprise_id: null, user_id: this.botUserId, is_bot: true }],
      ...envelope,
    };
    if (eventsUrl === undefined) return this.#push("events_api", payload, retry);
    const retried = { "x-slack-retry-num": String(retry), "x-slack-retry-reason": "http_timeout" };
    const headers = retry === undefined ? {} : retried;
    await this.#send(eventsUrl, "application/json", JSON.stringify(payload), { headers, withinMs });
  }

  /** Something else than a message happens. */
  happen(event: object, envelope: object = {}): Promise<void> {
    return this.#dispatch({ event_ts: this.ts(), ...event }, envelope, {});
  }

  /** A person presses a button below one of the bot's messages. Resolves when the bot has acknowledged it. */
  async press(
    user: string,
    message: Pick<StoredMessage, "channel" | "ts" | "thread"> & { readonly isEphemeral?: boolean },
    action_id: string,
    value: string,
    /** Further fields of the body. */
    more: object = {},
  ): Promise<void> {
    const { channel, ts, thread, isEphemeral = false } = message;
    const place = thread === undefined ? {} : { thread_ts: thread };
    await this.#interact({
      ...{ type: "block_actions", api_app_id: "A1", is_enterprise_install: false, enterprise: null },
      ...{ team: { id: this.teamId }, user: { id: user, team_id: this.teamId }, channel: { id: channel } },
      ...{
        container: {
          type: "message",
          channel_id: channel,
          message_ts: ts,
          is_ephemeral: isEphemeral,
          ...place,
        },
        // Of a message that only one person sees Slack tells no more than the place.
        ...(isEphemeral ? {} : { message: { ts, ...place } }),
      },
      ...{ trigger_id: "1.2", response_url: `http://${this.host}/api/respond` },
      actions: [{ type: "button", action_id, value, block_id: "b", action_ts: this.ts() }],
      ...more,
    });
  }

  /** A person uses a slash command. */
  async command(user: string, command: string, text = "", channel: string = this.channel): Promise<void> {
    const fields = {
      ...{ command, text, user_id: user, team_id: this.teamId, channel_id: channel, api_app_id: "A1" },
      ...{
        is_enterprise_install: "false",
        trigger_id: "1.2",
        response_url: `http://${this.host}/api/respond`,
      },
    };
    if (this.eventsUrl === undefined) return this.#push("slash_commands", fields, undefined);
    await this.#send(
      this.eventsUrl,
      "application/x-www-form-urlencoded",
      new URLSearchParams(fields).toString(),
    );
  }

  /** A person uses a shortcut of the app on one of its messages. */
  async shortcut(user: string, message: StoredMessage, callback_id: string): Promise<void> {
    const { channel, ts, thread, shown } = message;
    const place = thread === undefined ? {} : { thread_ts: thread };
    await this.#interact({
      ...{ type: "message_action", callback_id, is_enterprise_install: false, enterprise: null },
      ...{ team: { id: this.teamId }, user: { id: user, team_id: this.teamId }, channel: { id: channel } },
      ...{ message: { type: "message", user: this.botUserId, text: shown, ts, ...place }, message_ts: ts },
      ...{ trigger_id: "1.2", response_url: `http://${this.host}/api/respond`, action_ts: this.ts() },
    });
  }

  async #interact(payload: object): Promise<void> {
    if (this.eventsUrl === undefined) return this.#push("interactive", payload, undefined);
    const form = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    await this.#send(this.eventsUrl, "application/x-www-form-urlencoded", form);
  }

  async #send(
    url: string,
    type: string,
    body: string,
    options: { readonly headers?: Record<string, string>; readonly withinMs?: number | undefined } = {},
  ): Promise<void> {
    const { headers = {}, withinMs } = options;
    const stamp = String(Math.floor(Date.now() / 1_000));
    const hmac = createHmac("sha256", this.signingSecret).update(`v0:${stamp}:${body}`).digest("hex");
    const response = await fetch(url, {
      method: "POST",
      body,
      ...(withinMs === undefined ? {} : { signal: AbortSignal.timeout(withinMs) }),
      headers: {
        "content-type": type,
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": `v0=${hmac}`,
        ...headers,
      },
    });
    await response.text();
    if (!response.ok) throw new Error(`The bot answered ${response.status} to an event.`);
  }

  /** Sends an envelope, and again where its connection closes before it is acknowledged. */
  async #push(type: string, payload: object, retry: number | undefined): Promise<void> {
    let attempt = retry;
    for (;;) {
      const socket = await this.until(() =>
        [...this.#gateway.clients].find(({ readyState }) => readyState === 1),
      );
      const id = `envelope-${++this.#count}`;
      const acked = new Promise<boolean>((resolve) => this.#acks.set(id, () => resolve(true)));
      let closed = () => {};
      const unacked = new Promise<boolean>((resolve) => {
        closed = () => resolve(false);
        socket.once("close", closed);
      });
      const retried = attempt === undefined ? {} : { retry_attempt: attempt, retry_reason: "timeout" };
      socket.send(JSON.stringify({ type, envelope_id: id, payload, ...retried }));
      const isAcked = await Promise.race([acked, unacked]);
      socket.off("close", closed);
      if (isAcked) return;
      attempt = (attempt ?? 0) + 1;
    }
  }

  #connected(socket: WebSocket): void {
    socket.on("message", (data) => {
      const { envelope_id } = JSON.parse(String(data)) as { envelope_id: string };
      this.#acks.get(envelope_id)?.();
    });
    socket.send(JSON.stringify({ type: "hello", num_connections: 1, connection_info: { app_id: "A1" } }));
    this.#watch.happened();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = await receive(request);
    if (received === undefined) return undefined;
    const path = new URL(request.url ?? "/", "http://slack").pathname;
    const { authorization = "" } = request.headers;
    if (path.startsWith("/files/")) return this.#sendFile(path.slice(7), authorization, response);
    const method = path.replace("/api/", "");
    const call: ApiCall = {
      ...{ method, body: readBody(received), at: performance.now() },
      process: request.headers["x-process"]?.toString(),
    };
    this.calls.push(call);
    this.#watch.happened();
    const fault = this.#faultOf(method) ?? this.faultOf(call) ?? this.#overBudget(method, call.body);
    await fault?.until;
    const done = (result: string, ts = call.body.ts) => {
      call.result = result;
      this.onCall(call, this.messages.get(ts ?? ""));
      this.#watch.happened();
    };
    const json = (status: number, body: object, headers: Record<string, string> = {}) => {
      response
        .writeHead(status, { "content-type": "application/json", ...headers })
        .end(JSON.stringify(body));
    };
    if (fault?.refused) {
      response.destroy();
      return done("refused");
    }
    if (fault?.status !== undefined) {
      json(fault.status, {});
      return done(String(fault.status));
    }
    if (fault?.retryAfter !== undefined) {
      json(429, { ok: false, error: "ratelimited" }, { "retry-after": String(fault.retryAfter) });
      return done("ratelimited");
    }
    try {
      if (fault?.error !== undefined) throw new Refusal(fault.error);
      const token = method === "apps.connections.open" ? this.appToken : this.token;
      if (method !== "respond" && authorization !== `Bearer ${token}`) throw new Refusal("invalid_auth");
      const missing = missingArgument(method, call.body);
      if (missing !== undefined) throw this.#wrong(`${method} without ${missing}`, "invalid_arguments");
      const result: { readonly ts?: string } = this.#carryOut(method, call.body);
      if (fault?.lost === "dropped") response.destroy();
      else if (fault?.lost === "unavailable") json(503, {});
      else json(200, { ok: true, ...result }, { "x-oauth-scopes": this.scopes.join(",") });
      done(fault?.lost ?? "", result.ts);
    } catch (error) {
      const code = error instanceof Refusal ? error.message : "internal_error";
      json(200, { ok: false, error: code });
      done(code);
    }
  }

  #overBudget(method: string, { channel }: ApiBody): Fault | undefined {
    const perMinute = budgets[method];
    const isPost = method === "chat.postMessage";
    if (!this.hasBudgets || (perMinute === undefined && !isPost)) return undefined;
    const key = isPost ? `${method} ${channel}` : method;
    const [most, time] = isPost ? [1, 1_000] : [perMinute ?? 0, 60_000];
    const now = performance.now();
    const spent = (this.#spent.get(key) ?? []).filter((at) => now - at < time);
    this.#spent.set(key, spent);
    if (spent.length < most) {
      spent.push(now);
      return undefined;
    }
    return { method, retryAfter: Math.ceil((time - (now - (spent[0] ?? now))) / 1_000) };
  }

  #faultOf(method: string): Fault | undefined {
    const found = this.#faults.find((one) => one.left > 0 && one.fault.method === method);
    if (found !== undefined) found.left -= 1;
    return found?.fault;
  }

  #sendFile(id: string, authorization: string, response: ServerResponse): void {
    const file = this.#files.get(id);
    if (file === undefined || authorization !== `Bearer ${this.token}`) {
      // As the real one does: no error, but its sign-in page.
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Sign in</html>");
    } else response.writeHead(200, { "content-type": file.type }).end(file.bytes);
  }

  #carryOut(method: string, body: ApiBody): object {
    switch (method) {
      case "auth.test":
        return { team_id: this.teamId, team: "Acme", user_id: this.botUserId, user: "helper", bot_id: "B1" };
      case "apps.connections.open":
        return { url: `ws://${this.host}/socket` };
      case "chat.postMessage":
        return this.#post(body);
      case "chat.update":
        return this.#update(body);
      case "chat.delete":
        this.messages.delete(this.#stored(body.channel, body.ts).ts);
        return {};
      case "chat.startStream":
        return this.#startStream(body);
      case "chat.appendStream":
        this.#append(this.#streaming(body), body.markdown_text ?? "");
        return { channel: body.channel, ts: body.ts };
      case "chat.stopStream": {
        const message = this.#streaming(body);
        this.#checkBlocks(body.blocks);
        message.isStreaming = false;
        message.blocks = body.blocks ?? [];
        message.metadata = body.metadata;
        return { channel: body.channel, ts: body.ts };
      }
      case "conversations.replies":
      case "conversations.history":
        return { messages: this.#history(method, body) };
      case "chat.postEphemeral":
        return { message_ts: this.ts() };
      case "respond":
      case "assistant.threads.setStatus":
      case "assistant.threads.setSuggestedPrompts":
        return {};
      case "agents.sessions.rename":
      case "agents.sessions.setStatus":
        return {};
      case "users.info": {
        // Slack tells a person's language to who asks for it.
        const locale = body.include_locale === "true" ? {} : { locale: undefined };
        return { user: { id: body.user, ...this.people.get(body.user ?? ""), ...locale } };
      }
      case "conversations.info":
        if (!this.channels.has(body.channel ?? "")) throw new Refusal("channel_not_found");
        return { channel: { id: body.channel, ...this.channels.get(body.channel ?? "") } };
      case "files.info":
        if (!this.#files.has(body.file ?? "")) throw new Refusal("file_not_found");
        return { file: this.#fileFacts(body.file ?? "") };
      default:
        throw new Refusal("unknown_method");
    }
  }

  #post({ channel = "", thread_ts, text = "", blocks, metadata }: ApiBody): object {
    const ts = this.ts();
    const shown = this.#checkBlocks(blocks) ?? unescaped(text);
    this.messages.set(ts, {
      ...{ channel, ts, thread: thread_ts, shown, text, metadata },
      ...{ isStreaming: false, wasStream: false, blocks: blocks ?? [] },
    });
    return { channel, ts };
  }

  #update({ channel, ts, text = "", blocks, metadata }: ApiBody): object {
    const message = this.#stored(channel, ts);
    if (message.isStreaming) throw new Refusal("streaming_state_conflict");
    if (Buffer.byteLength(text) > 4_000) throw new Refusal("msg_too_long");
    message.text = text;
    message.blocks = blocks ?? [];
    message.shown = this.#checkBlocks(blocks) ?? unescaped(text);
    message.metadata = metadata ?? message.metadata;
    return { ts };
  }

  #startStream(body: ApiBody): object {
    const { channel = "", thread_ts, markdown_text = "" } = body;
    if (!channel.startsWith("D")) {
      if (body.recipient_user_id === undefined) throw new Refusal("missing_recipient_user_id");
      if (body.recipient_team_id === undefined) throw new Refusal("missing_recipient_team_id");
    }
    const ts = this.ts();
    this.#began.set(ts, performance.now());
    this.messages.set(ts, {
      ...{ channel, ts, thread: thread_ts, shown: checkMarkdown(markdown_text), text: "" },
      ...{ isStreaming: true, wasStream: true, metadata: undefined },
    });
    return { channel, ts };
  }

  #stored(channel: string | undefined, ts = ""): StoredMessage {
    const message = this.messages.get(ts);
    if (message === undefined || message.channel !== channel) throw new Refusal("message_not_found");
    return message;
  }

  #append(message: StoredMessage, text: string): void {
    message.shown = checkMarkdown(message.shown + text);
  }

  #streaming({ channel, ts = "" }: ApiBody): StoredMessage {
    const message = this.#stored(channel, ts);
    if (performance.now() - (this.#began.get(ts) ?? 0) > this.streamLife) this.expire(ts);
    if (!message.isStreaming) throw new Refusal("message_not_in_streaming_state");
    return message;
  }

  #history(method: string, { channel, ts, oldest = "0" }: ApiBody): object[] {
    if (!/^[\d.]+$/.test(oldest)) throw this.#wrong(`oldest: ${oldest}`, "invalid_ts_oldest");
    return this.shown(channel)
      .filter(({ thread }) => thread === (method === "conversations.replies" ? ts : undefined))
      .map(({ ts: own, shown, isStreaming, metadata }) => ({
        ...{ ts: own, user: this.botUserId, text: shown, metadata },
        ...(isStreaming ? { streaming_state: "in_progress" } : {}),
      }));
  }
}

function checkMarkdown(text: string): string {
  if (text.length > 12_000) throw new Refusal("msg_too_long");
  return text;
}

/** What a person types, as Slack's composer tells of it. */
function richText(text: string): object {
  const elements = text.split(/(<@[A-Z0-9]+>)/).flatMap((part): object[] => {
    const user = /^<@([A-Z0-9]+)>$/.exec(part)?.[1];
    if (user !== undefined) return [{ type: "user", user_id: user }];
    return part === "" ? [] : [{ type: "text", text: unescaped(part) }];
  });
  return { type: "rich_text", elements: [{ type: "rich_text_section", elements }] };
}

function unescaped(text: string): string {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/** Slack's bodies are forms whose structured fields are JSON; what goes to a response URL is JSON. */
function readBody(bytes: Buffer): ApiBody {
  const text = bytes.toString();
  if (text.startsWith("{")) return JSON.parse(text) as ApiBody;
  const fields = [...new URLSearchParams(text)].map(([name, value]) => {
    const isJson = name === "blocks" || name === "metadata" || name === "prompts";
    return [name, isJson ? (JSON.parse(value) as unknown) : value];
  });
  return Object.fromEntries(fields) as ApiBody;
}
