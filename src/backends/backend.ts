import type { JsonObject, JsonValue } from "../json.ts";
import type { Texts } from "../texts/texts.ts";
import type { ReplyEvent } from "../turn/reply-event.ts";

export type { JsonObject, JsonValue } from "../json.ts";

/** A file or image that came with a message. Give its bytes, or a way to load them when they are needed. */
export interface FileInput {
  /** The file's name with its ending, e.g. `"photo.png"`. */
  readonly name: string;
  /** MIME type, e.g. `"image/png"`. Without it the backend goes by the name. */
  readonly type?: string;
  readonly data?: Uint8Array;
  /** Loads the bytes; called at most once a turn, only when the turn runs. */
  readonly load?: (signal: AbortSignal) => Promise<Uint8Array>;
  /** What the adapter needs to load the file again in another process, after this one has died. */
  readonly ref?: JsonValue;
}

/** Which session and agent a call is for, and the signal that ends it. */
export interface SessionCall {
  /** The session's pseudonym: ASCII, at most 36 bytes. It is all the service learns about the person. */
  readonly sessionName: string;
  /** The agent's name in the mapper's configuration. */
  readonly agent: string;
  readonly signal: AbortSignal;
  /**
   * Awaited directly before something is sent that must not happen twice, when all else is ready (a token, the rate). A
   * process that stood still meanwhile waits here until it is known whether another one has gone on.
   * @throws {AparteError} `lease-lost` if so: nothing is sent
   */
  readonly permit?: () => Promise<void>;
}

/** A conversation that is to be opened. */
export interface OpenCall extends SessionCall {
  /** A name for the conversation where the service has one. The backend cuts it to the service's limit. */
  readonly title?: string;
}

/** A call about one conversation. */
export interface ConversationCall extends SessionCall {
  readonly conversationId: string;
}

/** One turn, as a backend is asked for it. */
export interface AskCall extends ConversationCall {
  /**
   * Names the turn: ASCII, 22 characters, the same when another process goes on with it. Where the service keeps it,
   * the turn is found there by it.
   */
  readonly turnId: string;
  /** What the person said. May be empty when there are files. */
  readonly text: string;
  readonly files: readonly FileInput[];
  /** aparte's own sentences in the person's language, for notices. @default English */
  readonly texts?: Texts;
  /** What the agent is to know with this turn, by the message or a middleware. The service gets it where it can. */
  readonly context?: JsonObject;
  /** What the backend kept of this conversation's last turn, see {@link AskCall.keep}. */
  readonly state?: JsonValue;
  /** Keeps a backend's own notes (a page, parameters …) with the conversation's record when the turn ends. */
  readonly keep?: (state: JsonValue) => void;
  /**
   * Tells that the service has the turn, and under which id. Kept with the turn, so that another process can
   * fetch the answer after this one has died ({@link Backend.recover}). Need not be awaited.
   */
  readonly note?: (facts: JsonValue) => void;
  /**
   * Waits until a request is within the service's rate, which all processes of this deployment share; those that wait
   * in one process are let through by turns of their tenants. Throws `backend-rate-limited` when that would take too
   * long.
   * @param key of whoever pays for the requests; it holds no secret
   * @param perSecond how many there may be in a second
   */
  readonly pace?: (key: string, perSecond: number) => Promise<void>;
}

/** A turn whose process died, as a backend is asked for what became of it. */
export interface RecoverCall extends AskCall {
  /** What {@link AskCall.note} kept, if the turn got that far. */
  readonly facts?: JsonValue;
}

/** A session's own token for the service. */
export interface AccessToken {
  readonly token: string;
  /** Until when it is used, as Unix time in milliseconds. */
  readonly expiresAt: number;
}

/** Where a conversation's next turn goes at the service. */
export interface Located {
  /** The id that the service knows; it may change from turn to turn where the service lets sessions lapse. */
  readonly conversationId: string;
  /** What has to be sent along with that turn beside the id. Missing where nothing has to. */
  readonly start?: JsonValue;
}

/** What became of a turn whose process died: the answer, or the turn never reached the service, or nobody knows. */
export type Recovered = AsyncIterable<ReplyEvent> | "not-sent" | "unknown";

/** One message of a conversation as the service keeps it, oldest first in {@link Backend.history}. */
export interface HistoryMessage {
  readonly role: "user" | "agent";
  readonly text: string;
  /** Unix time in milliseconds, where the service tells it. */
  readonly at?: number;
}

/** What a person thinks of an answer. */
export interface FeedbackCall extends ConversationCall {
  /** The `id` of the answer's `message` event. */
  readonly answer: string;
  readonly rating: "up" | "down";
  /** What the person says about it. */
  readonly words?: string;
}

