// An Express app whose signed-in people talk to an agent: streamed to a page, or as plain JSON.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AparteError, openStore, SessionMapper } from "aparte";
import { coze } from "aparte/coze";
import { jwtSpeaker, web } from "aparte/web";
import express from "express";
import { toNodeHandler } from "srvx/node";

const { env } = process;
const mapper = new SessionMapper({
  agents: {
    helper: coze({
      appId: env.COZE_APP_ID ?? "",
      keyId: env.COZE_KEY_ID ?? "",
      privateKey: env.COZE_PRIVATE_KEY ?? "",
      botId: env.COZE_BOT_ID ?? "",
      baseURL: env.COZE_BASE_URL ?? "https://api.coze.cn",
    }),
  },
  store: await openStore(env.APARTE_STORE ?? "sqlite:./express.db"),
  secret: env.APARTE_SECRET ?? "",
});

const app = express();

// The whole web adapter: server-sent events, resuming, stopping. The person is whom the app's own JWT names.
const authenticate = jwtSpeaker({ secret: env.APP_JWT_SECRET ?? "", audience: "express-app" });
// The type that srvx gives it is of HTTP 2 as well, which Express does not speak.
app.use("/chat", toNodeHandler(web(mapper, { authenticate })) as express.RequestHandler);

// Or a route of your own, for code on your servers that has checked who the person is.
app.post("/answer", express.json(), async (request, response) => {
  if (env.APP_API_KEY === undefined || request.headers["x-api-key"] !== env.APP_API_KEY) {
    response.status(401).end();
    return;
  }
  const { id, user, text } = request.body ?? {};
  try {
    response.json({ text: await mapper.handle({ platform: "app", id, user, text }).text() });
  } catch (error) {
    if (!(error instanceof AparteError)) throw error;
    response.status(error.code === "input-invalid" ? 400 : 502).json({ error: error.say });
  }
});

const server = createServer(app).listen(Number(env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", async () => {
  server.close();
  await mapper.close();
  server.closeAllConnections();
});
