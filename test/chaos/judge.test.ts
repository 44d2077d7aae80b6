import { beforeEach, describe, expect, it } from "vitest";
import type { AgentMemory } from "../../chaos/agent-memory.ts";
import type { Death } from "../../chaos/bots.ts";
import { judge } from "../../chaos/judge.ts";
import { Ledger, type Person, type Said } from "../../chaos/ledger.ts";
import { Troubles } from "../../chaos/store-faults.ts";

const ann: Person = { number: 1, platform: "plain", isDirect: true };
const answer = 'Turn 1. You said: "w1x0 hello".';

let ledger: Ledger;
let memory: AgentMemory;
let deaths: Death[];

beforeEach(() => {
  ledger = new Ledger();
  memory = {
    ...{ asked: new Map([["w1x0", [0]]]), answers: new Map([["w1x0", [answer]]]) },
    ...{ mixed: [], split: [], openedTwice: [] },
  };
  deaths = [];
});

function said(person: Person, index: number): Said {
  const one = ledger.say(person, index, "hello");
  ledger.name(one, one.word);
  return one;
}

/** A message that a bot has taken. */
function taken(person: Person, index: number): Said {
  const one = said(person, index);
  ledger.taken(one, 1);
  return one;
}

function show(about: Said, text: string, id: string, bot = 0): void {
  const { platform, number } = about.person;
  const place = `u${number}`;
  ledger.shown({ platform, id, place, text, bot, isLost: false, about: [about.word] });
}

/** The names of what is counted as broken. */
function broken(): string[] {
  const counts = judge(ledger, memory, deaths, new Troubles());
  return counts.filter(({ isBroken }) => isBroken === true).map(({ name }) => name);
}

function countOf(name: string): number | undefined {
  return judge(ledger, memory, deaths, new Troubles()).find((count) => count.name === name)?.count;
}

