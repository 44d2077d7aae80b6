// The mapper

export type { Adapter } from "./adapter.ts";
// Contracts: write your own backend or adapter
export { type AttachmentSource, attachmentError, fetchAttachment, readAttachment } from "./attachment.ts";
export type {
  AskCall,
  Backend,
  BackendHost,
  ConversationCall,
  FileInput,
  HistoryMessage,
  JsonValue,
  OpenCall,
  RecoverCall,
  Recovered,
  SessionCall,
  SharedToken,
  SharedTokens,
} from "./backend.ts";
export { cut } from "./cut.ts";
// What goes wrong
export { AparteError, type AparteErrorCode, type AparteErrorOptions } from "./errors.ts";
export type { TurnLimits } from "./limits.ts";
export type { Logger } from "./logger.ts";
export type { MapperOptions } from "./mapper-options.ts";
export { optionInvalid, refuseUnknown } from "./options.ts";
// What is answered
export { type NoticeCode, type ReplyEvent, silentNotices, Transcript } from "./reply.ts";
export { ReplyText } from "./reply-text.ts";
export { type Mapping, SessionMapper } from "./session-mapper.ts";
export type { SessionExport, SessionSummary } from "./session-operations.ts";
// Who speaks, and what they say
export type { Scope, ScopedSpeaker, Speaker } from "./speaker.ts";

// Where things are kept
export { openStore } from "./store/open.ts";
export type { RedisStoreOptions } from "./store/redis.ts";
export type { RedisClient } from "./store/redis-connection.ts";
export type {
  Begun,
  ConversationRecord,
  Grant,
  LaneOwner,
  Lanes,
  NewTurn,
  Overlap,
  Rates,
  Records,
  SessionRecord,
  Store,
  TakenTurn,
} from "./store/store.ts";
export { type Message, Reply } from "./turn.ts";
export type { Middleware, Turn } from "./turn-runner.ts";
