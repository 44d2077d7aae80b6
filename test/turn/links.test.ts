import { Parser } from "commonmark";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHost, LinkGuard, plainLinks } from "../../src/turn/links.ts";
import type { ReplyEvent } from "../../src/turn/reply-event.ts";

const hosts = ["docs.acme.com", "*.acme.org"];

describe("A link to a host that is allowed", () => {
  it.each([
    "https://docs.acme.com",
    "see https://docs.acme.com.",
    "http://docs.acme.com:8080/a?b=c#d, and more",
    "https://DOCS.acme.com/Path",
    "[the page](https://docs.acme.com/a)",
    "![a picture](https://docs.acme.com/a.png)",
    "<https://docs.acme.com/a|the page>",
    "<https://docs.acme.com>",
    "**https://docs.acme.com**",
    "https://a.acme.org/x and https://a.b.acme.org/",
    "www.acme.org/x",
    "docs.acme.com/x",
    "https://docs.acme.com/report.pdf/view?u=www.acme.net&v=a//b.c",
  ])("stays as it is: %s", (text) => {
    expect(plainLinks(text, hosts)).toBe(text);
  });
});

describe("A link to another host", () => {
  it.each([
    ["https://evil.com/?d=secret", "https[:]//evil[.]com/?d=secret"],
    ["HTTPS://EVIL.com", "HTTPS[:]//EVIL[.]com"],
    ["[the page](https://evil.com/x)", "[the page] (https[:]//evil[.]com/x)"],
    ["![](https://evil.com/x.png)", "![] (https[:]//evil[.]com/x.png)"],
    ["<https://evil.com|the page>", "< https[:]//evil[.]com|the page>"],
    ["<https://evil.com/x>", "< https[:]//evil[.]com/x>"],
    ["[1]: https://evil.com/x", "[1] : https[:]//evil[.]com/x"],
    ["ftp://evil.com/x", "ftp[:]//evil[.]com/x"],
    ["slack://evil", "slack[:]//evil"],
    ["//evil.com/x", "//evil[.]com/x"],
    ["www.evil.com", "www[.]evil[.]com"],
    ["evil.com/secret", "evil[.]com/secret"],
    ["evil.com?d=secret", "evil[.]com?d=secret"],
    ["mailto:a@evil.com?body=secret", "mailto[:]a@evil[.]com?body=secret"],
    ["http://2130706433/x", "http[:]//2130706433/x"],
    ["http://[::1]/x", "http[:]//[::1]/x"],
    ["在https://evil.com/x。", "在https[:]//evil[.]com/x。"],
    ["`https://evil.com/x`", "`https[:]//evil[.]com/x`"],
  ])("is shown as text: %s", (text, shown) => {
    expect(plainLinks(text, hosts)).toBe(shown);
  });

  it.each([
    "https://docs.acme.com.evil.com/",
    "https://docs.acme.com@evil.com/",
    "https://docs.acme.com:80@evil.com/",
    "https://docs.acme.com:pass@evil.com/",
    "https://docs.acme.com\\@evil.com/",
    "https:\\\\evil.com/",
    "https:/\\evil.com/",
    "https://docs.acme.com,secret.evil.com/",
    "https://docs.acme.com).evil.com/",
    "https://docs.acme.com&period;evil.com/",
    "https://docs.acme.com%2eevil.com/",
    "https://docs.acme.com。evil.com/",
    "https://docs.acme.comé/",
    "https://docſ.acme.com/",
    "https://acme.org/",
    "https://evilacme.org/",
    "https://xdocs.acme.com/",
    "https://a.docs.acme.com/",
    "https://docs-acme.com/",
    "https://docsxacme.com/",
    "javascript://docs.acme.com/%0aalert(1)",
    "ftp://docs.acme.com/",
  ])("does not pass for one that is allowed: %s", (text) => {
    expect(plainLinks(text, hosts)).not.toMatch(/\w:[\\/]{2}/);
    expect(plainLinks(text, hosts)).not.toBe(text);
  });

  it.each([
    "[x](&#104;ttps&#58;&#47;&#47;d.evil.com)",
    "[x]( https:\\/\\/d.evil.com)",
    "[x](\nhttps:\\/\\/d.evil.com)",
    "[x](javascript:alert(1))",
    "[x](data:text/html,x)",
    "[x](https:evil.com)",
    "[x](/redirect?to=evil)",
    "[x](<https://evil.com/a b>)",
    "[x](https://docs.acme.com@evil.com)",
    // Which writing the rest of it as text must not make.
    "mailto:(ht&#116;ps&#58;&sol;&sol;d.evil.com)",
    "a://b.(ht&#116;ps&#58;&sol;&sol;d.evil.com)",
    "www.b.(ht&#116;ps&#58;&sol;&sol;d.evil.com)",
    "[a://b](ht&#116;ps&#58;&sol;&sol;d.evil.com)",
    "[https://docs.acme.com](ht&#116;ps&#58;&sol;&sol;d.evil.com)",
  ])("is no link of Markdown, however its address is written: %j", (text) => {
    expect(plainLinks(text, hosts)).not.toContain("](");
  });

  it.each([
    "[x]: ht&#116;ps&#58;&sol;&sol;d.evil.com",
    "[x]:\nhttps:\\/\\/d.evil.com",
    "//.: &sol;&sol;d.evil.com",
    "[a://b]: &sol;d.evil.com",
  ])("is no definition of one: %j", (text) => {
    expect(plainLinks(text, hosts)).not.toContain("]:");
  });

  it("is shown as text inside the address of an allowed one", () => {
    expect(plainLinks("https://docs.acme.com/r?to=https://evil.com/x", hosts)).toBe(
      "https://docs.acme.com/r?to=https[:]//evil[.]com/x",
    );
  });
});