describe("The judge of the chaos program", () => {
  it("finds nothing where each message is answered once, in order, in several posts too", () => {
    const first = taken(ann, 0);
    show(first, "Turn 1. You said:", "p1");
    show(first, 'Turn 1. You said: "w1x0', "p1");
    show(first, 'hello".', "p2");
    expect(broken()).toEqual([]);
    expect(countOf("delivered in several posts")).toBe(1);
  });

  it("counts what is asked twice", () => {
    show(taken(ann, 0), answer, "p1");
    memory = { ...memory, asked: new Map([["w1x0", [0, 1]]]) };
    expect(broken()).toEqual(["asked twice"]);
  });

  it("counts what is delivered twice, whole or in part", () => {
    const said = taken(ann, 0);
    show(said, "Turn 1.", "p1");
    show(said, answer, "p2");
    expect(broken()).toEqual(["delivered twice"]);
  });

  it("excuses a double of a process that died at once, where posts bear no mark", () => {
    const said = taken(ann, 0);
    show(said, answer, "p1", 0);
    deaths.push({ bot: 0, at: said.sentAt });
    show(said, answer, "p2", 1);
    expect(broken()).toEqual([]);
    expect(countOf("delivered twice, death or outage between storing and noting")).toBe(1);
  });

  it("excuses no double where posts bear a mark", () => {
    const said = taken({ ...ann, platform: "discord" }, 0);
    show(said, answer, "p1", 0);
    deaths.push({ bot: 0, at: said.sentAt });
    show(said, answer, "p2", 1);
    expect(broken()).toEqual(["delivered twice"]);
  });

  it("counts what overtakes at the agent and on the platform", () => {
    const early = taken(ann, 0);
    const late = taken(ann, 1);
    const second = 'Turn 1. You said: "w1x1 hello".';
    memory = {
      ...memory,
      asked: new Map([
        ["w1x0", [1]],
        ["w1x1", [0]],
      ]),
      answers: new Map([
        ["w1x0", [answer]],
        ["w1x1", [second]],
      ]),
    };
    show(late, second, "p1");
    const until = Date.now() + 5;
    while (Date.now() < until); // The ledger counts whole milliseconds.
    show(early, answer, "p2");
    expect(broken()).toEqual(["asked out of order", "delivered out of order"]);
  });

  it("counts words of somebody else", () => {
    const said = taken(ann, 0);
    show(said, `${answer} w2x0`, "p1");
    show(said, answer, "p1");
    expect(broken()).toEqual(["mixed in replies"]);
  });

  it("counts what is told to be sent again, and what is told although it is answered", () => {
    const said = taken(ann, 0);
    show(said, "I cannot reach my memory right now. Please try again in a moment. (ref H89U5YP6)", "p1");
    expect(broken()).toEqual(["accepted and told to send again", "delivered on plain"]);
    show(said, answer, "p2");
    expect(broken()).toEqual(["answered and told that it failed"]);
  });

  it("keeps apart what a bot took back and told so, while another one saw it taken", () => {
    const one = said(ann, 0);
    one.refusers.add(0);
    ledger.takenBefore(one);
    show(one, "I cannot reach my memory right now. Please try again in a moment. (ref ABCD2345)", "p1");
    const name = "taken back and told so, while another bot saw it taken";
    expect([countOf(name), countOf("accepted and told to send again")]).toEqual([1, 0]);
    ledger.taken(one, 1);
    expect([countOf(name), countOf("accepted and told to send again")]).toEqual([0, 1]);
  });

  it("counts what nobody ever hears of, and what has no end", () => {
    const said = taken(ann, 0);
    const name = "accepted and neither answered nor told";
    expect(broken()).toEqual([name, "delivered on plain"]);
    show(said, "Turn 1. You", "p1");
    expect(broken()).toEqual([name, "delivered on plain"]);
  });

  it("leaves out what a thawed process shows over the post of its successor, and counts it", () => {
    const said = taken(ann, 0);
    show(said, answer, "p1", 1);
    ledger.frozenAt = (bot) => (bot === 0 ? 0 : undefined);
    show(said, "Turn 1.", "p1", 0);
    expect(broken()).toEqual([]);
    expect(countOf("shown late by a bot that had frozen, or was taken for dead")).toBe(1);
  });

  it("and what a process that was taken for dead had sent before it heard that", () => {
    const one = taken(ann, 0);
    show(one, "Turn 1.", "p1", 0);
    show(one, answer, "p1", 1);
    show(one, "Turn 1. You", "p1", 0);
    expect(countOf("delivered")).toBe(0);
    ledger.buried(0, 0);
    expect(countOf("delivered")).toBe(1);
    expect(broken()).toEqual([]);
  });

  it("but not what a thawed process shows of a message that it took after its thaw", () => {
    const one = said(ann, 0);
    one.refusers.add(1);
    show(one, "I cannot reach my memory right now. Please try again in a moment. (ref ABCD2345)", "p1", 1);
    ledger.frozenAt = (bot) => (bot === 0 ? -1_000 : undefined);
    ledger.taken(one, 0);
    show(one, answer, "p2", 0);
    expect(countOf("delivered")).toBe(1);
    expect(broken()).toEqual([]);
  });

  it("counts the order from when a bot took it, where another one saw it taken, and it was taken back", () => {
    const early = said(ann, 0);
    early.refusers.add(0);
    ledger.takenBefore(early);
    const late = taken(ann, 1);
    Object.assign(late, { sentAt: (early.takenAt ?? 0) + 1 });
    memory = {
      ...memory,
      ...{
        asked: new Map([
          ["w1x0", [1]],
          ["w1x1", [0]],
        ]),
      },
      ...{ answers: new Map([["w1x1", [answer]]]) },
    };
    expect(countOf("asked out of order")).toBe(1);
    ledger.taken(early, 1);
    Object.assign(late, { sentAt: (early.takenAt ?? 0) - 1 });
    expect(countOf("asked out of order")).toBe(0);
  });

  it("keeps apart what is answered, and was told by a bot that died before it could take it back", () => {
    const one = said(ann, 0);
    one.refusers.add(1);
    show(one, "I cannot reach my memory right now. Please try again in a moment. (ref ABCD2345)", "p1", 1);
    const name = "answered and told that it failed";
    show(one, answer, "p2", 0);
    expect(countOf(name)).toBe(1);
    deaths = [{ bot: 1, at: one.sentAt }];
    expect(countOf(name)).toBe(0);
    expect(countOf("answered, and told by a bot that died before it could take it back")).toBe(1);
  });

  it("lets a bot tell that it could not take what another one took, also where it dies over it", () => {
    const one = said(ann, 0);
    ledger.taken(one, 0);
    show(one, answer, "p1", 0);
    show(one, "I cannot reach my memory right now. Please try again in a moment. (ref ABCD2345)", "p2", 1);
    const name = "answered and told that it failed";
    expect(countOf(name)).toBe(1);
    const at = one.sentAt;
    deaths = [{ bot: 1, at }];
    expect(countOf(name)).toBe(0);
    deaths = [
      { bot: 0, at },
      { bot: 1, at: at + 5_000 },
    ];
    expect(countOf(name)).toBe(1);
  });

  it("knows by its words that a bot refused that died before it could say so", () => {
    const one = said(ann, 0);
    show(one, "I cannot reach my memory right now. Please try again in a moment. (ref ABCD2345)", "p1", 1);
    show(one, answer, "p2", 0);
    const name = "answered and told that it failed";
    deaths = [{ bot: 1, at: one.sentAt }];
    expect(countOf(name)).toBe(0);
    // It had taken it: what it told was the end of its turn.
    ledger.taken(one, 1);
    expect(countOf(name)).toBe(1);
  });
});
