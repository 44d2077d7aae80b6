import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { pasted, pastedJson, readPrivateKey } from "../../../src/backends/http/pasted-key.ts";
import { AparteError } from "../../../src/errors.ts";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const pkcs1 = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
const modulus = (key: KeyObject) => key.export({ format: "jwk" }).n;

function problemOf(text: string): string {
  try {
    readPrivateKey(text, "privateKey");
  } catch (error) {
    expect(error).toBeInstanceOf(AparteError);
    expect(error).toMatchObject({ code: "option-invalid", field: "privateKey" });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(pem.slice(60, 90));
    return (error as AparteError).message;
  }
  return "none";
}

describe("a pasted private key", () => {
  it.each([
    ["as it is", pem],
    ["as PKCS#1", pkcs1],
    ["with a byte order mark", `\uFEFF${pem}`],
    ["with literal line ends", pem.replaceAll("\n", "\\n")],
    ["with line ends escaped twice", pem.replaceAll("\n", "\\\\n")],
    ["with the line ends of Windows and indentation", pem.replaceAll("\n", "\r\n   ")],
    ["with blanks in place of line ends", pem.replaceAll("\n", " ")],
    ["on one line", pem.replaceAll("\n", "")],
    ["in quotes", `"${pem}"`],
    ["in single quotes, behind a mark and blanks", ` \uFEFF'${pem.trim()}' `],
    ["as a JSON string", JSON.stringify(pem)],
    ["with hard blanks", pem.replaceAll("\n", "\u00A0")],
    ["with words around it", `Bag Attributes\n  friendlyName: me\n${pem}\nthe end`],
  ])("is read %s", (_, text) => {
    expect(modulus(readPrivateKey(text, "privateKey"))).toBe(modulus(createPrivateKey(pem)));
  });

  it("that cannot be read is told by what is wrong with it", () => {
    const asPem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
    const curve = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const locked = privateKey.export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "x",
    });
    const begin = "-----BEGIN PRIVATE KEY-----";
    for (const text of ["no key", `${"x".repeat(300)}.pem`, "coze.pem.txt"]) {
      expect(problemOf(text)).toContain("is no private key: give the PEM text, from -----BEGIN");
    }
    for (const text of ["./keys/coze.pem", "KEY.JSON", "a.key", `${"x".repeat(295)}.pem`]) {
      expect(problemOf(text)).toContain("is a file's name: give the text that the file holds");
    }
    expect(problemOf(pem.slice(0, 200))).toContain("is cut: its last line, -----END … KEY-----, is missing");
    expect(problemOf(`${begin}.pem`)).toContain("is cut");
    expect(problemOf(pem.slice(0, 300) + pem.slice(308))).toContain(
      "is damaged or not whole; copy it once more",
    );
    const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    const pkcs1Public = publicKey.export({ type: "pkcs1", format: "pem" }).toString();
    for (const text of [publicPem, pkcs1Public, publicPem.replaceAll("PUBLIC KEY", "CERTIFICATE")]) {
      expect(problemOf(text)).toContain(
        "is the public part: give the private key, from -----BEGIN PRIVATE KEY",
      );
    }
    const older = pkcs1.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n");
    for (const text of [locked.toString(), older]) {
      expect(problemOf(text)).toContain("is locked by a pass phrase: give it without one (openssl pkcs8");
    }
    expect(problemOf(asPem(small))).toContain("must have at least 2048 bits");
    expect(problemOf(asPem(curve))).toContain("must be an RSA key, for RS256");
  });
});

describe("pasted JSON", () => {
  const value = { type: "service_account", client_email: "a@b.c", private_key: pem };
  const text = JSON.stringify(value);
  it.each([
    ["as it is", text],
    ["with a byte order mark", `\uFEFF${text}`],
    ["in quotes", `'${text}'`],
    ["over several lines", JSON.stringify(value, undefined, 2)],
    ["with hard blanks for blanks", JSON.stringify(value, undefined, 2).replaceAll("  ", "\u00A0")],
    ["with real line ends in a string", text.replaceAll("\\n", "\n")],
    ["as a string within JSON", JSON.stringify(text)],
  ])("is read %s", (_, given) => {
    expect(pastedJson(given)).toEqual(value);
  });

  it("is none where it holds no object", () => {
    for (const given of ["", "{", "7", "null", '"words"', "/no/such/file.json"]) {
      expect(pastedJson(given)).toBeUndefined();
    }
  });
});

describe("a pasted word", () => {
  it("loses its mark, its quotes and the blanks around it, and nothing within it", () => {
    expect(pasted("\uFEFF 'key' \n")).toBe("key");
    expect(pasted(' "a "b" c" ')).toBe('a "b" c');
    expect(pasted('"half')).toBe('"half');
  });
});
