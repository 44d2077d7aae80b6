import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { faultRules as coze } from "../../src/emulators/coze/faults.ts";
import { faultRules as dialogflow } from "../../src/emulators/dialogflow-cx/faults.ts";
import { chanceOf, early, randomOf } from "../../src/emulators/kit/chance.ts";
import { type CommonFault, commonFaults, type FaultRules, Faults } from "../../src/emulators/kit/faults.ts";
import { Log } from "../../src/emulators/kit/log.ts";
import {
  checkOptions,
  commonChecks,
  oneOf,
  rsaKey,
  wholeNumber,
  wordDelay,
} from "../../src/emulators/kit/options.ts";
import { throughWire } from "../../src/emulators/kit/wire.ts";
import { faultRules as sonaops } from "../../src/emulators/sonaops/faults.ts";

describe("Chance", () => {
  it("is the same for the same seed, everywhere", () => {
    const random = randomOf(1);
    // What mulberry32 gives for this seed.
    expect([random(), random(), random()]).toEqual([
      0.6270739405881613, 0.002735721180215478, 0.5274470399599522,
    ]);
    expect(randomOf(-1)()).toBe(randomOf(2 ** 32 - 1)());
    expect(randomOf(-1)()).not.toBe(randomOf(1)());
  });

  it("picks as often as its share says, and all kinds alike", () => {
    const often = (share: number) => {
      const next = chanceOf(7, share, [() => "a", () => "b", (random) => `c${random() < 1}`]);
      return Array.from({ length: 3000 }, next);
    };
    expect(new Set(often(0))).toEqual(new Set([undefined]));
    const all = often(1);
    expect(new Set(all)).toEqual(new Set(["a", "b", "ctrue"]));
    for (const kind of ["a", "b", "ctrue"])
      expect(Math.abs(all.filter((each) => each === kind).length - 1000)).toBeLessThan(150);
    const some = often(0.3).filter((each) => each !== undefined).length;
    expect(Math.abs(some - 900)).toBeLessThan(100);
  });

  it("breaks early more often than late, and never behind the end", () => {
    expect([0, 0.5, 0.9, 0.999_999].map((number) => early(() => number, 100))).toEqual([0, 25, 81, 99]);
  });
});

