import type { Service } from "./conversations.ts";
import { type Call, Refusal, type Route } from "./protocol.ts";

// The endings that the service's upload page lists, and other spellings of the same kinds.
const endings = new Set(
  (
    "doc docx xls xlsx ppt pptx pdf numbers csv txt md json cpp py java c " +
    "jpg jpeg jpg2 png gif webp heic heif bmp pcd tiff tif " +
    "wav mp3 flac m4a aac ogg wma midi mid mp4 avi mov 3gp 3gpp flv webm wmv rmvb m4v mkv " +
    "rar zip 7z gz gzip bz2"
  ).split(" "),
);

/** Uploaded files: their names and sizes. The bytes are counted and dropped, since the service never gives them back. */
export function fileRoutes(service: Service): readonly Route[] {
  const { state } = service;

  async function upload({ request }: Call) {
    const identity = service.identify(request);
    const parts = [...(await formOf(request)).values()].filter((part) => typeof part !== "string");
    const [part] = parts;
    if (part === undefined) throw new Refusal(4300, "the upload holds no file");
    if (parts.length > 1) throw new Refusal(4301, "one file per upload");
    if (part.size === 0) throw new Refusal(4300, "the file is empty");
    if (!endings.has(/\.([^.]+)$/.exec(part.name)?.[1]?.toLowerCase() ?? "")) {
      throw new Refusal(4303, "this type of file is not supported");
    }
    const file = { id: state.newId(), accountId: identity.accountId, name: part.name, bytes: part.size };
    state.addFile(file);
    return { data: { id: file.id, bytes: file.bytes, file_name: file.name, created_at: state.now() } };
  }

  return [{ method: "POST", path: "/v1/files/upload", handle: upload }];
}

async function formOf(request: Request) {
  try {
    return await request.formData();
  } catch {
    throw new Refusal(4304, "the upload is not valid multipart/form-data");
  }
}
