export { type WebHandler, web } from "./handler.ts";
export { type JwtClaims, type JwtSpeakerOptions, jwtSpeaker } from "./jwt.ts";
export type { Wanted, WebOptions, WebSpeaker } from "./options.ts";
export { hostOf, isForeign, ownHeader } from "./origin.ts";
export { failureResponse, Refusal, type WebErrorCode } from "./refusal.ts";
