// What the page does in the browser. Words are only ever put in as text, never as HTML.
import { markdown } from "./markdown.ts";

// The token is in a cookie now, and need not stay in the address.
if (location.search !== "") history.replaceState(null, "", location.pathname);

/** Somebody on the page, as the server tells. */
interface Person {
  readonly id: string;
  readonly name: string;
  readonly agent: string;
  /** Missing until they have spoken. */
  readonly sessionName?: string;
  /** How many messages of the history each agent no longer knows. */
  readonly forgotten?: Readonly<Record<string, number>>;
}

/** A message on its way. */
interface RunningMessage {
  readonly id: string;
  readonly text: string;
  readonly at: number;
  readonly hasFiles: boolean;
}

/** What the server sends of a reply, as far as the page shows it. */
type ReplyEvent =
  | { readonly type: "text"; readonly delta: string }
  | { readonly type: "message" | "status"; readonly text: string }
  | { readonly type: "suggestions"; readonly items: readonly string[] }
  | { readonly type: "notice"; readonly code: string; readonly text: string }
  | { readonly type: "file"; readonly url: string; readonly name?: string }
  | { readonly type: "handoff" | "end" | "usage" };

type SentEvent =
  | { readonly id: string; readonly name: "message"; readonly data: ReplyEvent }
  | { readonly id: string; readonly name: "done"; readonly data: object }
  | {
      readonly id: string;
      readonly name: "failed";
      readonly data: { readonly error: { readonly message: string } };
    };

/** What the server refused, or a connection that broke. */
class Failure extends Error {
  readonly code: string;

  constructor(message: string, code = "") {
    super(message);
    this.code = code;
  }
}

const agents: string[] = [];
const main = element("people", HTMLElement);
const problem = element("problem", HTMLElement);

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`The page has no #${id}.`);
}

function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Partial<HTMLElementTagNameMap[Tag]>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function tell(error?: unknown): void {
  problem.textContent = error instanceof Error ? error.message : "";
  problem.hidden = error === undefined;
}

function query(path: string, parameters: Record<string, string>): string {
  return `${path}?${new URLSearchParams(parameters)}`;
}

async function failureOf(response: Response): Promise<Failure> {
  const { error } = await response.json().catch(() => ({}));
  return new Failure(error?.message ?? `The playground answered ${response.status}.`, error?.code);
}

async function call<T = void>(method: string, path: string, parameters: Record<string, string>): Promise<T> {
  const response = await fetch(query(path, parameters), { method, headers: { "x-aparte": "1" } }).catch(
    () => {
      throw new Error("The playground does not answer. Does it still run?");
    },
  );
  if (!response.ok) throw await failureOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Runs an action of a button, and tells what went wrong. */
function doing(action: () => Promise<void>): (event: Event) => Promise<void> {
  return async (event) => {
    event.preventDefault();
    try {
      tell();
      await action();
    } catch (error) {
      tell(error);
    }
  };
}

async function* eventsOf(response: Response): AsyncGenerator<SentEvent> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
      const event: { id: string; name: string; data: unknown } = { id: "", name: "message", data: undefined };
      for (const line of buffer.slice(0, end).split("\n")) {
        if (line.startsWith("id: ")) event.id = line.slice(4);
        else if (line.startsWith("event: ")) event.name = line.slice(7);
        else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
      }
      buffer = buffer.slice(end + 2);
      if (event.data !== undefined) yield event as SentEvent;
    }
  }
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Messages on their way, so that a reload comes back to them. */
const running = {
  key: (person: string) => `running:${person}`,
  list(person: string): RunningMessage[] {
    try {
      const messages: RunningMessage[] = JSON.parse(sessionStorage.getItem(running.key(person)) ?? "[]");
      // An old tab that is opened again must not say old things again.
      return messages.filter(({ at }) => Date.now() - at < 600_000);
    } catch {
      return [];
    }
  },
  add: (person: string, message: RunningMessage) =>
    sessionStorage.setItem(running.key(person), JSON.stringify([...running.list(person), message])),
  remove: (person: string, id: string) =>
    sessionStorage.setItem(
      running.key(person),
      JSON.stringify(running.list(person).filter((message) => message.id !== id)),
    ),
};

/** One reply in a log: a draft that grows, finished messages, and notes. */
class Answer {
  readonly element = make("div", { className: "answer", ariaBusy: "true" });
  readonly #column: Column;
  readonly #waiting = make("span", { className: "part dots", role: "img", ariaLabel: "The agent writes" });
  readonly #status = make("p", { className: "note", hidden: true });
  #draft = "";
  #part: HTMLElement | undefined;
  #frame: number | undefined;

