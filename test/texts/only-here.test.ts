import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { english } from "../../src/texts/english.ts";
import { literalsOf } from "./sentences.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * What no person on a chat platform reads: the program's own words to whoever runs it, the playground's page, stand-in
 * agents, contract suites, and what stores and backends say of a failure, which becomes an error's message.
 */
const notForPeople =
  /^src\/(texts|emulators|testing|page|stores|cli\/(?!commands))|^src\/backends\/.*(failure|refusal)\.ts$/;

/** Whoever is called with a sentence makes it an error's message or a line of the log, which only developers read. */
const forDevelopers: ReadonlySet<string> = new Set([
  ...["AparteError", "asAparteError", "ServiceFailure", "CozeFailure", "KeysUnavailable"],
  ...["Error", "TypeError", "RangeError", "DOMException", "super"],
  ...["optionInvalid", "speakerInvalid", "attachmentError", "fieldInvalid", "invalid", "malformed"],
  ...["info", "warn", "error", "failed", "readToken", "readJson"],
]);

/** Read one by one: none of them is said to a person. */
const others = [
  "There is no agent for this person.",
  "There is no agent of that name.",
  "This person may not talk to that agent.",
  "The identify hook took longer than {…} ms.",
  'The function "{…}" failed. Its error is kept as the cause.',
  // For the agent.
  "There is no such tool.",
  "The tool {…}.",
  "Forwarded from {…}:",
  // Names of protocols and products.
  ...["Bearer {…}", "GET, POST, DELETE", "GET, POST, DELETE, OPTIONS", "Web Adapter"],
  "The title has {…} characters, and Coze takes {…} at most.",
  "Dialogflow did not answer in time; whether the turn ran is not known. Raise requestTimeout if this is usual",
  'The function "opening" failed. Its error is kept as the cause.',
  'The function "opening" must return at most {…} messages of { role: "user" or "agent", text }.',
  // For whoever creates the Slack app, in its manifest.
  ...["New conversation", "What is kept of me", "A new conversation, another agent, what is kept of you"],
  "Answers you, and keeps what you tell it to itself.",
];

function sourceFiles(): string[] {
  return ["src", "adapters"].flatMap((folder) =>
    readdirSync(`${root}/${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`),
  );
}

/** Words with a capital, or an ellipsis, as people are spoken to. */
function isSentence(text: string): boolean {
  return /^\p{Lu}\p{L}*,? \S/u.test(text) || /\p{L} .*…$/u.test(text);
}

describe("A sentence that a person reads", () => {
  it("stands among our texts and nowhere else", () => {
    const found = sourceFiles()
      .filter((file) => !notForPeople.test(file))
      .flatMap((file) =>
        literalsOf(readFileSync(`${root}/${file}`, "utf8"))
          .filter(({ text, calls }) => isSentence(text) && !calls.some((name) => forDevelopers.has(name)))
          .map(({ text, line }) => ({ text, at: `${file}:${line}` })),
      );
    expect(found.filter(({ text }) => !others.includes(text))).toEqual([]);
    // None of them is gone.
    expect(others.filter((text) => !found.some((one) => one.text === text))).toEqual([]);
  });

  it("is said somewhere", () => {
    const sources = sourceFiles()
      .filter((file) => !file.startsWith("src/texts/"))
      .map((file) => readFileSync(`${root}/${file}`, "utf8"))
      .join("");
    expect(Object.keys(english).filter((code) => !new RegExp(`\\b${code}\\b`).test(sources))).toEqual([]);
  });
});

describe("The reading of sources", () => {
  it("finds strings and templates, with whom they are told", () => {
    const source = `
      // "no string"
      const a = 'It is.'; /* "nor this" */
      say(\`\${name("x")} said \${\`in \${2}\`}.\`, /["'\\/]/);
      throw new AparteError("code", "What happened.");
    `;
    expect(literalsOf(source)).toEqual([
      { text: "It is.", line: 3, calls: [] },
      { text: "x", line: 4, calls: ["say", "name"] },
      { text: "in {…}", line: 4, calls: ["say"] },
      { text: "{…} said {…}.", line: 4, calls: ["say"] },
      { text: "code", line: 5, calls: ["AparteError"] },
      { text: "What happened.", line: 5, calls: ["AparteError"] },
    ]);
  });
});
