import { createPrivateKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { SignJWT } from "jose";
import { coze } from "../dist/src/backends/coze/index.js";
import { row, sideBySide } from "./measure.mjs";

const { privateKey: pem } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" },
});

/** Tokens a second: a new session's token from our backend beside bare jose, with the same stand-in exchange. */
export async function benchTokens() {
  const key = createPrivateKey(pem);
  let exchanges = 0;
  const exchange = async () => {
    exchanges += 1;
    const expires = Math.floor(Date.now() / 1000) + 3600;
    const headers = { date: new Date().toUTCString() };
    return Response.json({ access_token: `czs_${exchanges}`, expires_in: expires }, { headers });
  };
  const backend = coze({
    appId: "1",
    keyId: "k",
    botId: "1",
    privateKey: pem,
    fetch: exchange,
  });
  const { signal } = new AbortController();
  // One for all: Node warns of more than ten listeners at one.
  setMaxListeners(0, signal);
  const token = (sessionName) => backend.accessToken({ sessionName, agent: "helper", signal });
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
          perSecond(count, async () => {
            session += 1;
            const jwt = await new SignJWT({ jti: randomUUID(), session_name: `s${session}` })
              .setProtectedHeader({ alg: "RS256", typ: "JWT", kid: "k" })
              .setIssuer("1")
              .setAudience("api.coze.cn")
              .setIssuedAt()
              .setExpirationTime("10m")
              .sign(key);
            // The same stand-in for the service on both sides.
            return (await exchange(jwt)).json();
          }),
      },
      {
        name: "aparte",
        run: (count) =>
          perSecond(count, () => {
            session += 1;
            return token(`s${session}`);
          }),
      },
    ],
    { rounds: 5, turns: 1_600 },
  );
  const before = exchanges;
  await Promise.all(Array.from({ length: 500 }, () => token("one")));
  row("tokens a second: bare jose and exchange, 16 at once", medians.get("jose").toFixed(0));
  row("tokens a second: aparte, 16 at once", medians.get("aparte").toFixed(0));
  row("ratio", (medians.get("aparte") / medians.get("jose")).toFixed(2), "reach: >= 0.9");
  row("signatures for 500 calls of one session at once", exchanges - before, "reach: 1");
}
