import { createPrivateKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { coze } from "../dist/src/backends/coze/index.js";
import { SignJWT } from "jose";
import { row, sideBySide } from "./measure.mjs";

const { privateKey: pem } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});

/** Tokens a second: a new session's token from our backend (signed, "exchanged" in place) beside bare jose. */
export async function benchTokens() {
  const key = createPrivateKey(pem);
  let exchanges = 0;
  const backend = coze({
    appId: "1",
    keyId: "k",
    botId: "1",
    privateKey: pem,
    fetch: async () => {
      exchanges += 1;
      const expires = Math.floor(Date.now() / 1000) + 3600;
      return Response.json({ access_token: `czs_${exchanges}`, expires_in: expires }, { headers: { date: new Date().toUTCString() } });
    },
  });
  const { signal } = new AbortController();
  let session = 0;
  const perSecond = async (count, one) => {
    const from = performance.now();
    for (let done = 0; done < count; done += 16) await Promise.all(Array.from({ length: 16 }, one));
    return count / ((performance.now() - from) / 1_000);
  };
  const medians = await sideBySide(
    [
      {
        name: "jose",
        run: (count) =>
          perSecond(count, () => {
            session += 1;
            return new SignJWT({ jti: randomUUID(), session_name: `s${session}` })
              .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: "k" })
              .setIssuer("1")
              .setAudience("api.coze.cn")
              .setIssuedAt()
              .setExpirationTime("10m")
              .sign(key);
          }),
      },
      {
        name: "aparte",
        run: (count) =>
          perSecond(count, () => {
            session += 1;
            return backend.accessToken({ sessionName: `s${session}`, agent: "helper", signal });
          }),
      },
    ],
    { rounds: 5, turns: 1_600 },
  );
  const before = exchanges;
  await Promise.all(
    Array.from({ length: 500 }, () => backend.accessToken({ sessionName: "one", agent: "helper", signal })),
  );
  row("tokens a second: bare jose, 16 at once", medians.get("jose").toFixed(0));
  row("tokens a second: aparte, with cache and exchange", medians.get("aparte").toFixed(0));
  row("ratio", (medians.get("aparte") / medians.get("jose")).toFixed(2), "reach: >= 0.9");
  row("signatures for 500 calls of one session at once", exchanges - before, "reach: 1");
}