describe("Faults", () => {
  interface Fault extends CommonFault {
    readonly path?: string;
  }
  const rules: FaultRules<Fault, string> = {
    known: { ...commonFaults, path: true },
    fits: ({ path }, asked) => path === undefined || path === asked,
    check({ path }) {
      if (path === "") throw new Error("no path");
    },
    hostile: [() => ({ page: 502 })],
  };

  it("meet the requests that they fit, in line, each as often as it says", async () => {
    const faults = new Faults(rules, undefined);
    const [first, twice] = [faults.add({ path: "/a", page: 1 }), faults.add({ page: 2, times: 2 })];
    expect(faults.take("/b")?.fault.page).toBe(2);
    expect([first.hits, twice.hits]).toEqual([0, 1]);
    await twice.hit;
    expect(faults.take("/a")?.fault.page).toBe(1);
    expect(faults.take("/a")?.fault.page).toBe(2);
    expect(faults.take("/a")).toBeUndefined();
    expect([first.hits, twice.hits]).toEqual([1, 2]);
  });

  it("are taken back, which lets go of what they hold", async () => {
    const faults = new Faults(rules, undefined);
    const [held, other] = [faults.add({ hang: true, times: 2 }), faults.add({ page: 2 })];
    const hit = faults.take("/a");
    held.lift();
    held.lift();
    await hit?.lifted;
    expect(faults.take("/a")?.fault.page).toBe(2);
    expect(other.hits).toBe(1);
  });

  it("happen by themselves to a hostile emulator, behind those that were ordered", () => {
    const faults = new Faults(rules, { seed: 1, share: 1 });
    faults.add({ page: 1 });
    expect([faults.take("/a"), faults.take("/a")].map((hit) => hit?.fault.page)).toEqual([1, 502]);
    const usual = new Faults(rules, { seed: 1 });
    const hits = Array.from({ length: 1000 }, () => usual.take("/a")).filter((hit) => hit !== undefined);
    expect(Math.abs(hits.length - 300)).toBeLessThan(50);
  });

  it.each([
    ["Coze", coze, 25],
    ["Dialogflow", dialogflow, 12],
    ["Sonaops", sonaops, 15],
  ])("that happen by themselves to %s are faults that there are, each another one", (_, rules, kinds) => {
    const faults = new Faults(rules as unknown as FaultRules<Fault, string>, undefined);
    const made = rules.hostile.map((kind) => kind(() => 0.5)) as readonly (Fault & { code?: unknown })[];
    for (const fault of made) {
      faults.add(fault);
      expect(Object.keys(fault)).not.toEqual([]);
    }
    expect(new Set(made.map((fault) => JSON.stringify(fault))).size).toBe(kinds);
  });

  it("refuse a hostile Coze's callers with whole codes of its table", () => {
    const codes = Array.from({ length: 200 }, (_, at) =>
      coze.hostile.map((kind) => Number(kind(() => at / 200).code ?? 4000)),
    ).flat();
    expect(new Set(codes).size).toBe(36);
    for (const code of new Set(codes)) expect(String(code)).toMatch(/^(4\d{3}|5000|700012006)$/);
  });

  it("are refused that do not exist or make no sense", () => {
    const faults = new Faults(rules, undefined);
    expect(() => faults.add({ delay: 5 } as object)).toThrow(
      expect.objectContaining({ code: "option-invalid", field: "fault.delay" }),
    );
    expect(() => faults.add({ path: "" })).toThrow("no path");
    expect(faults.take("/a")).toBeUndefined();
  });
});

describe("A log", () => {
  it("keeps the last ten thousand, however many come", () => {
    const log = new Log<number>();
    for (let entry = 1; entry <= 20_000; entry += 1) log.add(entry);
    expect([log.last.length, log.last[0], log.last.at(-1)]).toEqual([10_000, 10_001, 20_000]);
    log.add(20_001);
    expect([log.last.length, log.last[0], log.last.at(-1)]).toEqual([10_000, 10_002, 20_001]);
    log.add(20_002);
    expect([log.last.length, log.last[0]]).toEqual([10_000, 10_003]);
  });

  it("tells the next entry that fits to everybody who waits, once", async () => {
    const log = new Log<number>();
    const [any, even, also] = [log.next(), log.next((entry) => entry % 2 === 0), log.next()];
    log.add(1);
    log.add(2);
    log.add(4);
    expect(await Promise.all([any, even, also])).toEqual([1, 2, 1]);
    let made = 0;
    log.happened(() => ++made);
    expect(made).toBe(0);
  });
});

