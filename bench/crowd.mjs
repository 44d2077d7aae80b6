import { fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import { startCozeEmulator } from "../dist/src/testing/index.js";
import { row } from "./measure.mjs";
import { startServer } from "./redis.mjs";

const people = 10_000;
const messages = 5;
const processes = 4;
const atOnce = 200;

/** 10,000 new people who say five things each, to four processes on one Redis, every third event twice. */
export async function benchCrowd() {
  const server = await startServer();
  if (server === undefined) return;
  const emulator = await startCozeEmulator();
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const settings = { store: server.url, agent: { appId, keyId, privateKey, botId, baseURL } };
  const script = fileURLToPath(new URL("crowd-bot.mjs", import.meta.url));
  const told = new EventEmitter().setMaxListeners(0);
  const replies = new Map();
  const last = new Map();
  let twice = 0;
  let disorder = 0;
  const bots = await Promise.all(
    Array.from({ length: processes }, async () => {
      const child = fork(script, { env: { ...process.env, SETTINGS: JSON.stringify(settings) } });
      child.on("message", ({ event, reply, text }) => {
        if (event !== undefined) told.emit(`event ${event}`);
        if (reply === undefined) return;
        if (replies.has(reply)) twice += 1;
        replies.set(reply, text);
        const [user, index] = reply.split("-");
        if (Number(index) !== (last.get(user) ?? 0) + 1) disorder += 1;
        last.set(user, Number(index));
        told.emit(`reply ${reply}`);
      });
      await once(child, "message");
      return child;
    }),
  );
  const from = performance.now();
  let next = 0;
  const one = async () => {
    for (let person = next++; person < people; person = next++) {
      for (let index = 1; index <= messages; index += 1) {
        const id = `u${person}-${index}`;
        const message = { id, platform: "chat", tenant: "t", user: `u${person}`, text: `word${index}` };
        const taken = once(told, `event ${id}`);
        bots[(person + index) % processes].send(message);
        if ((person + index) % 3 === 0) bots[(person + index + 1) % processes].send(message);
        await taken;
      }
      const end = `u${person}-${messages}`;
      if (!replies.has(end)) await once(told, `reply ${end}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  const seconds = (performance.now() - from) / 1000;
  const failed = [...replies.values()].filter((text) => !text.includes("Turn")).length;
  row(
    `${people} new people x ${messages}, ${processes} processes, Redis`,
    `${seconds.toFixed(0)} s`,
    `${(replies.size / seconds).toFixed(0)} turns a second, with the stand-in agent on the same machine`,
  );
  row("  conversations opened", emulator.conversations().length, `reach: ${people}`);
  row("  replies", replies.size, `reach: ${people * messages}`);
  row("  replies twice / out of order / failed", `${twice} / ${disorder} / ${failed}`, "reach: 0 / 0 / 0");
  row("  signatures", emulator.signatures, "one for each person");
  for (const bot of bots) bot.kill("SIGKILL");
  await emulator.close();
  await server.close();
}
