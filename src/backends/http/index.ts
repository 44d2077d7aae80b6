export { aborted, Deadline, pause } from "./deadline.ts";
export { isEventStream, openEvents, type ServerEvent } from "./events.ts";
export {
  type Certainty,
  type FailureOptions,
  inDoubt,
  lost,
  ranPerhaps,
  refusedForGood,
  refusedForNow,
  ServiceFailure,
  serviceWords,
} from "./failure.ts";
export { noAnswer } from "./no-answer.ts";
export { pasted, pastedJson, readPrivateKey } from "./pasted-key.ts";
export { type RepeatOptions, repeating, retryAfterOf } from "./repeat.ts";
export { type OutgoingRequest, send } from "./send.ts";