describe("A reader of CommonMark", () => {
  const parser = new Parser();

  /** The hosts of all links and pictures that it makes of a text, on a page of an allowed one. */
  function linkedHosts(text: string): string[] {
    const found: string[] = [];
    const walker = parser.parse(text).walker();
    for (let step = walker.next(); step !== null; step = walker.next()) {
      const { destination } = step.node;
      if (!step.entering || destination === null || destination === undefined) continue;
      // An e-mail's address in angle brackets has no host, and a host's name in the place of a scheme leads nowhere.
      if (/^(mailto:[^?]+@|docs\.acme\.com:)/.test(destination)) continue;
      // What is no address leads nowhere, and so does a name that ends in a mark.
      if (URL.canParse(destination, "https://docs.acme.com")) {
        found.push(new URL(destination, "https://docs.acme.com").host);
      }
    }
    return found;
  }

  it("finds none to another host, whatever an attacker puts together", () => {
    const piece = fc.constantFrom(
      ...["[", "](", "]:", "]", "(", ")", "<", ">", "!", "\\", "\n", " ", "x", "|", "[x]", "](<"],
      ...[
        "https://docs.acme.com",
        "docs.acme.com",
        "a://",
        "https:",
        "//",
        "/",
        "mailto:",
        "www.a.",
        ".",
        ":",
        "@",
      ],
      ...[
        "https://evil.com",
        "evil.com/x",
        "ht&#116;ps&#58;&sol;&sol;evil&period;com",
        "&sol;&sol;evil.com",
        "\\/\\/evil.com",
      ],
    );
    fc.assert(
      fc.property(fc.array(piece, { minLength: 3, maxLength: 9 }), (pieces) => {
        for (const host of linkedHosts(plainLinks(pieces.join(""), hosts)))
          expect(host).toMatch(/^docs\.acme\.com\W*$/);
      }),
      { numRuns: 8_000 },
    );
  });
});

describe("What is no link", () => {
  it.each([
    "Do you use Node.js? Yes, and README.md, at 12:30.",
    "and/or 1.5/2 e.g./i.e. a.b",
    "std::vector this.props.value os.path.join",
    "```ts\nconst x = list[0];\n// a comment\n```",
    "ada@example.com",
    "C:\\Users\\ada",
    "",
  ])("stays as it is: %j", (text) => {
    expect(plainLinks(text, [])).toBe(text);
  });
});

