import type { Command, LaneDocument, LaneTurn, Overlap, Phase } from "../../src/lane/machine.ts";

// Lanes and commands as docs/architecture.md writes them, so that a test's expected values can be read.
//
// A turn is written `kind number @ owner`, for example `q1@A`. Kinds: q queue, m merge, i interrupt, r reject; h is a
// queueing turn whose answer only its caller can read; o an operation. After the number `'` means that its answer goes
// to another place. After the owner: `:asked`, `:answered`, `!` it is interrupted, `~` its person wants it to stop, `+m1`
// it carries the words of m1, `^` another owner took it (also behind the turn that is carried),
// `#2` it began to run twice (otherwise once if it runs or is parked, and never if it waits).
// A lane lists the turn that runs, then those that wait, and parked ones in brackets: `q1@A, q2@B, (h1@C)`.

/** How many turns may wait. */
const limit = 3;

/** From the time 0 on, when all that is parked in these lanes was parked. */
export const dayMs: number = 24 * 60 * 60_000;

const overlaps: Readonly<Record<string, Overlap>> = {
  q: "queue",
  m: "merge",
  i: "interrupt",
  r: "reject",
  h: "queue",
  o: "queue",
};

const turnPattern = /^([qmirho])(\d+)('?)@(\w+)((?::asked|:answered|!|~|\^|#\d+|\+\w+'?)*)$/;

export function turnOf(written: string, state: "runs" | "waits" | "parked" = "waits"): LaneTurn {
  const [, kind = "", number = "", prime = "", owner = "", rest = ""] = turnPattern.exec(written) ?? [];
  const overlap = overlaps[kind];
  if (overlap === undefined) throw new Error(`This is no turn: "${written}"`);
  const key = `${kind}${number}${prime}`;
  const attempt = /#(\d+)/.exec(rest)?.[1];
  const carries = [...rest.matchAll(/\+(\w+'?)(\^?)/g)].map(([, carried = "", adopted]) => ({
    ...{ key: carried, body: { says: carried } },
    ...(adopted === "" ? {} : { isAdopted: true as const }),
  }));
  const phase = /:(asked|answered)/.exec(rest)?.[1] as Phase | undefined;
  return {
    ...{ key, owner, overlap, body: { says: key }, phase: phase ?? "taken" },
    mergeKey: kind === "o" ? "" : prime === "" ? "here" : "there",
    attempt: attempt === undefined ? (state === "waits" ? 0 : 1) : Number(attempt),
    ...(kind === "h" || kind === "o" ? {} : { place: "chat" }),
    ...(kind === "o" ? { isOperation: true } : {}),
    ...(carries.length === 0 ? {} : { carries }),
    ...(rest.includes("!") ? { isInterrupted: true } : {}),
    ...(rest.includes("~") ? { isStopped: true } : {}),
    ...(rest.startsWith("^") ? { isAdopted: true } : {}),
    // Whatever began and waits has come again since it was parked.
    ...(kind === "h" && state === "waits" && attempt !== undefined ? { leftAt: 0 } : {}),
  };
}

export function laneOf(written: string): LaneDocument | undefined {
  if (written === "idle") return undefined;
  const parts = written.split(", ");
  const parked = parts
    .filter((part) => part.startsWith("("))
    .map((part) => ({ turn: turnOf(part.slice(1, -1), "parked"), until: dayMs }));
  const [running, ...waiting] = parts.filter((part) => !part.startsWith("("));
  return {
    v: 1,
    ...(running === undefined ? {} : { running: turnOf(running, "runs") }),
    waiting: waiting.map((part) => turnOf(part)),
    ...(parked.length === 0 ? {} : { parked }),
  };
}

const endings: Record<string, object> = {
  unsent: { isUnsent: true },
  forgets: { forgets: true },
  refused: { mayComeAgain: "all" },
  failed: { mayComeAgain: "own" },
};

const withdrawals: Record<string, object> = {
  stopped: { isStopped: true },
  untaken: { isUntaken: true },
};

/** `take q1@A` (also `… a day later`), `advance q1@A asked` (also `… forgets`), `end q1@A` (also `… unsent`, `… refused`, `… failed`, `… forgets`, several of them), … */
export function commandOf(written: string): { command: Command; now: number } {
  const isLater = written.endsWith(" a day later");
  const [verb, turn = "", ...rest] = written.replace(/ a day later$/, "").split(" ");
  return { command: commandFor(verb, turn, rest.join(" ")), now: isLater ? dayMs : 0 };
}

function commandFor(verb: string | undefined, written: string, rest: string): Command {
  // The owner C has no adapter: it cannot deliver anything.
  if (verb === "takeOver") {
    const owner = rest.replace("to ", "");
    return { do: "takeOver", from: written, owner, canDeliver: () => owner !== "C" };
  }
  if (verb === "stop") {
    const isMeant = (body: unknown) => written.split("+").includes((body as { says: string }).says);
    return { do: "stop", isMeant };
  }
  const { key, owner } = turnOf(written);
  if (verb === "take") return { do: "take", turn: turnOf(written), limit };
  if (verb === "advance") {
    if (rest === "forgets") return { do: "advance", key, owner, progress: {}, forgets: true };
    return { do: "advance", key, owner, progress: { phase: rest as Phase } };
  }
  if (verb === "end") {
    return Object.assign({ do: "end", key, owner } as const, ...rest.split(" ").map((how) => endings[how]));
  }
  if (verb === "withdraw") return { do: "withdraw", key, owner, ...withdrawals[rest] };
  if (verb === "release") return { do: "release", key, owner, to: rest.replace("to ", "") };
  if (verb === "restore") {
    const wasRunning = rest === "ran";
    return { do: "restore", turn: turnOf(written, wasRunning ? "runs" : "waits"), wasRunning };
  }
  throw new Error(`This is no command: "${verb} ${written} ${rest}"`);
}