  constructor(column: Column) {
    this.#column = column;
    this.clear();
  }

  clear(): void {
    this.#draft = "";
    this.#part = undefined;
    this.element.replaceChildren(this.#status, this.#waiting);
  }

  put(element: HTMLElement): void {
    this.element.insertBefore(element, this.#status);
  }

  showDraft(text: string): void {
    if (this.#part === undefined) {
      this.#part = make("div", { className: "part" });
      this.put(this.#part);
    }
    this.#draft = text;
    this.#waiting.hidden = true;
    if (this.#frame !== undefined) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      this.paint();
    });
  }

  paint(): void {
    const part = this.#part;
    if (part !== undefined) this.#column.keepingBottom(() => part.replaceChildren(markdown(this.#draft)));
  }

  say(text: string): void {
    this.showDraft(text);
    this.paint();
    this.#part = undefined;
    this.#draft = "";
    this.#waiting.hidden = false;
  }

  note(text: string, isBad = false): void {
    this.#column.keepingBottom(() => this.put(make("p", { className: isBad ? "note bad" : "note" }, text)));
  }

  setStatus(text: string): void {
    this.#column.keepingBottom(() => {
      this.#status.textContent = text;
      this.#status.hidden = text === "";
    });
  }

  take(event: ReplyEvent): void {
    if (event.type !== "status") this.setStatus("");
    if (event.type === "text") this.showDraft(this.#draft + event.delta);
    else if (event.type === "message") this.say(event.text);
    else if (event.type === "file")
      this.say(event.name === undefined ? event.url : `${event.name}: ${event.url}`);
    else if (event.type === "status") this.setStatus(`${event.text}…`);
    else if (event.type === "suggestions") this.suggest(event.items);
    else if (event.type === "handoff") this.note("A person takes over from here.");
    else if (event.type === "end")
      this.note("The agent has ended this conversation. The next message begins a new one.");
    else if (event.type === "notice" && !["duplicate", "merged"].includes(event.code)) this.note(event.text);
  }

  suggest(items: readonly string[]): void {
    this.#column.keepingBottom(() => this.put(this.#column.choices(items)));
  }

  end(): void {
    this.paint();
    this.setStatus("");
    this.#waiting.remove();
    this.element.ariaBusy = "false";
    if (this.element.children.length === 1) this.element.remove();
  }
}

class Column {
  person: Person;
  readonly element: HTMLElement;
  readonly text = make("textarea", { rows: 1, placeholder: "Say something…", enterKeyHint: "send" });
  readonly #name = make("input", { className: "name", ariaLabel: "Name", maxLength: 40, spellcheck: false });
  readonly #agent: HTMLSelectElement;
  readonly #stopButton: HTMLButtonElement;
  readonly #log = make("div", { className: "log", role: "log", tabIndex: 0 });
  readonly #session = make("p", { className: "session" });
  readonly #files = make("input", { type: "file", multiple: true, className: "hidden" });
  readonly #fileNames = make("p", { className: "files", hidden: true });
  /** The ids of the messages whose turns run. */
  readonly #turns = new Set<string>();

