import { type Fields, fieldsOf, numberOf, parsed, textOf } from "../http/json.ts";
import { retryAfterOf } from "../http/repeat.ts";
import { type CozeFailure, type FailureFacts, refusal } from "./failure.ts";

/**
 * The whole answer where it is Coze's and tells of success.
 * @param text of its body
 * @throws {CozeFailure}
 */
export function readAnswer(
  response: Response,
  text: string,
  failureOf: (facts: FailureFacts) => CozeFailure = refusal,
): Fields {
  const body = fieldsOf(parsed(text));
  const number = numberOf(body.code);
  // The cancel call's documented answer has no code.
  if (response.ok && (number === 0 || (number === undefined && "data" in body))) return body;
  throw failureOf({
    number: number === 0 ? undefined : number,
    status: response.status,
    words: textOf(body.msg),
    logid: logidOf(response, body),
    retryAfterMs: retryAfterOf(response),
  });
}

export function logidOf(response: Response, body: Fields): string | undefined {
  return textOf(fieldsOf(body.detail).logid) || response.headers.get("x-tt-logid") || undefined;
}
