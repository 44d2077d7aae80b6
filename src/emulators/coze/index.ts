import { EventEmitter, setMaxListeners } from "node:events";
import type { Emulator } from "../emulator.ts";
import { chanceOf } from "../kit/chance.ts";
import { type CozeJwt, createAuth, newPrivateKey, newToken } from "./auth.ts";
import { chatRoutes } from "./chat.ts";
import { saidIn } from "./content.ts";
import { conversationRoutes, type Desk } from "./conversations.ts";
import { type CozeFault, type CozeFaultHandle, createFaults, hostileFaults } from "./faults.ts";
import { fileRoutes } from "./files.ts";
import { openJournal } from "./journal.ts";
import { messageRoutes } from "./messages.ts";
import { type CozeEmulatorOptions, type ReadOptions, readOptions } from "./options.ts";
import { Refusal } from "./protocol.ts";
import { type CozeRequest, startServer } from "./server.ts";
import {
  type Chat,
  type ChatStatus,
  type Conversation,
  CozeState,
  type MessageType,
  type Setup,
} from "./state.ts";

export type { CozeJwt } from "./auth.ts";
export type { CozeFault, CozeFaultHandle } from "./faults.ts";
export type { CozeBot, CozeEmulatorOptions } from "./options.ts";
export type { CozeRequest } from "./server.ts";

/** A message as the emulator keeps it. */
export interface CozeMessage {
  readonly id: string;
  /** Empty when it was put in without a chat. */
  readonly chatId: string;
  readonly sectionId: string;
  readonly role: "user" | "assistant";
  readonly type: MessageType;
  /** The words; of a message with files, its text item. */
  readonly text: string;
  /** The names of its files. */
  readonly files: readonly string[];
}

/** A conversation as the emulator keeps it. */
export interface CozeConversation {
  readonly id: string;
  readonly botId: string;
  /** The session that made it; undefined for a token without one. */
  readonly sessionName: string | undefined;
  readonly accountId: string;
  readonly name: string;
  readonly metaData: Readonly<Record<string, string>>;
  readonly connectorId: string;
  readonly sectionId: string;
  /** Oldest first, of all sections and types. */
  readonly messages: readonly CozeMessage[];
}

/** A chat as the emulator keeps it. */
export interface CozeChat {
  readonly id: string;
  readonly conversationId: string;
  readonly botId: string;
  readonly userId: string;
  readonly customVariables: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly status: ChatStatus;
  readonly lastErrorCode: number;
}

/** What {@link CozeEmulator.once} can wait for. */
export interface CozeEvents {
  /** A request came in; nothing is done yet. */
  readonly request: CozeRequest;
  /** The token endpoint accepted a JWT. */
  readonly token: CozeJwt;
  /** A conversation was opened; the answer is not sent yet. */
  readonly conversation: CozeConversation;
  /** A chat begins, or goes on after its tool outputs. */
  readonly chat: CozeChat;
  /** A chat has come to `completed`, `failed` or `requires_action`, or a cancelled one to its last word. */
  readonly "chat-ended": CozeChat;
}

/** A local stand-in for the Coze Open API, with an OAuth app, an account and bots of its own. */
export interface CozeEmulator extends Emulator {
  /** The OAuth app's id: the JWT's `iss`. */
  readonly appId: string;
  /** The public key's fingerprint: the JWT's `kid`. */
  readonly keyId: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** The first bot. */
  readonly botId: string;
  readonly botIds: readonly string[];
  /** A `pat_` token without a session, that does not expire: what isolation looks like without JWT. */
  readonly personalToken: string;

  /** How many tokens were given out. */
  readonly tokensIssued: number;
  /** How many JWTs were accepted. */
  readonly signatures: number;
  /** The accepted JWTs' claims, oldest first; the last 10,000. */
  jwts(): readonly CozeJwt[];
  /** The requests, oldest first; the last 10,000. */
  requests(): readonly CozeRequest[];
  /** All conversations, oldest first. */
  conversations(): readonly CozeConversation[];
  /** All chats, oldest first. */
  chats(): readonly CozeChat[];
  /** Resolves with the next event of this kind (that `filter` lets pass). */
  once<Name extends keyof CozeEvents>(
    event: Name,
    filter?: (value: CozeEvents[Name]) => boolean,
  ): Promise<CozeEvents[Name]>;

  /**
   * Makes the next request that fits go wrong. Several wait in line; each request meets one.
   * @throws {AparteError} `option-invalid` for a member that does not exist.
   */
  fail(fault: CozeFault): CozeFaultHandle;
  /** Makes every token given out so far (of this session, if one is named) worthless: 401 with code 4100. */
  expireTokens(sessionName?: string): void;
  /** Deletes a conversation behind its owner's back; false when there is none. */
  deleteConversation(id: string): boolean;
}

const keptEntries = 10_000;

/**
 * Starts a Coze stand-in on a loopback port. It is as strict as the service is known to be; its agent is described
 * in `agent.ts`.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong, the port is taken, or the file cannot be opened.
 */
