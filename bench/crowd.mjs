import { fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import { startCozeEmulator } from "../dist/src/testing/index.js";
import { row } from "./measure.mjs";
import { startServer } from "./redis.mjs";

const processes = 4;
const firstWords = 50;
const people = 10_000;
const messages = 5;
const atOnce = 200;

/** New people who speak to four processes on one Redis: one who says much at once, then a crowd. */
export async function benchCrowd() {
  const server = await startServer();
  if (server === undefined) return;
  const emulator = await startCozeEmulator();
  const bots = await Bots.start(server.url, emulator);
  await oneImpatient(bots, emulator);
  await manyPeople(bots, emulator);
  bots.kill();
  await emulator.close();
  await server.close();
}

/** The processes, and what they have told so far. */
class Bots {
  /** Texts by the message that they answer, in the order in which they came. */
  replies = new Map();
  twice = 0;
  #children;
  #told = new EventEmitter().setMaxListeners(0);

  static async start(store, { appId, keyId, privateKey, botId, baseURL }) {
    const settings = { store, agent: { appId, keyId, privateKey, botId, baseURL } };
    const env = { ...process.env, SETTINGS: JSON.stringify(settings) };
    const script = fileURLToPath(new URL("crowd-bot.mjs", import.meta.url));
    const bots = new Bots();
    bots.#children = Array.from({ length: processes }, () => fork(script, { env }));
    await Promise.all(bots.#children.map((child) => once(child, "message")));
    for (const child of bots.#children) child.on("message", (told) => bots.#hear(told));
    return bots;
  }

  #hear({ event, reply, text }) {
    if (event !== undefined) this.#told.emit(`event ${event}`);
    if (reply === undefined) return;
    if (this.replies.has(reply)) this.twice += 1;
    this.replies.set(reply, text);
    this.#told.emit(`reply ${reply}`);
  }

  /** Resolves when the process has taken the message. */
  async send(index, user, id, text) {
    const taken = once(this.#told, `event ${id}`);
    this.#children[index % processes].send({ id, platform: "chat", tenant: "t", user, text });
    await taken;
  }

  async reply(id) {
    if (!this.replies.has(id)) await once(this.#told, `reply ${id}`);
  }

  kill() {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

async function oneImpatient(bots, emulator) {
  const ids = Array.from({ length: firstWords }, (_, index) => `first-${index}`);
  const said = ids.map(async (id, index) => {
    await bots.send(index, "first", id, "me again");
    await bots.reply(id);
  });
  await Promise.all(said);
  const order = [...bots.replies].map(([id, text], index) => ({
    place: Number(id.split("-")[1]),
    isNext: text.startsWith(`Turn ${index + 1}.`),
  }));
  const last = Array.from({ length: processes }, () => -1);
  let disorder = 0;
  for (const { place, isNext } of order) {
    if (!isNext || place < last[place % processes]) disorder += 1;
    last[place % processes] = place;
  }
  row(`${firstWords} first messages of one person at once, ${processes} processes`, "");
  row("  conversations opened", emulator.conversations().length, "reach: 1");
  row("  replies / out of order", `${order.length} / ${disorder}`, `reach: ${firstWords} / 0`);
  bots.replies.clear();
}

/** Each says five things, and every third event comes twice. */
async function manyPeople(bots, emulator) {
  const before = { conversations: emulator.conversations().length, cpu: process.cpuUsage() };
  const from = performance.now();
  let next = 0;
  const one = async () => {
    for (let person = next++; person < people; person = next++) {
      for (let index = 1; index <= messages; index += 1) {
        const say = (to) => bots.send(to, `u${person}`, `u${person}-${index}`, `word${index}`);
        const again = (person + index) % 3 === 0 ? say(person + index + 1) : undefined;
        await Promise.all([say(person + index), again]);
      }
      await bots.reply(`u${person}-${messages}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  const seconds = (performance.now() - from) / 1000;
  const cpu = process.cpuUsage(before.cpu);
  const { replies, twice } = bots;
  const last = new Map();
  let disorder = 0;
  for (const reply of replies.keys()) {
    const [user, index] = reply.split("-");
    if (Number(index) !== (last.get(user) ?? 0) + 1) disorder += 1;
    last.set(user, Number(index));
  }
  const failed = [...replies.values()].filter((text) => !text.includes("Turn")).length;
  row(
    `${people} new people x ${messages}, ${processes} processes, Redis`,
    `${seconds.toFixed(0)} s`,
    `${(replies.size / seconds).toFixed(0)} turns a second, with the stand-in agent on the same machine`,
  );
  row("  of it the agent's and the platform's own CPU", `${((cpu.user + cpu.system) / 1e6).toFixed(0)} s`);
  row("  conversations opened", emulator.conversations().length - before.conversations, `reach: ${people}`);
  row("  replies", replies.size, `reach: ${people * messages}`);
  row("  replies twice / out of order / failed", `${twice} / ${disorder} / ${failed}`, "reach: 0 / 0 / 0");
  row("  signatures", emulator.signatures, "one for each person");
}