describe("Options", () => {
  const pem = (key: KeyObject, type: "pkcs1" | "pkcs8") =>
    String(key.export({ type, format: "pem" } as never));

  it("are checked each by its name, and those without a value are not given", () => {
    const checks = { count: wholeNumber(1, 3), mode: oneOf("a", true) };
    expect(() => checkOptions({ count: 3, mode: undefined }, checks)).not.toThrow();
    for (const [options, field, message] of [
      [{ count: 0 }, "count", "must be a whole number from 1 to 3"],
      [{ count: "2" }, "count", "must be a whole number from 1 to 3"],
      [{ mode: "b" }, "mode", 'must be "a" or true'],
      [{ other: undefined }, "other", "other"],
    ] as const) {
      expect(() => checkOptions(options as object, checks as never)).toThrow(
        expect.objectContaining({ code: "option-invalid", field, message: expect.stringContaining(message) }),
      );
    }
  });

  it.each([
    ["a port", commonChecks.port, [0, 65_535], [-1, 65_536, 1.5, "80", null]],
    ["a clock", commonChecks.now, [Date.now], [5, null]],
    ["a pause", wordDelay, [0, 60_000], [-1, 60_001]],
    [
      "hostility",
      commonChecks.hostile,
      [{ seed: 1 }, { seed: 0, share: 0 }, { seed: -1, share: 1 }],
      [
        true,
        null,
        {},
        { seed: 1.5 },
        { seed: 1, share: -0.1 },
        { seed: 1, share: 1.1 },
        { seed: 1, share: "1" },
      ],
    ],
  ])("hold for %s within its bounds alone", (_, { holds }, right, wrong) => {
    expect(right.map((value) => holds(value))).toEqual(right.map(() => true));
    expect(wrong.map((value) => holds(value))).toEqual(wrong.map(() => false));
  });

  it("say what they must be", () => {
    expect([commonChecks.now, commonChecks.hostile, rsaKey].map(({ expected }) => expected)).toEqual([
      "a function that returns milliseconds",
      "{ seed, share } with a whole number and one from 0 to 1",
      "an RSA private key as PKCS#8 PEM",
    ]);
  });

  it("take an RSA key as the services' consoles hand it out, and no other", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
    const { privateKey: curve } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(rsaKey.holds(pem(rsa, "pkcs8"))).toBe(true);
    const wrong = [pem(rsa, "pkcs1"), pem(curve, "pkcs8"), "-----BEGIN PRIVATE KEY-----", 7];
    expect(wrong.map((key) => rsaKey.holds(key))).toEqual([false, false, false, false]);
  });
});

describe("The wire", () => {
  const request = new Request("http://127.0.0.1/");
  const piecesOf = async (response: Response) => {
    const pieces: string[] = [];
    for await (const piece of response.body ?? []) pieces.push(Buffer.from(piece).toString());
    return pieces;
  };
  const answer = (...parts: string[]) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of parts) controller.enqueue(Buffer.from(part));
        controller.close();
      },
    });
    return new Response(body, { status: 201, headers: { "content-type": "a/b", "x-own": "1" } });
  };

  it("changes nothing that it is not told to", async () => {
    const whole = answer("abc");
    expect(await throughWire(whole, {}, request)).toBe(whole);
  });

  it("writes in pieces of so many bytes, and keeps what stands around them", async () => {
    const torn = await throughWire(answer("abcde", "fg"), { pieces: 2 }, request);
    expect([torn.status, torn.headers.get("x-own")]).toEqual([201, "1"]);
    expect(await piecesOf(torn)).toEqual(["ab", "cd", "e", "fg"]);
  });

  it("ends after so many bytes as if that were all", async () => {
    const text = async (closeAt: number) =>
      (await piecesOf(await throughWire(answer("abc", "def"), { closeAt }, request))).join("");
    expect([await text(0), await text(4), await text(6), await text(7)]).toEqual([
      "",
      "abcd",
      "abcdef",
      "abcdef",
    ]);
  });

  it("leaves out the line ends that stand last, and no others", async () => {
    const text = async (...parts: string[]) =>
      (await piecesOf(await throughWire(answer(...parts), { unterminated: true }, request))).join("");
    expect(await text("\na\n\nb", "\r\n", "\n")).toBe("\na\n\nb");
    expect(await text("a\n", "\nb\n\n")).toBe("a\n\nb");
    expect(await text("\n")).toBe("");
  });

  it("says another type, or answers as a gateway once the work is done", async () => {
    const named = await throughWire(answer("abc"), { contentType: "text/plain" }, request);
    expect([named.headers.get("content-type"), await named.text()]).toEqual(["text/plain", "abc"]);
    const work = answer("abc");
    const page = await throughWire(work, { afterWork: 503 }, request);
    expect([page.status, page.headers.get("content-type"), work.bodyUsed]).toEqual([503, "text/html", true]);
    expect(await page.text()).toBe("<html><body>503</body></html>");
  });
});
