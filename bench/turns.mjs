import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { row, sideBySide } from "./measure.mjs";

const names = {
  memory: "aparte, memory store",
  sqlite: "aparte, SQLite store",
  grammy: "grammY, session + sequentialize",
  botbuilder: "botbuilder, ConversationState",
  "chat-drop": "vercel/chat core, drop, thread.state",
  "chat-queue": "vercel/chat core, queue, thread.state",
};

/**
 * The same job everywhere: a message of a known person comes in; the time until the code that asks the agent
 * runs and has the person's conversation id. In microseconds, median of one run. One process each, in turns.
 */
export async function benchTurns() {
  const contenders = await Promise.all(Object.keys(names).map(start));
  const medians = await sideBySide(contenders, { turns: 2_000 });
  const own = medians.get("memory");
  for (const [name, micros] of medians) {
    const goal =
      name === "memory" ? "reach: <= 15 µs, and less than the peers" : `${(micros / own).toFixed(1)} x`;
    row(`before the agent is asked: ${names[name]}`, `${micros.toFixed(1)} µs`, goal);
  }
  for (const { close } of contenders) close();
}

/** A whole turn of a known person on Redis, until nothing of it is left to be written, beside a peer's. */
export async function benchWholeTurns(url) {
  const contenders = await Promise.all(["redis", "chat-queue-redis"].map((name) => start(name, url)));
  const medians = await sideBySide(contenders, { turns: 1_000 });
  const [own, peer] = [medians.get("redis"), medians.get("chat-queue-redis")];
  row("a whole warm turn on Redis: aparte", `${own.toFixed(1)} µs`, "reach: <= 130 µs");
  const ratio = `${(peer / own).toFixed(2)} x   reach: >= 1.5 x`;
  row("a whole warm turn on Redis: vercel/chat core, queue, thread.state", `${peer.toFixed(1)} µs`, ratio);
  for (const { close } of contenders) close();
}

async function start(name, ...more) {
  const child = fork(fileURLToPath(new URL("contender.mjs", import.meta.url)), [name, ...more]);
  const answer = async () => (await once(child, "message"))[0];
  await answer();
  return {
    name,
    run(turns) {
      child.send(turns);
      return answer();
    },
    close: () => child.disconnect(),
  };
}
