import { type Fields, fieldsOf, numberOf, parsed, textOf } from "../http/json.ts";
import { retryAfterOf } from "../http/repeat.ts";
import { type Judge, refusal } from "./failure.ts";

/**
 * The data of a JSON envelope that tells of success. The HTTP status alone says nothing: most refusals come with
 * HTTP 200.
 * @param text of its body
 * @throws {ServiceFailure} for every other answer.
 */
export function readEnvelope(response: Response, text: string, judge: Judge): Fields {
  const { success, data, message, traceId, ...envelope } = fieldsOf(parsed(text));
  const code = numberOf(envelope.code);
  if (success === true && code === 10200) return fieldsOf(data);
  throw refusal(
    {
      status: response.status,
      isEnvelope: code !== undefined || typeof success === "boolean",
      code,
      message: textOf(message) ?? "",
      traceId: textOf(traceId),
      retryAfterMs: retryAfterOf(response),
    },
    judge,
  );
}