  constructor(person: Person) {
    this.person = person;
    let hue = 0;
    for (const character of person.id) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
    this.#name.addEventListener(
      "change",
      doing(() => this.rename()),
    );
    this.#agent = make(
      "select",
      { ariaLabel: "Agent", hidden: agents.length < 2 },
      ...agents.map((agent) => make("option", { value: agent, selected: agent === person.agent }, agent)),
    );
    this.#agent.addEventListener(
      "change",
      doing(() => this.select()),
    );
    this.#stopButton = make(
      "button",
      { type: "button", hidden: true, onclick: doing(() => this.stop()) },
      "Stop",
    );
    const form = make(
      "form",
      { className: "say" },
      make(
        "label",
        { className: "attach", title: "Attach files" },
        "+",
        make("span", { className: "hidden" }, "Attach files"),
        this.#files,
      ),
      this.text,
      make("button", { type: "submit", className: "send" }, "Send"),
    );
    form.addEventListener(
      "submit",
      doing(() => this.send(this.text.value, [...(this.#files.files ?? [])])),
    );
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#files.addEventListener("change", () => this.showFiles());
    const resetButton = {
      type: "button",
      title: "The agent forgets what was said here",
      onclick: doing(() => this.reset()),
    } as const;
    const removeButton = {
      type: "button",
      ariaLabel: "Remove this person",
      title: "Remove this person",
      onclick: doing(() => this.remove()),
    } as const;
    this.element = make(
      "section",
      { className: "person" },
      make(
        "header",
        {},
        ...[this.#name, this.#agent, this.#stopButton],
        ...[make("button", resetButton, "Reset"), make("button", removeButton, "✕"), this.#session],
      ),
      ...[this.#log, this.#fileNames, form],
    );
    this.element.style.setProperty("--hue", String(hue));
    this.showName();
    this.showSession();
  }

  showName(): void {
    const { name } = this.person;
    this.#name.value = name;
    this.element.ariaLabel = name;
    this.#log.ariaLabel = `Conversation of ${name}`;
    this.text.ariaLabel = `Message of ${name}`;
  }

  showSession(): void {
    const { sessionName } = this.person;
    this.#session.textContent = sessionName ?? "no session yet";
    this.#session.title =
      sessionName !== undefined ? "All that the agent's service learns of this person" : "";
  }

  showFiles(): void {
    const names = Array.from(this.#files.files ?? [], (file) => file.name);
    this.#fileNames.textContent = names.join(", ");
    this.#fileNames.hidden = names.length === 0;
  }

  /** Follows the conversation's end, unless the reader has scrolled up. */
  keepingBottom(change: () => void): void {
    const log = this.#log;
    const isAtBottom = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    change();
    if (isAtBottom) log.scrollTop = log.scrollHeight;
  }

  show(shown: HTMLElement): void {
    this.#log.append(shown);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  choices(items: readonly string[]): HTMLElement {
    const choose = (item: string) => doing(() => this.send(item, []));
    const buttons = items.map((item) => make("button", { type: "button", onclick: choose(item) }, item));
    return make("div", { className: "choices" }, ...buttons);
  }

  async load(): Promise<void> {
    const history = await call<Record<string, { readonly role: string; readonly text: string }[]>>(
      "GET",
      "/history",
      { person: this.person.id },
    );
    const messages = history[this.#agent.value] ?? [];
    const [pending, ...more] = running.list(this.person.id);
    if (pending !== undefined) {
      const asked = messages.findLastIndex(({ role, text }) => role === "user" && text === pending.text);
      if (asked >= 0 && asked >= messages.length - 2) messages.splice(asked);
    }
    this.#log.replaceChildren();
    const forgotten = this.person.forgotten?.[this.#agent.value] ?? 0;
    for (const [index, { role, text }] of messages.entries()) {
      if (role === "user") this.show(make("div", { className: "own" }, text));
      else
        this.show(make("div", { className: "answer" }, make("div", { className: "part" }, markdown(text))));
      if (index === forgotten - 1) this.showForgotten();
    }
    if (messages.length === 0 && pending === undefined) this.greet();
    for (const message of pending === undefined ? [] : [pending, ...more]) {
      this.show(make("div", { className: "own" }, message.text));
      const { id, text, hasFiles } = message;
      this.follow(message, hasFiles ? undefined : JSON.stringify({ id, text })).catch(tell);
    }
  }

  showForgotten(): void {
    for (const shown of this.#log.children) shown.classList.add("forgotten");
    this.show(make("p", { className: "note rule" }, "The agent has forgotten what is above."));
  }

  greet(): void {
    const { name } = this.person;
    const choices = this.choices([`My name is ${name}.`, "What is my name?", "Help"]);
    this.#log.replaceChildren(
      make("div", { className: "hello" }, make("p", {}, `${name} has not said anything yet.`), choices),
    );
  }

  async send(text: string, files: readonly File[]): Promise<void> {
    if (text.trim() === "" && files.length === 0) return;
    for (const old of this.#log.querySelectorAll(".hello, .choices")) old.remove();
    const message = { id: crypto.randomUUID(), text };
    const kept = { ...message, at: Date.now(), hasFiles: files.length > 0 };
    const names = files.map((file) => `\n📎 ${file.name}`).join("");
    this.show(make("div", { className: "own" }, (text + names).trim()));
    const body = files.length === 0 ? JSON.stringify(message) : formOf(message, files);
    if (text === this.text.value) this.text.value = "";
    this.#files.value = "";
    this.showFiles();
    this.text.focus({ preventScroll: true });
    running.add(this.person.id, kept);
    await this.follow(message, body);
    if (this.person.sessionName === undefined) await refresh();
  }

  /** Sends a message and shows its reply, through lost connections. Without a body it was sent before, with files. */
  async follow(message: { readonly id: string }, body: string | FormData | undefined): Promise<void> {
    const answer = new Answer(this);
    this.show(answer.element);
    this.#turns.add(message.id);
    this.showRunning();
    try {
      await this.read(message.id, body, answer);
    } finally {
      answer.end();
      this.#turns.delete(message.id);
      running.remove(this.person.id, message.id);
      this.showRunning();
    }
  }

  async read(id: string, body: string | FormData | undefined, answer: Answer): Promise<void> {
    let last = "";
    for (let tries = 0; tries < 30; tries++) {
      if (tries > 0) {
        answer.setStatus("The connection is lost. Trying again…");
        await sleep(1_000);
      }
      const headers: Record<string, string> = { accept: "text/event-stream", "x-aparte": "1" };
      if (typeof body === "string") headers["content-type"] = "application/json";
      if (last !== "") headers["last-event-id"] = last;
      const person = this.person.id;
      // The same message sent again is not run again: it gets the rest of its reply.
      const response = await (body === undefined
        ? fetch(query("/messages", { person, id }), { headers })
        : fetch(query("/messages", { person }), { method: "POST", headers, body })
      ).catch(() => undefined);
      if (response === undefined) continue;
      if (response.status === 204) return;
      if (!response.ok) {
        const failure = await failureOf(response);
        // Its process died; another goes on once that is found out. Or the reply is in the history only.
        if (failure.code === "closed" || (failure.code === "duplicate" && tries < 20)) continue;
        if (failure.code !== "duplicate" && failure.code !== "not-found")
          return answer.note(failure.message, true);
        if (this.#turns.size > 1) return answer.note("Reload the page to see this answer.");
        running.remove(person, id);
        return this.load();
      }
      try {
        for await (const event of eventsOf(response)) {
          if (last !== "" && last.split(".")[0] !== event.id.split(".")[0]) answer.clear();
          last = event.id;
          tries = 0;
          if (event.name === "done") return;
          if (event.name === "failed") return answer.note(event.data.error.message, true);
          answer.take(event.data);
        }
      } catch {
        // The connection broke: the next round reads on.
      }
    }
    answer.note("The playground does not answer. Does it still run?", true);
  }

  showRunning(): void {
    this.#stopButton.hidden = this.#turns.size === 0;
    this.#agent.disabled = this.#turns.size > 0;
  }

  async stop(): Promise<void> {
    for (const id of [...this.#turns].reverse()) {
      await call("DELETE", "/messages", { person: this.person.id, id }).catch((error: unknown) => {
        if (!(error instanceof Failure && error.code === "not-found")) throw error;
      });
    }
  }

  async rename(): Promise<void> {
    const name = this.#name.value.trim();
    try {
      if (name === "") return;
      await call("PATCH", "/people", { person: this.person.id, name });
      this.person = { ...this.person, name };
    } finally {
      this.showName();
    }
  }

  async select(): Promise<void> {
    await call("POST", "/select", { person: this.person.id, agent: this.#agent.value });
    await this.load();
  }

  async reset(): Promise<void> {
    if (!confirm(`Shall the agent forget what ${this.person.name} said?`)) return;
    await this.stop();
    await call("POST", "/reset", { person: this.person.id, agent: this.#agent.value });
    await refresh();
    await this.load();
  }

  async remove(): Promise<void> {
    if (!confirm(`Remove ${this.person.name}, and erase the conversation?`)) return;
    await this.stop();
    await call("DELETE", "/people", { person: this.person.id });
    sessionStorage.removeItem(running.key(this.person.id));
    await refresh();
  }
}

function formOf(
  { id, text }: { readonly id: string; readonly text: string },
  files: readonly File[],
): FormData {
  const form = new FormData();
  form.set("id", id);
  form.set("text", text);
  for (const file of files) form.append("files", file);
  return form;
}

const columns = new Map<string, Column>();

/** Shows the people as the server knows them; the columns that are there stay as they are. */
async function refresh(): Promise<void> {
  const known = await call<{ agents: string[]; people: Person[] }>("GET", "/people", {});
  agents.splice(0, agents.length, ...known.agents);
  const ids = new Set(known.people.map(({ id }) => id));
  for (const [id, column] of columns) {
    if (ids.has(id)) continue;
    column.element.remove();
    columns.delete(id);
  }
  for (const person of known.people) {
    const there = columns.get(person.id);
    if (there !== undefined) {
      there.person = person;
      there.showSession();
      continue;
    }
    const column = new Column(person);
    columns.set(person.id, column);
    main.append(column.element);
    column.load().catch(tell);
  }
}

async function add(): Promise<void> {
  const input = element("new-name", HTMLInputElement);
  const { id } = await call<Person>("POST", "/people", { name: input.value });
  input.value = "";
  await refresh();
  const column = columns.get(id);
  column?.element.scrollIntoView({ inline: "center" });
  column?.text.focus();
}

element("add", HTMLElement).addEventListener("submit", doing(add));

refresh().catch(tell);