export async function startCozeEmulator(options: CozeEmulatorOptions = {}): Promise<CozeEmulator> {
  const settings = readOptions(options);
  const { host, now } = settings;
  const journal = settings.persist === undefined ? undefined : await openJournal(settings.persist);
  const state = new CozeState(journal, now);
  const closing = new AbortController();
  // Each running chat and held request listens, and there may be thousands.
  setMaxListeners(0, closing.signal);
  const { hostile } = settings;
  const faults = createFaults(hostile && chanceOf(hostile.seed, hostile.share ?? 0.3, hostileFaults));
  const events = new EventEmitter().setMaxListeners(0);
  const requests: CozeRequest[] = [];
  const jwts: CozeJwt[] = [];
  let signatures = 0;

  const emit = <Name extends keyof CozeEvents>(event: Name, make: () => CozeEvents[Name]): void => {
    if (events.listenerCount(event) > 0) events.emit(event, make());
  };
  const keep = <Entry>(list: Entry[], entry: Entry): void => {
    list.push(entry);
    if (list.length > 2 * keptEntries) list.splice(0, list.length - keptEntries);
  };

  try {
    const setup = await readSetup(state, settings);
    const published = new Map(
      setup.botIds.map((id, index) => [id, settings.bots[index]?.published ?? true] as const),
    );
    const server = await startServer({
      host,
      port: settings.port,
      state,
      faults,
      closing: closing.signal,
      now,
      onRequest(request) {
        keep(requests, request);
        emit("request", () => request);
      },
      routes(port) {
        const auth = createAuth({
          state,
          setup,
          now,
          audiences: audiencesOf(settings, port),
          tokenTtlSeconds: settings.tokenTtlSeconds,
          onToken(jwt) {
            signatures += 1;
            keep(jwts, jwt);
            emit("token", () => jwt);
          },
        });
        const desk: Desk = {
          state,
          identify: auth.identify,
          checkBot(botId, identity) {
            const isPublished = published.get(botId);
            if (isPublished === undefined) throw new Refusal(4006, "bot not found");
            if (identity.botIds?.includes(botId) === false)
              throw new Refusal(4101, "the token's scope lacks this bot");
            if (!isPublished) throw new Refusal(4015, "the bot is not published to the API channel");
          },
          onConversation: (conversation) => emit("conversation", () => conversationView(state, conversation)),
        };
        return [
          ...auth.routes,
          ...conversationRoutes(desk),
          ...messageRoutes(desk),
          ...fileRoutes(desk, settings.maxFileBytes),
          ...chatRoutes({
            desk,
            wordDelayMs: settings.wordDelayMs,
            closing: closing.signal,
            onChat: (chat) => emit("chat", () => chatView(chat)),
            onChatEnd: (chat) => emit("chat-ended", () => chatView(chat)),
          }),
        ];
      },
    });

    const { appId, keyId, privateKey, personalToken, botIds } = setup;
    return {
      baseURL: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
      appId,
      keyId,
      privateKey,
      personalToken,
      botIds,
      botId: botIds[0] ?? "",
      get tokensIssued() {
        return signatures;
      },
      get signatures() {
        return signatures;
      },
      jwts: () => jwts.slice(-keptEntries),
      requests: () => requests.slice(-keptEntries).map((request) => ({ ...request })),
      conversations: () => [...state.conversations.values()].map((each) => conversationView(state, each)),
      chats: () => [...state.chats.values()].map(chatView),
      once: (event, filter) =>
        new Promise((resolve) => {
          const listener = (value: CozeEvents[typeof event]) => {
            if (filter !== undefined && !filter(value)) return;
            events.off(event, listener);
            resolve(value);
          };
          events.on(event, listener);
        }),
      fail: (fault) => faults.add(fault),
      expireTokens(sessionName) {
        for (const [text, token] of state.tokens) {
          if (text === personalToken) continue;
          if (sessionName === undefined || token.sessionName === sessionName) state.dropToken(text);
        }
      },
      deleteConversation(id) {
        const conversation = state.conversations.get(id);
        if (conversation !== undefined) state.dropConversation(conversation);
        return conversation !== undefined;
      },
      async close() {
        if (closing.signal.aborted) return;
        closing.abort();
        await server.close();
        state.close();
      },
    };
  } catch (error) {
    state.close();
    throw error;
  }
}

async function readSetup(state: CozeState, { bots, privateKey }: ReadOptions): Promise<Setup> {
  const before = state.setup;
  const setup: Setup = {
    appId: before?.appId ?? state.newId(),
    keyId: before?.keyId ?? newToken("pat").slice(4),
    privateKey: privateKey ?? before?.privateKey ?? (await newPrivateKey()),
    accountId: before?.accountId ?? state.newId(),
    personalToken: before?.personalToken ?? newToken("pat"),
    botIds: bots.map(({ id }, index) => id ?? before?.botIds[index] ?? state.newId()),
  };
  state.saveSetup(setup);
  state.addToken(setup.personalToken, { accountId: setup.accountId });
  return setup;
}

function audiencesOf({ host, region }: ReadOptions, port: number): readonly string[] {
  const regions = region === undefined ? ["api.coze.cn", "api.coze.com"] : [`api.coze.${region}`];
  return [...regions, ...[host, "localhost"].flatMap((own) => [own, `${own}:${port}`])];
}

function conversationView(state: CozeState, conversation: Conversation): CozeConversation {
  const { id, botId, sessionName, accountId, name, metaData, connectorId, sectionId } = conversation;
  const messages = state.messagesOf(id).map((message) => {
    const said = saidIn(message, state);
    return {
      id: message.id,
      chatId: message.chatId,
      sectionId: message.sectionId,
      role: message.role,
      type: message.type,
      text: said.text,
      files: said.attachments.map((attachment) => attachment.name),
    };
  });
  return { id, botId, sessionName, accountId, name, metaData, connectorId, sectionId, messages };
}

function chatView({ lastError, ...chat }: Chat): CozeChat {
  const { id, conversationId, botId, userId, customVariables, parameters, status } = chat;
  return {
    ...{ id, conversationId, botId, userId, customVariables, parameters, status },
    lastErrorCode: lastError.code,
  };
}
