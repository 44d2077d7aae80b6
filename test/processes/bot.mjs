// One copy of a bot, told by its parent what people say. Its adapter posts to the parent's platform over HTTP. See
// ../copies.ts.
import { Agent, request } from "node:http";

const { root, store, agent, platformUrl, options } = JSON.parse(process.env.SETTINGS ?? "{}");
const { openStore, SessionMapper } = await import(`${root}/src/index.js`);
const { coze } = await import(`${root}/src/backends/coze/index.js`);
const logger = { info() {}, warn() {}, error() {} };
const mapper = new SessionMapper({
  agents: { helper: coze(agent) },
  store: await openStore(store, { logger }),
  secret: "a secret of the tests, long enough",
  logger,
  ...options,
});

const connections = new Agent({ keepAlive: true, maxSockets: 200 });

/** Posts, or edits with an id, as on Discord: a second post with the same nonce is answered with the first one. */
function post(body) {
  return new Promise((resolve, reject) => {
    const sent = request(platformUrl, { method: "POST", agent: connections }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        text += part;
      });
      answer.on("end", () => resolve(JSON.parse(text)));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ ...body, pid: process.pid }));
  });
}

mapper.connect({
  platform: "chat",
  async deliver({ id: nonce, user }, delivery) {
    let posted;
    let text = "";
    let isTold = false;
    try {
      for await (const event of delivery) {
        if (posted === undefined) {
          posted = delivery.posts;
          await delivery.permit();
          posted ??= (await post({ user, nonce })).id;
          delivery.posted(posted);
        }
        if (event.type === "message") text += event.text;
        if (event.type === "notice") {
          if (event.code === "merged" || event.code === "duplicate") return;
          isTold ||= event.code === "answer-lost";
          text += `[${event.code}]`;
        }
      }
    } catch (error) {
      if (error.code === "lease-lost" || error.code === "closed") throw error;
      isTold ||= error.code === "answer-lost";
      text += `[${error.code}: ${error.message}]`;
    }
    await delivery.permit();
    await post({ id: posted, user, nonce, text, isTold });
  },
});

process.on("message", async ({ number, message, speaker }) => {
  const asked =
    speaker === undefined
      ? mapper.receive(message).then((taken) => ({ taken }))
      : mapper.resolve(speaker).then((session) => ({ session }));
  process.send({ number, ...(await asked.catch(({ code }) => ({ code }))) });
});
process.once("SIGTERM", async () => {
  await mapper.close();
  process.exit(0);
});
process.on("disconnect", () => process.exit());
process.send({ isReady: true });
