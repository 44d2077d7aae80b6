// Thirty people at once in one workspace that takes no more calls than Slack does: when each sees the first words, and
// whether all is whole. Run as `npm run bench:slack`; it takes some minutes, since the answers take 20 seconds each.
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median, row } from "./measure.mjs";

const people = 30;
const answerMs = 20_000;
const words = Array.from({ length: 60 }, (_, word) => `Word ${word}. `);

const repository = fileURLToPath(new URL("..", import.meta.url));
// Within the repository, so that what the stand-in for Slack imports is found.
const compiled = join(repository, "node_modules/.cache", `aparte-bench-${process.pid}`);
mkdirSync(compiled, { recursive: true });
process.once("exit", () => rmSync(compiled, { recursive: true, force: true }));
const options = ["--noCheck", "--ignoreConfig", "--module", "nodenext", "--target", "es2023"];
const tsc = spawnSync(
  join(repository, "node_modules/.bin/tsc"),
  [
    ...options,
    "--rewriteRelativeImportExtensions",
    "--outDir",
    compiled,
    join(repository, "test/fakes/slack-server.ts"),
  ],
  { stdio: "inherit" },
);
if (tsc.status !== 0) throw new Error("The stand-in for Slack could not be compiled.");
const { SlackServer } = await import(join(compiled, "slack-server.js"));

for (const processes of [1, 4]) await serve(processes);

async function serve(processes) {
  const server = await SlackServer.start();
  server.hasBudgets = true;
  const folder = mkdtempSync(join(tmpdir(), "aparte-bench-slack-"));
  const { apiUrl, token, signingSecret } = server;
  const store = `sqlite:${join(folder, "aparte.db")}`;
  const settings = { store, apiUrl, token, signingSecret, words, answerMs };
  const script = fileURLToPath(new URL("slack-bot.mjs", import.meta.url));
  const bots = await Promise.all(
    Array.from({ length: processes }, async () => {
      const child = fork(script, { env: { ...process.env, SETTINGS: JSON.stringify(settings) } });
      const [url] = await once(child, "message");
      return { child, url };
    }),
  );
  const users = Array.from({ length: people }, (_, person) => `U${person}`);
  // Two thirds in threads of channels, the others in direct messages.
  const channelOf = (person) => (person % 3 === 0 ? `D${person}` : `C${person}`);
  const saidAt = performance.now();
  await Promise.all(
    users.map((user, person) =>
      server.say(user, `<@${server.botUserId}> ${user}`, {
        channel: channelOf(person),
        eventsUrl: bots[person % processes].url,
      }),
    ),
  );
  const isWhole = (user) =>
    server
      .shown()
      .some(
        ({ shown, isStreaming }) =>
          !isStreaming && shown.includes(`Hello ${user}. `) && shown.includes(words.at(-1)),
      );
  await server.until(() => users.every(isWhole), 600_000);
  const seconds = (performance.now() - saidAt) / 1_000;
  const firstWords = (user) => {
    const isFirst = ({ result, body }) =>
      result === "" && `${body.markdown_text}${body.text}`.includes(`Hello ${user}. `);
    return (server.calls.find(isFirst).at - saidAt) / 1_000;
  };
  const times = (isDirect) =>
    users.filter((_, person) => channelOf(person).startsWith("D") === isDirect).map(firstWords);
  const exact = users.filter(
    (user) => server.shown().filter(({ shown }) => shown === `Hello ${user}. ${words.join("")}`).length === 1,
  ).length;
  const name = `${processes} process${processes === 1 ? "" : "es"}`;
  for (const [where, all] of [
    ["threads", times(false)],
    ["direct messages", times(true)],
  ]) {
    const last = Math.max(...all).toFixed(1);
    row(
      `${name}: first words in ${all.length} ${where}, the last`,
      `${last} s`,
      `median ${median(all).toFixed(1)} s; reach: <= 5 s`,
    );
  }
  row(
    `${name}: whole answers, once each`,
    exact,
    `reach: ${people}, of ${server.shown().length} posts; after ${seconds.toFixed(0)} s`,
  );
  for (const { child } of bots) child.kill("SIGKILL");
  await server.close();
  rmSync(folder, { recursive: true, force: true });
}
