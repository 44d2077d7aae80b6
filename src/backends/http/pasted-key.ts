import { createPrivateKey, type KeyObject } from "node:crypto";
import { optionInvalid } from "../../check.ts";
import { parsed } from "./json.ts";

/**
 * A text as people paste it, made plain: without a byte order mark, without quotes around it, and with real line
 * ends for the `\n` of JSON and environment files.
 */
export function pasted(text: string): string {
  const plain = text.replace(/^[\s\uFEFF]+|[\s\uFEFF]+$/g, "");
  return /^(["'`]).*\1$/s.test(plain) ? pasted(plain.slice(1, -1)) : plain;
}

/**
 * A pasted text of JSON; undefined where it is none. What environment files, shells and editors do to it is undone.
 */
export function pastedJson(text: string): unknown {
  const plain = pasted(text);
  const tries = [
    plain,
    // Real line ends within a string.
    plain.replace(/"(?:[^"\\]|\\.)*"/gs, (string) => string.replace(/\r?\n/g, "\\n")),
    // Escaped as a whole, as a string within JSON.
    plain.replace(/\\"/g, '"').replace(/\\\\n/g, "\\n"),
    plain.replace(/\u00A0/g, " "),
  ];
  for (const each of tries) {
    const value = parsed(each);
    if (typeof value === "object" && value !== null) return value;
  }
  return undefined;
}

/**
 * Reads an RSA key of at least 2048 bits, PKCS#8 or PKCS#1, as it comes out of files, environment variables and
 * copied JSON: a byte order mark, quotes, literal `\n`, and blanks in place of line ends are forgiven.
 * @param field names the option in the error
 * @throws {AparteError} `option-invalid` that says what is wrong with the key. Nothing of the key is in it.
 */
export function readPrivateKey(text: string, field: string): KeyObject {
  const plain = pasted(text).replace(/\\+[rn]/g, "\n");
  const [, label, body = ""] = /-----BEGIN ([A-Z ]+)-----(.*)-----END \1-----/s.exec(plain) ?? [];
  if (label === undefined) throw optionInvalid(field, missing(plain));
  if (label.includes("PUBLIC") || label === "CERTIFICATE") {
    throw optionInvalid(field, "is the public part: give the private key, from -----BEGIN PRIVATE KEY-----");
  }
  if (label.includes("ENCRYPTED") || body.includes("ENCRYPTED")) {
    throw optionInvalid(field, "is locked by a pass phrase: give it without one (openssl pkcs8 -nocrypt)");
  }
  const lines = body.replace(/[\s\uFEFF\\"']+/g, "").match(/.{1,64}/g) ?? [];
  const pem = [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join("\n");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The parser's error is not kept as the cause: nothing that saw the key goes further.
    throw optionInvalid(field, "is no private key: it is damaged or not whole; copy it once more");
  }
  if (key.asymmetricKeyType !== "rsa") throw optionInvalid(field, "must be an RSA key, for RS256");
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw optionInvalid(field, "must have at least 2048 bits");
  }
  return key;
}

function missing(text: string): string {
  if (text.includes("-----BEGIN")) return "is cut: its last line, -----END … KEY-----, is missing";
  const isName = text.length < 300 && /\.(pem|key|json)$/i.test(text);
  return isName
    ? "is a file's name: give the text that the file holds, from -----BEGIN to -----END … KEY-----"
    : "is no private key: give the PEM text, from -----BEGIN to -----END … KEY-----";
}
