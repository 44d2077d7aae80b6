/** Anything `JSON.stringify` keeps whole. What goes into the store is of this type. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;

/** An object of it. */
export type JsonObject = { readonly [key: string]: JsonValue };