/** What a mapper lends a backend before the first turn. */
export interface BackendHost {
  /** Tokens shared by all processes of this deployment. Missing where the store cannot share them safely. */
  readonly sharedTokens?: SharedTokens;
}

/** A shelf for tokens that all processes share. Values are stored encrypted. */
export interface SharedTokens {
  /** The token kept under `key`; undefined when there is none that still lives. Throws when the store fails. */
  get(key: string): Promise<SharedToken | undefined>;
  set(key: string, token: SharedToken): Promise<void>;
  delete(key: string): Promise<void>;
  /**
   * Runs `mint` in one process at a time per key; the others wait and then find the token on the shelf.
   * @param mint signs and exchanges; its result is put on the shelf.
   */
  once(key: string, mint: () => Promise<SharedToken>): Promise<SharedToken>;
}

/** A token on the shelf that all processes share. */
export interface SharedToken {
  readonly token: string;
  /** How long the token may still be used, in milliseconds from now. */
  readonly ttlMs: number;
  /** The keys of tokens that came after it, which lie beside it. */
  readonly followers?: readonly string[];
}

/**
 * Code that speaks to one agent service. A missing member means "this service cannot".
 *
 * A backend knows no chat platform. It throws {@link AparteError} with a `backend-…` or `conversation-…` code
 * and ends every call when `signal` is aborted. It repeats a request only where a repeat cannot run a turn
 * twice.
 */
export interface Backend {
  /** The service's name, e.g. `"coze"`. */
  readonly name: string;

  /** Opens a conversation and returns the service's id for it: an opaque string, never a number. */
  open(session: OpenCall): Promise<string>;

  /**
   * Sends one turn and yields the reply: `text` deltas where the service streams, then one `message` with the
   * whole text of each answer. Throws `conversation-lost` when the service no longer knows the conversation,
   * before anything was said.
   */
  ask(turn: AskCall): AsyncIterable<ReplyEvent>;

  /**
   * Looks at the service for a conversation that {@link Backend.open} made for this session and agent, and
   * whose id was never written (the process died in between). Undefined when there is none.
   */
  find?(session: SessionCall): Promise<string | undefined>;

  /** Gives the conversation another name, and returns the one that it has now, where the service tells it. */
  rename?(conversation: ConversationCall & { readonly title: string }): Promise<string | undefined>;

  /** Makes the agent forget what was said; the conversation and its id stay. */
  clear?(conversation: ConversationCall): Promise<void>;

  /** Deletes the conversation at the service. One that is already gone counts as deleted. */
  remove?(conversation: ConversationCall): Promise<void>;

  /** Forgets what is kept of a session besides its conversations, such as its token: the person is forgotten. */
  forget?(session: { readonly sessionName: string }): Promise<void>;

  /** Gives a file to the service and returns the service's id for it. */
  upload?(session: SessionCall & { readonly file: FileInput }): Promise<string>;

  /**
   * Stops what runs in this conversation at the service, for code that calls the service itself: a turn that is stopped
   * aborts the `signal` of its `ask`. Nothing running is no error.
   */
  cancel?(conversation: ConversationCall & { readonly facts?: JsonValue }): Promise<void>;

  /**
   * Where the next turn would go, for code that calls the service itself. Missing where the conversation's id is all.
   * @param conversation with the state that {@link AskCall.keep} kept
   */
  locate?(conversation: ConversationCall & { readonly state?: JsonValue }): Promise<Located>;

  /** Whether the service still has the conversation. Missing where it cannot be asked. */
  exists?(conversation: ConversationCall): Promise<boolean>;

  /**
   * The session's own access token, for code that calls the service itself; a text where nobody knows its end.
   * @param session with `isFresh` where the one that was given before is of no use: another one then
   */
  accessToken?(session: SessionCall & { readonly isFresh?: boolean }): Promise<string | AccessToken>;

  /** Fetches the answer of a turn that was running when its process died. Never sends the turn. */
  recover?(turn: RecoverCall): Promise<Recovered>;

  /** Tells the service what the person thinks of an answer; a later call replaces it. */
  feedback?(call: FeedbackCall): Promise<void>;

  /**
   * What was said in this conversation, oldest first.
   * @param conversation with the state that {@link AskCall.keep} kept, unless it is one that a reset left
   */
  history?(conversation: ConversationCall & { readonly state?: JsonValue }): Promise<HistoryMessage[]>;

  /**
   * Tries the credentials once, so that a wrong key is told when the program starts and not to the first
   * person. Throws `backend-auth` when they are refused.
   */
  probe?(signal: AbortSignal): Promise<void>;

  /** Called once by each mapper that uses this backend, before any turn. */
  attach?(host: BackendHost): void;
}
