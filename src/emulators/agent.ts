/** A message with what came with it. */
export interface Said {
  readonly text: string;
  readonly attachments: readonly Attachment[];
}

export interface Attachment {
  readonly kind: "file" | "image" | "audio";
  readonly name: string;
  /** Unknown for a file given by its address. */
  readonly bytes?: number;
}

/** What the emulator's agent is asked. */
export interface AgentTurn extends Said {
  /** What the person said before in this section of the conversation, oldest first. */
  readonly before: readonly string[];
  /** What the application told it about the person. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** One thing the agent does. */
export type AgentStep =
  /** `breaks` happens after the first few words: the connection is cut, or nothing more comes by itself. */
  | {
      readonly type: "answer";
      readonly text: string;
      readonly breaks?: "cut" | "hang";
      /** Comes with files, where the service has answers of more than words. */
      readonly files?: readonly { readonly type: "image" | "audio"; readonly file_url: string }[];
    }
  | { readonly type: "tool"; readonly name: string; readonly arguments: string; readonly result: string }
  | { readonly type: "follow-up"; readonly text: string }
  /** Stops until the person has answered a question, or a tool of the client's has run. */
  | {
      readonly type: "action";
      readonly name: string;
      readonly arguments: string;
      readonly isQuestion?: boolean;
    }
  /** The chat fails after the words of `text`. */
  | { readonly type: "fail"; readonly text: string; readonly code: number; readonly msg: string };

export interface AgentPlan {
  /** Refused before anything begins: JSON in place of a stream. */
  readonly early?: number;
  /** Milliseconds before each word. */
  readonly wordDelayMs?: number;
  /** Speaks its answers as well, where the service streams speech. */
  readonly isSpoken?: boolean;
  readonly steps: readonly AgentStep[];
}

const quoteCharacters = 200;
const quotedMessages = 50;
const filesOfAnswer = [
  { type: "image", file_url: "https://files.example/answer.png" },
  { type: "audio", file_url: "https://files.example/answer.mp3" },
] as const;

/**
 * The emulators' agent: no model, the same answer to the same words every time.
 *
 * It remembers what its conversation told it and nothing else, so that memory and isolation can be seen:
 * - `my name is Ada`, `I am called Ada`, `ich heiße Ada`, `我叫小明`, then `what is my name?`
 * - `remember that the code is 42`, then `what did I tell you?`, which tells what the application said of the person, too
 * - `help` lists all this; anything else is repeated: `Turn 3. You said: "…". Before that you told me: "a", "b".`
 *
 * Who sends sound hears the answer. And it does on request what real agents do now and then (anywhere in the text unless noted):
 * - `suggest`: three follow-up questions. `twice`: two answers. `use a tool`: a tool call before the answer.
 * - `show and tell`: a picture and a sound beside the words.
 * - `act` (as the whole text): the chat stops for the tool `ask_person`, until its output is submitted.
 * - `survey` (as the whole text): a workflow that asks for a name, then for a size, then for the tool `price`.
 * - `long 5000`: a Markdown answer of about 5000 characters with code fences.
 * - `slow: 200`: 200 milliseconds before each word.
 * - `fail: 4013`: a few words, then `chat.failed` with that code. `fail: early 4011`: JSON in place of a stream.
 * - `fail: cut`: a few words, then the connection breaks; the chat itself goes on to its end.
 * - `fail: hang`: a few words, then nothing until the chat is cancelled.
 */
export function planAnswer(turn: AgentTurn): AgentPlan {
  const { text } = turn;
  const slow = /\bslow:\s*(\d{1,5})/i.exec(text)?.[1];
  const pace = slow === undefined ? {} : { wordDelayMs: Number(slow) };
  const early = /\bfail:\s*early\s+(\d+)/i.exec(text)?.[1];
  if (early !== undefined) return { early: Number(early), steps: [] };
  const answer = answerTo(turn);
  const failure = /\bfail:\s*(cut|hang|\d+)/i.exec(text)?.[1]?.toLowerCase();
  if (failure === "cut" || failure === "hang") {
    return { ...pace, steps: [{ type: "answer", text: answer, breaks: failure }] };
  }
  if (failure !== undefined) {
    return {
      ...pace,
      steps: [{ type: "fail", text: "I was about to", code: Number(failure), msg: "failed on request" }],
    };
  }
  if (isSurvey(text)) return { ...pace, steps: surveySteps([]) };
  if (/^\s*act\s*$/i.test(text)) {
    return { ...pace, steps: [{ type: "action", name: "ask_person", arguments: '{"question":"Shall I?"}' }] };
  }
  const steps: AgentStep[] = [];
  if (/\buse an? tool\b/i.test(text)) {
    const result = JSON.stringify({ turn: turn.before.length + 1 });
    steps.push({ type: "tool", name: "count_turns", arguments: "{}", result });
  }
  const files = /\bshow and tell\b/i.test(text) ? { files: filesOfAnswer } : {};
  steps.push({ type: "answer", text: answer, ...files });
  if (/\btwice\b/i.test(text)) steps.push({ type: "answer", text: `Once more. ${answer}` });
  if (/\bsuggest/i.test(text)) {
    for (const item of ["What is my name?", "What did I tell you?", "Use a tool."]) {
      steps.push({ type: "follow-up", text: item });
    }
  }
  return { ...pace, isSpoken: turn.attachments.some(({ kind }) => kind === "audio"), steps };
}

/** What the agent says once the outputs it asked for are there. */
export function planAfterAction(asked: string, outputs: readonly string[]): AgentPlan {
  if (isSurvey(asked)) return { steps: surveySteps(outputs) };
  return { steps: [{ type: "answer", text: `Done. The outputs were: ${outputs.map(quoted).join(", ")}.` }] };
}

function isSurvey(text: string): boolean {
  return /^\s*survey\s*$/i.test(text);
}

function surveySteps([name, size, price]: readonly string[]): readonly AgentStep[] {
  const ask = (question: string): readonly AgentStep[] => [
    { type: "answer", text: question },
    { type: "action", name: "question", arguments: JSON.stringify({ question }), isQuestion: true },
  ];
  if (name === undefined) return ask("What is your name?");
  if (size === undefined) return ask(`Which size, ${name}?`);
  if (price === undefined) return [{ type: "action", name: "price", arguments: JSON.stringify({ size }) }];
  return [{ type: "answer", text: `Thank you, ${name}. Size ${size} is ${price}.` }];
}

/** The words of an answer with the blanks that belong to them; joined, they are the answer again. */
export function wordsOf(text: string): readonly string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? (text === "" ? [] : [text]);
}

