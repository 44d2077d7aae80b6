import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import { receive } from "./receive.ts";
import { Watch } from "./watch.ts";

/** A REST call that the bot made. */
export interface RestCall {
  readonly method: string;
  /** Without the `/api/v10`. */
  readonly path: string;
  readonly body: RestBody;
  /** `performance.now()` when the call came. */
  readonly at: number;
  /** Which process of the bot made it, where the bot says so in the header `x-process`. */
  readonly process: string | undefined;
  /** Undefined while there is no answer. */
  status?: number;
}

/** The parts of a message that a bot sends or edits, as far as this server knows them. */
export interface RestBody {
  readonly content?: string;
  readonly nonce?: string;
  readonly enforce_nonce?: boolean;
  readonly flags?: number;
  readonly allowed_mentions?: { readonly parse?: readonly string[]; readonly replied_user?: boolean };
  readonly message_reference?: { readonly message_id: string; readonly fail_if_not_exists?: boolean };
}

/** How a matching call goes wrong. */
export interface Fault {
  readonly method: string;
  readonly path: RegExp;
  /** How many calls it meets. @default 1 */
  readonly times?: number;
  /** Answers 429: nothing is stored. In seconds. */
  readonly retryAfter?: number;
  /** Carries the call out, and tells the bot that it may make no more of its kind for so long. In seconds. */
  readonly lastFor?: number;
  /** Answers this status with this code of Discord's. */
  readonly status?: number;
  readonly code?: number;
  /** The call is carried out first: the answer alone is lost. */
  readonly after?: boolean;
  /** The connection breaks in place of an answer. */
  readonly drop?: boolean;
  readonly delayMs?: number;
  /** The call is answered only when this resolves. */
  readonly until?: Promise<unknown>;
}

export interface Person {
  readonly id: string;
  readonly username: string;
  readonly bot?: boolean;
}

export interface StoredMessage {
  readonly id: string;
  readonly channel_id: string;
  readonly author: Person;
  content: string;
  readonly nonce?: string | undefined;
  readonly attachments: StoredAttachment[];
  readonly message_reference?: { message_id: string; channel_id: string } | undefined;
  flags: number;
  /** Whom the message notifies, by Discord's rules. */
  readonly pings: string[];
  readonly [key: string]: unknown;
}

export interface StoredAttachment {
  readonly id: string;
  readonly filename: string;
  readonly content_type?: string | undefined;
  readonly size: number;
  readonly bytes: Uint8Array;
}

export interface SendOptions {
  readonly attachments?: readonly { name: string; type?: string; bytes: Uint8Array }[];
  /** The id of the message that is replied to. */
  readonly replyTo?: string;
  /** A reply notifies the author of the message, unless the person switches that off. @default true */
  readonly replyPings?: boolean;
  readonly webhookId?: string;
  /** Discord's message type; 7 is "joined the server". @default 0, or 19 for a reply */
  readonly type?: number;
}

interface Channel {
  readonly id: string;
  readonly type: number;
  readonly name?: string;
  readonly guild_id?: string;
  readonly parent_id?: string;
  /** The other one of a direct-message channel. */
  readonly person?: Person;
}

