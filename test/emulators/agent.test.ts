import { describe, expect, it } from "vitest";
import { type Attachment, planAfterAction, planAnswer, wordsOf } from "../../src/emulators/agent.ts";

const plan = (text: string, before: readonly string[] = [], attachments: readonly Attachment[] = []) =>
  planAnswer({ text, before, attachments });

const saysTo = (...said: Parameters<typeof plan>) =>
  plan(...said).steps.map((step) => ("text" in step ? step.text : step.type));

describe("The emulators' agent", () => {
  it.each([
    ["hello", [], 'Turn 1. You said: "hello".'],
    ["", [], "Turn 1."],
    ["again", ["one", "two"], 'Turn 3. You said: "again". Before that you told me: "one", "two".'],
    [
      "I am called Zoë-Ann!",
      [],
      'Turn 1. You said: "I am called Zoë-Ann!". I will remember that your name is Zoë-Ann.',
    ],
    ["remember the code", [], 'Turn 1. You said: "remember the code". I will remember that.'],
    ["Merk dir das", [], 'Turn 1. You said: "Merk dir das". I will remember that.'],
    ["记住：四", [], 'Turn 1. You said: "记住：四". I will remember that.'],
    ["What's my name?", ["I'm called Bo", "my name is Ada", "hello"], "Turn 4. Your name is Ada."],
    ["who am I", [], "Turn 1. You have not told me your name."],
    ["wie heisse ich?", ["ich heiße Özil"], "Turn 2. Your name is Özil."],
    ["我叫什么？", ["我的名字是小明"], "Turn 2. Your name is 小明."],
    ["what do you remember?", ["a", "b"], 'Turn 3. You told me: "a", "b".'],
    ["Was habe ich dir gesagt?", [], "Turn 1. You have not told me anything yet."],
    ["我告诉过你什么", ["x"], 'Turn 2. You told me: "x".'],
  ])("answers %j after %j", (text, before, answer) => {
    expect(saysTo(text, before)).toEqual([answer]);
  });

  it("tells what the application said of the person", () => {
    const asked = { text: "what do you know?", attachments: [], variables: { plan: "pro", who: "ada" } };
    expect(planAnswer({ ...asked, before: ["a"] }).steps).toEqual([
      { type: "answer", text: 'Turn 2. You told me: "a". I was given: plan=pro. I was given: who=ada.' },
    ]);
  });

  it("repeats at most 200 characters of a message, as people count them, and the last 50 messages", () => {
    expect(saysTo("😀".repeat(200))).toEqual([`Turn 1. You said: "${"😀".repeat(200)}".`]);
    expect(saysTo("😀".repeat(201))).toEqual([`Turn 1. You said: "${"😀".repeat(200)}…".`]);
    const many = Array.from({ length: 51 }, (_, at) => `w${at + 1}`);
    const [answer = ""] = saysTo("x", many);
    expect(answer.match(/w\d+/g)).toEqual(many.slice(1));
  });

  it("tells what came with a message", () => {
    const files: Attachment[] = [
      { kind: "image", name: "a.png", bytes: 0 },
      { kind: "file", name: "https://x.example/b" },
    ];
    expect(saysTo("", [], files)).toEqual([
      'Turn 1. You sent: "a.png" (image, 0 bytes), "https://x.example/b" (file).',
    ]);
    expect(plan("", [], files).isSpoken).toBe(false);
    expect(plan("", [], [{ kind: "audio", name: "n.wav" }]).isSpoken).toBe(true);
  });

  it("does what it is asked to", () => {
    const answer = (text: string) => ({ type: "answer", text: `Turn 1. You said: "${text}".` });
    const ahead = { type: "tool", name: "count_turns", arguments: "{}", result: '{"turn":3}' };
    expect(plan("use a tool", ["a", "b"]).steps[0]).toEqual(ahead);
    expect(plan("twice").steps).toEqual([
      answer("twice"),
      { type: "answer", text: 'Once more. Turn 1. You said: "twice".' },
    ]);
    expect(plan("suggest").steps.slice(1)).toEqual(
      ["What is my name?", "What did I tell you?", "Use a tool."].map((text) => ({
        type: "follow-up",
        text,
      })),
    );
    expect(plan("show and tell").steps).toEqual([
      {
        ...answer("show and tell"),
        files: [
          { type: "image", file_url: "https://files.example/answer.png" },
          { type: "audio", file_url: "https://files.example/answer.mp3" },
        ],
      },
    ]);
    expect(plan("SLOW: 200 fail: hang")).toMatchObject({ wordDelayMs: 200, steps: [{ breaks: "hang" }] });
    expect(plan("slow: 5").wordDelayMs).toBe(5);
    expect(plan("slow").wordDelayMs).toBeUndefined();
    expect(plan("fail: CUT").steps).toEqual([{ ...answer("fail: CUT"), breaks: "cut" }]);
    expect(plan("fail: 4011").steps).toEqual([
      { type: "fail", text: "I was about to", code: 4011, msg: "failed on request" },
    ]);
    expect(plan("fail: early 4011")).toEqual({ early: 4011, steps: [] });
    expect(plan(" Act ").steps).toEqual([
      { type: "action", name: "ask_person", arguments: '{"question":"Shall I?"}' },
    ]);
    expect(saysTo("act now")).toEqual(['Turn 1. You said: "act now".']);
    expect(planAfterAction("act", ["yes", "no"]).steps).toEqual([
      { type: "answer", text: 'Done. The outputs were: "yes", "no".' },
    ]);
  });

  it("tells what it can do, all of which it does", () => {
    const [help = ""] = saysTo(" HELP ");
    for (const { steps } of [plan("act"), planAfterAction("survey", ["Ada", "large"])]) {
      const tools = steps.map((step) => (step.type === "action" ? step.name : ""));
      expect([tools.length, help]).toEqual([1, expect.stringContaining(`tool "${tools[0]}"`)]);
    }
    const all = [...help.matchAll(/`([^`]+)`/g)].map(([, words = ""]) => words);
    const named = all.filter((words) => !words.includes("…"));
    expect(named.length).toBeGreaterThan(10);
    expect(named).toContain("survey");
    for (const words of named) {
      const plain = [{ type: "answer", text: `Turn 1. You said: "${words}".` }];
      expect([words, plan(words)]).not.toEqual([words, { isSpoken: false, steps: plain }]);
    }
  });

  it("asks for a name and a size, then for the price", () => {
    const question = (words: string) => [
      { type: "answer", text: words },
      { type: "action", name: "question", arguments: JSON.stringify({ question: words }), isQuestion: true },
    ];
    expect(plan("survey").steps).toEqual(question("What is your name?"));
    expect(planAfterAction(" Survey ", ["Ada"]).steps).toEqual(question("Which size, Ada?"));
    expect(planAfterAction("survey", ["Ada", "large"]).steps).toEqual([
      { type: "action", name: "price", arguments: '{"size":"large"}' },
    ]);
    expect(planAfterAction("survey", ["Ada", "large", "7"]).steps).toEqual([
      { type: "answer", text: "Thank you, Ada. Size large is 7." },
    ]);
  });

  it("writes as long as it is asked to, in Markdown", () => {
    const [long = ""] = saysTo("long 900");
    expect(long).toMatch(/^# A long answer\n\nTurn 1\. You asked for 900 characters\.\n\n## Section 1\n\n/);
    expect(long.match(/^## Section \d+$/gm)).toEqual(["## Section 1", "## Section 2", "## Section 3"]);
    expect(long.match(/^```/gm)).toHaveLength(6);
    expect(saysTo("long 0")).toEqual(["# A long answer\n\nTurn 1. You asked for 0 characters.\n"]);
  });

  it("speaks word by word, and loses no blank", () => {
    for (const text of ["a b", "  a\n\nb  ", " ", "", "a"]) expect(wordsOf(text).join("")).toBe(text);
    expect(wordsOf(" a\n b  ")).toEqual([" a", "\n b  "]);
  });
});
