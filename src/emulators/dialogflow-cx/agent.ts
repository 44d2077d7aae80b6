import { asksMemory, asksName, nameIn, quoted } from "../agent.ts";
import { displayNameOf, type PageName } from "./flow.ts";
import type { Fields, Query } from "./query.ts";
import { type GrpcStatus, isGrpcStatus } from "./refusal.ts";

/** What the emulator's agent is asked. */
export interface AgentTurn {
  readonly query: Query;
  readonly page: PageName;
  readonly parameters: Fields;
  /** What was said before in this session, oldest first. */
  readonly told: readonly string[];
  /** 1 for a session's first turn. */
  readonly number: number;
}

/** A `ResponseMessage` of the protocol. */
export type Message = Fields;

export interface AgentAnswer {
  readonly matchType: "INTENT" | "DIRECT_INTENT" | "PARAMETER_FILLING" | "NO_MATCH" | "EVENT";
  readonly messages: readonly Message[];
  /** Said ahead of the rest, to callers that stream. */
  readonly partial?: readonly Message[];
  /** Milliseconds between the two. */
  readonly pauseMs?: number;
  readonly page: PageName;
  /** Parameters set by this turn; null takes one out. */
  readonly set?: Fields;
  readonly webhookStatuses?: readonly { readonly code: number; readonly message: string }[];
  /** What goes wrong on request. */
  readonly fault?: { readonly status: GrpcStatus } | "cut" | "hang";
}

const sizes: readonly string[] = ["small", "medium", "large"];
const prompts: Readonly<Partial<Record<PageName, string>>> = {
  size: "Which size: small, medium or large?",
  topping: "Which topping would you like?",
};

/**
 * The emulator's agent: no model, the same answer to the same words every time.
 *
 * It takes orders, page by page, so that a session's place can be seen:
 * - `I want a pizza` (or the intent `order.pizza`, or the event `ORDER`), then a size (or the keys 1, 2, 3), then a
 *   topping, then `yes` or `no`. `where am I?` tells the page and the parameters.
 *
 * It remembers what its session told it and nothing else:
 * - `my name is Ada` sets the parameter `name`; `what is my name?` reads it. `what did I tell you?` lists it all.
 * - anything else is repeated: `Turn 3. You said: "…". Before that you told me: "a", "b".`
 *
 * And it does on request what real agents do now and then:
 * - `human` hands over, `bye` ends the session, `payload` sends a custom payload, `twice` gives two answers,
 *   `lines` an answer of two lines, `audio` and `call me` what telephones play and do, `speech` words for them only,
 *   `card` an info card, `novelty` a message of a kind that nobody knows, `tool call` a client-side tool.
 * - `webhook` repeats the payload it was given, `webhook fails` has a webhook that failed and says nothing.
 * - `locale` repeats language, time zone and channel. `channel` has an answer for the channel `slack`.
 * - `wait`: a partial response before the answer. `wait: 200`: 200 milliseconds between the two.
 * - `fail: UNAVAILABLE` (any gRPC status), `fail: cut`, `fail: hang` (after a partial response).
 */
export function answer(turn: AgentTurn): AgentAnswer {
  const { query, page } = turn;
  switch (query.input.kind) {
    case "event":
      return query.input.event === "ORDER"
        ? order("EVENT")
        : { matchType: "EVENT", page, messages: [text(`The event ${query.input.event} happened.`)] };
    case "intent":
      return query.input.intent.endsWith("/intents/order.pizza")
        ? order("DIRECT_INTENT")
        : { matchType: "DIRECT_INTENT", page, messages: [text("The intent was triggered.")] };
    case "dtmf":
      return answerKeys(turn, query.input.digits);
    case "text":
      return answerText(turn, query.input.text);
  }
}

function answerKeys({ page }: AgentTurn, digits: string): AgentAnswer {
  const size = sizes[Number(digits) - 1];
  if (page === "size" && size !== undefined) return fillSize(size);
  return { matchType: "NO_MATCH", page, messages: [text(`You pressed ${digits}.`)] };
}

function answerText(turn: AgentTurn, said: string): AgentAnswer {
  const { page } = turn;
  const plain = fromFlow(turn, said) ?? fromRequest(turn, said) ?? repeat(turn, said);
  const failure = /\bfail:\s*(\w+)/i.exec(said)?.[1];
  const ahead = [text("One moment, please.")];
  if (failure?.toLowerCase() === "cut") return { ...plain, partial: ahead, fault: "cut" };
  if (failure?.toLowerCase() === "hang") return { ...plain, partial: ahead, fault: "hang" };
  const status = failure?.toUpperCase();
  if (isGrpcStatus(status)) return { matchType: "NO_MATCH", page, messages: [], fault: { status } };
  const wait = /\bwait(?::\s*(\d{1,5}))?\b/i.exec(said);
  if (wait === null) return plain;
  return { ...plain, partial: ahead, pauseMs: Number(wait[1] ?? 0) };
}

