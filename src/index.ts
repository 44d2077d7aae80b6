// The mapper
export { SessionMapper, type Mapping } from "./session-mapper.ts";
export type { MapperOptions } from "./mapper-options.ts";
export type { Middleware, Turn } from "./turn-runner.ts";
export type { SessionExport, SessionSummary } from "./session-operations.ts";

// Who speaks, and what they say
export type { Scope, ScopedSpeaker, Speaker } from "./speaker.ts";
export { type Message, Reply } from "./turn.ts";

// What is answered
export { type NoticeCode, type ReplyEvent, silentNotices, Transcript } from "./reply.ts";
export { cut } from "./cut.ts";

// What goes wrong
export { AparteError, type AparteErrorCode, type AparteErrorOptions } from "./errors.ts";
export type { Logger } from "./logger.ts";

// Where things are kept
export { openStore } from "./store/open.ts";
export type {
  Begun,
  ConversationRecord,
  Grant,
  LaneOwner,
  Lanes,
  NewTurn,
  Overlap,
  Records,
  SessionRecord,
  Store,
  TakenTurn,
} from "./store/store.ts";

// Contracts: write your own backend or adapter
export type { Adapter } from "./adapter.ts";
export type {
  AskCall,
  Backend,
  BackendHost,
  ConversationCall,
  FileInput,
  HistoryMessage,
  JsonValue,
  OpenCall,
  Recovered,
  RecoverCall,
  SessionCall,
  SharedToken,
  SharedTokens,
} from "./backend.ts";
