// The mapper

export type { Clock } from "./clock.ts";
export { SessionMapper } from "./mapper.ts";
export type { MapperOptions } from "./options.ts";
export type { InLane, Mapping } from "./session/mapping.ts";

// Who speaks, and what they say

export type { PersonSession } from "./adapter/person-session.ts";
export type { FileInput } from "./backends/backend.ts";
export type { JsonObject, JsonValue } from "./json.ts";
export type { Overlap } from "./lane/machine.ts";
export type { Scope, ScopedSpeaker } from "./speaker/scope.ts";
export type { Speaker } from "./speaker/speaker.ts";
export type { Message } from "./turn/message.ts";
export type { Answer, Middleware, TurnContext, TurnLocals } from "./turn/middleware.ts";

// What is answered

export { Reply } from "./turn/reply.ts";
export type { NoticeCode, ReplyEvent } from "./turn/reply-event.ts";

// What aparte itself says, logs and tells

export { AparteError, type AparteErrorCode, type AparteErrorOptions } from "./errors.ts";
export type { FieldsFirstLogger, Logger } from "./logger.ts";
export type { TextCode, TextTable } from "./texts/english.ts";
export type { TextFacts, Texts, TextsOption } from "./texts/texts.ts";
export type { TurnEvent, TurnFailure } from "./turn/watching.ts";

// What is kept, and for whom

export type { Erasure, SessionExport, SessionFilter, SessionSummary } from "./session/operations.ts";
export type { Rekeyed } from "./speaker/rekeyed.ts";
export { openStore } from "./stores/open.ts";
export type { RedisClient, RedisStoreOptions } from "./stores/redis/index.ts";
export type { TurnLimits } from "./turn/limits.ts";

// Write your own adapter: see aparte/adapter

export type { Adapter } from "./adapter/adapter.ts";

// Write your own backend: see aparte/backend

export type {
  AccessToken,
  AskCall,
  Backend,
  BackendHost,
  ConversationCall,
  FeedbackCall,
  HistoryMessage,
  Located,
  OpenCall,
  RecoverCall,
  Recovered,
  SessionCall,
  SharedToken,
  SharedTokens,
} from "./backends/backend.ts";

// Write your own store

export type { Beat, Commit, Committed, DeadOwner, FoundLane, Rates, Records, Store } from "./stores/store.ts";
