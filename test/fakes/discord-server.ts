import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type WebSocket, WebSocketServer } from "ws";
import {
  ephemeral,
  type Interaction,
  type InteractionData,
  responseKind,
  storedCommand,
  tokenMs,
  withoutTranslations,
} from "./discord-interactions.ts";
import { RouteLimits } from "./discord-limits.ts";
import { receive } from "./receive.ts";
import { Watch } from "./watch.ts";

/** A REST call that the bot made. */
export interface RestCall {
  readonly method: string;
  /** Without the `/api/v10`. */
  readonly path: string;
  readonly body: RestBody;
  readonly files: readonly File[];
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
  readonly attachments?: readonly { readonly id: number | string; readonly filename?: string }[];
  readonly components?: readonly unknown[];
  readonly [key: string]: unknown;
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

/** An application with its bot. */
export interface ServedBot extends Person {
  readonly token: string;
  /** The role that Discord makes for the bot. */
  readonly roleId: string;
}

export interface StoredMessage {
  readonly id: string;
  readonly channel_id: string;
  readonly author: Person;
  content: string;
  readonly nonce?: string | undefined;
  attachments: StoredAttachment[];
  readonly message_reference?: { type?: number; message_id: string; channel_id: string } | undefined;
  readonly message_snapshots?: unknown;
  edited_timestamp?: unknown;
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
  readonly stickers?: readonly string[];
  readonly poll?: { readonly question: string; readonly answers: readonly string[] };
  /** The id of the message that is forwarded; it may be one that the bot cannot see. */
  readonly forwarded?: string;
}

interface Channel {
  readonly id: string;
  readonly type: number;
  readonly name?: string;
  readonly guild_id?: string;
  readonly parent_id?: string;
  /** Of threads: nothing in it can be edited; a post opens it again, unless it is locked. */
  archived?: boolean;
  locked?: boolean;
  /** The permissions that nobody has here. */
  denied?: bigint;
  /** The other one of a direct-message channel. */
  readonly person?: Person;
}

interface Session {
  readonly id: string;
  readonly bot: ServedBot;
  readonly shard: number;
  readonly shards: number;
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
const permission = {
  ViewChannel: 1n << 10n,
  SendMessages: 1n << 11n,
  AttachFiles: 1n << 15n,
  ReadMessageHistory: 1n << 16n,
  CreatePublicThreads: 1n << 35n,
  SendMessagesInThreads: 1n << 38n,
};
const allPermissions = Object.values(permission).reduce((all, one) => all | one);
/** The type of a reference to a forwarded message. */
const forward = 1;
const channelType = { text: 0, dm: 1, publicThread: 11 };
/** How much of a session is kept for its client, and how long when the connection is gone, in milliseconds. */
const keptEvents = 1_000;
const keptMs = 60_000;
const botMember = {
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
  /** The code with which the gateway ends connections that identify themselves. */
  closesWith: number | undefined;
  readonly bot: ServedBot = { id: "100", username: "helper", bot: true, token: "a.bot.token", roleId: "900" };
  /** By token. */
  readonly #bots = new Map<string, ServedBot>([[this.bot.token, this.bot]]);
  readonly guildId: string;
  /** The guild's one channel, and a thread in it. */
  readonly channelId: string;
  readonly threadId: string;
  /** A thread that the gateway has not told of; known by REST alone. */
  readonly hiddenThreadId: string;
  /** How long an interaction waits for its first response, in milliseconds. */
  firstResponseMs = 3_000;
  readonly limits = new RouteLimits();
  readonly calls: RestCall[] = [];
  /** How a call goes wrong that no {@link fail} meets; asked for each, for programs that run for long. */
  faultOf: (call: RestCall) => Fault | undefined = () => undefined;
  /** A call has ended. `message` is what it posted or changed; undefined when it was deleted, or for other calls. */
  onCall: (call: RestCall, message: StoredMessage | undefined) => void = () => {};
  readonly messages = new Map<string, StoredMessage>();
  readonly #server: Server;
  readonly #gateway = new WebSocketServer({ noServer: true });
  readonly #channels = new Map<string, Channel>();
  readonly #guilds = new Set<string>();
  readonly #sessions = new Map<string, Session>();
  /** The bot's posts by nonce. They stay known when they are deleted. */
  readonly #nonces = new Map<string, StoredMessage>();
  readonly #people: Person[] = [];
  readonly #interactions = new Map<string, Interaction>();
  readonly #commands = new Map<string, Record<string, unknown>>();
  readonly #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #read = new Set<RestCall>();
  readonly #watch = new Watch(() =>
    this.calls.map(({ method, path, status }) => `${method} ${path} ${status}`).join("\n"),
  );
  #lastId = 1_000n;
  #signature = 1;
  /** How a link is answered that does not work any more. */
  #expired = 404;
  #hasFiles = true;