describe("A reply with links", () => {
  function guarded(events: readonly ReplyEvent[]): ReplyEvent[] {
    const guard = new LinkGuard(hosts);
    const shown = events.flatMap((event) => guard.shown(event));
    return [...shown, ...guard.rest];
  }
  const deltas = (texts: readonly string[]): ReplyEvent[] => texts.map((delta) => ({ type: "text", delta }));
  const written = (events: readonly ReplyEvent[]) =>
    events.map((event) => (event.type === "text" ? event.delta : "")).join("");

  it("shows no part of a link before it is known whether it may be one", async () => {
    const events = guarded(deltas(["Look: htt", "ps://ev", "il.com/x now", " and"]));
    expect(events).toEqual(deltas(["Look: ", "https[:]//evil[.]com/x ", "now ", "and"]));
  });

  it("comes as it did where words have no spaces between them", async () => {
    const texts = ["你好", "，我在。", "请看"];
    expect(guarded(deltas(texts))).toEqual(deltas(texts));
  });

  it("says the same however it was cut", async () => {
    const piece = fc.constantFrom(
      ...["https:", "//", "evil.com", "docs.acme.com", "/", "?", "](", "]:", "[x", ")", " ", "\n", "."],
      ...["看", "。", "@", "\\", "<", "www.", "mailto:", "a", "&", "|", "1"],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(40)), async (pieces, cuts) => {
        const text = pieces.join("");
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length].sort((a, b) => a - b);
        const parts = at.slice(1).map((end, index) => text.slice(at[index], end));
        expect(written(guarded(deltas(parts)))).toBe(plainLinks(text, hosts));
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps a word together however long it is, in time that grows with the text", () => {
    const long = "x".repeat(100_000);
    for (const tail of ["(www|.evil.com/x", "(evil.co|m/x", "[x]|(ht&#116;ps&#58;&sol;&sol;evil.com)"]) {
      const shown = written(guarded(deltas([...long, ...tail.split("|"), " and"])));
      expect(shown).toBe(`${plainLinks(long + tail.replace("|", ""), hosts)} and`);
      expect(shown.slice(long.length)).not.toMatch(/\w\.evil|evil\.\w+\/|\]\(/);
    }
    const foreign = `(${"看".repeat(20_000)}`;
    expect(written(guarded(deltas([...foreign])))).toBe(foreign);
    for (const piece of ["a", "a.", "/", "](", "https://", "<a:", "www.", "-", "a-"]) {
      expect(plainLinks(piece.repeat(100_000), hosts).length).toBeGreaterThan(99_999);
    }
  });

  it("keeps to it in messages, suggestions and what the agent does, and leaves the rest as it is", async () => {
    const other: ReplyEvent[] = [
      { type: "notice", code: "stopped", text: "https://evil.com" },
      { type: "usage", total: 7 },
      { type: "end" },
    ];
    const events = guarded([
      { type: "status", text: "reads https://evil.com" },
      { type: "message", text: "https://evil.com" },
      { type: "suggestions", items: ["https://evil.com", "More?"] },
      { type: "file", kind: "image", url: "https://evil.com/a.png?words=secret" },
      { type: "file", kind: "image", url: `https://${hosts[0]}/a.png` },
      ...other,
    ]);
    expect(events).toEqual([
      { type: "status", text: "reads https[:]//evil[.]com" },
      { type: "message", text: "https[:]//evil[.]com" },
      { type: "suggestions", items: ["https[:]//evil[.]com", "More?"] },
      { type: "message", text: "https[:]//evil[.]com/a.png?words=secret" },
      { type: "file", kind: "image", url: `https://${hosts[0]}/a.png` },
      ...other,
    ]);
  });

  it("keeps to it in a file's name", () => {
    const file = { type: "file", kind: "file", url: `https://${hosts[0]}/a` } as const;
    expect(guarded([{ ...file, name: "evil.com/x" }, file])).toEqual([
      { ...file, name: "evil[.]com/x" },
      file,
    ]);
  });

  it("replaces no draft by the address of a file that is not shown", () => {
    const file: ReplyEvent = { type: "file", kind: "image", url: "https://evil.com/a.png" };
    const address = "https[:]//evil[.]com/a.png";
    const message: ReplyEvent = { type: "message", text: "See this one" };
    expect(guarded([...deltas(["See th"]), file, message, file])).toEqual([
      ...deltas(["See "]),
      ...[message, { type: "message", text: address }, { type: "message", text: address }],
    ]);
    expect(guarded([...deltas(["See th"]), file, ...deltas(["is"])])).toEqual(
      deltas(["See ", `this\n\n${address}`]),
    );
  });

  it("drops the end of a draft that a message replaces, and shows it where it broke off", async () => {
    const message: ReplyEvent = { type: "message", text: "A whole one" };
    expect(guarded([...deltas(["A who"]), message])).toEqual([...deltas(["A "]), message]);
    expect(written(guarded(deltas(["it broke o"])))).toBe("it broke o");
  });
});

describe("A host in the list of those that are allowed", () => {
  it.each(["acme.com", "docs.acme.com", "*.acme.com", "ACME-2.com", "localhost", "1.2.3.4"])(
    "may be %s",
    (host) => {
      expect(isHost(host)).toBe(true);
    },
  );

  it.each([
    "",
    "*",
    "*.",
    "https://acme.com",
    "acme.com/x",
    "acme.com:80",
    "a.*.com",
    "acme..com",
    ".com",
    "a com",
    7,
  ])("is not %j", (host) => {
    expect(isHost(host)).toBe(false);
  });
});
