import { type Node, Parser } from "commonmark";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cut } from "../../src/adapter/cut.ts";

const withoutBlanks = (text: string) => text.replace(/\s/g, "");

describe("A text that is cut", () => {
  it("is left whole if it is short, and is nothing if it is blank", () => {
    expect(cut("hello", 10)).toEqual(["hello"]);
    expect(cut("0123456789", 10)).toEqual(["0123456789"]);
    expect(cut(" hello \n", 8)).toEqual([" hello \n"]);
    expect(cut("```\nopen", 10)).toEqual(["```\nopen"]);
    expect(cut("", 10)).toEqual([]);
    expect(cut("  \n", 10)).toEqual([]);
    expect(cut(" \n".repeat(20), 10)).toEqual([]);
  });

  it.each([
    ["a paragraph's end", "one two.\n\nthree\nfour. five", 16, ["one two.", "three\nfour. five"]],
    ["a line's end", "one two. three\nfour five six", 20, ["one two. three", "four five six"]],
    ["the last line's end", "one two.\nthree. four\nfive", 20, ["one two.\nthree. four", "five"]],
    ["a sentence's end", "one two three. four five", 20, ["one two three.", "four five"]],
    ["a word's end", "one two three four", 10, ["one two", "three four"]],
    ["the limit", "onetwothreefour", 10, ["onetwothre", "efour"]],
    [
      "a paragraph's end of another system",
      "one two\r\n\r\nthree\r\nfour five",
      20,
      ["one two", "three\r\nfour five"],
    ],
    ["a line of white space", "one two\n \nthree\nfour five", 20, ["one two", "three\nfour five"]],
    ["a Chinese sentence's end", "李雷说你好。韩梅梅说再见。", 10, ["李雷说你好。", "韩梅梅说再见。"]],
    ["a quoted sentence's end", 'He said "go." Then we left', 20, ['He said "go."', "Then we left"]],
    ["a question's end", "Are you? Then we may be", 16, ["Are you?", "Then we may be"]],
    ["no dot inside a number", "about 3.1415926 yes", 12, ["about", "3.1415926", "yes"]],
  ])("is cut at %s", (_, text, limit, parts) => {
    expect(cut(text, limit)).toEqual(parts);
  });

  it.each([
    ["before a link", "one two three [four five](u.v) six", 22, ["one two three", "[four five](u.v) six"]],
    ["before an image", "one two three ![four five](u.v)", 22, ["one two three", "![four five](u.v)"]],
    [
      "before an address with brackets",
      "one two thr [four five](u_(v))",
      22,
      ["one two thr", "[four five](u_(v))"],
    ],
    ["before an address", "onetwothree[four](https://u.v)", 22, ["onetwothree", "[four](https://u.v)"]],
    [
      "behind a link that fits",
      "one two [three four](u) five six",
      24,
      ["one two [three four](u)", "five six"],
    ],
    ["within what is no link", "one two three [four five] six", 22, ["one two three [four", "five] six"]],
    [
      "within a link that is half a part",
      "one two [three four five](u.v)",
      22,
      ["one two [three four", "five](u.v)"],
    ],
  ])("is cut %s", (_, text, limit, parts) => {
    expect(cut(text, limit)).toEqual(parts);
  });

  it("is cut at a better place only if that lies in the second half of what fits", () => {
    expect(cut("abcdef\n\nghijkl mn op", 16)).toEqual(["abcdef", "ghijkl mn op"]);
    expect(cut("abcde\n\nghijkl mn op", 16)).toEqual(["abcde\n\nghijkl mn", "op"]);
  });

  it("loses the white space at the cuts, but no indentation", () => {
    expect(cut("  one   two  \n\n\n  three   four", 14)).toEqual(["  one   two", "  three   four"]);
    expect(cut(`one two${" ".repeat(50)}`, 10)).toEqual(["one two"]);
    expect(cut(`\n\n  one two\n${" ".repeat(50)}three`, 10)).toEqual(["  one two", "three"]);
    expect(cut("one two\nthree\n\n \n  four", 12)).toEqual(["one two", "three", "  four"]);
  });

  it("is never cut inside a surrogate pair, also where one character is longer than the limit", () => {
    expect(cut("a😀😀😀", 4)).toEqual(["a😀", "😀😀"]);
    expect(cut("a\ud800\udc00\udbff\udfff", 2)).toEqual(["a", "\ud800\udc00", "\udbff\udfff"]);
    expect(cut("😀😀", 1)).toEqual(["😀", "😀"]);
    expect(cut("ab", 0)).toEqual(["a", "b"]);
    expect(cut("\uffff\uffff", 1)).toEqual(["\uffff", "\uffff"]);
    expect(cut("ab\ud83d", 2)).toEqual(["ab", "\ud83d"]);
  });

  it("is measured as the platform counts", () => {
    const bytes = (text: string) => Buffer.byteLength(text);
    expect(cut("äöü äöü äöü", 14, bytes)).toEqual(["äöü äöü", "äöü"]);
    expect(cut("abcdefgh äöü", 12, bytes)).toEqual(["abcdefgh", "äöü"]);
    expect(cut("äöüäöü", 5, bytes)).toEqual(["äö", "üä", "öü"]);
    const characters = (text: string) => [...text].length;
    expect(cut("😀".repeat(25), 10, characters).map(characters)).toEqual([10, 10, 5]);
  });
});