  static async start(): Promise<DiscordServer> {
    const server = new DiscordServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  private constructor() {
    this.guildId = this.#newId();
    this.#guilds.add(this.guildId);
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

  /** Another application, whose bot is in the guild, too. */
  addBot(username: string): ServedBot {
    const id = this.#newId();
    const bot = { id, username, bot: true, token: `token.of.${id}`, roleId: this.#newId() };
    this.#bots.set(bot.token, bot);
    return bot;
  }

  /** Another guild, with one channel; of two shards one gets the events of every second guild. */
  addGuild(): { readonly id: string; readonly channelId: string; readonly shard: number } {
    const id = String(BigInt(this.guildId) + (BigInt(this.#guilds.size) << 22n));
    this.#guilds.add(id);
    const channelId = this.#newChannel({ type: channelType.text, name: "general", guild_id: id });
    return { id, channelId, shard: shardOf(id, 2) };
  }

  // What people do

  person(username: string): Person {
    const person = { id: this.#newId(), username };
    this.#people.push(person);
    return person;
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

  directChannel({ id, username }: Person): string {
    for (const channel of this.#channels.values()) if (channel.person?.id === id) return channel.id;
    return this.#newChannel({ type: channelType.dm, person: { id, username } });
  }

  /** A person changes their message. */
  edit(messageId: string, content: string): void {
    const message = this.#stored(messageId);
    message.content = content;
    message.edited_timestamp = new Date().toISOString();
    this.#setMentions(message, []);
    this.#announce("MESSAGE_UPDATE", message);
  }

  delete(messageId: string): void {
    const { channel_id } = this.#stored(messageId);
    this.messages.delete(messageId);
    const { guild_id } = this.#channel(channel_id);
    const event = { id: messageId, channel_id, ...(guild_id === undefined ? {} : { guild_id }) };
    for (const session of this.#sessionsOf(guild_id)) this.#dispatch(session, "MESSAGE_DELETE", event);
  }

  archive(threadId: string, options: { readonly locked?: boolean } = {}): void {
    Object.assign(this.#channel(threadId), { archived: true, locked: options.locked === true });
  }

  /** From now on nobody has some permissions in a channel of the guild. */
  deny(channelId: string, ...names: readonly (keyof typeof permission)[]): void {
    const channel = this.#channel(channelId);
    channel.denied = names.reduce((all, name) => all | permission[name], channel.denied ?? 0n);
    for (const session of this.#sessionsOf(channel.guild_id))
      this.#dispatch(session, "CHANNEL_UPDATE", this.#guildChannel(channel));
  }

  channelName(id: string): string | undefined {
    return this.#channel(id).name;
  }

  isArchived(threadId: string): boolean {
    return this.#channel(threadId).archived === true;
  }

  /** Sends the event of a message once more, as a second delivery does. */
  redeliver(messageId: string): void {
    this.#announce("MESSAGE_CREATE", this.#stored(messageId));
  }

  /** Breaks all gateway connections; what happens meanwhile is replayed to the clients that resume. */
  dropGateway(): void {
    for (const socket of this.#gateway.clients) socket.terminate();
  }

  /** Breaks all gateway connections, and no client can resume: what happens meanwhile is not replayed. */
  endSessions(): void {
    this.#sessions.clear();
    this.dropGateway();
  }

  /** The links of all attachments that were given so far stop working. */
  expireLinks(status = 404): void {
    this.#signature += 1;
    this.#expired = status;
  }

  /** Files are gone, whoever asks for them. */
  loseFiles(): void {
    this.#hasFiles = false;
  }

  /** How many answers to downloads have not ended, and are still read. */
  downloads = 0;

  /** As some minutes after a post: the same nonce makes a new message. */
  forgetNonces(): void {
    this.#nonces.clear();
  }

  /** A person uses a command or a button of a bot. */
  interact(person: Person, use: InteractionData, bot: ServedBot = this.bot): Interaction {
    const { type = 2, data, message, foreignGuild, isGroup = false } = use;
    const channelId = use.channelId ?? this.channelId;
    const id = this.#newId(use.ageMs);
    const interaction: Interaction = {
      ...{ id, token: `token.of.${id}`, person, channelId, bot, madeAt: performance.now() },
    };
    this.#interactions.set(interaction.token, interaction);
    const { guild_id: ownGuild } = this.#channels.get(channelId) ?? {};
    const guildId = foreignGuild ?? ownGuild;
    const user = this.#user(person);
    const isInstalled = foreignGuild === undefined && !isGroup;
    const event = {
      ...{ id, token: interaction.token, application_id: bot.id, type, version: 1, channel_id: channelId },
      channel: { id: channelId, type: guildId === undefined ? (isGroup ? 3 : 1) : 0, permissions: "0" },
      ...(guildId === undefined
        ? { user }
        : { guild_id: guildId, member: { user, ...botMember, roles: [], permissions: "0" } }),
      context: guildId !== undefined ? 0 : isGroup ? 2 : 1,
      authorizing_integration_owners: isInstalled ? { 0: guildId ?? "0" } : { 1: person.id },
      ...{
        app_permissions: String(
          isInstalled ? allPermissions & ~(this.#channels.get(channelId)?.denied ?? 0n) : 0n,
        ),
        locale: use.locale ?? "en-US",
        entitlements: [],
        attachment_size_limit: 10_485_760,
        data,
      },
      ...(message === undefined ? {} : { message }),
    };
    // Where only the person has installed the app, the first shard is told.
    for (const session of this.#sessionsOf(isInstalled ? guildId : undefined, bot))
      this.#dispatch(session, "INTERACTION_CREATE", event);
    return interaction;
  }

  /** An interaction by its token, as it stands now. */
  interaction(token: string): Interaction {
    const found = this.#interactions.get(token);
    if (found === undefined) throw new Error("There is no such interaction.");
    return found;
  }

  /** A message as interactions have it. */
  messagePayload(id: string): object {
    return this.#payload(this.#stored(id), { bot: this.bot, intents: intent.messageContent });
  }

  /** The application's commands, by name. */
  get commands(): ReadonlyMap<string, Record<string, unknown>> {
    return this.#commands;
  }

  // What the test sees

  /** What a bot shows in a channel now, oldest first. */
  shown(channelId: string = this.channelId, bot: Person = this.bot): StoredMessage[] {
    return [...this.messages.values()].filter(
      (message) => message.channel_id === channelId && message.author.id === bot.id,
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
        const bot = this.#bots.get(d.token);
        if (bot === undefined) return socket.close(4004);
        if (this.closesWith !== undefined) return socket.close(this.closesWith);
        const [shard, shards] = d.shard ?? [0, 1];
        session = {
          ...{ id: this.#newId(), bot, shard, shards, intents: d.intents, log: [], events: 0, socket },
        };
        this.#sessions.set(session.id, session);
        this.#greet(session);
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

  #greet(session: Session): void {
    const { shard, shards } = session;
    const guilds = [...this.#guilds].filter((id) => shardOf(id, shards) === shard);
    this.#dispatch(session, "READY", {
      v: 10,
      user: { ...this.#user(session.bot), verified: true, mfa_enabled: false },
      session_id: session.id,
      resume_gateway_url: `ws://${this.host}`,
      guilds: guilds.map((id) => ({ id, unavailable: true })),
      application: { id: session.bot.id, flags: 0 },
      shard: [shard, shards],
    });
    if ((session.intents & intent.guilds) === 0) return;
    for (const id of guilds) this.#tellGuild(session, id);
  }

  #tellGuild(session: Session, guildId: string): void {
    const channels = [...this.#channels.values()].filter((channel) => channel.guild_id === guildId);
    this.#dispatch(session, "GUILD_CREATE", {
      id: guildId,
      name: "A guild",
      owner_id: "1",
      roles: [
        this.#role(guildId, "@everyone"),
        ...[...this.#bots.values()].map(({ roleId, username, id }) => this.#role(roleId, username, id)),
      ],
      channels: channels
        .filter(({ type }) => type === channelType.text)
        .map((channel) => this.#guildChannel(channel)),
      threads: channels.filter(({ id }) => id === this.threadId).map((channel) => this.#thread(channel)),
      members: [{ user: this.#user(session.bot), ...botMember, roles: [session.bot.roleId] }],
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
      permissions: String(allPermissions),
      managed: false,
      ...tags,
    };
  }

  #guildChannel({ denied = 0n, ...channel }: Channel): object {
    const overwrite = { id: channel.guild_id, type: 0, allow: "0", deny: String(denied) };
    return {
      ...channel,
      permission_overwrites: [overwrite],
      last_message_id: this.#lastMessage(channel.id),
    };
  }

  #thread(channel: Channel): object {
    const { archived = false, locked = false, ...rest } = channel;
    const archive = { archived, locked, auto_archive_duration: 60 };
    return {
      ...rest,
      last_message_id: this.#lastMessage(channel.id),
      owner_id: "1",
      message_count: 0,
      member_count: 1,
      thread_metadata: { ...archive, archive_timestamp: "2026-01-01T00:00:00.000Z" },
    };
  }

  #user({ id, username, bot }: Person): object {
    return { id, username, discriminator: "0", global_name: username, avatar: null, ...(bot ? { bot } : {}) };
  }

  #lastMessage(channelId: string): string | null {
    return [...this.messages.values()].findLast(({ channel_id }) => channel_id === channelId)?.id ?? null;
  }

  #dispatch(session: Session, t: string, d: unknown): void {
    session.events += 1;
    const event = { op: 0 as const, t, s: session.events, d };
    session.log.push(event);
    if (session.log.length > keptEvents) session.log.shift();
    session.socket?.send(JSON.stringify(event));
    this.#watch.happened();
  }

  /** Each guild is one shard's; direct messages are the first one's. */
  #sessionsOf(guildId: string | undefined, bot?: ServedBot): Session[] {
    return [...this.#sessions.values()].filter(
      (session) =>
        session.shard === shardOf(guildId, session.shards) && (bot === undefined || session.bot === bot),
    );
  }

  /** To each session as much of a message's event as its intents allow. */
  #announce(t: string, message: StoredMessage): void {
    const { guild_id } = this.#channel(message.channel_id);
    for (const session of this.#sessionsOf(guild_id)) {
      const needed = guild_id === undefined ? intent.directMessages : intent.guildMessages;
      if ((session.intents & needed) === 0) continue;
      this.#dispatch(session, t, this.#payload(message, session));
    }
  }

  #payload(message: StoredMessage, to: { readonly intents: number; readonly bot: Person }): object {
    const { pings, author, attachments, message_snapshots, poll, ...rest } = message;
    const { guild_id, type } = this.#channel(message.channel_id);
    const mentioned = pings.includes(to.bot.id) || author.id === to.bot.id;
    const readable = guild_id === undefined || mentioned || (to.intents & intent.messageContent) !== 0;
    const referenced = this.messages.get(message.message_reference?.message_id ?? "");
    const { type: kind } = message.message_reference ?? {};
    return {
      ...rest,
      author: this.#user(author),
      content: readable ? message.content : "",
      attachments: readable ? attachments.map((attachment) => this.#attachment(attachment)) : [],
      ...(readable && message_snapshots !== undefined ? { message_snapshots } : {}),
      ...(readable && poll !== undefined ? { poll } : {}),
      ...(referenced === undefined || kind === forward
        ? {}
        : { referenced_message: this.#payload(referenced, to) }),
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
    const { replyTo, replyPings = true, webhookId, type, stickers = [], poll, forwarded } = options;
    const replied = replyTo === undefined ? undefined : this.#stored(replyTo);
    const message = this.#store({
      channelId,
      author,
      content,
      pings: [],
      attachments: (options.attachments ?? []).map(({ name, type: content_type, bytes }) => ({
        ...{ id: this.#newId(), filename: name, content_type, size: bytes.byteLength, bytes },
      })),
      replyTo: replied?.id,
      fields: {
        type: type ?? (replied === undefined ? 0 : 19),
        sticker_items: stickers.map((name) => ({ id: this.#newId(), name, format_type: 1 })),
        ...(poll === undefined ? {} : { poll: pollOf(poll) }),
        ...(webhookId === undefined ? {} : { webhook_id: webhookId }),
        ...(forwarded === undefined ? {} : this.#forward(this.#stored(forwarded))),
      },
      prepare: (made) =>
        this.#setMentions(made, replied !== undefined && replyPings ? [replied.author.id] : []),
    });
    return message.id;
  }

  /** Whom a person's message mentions: those that its words name, and further ones. */
  #setMentions(message: StoredMessage, further: readonly string[]): void {
    const named = [...message.content.matchAll(/<@!?(\d+)>/g)].map(([, id = ""]) => id);
    const users = [...new Set([...named, ...further])];
    const roles = [...message.content.matchAll(/<@&(\d+)>/g)].map(([, id = ""]) => id);
    const known = [...this.#bots.values(), ...this.#people];
    message.pings.splice(0, message.pings.length, ...users, ...roles);
    Object.assign(message, {
      mentions: users.map((id) => this.#user(known.find((one) => one.id === id) ?? { id, username: id })),
      mention_roles: roles,
    });
  }

  /** A forwarded message comes as a copy, without its author. */
  #forward(message: StoredMessage): object {
    const { content, attachments, timestamp, edited_timestamp, channel_id, id } = message;
    const files = attachments.map((attachment) => this.#attachment(attachment));
    const copy = { type: 0, content, embeds: [], attachments: files, timestamp, edited_timestamp, flags: 0 };
    return {
      message_reference: { type: forward, message_id: id, channel_id },
      message_snapshots: [{ message: { ...copy, mentions: [], mention_roles: [] } }],
    };
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
    /** Completes the message before anybody sees it. */
    prepare?: (message: StoredMessage) => void;
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
      ...(replyTo === undefined
        ? {}
        : { message_reference: { type: 0, message_id: replyTo, channel_id: channelId } }),
      ...message.fields,
    };
    message.prepare?.(stored);
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

  #newId(ageMs = 0): string {
    this.#lastId += 1n;
    return String(((BigInt(Date.now() - ageMs) - 1_420_070_400_000n) << 22n) + this.#lastId);
  }

  // REST

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = await receive(request);
    if (received === undefined) return undefined;
    const { pathname, searchParams } = new URL(request.url ?? "/", `http://${this.host}`);
    if (pathname.startsWith("/attachments/")) return this.#serveFile(pathname, searchParams, response);
    const { body: sent, files } = await readBody(request, received);
    const bot = this.#bots.get((request.headers.authorization ?? "").replace(/^Bot /, ""));
    const call: RestCall = {
      method: request.method ?? "",
      path: decodeURIComponent(pathname.replace("/api/v10", "")),
      body: sent,
      files,
      at: performance.now(),
      process: request.headers["x-process"]?.toString(),
    };
    this.calls.push(call);
    let allowance = this.limits.take(call.method, call.path);
    const fault = allowance.isRefused ? undefined : (this.#faultOf(call) ?? this.faultOf(call));
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
    await fault?.until;
    let status = 200;
    let body: unknown;
    let messageId: string | undefined;
    try {
      if (!allowance.isRefused && (fault?.after === true || !isFailure(fault))) {
        body = this.#respond(call, bot, searchParams);
        messageId = (body as { id?: string } | undefined)?.id;
      }
      const restFor = fault?.retryAfter ?? fault?.lastFor;
      if (restFor !== undefined) allowance = this.limits.rest(call.method, call.path, restFor);
      if (fault?.retryAfter !== undefined || (allowance.isRefused && fault === undefined)) {
        status = 429;
        const { retryAfter } = allowance;
        body = { message: "You are being rate limited.", retry_after: retryAfter, global: false };
      } else if (fault?.status !== undefined) throw new Refusal(fault.status, fault.code ?? 0, "A fault");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      status = error.status;
      body = { code: error.code, message: error.message };
    }
    if (fault?.drop === true) response.destroy();
    else if (body === undefined) response.writeHead(204, allowance.headers).end();
    else {
      const headers = { "content-type": "application/json", ...allowance.headers };
      response.writeHead(status, headers).end(JSON.stringify(body));
    }
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

  /** Interactions are answered by their token, everything else by the bot's. */
  #respond(call: RestCall, bot: ServedBot | undefined, query: URLSearchParams): unknown {
    const [, kind, , token = "", , id] =
      /^\/(interactions|webhooks)\/(\d+)\/([^/]+)(\/callback|\/messages\/([^/]+))?$/.exec(call.path) ?? [];
    if (kind === undefined) {
      if (bot === undefined) throw new Refusal(401, 0, "401: Unauthorized");
      return this.#answer(call, bot, query);
    }
    const interaction = this.#interactions.get(token);
    if (interaction === undefined) throw new Refusal(404, 10_062, "Unknown interaction");
    return kind === "interactions"
      ? this.#firstResponse(interaction, call)
      : this.#follow(interaction, call, id);
  }

  #firstResponse(interaction: Interaction, { body }: RestCall): unknown {
    if (performance.now() - interaction.madeAt > this.firstResponseMs)
      throw new Refusal(404, 10_062, "Unknown interaction");
    if (interaction.response !== undefined)
      throw new Refusal(400, 40_060, "Interaction has already been acknowledged.");
    const { type, data = {} } = body as {
      type?: number;
      data?: RestBody & { choices?: Interaction["choices"] };
    };
    interaction.response = type ?? 0;
    if (type === responseKind.choices) interaction.choices = data.choices ?? [];
    if (type === responseKind.message)
      interaction.original = this.#post(interaction.channelId, data, [], interaction.bot);
    if (type === responseKind.deferred) {
      const { channelId, bot: author } = interaction;
      const flags = (data.flags ?? 0) | 128;
      interaction.original = this.#store({ channelId, author, content: "", pings: [], flags });
    }
    return undefined;
  }

  #follow(interaction: Interaction, { method, body, files }: RestCall, id: string | undefined): unknown {
    if (interaction.isExpired === true || performance.now() - interaction.madeAt > tokenMs)
      throw new Refusal(401, 50_027, "Invalid Webhook Token");
    const reader = { bot: interaction.bot, intents: intent.messageContent };
    if (id === undefined) {
      if (body.nonce !== undefined || body.message_reference !== undefined)
        throw new Refusal(400, 50_035, "Webhooks know neither nonces nor references");
      return this.#payload(this.#post(interaction.channelId, body, files, interaction.bot), reader);
    }
    const message = id === "@original" ? interaction.original : this.messages.get(id);
    if (message === undefined) throw new Refusal(404, 10_015, "Unknown Webhook");
    if (method === "DELETE") {
      this.messages.delete(message.id);
      return undefined;
    }
    message.content = this.#contentOf(body, files);
    message.flags = (message.flags & ephemeral) | (body.flags ?? 0);
    if (body.attachments !== undefined)
      message.attachments = this.#uploaded(body, files, message.attachments);
    if (body.components !== undefined) Object.assign(message, { components: body.components });
    return this.#payload(message, reader);
  }

  #command(method: string, bot: ServedBot, body: RestBody, query: URLSearchParams): unknown {
    if (method === "GET") {
      const commands = [...this.#commands.values()];
      return query.get("with_localizations") === "true" ? commands : commands.map(withoutTranslations);
    }
    const command = storedCommand(this.#newId(), bot, body);
    this.#commands.set(String(body.name), command);
    return command;
  }

  #answer(call: RestCall, bot: ServedBot, query: URLSearchParams): unknown {
    const { method, path, body, files } = call;
    if (path === "/gateway/bot") {
      const session_start_limit = { total: 1_000, remaining: 1_000, reset_after: 0, max_concurrency: 1 };
      return { url: `ws://${this.host}`, shards: 1, session_start_limit };
    }
    if (path === `/applications/${bot.id}/commands`) return this.#command(method, bot, body, query);
    if (path === "/users/@me/channels") return this.#directChannelOf(String(body.recipient_id));
    const [, parentId = "", starterId] = /^\/channels\/(\d+)\/messages\/(\d+)\/threads$/.exec(path) ?? [];
    if (starterId !== undefined) return this.#openThread(parentId, starterId, body, bot);
    const [, channelId = "", rest, messageId] =
      /^\/channels\/(\d+)(\/messages(?:\/(\d+))?|\/typing)?$/.exec(path) ?? [];
    const channel = this.#channel(channelId);
    if (rest === "/typing") return undefined;
    if (rest === undefined) {
      if (method === "PATCH") this.#open(channel);
      return channel.parent_id === undefined ? this.#guildChannel(channel) : this.#thread(channel);
    }
    const reader = { bot, intents: this.#intentsOf(bot) };
    if (messageId === undefined) {
      if (method === "GET") return this.#list(channelId, query).map((one) => this.#payload(one, reader));
      this.#assertPermitted(channel, "SendMessages");
      if (files.length > 0) this.#assertPermitted(channel, "AttachFiles");
      this.#open(channel);
      const posted = this.#post(channelId, body, files, bot);
      if (channel.parent_id !== undefined) this.#join(channel, bot);
      return this.#payload(posted, reader);
    }
    const message = this.#stored(messageId);
    if ((message.flags & ephemeral) !== 0) throw new Refusal(404, 10_008, "Unknown Message");
    if (method === "GET") return this.#payload(message, reader);
    if (message.author.id !== bot.id) throw new Refusal(403, 50_005, "Cannot edit a message of another user");
    if (channel.archived === true) throw new Refusal(400, 50_083, "Thread is archived");
    if (method === "DELETE") {
      this.messages.delete(messageId);
      return undefined;
    }
    message.content = this.#contentOf(body, files);
    message.flags = body.flags ?? message.flags;
    if (body.components !== undefined) Object.assign(message, { components: body.components });
    if (body.attachments !== undefined)
      message.attachments = this.#uploaded(body, files, message.attachments);
    message.pings.push(...pinged(message.content, body));
    this.#announce("MESSAGE_UPDATE", message);
    return this.#payload(message, reader);
  }

  /** A thread has the id of the message at which it begins. */
  #openThread(parentId: string, id: string, { name }: RestBody, bot: ServedBot): object {
    const parent = this.#channel(parentId);
    this.#assertPermitted(parent, "CreatePublicThreads");
    if (this.#stored(id).channel_id !== parentId) throw new Refusal(404, 10_008, "Unknown Message");
    if (this.#channels.has(id))
      throw new Refusal(400, 160_004, "A thread has already been created for this message");
    if (typeof name !== "string" || name === "" || name.length > 100)
      throw new Refusal(400, 50_035, "Invalid name");
    const thread = {
      type: channelType.publicThread,
      guild_id: parent.guild_id ?? this.guildId,
      parent_id: parentId,
      name,
    };
    this.#channels.set(id, { id, ...thread });
    for (const session of this.#sessionsOf(parent.guild_id))
      this.#dispatch(session, "THREAD_CREATE", { ...this.#thread(this.#channel(id)), newly_created: true });
    this.#join(this.#channel(id), bot);
    return this.#thread(this.#channel(id));
  }

  /** Who posts in a thread becomes a member of it. */
  #join({ id, guild_id }: Channel, bot: ServedBot): void {
    const member = { id, user_id: bot.id, join_timestamp: botMember.joined_at, flags: 0 };
    const event = { id, guild_id, member_count: 1, added_members: [member] };
    for (const session of this.#sessionsOf(guild_id, bot))
      this.#dispatch(session, "THREAD_MEMBERS_UPDATE", event);
  }

  #directChannelOf(personId: string): object {
    const person = this.#people.find(({ id }) => id === personId);
    if (person === undefined) throw new Refusal(400, 50_033, "Invalid Recipient(s)");
    return this.#channel(this.directChannel(person));
  }

  /** The content of messages that REST gives is subject to the application's intents, too. */
  #intentsOf(bot: ServedBot): number {
    return [...this.#sessions.values()].findLast((session) => session.bot === bot)?.intents ?? 0;
  }

  #assertPermitted({ denied = 0n }: Channel, name: keyof typeof permission): void {
    if ((denied & permission[name]) !== 0n) throw new Refusal(403, 50_013, "Missing Permissions");
  }

  #open(channel: Channel): void {
    if (channel.locked === true) throw new Refusal(403, 160_005, "Thread is locked");
    channel.archived = false;
  }

  /** A page of a channel's messages, the newest one first. */
  #list(channelId: string, query: URLSearchParams): StoredMessage[] {
    const after = BigInt(query.get("after") ?? 0);
    const found = [...this.messages.values()].filter(
      ({ channel_id, id, flags }) =>
        channel_id === channelId && BigInt(id) > after && (flags & ephemeral) === 0,
    );
    const limit = Number(query.get("limit") ?? 50);
    return (query.has("after") ? found.slice(0, limit) : found.slice(-limit)).reverse();
  }

  #post(channelId: string, body: RestBody, files: readonly File[], bot: ServedBot): StoredMessage {
    const content = this.#contentOf(body, files);
    if (body.nonce !== undefined && String(body.nonce).length > 25)
      throw new Refusal(400, 50_035, "Invalid nonce");
    const nonce = body.nonce === undefined ? undefined : `${bot.id} ${channelId} ${body.nonce}`;
    const earlier = this.#nonces.get(nonce ?? "");
    if (body.enforce_nonce === true && earlier !== undefined) return earlier;
    const reference = body.message_reference;
    const replied = this.messages.get(reference?.message_id ?? "");
    if (replied !== undefined && replied.channel_id !== channelId)
      throw new Refusal(400, 50_035, "Cannot reply to a message of another channel");
    if (reference !== undefined && replied === undefined && reference.fail_if_not_exists !== false) {
      throw new Refusal(400, 50_035, "Invalid message_reference");
    }
    const pings = pinged(content, body);
    if (replied !== undefined && body.allowed_mentions?.replied_user !== false) pings.push(replied.author.id);
    const message = this.#store({
      ...{ channelId, author: bot, content, pings, replyTo: replied?.id },
      attachments: this.#uploaded(body, files, []),
      ...(body.nonce === undefined ? {} : { nonce: body.nonce }),
      ...(body.flags === undefined ? {} : { flags: body.flags }),
      fields: { components: body.components ?? [] },
    });
    if (nonce !== undefined) this.#nonces.set(nonce, message);
    return message;
  }

  /** The files of a message: those that come along, and those of the earlier ones that are named. */
  #uploaded(
    { attachments = [] }: RestBody,
    files: readonly File[],
    earlier: readonly StoredAttachment[],
  ): StoredAttachment[] {
    return attachments.flatMap(({ id }) => {
      const file = files[Number(id)] as (File & { readonly content: Uint8Array }) | undefined;
      if (file === undefined) return earlier.filter((attachment) => attachment.id === String(id));
      if (file.size > 10 * 1024 * 1024) throw new Refusal(413, 40_005, "Request entity too large");
      const { name, type, size, content } = file;
      return [{ id: this.#newId(), filename: name, content_type: type, size, bytes: content }];
    });
  }

  /** Discord trims what it is given. */
  #contentOf({ content = "" }: RestBody, files: readonly File[]): string {
    if (content.trim() === "" && files.length === 0)
      throw new Refusal(400, 50_006, "Cannot send an empty message");
    if ([...content].length > 2_000) throw new Refusal(400, 50_035, "Must be 2000 or fewer in length.");
    return content.trim();
  }

  #serveFile(pathname: string, query: URLSearchParams, response: ServerResponse): void {
    const [, , id] = pathname.split("/");
    const attachments = [...this.messages.values()].flatMap((message) => message.attachments);
    const found = attachments.find((attachment) => attachment.id === id);
    if (found === undefined || query.get("sig") !== String(this.#signature) || !this.#hasFiles) {
      // Whoever does not want it need not wait for its end.
      this.downloads += 1;
      response.once("close", () => {
        this.downloads -= 1;
        this.#watch.happened();
      });
      response.writeHead(this.#expired).write("This content is no longer available.");
    } else response.writeHead(200, { "content-type": "application/octet-stream" }).end(found.bytes);
  }
}

async function readBody(
  { headers }: IncomingMessage,
  bytes: Buffer,
): Promise<{ readonly body: RestBody; readonly files: readonly File[] }> {
  const type = headers["content-type"] ?? "";
  if (!type.startsWith("multipart/form-data")) {
    return { body: bytes.byteLength === 0 ? {} : JSON.parse(bytes.toString()), files: [] };
  }
  const form = await new Response(new Uint8Array(bytes), { headers: { "content-type": type } }).formData();
  const files: File[] = [];
  for (let index = 0; ; index += 1) {
    const file = form.get(`files[${index}]`);
    if (!(file instanceof File)) break;
    files.push(Object.assign(file, { content: new Uint8Array(await file.arrayBuffer()) }));
  }
  return { body: JSON.parse(String(form.get("payload_json"))), files };
}

function shardOf(guildId: string | undefined, shards: number): number {
  return guildId === undefined ? 0 : Number((BigInt(guildId) >> 22n) % BigInt(shards));
}

function isFailure(fault: Fault | undefined): boolean {
  return fault?.retryAfter !== undefined || fault?.status !== undefined || fault?.drop === true;
}

/** https://discord.com/developers/docs/resources/poll#poll-object */
function pollOf({ question, answers }: NonNullable<SendOptions["poll"]>): object {
  return {
    question: { text: question },
    answers: answers.map((text, index) => ({ answer_id: index + 1, poll_media: { text } })),
    ...{ expiry: null, allow_multiselect: false, layout_type: 1 },
  };
}

/** Whom a bot's message notifies: everybody named in it, unless `allowed_mentions` says otherwise. */
function pinged(content: string, { allowed_mentions }: RestBody): string[] {
  const { parse = ["everyone", "users", "roles"] } = allowed_mentions ?? {};
  const found = {
    everyone: content.match(/@(everyone|here)/g) ?? [],
    users: content.match(/<@!?\d+>/g) ?? [],
    roles: content.match(/<@&\d+>/g) ?? [],
  };
  if (parse.some((kind) => !Object.hasOwn(found, kind))) throw new Refusal(400, 50_035, "Invalid parse");
  return Object.entries(found).flatMap(([kind, names]) => (parse.includes(kind) ? names : []));
}
