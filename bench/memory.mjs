import { openStore, SessionMapper } from "../dist/src/index.js";
import { row } from "./measure.mjs";

const people = 100_000;

/** Heap per person who has had one turn, with everything that stays: record, lane, seen event. */
export async function benchMemory() {
  if (globalThis.gc === undefined)
    return row("memory per known person", "not measured", "needs node --expose-gc");
  const backend = {
    name: "bench",
    open: async ({ sessionName }) => `75${sessionName.slice(3, 20)}`,
    async *ask() {
      yield { type: "message", text: "ok" };
    },
  };
  const mapper = new SessionMapper({
    agents: { helper: backend },
    store: await openStore("memory:"),
    secret: "a secret for the benchmark",
  });
  const say = (person, event = "m") =>
    mapper
      .handle({
        id: `${event}${person}`,
        platform: "slack",
        tenant: "T0123456",
        user: `U${1e9 + person}`,
        text: "hi",
      })
      .text();
  for (let person = 0; person < 1_000; person += 1) await say(-1 - person);
  const before = await heap();
  for (let person = 0; person < people; person += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => say(person + index)));
  }
  const known = await heap();
  const events = 4;
  for (let event = 1; event <= events; event += 1) {
    for (let person = 0; person < people; person += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => say(person + index, `e${event}-`)));
    }
  }
  const perEvent = ((await heap()) - known) / people / events;
  const perPerson = (known - before) / people - perEvent;
  row("memory per known person, memory store", `${perPerson.toFixed(0)} bytes`, "reach: <= 400");
  row(
    "memory per remembered event (a day; at most ten million)",
    `${perEvent.toFixed(0)} bytes`,
    "reach: <= 60",
  );
  await mapper.close();
}

async function heap() {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
