import { randomInt } from "node:crypto";
import type { Fields } from "./fields.ts";
import type { Journal, RecordKind } from "./journal.ts";
import { seconds } from "./protocol.ts";

/** Who a token speaks for. The session splits what one account would otherwise share. */
export interface Identity {
  readonly accountId: string;
  readonly sessionName?: string;
  /** The bots that the token's `scope` allows; all of them when it names none. */
  readonly botIds?: readonly string[];
}

export type MessageType = "question" | "answer" | "function_call" | "tool_response" | "verbose" | "follow_up";

export interface Message {
  readonly id: string;
  readonly conversationId: string;
  readonly sectionId: string;
  /** Empty for a message that was put in without a chat. */
  readonly chatId: string;
  readonly botId: string;
  readonly role: "user" | "assistant";
  readonly type: MessageType;
  readonly content: string;
  readonly contentType: "text" | "object_string";
  readonly metaData: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** What the person thinks of it. */
  feedback?: { readonly type: string; readonly comment?: string };
}

export interface Conversation {
  readonly id: string;
  readonly accountId: string;
  readonly sessionName: string | undefined;
  readonly botId: string;
  readonly connectorId: string;
  name: string;
  readonly metaData: Readonly<Record<string, string>>;
  readonly createdAt: number;
  updatedAt: number;
  sectionId: string;
  /** Orders conversations of the same second. */
  readonly order: number;
}

export type ChatStatus = "created" | "in_progress" | "completed" | "failed" | "requires_action" | "canceled";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  /** The person has to answer it, not a tool. */
  readonly isQuestion?: boolean;
}

export interface Chat {
  readonly id: string;
  readonly conversationId: string;
  readonly botId: string;
  readonly userId: string;
  readonly sectionId: string;
  readonly saved: boolean;
  readonly metaData: Readonly<Record<string, string>>;
  readonly customVariables: Readonly<Record<string, string>>;
  readonly parameters: Fields;
  readonly createdAt: number;
  status: ChatStatus;
  endedAt: number | undefined;
  lastError: { readonly code: number; readonly msg: string };
  toolCalls: readonly ToolCall[];
  /** The words that the agent's plan began with. */
  readonly asked: string;
  /** What was submitted so far, in order. */
  outputs: readonly string[];
  usage: { readonly input: number; readonly output: number };
}

export interface StoredFile {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly bytes: number;
}

export interface Token extends Identity {
  /** Unix seconds; absent for a personal access token. */
  readonly expiresAt?: number;
}

/** What stays the same over restarts when the emulator keeps a file. */
export interface Setup {
  readonly appId: string;
  readonly keyId: string;
  readonly privateKey: string;
  readonly accountId: string;
  readonly personalToken: string;
  readonly botIds: readonly string[];
}

/** Everything the service remembers, in memory, each change written through to the journal if there is one. */
export class CozeState {
  readonly conversations: Map<string, Conversation> = new Map();
  readonly chats: Map<string, Chat> = new Map();
  readonly files: Map<string, StoredFile> = new Map();
  readonly tokens: Map<string, Token> = new Map();
  /** The ids of JWTs already used, with the Unix second after which they are refused as expired anyway. */
  readonly usedJwts: Map<string, number> = new Map();
  /** The chat that runs in each conversation. */
  readonly running: Map<string, string> = new Map();
  setup: Setup | undefined;
  readonly #now: () => number;
  readonly #messages: Map<string, Message[]> = new Map();
  readonly #byOwner: Map<string, Set<Conversation>> = new Map();
  readonly #journal: Journal | undefined;
  #nextId: bigint;
  #order = 0;

  constructor(journal: Journal | undefined, now: () => number) {
    this.#journal = journal;
    this.#now = now;
    // 19 digits, far beyond 2^53, and one after the other: a client that reads them as numbers mixes up its
    // neighbours. Led by the clock, so that a restart does not give an id twice.
    this.#nextId = 7_000_000_000_000_000_000n + BigInt(Date.now()) * 1_000_000n + BigInt(randomInt(900_000));
    for (const { kind, id, value } of journal?.load() ?? []) this.#restore(kind, id, value);
  }