interface Session {
  readonly id: string;
  readonly intents: number;
  /** The last events, for a client that resumes. */
  readonly log: { readonly op: 0; readonly t: string; readonly s: number; readonly d: unknown }[];
  events: number;
  socket: WebSocket | undefined;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const intent = { guilds: 1 << 0, guildMessages: 1 << 9, directMessages: 1 << 12, messageContent: 1 << 15 };
const channelType = { text: 0, dm: 1, publicThread: 11 };
/** How much of a session is kept for its client, and how long when the connection is gone, in milliseconds. */
const keptEvents = 1_000;
const keptMs = 60_000;
const botMember = {
  roles: ["900"],
  joined_at: "2026-01-01T00:00:00.000Z",
  deaf: false,
  mute: false,
  flags: 0,
};

/**
 * Discord in small: its REST API, its gateway and its file hosting on one port of the loopback, as strict as the
 * real one where a bot can go wrong: intents, message lengths, nonces, permissions of edits, who is notified.
 */
export class DiscordServer {
  readonly token = "a.bot.token";
  /** The code with which the gateway ends connections that identify themselves. */
  closesWith: number | undefined;
  readonly bot: Person = { id: "100", username: "helper", bot: true };
  readonly guildId: string;
  /** The role that Discord makes for the bot. */
  readonly botRoleId = "900";
  /** The guild's one channel, and a thread in it. */
  readonly channelId: string;
  readonly threadId: string;
  /** A thread that the gateway has not told of; known by REST alone. */
  readonly hiddenThreadId: string;
  readonly calls: RestCall[] = [];
  /** How a call goes wrong that no {@link fail} meets; asked for each, for programs that run for long. */
  faultOf: (call: RestCall) => Fault | undefined = () => undefined;
  /** A call has ended. `message` is what it posted or changed; undefined when it was deleted, or for other calls. */
  onCall: (call: RestCall, message: StoredMessage | undefined) => void = () => {};
  readonly messages = new Map<string, StoredMessage>();
  readonly #server: Server;
  readonly #gateway = new WebSocketServer({ noServer: true });
  readonly #channels = new Map<string, Channel>();
  readonly #sessions = new Map<string, Session>();
  /** The bot's posts by nonce. They stay known when they are deleted. */
  readonly #nonces = new Map<string, StoredMessage>();
  readonly #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #read = new Set<RestCall>();
  readonly #watch = new Watch(() =>
    this.calls.map(({ method, path, status }) => `${method} ${path} ${status}`).join("\n"),
  );
  #lastId = 1_000n;
  #signature = 1;

