import { type Message, openStore } from "aparte";
import { type CozeEmulator, startCozeEmulator } from "aparte/testing";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Copies, type CopiesOptions, type Post } from "../copies.ts";

let emulator: CozeEmulator;
let copies: Copies | undefined;

beforeEach(async () => {
  emulator = await startCozeEmulator();
});

afterEach(async () => {
  await copies?.close();
  copies = undefined;
  await emulator.close();
});

const says = (user: string, id: string, text: string): Message => ({
  ...{ platform: "chat", tenant: "acme", user },
  ...{ id, text },
});

/** How often something is there. */
function countsOf(values: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * People who each say some words, one after the other, to any copy; every third event is delivered twice.
 * @param atOnce how many of them speak at the same time, and have their replies before others speak
 */
async function crowd(bots: Copies, people: number, messages: number, atOnce = 100): Promise<void> {
  let next = 0;
  const one = async () => {
    for (let person = next++; person < people; person = next++) {
      for (let index = 1; index <= messages; index += 1) {
        const message = says(`u${person}`, `u${person}-${index}`, `u${person}-${index}`);
        const first = bots.deliver(message, person + index);
        const again = (person + index) % 3 === 0 ? bots.deliver(message, person + index + 1) : undefined;
        await Promise.all([first, again]);
      }
      await bots.answered(Array.from({ length: messages }, (_, index) => `u${person}-${index + 1}`));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** Nothing is missing, nothing is there twice, and each person's replies are in the order of the messages. */
function expectAllInOrder(bots: Copies, people: number, messages: number): void {
  const replies = bots.replies;
  const twice = [...countsOf(replies.map(({ nonce }) => nonce))].filter(([, count]) => count > 1);
  expect(twice).toEqual([]);
  expect(replies).toHaveLength(people * messages);
  const last = new Map<string, number>();
  for (const { user, nonce } of replies) {
    const index = Number(nonce.split("-")[1]);
    expect(index, nonce).toBe((last.get(user) ?? 0) + 1);
    last.set(user, index);
  }
}

/**
 * The agent repeats what it was told before in the same conversation: in no reply is there a word of somebody
 * else, or one that was sent to the agent twice.
 */
function expectEachWordOnce(replies: readonly Post[]): void {
  for (const { user, nonce, text = "" } of replies) {
    const words = [...text.matchAll(/"([^"]+)"/g)].map(([, word = ""]) => word);
    expect(words[0], text).toBe(nonce);
    expect(new Set(words).size, text).toBe(words.length);
    for (const word of words) expect(word.split("-")[0], text).toBe(user);
  }
}

/** Nobody dies, and nothing is refused, however long a busy machine lets a process wait. */
const patient = { leaseTime: 60_000, storeTimeout: 50_000 };

/** The suite for a store that several processes share. */
export function manyProcesses(
  store: () => Promise<string>,
  size: { people: number; messages: number },
): void {
  const start = async (count: number, options: CopiesOptions["options"] = {}) => {
    copies = await Copies.start({ count, store: await store(), agent: emulator, options });
    return copies;
  };

  it("answer 50 first messages of one person at once, in order, in one conversation, none twice", async () => {
    const bots = await start(4, patient);
    const ids = Array.from({ length: 50 }, (_, index) => `m${index}`);
    await Promise.all(ids.map((id, index) => bots.deliver(says("ada", id, `word${index}`), index)));
    await bots.until(() => bots.replies.length >= 50);
    expect(emulator.conversations()).toHaveLength(1);
    // One, unless the store takes more than a second to tell another process of it.
    expect(emulator.signatures).toBeGreaterThanOrEqual(1);
    expect(emulator.signatures).toBeLessThanOrEqual(4);
    // The agent numbers the turns of a conversation.
    const turns = bots.replies.map(({ text }) => Number(/Turn (\d+)\./.exec(text ?? "")?.[1]));
    expect(turns).toEqual(ids.map((_, index) => index + 1));
    expect(new Set(bots.replies.map(({ nonce }) => nonce))).toEqual(new Set(ids));
    for (let copy = 0; copy < 4; copy += 1) {
      const own = bots.replies
        .map(({ nonce }) => Number(nonce.slice(1)))
        .filter((index) => index % 4 === copy);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  it(`answer ${size.people} people, a third of whose events come twice, in order, none twice`, async () => {
    const { people, messages } = size;
    const bots = await start(4, patient);
    await crowd(bots, people, messages);
    expectAllInOrder(bots, people, messages);
    expectEachWordOnce(bots.replies);
    expect(emulator.conversations()).toHaveLength(people);
    // Where the store takes more than a second to tell of a token, another one is signed.
    expect(emulator.signatures).toBeGreaterThanOrEqual(people);
    expect(emulator.signatures).toBeLessThan(people * 2);
    expect(emulator.chats()).toHaveLength(people * messages);
  });

  it("lose nothing, send nothing twice and open nothing twice while one of them is killed again and again", async () => {
    const [people, messages] = [60, 5];
    // The store is there all the time, however long a busy machine takes to hear it.
    const bots = await start(4, { ...patient, leaseTime: 4_000 });
    let end = () => {};
    const over = new Promise<"over">((resolve) => {
      end = () => resolve("over");
    });
    let kills = 0;
    const killing = (async () => {
      for (;;) {
        // By what was answered since, not by the clock: on a slow machine a turn must not die again and again.
        const answered = bots.replies.length + (people * messages) / 5;
        const enough = bots.until(() => bots.replies.length >= answered);
        enough.catch(() => {}); // Whoever waits for the crowd fails for it.
        if ((await Promise.race([over, enough])) === "over") return;
        const index = kills % 4;
        kills += 1;
        await bots.kill(index);
        await bots.startOne(index);
      }
    })();
    try {
      // Few enough for a turn to be over before its process is killed for the third time.
      await crowd(bots, people, messages, 40);
    } finally {
      end();
      await killing;
    }
    const firsts = new Map<string, Post>();
    for (const post of bots.replies) if (!firsts.has(post.nonce)) firsts.set(post.nonce, post);
    const told = new Set(bots.replies.filter(({ isTold }) => isTold).map(({ nonce }) => nonce));
    const answers = bots.replies.filter(({ isTold }) => !isTold);
    // Posted, and its process killed before that was written down: the nonce told the platform that it has it.
    const posted = bots.posts.filter(({ id }) => id === undefined).map(({ nonce }) => nonce);
    const known = posted.length - new Set(posted).size;
    console.log(
      `${kills} kills, ${firsts.size} replies: ${told.size} tell the person to send the message again,`,
      `${known} were posted once more and known by their nonce`,
    );
    expect(firsts.size).toBe(people * messages);
    expect(told.size).toBeLessThan(people * messages * 0.01);
    expectEachWordOnce(answers);
    // Whoever takes over a reply whose end was not written down may write it again, as it is.
    for (const { nonce, text } of answers) {
      if (!told.has(nonce)) expect(text, nonce).toBe(firsts.get(nonce)?.text);
    }
    expect(emulator.conversations()).toHaveLength(people);
    // None of a person's messages was sent to the agent twice.
    for (const [conversation, count] of countsOf(emulator.chats().map((chat) => chat.conversationId))) {
      expect(count, conversation).toBeLessThanOrEqual(messages);
    }
    const order = new Map<string, number>();
    for (const { user, nonce } of firsts.values()) {
      const index = Number(nonce.split("-")[1]);
      expect(index, nonce).toBe((order.get(user) ?? 0) + 1);
      order.set(user, index);
    }
  });

  it("tell the agent what a message brought along, also after its process was killed", async () => {
    const bots = await start(2, { leaseTime: 1_000 });
    const opened = emulator.once("conversation");
    const context = { name: "Ada", plan: { level: 2 } };
    await bots.deliver({ ...says("ada", "m1", "hello"), context }, 0);
    await opened; // The service has not answered yet, so the agent has not been asked.
    await bots.kill(0);
    await bots.answered(["m1"]);
    const [chat, ...others] = emulator.chats();
    expect(others).toEqual([]);
    expect(chat).toMatchObject({
      parameters: context,
      customVariables: { name: "Ada", plan: '{"level":2}' },
    });
  });

  it("sign one token when all of them need the same one at once", async () => {
    const url = await store();
    copies = await Copies.start({ count: 4, store: url, agent: emulator });
    const bots = copies;
    const speaker = { platform: "chat", tenant: "acme", user: "ada" };
    const { conversationId } = await bots.resolve(speaker, 0);
    // The conversation is known, and no process has a token.
    await bots.kill(0);
    await bots.startOne(0);
    const { records, close } = await openStore(url);
    for await (const [key] of records.entries("token:")) await records.delete(key);
    await close();
    const asked = Array.from({ length: 40 }, (_, index) => bots.resolve(speaker, index));
    const mappings = await Promise.all(asked);
    expect(new Set(mappings.map((mapping) => mapping.conversationId))).toEqual(new Set([conversationId]));
    expect(new Set(mappings.map(({ accessToken }) => accessToken)).size).toBe(1);
    expect(emulator.signatures).toBe(2);
  });

  it("let a frozen process that wakes up send and write nothing", async () => {
    const bots = await start(2, { leaseTime: 3_000 });
    await bots.deliver(says("ada", "hello", "hello"), 0);
    await bots.until(() => bots.replies.length === 1);
    const began = emulator.once("chat");
    await bots.deliver(says("ada", "slow", "slow: 40 one two three four five six seven eight nine ten"), 0);
    const { id } = await began;
    await bots.until(() => bots.posts.some(({ nonce }) => nonce === "slow"));
    const frozen = bots.processes[0];
    frozen?.kill("SIGSTOP");
    await bots.until(() => bots.replies.length === 2);
    expect(bots.replies[1]).toMatchObject({ nonce: "slow", pid: bots.processes[1]?.pid });
    expect(bots.replies[1]?.text).toContain("one two three four");
    const posts = bots.posts.length;
    frozen?.kill("SIGCONT");
    // It is awake, and at the store again, when it answers somebody else.
    const isAnswered = (nonce: string) =>
      bots.replies.some((post) => post.nonce === nonce && post.text?.includes("Turn"));
    while (!bots.replies.some(({ pid, text }) => pid === frozen?.pid && text?.includes("hello from bob"))) {
      const before = bots.replies.length;
      await bots.deliver(says("bob", `bob-${before}`, "hello from bob"), 0);
      await bots.until(() => bots.replies.length > before);
    }
    await bots.deliver(says("ada", "after", "What do you know of me?"), 1);
    await bots.until(() => isAnswered("after"));
    const since = bots.posts.slice(posts).map(({ nonce }) => nonce);
    expect(since.filter((nonce) => nonce === "slow")).toEqual([]);
    // Three of Ada's, each once, in one conversation.
    const { conversationId } = emulator.chats().find((chat) => chat.id === id) ?? {};
    expect(emulator.chats().filter((chat) => chat.conversationId === conversationId)).toHaveLength(3);
    expect(emulator.conversations()).toHaveLength(2);
  });

  it("end in order when one is told to stop amid 100 running turns, and hand over what waits", async () => {
    const bots = await start(2, patient);
    const people = Array.from({ length: 100 }, (_, index) => `u${index}`);
    await Promise.all(
      people.map((user) => bots.deliver(says(user, `${user}-1`, "slow: 30 one two three four five"), 0)),
    );
    await Promise.all(people.map((user) => bots.deliver(says(user, `${user}-2`, "and then?"), 0)));
    await bots.until(() => new Set(bots.posts.map(({ user }) => user)).size === people.length);
    expect(await bots.terminate(0)).toBe(0);
    await bots.until(() => bots.replies.length >= 200);
    expectAllInOrder(bots, 100, 2);
    expect(bots.replies.filter(({ text }) => text?.includes("["))).toEqual([]);
    expect(emulator.chats()).toHaveLength(200);
  });

  it("lose nothing when the clock of one is an hour ahead, and of another an hour behind", async () => {
    const bots = await start(2, patient);
    const shifted = (hours: number) =>
      `--import=data:text/javascript,${encodeURIComponent(`
        const RealDate = Date;
        const shift = ${hours * 3_600_000};
        globalThis.Date = class extends RealDate {
          constructor(...args) { super(...(args.length === 0 ? [RealDate.now() + shift] : args)); }
          static now() { return RealDate.now() + shift; }
        };`)}`;
    await bots.startOne(2, shifted(1));
    await bots.startOne(3, shifted(-1));
    await crowd(bots, 40, 5);
    expectAllInOrder(bots, 40, 5);
    expect(bots.replies.filter(({ text }) => text?.includes("["))).toEqual([]);
    expect(emulator.conversations()).toHaveLength(40);
    expect(emulator.chats()).toHaveLength(200);
  });

  it("interrupt a turn of another process, at the service too", async () => {
    const bots = await start(2, { ...patient, overlap: "interrupt" });
    const began = emulator.once("chat");
    await bots.deliver(says("ada", "one", "slow: 5000 one two three four five six seven eight nine ten"), 0);
    const { id } = await began;
    await bots.until(() => bots.posts.length === 1);
    await bots.deliver(says("ada", "two", "never mind"), 1);
    await bots.until(() => bots.replies.some(({ nonce }) => nonce === "two"));
    expect(emulator.chats().find((chat) => chat.id === id)?.status).toBe("canceled");
    expect(bots.replies.find(({ nonce }) => nonce === "two")).toMatchObject({
      text: expect.stringContaining("never mind"),
      pid: bots.processes[1]?.pid,
    });
  });

  it("merge what waits, in whatever process it waits", async () => {
    const bots = await start(2, { ...patient, overlap: "merge" });
    await bots.deliver(says("ada", "one", "slow: 50 one two three four five"), 0);
    const ids = ["two", "three", "four"];
    for (const [index, id] of ids.entries()) await bots.deliver(says("ada", id, `word-${id}`), index);
    await bots.until(() => bots.replies.some(({ nonce }) => nonce === "four"));
    const last = bots.replies.at(-1)?.text ?? "";
    for (const id of ids) expect(last).toContain(`word-${id}`);
    expect(emulator.chats()).toHaveLength(2);
  });

  it("reject what may not wait, whichever process runs the turn", async () => {
    const bots = await start(2, { ...patient, overlap: "reject" });
    const began = emulator.once("chat");
    await bots.deliver(says("ada", "one", "slow: 50 one two three four five"), 0);
    await began;
    expect(await bots.deliver(says("ada", "two", "hello?"), 1)).toBe(false);
    await bots.until(() => bots.replies.length === 2);
    expect(bots.replies[0]).toMatchObject({ nonce: "two", text: "[busy]" });
    expect(emulator.chats()).toHaveLength(1);
  });
}
