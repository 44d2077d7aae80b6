// One of the processes of crowd.mjs: a bot whose platform is its parent.
import { coze } from "../dist/src/backends/coze/index.js";
import { openStore, SessionMapper } from "../dist/src/index.js";

const { store, agent } = JSON.parse(process.env.SETTINGS);
const logger = { info() {}, warn() {}, error() {} };
const mapper = new SessionMapper({
  agents: { helper: coze(agent) },
  store: await openStore(store, { logger }),
  secret: "a secret for the benchmark",
  logger,
});
mapper.connect({
  platform: "chat",
  async deliver({ id }, reply) {
    let text = "";
    try {
      for await (const event of reply) if (event.type === "message") text += event.text;
    } catch (error) {
      text = error.code;
    }
    await reply.permit();
    process.send({ reply: id, text });
  },
});
process.on("message", async (message) => {
  const taken = await mapper.receive(message).catch(() => undefined);
  process.send({ event: message.id, taken });
});
process.on("disconnect", () => process.exit());
process.send({});
