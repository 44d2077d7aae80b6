import type { FileInput } from "aparte";
import type { Settings } from "./options.ts";
import { ownHeader } from "./origin.ts";
import { fieldInvalid, Refusal } from "./refusal.ts";
import type { Room } from "./waiting-bytes.ts";

/** What a client says. Who says it is never part of it. */
export interface Said {
  readonly id: string;
  readonly text: string;
  readonly agent?: string;
  readonly channel?: string;
  readonly thread?: string;
  readonly files: readonly FileInput[];
}

const fields = ["id", "text", "agent", "channel", "thread"] as const;

/** The most characters of an id, an agent's name, a channel or a thread. */
const longestName = 256;

type Limits = Pick<Settings, "maxBodySize" | "maxUploadSize" | "maxFiles">;

/**
 * Reads a message from a JSON or multipart body.
 * @throws {AparteError} `input-invalid` with the field's name
 * @param room counts its bytes
 * @throws {Refusal} 413, 415, 429, 503
 */
export async function readSaid(request: Request, limits: Limits, room: Room): Promise<Said> {
  const contentType = request.headers.get("content-type") ?? "";
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
  if (type === "application/json") return saidIn(await readJson(request, limits.maxBodySize, room), []);
  if (type !== "multipart/form-data") {
    throw new Refusal("type-unsupported", (texts) => texts("type-unsupported"));
  }
  // A form of any site may send multipart without being asked; a header of its own it may not.
  if (!request.headers.has(ownHeader)) {
    throw new Refusal("forbidden", (texts) => texts("header-missing", { header: ownHeader }));
  }
  return readForm(await readBytes(request, limits.maxUploadSize, room), contentType, limits.maxFiles);
}

/** The message id of a request about an earlier message. */
export function readId(request: Request): string {
  return checkName("id", new URL(request.url).searchParams.get("id") ?? undefined);
}

async function readJson(request: Request, most: number, room: Room): Promise<unknown> {
  const bytes = await readBytes(request, most, room);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw fieldInvalid("body", "must be JSON");
  }
}

async function readForm(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  maxFiles: number,
): Promise<Said> {
  const form = await new Response(bytes, { headers: { "content-type": contentType } })
    .formData()
    .catch(() => {
      throw fieldInvalid("body", "must be multipart/form-data");
    });
  const values: Record<string, string> = {};
  const files: FileInput[] = [];
  for (const [name, value] of form) {
    if (typeof value === "string") {
      if (Object.hasOwn(values, name)) throw fieldInvalid(name, "is there twice");
      values[name] = value;
      continue;
    }
    if (name !== "files") throw fieldInvalid(name, 'must be a text; files are called "files"');
    if (files.length === maxFiles) throw fieldInvalid("files", `must be at most ${maxFiles}`);
    files.push({
      name: value.name || "file",
      ...(value.type === "" ? {} : { type: value.type }),
      data: new Uint8Array(await value.arrayBuffer()),
    });
  }
  return saidIn({ text: "", ...values }, files);
}

function saidIn(body: unknown, files: readonly FileInput[]): Said {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw fieldInvalid("body", "must be an object { id, text, agent?, channel?, thread? }");
  }
  for (const name of Object.keys(body)) {
    // A `user` that is silently passed over would look as if it counted.
    if (!(fields as readonly string[]).includes(name))
      throw fieldInvalid(name.slice(0, 64), "does not exist here");
  }
  const { id, text, agent, channel, thread } = body as Record<(typeof fields)[number], unknown>;
  if (typeof text !== "string") throw fieldInvalid("text", "must be a text");
  return {
    id: checkName("id", id),
    text,
    files,
    ...(agent === undefined ? {} : { agent: checkName("agent", agent) }),
    ...(channel === undefined ? {} : { channel: checkName("channel", channel) }),
    ...(thread === undefined ? {} : { thread: checkName("thread", thread) }),
  };
}

function checkName(field: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= longestName) return value;
  throw fieldInvalid(field, `must be a text of 1 to ${longestName} characters`);
}

async function readBytes(request: Request, most: number, room: Room): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(request.headers.get("content-length") ?? 0) > most) throw tooLarge(most);
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted while it comes: a client may say any length, or none.
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > most) throw tooLarge(most);
    room.add(chunk.byteLength);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function tooLarge(most: number): Refusal {
  return new Refusal("too-large", (texts) => texts("too-large", { most }));
}
