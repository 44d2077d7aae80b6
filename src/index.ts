// The mapper

// Write your own adapter
export type { Adapter, DeliveryFailure } from "./adapter/adapter.ts";
export {
  type AttachmentSource,
  attachmentError,
  fetchAttachment,
  readAttachment,
} from "./adapter/attachment.ts";
export { cut } from "./adapter/cut.ts";
export { failureText } from "./adapter/failure-text.ts";
export { type PersonSession, personSession } from "./adapter/person-session.ts";
export { ReplyText } from "./adapter/reply-text.ts";
// Write your own backend
export type {
  AskCall,
  Backend,
  BackendHost,
  ConversationCall,
  FileInput,
  HistoryMessage,
  OpenCall,
  RecoverCall,
  Recovered,
  SessionCall,
  SharedToken,
  SharedTokens,
} from "./backends/backend.ts";
export { optionInvalid, refuseUnknown } from "./check.ts";
// Time, for simulations
export type { Clock } from "./clock.ts";
// What goes wrong
export { AparteError, type AparteErrorCode, type AparteErrorOptions } from "./errors.ts";
export type { JsonValue } from "./json.ts";
export type { Overlap } from "./lane/machine.ts";
export type { FieldsFirstLogger, Logger } from "./logger.ts";
export { type Mapping, SessionMapper } from "./mapper.ts";
export type { MapperOptions } from "./options.ts";
export type { Erasure, SessionExport, SessionSummary } from "./session/operations.ts";
// Who speaks, and what they say
export type { Scope, ScopedSpeaker } from "./speaker/scope.ts";
export type { Speaker } from "./speaker/speaker.ts";
// Where things are kept
export { openStore } from "./stores/open.ts";
export type { RedisClient, RedisStoreOptions } from "./stores/redis/index.ts";
// Write your own store
export type {
  Beat,
  Commit,
  Committed,
  DeadOwner,
  FoundLane,
  Rates,
  Records,
  Store,
} from "./stores/store.ts";
export type { TextCode, TextTable } from "./texts/english.ts";
export type { TextFacts, Texts, TextsOption } from "./texts/texts.ts";
export type { Delivery } from "./turn/delivery.ts";
export type { TurnLimits } from "./turn/limits.ts";
export type { Message } from "./turn/message.ts";
export type { Middleware, TurnContext } from "./turn/middleware.ts";
// What is answered
export { Reply } from "./turn/reply.ts";
export { type NoticeCode, type ReplyEvent, silentNotices, Transcript } from "./turn/reply-event.ts";
export type { TurnEvent } from "./turn/watching.ts";
