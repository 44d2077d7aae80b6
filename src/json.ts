/** Anything `JSON.stringify` keeps whole. What goes into the store is of this type. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** A JSON object. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** Whether it can be kept as JSON: what code without types gives may refer to itself, or be a bigint. */
export function isJson(value: unknown): value is JsonValue {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}