  static async start(): Promise<DiscordServer> {
    const server = new DiscordServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  private constructor() {
    this.guildId = this.#newId();
    this.channelId = this.#newChannel({ type: channelType.text, name: "general", guild_id: this.guildId });
    const thread = { type: channelType.publicThread, guild_id: this.guildId, parent_id: this.channelId };
    this.threadId = this.#newChannel({ ...thread, name: "a thread" });
    this.hiddenThreadId = this.#newChannel({ ...thread, name: "hidden" });
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on("upgrade", (request, socket, head) => {
      this.#gateway.handleUpgrade(request, socket, head, (webSocket) => this.#connect(webSocket));
    });
  }

  /** Host and port, as URLs have them. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** For discord.js' option `rest`. */
  get rest(): { api: string; version: string } {
    return { api: `http://${this.host}/api`, version: "10" };
  }

  async close(): Promise<void> {
    for (const socket of this.#gateway.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  // What people do

  person(username: string): Person {
    return { id: this.#newId(), username };
  }

  /** A message in a channel or thread of the guild. Mentions are read from the content. */
  say(
    author: Person,
    content: string,
    options: SendOptions = {},
    channelId: string = this.channelId,
  ): string {
    return this.#arrive(author, content, channelId, options);
  }

  /** A direct message to the bot. */
  sayDirectly(author: Person, content: string, options: SendOptions = {}): string {
    return this.#arrive(author, content, this.directChannel(author), options);
  }

  directChannel(person: Person): string {
    for (const channel of this.#channels.values()) if (channel.person?.id === person.id) return channel.id;
    return this.#newChannel({ type: channelType.dm, person });
  }

  delete(messageId: string): void {
    this.messages.delete(messageId);
  }

  /** Sends the event of a message once more, as a second delivery does. */
  redeliver(messageId: string): void {
    this.#announce("MESSAGE_CREATE", this.#stored(messageId));
  }

  /** Breaks all gateway connections; what happens meanwhile is replayed to the clients that resume. */
  dropGateway(): void {
    for (const socket of this.#gateway.clients) socket.terminate();
  }

  /** The links of all attachments that were given so far stop working. */
  expireLinks(): void {
    this.#signature += 1;
  }

  /** As some minutes after a post: the same nonce makes a new message. */
  forgetNonces(): void {
    this.#nonces.clear();
  }

  // What the test sees

  /** What the bot shows in a channel now, oldest first. */
  shown(channelId: string = this.channelId): StoredMessage[] {
    return [...this.messages.values()].filter(
      (message) => message.channel_id === channelId && message.author.id === this.bot.id,
    );
  }

  fail(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /**
   * The next call that was answered and not yet returned by this method, waited for if there is none yet.
   * @param matches looks also at what the call has done.
   */
  async next(
    method: string,
    path: RegExp,
    matches: (call: RestCall) => boolean = () => true,
  ): Promise<RestCall> {
    return this.until(() => {
      const call = this.calls.find(
        (one) =>
          !this.#read.has(one) &&
          one.status !== undefined &&
          one.method === method &&
          path.test(one.path) &&
          matches(one),
      );
      if (call !== undefined) this.#read.add(call);
      return call;
    });
  }

  /** Resolves when `look` finds something; it looks after each call and gateway event. */
  until<T>(look: () => T | undefined | false, withinMs?: number): Promise<T> {
    return this.#watch.until(look, withinMs);
  }

  /** How many gateway sessions have a living connection. */
  get connected(): number {
    return [...this.#sessions.values()].filter(({ socket }) => socket !== undefined).length;
  }

  // The gateway

  #connect(socket: WebSocket): void {
    let session: Session | undefined;
    const send = (payload: object) => socket.send(JSON.stringify(payload));
    send({ op: 10, d: { heartbeat_interval: 45_000 } });
    socket.on("message", (data) => {
      const { op, d } = JSON.parse(String(data));
      if (op === 1) send({ op: 11 });
      if (op === 2) {
        if (d.token !== this.token) return socket.close(4004);
        if (this.closesWith !== undefined) return socket.close(this.closesWith);
        session = { id: this.#newId(), intents: d.intents, log: [], events: 0, socket };
        this.#sessions.set(session.id, session);
        this.#greet(session, d.shard);
      }
      if (op === 6) {
        session = this.#sessions.get(d.session_id);
        if (session === undefined) return send({ op: 9, d: false });
        session.socket = socket;
        for (const event of session.log) if (event.s > d.seq) send(event);
        this.#dispatch(session, "RESUMED", {});
      }
      return undefined;
    });
    socket.on("close", () => {
      const left = session;
      if (left?.socket === socket) {
        left.socket = undefined;
        setTimeout(() => left.socket ?? this.#sessions.delete(left.id), keptMs).unref();
      }
      this.#watch.happened();
    });
  }

  #greet(session: Session, shard: unknown): void {
    this.#dispatch(session, "READY", {
      v: 10,
      user: { ...this.#user(this.bot), verified: true, mfa_enabled: false },
      session_id: session.id,
      resume_gateway_url: `ws://${this.host}`,
      guilds: [{ id: this.guildId, unavailable: true }],
      application: { id: this.bot.id, flags: 0 },
      shard,
    });
    if ((session.intents & intent.guilds) === 0) return;
    const channels = [...this.#channels.values()].filter((channel) => channel.guild_id !== undefined);
    this.#dispatch(session, "GUILD_CREATE", {
      id: this.guildId,
      name: "A guild",
      owner_id: "1",
      roles: [this.#role(this.guildId, "@everyone"), this.#role(this.botRoleId, "helper", this.bot.id)],
      channels: channels.filter(({ type }) => type === channelType.text),
      threads: channels.filter(({ id }) => id === this.threadId).map((channel) => this.#thread(channel)),
      members: [{ user: this.#user(this.bot), ...botMember }],
      ...{ emojis: [], stickers: [], presences: [], voice_states: [], stage_instances: [] },
      ...{ guild_scheduled_events: [], soundboard_sounds: [], features: [], member_count: 3, large: false },
    });
  }

  #role(id: string, name: string, botId?: string): object {
    const colors = { primary_color: 0, secondary_color: null, tertiary_color: null };
    const tags = botId === undefined ? {} : { tags: { bot_id: botId } };
    return {
      id,
      name,
      color: 0,
      colors,
      hoist: false,
      position: 0,
      permissions: "0",
      managed: false,
      ...tags,
    };
  }

  #thread(channel: Channel): object {
    const archive = { archived: false, locked: false, auto_archive_duration: 60 };
    return {
      ...channel,
      owner_id: "1",
      message_count: 0,
      member_count: 1,
      thread_metadata: { ...archive, archive_timestamp: "2026-01-01T00:00:00.000Z" },
    };
  }

  #user({ id, username, bot }: Person): object {
    return { id, username, discriminator: "0", global_name: username, avatar: null, ...(bot ? { bot } : {}) };
  }

  #dispatch(session: Session, t: string, d: unknown): void {
    session.events += 1;
    const event = { op: 0 as const, t, s: session.events, d };
    session.log.push(event);
    if (session.log.length > keptEvents) session.log.shift();
    session.socket?.send(JSON.stringify(event));
    this.#watch.happened();
  }

  /** To each session as much of a message's event as its intents allow. */
  #announce(t: string, message: StoredMessage): void {
    const { guild_id } = this.#channel(message.channel_id);
    for (const session of this.#sessions.values()) {
      const needed = guild_id === undefined ? intent.directMessages : intent.guildMessages;
      if ((session.intents & needed) === 0) continue;
      this.#dispatch(session, t, this.#payload(message, session.intents));
    }
  }

  #payload(message: StoredMessage, intents: number = intent.messageContent): object {
    const { pings, author, attachments, ...rest } = message;
    const { guild_id, type } = this.#channel(message.channel_id);
    const mentioned = pings.includes(this.bot.id) || author.id === this.bot.id;
    const readable = guild_id === undefined || mentioned || (intents & intent.messageContent) !== 0;
    const referenced = this.messages.get(message.message_reference?.message_id ?? "");
    return {
      ...rest,
      author: this.#user(author),
      content: readable ? message.content : "",
      attachments: readable ? attachments.map((attachment) => this.#attachment(attachment)) : [],
      ...(referenced === undefined ? {} : { referenced_message: this.#payload(referenced, intents) }),
      // With DMs the real gateway sends the channel's type too, and discord.js drops those without it.
      channel_type: type,
      ...(guild_id === undefined ? {} : { guild_id, member: { ...botMember, roles: [] } }),
    };
  }

  #attachment({ bytes: _, ...attachment }: StoredAttachment): object {
    const url = `http://${this.host}/attachments/${attachment.id}/${attachment.filename}?sig=${this.#signature}`;
    return { ...attachment, url, proxy_url: url };
  }

  // Messages

  #arrive(author: Person, content: string, channelId: string, options: SendOptions): string {
    const { replyTo, replyPings = true, webhookId, type } = options;
    const replied = replyTo === undefined ? undefined : this.#stored(replyTo);
    const mentions = [...content.matchAll(/<@!?(\d+)>/g)].map(([, id = ""]) => id);
    if (replied !== undefined && replyPings) mentions.push(replied.author.id);
    const users = new Set(mentions);
    const roles = [...content.matchAll(/<@&(\d+)>/g)].map(([, id = ""]) => id);
    const message = this.#store({
      channelId,
      author,
      content,
      pings: [...users, ...roles],
      attachments: (options.attachments ?? []).map(({ name, type: content_type, bytes }) => ({
        ...{ id: this.#newId(), filename: name, content_type, size: bytes.byteLength, bytes },
      })),
      replyTo: replied?.id,
      fields: {
        type: type ?? (replied === undefined ? 0 : 19),
        mentions: [...users].map((id) =>
          id === this.bot.id ? this.#user(this.bot) : this.#user({ id, username: id }),
        ),
        mention_roles: roles,
        ...(webhookId === undefined ? {} : { webhook_id: webhookId }),
      },
    });
    return message.id;
  }

  #store(message: {
    channelId: string;
    author: Person;
    content: string;
    pings: string[];
    attachments?: StoredAttachment[];
    replyTo?: string | undefined;
    nonce?: string;
    flags?: number;
    fields?: object;
  }): StoredMessage {
    const { channelId, replyTo } = message;
    const stored: StoredMessage = {
      id: this.#newId(),
      channel_id: channelId,
      author: message.author,
      content: message.content,
      nonce: message.nonce,
      timestamp: new Date().toISOString(),
      edited_timestamp: null,
      ...{ tts: false, mention_everyone: false, mentions: [], mention_roles: [], embeds: [], components: [] },
      ...{ pinned: false, type: 0, flags: message.flags ?? 0 },
      attachments: message.attachments ?? [],
      pings: message.pings,
      ...(replyTo === undefined ? {} : { message_reference: { message_id: replyTo, channel_id: channelId } }),
      ...message.fields,
    };
    this.messages.set(stored.id, stored);
    this.#announce("MESSAGE_CREATE", stored);
    return stored;
  }

  #stored(id: string): StoredMessage {
    const message = this.messages.get(id);
    if (message === undefined) throw new Refusal(404, 10_008, "Unknown Message");
    return message;
  }

  #channel(id: string): Channel {
    const channel = this.#channels.get(id);
    if (channel === undefined) throw new Refusal(404, 10_003, "Unknown Channel");
    return channel;
  }