  newId(): string {
    this.#nextId += 1n;
    return String(this.#nextId);
  }

  /** Unix seconds. */
  now(): number {
    return seconds(this.#now());
  }

  saveSetup(setup: Setup): void {
    this.setup = setup;
    this.#journal?.put("setup", "setup", setup);
  }

  addToken(text: string, token: Token): void {
    this.tokens.set(text, token);
    this.#journal?.put("token", text, token);
  }

  dropToken(text: string): void {
    this.tokens.delete(text);
    this.#journal?.drop("token", text);
  }

  addUsedJwt(id: string, expiresAt: number): void {
    this.usedJwts.set(id, expiresAt);
    this.#journal?.put("jti", id, expiresAt);
    if (this.usedJwts.size % 1000 === 0) this.#forgetExpired();
  }

  addConversation(
    draft: Omit<Conversation, "id" | "createdAt" | "updatedAt" | "sectionId" | "order">,
  ): Conversation {
    const at = this.now();
    this.#order += 1;
    const conversation: Conversation = {
      ...draft,
      id: this.newId(),
      createdAt: at,
      updatedAt: at,
      sectionId: this.newId(),
      order: this.#order,
    };
    this.#indexConversation(conversation);
    this.saveConversation(conversation);
    return conversation;
  }

  saveConversation(conversation: Conversation): void {
    this.#journal?.put("conversation", conversation.id, conversation);
  }

  dropConversation(conversation: Conversation): void {
    for (const message of this.messagesOf(conversation.id)) this.#journal?.drop("message", message.id);
    // What was asked stands in the chats, too.
    for (const chat of this.chats.values()) {
      if (chat.conversationId === conversation.id) this.#journal?.drop("chat", chat.id);
    }
    this.#messages.delete(conversation.id);
    this.conversations.delete(conversation.id);
    this.running.delete(conversation.id);
    this.#byOwner.get(ownerKey(conversation))?.delete(conversation);
    this.#journal?.drop("conversation", conversation.id);
  }

  conversationsOf(identity: Identity): readonly Conversation[] {
    return [...(this.#byOwner.get(ownerKey(identity)) ?? [])];
  }

  /** All messages of a conversation, oldest first. */
  messagesOf(conversationId: string): readonly Message[] {
    return this.#messages.get(conversationId) ?? [];
  }

  addMessage(draft: Omit<Message, "id" | "createdAt" | "updatedAt">, id: string = this.newId()): Message {
    const at = this.now();
    const message: Message = { ...draft, id, createdAt: at, updatedAt: at };
    // A chat may outlive its conversation; what it still says is kept nowhere.
    if (!this.conversations.has(message.conversationId)) return message;
    this.#indexMessage(message);
    this.saveMessage(message);
    return message;
  }

  saveMessage(message: Message): void {
    this.#journal?.put("message", message.id, message);
  }

  saveChat(chat: Chat): void {
    this.chats.set(chat.id, chat);
    if (this.conversations.has(chat.conversationId)) this.#journal?.put("chat", chat.id, chat);
  }

  addFile(file: StoredFile): void {
    this.files.set(file.id, file);
    this.#journal?.put("file", file.id, file);
  }

  close(): void {
    this.#journal?.close();
  }

  #restore(kind: RecordKind, id: string, value: unknown): void {
    switch (kind) {
      case "setup":
        this.setup = value as Setup;
        break;
      case "token":
        this.tokens.set(id, value as Token);
        break;
      case "jti":
        this.usedJwts.set(id, value as number);
        break;
      case "conversation":
        this.#indexConversation(value as Conversation);
        this.#order = Math.max(this.#order, (value as Conversation).order);
        break;
      case "message":
        this.#indexMessage(value as Message);
        break;
      case "chat":
        this.#restoreChat(value as Chat);
        break;
      case "file":
        this.files.set(id, value as StoredFile);
        break;
    }
  }

  #restoreChat(chat: Chat): void {
    this.chats.set(chat.id, chat);
    if (chat.status !== "created" && chat.status !== "in_progress") return;
    chat.status = "failed";
    chat.endedAt = this.now();
    chat.lastError = { code: 5000, msg: "the service was restarted while this chat ran" };
  }

  #indexConversation(conversation: Conversation): void {
    this.conversations.set(conversation.id, conversation);
    const key = ownerKey(conversation);
    const owned = this.#byOwner.get(key) ?? new Set();
    owned.add(conversation);
    this.#byOwner.set(key, owned);
  }

  #indexMessage(message: Message): void {
    const messages = this.#messages.get(message.conversationId) ?? [];
    messages.push(message);
    this.#messages.set(message.conversationId, messages);
  }

  #forgetExpired(): void {
    const now = this.now();
    for (const [id, expiresAt] of this.usedJwts) {
      if (expiresAt > now) continue;
      this.usedJwts.delete(id);
      this.#journal?.drop("jti", id);
    }
    for (const [text, token] of this.tokens) {
      if (token.expiresAt !== undefined && token.expiresAt <= now) this.dropToken(text);
    }
  }
}

function ownerKey(owner: { readonly accountId: string; readonly sessionName?: string | undefined }): string {
  return JSON.stringify([owner.accountId, owner.sessionName ?? null]);
}