describe("A code block that is cut", () => {
  const code = "const a = 1;\nconst b = 2;\nconst c = 3;\n";

  it("is closed and opened again with its language, at a line's end", () => {
    expect(cut(`\`\`\`ts\n${code}\`\`\``, 40)).toEqual([
      "```ts\nconst a = 1;\nconst b = 2;\n```",
      "```ts\nconst c = 3;\n```",
    ]);
  });

  it("fills its part to the limit", () => {
    expect(cut(`\`\`\`ts\n${code}\`\`\``, 35)[0]).toBe("```ts\nconst a = 1;\nconst b = 2;\n```");
    expect(cut(`\`\`\`ts\n${code}\`\`\``, 34)[0]).toBe("```ts\nconst a = 1;\n```");
    expect(cut(`\`\`\`\n${"x".repeat(60)}\n\`\`\``, 40)).toEqual([
      `\`\`\`\n${"x".repeat(32)}\n\`\`\``,
      `\`\`\`\n${"x".repeat(28)}\n\`\`\``,
    ]);
  });

  it("is opened again with the first word of its info string", () => {
    const [, second] = cut(`  ~~~~  ts title="a long title"\n${code}~~~~`, 64);
    expect(second).toBe("~~~~ts\nconst c = 3;\n~~~~");
  });

  it("keeps the indentation of its lines", () => {
    expect(cut(`\`\`\`\n${"    const a = 1;\n".repeat(3)}\`\`\``, 42)).toEqual([
      "```\n    const a = 1;\n    const a = 1;\n```",
      "```\n    const a = 1;\n```",
    ]);
  });

  it("is never empty", () => {
    // Behind the opening line, and before the closing one.
    expect(cut(`words and more words here\n\`\`\`ts\n${code}\`\`\``, 44)).toEqual([
      "words and more words here",
      "```ts\nconst a = 1;\nconst b = 2;\n```",
      "```ts\nconst c = 3;\n```",
    ]);
    expect(cut(`\`\`\`ts\n${code}\n \n\`\`\`\nThe end.`, 52)).toEqual([
      `\`\`\`ts\n${code}\`\`\``,
      "The end.",
    ]);
  });

  it("ends where the text behind it begins", () => {
    const text = "Some words that are text and no code at all.";
    expect(cut(`\`\`\`ts\n${code}\`\`\`\n${text}`, 52)).toEqual([`\`\`\`ts\n${code}\`\`\``, text]);
    expect(cut(`\`\`\`ts\r\n${code}\`\`\`\r\n${text}`, 54)).toEqual([`\`\`\`ts\r\n${code}\`\`\``, text]);
  });

  it.each(["```", "~~~", "   ```", "````", "```ts", "``` ts", "~~~ a`b", "```ts\r", "~~~ ~~~"])(
    "is opened by %j",
    (opener) => {
      const [first = ""] = cut(`${opener}\n${"word ".repeat(30)}`, 60);
      expect(first).toMatch(/\n(```|````|~~~)$/);
      expect(isCode(first)).toBe(true);
    },
  );

  it.each(["``", "~~", "    ```", "x ```", "```ts```", "``` a`b", "```` ```", "``~"])(
    "is not opened by %j",
    (line) => {
      const parts = cut(`${line}\n${"word ".repeat(30)}`, 60);
      for (const part of parts) expect(part).not.toMatch(/\n(```|~~~)/);
      expect(withoutBlanks(parts.join(""))).toBe(withoutBlanks(`${line}${"word ".repeat(30)}`));
    },
  );

  it.each([
    ["```", "```"],
    ["```", "````"],
    ["```", "   ```"],
    ["```", "``` \t"],
    ["```", "```\r"],
    ["~~~~", "~~~~~"],
  ])("that %j opened is closed by %j", (opener, closer) => {
    const parts = cut(`${opener}\ncode\n${closer}\n${"word ".repeat(30)}`, 60);
    expect(parts[1]).toMatch(/^word/);
  });

  it.each([
    ["````", "```"],
    ["```", "~~~"],
    ["```", "``` ts"],
    ["```", "    ```"],
    ["```", "x ```"],
    ["~~~", "``~"],
  ])("that %j opened is not closed by %j", (opener, line) => {
    const parts = cut(`${opener}\ncode\n${line}\n${"word ".repeat(30)}`, 60);
    for (const part of parts) expect(part.startsWith(`${opener}\n`)).toBe(true);
  });

  it("is opened again without what is too long for a part", () => {
    const words = "word ".repeat(40);
    for (const info of ["x".repeat(12), "x".repeat(13), "x".repeat(500), `ts ${"x ".repeat(250)}`]) {
      const parts = cut(`\`\`\`${info}\n${words}\n\`\`\``, 80);
      for (const part of parts) expect(part.length).toBeLessThanOrEqual(80);
      expect(parts.at(-1)).toMatch(
        info.startsWith("ts") ? /^```ts\nword/ : info.length === 12 ? /^```x{12}\nword/ : /^```\nword/,
      );
    }
  });

  it("is text where the fence takes more than an eighth of a part", () => {
    const text = `\`\`\`\n${"x".repeat(60)}`;
    expect(cut(text, 32)[0]).toBe(`\`\`\`\n${"x".repeat(24)}\n\`\`\``);
    expect(cut(text, 31)[0]).toBe(`\`\`\`\n${"x".repeat(27)}`);
  });

  it("takes no room where the marker is in the middle of a line", () => {
    expect(cut(`a \`\`\` ${"x".repeat(50)}`, 40)).toEqual([`a \`\`\` ${"x".repeat(34)}`, "x".repeat(16)]);
  });

  it("is closed where a line that had to be cut goes on with a marker", () => {
    const words = "~~~ word word word word word word word word";
    const [, second] = cut(`${"x".repeat(40)}${words}`, 40);
    expect(second).toBe("~~~ word word word word word word\n~~~");
  });

  it("is followed by text that begins with no blank line", () => {
    const text = "Some words that are text, no code.";
    expect(cut(`\`\`\`ts\n${code}\`\`\`\n\n \n  ${text}`, 49)).toEqual([
      `\`\`\`ts\n${code}\`\`\``,
      `  ${text}`,
    ]);
  });

  it("is not opened again where its marker alone would take much of a part", () => {
    const marker = "`".repeat(30);
    const parts = cut(`${marker}\n${"word ".repeat(40)}\n${marker}`, 80);
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(80);
    expect(withoutBlanks(parts.join(""))).toBe(withoutBlanks(`${marker}${"word ".repeat(40)}${marker}`));
  });
});

describe("Whatever the text, its parts", () => {
  const limits = fc.integer({ min: 40, max: 200 });
  const piece = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 40 }),
    fc.constantFrom("\n", "\n\n", ". ", "👩‍👩‍👧", "李雷", "word ", "x".repeat(70), " ".repeat(50)),
    fc.constantFrom("\n```", "```", "\n~~~", "~", "`", "\n````ts\n", "\n```\n", "`".repeat(50), "\n    ```"),
  );
  const texts = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

  it("keep to the limit and are at most 2n/limit + 2", () => {
    fc.assert(
      fc.property(texts, limits, (text, limit) => {
        const parts = cut(text, limit);
        for (const part of parts) expect(part.length).toBeLessThanOrEqual(limit);
        expect(parts.length).toBeLessThanOrEqual((2 * text.length) / limit + 2);
      }),
      { numRuns: 1_000 },
    );
  });

  it("keep to the limit where one ends within a marker that is too long for a fence", () => {
    const text = `\`\`\`\ncode\n\`\`\`${" ".repeat(50)}\n${"`".repeat(50)}`;
    for (const limit of [72, 76, 80]) {
      for (const part of cut(text, limit)) expect(part.length).toBeLessThanOrEqual(limit);
    }
  });

  it("say nothing twice where the last line closes a fence and has no end", () => {
    expect(cut(`${"a".repeat(15)}\n\`\`\`\`\n${"`".repeat(50)}`, 40)).toEqual([
      `${"a".repeat(15)}\n\`\`\`\`\n\`\`\`\``,
    ]);
  });

  it("hold every character but white space and markers of fences, in order, and no half of a pair", () => {
    const plain = (text: string) => text.replace(/[\s`~]/g, "");
    fc.assert(
      // Words behind a marker are added where a block is opened again: none are here.
      fc.property(texts, limits, (text, limit) => {
        const source = text.replaceAll("````ts", "````").replace(/^( {0,3}(?:```+|~~~+)).*$/gm, "$1");
        const parts = cut(source, limit);
        expect(plain(parts.join(""))).toBe(plain(source));
        for (const part of parts) expect(part).not.toMatch(/[\ud800-\udbff]$|^[\udc00-\udfff]/);
      }),
      { numRuns: 1_000 },
    );
  });

  it("show as code what was code, and as text what was text, in the eyes of CommonMark", () => {
    const line = fc.constantFrom(
      ...["```js", "```", " ```", "~~~", "~~~~", "~~~ py x", "```a``` b", "``` ", "```js x"],
      ...["let a = 1;", "text here", "", "", "more. Text."],
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 80, max: 160 }), (lines, limit) => {
        const text = lines.join("\n");
        const parts = cut(text, limit).map(codeAndText);
        const whole = codeAndText(text);
        expect(parts.map(({ code }) => code).join("")).toBe(whole.code);
        expect(parts.map(({ text }) => text).join("")).toBe(whole.text);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["words", "word "],
    ["one word", "x"],
    ["lines", "a line of text\n"],
    ["code blocks", "```ts\nconst a = 1;\n```\n\n"],
    ["markers", "```\n"],
    ["white space", " \n"],
    ["backticks", "`"],
  ])("of %s are found in near linear time", (_, unit) => {
    const measured = (count: number) => {
      let characters = 0;
      cut(unit.repeat(count), 100, (part) => {
        characters += part.length;
        return part.length;
      });
      return characters;
    };
    // Sixteen times the text: sixteen times the work, where work that is quadratic would be 256 times as much.
    expect(measured(16_000 / unit.length) * 16 * 1.1 + 10_000).toBeGreaterThan(
      measured((16 * 16_000) / unit.length),
    );
  });
});

/** What CommonMark's own parser takes for fenced code, and all the rest, without white space. */
function codeAndText(markdown: string): { code: string; text: string } {
  let code = "";
  let text = "";
  const walker = new Parser().parse(markdown).walker();
  for (let step = walker.next(); step !== null; step = walker.next()) {
    const { type, literal }: Node = step.node;
    if (step.entering && type === "code_block") code += literal ?? "";
    else if (step.entering) text += literal ?? "";
  }
  return { code: withoutBlanks(code), text: withoutBlanks(text) };
}

function isCode(markdown: string): boolean {
  return codeAndText(markdown).text === "";
}