const help = `I am a stand-in agent without a model. I remember what this conversation tells me:

- \`my name is …\`, then \`what is my name?\`
- \`remember that …\`, then \`what did I tell you?\`

And on request I do what real agents do now and then:

- \`suggest\`, \`twice\`, \`use a tool\`, \`show and tell\`, \`long 5000\`, \`slow: 200\`
- \`act\`, which asks for the tool "ask_person"; \`survey\`, which asks two questions and for the tool "price"
- \`fail: 4013\`, \`fail: early 4011\`, \`fail: cut\`, \`fail: hang\``;

function answerTo(turn: AgentTurn): string {
  const number = turn.before.length + 1;
  if (/^\s*help\s*$/i.test(turn.text)) return help;
  const long = /\blong\s+(\d{1,6})\b/i.exec(turn.text)?.[1];
  if (long !== undefined) return longMarkdown(number, Number(long));
  const told = turn.before.slice(-quotedMessages).map(quoted).join(", ");
  if (asksName(turn.text)) {
    const name = turn.before.reduce<string | undefined>((known, text) => nameIn(text) ?? known, undefined);
    return `Turn ${number}. ${name === undefined ? "You have not told me your name." : `Your name is ${name}.`}`;
  }
  if (asksMemory(turn.text)) {
    const given = Object.entries(turn.variables ?? {}).map(
      ([key, value]) => ` I was given: ${key}=${value}.`,
    );
    return `Turn ${number}. ${told === "" ? "You have not told me anything yet." : `You told me: ${told}.`}${given.join("")}`;
  }
  const parts = [`Turn ${number}.`];
  if (turn.text !== "") parts.push(`You said: ${quoted(turn.text)}.`);
  if (turn.attachments.length > 0) parts.push(`You sent: ${turn.attachments.map(described).join(", ")}.`);
  const name = nameIn(turn.text);
  if (name !== undefined) parts.push(`I will remember that your name is ${name}.`);
  else if (/\bremember\b|merke? dir|记住/i.test(turn.text)) parts.push("I will remember that.");
  if (told !== "") parts.push(`Before that you told me: ${told}.`);
  return parts.join(" ");
}

export function asksName(text: string): boolean {
  return /\b(what(?:'s|’s| is) my name|who am i|wie (?:heiße|heisse) ich)\b|我叫什么|我的名字是什么/i.test(
    text,
  );
}

export function asksMemory(text: string): boolean {
  return /\bwhat (?:did|have) i (?:tell|told|say|said)|\bwhat do you (?:know|remember)|was habe ich dir (?:gesagt|erzählt)|我告诉过你什么/i.test(
    text,
  );
}

export function nameIn(text: string): string | undefined {
  if (asksName(text)) return undefined;
  return /(?:\bmy name is|\bi am called|\bi['’]m called|\bich hei(?:ß|ss)e|我叫|我的名字是)\s*([\p{L}\p{N}][\p{L}\p{M}\p{N}_'’-]*)/iu.exec(
    text,
  )?.[1];
}

export function quoted(text: string): string {
  const characters = Array.from(text);
  return characters.length <= quoteCharacters
    ? `"${text}"`
    : `"${characters.slice(0, quoteCharacters).join("")}…"`;
}

function described({ kind, name, bytes }: Attachment): string {
  return `${quoted(name)} (${kind}${bytes === undefined ? "" : `, ${bytes} bytes`})`;
}

function longMarkdown(turn: number, length: number): string {
  const parts = [`# A long answer\n\nTurn ${turn}. You asked for ${length} characters.\n`];
  let size = parts.join("").length;
  for (let section = 1; size < length; section += 1) {
    const part =
      `\n## Section ${section}\n\n` +
      `This paragraph is number **${section}** and says so, in several *ordinary* words. `
        .repeat(3)
        .trimEnd() +
      `\n\n- first point of ${section}\n- second point of ${section}\n\n` +
      `\`\`\`ts\nconst section = ${section};\n\nconsole.log("section", section);\n\`\`\`\n`;
    parts.push(part);
    size += part.length;
  }
  return parts.join("");
}
