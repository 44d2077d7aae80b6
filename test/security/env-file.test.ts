import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readEnvFile } from "../../src/cli/env-file.ts";

const folder = mkdtempSync(join(tmpdir(), "aparte-env-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: string | Buffer) {
  const path = join(folder, ".env");
  writeFileSync(path, content);
  return readEnvFile(path);
}

describe("A .env file", () => {
  it("is read as it is written", () => {
    expect(
      read(
        [
          "# settings",
          "",
          "A=1",
          "  B = two words   ",
          "export C=three # a comment",
          'D="four # no comment"  # a comment',
          "E='five \"5\" \\n'",
          "F=`six`",
          'G="-----BEGIN KEY-----',
          "abc=",
          '-----END KEY-----"',
          'H="one\\ntwo"',
          "I=",
          "J= # nothing",
          "   # the end",
          "K=redis://:pass@host:6379/0",
          "L=https://x.example/?a=b&c=d$e",
        ].join("\n"),
      ),
    ).toEqual({
      A: "1",
      B: "two words",
      C: "three",
      D: "four # no comment",
      E: 'five "5" \\n',
      F: "six",
      G: "-----BEGIN KEY-----\nabc=\n-----END KEY-----",
      H: "one\ntwo",
      I: "",
      J: "",
      K: "redis://:pass@host:6379/0",
      L: "https://x.example/?a=b&c=d$e",
    });
    expect(readEnvFile(join(folder, "nowhere"))).toBeUndefined();
    expect(() => readEnvFile(folder)).toThrow(`The file ${folder} cannot be read (EISDIR).`);
  });

  it("may begin with a mark of UTF-8 and end its lines as Windows does", () => {
    const text = "\uFEFFAPARTE_STORE=redis://localhost\r\nPORT=0\r\n\r\n# end\r\n";
    expect(read(text)).toEqual({ APARTE_STORE: "redis://localhost", PORT: "0" });
  });

  const misread: [string, string | Buffer, string][] = [
    ["a line that is none", "APARTE_STORE\nPORT=0", "Line 1"],
    ["a colon", "PORT: 0", "Line 1"],
    ["a name with a dash", "A=1\nMY-PORT=0", "Line 2"],
    ["a line without a name", "=1\nPORT=0", "Line 1"],
    ["a # that would cut the value", "A=1\n\nAPARTE_STORE=redis://:pa#ss@host", "Line 3"],
    ["a quote that does not end", 'A="1\nPORT=0', "Line 1"],
    ["more after a quote", "A='it's\nPORT=0", "Line 1"],
    ["a quote within a word", 'A=a"b', "Line 1"],
    ["quotes of a word processor", "A=“1”", "Line 1"],
    ["an escaped quote", 'A="say \\"x\\""', "Line 1"],
    ["a tab", "A\t=\t1", "Line 1"],
    ["a tab after export", "export\tA=1", "Line 1"],
    ["ends of lines of old Macs", "A=1\rPORT=0", "Line 1"],
    ["a variable that is there twice", "A=1\nB=2\nA=3", "Line 3"],
    ["UTF-16", Buffer.from("\uFEFFPORT=0\r\n", "utf16le"), "UTF-8"],
    ["UTF-16 without its mark", Buffer.from("PORT=0\n", "utf16le"), "UTF-8"],
    ["Latin-1", Buffer.from("A=Z\u00fcrich", "latin1"), "UTF-8"],
  ];
  for (const [what, content, told] of misread) {
    it(`is refused for ${what}, by its line and without a value`, () => {
      const attempt = () => read(content);
      expect(attempt).toThrow(expect.objectContaining({ code: "option-invalid" }));
      expect(attempt).toThrow(told);
      expect(attempt).not.toThrow(/redis:/);
    });
  }
});
