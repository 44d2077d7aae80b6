import { Refusal } from "./protocol.ts";

/** The members of a JSON body, not yet believed. */
export type Fields = Readonly<Record<string, unknown>>;

const maxBodyCharacters = 15 * 1024 * 1024;

/** Reads a JSON body. No body at all is an empty one: `clear` and `create` are called so. */
export async function readBody(request: Request): Promise<Fields> {
  const text = await request.text();
  if (text.length > maxBodyCharacters) throw new Refusal(4000, "The request body exceeds 15 MB", 413);
  if (text.trim() === "") return {};
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get("content-type") ?? "")) {
    throw new Refusal(4000, "Content-Type must be application/json");
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refusal(4000, "The request body is not valid JSON");
  }
  return asFields(body, "request body");
}

export function asFields(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(4000, `Invalid parameter ${name}: an object is expected`);
  }
  return value as Fields;
}

export function asList(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new Refusal(4000, `Invalid parameter ${name}: an array is expected`);
  return value;
}

/** Ids travel as strings only: a number has already lost its last digits. */
export function optionalText(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new Refusal(4000, `Invalid parameter ${name}: a string is expected`);
  return value;
}

export function requiredText(fields: Fields, name: string): string {
  const value = optionalText(fields, name);
  if (value === undefined || value === "") throw new Refusal(4000, `The field ${name} is required`);
  return value;
}

export function requiredQuery(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null || value === "") throw new Refusal(4000, `The parameter ${name} is required`);
  return value;
}

export function optionalFlag(fields: Fields, name: string, otherwise: boolean): boolean {
  const value = fields[name];
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== "boolean") throw new Refusal(4000, `Invalid parameter ${name}: a boolean is expected`);
  return value;
}

/** An integer between two bounds, from a body (number) or a query (digits). */
export function optionalInteger(
  value: unknown,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly otherwise: number },
): number {
  if (value === undefined || value === null) return bounds.otherwise;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number) || number < bounds.min || number > bounds.max) {
    throw new Refusal(4000, `Invalid parameter ${name}: an integer from ${bounds.min} to ${bounds.max}`);
  }
  return number;
}

/** At most 100 characters, counted as people count them, not as UTF-16 units. */
export function nameOf(name: string): string {
  if (characters(name) > 100) throw new Refusal(4000, "Invalid parameter name: at most 100 characters");
  return name;
}

/** 16 pairs, keys of 1 to 64 and values of 1 to 512 characters. */
export function metaDataOf(fields: Fields): Readonly<Record<string, string>> {
  const value = fields.meta_data;
  if (value === undefined || value === null) return {};
  const pairs = Object.entries(asFields(value, "meta_data"));
  if (pairs.length > 16) throw new Refusal(4003, "meta_data exceeds 16 pairs");
  return Object.fromEntries(
    pairs.map(([key, text]) => {
      if (characters(key) < 1 || characters(key) > 64)
        throw new Refusal(4003, "meta_data key: 1 to 64 characters");
      if (typeof text !== "string" || characters(text) < 1 || characters(text) > 512) {
        throw new Refusal(4003, "meta_data value: a string of 1 to 512 characters");
      }
      return [key, text];
    }),
  );
}

/** Texts for the prompt; their names are letters and `_`. */
export function customVariablesOf(fields: Fields): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(asFields(fields.custom_variables ?? {}, "custom_variables")).map(([name, value]) => {
      if (!/^[A-Za-z_]+$/.test(name) || typeof value !== "string")
        throw new Refusal(4000, "Invalid parameter custom_variables: texts by names of letters and _");
      return [name, value];
    }),
  );
}

function characters(text: string): number {
  return Array.from(text).length;
}
