// The mapper

export type { Adapter } from "./adapter/adapter.ts";
// Contracts: write your own backend or adapter
export {
  type AttachmentSource,
  attachmentError,
  fetchAttachment,
  readAttachment,
} from "./adapter/attachment.ts";
export { cut } from "./adapter/cut.ts";
export { ReplyText } from "./adapter/reply-text.ts";
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
} from "./backends/backend.ts";
export { optionInvalid, refuseUnknown } from "./check.ts";
// What goes wrong
export { AparteError, type AparteErrorCode, type AparteErrorOptions } from "./errors.ts";
export type { Logger } from "./logger.ts";
export { type Mapping, SessionMapper } from "./mapper.ts";
export type { MapperOptions } from "./options.ts";
export type { SessionExport, SessionSummary } from "./session/operations.ts";
// Who speaks, and what they say
export type { Scope, ScopedSpeaker, Speaker } from "./speaker/speaker.ts";
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
} from "./stores/old-store.ts";
// Where things are kept
export { openStore } from "./stores/open.ts";
export type { RedisClient } from "./stores/redis/connection.ts";
export type { RedisStoreOptions } from "./stores/redis/index.ts";
export type { TurnLimits } from "./turn/limits.ts";
export { type Message, Reply } from "./turn/message.ts";
// What is answered
export { type NoticeCode, type ReplyEvent, silentNotices, Transcript } from "./turn/reply-event.ts";
export type { Middleware, Turn } from "./turn/turn-runner.ts";
