import type { CozeEmulator } from "aparte/testing";
import { wordsIn } from "./ledger.ts";

/** What the agent was asked and said, by the words of the messages. */
export interface AgentMemory {
  /** For each message, its place among all questions of its conversation, once for each time it was asked. */
  readonly asked: ReadonlyMap<string, readonly number[]>;
  /** All that the agent said in answer to a message. */
  readonly answers: ReadonlyMap<string, readonly string[]>;
  /** Conversations in which several people were heard. */
  readonly mixed: readonly string[];
  /** People, by their number, who were heard in several conversations. */
  readonly split: readonly number[];
  /** Sessions for which several conversations were opened. */
  readonly openedTwice: readonly string[];
}

export function readMemory(emulator: CozeEmulator): AgentMemory {
  const asked = new Map<string, number[]>();
  const answers = new Map<string, string[]>();
  const mixed: string[] = [];
  const conversationsOf = new Map<number, number>();
  const sessions = new Map<string | undefined, number>();
  for (const { id, sessionName, messages } of emulator.conversations()) {
    sessions.set(sessionName, (sessions.get(sessionName) ?? 0) + 1);
    const people = new Set<number>();
    const wordsOfChat = new Map<string, readonly string[]>();
    let place = 0;
    for (const { role, type, chatId, text } of messages) {
      if (role === "user") {
        // Several where messages were merged.
        const words = wordsIn(text);
        wordsOfChat.set(chatId, words);
        for (const word of words) {
          people.add(personOf(word));
          append(asked, word, place);
          place += 1;
        }
      } else if (type === "answer") {
        for (const word of wordsOfChat.get(chatId) ?? []) append(answers, word, text);
      }
    }
    if (people.size > 1) mixed.push(`conversation ${id}: people ${[...people].join(", ")}`);
    for (const person of people) conversationsOf.set(person, (conversationsOf.get(person) ?? 0) + 1);
  }
  const split = [...conversationsOf].filter(([, count]) => count > 1).map(([person]) => person);
  const openedTwice = [...sessions].filter(([, count]) => count > 1).map(([session]) => String(session));
  return { asked, answers, mixed, split, openedTwice };
}

function personOf(word: string): number {
  return Number(/^w(\d+)x/.exec(word)?.[1]);
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
