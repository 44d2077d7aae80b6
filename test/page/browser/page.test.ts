import { type AskCall, type Backend, type ReplyEvent, SessionMapper } from "aparte";
import {
  type HTMLButtonElement,
  type HTMLElement,
  type HTMLFormElement,
  type HTMLInputElement,
  type HTMLSelectElement,
  type HTMLTextAreaElement,
  Window,
} from "happy-dom";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { playground } from "../../../src/page/index.ts";
import { memoryStore } from "../../../src/stores/memory.ts";
import { type Loopback, listen } from "../../fakes/loopback.ts";

// The page's own code, on a DOM, with a playground that listens.

const token = "a-token-of-the-tests";
const browserFetch = fetch;

/** An agent that says what the test wants, and keeps what was said. */
class ScriptedAgent implements Backend {
  readonly name = "scripted";
  readonly calls: AskCall[] = [];
  says: (call: AskCall) => AsyncIterable<ReplyEvent> = async function* ({ text }) {
    yield { type: "message", text: `You said **${text}**.` };
  };
  readonly #said = new Map<string, { role: "user" | "agent"; text: string }[]>();

  async open({ sessionName }: { readonly sessionName: string }): Promise<string> {
    this.#said.set(sessionName, []);
    return sessionName;
  }

  async *ask(call: AskCall): AsyncGenerator<ReplyEvent> {
    this.calls.push(call);
    const said = this.#said.get(call.conversationId) ?? [];
    said.push({ role: "user", text: call.text });
    for await (const event of this.says(call)) {
      if (event.type === "message") said.push({ role: "agent", text: event.text });
      yield event;
    }
  }

  async history({ conversationId }: { readonly conversationId: string }) {
    return this.#said.get(conversationId) ?? [];
  }

  async clear(): Promise<void> {}
  async remove(): Promise<void> {}
}

let agent: ScriptedAgent;
let sales: ScriptedAgent;
let server: Loopback;
let mapper: SessionMapper;
let window: Window;
/** What the page asks of the server; a test may answer in its place. */
let asked: { readonly method: string; readonly path: string; readonly headers: Headers }[];
let answer: (request: Request, go: () => Promise<Response>) => Promise<Response>;
/** What the person answers when the page asks, and what it asked. */
let confirms: boolean;
let questions: string[];
/** How often the page has paused for a second before it tried again. */
let pauses: number;

beforeEach(async () => {
  agent = new ScriptedAgent();
  sales = new ScriptedAgent();
  confirms = true;
  questions = [];
  pauses = 0;
  asked = [];
  answer = (_, go) => go();
  await startServer(["helper", "sales"]);
  newWindow();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await window.happyDOM.close();
  await stopServer();
});

async function startServer(agents: readonly string[]): Promise<void> {
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const secret = "a secret of the tests, long enough";
  const store = memoryStore();
  const all = { helper: agent, sales };
  const used = Object.fromEntries(Object.entries(all).filter(([name]) => agents.includes(name)));
  mapper = new SessionMapper({ agents: used, store, secret, logger });
  server = await listen(playground(mapper, { token, agents, store, logger }));
}

async function stopServer(): Promise<void> {
  await mapper.close({ drainTimeout: 0 });
  await server.close();
}

