import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cut } from "../../src/adapter/cut.ts";

const withoutBlanks = (text: string) => text.replace(/\s/g, "");

/** What is left of the parts when added fence lines and white space are taken out. */
const withoutFences = (text: string) => withoutBlanks(text.replace(/^ {0,3}(`{3,}|~{3,}).*$/gm, ""));

describe("cut", () => {
  it("leaves a short text whole and gives nothing for an empty one", () => {
    expect(cut("hello", 10)).toEqual(["hello"]);
    expect(cut("  \n", 10)).toEqual([]);
  });

  it("cuts at paragraphs before lines, lines before sentences, sentences before words", () => {
    expect(cut("one two.\n\nthree four. five", 20)).toEqual(["one two.", "three four. five"]);
    expect(cut("one two. three\nfour five six", 20)).toEqual(["one two. three", "four five six"]);
    expect(cut("one two three. four five", 20)).toEqual(["one two three.", "four five"]);
    expect(cut("one two three four", 10)).toEqual(["one two", "three four"]);
  });

  it("closes a code fence at a cut and opens it again with its language", () => {
    const code = Array.from({ length: 12 }, (_, line) => `const line${line} = ${line};`).join("\n");
    const parts = cut(`Here:\n\n\`\`\`ts\n${code}\n\`\`\`\n\nDone.`, 120);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) {
      expect(part.length).toBeLessThanOrEqual(120);
      expect(part.match(/^```/gm)?.length ?? 0).toSatisfy((count: number) => count % 2 === 0);
    }
    const inside = parts.filter((part) => part.includes("const line"));
    for (const part of inside) expect(part).toContain("```ts\n");
    expect(withoutFences(parts.join("\n"))).toBe(withoutFences(`Here:${code}Done.`));
  });

  it("drops nothing, keeps to the limit and splits no surrogate pair, whatever the text", () => {
    const piece = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.constantFrom("\n", "\n\n", ". ", "👩‍👩‍👧", "李雷", "word ", "x".repeat(70)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 20, max: 200 }), (pieces, limit) => {
        // Fences have a test of their own: here every character must come out again.
        const text = pieces.join("").replace(/[`~]/g, "'");
        const parts = cut(text, limit);
        expect(withoutBlanks(parts.join(""))).toBe(withoutBlanks(text));
        for (const part of parts) {
          expect(part.length).toBeLessThanOrEqual(limit);
          expect(part).not.toMatch(/[\ud800-\udbff]$|^[\udc00-\udfff]/);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps to the limit with fences anywhere, and loses no line of code", () => {
    const line = fc.constantFrom("```js", "```", "~~~", "~~~~", "let a = 1;", "text here", "", "- item");
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 40, max: 120 }), (lines, limit) => {
        const parts = cut(lines.join("\n"), limit);
        for (const part of parts) expect(part.length).toBeLessThanOrEqual(limit);
        expect(withoutFences(parts.join("\n"))).toBe(withoutFences(lines.join("\n")));
      }),
      { numRuns: 2_000 },
    );
  });

  it("counts as the platform counts", () => {
    const bytes = (text: string) => Buffer.byteLength(text);
    for (const part of cut("äöü ".repeat(100), 50, bytes)) expect(bytes(part)).toBeLessThanOrEqual(50);
  });
});
