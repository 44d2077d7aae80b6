import type { Adapter } from "../adapter/adapter.ts";
import type { AskCall, FileInput } from "../backends/backend.ts";
import { AparteError } from "../errors.ts";
import { isJson, type JsonObject, type JsonValue } from "../json.ts";
import type { ScopedSpeaker } from "../speaker/scope.ts";
import { checkSpeaker, isFrom, type Speaker, speakerOf } from "../speaker/speaker.ts";
import { checkContext } from "./context.ts";

/** One message of a speaker. */
export interface Message<Agent extends string = string> extends Speaker {
  /** Names the event: a second delivery with the same id is known and not handled again. Not empty. */
  readonly id: string;
  /** What was said. May be empty when there are files. */
  readonly text: string;
  readonly files?: readonly FileInput[];
  /** The agent to ask, before any route and the person's own choice. */
  readonly agent?: Agent;
  /**
   * What the agent is to know with this message: name, language, plan, time zone … At most 16 KiB of JSON, kept with the
   * turn. Coze gets it as `custom_variables` and `parameters`, Dialogflow CX as session parameters.
   */
  readonly context?: JsonObject;
  /** Where the reply goes, in the adapter's own terms, so that another process can deliver it. */
  readonly replyTo?: JsonValue;
  /** Stops the turn when it is aborted. Not kept: another process goes on with the turn without it. */
  readonly signal?: AbortSignal;
}

/**
 * Checks that a value is a message.
 * @throws {AparteError} `input-invalid` with the field's name.
 */
export function checkMessage(message: Message): void {
  checkSpeaker(message);
  if (typeof message.id !== "string" || message.id === "")
    throw invalid("id", "must be a string that is not empty");
  if (typeof message.text !== "string") throw invalid("text", "must be a string");
  if (message.agent !== undefined && typeof message.agent !== "string")
    throw invalid("agent", "must be a string");
  if (message.signal !== undefined && !(message.signal instanceof AbortSignal))
    throw invalid("signal", "must be an AbortSignal");
  if (message.context !== undefined) checkContext(message.context);
  if (message.replyTo !== undefined && !isJson(message.replyTo)) throw invalid("replyTo", "must be JSON");
  const { files = [] } = message;
  if (!Array.isArray(files)) throw invalid("files", "must be a list");
  for (const [index, file] of files.entries()) checkFile(file, `files[${index}]`);
  if (message.text.trim() === "" && files.length === 0)
    throw invalid("text", "is empty and there are no files");
}

function checkFile(file: FileInput, field: string): void {
  if (typeof file !== "object" || file === null || typeof file.name !== "string" || file.name === "") {
    throw invalid(`${field}.name`, "must be a string that is not empty");
  }
  const hasData = file.data instanceof Uint8Array;
  if (!hasData && typeof file.load !== "function")
    throw invalid(field, "needs `data` (bytes) or a `load` function");
  if (file.ref !== undefined && !isJson(file.ref)) throw invalid(`${field}.ref`, "must be JSON");
}

function invalid(field: string, problem: string): AparteError {
  return new AparteError("input-invalid", `Message field "${field}" ${problem}.`, { field });
}

/** The event's name in its lane. A shared lane has several people and bots, and their ids may be equal. */
export function eventKey({ platform, bot, tenant, user, id }: Message): string {
  return JSON.stringify([platform, bot, tenant, user, id]);
}

/** Messages with equal keys may be answered together: they are for one agent, and their answer goes to one place. */
export function mergeKey({ platform, bot, tenant, agent, channel, thread }: Message): string {
  return JSON.stringify([platform, bot, tenant, agent, channel, thread]);
}

/** The message as a lane's document keeps it. */
export interface StoredMessage extends Omit<Message, "files" | "signal"> {
  readonly files?: readonly StoredFile[];
}

/** A message's turn as its lane's document keeps it. */
export interface StoredTurn {
  readonly v: 1;
  readonly speaker: ScopedSpeaker;
  readonly message: StoredMessage;
  /** The message goes to the person, and no agent is asked. */
  readonly isOutgoing?: true;
}

/** Whether a turn, as its lane has it, is somebody's question there. */
export function isAsked(body: JsonValue, speaker: Speaker): boolean {
  const { message, isOutgoing } = body as unknown as StoredTurn;
  return isOutgoing !== true && isFrom(message, speaker);
}

/** What the agent is asked with a message, and with those before it whose words its turn carries. */
export function saidIn(
  messages: readonly Pick<StoredMessage, "text" | "context">[],
): Required<Pick<AskCall, "text" | "context">> {
  const texts = messages.map(({ text }) => text).filter((text) => text !== "");
  return { text: texts.join("\n"), context: Object.assign({}, ...messages.map(({ context }) => context)) };
}

/** The message of a turn, as its lane has it. */
export function storedIn({ body }: { readonly body: JsonValue }): StoredMessage {
  return (body as unknown as StoredTurn).message;
}

interface StoredFile {
  readonly name: string;
  readonly type?: string;
  readonly ref?: JsonValue;
}

export function storeMessage(message: Message): StoredMessage {
  const { id, text, agent, context, replyTo, files } = message;
  return {
    id,
    text,
    ...speakerOf(message),
    ...(agent === undefined ? {} : { agent }),
    ...(context === undefined ? {} : { context }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(files === undefined || files.length === 0 ? {} : { files: files.map(storeFile) }),
  };
}

function storeFile({ name, type, ref }: FileInput): StoredFile {
  return { name, ...(type === undefined ? {} : { type }), ...(ref === undefined ? {} : { ref }) };
}

/** The message again; its files are loaded by the adapter. Undefined where a file's bytes died with the process. */
export function restoreMessage(stored: StoredMessage, adapter: Adapter | undefined): Message | undefined {
  const { files, ...message } = stored;
  if (files === undefined) return message;
  const load = adapter?.loadFile?.bind(adapter);
  const restored: FileInput[] = [];
  for (const { ref, ...file } of files) {
    if (ref === undefined || load === undefined) return undefined;
    restored.push({ ...file, ref, load: (signal) => load(ref, signal) });
  }
  return { ...message, files: restored };
}
