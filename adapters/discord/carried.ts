import { fetchAttachment, readAttachment } from "aparte/adapter";

/** A file of an answer, as it is attached. */
export interface CarriedFile {
  readonly name: string;
  readonly data: Uint8Array;
  /** What stands in the answer for it: an image's markup, which Discord does not show; undefined for a link. */
  readonly markup?: string;
}

/** What Discord takes with one message: ten files, the whole answer among them, and 10 MiB. */
const maxFiles = 9;
const maxBytes = 10_485_760;
/** A service's short links lead to its storage. */
const maxRedirects = 3;

/** Bounded, so that no text makes it look at its rest again and again. */
const link =
  /!\[[^\]\n]{0,200}\]\(\s{0,9}<?(https?:\/\/[^\s<>()]{1,2000})[^)\n]{0,500}\)|(https?:\/\/[^\s<>()"'`]{1,2000})/gi;

/**
 * Loads the images and files to which an answer has links.
 * @param hosts where they may be: nothing is loaded from elsewhere, whatever the answer says
 * @returns those that could be loaded, as far as one message takes them
 */
export async function carriedFiles(
  text: string,
  hosts: readonly string[],
  signal: AbortSignal,
): Promise<CarriedFile[]> {
  if (hosts.length === 0) return [];
  const found = new Map<string, string | undefined>();
  for (const [whole, image, plain = ""] of text.matchAll(link)) {
    const url = image ?? plain.replace(/[.,;:!?*_~|\]]+$/, "");
    if (URL.canParse(url) && hosts.includes(new URL(url).host))
      found.set(url, found.get(url) ?? (image === undefined ? undefined : whole));
  }
  const loaded: CarriedFile[] = [];
  let room = maxBytes;
  for (const [url, markup] of [...found].slice(0, maxFiles)) {
    const file = await load(url, hosts, room, signal).catch(() => undefined);
    if (file === undefined) continue;
    room -= file.data.byteLength;
    loaded.push(markup === undefined ? file : { ...file, markup });
  }
  return loaded;
}

async function load(
  url: string,
  hosts: readonly string[],
  room: number,
  signal: AbortSignal,
): Promise<CarriedFile> {
  const isOwnHost = (host: string) => hosts.includes(host);
  const response = await fetchAttachment({
    link: url,
    platform: "the answer",
    isOwnHost,
    otherHosts: hosts,
    maxRedirects,
    signal,
  });
  const name = nameOf(url, response.headers.get("content-type") ?? "");
  return { name, data: await readAttachment(response, room) };
}

/** Discord shows an image by its name's ending. */
function nameOf(url: string, type: string): string {
  const last = new URL(url).pathname.split("/").filter(Boolean).at(-1) ?? "file";
  const name = last.replace(/%[0-9a-f]{2}|[^\w.-]/gi, "_").slice(-80);
  const [, ending] = /^image\/(png|jpeg|gif|webp)\b/.exec(type) ?? [];
  return ending === undefined || /\.\w{2,4}$/.test(name) ? name : `${name}.${ending}`;
}
