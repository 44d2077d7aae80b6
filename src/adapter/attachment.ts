import { AparteError } from "../errors.ts";

/** How long a file may take to load, in milliseconds. */
const loadTimeout = 60_000;

/** A file of a chat platform, as an adapter loads it. */
export interface AttachmentSource {
  readonly link: string;
  /** The platform, for people: `"Slack"`. */
  readonly platform: string;
  /** Whether the platform keeps files at this host: nothing else is asked, whatever a message says. */
  readonly isOwnHost: (host: string) => boolean;
  /** Further hosts, with the port where there is one, also over plain http. */
  readonly otherHosts: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** How often it may lead elsewhere, to one of these hosts too. @default 0 */
  readonly maxRedirects?: number;
  readonly signal: AbortSignal;
}

/**
 * Asks for a platform's file. A redirect is refused where none is expected: it leads to a sign-in page, or would carry a
 * token elsewhere.
 * @throws {AparteError} `input-invalid` when the host is not one of the platform's, or does not answer.
 */
export async function fetchAttachment(source: AttachmentSource): Promise<Response> {
  const { link, platform, headers = {}, maxRedirects = 0, signal } = source;
  if (!isTrusted(source))
    throw attachmentError(`is not at one of ${platform}'s own hosts, so it was not loaded`);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(loadTimeout)]);
  const redirect = maxRedirects > 0 ? "manual" : "error";
  const response = await fetch(link, { headers, signal: limit, redirect }).catch((error: unknown) => {
    throw attachmentError("could not be loaded. Send it again", error);
  });
  const next = response.headers.get("location");
  if (response.status < 300 || response.status >= 400 || next === null) return response;
  await response.body?.cancel();
  return fetchAttachment({ ...source, link: new URL(next, link).href, maxRedirects: maxRedirects - 1 });
}

/**
 * Reads a file whole.
 * @throws {AparteError} `file-too-large` when there are more than `maxBytes`, `input-invalid` when they break off, or the
 * host did not give them
 */
export async function readAttachment(response: Response, maxBytes: number): Promise<Uint8Array> {
  if (!response.ok) {
    await response.body?.cancel();
    throw attachmentError(`could not be loaded (HTTP ${response.status}). Send it again`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > maxBytes) {
        throw new AparteError(
          "file-too-large",
          `An attached file is larger than ${maxBytes} bytes (option "maxFileBytes").`,
          { field: "files" },
        );
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof AparteError ? error : attachmentError("could not be loaded. Send it again", error);
  }
  return Buffer.concat(chunks);
}

/** The error for a file that could not be had: `input-invalid`, of the field `files`. */
export function attachmentError(problem: string, cause?: unknown): AparteError {
  return new AparteError("input-invalid", `An attached file ${problem}.`, { field: "files", cause });
}

function isTrusted({ link, isOwnHost, otherHosts }: AttachmentSource): boolean {
  if (!URL.canParse(link)) return false;
  const { protocol, host } = new URL(link);
  if (protocol === "https:" && isOwnHost(host)) return true;
  return (protocol === "https:" || protocol === "http:") && otherHosts.includes(host);
}
