import { generateKeyPairSync } from "node:crypto";
import { type AparteError, type Backend, SessionMapper } from "aparte";
import { jwtSpeaker, type WebOptions, web } from "aparte/web";
import { exportJWK, SignJWT } from "jose";
import { afterEach, describe, expect, it, vi } from "vitest";
import { backend, remembering } from "../adapters/agent.ts";
import { listen } from "../fakes/loopback.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe("jwtSpeaker", () => {
  const secret = "a shared secret of the host application";
  const audience = "bot";
  const issuer = "https://host.example";
  const bytes = new TextEncoder().encode(secret);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

  type Key = Parameters<SignJWT["sign"]>[0];
  const sign = (
    key: Key,
    {
      alg = "HS256",
      exp = "5m" as string | number,
      ...claims
    }: Record<string, unknown> & { alg?: string; exp?: string | number } = {},
  ) =>
    new SignJWT({ sub: "ada", aud: audience, iss: issuer, ...claims })
      .setProtectedHeader({ alg, ...(key === rsa.privateKey ? { kid: "k1" } : {}) })
      .setExpirationTime(exp)
      .sign(key);
  const unsigned = (header: object, claims: object) =>
    `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.`;

  /** A server that counts what reaches the mapper. */
  async function guarded(authenticate: WebOptions["authenticate"]) {
    const agent = backend(remembering);
    let calls = 0;
    const open: Backend["open"] = (call) => {
      calls += 1;
      return agent.open(call);
    };
    const logger = { info() {}, warn() {}, error() {} };
    const agents = { helper: { ...agent, open } };
    const mapper = new SessionMapper({ agents, secret: crypto.randomUUID(), logger });
    let turns = 0;
    mapper.use((_turn, next) => {
      turns += 1;
      return next();
    });
    const server = await listen(web(mapper, { authenticate, logger: { error: () => {} } }));
    closers.push(
      () => server.close(),
      () => mapper.close(),
    );
    const ask = async (token: string | undefined, headers: Record<string, string> = {}) => {
      const authorization: Record<string, string> =
        token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = await fetch(server.url, {
        method: "POST",
        headers: {
          ...{ "content-type": "application/json", accept: "application/json" },
          ...{ ...authorization, ...headers },
        },
        body: JSON.stringify({ id: crypto.randomUUID(), text: "hello" }),
      });
      return response.status;
    };
    return { ask, turns: () => turns, calls: () => calls };
  }

  it("takes a token that the host application signed", async () => {
    const { ask, turns } = await guarded(jwtSpeaker({ secret, audience, issuer, cookie: "session" }));
    expect(await ask(await sign(bytes))).toBe(200);
    expect(await ask(undefined, { cookie: `a=b; session=${await sign(bytes)}; c=d` })).toBe(200);
    expect(await ask(undefined, { cookie: `=x;session = ${await sign(bytes)} ; session=x` })).toBe(200);
    for (const name of ["sessions", "xsession", "Session", ""])
      expect(await ask(undefined, { cookie: `${name}=${await sign(bytes)}` }), name).toBe(401);
    // Where both are there, the header counts.
    expect(await ask("a.b.c", { cookie: `session=${await sign(bytes)}` })).toBe(401);
    expect(turns()).toBe(3);
  });

  it.each(["HS256", "HS384", "HS512"])(
    "takes %s with a secret where that is asked for, and no other",
    async (alg) => {
      const long = "a shared secret of the host application, as long as the longest hash that is used";
      const { ask } = await guarded(jwtSpeaker({ secret: long, audience, algorithms: [alg] }));
      for (const each of ["HS256", "HS384", "HS512"])
        expect(await ask(await sign(new TextEncoder().encode(long), { alg: each }))).toBe(
          each === alg ? 200 : 401,
        );
    },
  );

  it("takes the tokens of each issuer and for each audience that is listed, and no others", async () => {
    const listed = { audience: [audience, "second"], issuer: [issuer, "https://second.example"] };
    const { ask } = await guarded(jwtSpeaker({ secret, ...listed }));
    expect(await ask(await sign(bytes))).toBe(200);
    expect(await ask(await sign(bytes, { aud: "second", iss: "https://second.example" }))).toBe(200);
    expect(await ask(await sign(bytes, { aud: "third" }))).toBe(401);
    expect(await ask(await sign(bytes, { iss: "https://third.example" }))).toBe(401);
  });

  it("refuses forged, expired, misdirected and unsigned tokens with 401, and nothing else happens", async () => {
    const { ask, turns, calls } = await guarded(jwtSpeaker({ secret, audience, issuer }));
    const claims = { sub: "ada", aud: audience, iss: issuer, exp: Math.floor(Date.now() / 1000) + 300 };
    const good = await sign(bytes);
    const [head, , signature] = good.split(".");
    const bad = {
      none: undefined,
      empty: "",
      garbage: "a.b.c",
      forged: await sign(new TextEncoder().encode("another secret of another application")),
      changed: [
        head,
        Buffer.from(JSON.stringify({ ...claims, sub: "ben" })).toString("base64url"),
        signature,
      ].join("."),
      expired: await sign(bytes, { exp: Math.floor(Date.now() / 1000) - 60 }),
      eternal: await new SignJWT({ sub: "ada", aud: audience, iss: issuer })
        .setProtectedHeader({ alg: "HS256" })
        .sign(bytes),
      early: await sign(bytes, { nbf: Math.floor(Date.now() / 1000) + 300 }),
      audience: await sign(bytes, { aud: "another service" }),
      noAudience: await sign(bytes, { aud: undefined }),
      issuer: await sign(bytes, { iss: "https://evil.example" }),
      nobody: await sign(bytes, { sub: "" }),
      algNone: unsigned({ alg: "none" }, claims),
      algNoneCase: unsigned({ alg: "nOnE", typ: "JWT" }, claims),
      otherAlgorithm: await sign(bytes, { alg: "HS512" }),
      asymmetric: await sign(rsa.privateKey, { alg: "RS256" }),
    };
    for (const [name, token] of Object.entries(bad)) expect(await ask(token), name).toBe(401);
    expect(turns()).toBe(0);
    expect(calls()).toBe(0);
    expect(await ask(good)).toBe(200);
  });

  it("takes a token that stands alone in its header and names somebody, and no other", async () => {
    const { ask, turns } = await guarded(jwtSpeaker({ secret, audience, issuer }));
    const token = await sign(bytes);
    expect(await ask(undefined, { authorization: `bearer  ${token} ` })).toBe(200);
    for (const authorization of [
      `Bearer ${token} more`,
      `Basic ${token}`,
      `XBearer ${token}`,
      `Bearer${token}`,
      token,
      "Bearer ",
      "",
    ]) {
      expect(await ask(undefined, { authorization })).toBe(401);
    }
    for (const sub of ["", 7, undefined]) expect(await ask(await sign(bytes, { sub }))).toBe(401);
    expect(turns()).toBe(1);
  });

  it("takes tokens by a public key, and not the public key for a secret", async () => {
    const jwk = await exportJWK(rsa.publicKey);
    for (const key of [rsa.publicKey, jwk]) {
      const { ask } = await guarded(jwtSpeaker({ key, audience }));
      expect(await ask(await sign(rsa.privateKey, { alg: "RS256" }))).toBe(200);
      expect(await ask(await sign(otherRsa.privateKey, { alg: "RS256" }))).toBe(401);
      const pem = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
      expect(await ask(await sign(new TextEncoder().encode(pem)))).toBe(401);
      const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
      expect(await ask(await sign(ec.privateKey, { alg: "ES256" }))).toBe(401);
    }
  });

  /** Who speaks by a token, without a server. */
  const speaks = (speaker: ReturnType<typeof jwtSpeaker>, token: string) =>
    speaker(new Request("http://host.example", { headers: { authorization: `Bearer ${token}` } }));
  const ada = { tenant: "", user: "ada" };

  it.each([
    ["RS256", rsa],
    ["PS256", rsa],
    ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
    ["EdDSA", generateKeyPairSync("ed25519")],
  ])("takes %s with a public key, unless it is told otherwise", async (alg, { publicKey, privateKey }) => {
    const token = await sign(privateKey, { alg });
    expect(await speaks(jwtSpeaker({ key: publicKey, audience }), token)).toEqual(ada);
    const other = jwtSpeaker({ key: publicKey, audience, algorithms: ["RS384"] });
    expect(await speaks(other, token)).toBeUndefined();
  });

  it("takes a secret as bytes, from 32 on of which 8 differ", async () => {
    const secretOf = (length: number, different: number) =>
      Uint8Array.from({ length }, (_, index) => 97 + (index % different));
    const least = secretOf(32, 8);
    for (const each of [least, new TextDecoder().decode(least)])
      expect(await speaks(jwtSpeaker({ secret: each, audience }), await sign(least))).toEqual(ada);
    // Bytes count, and not characters.
    expect(() => jwtSpeaker({ secret: `abcdefgh${"é".repeat(12)}`, audience })).not.toThrow();
    for (const short of [secretOf(31, 8), "abcdefghijklmnopqrstuvwxyz01234", 7, {}])
      expect(() => jwtSpeaker({ secret: short as never, audience })).toThrow("must have at least 32 bytes");
    for (const length of [32, 64])
      expect(() => jwtSpeaker({ secret: secretOf(length, 7), audience })).toThrow(
        "is too easy to guess. This makes a good one: node -p",
      );
  });

  it("takes a JWKS of 512 KiB, and none that is a byte longer", async () => {
    const keys = JSON.stringify({ keys: [{ ...(await exportJWK(rsa.publicKey)), kid: "k1" }] });
    let length = 512 * 1024;
    const jwks = await listen(async () => new Response(keys.padEnd(length)));
    closers.push(() => jwks.close());
    const token = await sign(rsa.privateKey, { alg: "RS256" });
    const speaker = () => jwtSpeaker({ jwksUrl: jwks.url, audience });
    expect(await speaks(speaker(), token)).toEqual(ada);
    length += 1;
    await expect(speaks(speaker(), token)).rejects.toThrow("JWKS");
  });

  it("takes a token of an algorithm that nobody knows for nobody's, and the JWKS' server for there", async () => {
    const keys = [{ ...(await exportJWK(rsa.publicKey)), kid: "k1" }];
    const jwks = await listen(async () => Response.json({ keys }));
    closers.push(() => jwks.close());
    const exp = Math.floor(Date.now() / 1000) + 300;
    const unheard = `${unsigned({ alg: "XY256", kid: "k1" }, { sub: "ada", aud: audience, exp })}c2ln`;
    const unknownKey = new SignJWT({ sub: "ada", aud: audience }).setProtectedHeader({
      ...{ alg: "RS256", kid: "k2" },
    });
    const unknown = await unknownKey.setExpirationTime("5m").sign(rsa.privateKey);
    for (const algorithms of [undefined, ["RS256", "XY256"]]) {
      const speaker = jwtSpeaker({
        ...{ jwksUrl: jwks.url, audience },
        ...(algorithms === undefined ? {} : { algorithms }),
      });
      expect(await speaks(speaker, await sign(rsa.privateKey, { alg: "RS256" }))).toEqual(ada);
      expect(await speaks(speaker, unheard)).toBeUndefined();
      // Were the server taken to be away, nothing would be known of this one.
      expect(await speaks(speaker, unknown)).toBeUndefined();
    }
  });

  it("takes tokens by a JWKS, and says 503 when it cannot be fetched", async () => {
    let isDown = false;
    const jwks = await listen(async () => {
      if (isDown) return new Response("down", { status: 500 });
      return Response.json({ keys: [{ ...(await exportJWK(rsa.publicKey)), kid: "k1", alg: "RS256" }] });
    });
    closers.push(() => jwks.close());
    const speaker = () =>
      jwtSpeaker({
        jwksUrl: jwks.url,
        audience,
        speaker: ({ sub, team }) => ({ tenant: `${team}`, user: `${sub}` }),
      });
    const token = await sign(rsa.privateKey, { alg: "RS256", team: "blue" });
    const { ask } = await guarded(speaker());
    expect(await ask(token)).toBe(200);
    expect(await ask(await sign(otherRsa.privateKey, { alg: "RS256" }))).toBe(401);
    const unknown = new SignJWT({ sub: "ada", aud: audience }).setProtectedHeader({
      alg: "RS256",
      kid: "k2",
    });
    expect(await ask(await unknown.setExpirationTime("5m").sign(rsa.privateKey))).toBe(401);
    isDown = true;
    expect(await ask(token)).toBe(200); // The keys are known already.
    const cold = await guarded(speaker());
    expect(await cold.ask(token)).toBe(503);
    isDown = false;
    expect(await cold.ask(token)).toBe(200);
  });

  it("keeps a JWKS while its server is away, asks that server seldom, and for a day at most", async () => {
    const keys = [
      { ...(await exportJWK(rsa.publicKey)), kid: "k1" },
      // Two that go with a token which names none.
      ...(await Promise.all(["RS256", "PS256"].map(async () => exportJWK(otherRsa.publicKey)))),
    ];
    let answer = async () => Response.json({ keys });
    let fetches = 0;
    const jwks = await listen(async () => {
      fetches += 1;
      return answer();
    });
    closers.push(() => jwks.close());
    const speaker = jwtSpeaker({ jwksUrl: jwks.url, audience });
    const token = await sign(rsa.privateKey, { alg: "RS256", exp: "9d" });
    const ask = (bearer = token) =>
      speaker(new Request("http://host.example", { headers: { authorization: `Bearer ${bearer}` } }));
    const ada = { tenant: "", user: "ada" };
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const fetchedAt = Date.now();
      expect(await ask()).toEqual(ada);
      answer = async () => new Response("down", { status: 500 });
      vi.setSystemTime(Date.now() + 3_600_000);
      for (let time = 0; time < 5; time++) expect(await ask()).toEqual(ada);
      expect(fetches).toBe(2);
      // A key that is not among them may be a new one.
      const unknown = new SignJWT({ sub: "ada", aud: audience }).setProtectedHeader({
        alg: "RS256",
        kid: "k2",
      });
      await expect(ask(await unknown.setExpirationTime("9d").sign(rsa.privateKey))).rejects.toMatchObject({
        ...{ message: expect.stringContaining("JWKS"), cause: { code: "ERR_JWKS_NO_MATCHING_KEY" } },
      });
      expect(await ask(await sign(otherRsa.privateKey, { alg: "RS256" }))).toBeUndefined();
      expect(await ask(await sign(otherRsa.privateKey, { alg: "RS256", kid: "k1" }))).toBeUndefined();
      vi.setSystemTime(fetchedAt + 24 * 3_600_000);
      expect(await ask()).toEqual(ada);
      vi.setSystemTime(fetchedAt + 24 * 3_600_000 + 1);
      await expect(ask()).rejects.toThrow("JWKS");
      // It is asked again after a while, whatever it says with a status other than 200.
      answer = async () => Response.json({ keys }, { status: 404 });
      vi.setSystemTime(Date.now() + 30_000);
      await expect(ask()).rejects.toThrow("JWKS");
      answer = async () => Response.json({ keys });
      vi.setSystemTime(Date.now() + 29_999);
      await expect(ask()).rejects.toThrow("JWKS");
      vi.setSystemTime(Date.now() + 1);
      expect(await ask()).toEqual(ada);
    } finally {
      vi.useRealTimers();
    }
  });

  it("reads no JWKS without end", async () => {
    let sent = 0;
    const jwks = await listen(async () => {
      const body = new ReadableStream({
        pull(controller) {
          sent += 65_536;
          controller.enqueue(new Uint8Array(65_536).fill(32));
        },
      });
      return new Response(body, { headers: { "content-type": "application/json" } });
    });
    closers.push(() => jwks.close());
    const { ask } = await guarded(jwtSpeaker({ jwksUrl: jwks.url, audience }));
    expect(await ask(await sign(rsa.privateKey, { alg: "RS256" }))).toBe(503);
    expect(sent).toBeLessThan(20_000_000);
  });

  it.each([
    ["", "must be an object", null],
    ["", "must be an object", "secret"],
    ["secret", "or `key` or `jwksUrl` must be given, and only one of them", { audience }],
    ["algorithms", "must be a list of HS256, HS384, HS512", { secret, algorithms: "HS256" }],
    [
      "algorithms",
      "must be a list of RS256, PS256, ES256, EdDSA and their like",
      { key: rsa.publicKey, algorithms: [] },
    ],
    ["audience", "must be the `aud` of your tokens: without it any token would do", { secret, audience: "" }],
    ["issuer", "must be the tokens' `iss`", { secret, issuer: "" }],
    ["cookie", "must be the cookie's name", { secret, cookie: 7 }],
    ["speaker", "must be a function of the claims", { secret, speaker: "ada" }],
  ])("says of a wrong option %s that it %s", (name, problem, options) => {
    const field = name === "" ? "jwtSpeaker" : `jwtSpeaker.${name}`;
    const given = typeof options === "object" && options !== null ? { audience, ...options } : options;
    expect(() => jwtSpeaker(given as never)).toThrow(
      expect.objectContaining({ field, message: expect.stringContaining(` ${problem}`) }),
    );
  });

  it("refuses options that would let tokens through", () => {
    const fieldOf = (options: object): unknown => {
      try {
        jwtSpeaker(options as Parameters<typeof jwtSpeaker>[0]);
      } catch (error) {
        return (error as AparteError).field;
      }
      return undefined;
    };
    expect(fieldOf({ audience })).toBe("jwtSpeaker.secret");
    expect(fieldOf({ audience, secret, jwksUrl: "https://host.example/jwks" })).toBe("jwtSpeaker.secret");
    expect(fieldOf({ audience, secret: "short" })).toBe("jwtSpeaker.secret");
    expect(fieldOf({ audience, secret: "abc".repeat(20) })).toBe("jwtSpeaker.secret");
    expect(fieldOf({ secret })).toBe("jwtSpeaker.audience");
    expect(fieldOf({ secret, audience: [] })).toBe("jwtSpeaker.audience");
    expect(fieldOf({ secret, audience, algorithms: ["none"] })).toBe("jwtSpeaker.algorithms");
    expect(fieldOf({ secret, audience, algorithms: ["RS256"] })).toBe("jwtSpeaker.algorithms");
    for (const algorithms of [[], "RS256", [7], ["RS256", 7]]) {
      const options = { key: rsa.publicKey, audience, algorithms };
      expect(fieldOf(options)).toBe("jwtSpeaker.algorithms");
    }
    for (const name of ["HS256", "none"]) {
      const options = { key: rsa.publicKey, audience, algorithms: [name] };
      expect(fieldOf(options)).toBe("jwtSpeaker.algorithms");
    }
    for (const jwksUrl of ["ftp://x", "shttp://x", "httpx://x"])
      expect(fieldOf({ jwksUrl, audience })).toBe("jwtSpeaker.jwksUrl");
    expect(() => jwtSpeaker({ jwksUrl: "x", audience })).toThrow("must be an http(s) URL");
    expect(() => jwtSpeaker({ key: "pem" as never, audience })).toThrow("a CryptoKey, a KeyObject or a JWK");
    expect(fieldOf({ key: null, audience })).toBe("jwtSpeaker.key");
    expect(fieldOf({ secret, audience, issuer: [] })).toBe("jwtSpeaker.issuer");
    expect(fieldOf({ secret, audience, cookie: "" })).toBe("jwtSpeaker.cookie");
    expect(fieldOf({ secret, audience, speaker: "ada" })).toBe("jwtSpeaker.speaker");
    expect(fieldOf({ secret, audience, audiences: "x" })).toBe("jwtSpeaker.audiences");
  });
});
