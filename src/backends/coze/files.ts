import { AparteError, asAparteError } from "../../errors.ts";
import type { FileInput, SessionCall } from "../backend.ts";
import { aborted } from "../http/deadline.ts";
import { fieldsOf } from "../http/json.ts";
import type { CozeClient } from "./client.ts";
import { idOf } from "./wire.ts";

const imageName = /\.(avif|bmp|gif|heic|heif|jpe?g|png|svg|tiff?|webp)$/i;
/** Voice notes among them: an agent that hears takes them as what was said. */
const audioName = /\.(aac|flac|m4a|mp3|ogg|opus|wav|wma)$/i;

/** What Coze is told that the file is: by its type, or by its name where it has none. */
export function kindOf({ name, type = "" }: FileInput): "image" | "audio" | "file" {
  if (type.startsWith("image/") || (type === "" && imageName.test(name))) return "image";
  if (type.startsWith("audio/") || (type === "" && audioName.test(name))) return "audio";
  return "file";
}

/** Uploads a file and returns its id. A repeat leaves at most a second copy, which Coze drops in time. */
export async function upload(
  client: CozeClient,
  { file, sessionName, signal }: SessionCall & { readonly file: FileInput },
): Promise<string> {
  const bytes = await load(file, signal);
  const form = new FormData();
  form.set("file", new Blob([bytes], { type: file.type ?? "" }), file.name);
  const answer = await client.call({
    method: "POST",
    path: "/v1/files/upload",
    body: form,
    isHarmless: true,
    sessionName,
    signal,
  });
  return idOf(fieldsOf(answer.data).id, "an uploaded file");
}

async function load({ data, load }: FileInput, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (data !== undefined) return new Uint8Array(data);
  if (load === undefined) {
    throw new AparteError("input-invalid", "A file has neither data nor load.", { field: "files" });
  }
  try {
    return new Uint8Array(await load(signal));
  } catch (error) {
    if (signal.aborted) throw aborted(signal);
    throw asAparteError(
      error,
      "input-invalid",
      "A file of the message could not be loaded from its platform.",
    );
  }
}