  #newChannel(channel: Omit<Channel, "id">): string {
    const id = this.#newId();
    this.#channels.set(id, { id, ...channel });
    return id;
  }

  #newId(): string {
    this.#lastId += 1n;
    return String(((BigInt(Date.now()) - 1_420_070_400_000n) << 22n) + this.#lastId);
  }

  // REST

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = await receive(request);
    if (received === undefined) return undefined;
    const { pathname, searchParams } = new URL(request.url ?? "/", `http://${this.host}`);
    if (pathname.startsWith("/attachments/")) return this.#serveFile(pathname, searchParams, response);
    const text = received.toString();
    const call: RestCall = {
      method: request.method ?? "",
      path: pathname.replace("/api/v10", ""),
      body: text === "" ? {} : JSON.parse(text),
      at: performance.now(),
      process: request.headers["x-process"]?.toString(),
    };
    this.calls.push(call);
    const fault = this.#faultOf(call) ?? this.faultOf(call);
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
    await fault?.until;
    let status = 200;
    let body: unknown;
    let messageId: string | undefined;
    const headers: Record<string, string> = { "content-type": "application/json" };
    try {
      if (request.headers.authorization !== `Bot ${this.token}`)
        throw new Refusal(401, 0, "401: Unauthorized");
      if (fault?.after === true || !isFailure(fault)) {
        body = this.#answer(call);
        messageId = (body as { id?: string } | undefined)?.id;
      }
      const restFor = fault?.retryAfter ?? fault?.lastFor;
      if (restFor !== undefined) {
        headers["x-ratelimit-limit"] = "5";
        headers["x-ratelimit-remaining"] = "0";
        headers["x-ratelimit-reset-after"] = String(restFor);
      }
      if (fault?.retryAfter !== undefined) {
        status = 429;
        body = { message: "You are being rate limited.", retry_after: fault.retryAfter, global: false };
        headers["retry-after"] = String(fault.retryAfter);
        headers["x-ratelimit-scope"] = "user";
      } else if (fault?.status !== undefined) throw new Refusal(fault.status, fault.code ?? 0, "A fault");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      status = error.status;
      body = { code: error.code, message: error.message };
    }
    if (fault?.drop === true) response.destroy();
    else if (body === undefined) response.writeHead(204).end();
    else response.writeHead(status, headers).end(JSON.stringify(body));
    call.status = fault?.drop === true ? 0 : body === undefined ? 204 : status;
    this.onCall(call, this.messages.get(messageId ?? ""));
    this.#watch.happened();
  }

  #faultOf({ method, path }: RestCall): Fault | undefined {
    const found = this.#faults.find(
      ({ fault, left }) => left > 0 && fault.method === method && fault.path.test(path),
    );
    if (found !== undefined) found.left -= 1;
    return found?.fault;
  }

  #answer({ method, path, body }: RestCall): unknown {
    if (path === "/gateway/bot") {
      const session_start_limit = { total: 1_000, remaining: 1_000, reset_after: 0, max_concurrency: 1 };
      return { url: `ws://${this.host}`, shards: 1, session_start_limit };
    }
    const [, channelId = "", , messageId] =
      /^\/channels\/(\d+)(\/messages(?:\/(\d+))?|\/typing)?$/.exec(path) ?? [];
    const channel = this.#channel(channelId);
    if (path.endsWith("/typing")) return undefined;
    if (path === `/channels/${channelId}`)
      return channel.parent_id === undefined ? channel : this.#thread(channel);
    if (messageId === undefined) return this.#post(channelId, body);
    const message = this.#stored(messageId);
    if (method === "GET") return this.#payload(message);
    if (message.author.id !== this.bot.id)
      throw new Refusal(403, 50_005, "Cannot edit a message of another user");
    if (method === "DELETE") {
      this.messages.delete(messageId);
      return undefined;
    }
    message.content = this.#contentOf(body);
    message.flags = body.flags ?? message.flags;
    message.pings.push(...pinged(message.content, body));
    this.#announce("MESSAGE_UPDATE", message);
    return this.#payload(message);
  }

  #post(channelId: string, body: RestBody): object {
    const content = this.#contentOf(body);
    if (body.nonce !== undefined && String(body.nonce).length > 25)
      throw new Refusal(400, 50_035, "Invalid nonce");
    const earlier = this.#nonces.get(body.nonce ?? "");
    if (body.enforce_nonce === true && earlier !== undefined) return this.#payload(earlier);
    const reference = body.message_reference;
    const replied = this.messages.get(reference?.message_id ?? "");
    if (reference !== undefined && replied === undefined && reference.fail_if_not_exists !== false) {
      throw new Refusal(400, 50_035, "Invalid message_reference");
    }
    const pings = pinged(content, body);
    if (replied !== undefined && body.allowed_mentions?.replied_user !== false) pings.push(replied.author.id);
    const message = this.#store({
      ...{ channelId, author: this.bot, content, pings, replyTo: replied?.id },
      ...(body.nonce === undefined ? {} : { nonce: body.nonce }),
      ...(body.flags === undefined ? {} : { flags: body.flags }),
    });
    if (body.nonce !== undefined) this.#nonces.set(body.nonce, message);
    return this.#payload(message);
  }

  /** Discord trims what it is given. */
  #contentOf({ content = "" }: RestBody): string {
    if (content.trim() === "") throw new Refusal(400, 50_006, "Cannot send an empty message");
    if ([...content].length > 2_000) throw new Refusal(400, 50_035, "Must be 2000 or fewer in length.");
    return content.trim();
  }

  #serveFile(pathname: string, query: URLSearchParams, response: ServerResponse): void {
    const [, , id] = pathname.split("/");
    const attachments = [...this.messages.values()].flatMap((message) => message.attachments);
    const found = attachments.find((attachment) => attachment.id === id);
    if (found === undefined || query.get("sig") !== String(this.#signature)) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": "application/octet-stream" }).end(found.bytes);
  }
}

function isFailure(fault: Fault | undefined): boolean {
  return fault?.retryAfter !== undefined || fault?.status !== undefined || fault?.drop === true;
}

/** Whom a bot's message notifies: everybody named in it, unless `allowed_mentions` says otherwise. */
function pinged(content: string, { allowed_mentions }: RestBody): string[] {
  const { parse = ["everyone", "users", "roles"] } = allowed_mentions ?? {};
  const found = {
    everyone: content.match(/@(everyone|here)/g) ?? [],
    users: content.match(/<@!?\d+>/g) ?? [],
    roles: content.match(/<@&\d+>/g) ?? [],
  };
  return Object.entries(found).flatMap(([kind, names]) => (parse.includes(kind) ? names : []));
}
