// A process with a mapper of its own. Reads messages as lines of JSON, answers { id, text } or { id, code }, and says
// { ended } of each turn whose end is written.
import { subscribe } from "node:diagnostics_channel";
import { createInterface } from "node:readline";

const { root, store, service = "coze", agent, options } = JSON.parse(process.env.SETTINGS ?? "{}");
const { openStore, SessionMapper } = await import(`${root}/src/index.js`);
const { coze, sonaops, dialogflowCx } = await import(`${root}/src/backends/${service}/index.js`);
const backends = {
  coze: () => coze({ ...agent, tools: { price: ({ size }) => (size === "large" ? "12" : "8") } }),
  sonaops: () => sonaops(agent),
  "dialogflow-cx": () => dialogflowCx(agent),
};
const mapper = new SessionMapper({
  agents: { helper: backends[service]() },
  store: await openStore(store),
  secret: "a secret of the tests, long enough",
  logger: { info() {}, warn() {}, error() {} },
  ...options,
});
const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
subscribe("aparte:turn:end", ({ turnId }) => write({ ended: turnId }));

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  mapper
    .handle(message)
    .text()
    .then(
      (text) => write({ id: message.id, text }),
      (error) => write({ id: message.id, code: error.code }),
    );
}
await mapper.close();
