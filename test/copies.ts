import { type ChildProcess, fork } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import type { MapperOptions, Mapping, Message, Speaker } from "aparte";
import type { CozeEmulator } from "aparte/testing";
import { builtRoot } from "./build.ts";
import { lookAtProcess } from "./support/search.ts";

/** What a copy did on the platform. */
export interface Post {
  readonly user: string;
  /** The event that it answers. */
  readonly nonce: string;
  /** The whole reply; missing while it is a draft. */
  readonly text?: string;
  /** Whether it tells the person to send the message again. */
  readonly isTold?: boolean;
  /** Of the process. */
  readonly pid: number;
  /** Of the message on the platform; missing when it is a new one. */
  readonly id?: string;
}

export interface CopiesOptions {
  readonly count: number;
  readonly store: string;
  readonly agent: CozeEmulator;
  readonly options?: Partial<MapperOptions>;
}

/** What a copy answers. */
interface Told {
  readonly taken?: boolean;
  readonly session?: Mapping;
}

/** How long is waited for what must happen, in milliseconds. */
const patienceMs = 120_000;

/** Several processes of one bot, and the chat platform that they serve. */
export class Copies {
  readonly processes: ChildProcess[] = [];
  /** All that was posted, in order. */
  readonly posts: Post[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #options: CopiesOptions;
  readonly #server: Server;
  readonly #ids = new Map<string, string>();
  readonly #answered = new Set<string>();
  #number = 0;

  static async start(options: CopiesOptions): Promise<Copies> {
    const copies = new Copies(options);
    copies.#server.listen(0, "127.0.0.1");
    await once(copies.#server, "listening");
    try {
      await Promise.all(Array.from({ length: options.count }, (_, index) => copies.startOne(index)));
      return copies;
    } catch (error) {
      await copies.close();
      throw error;
    }
  }

  private constructor(options: CopiesOptions) {
    this.#options = options;
    this.#server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      let text = "";
      request.setEncoding("utf8");
      request.on("data", (part) => {
        text += part;
      });
      // Stored when it was received whole, whether the answer is read or not: as on a platform.
      request.on("end", () => response.end(JSON.stringify({ id: this.#store(JSON.parse(text) as Post) })));
    });
  }

  #store(post: Post): string {
    // As on Discord: a second post with the same nonce is the first one.
    const id = post.id ?? this.#ids.get(post.nonce) ?? `p${this.#ids.size}`;
    this.#ids.set(post.nonce, id);
    this.posts.push(post);
    if (post.text !== undefined) {
      this.#answered.add(post.nonce);
      this.#events.emit(`reply ${post.nonce}`);
    }
    this.#events.emit("news");
    return id;
  }

  /** @param nodeOptions of the process's command line */
  async startOne(index: number, ...nodeOptions: string[]): Promise<void> {
    const { store, agent, options } = this.#options;
    const { appId, keyId, privateKey, botId, baseURL } = agent;
    const address = this.#server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const settings = {
      ...{ root: await builtRoot(), store, options, platformUrl: `http://127.0.0.1:${port}` },
      agent: { appId, keyId, privateKey, botId, baseURL },
    };
    const child = fork(fileURLToPath(new URL("processes/bot.mjs", import.meta.url)), {
      env: { ...process.env, SETTINGS: JSON.stringify(settings) },
      ...{ execArgv: nodeOptions, silent: true },
    });
    lookAtProcess(child);
    child.setMaxListeners(0);
    this.processes[index] = child;
    child.on("message", (told: { number?: number }) => this.#events.emit(`answer ${told.number}`, told));
    const died = once(child, "exit").then(() =>
      Promise.reject(new Error("A copy ended before it was ready.")),
    );
    await Promise.race([once(child, "message"), died]);
    died.catch(() => {}); // Later, its end is the test's own doing.
  }

  /**
   * Delivers an event to one of the copies, as a platform does: again, to another one, until one has taken it.
   * @param index the first copy to get it
   * @returns whether it is answered: false if it had been taken before
   */
  async deliver(message: Message, index: number): Promise<boolean> {
    for (let copy = index; ; copy += 1) {
      const answer = await this.#send(copy % this.processes.length, { message });
      if (answer?.taken !== undefined) return answer.taken;
    }
  }

  /** Asks one of the copies for a session's names and token. */
  async resolve(speaker: Speaker, index: number): Promise<Mapping> {
    const { session } = (await this.#send(index % this.processes.length, { speaker })) ?? {};
    if (session === undefined) throw new Error("The copy has no such session.");
    return session;
  }

  /** Undefined if the process died before it answered. */
  async #send(index: number, asked: { message: Message } | { speaker: Speaker }): Promise<Told | undefined> {
    const child = this.processes[index];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null || !child.connected) {
      // It is being started again; others are there.
      await new Promise((resolve) => setImmediate(resolve));
      return undefined;
    }
    this.#number += 1;
    const number = this.#number;
    const answered = new Promise<Told | undefined>((resolve) => {
      const done = (answer: Told | undefined) => {
        child.off("exit", died);
        this.#events.off(`answer ${number}`, done);
        resolve(answer);
      };
      const died = () => done(undefined);
      child.once("exit", died);
      this.#events.once(`answer ${number}`, done);
    });
    child.send({ number, ...asked }, () => {}); // One that is killed meanwhile takes nothing.
    return answered;
  }

  /** The whole replies, in the order in which they were posted. */
  get replies(): Post[] {
    return this.posts.filter(({ text }) => text !== undefined);
  }

  /** Waits until something is so; asked whenever something was posted. */
  async until(isSo: () => boolean): Promise<void> {
    const over = AbortSignal.timeout(patienceMs);
    while (!isSo()) {
      await once(this.#events, "news", { signal: over }).catch(() => {
        const last = JSON.stringify(this.posts.slice(-10));
        throw new Error(`In vain waited for posts. There are ${this.posts.length}, the last ones: ${last}`);
      });
    }
  }

  /** Waits until each of these events has a whole reply. */
  async answered(nonces: readonly string[]): Promise<void> {
    for (const nonce of nonces) {
      if (!this.#answered.has(nonce)) await once(this.#events, `reply ${nonce}`);
    }
  }

  async kill(index: number): Promise<void> {
    const child = this.processes[index];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Ends a copy as a deployment does. @returns its exit code */
  async terminate(index: number): Promise<unknown> {
    const child = this.processes[index];
    if (child === undefined) throw new Error("There is no such process.");
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    const [code] = await exit;
    return code;
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((_, index) => this.kill(index)));
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
