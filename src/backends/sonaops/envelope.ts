import { type Judge, refusal } from "./failure.ts";

/** An object of the service's answers, of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The JSON value, or undefined where the text is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The data of a JSON envelope that tells of success. The HTTP status alone says nothing: most refusals come with
 * HTTP 200.
 * @throws {SonaopsFailure} for every other answer.
 */
export async function readEnvelope(response: Response, judge: Judge): Promise<Fields> {
  const envelope = parsed(await response.text());
  const { success, code, data, message, traceId } = fieldsOf(envelope);
  if (success === true && code === 10200) return fieldsOf(data);
  throw refusal(
    {
      status: response.status,
      isEnvelope: typeof code === "number" || typeof success === "boolean",
      code: typeof code === "number" ? code : undefined,
      message: textOf(message) ?? "",
      traceId: textOf(traceId),
      retryAfterMs: retryAfterOf(response),
    },
    judge,
  );
}

/** `Retry-After` in seconds. No page of the service tells of it, but a gateway before it may send one. */
function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(value) ? Number(value) * 1000 : undefined;
}
