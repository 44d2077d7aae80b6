import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
} from "jose";

/** The keys could not be fetched: nothing is known about the token. */
export class KeysUnavailable extends Error {
  override readonly name = "KeysUnavailable";
}

/** The largest JWKS that is read, in bytes. */
const mostBytes = 512 * 1024;

/** How long keys are still used while their server is away, in milliseconds. */
const keepTime = 24 * 3_600_000;

/** How long a server that failed is left alone while there are keys, in milliseconds. */
const pauseTime = 30_000;

/**
 * The keys of a JWKS. They are fetched anew after ten minutes, and for a key that is not among them; while the server
 * is away, those that were fetched last serve on for a day.
 * @throws {KeysUnavailable}
 */
export function remoteKeys(url: URL): JWTVerifyGetKey {
  // jose puts there what it has fetched, and when.
  const fetched = {} as JWKSCacheInput;
  const remote = createRemoteJWKSet(url, { [customFetch]: boundedFetch, [jwksCache]: fetched });
  let kept: { readonly jwks: JSONWebKeySet; readonly keys: JWTVerifyGetKey } | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  const fromKept: (...call: Parameters<JWTVerifyGetKey>) => Promise<Key> = async (header, token) => {
    const { jwks, uat = 0 } = fetched;
    if (jwks === undefined || Date.now() - uat > keepTime)
      throw new KeysUnavailable("The JWKS could not be fetched.");
    if (kept?.jwks !== jwks) kept = { jwks, keys: createLocalJWKSet(jwks) };
    try {
      return await kept.keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      // It may be a new key.
      throw new KeysUnavailable("The JWKS could not be fetched.", { cause: error });
    }
  };

  return async (header, token) => {
    const isPaused = fetched.jwks !== undefined && Date.now() - failedAt < pauseTime;
    if (isPaused) return fromKept(header, token);
    try {
      return await remote(header, token);
    } catch (error) {
      if (isAboutToken(error)) throw error;
      failedAt = Date.now();
      return fromKept(header, token);
    }
  };
}

type Key = Awaited<ReturnType<JWTVerifyGetKey>>;

function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

const boundedFetch: FetchImplementation = async (url, options) => {
  const response = await fetch(url, options);
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop closes the connection.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > mostBytes) throw new KeysUnavailable(`The JWKS is larger than ${mostBytes} bytes.`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: response.status === 200 ? 200 : 502 });
};
