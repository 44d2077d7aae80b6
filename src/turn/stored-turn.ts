import type { Adapter } from "../adapter/adapter.ts";
import type { FileInput, JsonValue } from "../backends/backend.ts";
import type { ScopedSpeaker } from "../speaker/speaker.ts";
import type { Message } from "./message.ts";

/** A turn as it is kept in its lane: all that another process needs to run it. */
export type StoredTurn =
  /** A message of a person. */
  | {
      readonly v: 1;
      readonly speaker: ScopedSpeaker;
      readonly message: StoredMessage;
      /** Whether an adapter delivers the reply, and not the caller. */
      readonly isDelivered: boolean;
    }
  /** An operation on the session (reset, rename …), whose caller died with its process. */
  | { readonly v: 1; readonly operation: string };

interface StoredMessage extends Omit<Message, "files"> {
  readonly files?: readonly StoredFile[];
}

interface StoredFile {
  readonly name: string;
  readonly type?: string;
  readonly ref?: JsonValue;
}

export function storeMessage(message: Message, speaker: ScopedSpeaker, isDelivered: boolean): StoredTurn {
  const { id, platform, tenant, user, channel, thread, text, agent, replyTo, files } = message;
  const stored = {
    ...{ id, platform, tenant, user, text },
    ...(channel === undefined ? {} : { channel }),
    ...(thread === undefined ? {} : { thread }),
    ...(agent === undefined ? {} : { agent }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(files === undefined || files.length === 0 ? {} : { files: files.map(storeFile) }),
  };
  return { v: 1, speaker, message: stored, isDelivered };
}

export function storeOperation(operation: string): StoredTurn {
  return { v: 1, operation };
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
