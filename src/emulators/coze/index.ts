import type { Emulator } from "../emulator.ts";
import { Faults } from "../kit/faults.ts";
import { Log, Waiting } from "../kit/log.ts";
import { rsaKeyOfProcess } from "../kit/options.ts";
import { startServer } from "../kit/server.ts";
import { type CozeJwt, createAuth, newToken } from "./auth.ts";
import { chatRoutes } from "./chat.ts";
import { saidIn } from "./content.ts";
import { conversationRoutes, type Service } from "./conversations.ts";
import { type CozeFault, faultRules } from "./faults.ts";
import { fileRoutes } from "./files.ts";
import { openJournal } from "./journal.ts";
import { messageRoutes } from "./messages.ts";
import { type CozeEmulatorOptions, readOptions, type Settings } from "./options.ts";
import { type CozeRequest, Refusal } from "./protocol.ts";
import { serviceOf } from "./server.ts";
import {
  type Chat,
  type ChatStatus,
  type Conversation,
  CozeState,
  type MessageType,
  type Setup,
} from "./state.ts";

export type { CozeJwt } from "./auth.ts";
export type { CozeFault } from "./faults.ts";
export type { CozeBot, CozeEmulatorOptions } from "./options.ts";
export type { CozeRequest } from "./protocol.ts";

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
  /** What the person thinks of it, in Coze's words. */
  readonly feedback?: { readonly type: string; readonly comment?: string };
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
  readonly metaData: Readonly<Record<string, string>>;
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
export interface CozeEmulator extends Emulator<CozeRequest, CozeFault> {
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

  /** How many JWTs were accepted: a token was given out for each. */
  readonly signatures: number;
  /** The accepted JWTs' claims, oldest first; the last 10,000. */
  jwts(): readonly CozeJwt[];
  /** All conversations, oldest first. */
  conversations(): readonly CozeConversation[];
  /** All chats, oldest first. */
  chats(): readonly CozeChat[];
  /** Resolves with the next event of this kind (that `filter` lets pass). */
  once<Name extends keyof CozeEvents>(
    event: Name,
    filter?: (value: CozeEvents[Name]) => boolean,
  ): Promise<CozeEvents[Name]>;

  /** Makes every token given out so far (of this session, if one is named) worthless: 401 with code 4100. */
  expireTokens(sessionName?: string): void;
  /** Deletes a conversation behind its owner's back; false when there is none. */
  deleteConversation(id: string): boolean;
}

/**
 * Starts a Coze stand-in on a loopback port. It is as strict as the service is known to be; its agent tells what it
 * does when it is asked for `help`.
 *
 * @throws {AparteError} `option-invalid` when an option is wrong, the port is taken, or the file cannot be opened.
 */
export async function startCozeEmulator(options: CozeEmulatorOptions = {}): Promise<CozeEmulator> {
  const settings = readOptions(options);
  const { now, port, wordDelayMs } = settings;
  const journal = settings.persist === undefined ? undefined : await openJournal(settings.persist);
  const state = new CozeState(journal, now);
  const jwts = new Log<CozeJwt>();
  const opened = new Waiting<CozeConversation>();
  const begun = new Waiting<CozeChat>();
  const ended = new Waiting<CozeChat>();
  let signatures = 0;
  try {
    const setup = await readSetup(state, settings);
    const published = new Map(
      setup.botIds.map((id, index) => [id, settings.bots[index]?.published ?? true] as const),
    );
    const server = await startServer({
      port,
      faults: new Faults(faultRules, settings.hostile),
      entryOf: ({ method }, { pathname }): CozeRequest => ({ method, path: pathname }),
      service(listensAt, closing) {
        const auth = createAuth({
          state,
          setup,
          now,
          audiences: audiencesOf(settings, listensAt),
          onToken(jwt) {
            signatures += 1;
            jwts.add(jwt);
          },
        });
        const service: Service = {
          state,
          identify: auth.identify,
          checkBot(botId, identity) {
            const isPublished = published.get(botId);
            if (isPublished === undefined) throw new Refusal(4006, "bot not found");
            if (identity.botIds?.includes(botId) === false)
              throw new Refusal(4101, "the token's scope lacks this bot");
            if (!isPublished) throw new Refusal(4015, "the bot is not published to the API channel");
          },
          onConversation: (conversation) => opened.happened(() => conversationView(state, conversation)),
        };
        const routes = [
          ...auth.routes,
          ...conversationRoutes(service),
          ...messageRoutes(service),
          ...fileRoutes(service),
          ...chatRoutes({
            service,
            workflows: settings.workflows,
            limit: limitOf(settings),
            wordDelayMs,
            closing,
            onChat: (chat) => begun.happened(() => chatView(chat)),
            onChatEnd: (chat) => ended.happened(() => chatView(chat)),
          }),
        ];
        return serviceOf(routes, state, now);
      },
    });
    const events: { readonly [Name in keyof CozeEvents]: Waiting<CozeEvents[Name]> } = {
      request: server.log,
      token: jwts,
      conversation: opened,
      chat: begun,
      "chat-ended": ended,
    };
    const { appId, keyId, privateKey, personalToken, botIds } = setup;
    return {
      ...server,
      appId,
      keyId,
      privateKey,
      personalToken,
      botIds,
      botId: botIds[0] ?? "",
      get signatures() {
        return signatures;
      },
      jwts: () => jwts.last,
      conversations: () => [...state.conversations.values()].map((each) => conversationView(state, each)),
      chats: () => [...state.chats.values()].map(chatView),
      once: (event, filter) => events[event].next(filter),
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
        await server.close();
        state.close();
      },
    };
  } catch (error) {
    state.close();
    throw error;
  }
}

async function readSetup(state: CozeState, { bots, privateKey }: Settings): Promise<Setup> {
  const before = state.setup;
  const setup: Setup = {
    appId: before?.appId ?? state.newId(),
    keyId: before?.keyId ?? newToken("pat").slice(4),
    privateKey: privateKey ?? before?.privateKey ?? (await rsaKeyOfProcess()),
    accountId: before?.accountId ?? state.newId(),
    personalToken: before?.personalToken ?? newToken("pat"),
    botIds: bots.map(({ id }, index) => id ?? before?.botIds[index] ?? state.newId()),
  };
  state.saveSetup(setup);
  state.addToken(setup.personalToken, { accountId: setup.accountId });
  return setup;
}

function audiencesOf({ region }: Settings, port: number): readonly string[] {
  return [`api.coze.${region}`, ...["127.0.0.1", "localhost"].flatMap((own) => [own, `${own}:${port}`])];
}

/** Refuses the chats above the account's rate. */
function limitOf({ qps = Number.POSITIVE_INFINITY, now }: Settings): () => void {
  let begun: number[] = [];
  return () => {
    begun = begun.filter((at) => at > now() - 1000);
    if (begun.length >= qps) throw new Refusal(4013, "the request rate exceeds the limit", 429);
    begun.push(now());
  };
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
      ...(message.feedback === undefined ? {} : { feedback: message.feedback }),
    };
  });
  return { id, botId, sessionName, accountId, name, metaData, connectorId, sectionId, messages };
}

function chatView({ lastError, ...chat }: Chat): CozeChat {
  const { id, conversationId, botId, userId, customVariables, parameters, metaData, status } = chat;
  return {
    id,
    conversationId,
    botId,
    userId,
    customVariables,
    parameters,
    metaData,
    status,
    lastErrorCode: lastError.code,
  };
}
