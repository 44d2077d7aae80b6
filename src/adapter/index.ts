// What an adapter is, and what it is given

export type { JsonValue } from "../json.ts";
export { plainTexts, type Texts } from "../texts/texts.ts";
export type { Delivery } from "../turn/delivery.ts";
export type { Adapter, AddressedMessage, DeliveryFailure } from "./adapter.ts";

// Showing a reply

export { silentNotices, Transcript } from "../turn/reply-event.ts";
export { cut } from "./cut.ts";
export { failureOf, failureText } from "./failure-text.ts";
export { oneLine } from "./one-line.ts";
export { deliverPosts, type PostId, type PostingPlatform } from "./posts.ts";
export { ReplyText } from "./reply-text.ts";
export { Showing, type ShowingOptions, type ShowingStep } from "./showing.ts";
export { tablesAsCode } from "./tables.ts";

// Files that come with messages

export { type AttachmentSource, attachmentError, fetchAttachment, readAttachment } from "./attachment.ts";

// Options, and the people's sessions for listeners of the application

export { optionInvalid, refuseUnknown } from "../check.ts";
export { describeError } from "../logger.ts";
export {
  areHosts,
  checkOptions,
  isAboveZero,
  isFlag,
  isFunction,
  isListOf,
  isOneOf,
  isText,
  isWhole,
  type OptionCheck,
  type OptionTable,
} from "./options.ts";
export { type PersonSession, personSession } from "./person-session.ts";
