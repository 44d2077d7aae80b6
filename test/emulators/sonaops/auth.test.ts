import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Auth } from "../../../src/emulators/sonaops/auth.ts";
import { Refusal } from "../../../src/emulators/sonaops/refusal.ts";

const apiKey = "key";
const apiSecret = "secret";
const now = 1_742_000_000;
const body = { b: " x ", a: [1, { c: "d" }], n: null, e: "  ", z: {}, f: false, q: 0 };
/** As the pages of the service have it: sorted, trimmed, without what is empty. */
const signed = 'a=[1,{"c":"d"}]&b=x&f=false&q=0&z={}';

type Headers_ = Readonly<Record<string, string>>;
const sha = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (text: string) => createHmac("sha256", apiSecret).update(text).digest("hex");

const right: Record<"A" | "B", Headers_> = {
  A: { authorization: "Bearer key", "x-user-id": "ada", "x-signature": sha(`${signed}${apiSecret}`) },
  B: {
    authorization: "Bearer key",
    "x-user-id": "ada",
    "x-timestamp": String(now),
    "x-request-id": "r",
    "x-signature": hmac(`POST\n/v1/x\n${now}\nada\na=1&b=2\n${signed}`),
  },
};

function auth(profile: "A" | "B") {
  const one = new Auth({ profile, apiKey, apiSecret, now: () => now * 1000 });
  return (headers: Headers_ = right[profile]) => {
    const url = new URL("http://x.example/v1/x?b=2&a=1&c=");
    try {
      return one.check({ method: "POST", url, headers: new Headers(headers), body });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [error.kind, error.message];
    }
  };
}

describe.each(["A", "B"] as const)("Sonaops' signatures, profile %s", (profile) => {
  it("tell the user where all is right", () => {
    expect(auth(profile)()).toBe("ada");
  });

  it.each(Object.keys(right[profile]))("need the header %s, and something in it", (name) => {
    const { [name]: _, ...rest } = right[profile];
    const spelt: Headers_ = {
      authorization: "Authorization",
      "x-user-id": "X-User-ID",
      "x-request-id": "X-Request-ID",
    };
    const shown = spelt[name] ?? { "x-timestamp": "X-Timestamp" }[name] ?? "X-Signature";
    const refused = ["unauthorized", `Unauthorized: the header ${shown} is missing`];
    expect(auth(profile)(rest)).toEqual(refused);
    expect(auth(profile)({ ...rest, [name]: "" })).toEqual(refused);
  });

  it("are refused that are somebody else's", () => {
    const refused = (more: Headers_) => auth(profile)({ ...right[profile], ...more });
    expect(refused({ authorization: "Bearer other" })).toEqual(["invalid-key", "Invalid API key"]);
    expect(refused({ authorization: "Basic key" })).toEqual([
      "unauthorized",
      "Unauthorized: Authorization must be Bearer <apiKey>",
    ]);
    const wrong = ["unauthorized", "Unauthorized: the signature is wrong"];
    expect(refused({ "x-signature": "0".repeat(64) })).toEqual(wrong);
    // The user is signed by profile B alone.
    expect(refused({ "x-user-id": "ben" })).toEqual(profile === "A" ? "ben" : wrong);
  });
});

it("takes a request id once", () => {
  const check = auth("B");
  const used = ["unauthorized", "Unauthorized: the X-Request-ID was used before"];
  expect([check(), check()]).toEqual(["ada", used]);
  expect(check({ ...right.B, "x-request-id": "other" })).toBe("ada");
});
