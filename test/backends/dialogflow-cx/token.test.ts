import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import {
  type Credentials,
  defaultCredentials,
  readCredentials,
} from "../../../src/backends/dialogflow-cx/credentials.ts";
import { tokenFunction, tokenSource } from "../../../src/backends/dialogflow-cx/token.ts";
import { AparteError } from "../../../src/errors.ts";

const { signal } = new AbortController();
const user = { type: "authorized_user", client_id: "id", client_secret: "cs", refresh_token: "rt" };
const metadata: Credentials = { kind: "metadata", url: "http://metadata.example/token" };
const seconds = 1_000;

/** A source whose token server gives these answers, one after the other. */
function source(credentials: Credentials, ...answers: (Response | Error)[]) {
  const asked: [url: string, init: RequestInit | undefined][] = [];
  const clock = { now: 1_700_000_000_000 };
  const tokens = tokenSource(credentials, {
    baseURL: "https://dialogflow.googleapis.com",
    now: () => clock.now,
    timeout: 10_000,
    fetch: async (url, init) => {
      asked.push([String(url), init]);
      const answer = answers[Math.min(asked.length, answers.length) - 1];
      if (answer === undefined || answer instanceof Error) throw answer;
      return answer.clone();
    },
  });
  return { tokens, asked, clock };
}

async function failure(promise: Promise<unknown>): Promise<AparteError> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AparteError);
  return error as AparteError;
}

describe("Google's token", () => {
  it("is exchanged for a person's refresh token", async () => {
    const { tokens, asked } = source(
      readCredentials(user),
      Response.json({ access_token: "ya29.a", expires_in: 3600 }),
    );
    expect(await tokens.get(signal)).toBe("ya29.a");
    const [[url, init] = ["", undefined]] = asked;
    expect([url, init?.method, init?.redirect]).toEqual([
      "https://oauth2.googleapis.com/token",
      "POST",
      "error",
    ]);
    expect(Object.fromEntries(init?.body as URLSearchParams)).toEqual({
      ...{ grant_type: "refresh_token", client_id: "id", client_secret: "cs", refresh_token: "rt" },
    });
  });

  it("is had from the machine's metadata server, for both scopes", async () => {
    const { tokens, asked } = source(metadata, Response.json({ access_token: "ya29.a", expires_in: 3600 }));
    expect(await tokens.get(signal)).toBe("ya29.a");
    const url = new URL(asked[0]?.[0] ?? "");
    expect(url.origin + url.pathname).toBe("http://metadata.example/token");
    expect(url.searchParams.get("scopes")).toBe(
      "https://www.googleapis.com/auth/cloud-platform,https://www.googleapis.com/auth/dialogflow",
    );
    expect(asked[0]?.[1]).toMatchObject({ headers: { "Metadata-Flavor": "Google" }, redirect: "error" });
  });

  it.each([
    // Five minutes before its end, or at half of what is left of one that ends soon.
    [3600, 3300],
    [601, 301],
    [400, 200],
  ])("that lives for %i s is used for %i s", async (lives, used) => {
    const { tokens, asked, clock } = source(
      metadata,
      Response.json({ access_token: "t", expires_in: lives }),
    );
    await tokens.get(signal);
    clock.now += (used - 1) * seconds;
    await tokens.get(signal);
    expect(asked).toHaveLength(1);
    clock.now += seconds;
    await tokens.get(signal);
    expect(asked).toHaveLength(2);
  });

  it.each<[answer: Response | Error, code: string, ofUser: string, ofMachine: string]>([
    [
      new Response("", { status: 500 }),
      "backend-unavailable",
      "(HTTP 500). Try again later.",
      "(HTTP 500). Try again later.",
    ],
    [
      new Response("", { status: 429 }),
      "backend-unavailable",
      "(HTTP 429). Try again later.",
      "(HTTP 429). Try again later.",
    ],
    [
      new Response("", { status: 499 }),
      "backend-auth",
      "Log in again: gcloud auth application-default login.",
      "run where a service account is attached.",
    ],
    [new Response("{"), "backend-protocol", "holds no token.", "holds no token."],
    [Response.json(null), "backend-protocol", "holds no token.", "holds no token."],
    [Response.json({ access_token: "t" }), "backend-protocol", "holds no token.", "holds no token."],
    [Response.json({ expires_in: 1 }), "backend-protocol", "holds no token.", "holds no token."],
    [
      Response.json({ access_token: "", expires_in: 1 }),
      "backend-protocol",
      "holds no token.",
      "holds no token.",
    ],
    [
      Response.json({ access_token: 7, expires_in: 1 }),
      "backend-protocol",
      "holds no token.",
      "holds no token.",
    ],
    [
      Response.json({ access_token: "t", expires_in: "1" }),
      "backend-protocol",
      "holds no token.",
      "holds no token.",
    ],
    [
      new TypeError("fetch failed"),
      "backend-unavailable",
      "the server could not be reached.",
      "or check the network.",
    ],
  ])("is none where Google answers %o: %s", async (answer, code, ofUser, ofMachine) => {
    for (const [credentials, message] of [
      [readCredentials(user), ofUser],
      [metadata, ofMachine],
    ] as const) {
      const { tokens, asked } = source(
        credentials,
        answer,
        Response.json({ access_token: "t", expires_in: 9 }),
      );
      const error = await failure(tokens.get(signal));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
      expect(error.message).toMatch(/^(Google|No token could be fetched: )/);
      expect(error.cause).toBe(answer instanceof Error ? answer : undefined);
      // The next turn asks anew.
      expect(await tokens.get(signal)).toBe("t");
      expect(asked).toHaveLength(2);
    }
  });

  it("is asked for once for all that wait, of whom one may leave, and not for one that has left", async () => {
    const { tokens, asked } = source(metadata, Response.json({ access_token: "t", expires_in: 3600 }));
    const left = AbortSignal.abort(new AparteError("stopped", "Stopped."));
    await expect(tokens.get(left)).rejects.toThrow("Stopped.");
    expect(asked).toEqual([]);
    const leaving = new AbortController();
    const waiting = [tokens.get(leaving.signal), tokens.get(signal)];
    leaving.abort(new AparteError("stopped", "Stopped."));
    expect(await Promise.allSettled(waiting)).toMatchObject([{ status: "rejected" }, { value: "t" }]);
    expect(asked).toHaveLength(1);
    // Another token than the kept one was refused: nothing is to be renewed.
    tokens.refused("s");
    await tokens.get(signal);
    expect(asked).toHaveLength(1);
    tokens.refused("t");
    await tokens.get(signal);
    expect(asked).toHaveLength(2);
  });

  it("is signed in the service account's name, for an hour", async () => {
    const key = { client_email: "a@p.example", private_key_id: "k1", private_key: pem() };
    const { tokens, clock } = source(readCredentials(key));
    const token = await tokens.get(signal);
    const issuedAt = clock.now / 1000;
    expect(decodeProtectedHeader(token)).toEqual({ alg: "RS256", typ: "JWT", kid: "k1" });
    expect(decodeJwt(token)).toEqual({
      ...{ iss: "a@p.example", sub: "a@p.example", aud: "https://dialogflow.googleapis.com/" },
      ...{ iat: issuedAt, exp: issuedAt + 3600 },
    });
    const { private_key_id: _, ...unnamed } = key;
    expect(decodeProtectedHeader(await source(readCredentials(unnamed)).tokens.get(signal))).toEqual({
      ...{ alg: "RS256", typ: "JWT" },
    });
  });

  it("is none where the application's function gives none", async () => {
    const cause = new Error("no");
    const failing = await failure(tokenFunction(() => Promise.reject(cause)).get(signal));
    expect([failing.code, failing.cause]).toEqual(["backend-auth", cause]);
    expect(failing.message).toBe("The accessToken function failed. Its error is kept as the cause.");
    for (const value of ["", undefined, 7]) {
      const error = await failure(tokenFunction(async () => value as never).get(signal));
      expect([error.code, error.message]).toEqual([
        "backend-auth",
        "The accessToken function returned no token. It must return a string.",
      ]);
    }
  });
});