/** A tab of a browser, which remembers what the one before kept for its session. */
function newWindow(kept: Readonly<Record<string, string>> = {}): void {
  window = new Window({ url: new URL("/?token=x", server.url).href });
  const { document, location, history, sessionStorage, requestAnimationFrame } = window;
  for (const [name, value] of Object.entries(kept)) sessionStorage.setItem(name, value);
  const globals = { document, location, history, sessionStorage, requestAnimationFrame };
  const { HTMLElement, HTMLInputElement, HTMLOListElement } = window;
  for (const [name, value] of Object.entries({
    ...globals,
    ...{ HTMLElement, HTMLInputElement, HTMLOListElement },
    requestAnimationFrame: requestAnimationFrame.bind(window),
    confirm: (question: string) => {
      questions.push(question);
      return confirms;
    },
    // The page waits for a second where a connection is lost; no test does.
    setTimeout: (run: () => void, ms = 0, ...more: []) => {
      if (ms === 1_000) pauses += 1;
      return realSetTimeout(run, ms === 1_000 ? 0 : ms, ...more);
    },
    fetch: async (path: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${token}`);
      const request = new Request(new URL(path, server.url), { ...init, headers });
      asked.push({ method: request.method, path, headers });
      return answer(request, () => browserFetch(request));
    },
  })) {
    vi.stubGlobal(name, value);
  }
}
const realSetTimeout = setTimeout;

/** Opens the page, and waits until its people are there. */
async function open(people = 2, conversations = people): Promise<void> {
  const html = await (
    await browserFetch(server.url, { headers: { authorization: `Bearer ${token}` } })
  ).text();
  const [, body = ""] = /<body>(.*)<\/body>/s.exec(html) ?? [];
  window.document.body.innerHTML = body;
  vi.resetModules();
  await import("../../../src/page/browser/page.ts");
  await expect.poll(() => all(".person").length).toBe(people);
  await expect.poll(() => all(".log > *").length).toBeGreaterThanOrEqual(conversations);
}

function all<E extends HTMLElement = HTMLElement>(selector: string, within?: HTMLElement): E[] {
  return [...((within ?? window.document).querySelectorAll(selector) as unknown as Iterable<E>)];
}

function one<E extends HTMLElement = HTMLElement>(selector: string, within?: HTMLElement): E {
  const [found, ...more] = all<E>(selector, within);
  if (found === undefined || more.length > 0) throw new Error(`Not one ${selector}.`);
  return found;
}

/** What a reader that speaks is told of an element: the DOM of the tests keeps it as a property. */
function aria(element: HTMLElement, name: "ariaLabel" | "ariaBusy"): unknown {
  return Reflect.get(element, name);
}

/** The column of somebody, by their name. */
function column(name: string): HTMLElement {
  const found = all(".person").find((person) => one<HTMLInputElement>(".name", person).value === name);
  if (found === undefined) throw new Error(`Nobody is called ${name}.`);
  return found;
}

/** What a column's log shows, line by line: their own words, the agent's, notes. */
function log(name: string): string[] {
  return all(".log .own, .log .part, .log .note", column(name))
    .filter((element) => !element.hidden)
    .map((element) => {
      const kind = element.classList.contains("own")
        ? "me"
        : element.classList.contains("note")
          ? "note"
          : "agent";
      const dots = element.classList.contains("dots") ? "…" : element.textContent;
      return `${kind}: ${dots}`;
    });
}

function button(label: string, within: HTMLElement): HTMLButtonElement {
  const found = all<HTMLButtonElement>("button", within).find(({ textContent }) => textContent === label);
  if (found === undefined) throw new Error(`There is no button "${label}".`);
  return found;
}

function say(name: string, text: string): void {
  const within = column(name);
  one<HTMLTextAreaElement>("textarea", within).value = text;
  button("Send", within).click();
}

function change(element: HTMLInputElement | HTMLSelectElement, value: string): void {
  element.value = value;
  element.dispatchEvent(new window.Event("change"));
}

const problem = () => {
  const { hidden, textContent } = one("#problem");
  return hidden ? undefined : textContent;
};

/** A reply whose end the test decides. */
function held(...events: readonly ReplyEvent[]) {
  let release = () => {};
  const ended = new Promise<void>((resolve) => {
    release = resolve;
  });
  agent.says = async function* ({ signal }) {
    yield* events;
    await Promise.race([ended, new Promise((_, reject) => signal.addEventListener("abort", reject))]);
    yield { type: "message", text: "done" };
  };
  return () => release();
}

/** A reply as the server sends it; its events have the ids that they are given. */
function streamed(...events: readonly (readonly [id: string, data: object, name?: string])[]): Response {
  const lines = events.map(([id, data, name]) => {
    return `id: ${id}\n${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
  });
  return new Response(`retry: 1000\n\n${lines.join("")}`);
}

const refusal = (code: string, status: number) =>
  Response.json({ error: { code, message: `It is ${code}.` } }, { status });

/** What Ada has said to the helper, and heard, as the server tells it. */
const past = (...texts: readonly string[]) =>
  Response.json({
    helper: texts.map((text, index) => ({ role: index % 2 === 0 ? "user" : "agent", text })),
  });

/** Answers requests of a method and path in the server's place. */
function answerTo(method: string, path: string, instead: (request: Request) => Response | Promise<Response>) {
  answer = async (request, go) =>
    request.method === method && request.url.startsWith(new URL(path, server.url).href)
      ? instead(request)
      : go();
}

const requests = (method: string, path: string) =>
  asked.filter((each) => each.method === method && each.path.startsWith(path));

describe("The page", () => {
  it("shows its people, and lets nobody read the token in the address", async () => {
    await open();
    expect(window.location.href).toBe(server.url);
    expect(all(".person").map((person) => aria(person, "ariaLabel"))).toEqual(["Ada", "Ben"]);
    for (const name of ["Ada", "Ben"]) {
      const session = one(".session", column(name));
      expect([session.textContent, session.title]).toEqual(["no session yet", ""]);
      expect(one(".hello", column(name)).textContent).toBe(
        `${name} has not said anything yet.My name is ${name}.What is my name?Help`,
      );
      expect(all("option", column(name)).map(({ textContent }) => textContent)).toEqual(["helper", "sales"]);
      expect(one("select", column(name)).hidden).toBe(false);
      expect(button("Stop", column(name)).hidden).toBe(true);
    }
    // A color of the person's id, the same in each tab.
    expect(["Ada", "Ben"].map((name) => column(name).style.getPropertyValue("--hue"))).toEqual(["142", "67"]);
    expect(problem()).toBeUndefined();
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /people?",
      "GET /history?person=Ada",
      "GET /history?person=Ben",
    ]);
  });

  it("names its parts for those who hear it, and says what a button does", async () => {
    await open();
    const ada = column("Ada");
    const name = one<HTMLInputElement>(".name", ada);
    expect([aria(name, "ariaLabel"), name.maxLength, Reflect.get(name, "spellcheck")]).toEqual([
      ...["Name", 40, false],
    ]);
    expect(aria(one("select", ada), "ariaLabel")).toBe("Agent");
    const conversation = one(".log", ada);
    expect([Reflect.get(conversation, "role"), conversation.tabIndex]).toEqual(["log", 0]);
    expect(all("button", ada).map((each) => [each.textContent, each.title, aria(each, "ariaLabel")])).toEqual(
      [
        ["Stop", "", undefined],
        ["Reset", "The agent forgets what was said here", undefined],
        ["✕", "Remove this person", "Remove this person"],
        ...["My name is Ada.", "What is my name?", "Help"].map((text) => [text, "", undefined]),
        ["Send", "", undefined],
      ],
    );
    const attach = one(".attach", ada);
    expect([attach.title, attach.textContent]).toEqual(["Attach files", "+Attach files"]);
    expect(one<HTMLInputElement>("input[type=file]", ada).multiple).toBe(true);
    expect(one<HTMLTextAreaElement>("textarea", ada).placeholder).toBe("Say something…");
    const end = held();
    say("Ada", "hi");
    const dots = one(".answer .dots", ada);
    expect([aria(dots, "ariaLabel"), Reflect.get(dots, "role")]).toEqual(["The agent writes", "img"]);
    end();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: done"]);
  });

  it("does not go on without an element that it needs", async () => {
    window.document.body.innerHTML = '<main id="people"></main>';
    vi.resetModules();
    await expect(import("../../../src/page/browser/page.ts")).rejects.toThrow("The page has no #problem.");
  });

  it("offers no choice of agents where there is one", async () => {
    await stopServer();
    await startServer(["helper"]);
    newWindow();
    await open();
    expect(one<HTMLSelectElement>("select", column("Ada")).hidden).toBe(true);
  });

  it("shows what is said and answered, to one person alone", async () => {
    await open();
    say("Ada", "hello");
    await expect.poll(() => log("Ada")).toEqual(["me: hello", "agent: You said hello."]);
    expect(one(".answer .part", column("Ada")).innerHTML).toBe("<p>You said <strong>hello</strong>.</p>");
    expect(aria(one(".answer", column("Ada")), "ariaBusy")).toBe("false");
    expect(all(".hello", column("Ada"))).toEqual([]);
    expect(one<HTMLTextAreaElement>("textarea", column("Ada")).value).toBe("");
    expect(log("Ben")).toEqual([]);
    expect(all(".hello", column("Ben"))).toHaveLength(1);
    await expect.poll(() => one(".session", column("Ada")).textContent).toBe(agent.calls[0]?.sessionName);
    expect(one(".session", column("Ada")).title).toContain("learns of this person");
    const sent = asked.find(({ method }) => method === "POST");
    expect(sent?.path).toBe("/messages?person=Ada");
    expect(Object.fromEntries(sent?.headers ?? [])).toMatchObject({
      ...{ accept: "text/event-stream", "content-type": "application/json", "x-aparte": "1" },
    });
    expect(sent?.headers.has("last-event-id")).toBe(false);
    // Once at the beginning, and once for the session that there is now.
    expect(requests("GET", "/people")).toHaveLength(2);
    window.document.body.focus();
    say("Ada", "again ");
    await expect.poll(() => log("Ada").slice(2)).toEqual(["me: again", "agent: You said again ."]);
    expect(window.document.activeElement).toBe(one("textarea", column("Ada")));
    expect(agent.calls.map(({ conversationId }) => conversationId)).toEqual(
      Array(2).fill(agent.calls[0]?.conversationId),
    );
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect(requests("GET", "/people")).toHaveLength(2);
  });

  it("sends at Enter, unless a line is broken or a word composed, and sends no blanks", async () => {
    await open();
    const text = one<HTMLTextAreaElement>("textarea", column("Ada"));
    const press = (more: object) => {
      const event = new window.KeyboardEvent("keydown", {
        key: "Enter",
        cancelable: true,
        bubbles: true,
        ...more,
      });
      text.dispatchEvent(event);
      return event.defaultPrevented;
    };
    text.value = "hello";
    expect(press({ shiftKey: true })).toBe(false);
    expect(press({ isComposing: true })).toBe(false);
    expect(press({ key: "a" })).toBe(false);
    expect(asked.some(({ method }) => method === "POST")).toBe(false);
    expect(press({})).toBe(true);
    await expect.poll(() => log("Ada")).toEqual(["me: hello", "agent: You said hello."]);
    text.value = " \n";
    expect(press({})).toBe(true);
    expect(asked.filter(({ method }) => method === "POST")).toHaveLength(1);
    expect(log("Ada")).toHaveLength(2);
  });

  it("sends files, and shows their names", async () => {
    await open();
    const input = one("input[type=file]", column("Ada"));
    const names = () => {
      const { hidden, textContent } = one(".files", column("Ada"));
      return hidden ? undefined : textContent;
    };
    expect(names()).toBeUndefined();
    let files = [new File(["one"], "a.txt"), new File(["two"], "b.txt")];
    Object.defineProperty(input, "files", { get: () => files });
    Object.defineProperty(input, "value", {
      set: () => {
        files = [];
      },
    });
    input.dispatchEvent(new window.Event("change"));
    expect(names()).toBe("a.txt, b.txt");
    // The DOM of the tests looks at files of its own kind alone.
    one<HTMLFormElement>(".say", column("Ada")).noValidate = true;
    say("Ada", "see");
    await expect.poll(() => log("Ada")).toEqual(["me: see\n📎 a.txt\n📎 b.txt", "agent: You said see."]);
    expect(names()).toBeUndefined();
    // Files need no words; what is kept for a reload says that there were some.
    files = [new File(["three"], "c.txt")];
    const end = held({ type: "text", delta: "half" });
    say("Ada", "");
    await expect.poll(() => log("Ada").slice(2)).toEqual(["me: 📎 c.txt", "agent: half"]);
    const kept = JSON.parse(window.sessionStorage.getItem("running:Ada") ?? "[]");
    expect(kept).toMatchObject([{ text: "", hasFiles: true }]);
    end();
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: done");
    const given = agent.calls[0]?.files ?? [];
    expect(given.map(({ name }) => name)).toEqual(["a.txt", "b.txt"]);
    expect(asked.find(({ method }) => method === "POST")?.headers.get("content-type")).not.toBe(
      "application/json",
    );
  });

  it("shows a reply as it grows, and what comes beside words", async () => {
    await open();
    let goOn = () => {};
    const goesOn = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let end = () => {};
    const ends = new Promise<void>((resolve) => {
      end = resolve;
    });
    agent.says = async function* (): AsyncGenerator<ReplyEvent> {
      yield { type: "status", text: "Looking" };
      yield { type: "text", delta: "He" };
      await goesOn;
      yield { type: "text", delta: "llo" };
      await ends;
      yield { type: "message", text: "done" };
    };
    say("Ada", "hi");
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: He"]);
    goOn();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: Hello"]);
    expect(aria(one(".answer", column("Ada")), "ariaBusy")).toBe("true");
    end();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: done"]);
    const next = held({ type: "status", text: "Looking" });
    say("Ada", "more");
    await expect.poll(() => log("Ada").slice(2)).toEqual(["me: more", "note: Looking…", "agent: …"]);
    next();
    await expect.poll(() => log("Ada").slice(2)).toEqual(["me: more", "agent: done"]);
    agent.says = async function* (): AsyncGenerator<ReplyEvent> {
      yield { type: "message", text: "one" };
      yield { type: "file", kind: "file", url: "https://files.example/a", name: "a.png" };
      yield { type: "file", kind: "file", url: "https://files.example/b" };
      yield { type: "end" };
      yield { type: "handoff" };
    };
    say("Ada", "all");
    await expect
      .poll(() => log("Ada").slice(4))
      .toEqual([
        "me: all",
        "agent: one",
        "agent: a.png: https://files.example/a",
        "agent: https://files.example/b",
        "note: The agent has ended this conversation. The next message begins a new one.",
        "note: A person takes over from here.",
      ]);
    say("Ada", "anybody?");
    await expect
      .poll(() => log("Ada").slice(10))
      .toEqual(["me: anybody?", expect.stringMatching(/^note: ./)]);
  });

  it("offers what to say next, and says it when it is chosen", async () => {
    await open();
    agent.says = async function* (): AsyncGenerator<ReplyEvent> {
      yield { type: "message", text: "one" };
      yield { type: "suggestions", items: ["yes", "no"] };
    };
    say("Ada", "hi");
    await expect.poll(() => all(".choices button", column("Ada")).length).toBe(2);
    one<HTMLTextAreaElement>("textarea", column("Ada")).value = "a draft";
    button("no", column("Ada")).click();
    await expect.poll(() => agent.calls.map(({ text }) => text)).toEqual(["hi", "no"]);
    await expect.poll(() => log("Ada").filter((line) => line === "agent: one")).toHaveLength(2);
    expect(one<HTMLTextAreaElement>("textarea", column("Ada")).value).toBe("a draft");
    // What was offered before is not offered any more.
    await expect.poll(() => all(".choices", column("Ada")).length).toBe(1);
    button("Help", column("Ben")).click();
    await expect.poll(() => agent.calls.at(-1)?.text).toBe("Help");
  });

  it("tells what failed, in the person's own column", async () => {
    await open();
    agent.says = async function* () {
      yield { type: "text", delta: "half" };
      throw new Error("broken");
    };
    say("Ada", "hi");
    await expect.poll(() => all(".bad", column("Ada")).length).toBe(1);
    expect(log("Ada")).toEqual(["me: hi", "agent: half", expect.stringMatching(/^note: ./)]);
    answer = async (request, go) => (request.method === "POST" ? new Response("", { status: 502 }) : go());
    say("Ada", "again");
    await expect.poll(() => log("Ada").at(-1)).toBe("note: The playground answered 502.");
    expect(all(".bad", column("Ada"))).toHaveLength(2);
    expect(problem()).toBeUndefined();
  });

  it("stops what runs, and lets nobody choose another agent meanwhile", async () => {
    await open();
    held({ type: "text", delta: "half" });
    say("Ada", "hi");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(false);
    expect(one<HTMLSelectElement>("select", column("Ada")).disabled).toBe(true);
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
    button("Stop", column("Ada")).click();
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect(one<HTMLSelectElement>("select", column("Ada")).disabled).toBe(false);
    expect(log("Ada")).toEqual(["me: hi", "agent: half", expect.stringMatching(/^note: ./)]);
    expect(asked.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  it("tells where stopping fails, but not where there is nothing to stop", async () => {
    await open();
    const end = held({ type: "text", delta: "half" });
    say("Ada", "hi");
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
    for (const [code, told] of [
      ["not-found", undefined],
      ["store-failed", "It failed."],
    ] as const) {
      answer = async (request, go) =>
        request.method === "DELETE"
          ? Response.json({ error: { code, message: "It failed." } }, { status: 400 })
          : go();
      const before = asked.length;
      button("Stop", column("Ada")).click();
      await expect.poll(() => asked.length).toBe(before + 1);
      await expect.poll(problem).toBe(told);
    }
    end();
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: done");
  });

  it("reads on where a connection broke, and shows nothing twice", async () => {
    await open();
    const end = held({ type: "text", delta: "half, " });
    let breaks = 2;
    answer = async (request, go) => {
      const response = await go();
      if (!request.url.includes("/messages") || response.body === null || breaks === 0) return response;
      breaks -= 1;
      const reader = response.body.getReader();
      let text = "";
      do {
        text += new TextDecoder().decode((await reader.read()).value);
      } while (breaks === 1 && !text.includes("half"));
      void reader.cancel();
      const broken = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
        },
        pull: (controller) => controller.error(new Error("reset")),
      });
      return new Response(broken, response);
    };
    say("Ada", "hi");
    await expect
      .poll(() => asked.filter(({ path }) => path.startsWith("/messages")).length)
      .toBeGreaterThan(1);
    answer = (_, go) => go();
    end();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: done"]);
    const sent = asked.filter(({ path }) => path.startsWith("/messages"));
    expect(new Set(sent.map(({ method }) => method))).toEqual(new Set(["POST"]));
    expect(sent.at(1)?.headers.get("last-event-id")).toMatch(/^[0-9a-f]{8}\.\d+$/);
    expect(agent.calls).toHaveLength(1);
  });

  it("gives up on a playground that is gone, and says so", async () => {
    await open();
    let statuses = 0;
    answer = async () => {
      if (log("Ada").some((line) => line.includes("Trying again"))) statuses += 1;
      throw new TypeError("fetch failed");
    };
    say("Ada", "hi");
    await expect
      .poll(() => log("Ada"))
      .toEqual(["me: hi", "note: The playground does not answer. Does it still run?"]);
    expect([statuses, pauses]).toEqual([29, 29]);
    expect(all(".bad", column("Ada"))).toHaveLength(1);
    expect(asked.filter(({ method }) => method === "POST")).toHaveLength(30);
    button("Reset", column("Ada")).click();
    await expect.poll(problem).toBe("The playground does not answer. Does it still run?");
  });

  it("waits for another process where its own closed", async () => {
    await open();
    let closed = 3;
    answer = async (request, go) => {
      if (request.method !== "POST" || closed-- <= 0) return go();
      return Response.json({ error: { code: "closed", message: "It closes." } }, { status: 503 });
    };
    say("Ada", "hi");
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: You said hi."]);
  });

  it("looks into the history for a reply that is there only", async () => {
    await open();
    say("Ada", "first");
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: You said first.");
    answer = async (request, go) => {
      if (request.method !== "POST") return go();
      await (await go()).text();
      return Response.json({ error: { code: "not-found", message: "There is none." } }, { status: 404 });
    };
    say("Ada", "hi");
    await expect
      .poll(() => log("Ada"))
      .toEqual(["me: first", "agent: You said first.", "me: hi", "agent: You said hi."]);
  });

  it("comes back to what runs when it is loaded again, and not to what is old", async () => {
    await open();
    const end = held({ type: "text", delta: "half" });
    say("Ada", "hi");
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
    const kept = JSON.parse(window.sessionStorage.getItem("running:Ada") ?? "[]");
    expect(kept).toMatchObject([{ id: expect.any(String), text: "hi", hasFiles: false }]);
    const old = { id: "old", text: "old words", at: Date.now() - 600_000, hasFiles: false };
    vi.unstubAllGlobals();
    const before = window;
    const young = { ...kept[0], at: Date.now() - 540_000 };
    newWindow({ "running:Ada": JSON.stringify([old, young]), "running:Ben": "no JSON" });
    await open();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: half"]);
    expect(log("Ben")).toEqual([]);
    end();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: done"]);
    await expect.poll(() => window.sessionStorage.getItem("running:Ada")).toBe("[]");
    expect(agent.calls).toHaveLength(1);
    await before.happyDOM.close();
    newWindow();
    await open();
    expect(log("Ada")).toEqual(["me: hi", "agent: done"]);
  });

  it("reads a message with files on by its name alone", async () => {
    await open();
    say("Ada", "first");
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: You said first.");
    const running = [{ id: "m7", text: "see", at: Date.now(), hasFiles: true }];
    newWindow({ "running:Ada": JSON.stringify(running) });
    await open();
    await expect.poll(() => asked.some(({ path }) => path === "/messages?person=Ada&id=m7")).toBe(true);
    expect(asked.filter(({ path, method }) => path.includes("m7") && method !== "GET")).toEqual([]);
    await expect.poll(() => log("Ada")).toEqual(["me: first", "agent: You said first."]);
  });

  it("renames, and takes a name back that the server refuses", async () => {
    await open();
    const name = one<HTMLInputElement>(".name", column("Ada"));
    change(name, "  Ada L. ");
    await expect.poll(() => name.value).toBe("Ada L.");
    expect(aria(one("textarea", column("Ada L.")), "ariaLabel")).toBe("Message of Ada L.");
    expect(aria(one(".log", column("Ada L.")), "ariaLabel")).toBe("Conversation of Ada L.");
    answer = async () =>
      Response.json({ error: { code: "store-failed", message: "Not now." } }, { status: 503 });
    change(name, "Bea");
    await expect.poll(problem).toBe("Not now.");
    expect(name.value).toBe("Ada L.");
    answer = (_, go) => go();
    const before = asked.length;
    change(name, " ");
    expect(name.value).toBe("Ada L.");
    expect(asked.length).toBe(before);
    change(name, "Ada");
    await expect.poll(problem).toBeUndefined();
  });

  it("adds people and removes them, with their conversations", async () => {
    await open();
    const input = one<HTMLInputElement>("#new-name");
    input.value = "Cy";
    const scrolled: unknown[] = [];
    window.HTMLElement.prototype.scrollIntoView = (how) => void scrolled.push(how);
    button("Add", one("#add")).click();
    await expect.poll(() => all(".person").length).toBe(3);
    expect(input.value).toBe("");
    expect(all("option", column("Cy")).map(({ textContent }) => textContent)).toEqual(["helper", "sales"]);
    await expect.poll(() => all(".hello", column("Cy")).length).toBe(1);
    await expect.poll(() => window.document.activeElement).toBe(one("textarea", column("Cy")));
    expect(scrolled).toEqual([{ inline: "center" }]);
    window.sessionStorage.setItem("running:Ben", "[]");
    confirms = false;
    button("✕", column("Ben")).click();
    confirms = true;
    button("✕", column("Ben")).click();
    await expect.poll(() => all(".person").length).toBe(2);
    expect(questions).toEqual(Array(2).fill("Remove Ben, and erase the conversation?"));
    expect(window.sessionStorage.getItem("running:Ben")).toBeNull();
    expect(asked.filter(({ method }) => method === "DELETE").map(({ path }) => path)).toEqual([
      "/people?person=Ben",
    ]);
    // Of the same name again, and there again.
    input.value = "Ben";
    button("Add", one("#add")).click();
    await expect
      .poll(() => all(".person").map((person) => aria(person, "ariaLabel")))
      .toEqual(["Ada", "Cy", "Ben"]);
    expect(problem()).toBeUndefined();
  });

  it("lets an agent forget, and shows from where on", async () => {
    await open();
    say("Ada", "hi");
    await expect.poll(() => log("Ada").length).toBe(2);
    confirms = false;
    button("Reset", column("Ada")).click();
    expect(asked.some(({ path }) => path.startsWith("/reset"))).toBe(false);
    confirms = true;
    button("Reset", column("Ada")).click();
    await expect
      .poll(() => log("Ada"))
      .toEqual(["me: hi", "agent: You said hi.", "note: The agent has forgotten what is above."]);
    expect(all(".forgotten", column("Ada"))).toHaveLength(2);
    expect(questions.at(-1)).toBe("Shall the agent forget what Ada said?");
    expect(asked.find(({ path }) => path.startsWith("/reset"))?.path).toBe("/reset?person=Ada&agent=helper");
  });

  it("lets each person choose an agent, with what was said to it", async () => {
    await open();
    say("Ada", "hi");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    await expect.poll(() => log("Ada").length).toBe(2);
    await expect.poll(() => aria(one(".answer", column("Ada")), "ariaBusy")).toBe("false");
    change(one<HTMLSelectElement>("select", column("Ada")), "sales");
    await expect.poll(() => all(".hello", column("Ada")).length).toBe(1);
    button("Reset", column("Ada")).click();
    await expect.poll(() => asked.filter(({ path }) => path.startsWith("/reset")).length).toBe(1);
    await expect.poll(() => asked.at(-1)?.path).toBe("/history?person=Ada");
    expect(problem()).toBeUndefined();
    say("Ada", "buy");
    await expect.poll(() => sales.calls.map(({ text }) => text)).toEqual(["buy"]);
    await expect.poll(() => log("Ada")).toEqual(["me: buy", "agent: You said buy."]);
    newWindow();
    await open();
    expect(one<HTMLSelectElement>("select", column("Ada")).value).toBe("sales");
    expect(one<HTMLSelectElement>("select", column("Ben")).value).toBe("helper");
    expect(log("Ada")).toEqual(["me: buy", "agent: You said buy."]);
  });

  it("says what is wrong where its people cannot be shown", async () => {
    answer = async () =>
      Response.json({ error: { code: "store-failed", message: "The store is away." } }, { status: 503 });
    await open(0);
    await expect.poll(problem).toBe("The store is away.");
    expect(all(".person")).toEqual([]);
  });

  it("says what is wrong where a conversation cannot be shown, and takes that back when something else goes well", async () => {
    await open();
    answerTo("GET", "/history?person=Ada", () => refusal("store-failed", 503));
    change(one<HTMLSelectElement>("select", column("Ada")), "sales");
    await expect.poll(problem).toBe("It is store-failed.");
    change(one<HTMLInputElement>(".name", column("Ben")), "Benedict");
    await expect.poll(problem).toBeUndefined();
    expect(one("#problem").textContent).toBe("");
    newWindow();
    await open(2, 1);
    await expect.poll(problem).toBe("It is store-failed.");
    expect(all(".hello", column("Benedict"))).toHaveLength(1);
  });

  it("does in the page what forms and buttons would do by loading another one", async () => {
    await open();
    for (const form of all(".person form, #add")) {
      const event = new window.Event("submit", { cancelable: true, bubbles: true });
      form.dispatchEvent(event);
      expect(event.defaultPrevented).toBe(true);
    }
    for (const each of all<HTMLButtonElement>(".person header button, .choices button"))
      expect(each.type).toBe("button");
  });

  it("shows no line of a reply that says nothing, and of notices none that are the page's own doing", async () => {
    await open();
    answerTo("POST", "/messages", () =>
      streamed(
        ["a.1", { type: "notice", code: "duplicate", text: "twice" }],
        ["a.2", { type: "notice", code: "merged", text: "merged" }],
        ["a.3", { type: "usage" }],
        ["a.4", {}, "done"],
      ),
    );
    say("Ada", "hi");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect(log("Ada")).toEqual(["me: hi"]);
    expect(all(".answer", column("Ada"))).toEqual([]);
    answerTo("POST", "/messages", () => new Response(null, { status: 204 }));
    say("Ada", "again");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect([log("Ada"), all(".bad")]).toEqual([["me: hi", "me: again"], []]);
    answerTo("POST", "/messages", () =>
      streamed(["b.1", { type: "notice", code: "slow", text: "Slow." }], ["b.2", {}, "done"]),
    );
    say("Ada", "more");
    await expect.poll(() => log("Ada").slice(2)).toEqual(["me: more", "note: Slow."]);
    expect(all(".bad")).toEqual([]);
    expect(requests("POST", "/messages")).toHaveLength(3);
  });

  it("shows each message by itself, and that the agent goes on after one", async () => {
    await open();
    let end = () => {};
    const ends = new Promise<void>((resolve) => {
      end = resolve;
    });
    agent.says = async function* (): AsyncGenerator<ReplyEvent> {
      yield { type: "text", delta: "on" };
      yield { type: "message", text: "one" };
      yield { type: "text", delta: "tw" };
      yield { type: "message", text: "two" };
      await ends;
    };
    say("Ada", "hi");
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: one", "agent: two", "agent: …"]);
    end();
    await expect.poll(() => log("Ada")).toEqual(["me: hi", "agent: one", "agent: two"]);
  });

  it("drops what another reading of the message had begun", async () => {
    await open();
    const replies = [
      streamed(
        ["aaaaaaaa.1", { type: "message", text: "one" }],
        ["aaaaaaaa.2", { type: "text", delta: "tw" }],
      ),
      streamed(["bbbbbbbb.1", { type: "text", delta: "th" }], ["bbbbbbbb.2", { type: "text", delta: "ree" }]),
      streamed(["bbbbbbbb.3", { type: "text", delta: "!" }], ["bbbbbbbb.4", {}, "done"]),
    ];
    answerTo("POST", "/messages", () => replies.shift() ?? new Response(null, { status: 204 }));
    say("Ada", "hi");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect(log("Ada")).toEqual(["me: hi", "agent: three!"]);
    expect(requests("POST", "/messages").map(({ headers }) => headers.get("last-event-id"))).toEqual([
      ...[null, "aaaaaaaa.2", "bbbbbbbb.2"],
    ]);
  });

  it("does not give up on a reply that goes on, however often its connection breaks", async () => {
    await open();
    let count = 0;
    answerTo("POST", "/messages", () => {
      count += 1;
      return streamed(
        [`a.${count}`, { type: "text", delta: `${count} ` }],
        ...(count < 40 ? [] : [["a.41", {}, "done"] as const]),
      );
    });
    say("Ada", "hi");
    await expect.poll(() => button("Stop", column("Ada")).hidden).toBe(true);
    expect(log("Ada")).toEqual([
      "me: hi",
      `agent: ${Array.from({ length: 40 }, (_, index) => `${index + 1} `).join("")}`,
    ]);
  });

  it("waits a while for a message that another process has, and then looks into the history", async () => {
    await open();
    answerTo("POST", "/messages", () => refusal("duplicate", 409));
    say("Ada", "hi");
    await expect.poll(() => all(".hello", column("Ada")).length).toBe(1);
    expect(requests("POST", "/messages")).toHaveLength(21);
    expect(window.sessionStorage.getItem("running:Ada")).toBe("[]");
    // What stands below it would be lost by that.
    const end = held({ type: "text", delta: "half" });
    answer = (_, go) => go();
    say("Ada", "first");
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
    answerTo("POST", "/messages", () => refusal("not-found", 404));
    say("Ada", "second");
    await expect.poll(() => log("Ada").at(-1)).toBe("note: Reload the page to see this answer.");
    expect(log("Ada")).toEqual([
      "me: first",
      "agent: half",
      "me: second",
      "note: Reload the page to see this answer.",
    ]);
    end();
    await expect.poll(() => log("Ada")[1]).toBe("agent: done");
  });

  it("stops all that runs, the last first, before it lets an agent forget or a person go", async () => {
    await open();
    let taken = 0;
    answer = async (request, go) => {
      const response = await go();
      if (request.method === "POST" && request.url.includes("/messages")) taken += 1;
      return response;
    };
    for (const name of ["Reset", "✕"]) {
      held({ type: "text", delta: "half" });
      say("Ada", "one");
      await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
      say("Ada", "two");
      await expect.poll(() => taken).toBe(name === "Reset" ? 2 : 4);
      expect(button("Stop", column("Ada")).hidden).toBe(false);
      const [one, two] = JSON.parse(window.sessionStorage.getItem("running:Ada") ?? "[]");
      const before = asked.length;
      button(name, column("Ada")).click();
      await expect
        .poll(() =>
          asked.slice(before).flatMap(({ method, path }) => (method === "GET" ? [] : [`${method} ${path}`])),
        )
        .toEqual([
          `DELETE /messages?person=Ada&id=${two.id}`,
          `DELETE /messages?person=Ada&id=${one.id}`,
          name === "Reset" ? "POST /reset?person=Ada&agent=helper" : "DELETE /people?person=Ada",
        ]);
      if (name === "Reset") await expect.poll(() => log("Ada").join()).toContain("The agent has forgotten");
    }
    await expect.poll(() => all(".person").length).toBe(1);
    expect(problem()).toBeUndefined();
  });

  it("comes back to all that runs, each with its own reply", async () => {
    const running = ["one", "two"].map((text) => ({ id: text, text, at: Date.now(), hasFiles: false }));
    newWindow({ "running:Ada": JSON.stringify(running) });
    answer = async (request, go) => {
      if (request.method !== "POST") return go();
      const { id, text } = (await request.json()) as { id: string; text: string };
      return streamed([`${id}.1`, { type: "message", text: `You said ${text}.` }], [`${id}.2`, {}, "done"]);
    };
    await open();
    await expect
      .poll(() => log("Ada"))
      .toEqual(["me: one", "agent: You said one.", "me: two", "agent: You said two."]);
    expect(all(".hello", column("Ada"))).toEqual([]);
    expect(requests("POST", "/messages").map(({ path }) => path)).toEqual(
      Array(2).fill("/messages?person=Ada"),
    );
    await expect.poll(() => window.sessionStorage.getItem("running:Ada")).toBe("[]");
  });

  it.each([
    ["asked last", ["a", "b", "again"], ["me: a", "agent: b", "me: again", "agent: new"]],
    ["answered there already", ["again", "old"], ["me: again", "agent: new"]],
    ["answered after others", ["a", "b", "again", "old"], ["me: a", "agent: b", "me: again", "agent: new"]],
    [
      "asked long ago, and now once more",
      ["again", "old", "c", "d"],
      ["me: again", "agent: old", "me: c", "agent: d", "me: again", "agent: new"],
    ],
    ["said by the agent alone", ["a", "again"], ["me: a", "agent: again", "me: again", "agent: new"]],
    ["not there yet", [], ["me: again", "agent: new"]],
  ])("shows once what runs and is in the history: %s", async (_, texts, shown) => {
    const running = [{ id: "m", text: "again", at: Date.now(), hasFiles: false }];
    newWindow({ "running:Ada": JSON.stringify(running) });
    answer = async (request, go) => {
      if (request.url.includes("/history?person=Ada")) return past(...texts);
      if (request.method !== "POST") return go();
      return streamed(["a.1", { type: "message", text: "new" }], ["a.2", {}, "done"]);
    };
    await open();
    await expect.poll(() => log("Ada")).toEqual(shown);
    expect(all(".hello", column("Ada"))).toEqual([]);
  });

  it("follows a reply's end, unless somebody has scrolled up", async () => {
    await open();
    const element = one(".log", column("Ada"));
    let top = 0;
    Object.defineProperties(element, {
      scrollHeight: { get: () => 500 },
      clientHeight: { get: () => 100 },
      scrollTop: {
        get: () => top,
        set: (value: number) => {
          top = value;
        },
      },
    });
    const end = held({ type: "text", delta: "half" });
    say("Ada", "hi");
    expect(top).toBe(500);
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: half");
    top = 340;
    end();
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: done");
    expect(top).toBe(340);
    top = 341;
    say("Ben", "hi");
    agent.says = async function* () {
      yield { type: "message", text: "end" };
    };
    say("Ada", "more");
    top = 341;
    await expect.poll(() => log("Ada").at(-1)).toBe("agent: end");
    expect(top).toBe(500);
  });
});