/** The routes of the pizza flow, and those that every page has. */
function fromFlow({ page, parameters, told, number }: AgentTurn, said: string): AgentAnswer | undefined {
  const reply = (...texts: string[]): AgentAnswer => ({
    matchType: "INTENT",
    page,
    messages: texts.map((line) => text(line)),
  });
  if (/\bwhere am i\b/i.test(said)) {
    const known = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
    return reply(`You are on the page ${displayNameOf(page)}. I know: ${known.join(", ") || "nothing"}.`);
  }
  if (asksName(said)) {
    const { name } = parameters;
    return reply(
      `Turn ${number}. ${name === undefined ? "You have not told me your name." : `Your name is ${name}.`}`,
    );
  }
  const name = nameIn(said);
  if (name !== undefined) {
    return { ...reply(`Turn ${number}. I will remember that your name is ${name}.`), set: { name } };
  }
  if (asksMemory(said)) {
    const list = told.map(quoted).join(", ");
    return reply(
      `Turn ${number}. ${list === "" ? "You have not told me anything yet." : `You told me: ${list}.`}`,
    );
  }
  if (/\b(?:bye|goodbye)\b/i.test(said)) {
    return { matchType: "INTENT", page: "end", messages: [text("Goodbye."), { endInteraction: {} }] };
  }
  if (/\bpizza\b/i.test(said)) return order("INTENT");
  const size = sizes.find((word) => new RegExp(`\\b${word}\\b`, "i").test(said));
  if (page === "size" && size !== undefined) return fillSize(size);
  if (page === "topping" && /^[\p{L} ]{3,30}$/u.test(said))
    return fillTopping(said.toLowerCase(), parameters);
  if (page === "confirm" && /^\s*(?:yes|no)\b/i.test(said)) {
    const done = /^\s*yes/i.test(said) ? "Your pizza is on its way." : "Then not.";
    return { ...reply(done), page: "start", set: { size: null, topping: null } };
  }
  return undefined;
}

function order(matchType: AgentAnswer["matchType"]): AgentAnswer {
  return { matchType, page: "size", messages: [text(prompts.size ?? "")] };
}

function fillSize(size: string): AgentAnswer {
  return {
    matchType: "PARAMETER_FILLING",
    page: "topping",
    messages: [text(prompts.topping ?? "")],
    set: { size },
  };
}

function fillTopping(topping: string, { size, name }: Fields): AgentAnswer {
  const whom = name === undefined ? "" : ` for ${name}`;
  const summary = `One ${size ?? "unknown"} pizza with ${topping}${whom}. Shall I order it?`;
  return { matchType: "PARAMETER_FILLING", page: "confirm", messages: [text(summary)], set: { topping } };
}

/** What real agents do now and then, by a word that asks for it. */
function fromRequest({ query, page }: AgentTurn, said: string): AgentAnswer | undefined {
  const found = requests.find(({ word }) => word.test(said));
  if (found === undefined) return undefined;
  return { matchType: "INTENT", page, messages: [], ...found.answer(query) };
}

const requests: readonly {
  readonly word: RegExp;
  readonly answer: (query: Query) => Partial<AgentAnswer>;
}[] = [
  {
    word: /\bhuman\b/i,
    answer: () => ({
      messages: [text("I will fetch a human."), { liveAgentHandoff: { metadata: { queue: "support" } } }],
    }),
  },
  {
    word: /\bpayload\b/i,
    answer: () => ({
      messages: [{ payload: { card: { title: "Menu", options: ["Margherita", "Funghi"] } } }],
    }),
  },
  { word: /\btwice\b/i, answer: () => ({ messages: [text("First answer."), text("Second answer.")] }) },
  {
    word: /\blines\b/i,
    answer: () => ({ messages: [{ text: { text: ["First line, and more.", "Second line."] } }] }),
  },
  {
    word: /\baudio\b/i,
    answer: () => ({
      messages: [
        text("Listen."),
        { playAudio: { audioUri: "https://example.com/a.wav" } },
        { mixedAudio: {} },
      ],
    }),
  },
  {
    word: /\bspeech\b/i,
    answer: () => ({ messages: [{ outputAudioText: { ssml: "<speak>Hello <b>there</b></speak>" } }] }),
  },
  {
    word: /\bcall me\b/i,
    answer: () => ({
      messages: [text("Hold the line."), { telephonyTransferCall: { phoneNumber: "+15550100" } }],
    }),
  },
  {
    word: /\bcard\b/i,
    answer: () => ({ messages: [{ knowledgeInfoCard: {} }, { conversationSuccess: {} }] }),
  },
  {
    word: /\bnovelty\b/i,
    answer: () => ({ messages: [{ hologram: { shape: "cube" } }, text("Look at that.")] }),
  },
  {
    word: /\btool call\b/i,
    answer: () => ({ messages: [{ toolCall: { tool: "tools/1", action: "look_up", inputParameters: {} } }] }),
  },
  {
    word: /\bwebhook fails\b/i,
    answer: () => ({ webhookStatuses: [{ code: 4, message: "the webhook timed out" }] }),
  },
  {
    word: /\bwebhook\b/i,
    answer: ({ payload }) => ({ messages: [text(`The webhook got ${JSON.stringify(payload ?? {})}.`)] }),
  },
  {
    word: /\blocale\b/i,
    answer: ({ languageCode, timeZone, channel }) => ({
      messages: [
        text(`Language ${languageCode}, time zone ${timeZone ?? "none"}, channel ${channel || "none"}.`),
      ],
    }),
  },
  {
    word: /\bchannel\b/i,
    answer: () => ({ messages: [text("Hello, everybody."), { ...text("Hello, Slack."), channel: "slack" }] }),
  },
];

function repeat({ page, told, number }: AgentTurn, said: string): AgentAnswer {
  const parts = [`Turn ${number}. You said: ${quoted(said)}.`];
  if (told.length > 0) parts.push(`Before that you told me: ${told.map(quoted).join(", ")}.`);
  const prompt = prompts[page];
  const messages = [text(parts.join(" ")), ...(prompt === undefined ? [] : [text(prompt)])];
  return { matchType: "NO_MATCH", page, messages };
}

function text(...lines: string[]): Message {
  return { text: { text: lines } };
}