describe("Google's application-default credentials", () => {
  const address = (host: string) => ({
    kind: "metadata",
    url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`,
  });

  it("are those of the named file, of gcloud's file, or of the machine, in this order", async () => {
    const home = await mkdtemp(join(tmpdir(), "aparte-test-"));
    try {
      const HOME = home;
      expect(defaultCredentials({ HOME })).toEqual(address("169.254.169.254"));
      expect(defaultCredentials({ HOME, GCE_METADATA_HOST: "a" })).toEqual(address("a"));
      expect(defaultCredentials({ HOME, GCE_METADATA_HOST: "a", GCE_METADATA_IP: "b" })).toEqual(
        address("b"),
      );
      const folder = join(home, ".config", "gcloud");
      await mkdir(folder, { recursive: true });
      const file = join(folder, "application_default_credentials.json");
      await writeFile(file, JSON.stringify({ ...user, quota_project_id: "p" }));
      const found = { kind: "authorized-user", clientId: "id", clientSecret: "cs", refreshToken: "rt" };
      expect(defaultCredentials({ HOME, GOOGLE_APPLICATION_CREDENTIALS: "" })).toEqual({
        ...found,
        quotaProject: "p",
      });
      expect(defaultCredentials({ HOME, CLOUDSDK_CONFIG: home })).toEqual(address("169.254.169.254"));
      const named = join(home, "named.json");
      await writeFile(named, JSON.stringify({ ...user, client_id: "other", quota_project_id: 7 }));
      expect(defaultCredentials({ HOME, GOOGLE_APPLICATION_CREDENTIALS: named })).toEqual({
        ...found,
        clientId: "other",
      });
      expect(() => defaultCredentials({ HOME, GOOGLE_APPLICATION_CREDENTIALS: join(home, "none") })).toThrow(
        expect.objectContaining({ field: "credentials", cause: expect.objectContaining({ code: "ENOENT" }) }),
      );
    } finally {
      await rm(home, { recursive: true });
    }
  });
});

function pem(): string {
  return generateKeyPairSync("rsa", { modulusLength: 2048 })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}
