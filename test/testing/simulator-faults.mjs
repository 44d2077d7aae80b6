/**
 * Faults that are put into the built code, one at a time, to see that the simulator notices them. Where `from` is found
 * no more, the code has changed, and the fault with it.
 */
export const faults = [
  {
    name: "a store that does not compare versions",
    file: "stores/local-lanes.js",
    from: "if ((kept?.version ?? 0) !== commit.version)",
    to: "if (false)",
  },
  {
    name: "a store that forgets which events it took",
    file: "stores/local-lanes.js",
    from: "if (duplicates.length > 0)",
    to: "if (false)",
  },
  {
    name: "an owner that does not look whether its lease is over",
    file: "lane/owner.js",
    from: "return this.clock.now() < this.#trustedUntil && !this.#isStopped;",
    to: "return !this.#isStopped;",
  },
  {
    name: "a permit that is always given",
    file: "lane/place.js",
    from: 'while (this.#state !== "lost" && !this.#owner.isAlive) {',
    to: "return;\n        while (false) {",
  },
  {
    name: "a permit that does not ask whose the turn is",
    file: "lane/place.js",
    from: 'if (this.#state === "lost")\n            throw leaseLost();\n    }\n    /**',
    to: "}\n    /**",
  },
  {
    name: "a takeover without burying",
    file: "lane/owner.js",
    from: "owner === this.#id || !(await this.#bury(owner))",
    to: "owner === this.#id",
  },
  {
    name: "an owner that is not told that it was buried",
    file: "stores/local-lanes.js",
    from: "if (known?.buriedAt !== undefined)",
    to: "if (false)",
  },
  {
    name: "an owner that goes on after it was buried",
    file: "lane/owner.js",
    from: "if (beat.isBuried)",
    to: "if (false)",
  },
  {
    name: "a turn that is taken over and asked again",
    file: "turn/ask.js",
    from: "const isUnsent = id === undefined ||",
    to: "const isUnsent = true ||",
  },
  {
    name: "a turn that is asked before that is written down",
    file: "turn/turn.js",
    from: 'const isUnwritten = backend.recover === undefined && place.turn?.phase === "taken";',
    to: "const isUnwritten = false;",
  },
  {
    name: "an answer that is not written down",
    file: "turn/turn.js",
    from: 'if (place.turn?.phase === "answered")\n            return;',
    to: "return;",
  },
  {
    name: "a delivery that does not say that it is repeated",
    file: "turn/delivery.js",
    from: "return !this.#isFirst || (this.#deliverer.place?.turn?.attempt ?? 1) > 1;",
    to: "return false;",
  },
  {
    name: "a delivery that is not tried again",
    file: "turn/delivery.js",
    from: "if (!passes)",
    to: "if (true)",
  },
  {
    name: "a takeover of the turn that runs alone",
    file: "lane/machine.js",
    from: ".map((turn) => (isTaken(turn) ? { ...turn, owner } : turn));",
    to: ";",
  },
  {
    name: "a wake that is lost and not made up for",
    file: "lane/lane.js",
    from: "if (clock.now() - this.#seenAt < leaseTime)",
    to: "if (true)",
  },
  {
    name: "a conversation that is opened before that is written down",
    file: "session/conversation.js",
    from: "await session.save();",
    to: "",
  },
  {
    name: "a turn that is taken back with the words that it carries",
    file: "lane/machine.js",
    from: "const left = withoutOwnWords(found.turn);",
    to: "const left = undefined;",
  },
  {
    name: "a message that was given up and is not taken back",
    file: "lane/lane.js",
    from: "if (wasSent && key !== undefined)",
    to: "if (false)",
  },
  {
    name: "words that were interrupted before they were sent, and are dropped",
    file: "lane/machine.js",
    from: "const carried = isUnsent && running.isInterrupted ? carriedOf(running) : [];",
    to: "const carried = [];",
  },
  {
    name: "words that were sent, and are carried on",
    file: "lane/machine.js",
    from: "const carried = isUnsent && running.isInterrupted ? carriedOf(running) : [];",
    to: "const carried = running.isInterrupted ? carriedOf(running) : [];",
  },
  {
    name: "a turn of a dead process whose words are carried on though they may have been sent",
    file: "turn/turn.js",
    from: "this.#holds += 1;\n        void place.stopped",
    to: ";\n        void place.stopped",
  },
  {
    name: "a commit whose answer was lost, taken for another's",
    file: "lane/machine.js",
    from: 'if (found !== undefined && found.is !== "parked" && found.turn.owner === taken.owner) {',
    to: "if (false) {",
  },
  {
    name: "turns that are run last come, first served",
    file: "lane/machine.js",
    from: "waiting: [...waiting, turn] };",
    to: "waiting: [turn, ...waiting] };",
  },
  {
    name: "a failing store that is given up at once",
    file: "lane/lane.js",
    from: "const over = this.#pending.filter(({ giveUpAt }) => giveUpAt <= now);",
    to: "const over = [...this.#pending];",
  },
  {
    name: "people who share a session",
    file: "speaker/session-names.js",
    from: "const encoded = encodeSpeaker(who);",
    to: 'const encoded = "";',
  },
];
