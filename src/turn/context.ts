import { AparteError } from "../errors.ts";
import type { JsonObject } from "../json.ts";

/** The most bytes of a context, as JSON. */
const maxBytes = 16_384;

/** Deeper than any context of use; what refers to itself has no end. */
const maxDepth = 20;

/**
 * Checks what the agent is to know with a message, since it is kept with the turn as JSON.
 * @throws {AparteError} `input-invalid` with the field `context`, or the one in it that is wrong
 */
export function checkContext(context: unknown): JsonObject {
  if (!isPlain(context)) throw invalid("context", "must be an object");
  checkJson(context, "context", 0);
  if (Buffer.byteLength(JSON.stringify(context)) > maxBytes)
    throw invalid("context", `has more than ${maxBytes} bytes`);
  return context as JsonObject;
}

function checkJson(value: unknown, field: string, depth: number): void {
  if (depth > maxDepth) throw invalid("context", `is more than ${maxDepth} levels deep`);
  if (value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value))
    return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkJson(item, `${field}[${index}]`, depth + 1);
  } else if (isPlain(value)) {
    for (const [name, member] of Object.entries(value)) checkJson(member, `${field}.${name}`, depth + 1);
  } else throw invalid(field, "must be what JSON can say; leave out what is not known");
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function invalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Message field "${field}" ${problem}.`, { field });
}
