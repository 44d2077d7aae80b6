import { execFile } from "node:child_process";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeSpeaker, type Scope, scoped } from "../../src/speaker/scope.ts";
import { isSessionName, sessionName } from "../../src/speaker/session-name.ts";
import type { Speaker } from "../../src/speaker/speaker.ts";

const secret = "a secret of the tests, long enough";

/** Ids as hostile as can be: separators, unicode, lone surrogates, empty parts, prefixes of each other. */
const hostile = fc.oneof(
  fc.constantFrom(
    "",
    "a",
    "ab",
    "a:b",
    "b",
    ":",
    ";",
    "1:a;",
    "-;",
    "-",
    "\0",
    "a\0",
    "\ud800",
    "\udc00",
    "\ufffd",
  ),
  fc.constantFrom(
    "U1",
    "U12",
    "C1",
    "T1",
    "slack",
    "discord",
    "U1;2:C1",
    "ü",
    "u\u0308",
    "李雷",
    "👩‍👩‍👧",
    " U1",
    "u1",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 })
    .map((units) => String.fromCharCode(...units)),
);
const someId = hostile.filter((id) => id !== "");

const speakers: fc.Arbitrary<Speaker> = fc.record(
  { platform: someId, tenant: hostile, user: someId, channel: hostile, thread: hostile },
  { requiredKeys: ["platform", "tenant", "user", "channel"] },
);
const namedScopes = ["user", "user-in-channel", "user-in-thread", "channel", "thread"] as const;
const anyScope: fc.Arbitrary<Scope> = fc.oneof(
  fc.constantFrom(...namedScopes),
  fc.constant((speaker: Speaker) => `${speaker.user}:${speaker.thread ?? ""}`),
);

describe("A session name", () => {
  it("is equal for two speakers only if their scoped parts are equal", () => {
    const pair = fc.record({
      one: speakers,
      two: speakers,
      scope: anyScope,
      identity: fc.option(someId, { nil: undefined }),
    });
    fc.assert(
      fc.property(pair, ({ one, two, scope, identity }) => {
        const first = scoped(one, scope, identity);
        const second = scoped(two, scope);
        const same = JSON.stringify(sorted(first)) === JSON.stringify(sorted(second));
        expect(sessionName(first, secret) === sessionName(second, secret)).toBe(same);
      }),
      { numRuns: 3_000 },
    );
  });

  it("never meets another one in a crowd of hostile speakers", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(speakers, anyScope), { minLength: 50, maxLength: 100 }), (crowd) => {
        const names = new Map<string, string>();
        for (const [speaker, scope] of crowd) {
          const who = scoped(speaker, scope);
          const key = JSON.stringify(sorted(who));
          const name = sessionName(who, secret);
          expect(names.get(name) ?? key).toBe(key);
          names.set(name, key);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("is ASCII, at most 36 bytes, and the same every time", () => {
    fc.assert(
      fc.property(speakers, anyScope, (speaker, scope) => {
        const name = sessionName(scoped(speaker, scope), secret);
        expect(name).toMatch(/^a1_[A-Za-z0-9_-]{33}$/);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(36);
        expect(sessionName(scoped({ ...speaker }, scope), secret)).toBe(name);
      }),
    );
  });

  it("keeps users apart whose ids differ only in tenant, platform, or where one part ends and the next begins", () => {
    const base = { platform: "slack", tenant: "T1", user: "U1", channel: "C1" };
    const others: Speaker[] = [
      { ...base, tenant: "T2" },
      { ...base, platform: "discord" },
      { ...base, tenant: "T1U", user: "1" },
      { ...base, tenant: "T", user: "1U1" },
      { ...base, tenant: "", user: "T1U1" },
    ];
    const names = [base, ...others].map((speaker) => sessionName(scoped(speaker, "user"), secret));
    expect(new Set(names).size).toBe(names.length);
    const far = "x".repeat(60);
    expect(nameOf({ ...base, user: `${far}1` })).not.toBe(nameOf({ ...base, user: `${far}2` }));
  });

  it("differs for different secrets", () => {
    const who = scoped({ platform: "slack", tenant: "T1", user: "U1" }, "user");
    expect(sessionName(who, secret)).not.toBe(sessionName(who, `${secret}!`));
  });

  it("is equal in another process", async () => {
    const who = scoped({ platform: "web", tenant: "a;b", user: "\ud800\u20ac:1" }, "user");
    // Written out, so that a change of the naming scheme, which would lose every session, is seen.
    const script = `
      const { createHmac } = require("node:crypto");
      const text = "4:user;3:web;-;3:a;b;4:\\ud800\\u20ac:1;-;-;-;-;-;";
      const hash = createHmac("sha256", ${JSON.stringify(secret)}).update(text, "utf16le").digest("base64url");
      process.stdout.write(("a1_" + hash).slice(0, 36));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--eval", script]);
    expect(encodeSpeaker(who)).toBe("4:user;3:web;-;3:a;b;4:\ud800\u20ac:1;-;-;-;-;-;");
    expect(sessionName(who, secret)).toBe(stdout);
  });

  it("is one for a person whom the application knows on two platforms, but not for a shared channel", () => {
    const slack = { platform: "slack", tenant: "T1", user: "U1", channel: "C1" };
    const discord = { platform: "discord", tenant: "G1", user: "9", channel: "C1" };
    expect(encodeSpeaker(scoped(slack, "user", "ada"))).toBe(encodeSpeaker(scoped(discord, "user", "ada")));
    const inChannel = (speaker: Speaker) => encodeSpeaker(scoped(speaker, "user-in-channel", "ada"));
    expect(inChannel(slack)).not.toBe(inChannel(discord));
    expect(encodeSpeaker(scoped(slack, "channel", "ada"))).toBe(encodeSpeaker(scoped(slack, "channel")));
  });
});

function nameOf(speaker: Speaker): string {
  return sessionName(scoped(speaker, "user"), secret);
}

function sorted(value: object): object {
  return Object.fromEntries(Object.entries(value).sort(([one], [two]) => (one < two ? -1 : 1)));
}

describe("What looks like a session's name", () => {
  const name = sessionName(scoped({ platform: "web", user: "ann" }, "user"), secret);

  it("is one", () => {
    expect([name, `a1_${"-".repeat(33)}`, `a1_${"_".repeat(33)}`].map(isSessionName)).toEqual([
      true,
      true,
      true,
    ]);
  });

  it.each([
    "",
    name.slice(0, -1),
    `${name}x`,
    `a2_${name.slice(3)}`,
    ` ${name.slice(1)}`,
    ` ${name.slice(0, -1)}`,
    `${name.slice(0, -1)}\n`,
    `${name.slice(0, -1)}=`,
  ])("is not %j", (other) => {
    expect(isSessionName(other)).toBe(false);
  });
});
