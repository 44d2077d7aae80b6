import { AparteError } from "../errors.ts";
import type { SessionMapper } from "../mapper.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { Records } from "../stores/store.ts";

/** A person on the page. */
export interface Person {
  /** The speaker's `user`. */
  readonly id: string;
  /** As the page shows it; may change, the id stays. */
  readonly name: string;
  /** How many messages of the history each agent no longer knows, since it was told to forget. */
  readonly forgotten?: { readonly [agent: string]: number };
}

/** A person with what the mapper knows of them. */
export interface KnownPerson extends Person {
  /** Missing until they have spoken. */
  readonly sessionName?: string;
  readonly agent: string;
}

const recordKey = "playground:people";

const longestName = 40;

/** The speaker that a person of the page is. */
export function speakerOf(id: string): Speaker {
  return { platform: "web", tenant: "playground", user: id };
}

export interface PeopleOptions {
  readonly mapper: SessionMapper;
  /** Keeps the names and those who have not spoken. */
  readonly records: Records | undefined;
  /** Who is there on the first start. */
  readonly preset: readonly string[];
  readonly firstAgent: string;
}

/** Who is on the page: those that were kept, and everyone who has a session. */
export class People {
  readonly #options: PeopleOptions;
  #people: Promise<readonly Person[]> | undefined;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  async list(): Promise<readonly KnownPerson[]> {
    const people = await this.#all();
    const sessions = await this.#sessions();
    return people.map((person) => ({
      ...person,
      agent: this.#options.firstAgent,
      ...sessions.get(person.id),
    }));
  }

  async has(id: string): Promise<boolean> {
    return (await this.#all()).some((person) => person.id === id);
  }

  async add(name: string): Promise<Person> {
    const cleaned = cleanName(name);
    let added: Person = { id: cleaned, name: cleaned };
    await this.#change((people) => {
      for (let count = 2; people.some(({ id }) => id === added.id); count++) {
        added = { id: `${cleaned} ${count}`, name: cleaned };
      }
      return [...people, added];
    });
    return added;
  }

  async rename(id: string, name: string): Promise<void> {
    const cleaned = cleanName(name);
    await this.#edit(id, () => ({ name: cleaned }));
  }

  /** The agent forgets; the service may keep what was said, so the page has to tell from where on it counts. */
  async reset(id: string, agent: string): Promise<void> {
    const { mapper } = this.#options;
    await mapper.reset(speakerOf(id), agent);
    const said = (await mapper.export(speakerOf(id)))?.messages[agent]?.length ?? 0;
    await this.#edit(id, ({ forgotten }) => ({ forgotten: { ...forgotten, [agent]: said } }));
  }

  /** Erases the person's session, here and at the service, and takes them off the page. */
  async remove(id: string): Promise<void> {
    await this.#change((people) => people.filter((person) => person.id !== id));
    // The last of them, since it is what takes the name out of the store's log, too.
    await this.#options.mapper.forget(speakerOf(id));
  }

  #all(): Promise<readonly Person[]> {
    if (this.#people === undefined) {
      this.#people = this.#load();
      // A store that failed once is asked again.
      this.#people.catch(() => {
        this.#people = undefined;
      });
    }
    return this.#people;
  }

  async #load(): Promise<readonly Person[]> {
    const { records, preset } = this.#options;
    const kept = await records?.get<readonly Person[]>(recordKey);
    const people = [...(kept ?? preset.map((name) => ({ id: name, name })))];
    for (const id of (await this.#sessions()).keys()) {
      if (!people.some((person) => person.id === id)) people.push({ id, name: id });
    }
    return people;
  }

  /** What the mapper knows of the page's people, by id. */
  async #sessions(): Promise<Map<string, { readonly sessionName: string; readonly agent?: string }>> {
    const { platform, tenant } = speakerOf("");
    const sessions = new Map<string, { readonly sessionName: string; readonly agent?: string }>();
    for await (const { speaker, sessionName, agent } of this.#options.mapper.sessions()) {
      if (speaker.platform !== platform || speaker.tenant !== tenant || speaker.user === undefined) continue;
      sessions.set(speaker.user, { sessionName, ...(agent === undefined ? {} : { agent }) });
    }
    return sessions;
  }

  #edit(id: string, edit: (person: Person) => Partial<Person>): Promise<void> {
    return this.#change((people) =>
      people.map((person) => (person.id === id ? { ...person, ...edit(person) } : person)),
    );
  }

  /** One change after the other: two at once must not undo each other. */
  async #change(change: (people: readonly Person[]) => readonly Person[]): Promise<void> {
    const before = this.#all();
    const changing = before.then(async (people) => {
      const changed = change(people);
      await this.#options.records?.set(recordKey, changed);
      return changed;
    });
    this.#people = changing.catch(() => before);
    await changing;
  }
}

/** @throws {AparteError} `input-invalid` */
function cleanName(name: string): string {
  const cleaned = name.replace(/[\s\p{C}]+/gu, " ").trim();
  if (cleaned !== "" && cleaned.length <= longestName) return cleaned;
  throw new AparteError("input-invalid", `A name must have 1 to ${longestName} characters.`, {
    field: "name",
  });
}
