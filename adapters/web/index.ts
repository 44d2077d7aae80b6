export { type WebHandler, web } from "./handler.ts";
export { type JwtSpeakerOptions, jwtSpeaker } from "./jwt.ts";
export type { Wanted, WebOptions, WebSpeaker } from "./options.ts";
export { isForeign } from "./origin.ts";
export type { WebErrorCode } from "./refusal.ts";
