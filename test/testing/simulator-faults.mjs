import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * Runs the simulator on a copy of the built library that has a fault.
 * @param root the folder of the build
 */
export async function simulateWith(root, { file, from, to }, seeds) {
  const copy = join(root, "faulty", crypto.randomUUID());
  try {
    await cp(join(root, "src"), join(copy, "src"), { recursive: true });
    const path = join(copy, "src", file);
    const text = await readFile(path, "utf8");
    if (text.split(from).length !== 2) throw new Error(`${file} does not have this text once: ${from}`);
    await writeFile(
      path,
      text.replace(from, () => to),
    );
    const { simulate } = await import(pathToFileURL(join(copy, "src/testing/simulator/simulate.js")).href);
    return await simulate({ from: 1, seeds, shrinks: false });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/**
 * Faults that are put into the built code, one at a time, to see that the simulator notices them,
 * and within how many schedules it must. Where `from` is found
 * no more, the code has changed, and the fault with it.
 */
export const faults = [
  {
    name: "a store that does not compare versions",
    file: "stores/local-lanes.js",
    from: "if ((this.#kept(lane, now)?.version ?? 0) !== version)",
    to: "if (false)",
    within: 20,
  },
  {
    name: "a store that forgets which events it took",
    file: "stores/local-lanes.js",
    from: "return duplicates.length > 0 ?",
    to: "return false ?",
    within: 20,
  },
  {
    name: "an owner that does not look whether its lease is over",
    file: "lane/owner.js",
    from: "return this.clock.now() < this.#trustedUntil && !this.#isStopped;",
    to: "return !this.#isStopped;",
    within: 3_000,
  },
  {
    name: "a permit that is always given",
    file: "lane/place.js",
    from: 'while (this.#state !== "lost" && !this.#owner.isAlive) {',
    to: "return;\n        while (false) {",
    within: 6_000,
  },
  {
    name: "a permit that does not ask whose the turn is",
    file: "lane/place.js",
    from: 'if (this.#state === "lost")\n            throw leaseLost();\n    }\n    /**',
    to: "}\n    /**",
    within: 3_000,
  },
  {
    name: "a takeover without burying",
    file: "lane/owner.js",
    from: "owner === this.#id || !(await this.#bury(owner))",
    to: "owner === this.#id",
    within: 1_500,
  },
  {
    name: "an owner that is not told that it was buried",
    file: "stores/local-lanes.js",
    from: "if (known?.buriedAt !== undefined)",
    to: "if (false)",
    within: 1_500,
  },
  {
    name: "an owner that goes on after it was buried",
    file: "lane/owner.js",
    from: "if (beat.isBuried)",
    to: "if (false)",
    within: 1_500,
  },
  {
    name: "a turn that is taken over and asked again",
    file: "turn/ask.js",
    from: 'if (phase !== "asked" && (id === undefined || this.#backend.recover === undefined)) {',
    to: "if (true) {",
    within: 50,
  },
  {
    name: "a turn that is asked before that is written down",
    file: "turn/ask.js",
    from: 'const isUnwritten = this.#backend.recover === undefined && place.turn?.phase === "taken";',
    to: "const isUnwritten = false;",
    within: 200,
  },
  {
    name: "an answer that is not written down",
    file: "turn/delivery.js",
    from: 'if (isKept && place.turn?.phase !== "answered") {',
    to: "if (false) {",
    within: 60_000,
  },
  {
    name: "a delivery that does not say that it is repeated",
    file: "turn/delivery.js",
    from: "return !this.#isFirst || (this.#deliverer.place?.attempt ?? 1) > 1;",
    to: "return false;",
    within: 200,
  },
  {
    name: "a delivery that is not tried again",
    file: "turn/delivery.js",
    from: "if (!passes)",
    to: "if (true)",
    within: 500,
  },
  {
    name: "a wake that is lost and not made up for",
    file: "lane/lane.js",
    from: "if (clock.now() - this.#seenAt < leaseTime)",
    to: "if (true)",
    within: 3_000,
  },
  {
    name: "a conversation that is opened before that is written down",
    file: "session/conversation.js",
    from: "session.changeConversation(agent, { ...known, isOpening: true });\n        await session.save();",
    to: "",
    within: 500,
  },
  {
    name: "a message that was given up and is not taken back",
    file: "lane/lane.js",
    from: "this.#takeBack(pending);\n            pending.reject(error);",
    to: "pending.reject(error);",
    within: 200,
  },
  {
    name: "words that were interrupted before they were sent, and are dropped",
    file: "lane/machine.js",
    from: "const carried = isUnsent && !running.isStopped ? carriedOn(rest, running) : rest;",
    to: "const carried = rest;",
    within: 500,
  },
  {
    name: "words that were sent, and are carried on",
    file: "lane/machine.js",
    from: "const carried = isUnsent && !running.isStopped ? carriedOn(rest, running) : rest;",
    to: "const carried = running.isInterrupted ? carriedOn(rest, running) : rest;",
    within: 50,
  },
  {
    name: "a turn of a dead process whose words are carried on though they may have been sent",
    file: "turn/turn.js",
    from: "this.#stop.hold();\n        void place.stopped",
    to: ";\n        void place.stopped",
    within: 200,
  },
  {
    name: "turns that are run last come, first served",
    file: "lane/machine.js",
    from: "waiting: [...waiting, turn] };",
    to: "waiting: [turn, ...waiting] };",
    within: 20,
  },
  {
    name: "a failing store that is given up at once",
    file: "lane/lane.js",
    from: "const over = this.#pending.filter(({ giveUpAt }) => giveUpAt <= now);",
    to: "const over = [...this.#pending];",
    within: 50,
  },
  {
    name: "people who share a session",
    file: "speaker/session-names.js",
    from: "const encoded = encodeSpeaker(who);",
    to: 'const encoded = "";',
    within: 50,
  },
  {
    name: "a turn that begins anew where its caller asks again",
    file: "lane/machine.js",
    from: "return { ...parked, owner, body, leftAt: until - parkedMs };",
    to: "return { ...parked, owner, body, leftAt: until - parkedMs, attempt: 0 };",
    within: 20,
  },
  {
    name: "a reset that forgets that a conversation is being opened",
    file: "session/operations.js",
    from: "if (conversation?.id === undefined)\n        return;",
    to: "if (conversation === undefined)\n        return;\n    if (conversation.id === undefined)\n        return dropConversation(session, agent);",
    within: 10000,
  },
];
