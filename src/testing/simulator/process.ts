import { AparteError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { SessionMapper } from "../../mapper.ts";
import type { Speaker } from "../../speaker/speaker.ts";
import type { Message } from "../../turn/message.ts";
import { type AgentServer, agentCallMs, simulatedBackend } from "./agent.ts";
import { Link, type Server } from "./link.ts";
import { type PlatformServer, platformCallMs, simulatedAdapter } from "./platform.ts";
import { ProcessClock } from "./process-clock.ts";
import { drawn, randomOf } from "./random.ts";
import { leaseMs, type Setting } from "./schedule.ts";
import { StoreLink, type StoreServer } from "./store.ts";
import type { Timeline } from "./timeline.ts";

/** What all processes of a simulation share. */
export interface World {
  readonly timeline: Timeline;
  readonly seed: number;
  readonly setting: Setting;
  readonly store: StoreServer;
  readonly agent: AgentServer;
  readonly platform: PlatformServer;
  readonly logger: (process: number) => Logger;
}

/** How long a message waits for a store that is away, in milliseconds. */
const storeMs = 2_000;

/** How long a process that closes waits for its turns, in milliseconds. */
const drainMs = 4_000;

/** One process: a mapper, with a clock and connections of its own. */
export class SimulatedProcess {
  readonly number: number;
  readonly clock: ProcessClock;
  readonly #store: StoreLink;
  readonly #links: { readonly [S in Server]: Link };
  readonly #mapper: SessionMapper;
  readonly #world: World;
  #isClosing = false;

  /** @param number of all processes that there were */
  constructor(world: World, number: number) {
    const { timeline, seed, setting, store, agent, platform } = world;
    this.number = number;
    this.#world = world;
    const clock = new ProcessClock(timeline, randomOf(drawn(seed, number) * 2 ** 32), 1e6 * drawn(number));
    this.clock = clock;
    this.#store = new StoreLink(store, timeline, clock, [seed, number, 0]);
    this.#links = {
      store: this.#store.link,
      agent: new Link({
        timeline,
        clock,
        server: "agent",
        timeoutMs: agentCallMs,
        seed: [seed, number, 1],
        failure: (isTimeout) =>
          isTimeout
            ? new AparteError("backend-timeout", "The simulated agent did not answer.")
            : new AparteError("backend-unavailable", "The simulated agent refused the connection."),
      }),
      platform: new Link({
        timeline,
        clock,
        server: "platform",
        timeoutMs: platformCallMs,
        seed: [seed, number, 2],
        failure: (isTimeout) => new Error(isTimeout ? "no answer" : "no connection"),
      }),
    };
    this.#mapper = new SessionMapper({
      agents: {
        helper: simulatedBackend(agent, this.#links.agent, clock, {
          recovers: setting.agentRecovers,
          finds: setting.agentRecovers,
        }),
      },
      secret: "a secret for simulations only",
      store: this.#store.store,
      overlap: setting.overlap,
      leaseTime: leaseMs,
      storeTimeout: storeMs,
      turnTimeout: 30_000,
      waitTimeout: 300_000,
      clock,
      logger: world.logger(number),
    });
    if (!setting.isRead) {
      this.#mapper.connect(simulatedAdapter(platform, this.#links.platform, number, setting));
    }
  }

  /** Whether the platform may tell it of messages. */
  get isOpen(): boolean {
    return !this.clock.isDead && !this.#isClosing;
  }

  /** @param told learns whether the process will answer, if it says so; undefined where it failed to take it */
  receive(message: Message, told: (isAccepted: boolean | undefined) => void): void {
    const { timeline } = this.#world;
    this.clock.enter(() => {
      if (!this.isOpen) return;
      const tell = (isAccepted: boolean | undefined) => {
        // What a process says while it dies is not heard.
        if (!this.clock.isDead) timeline.after(1, () => told(isAccepted));
      };
      this.#mapper.receive(message).then(tell, () => tell(undefined));
    });
  }

  /** @param told learns the answer, or why there is none */
  ask(message: Message, told: (answer: string | AparteError) => void): void {
    const { timeline } = this.#world;
    this.clock.enter(() => {
      if (!this.isOpen) return;
      const tell = (answer: string | AparteError) => {
        if (!this.clock.isDead) timeline.after(1, () => told(answer));
      };
      this.#mapper.handle(message).text().then(tell, tell);
    });
  }

  /** @param ended called when it is done, or has failed */
  reset(speaker: Speaker, ended: () => void): void {
    this.clock.enter(() => {
      if (this.isOpen) this.#mapper.reset(speaker).then(ended, ended);
    });
  }

  /** @param ended called when it is done, or has failed */
  stop(speaker: Speaker, ended: () => void): void {
    this.clock.enter(() => {
      if (this.isOpen) this.#mapper.stop(speaker).then(ended, ended);
    });
  }

  link(server: Server): Link {
    return this.#links[server];
  }

  cut(server: Server, ms: number, refuses: boolean): void {
    if (server === "store") this.#store.cut(ms, refuses);
    else this.#links[server].cut(this.#world.timeline.now + ms, refuses);
  }

  crash(): void {
    this.clock.die();
    this.#store.close();
  }

  /** @param closed called when the process has ended */
  close(closed: () => void): void {
    this.#isClosing = true;
    this.clock.enter(() => {
      const end = () => {
        if (this.clock.isDead) return;
        this.crash();
        closed();
      };
      this.#mapper.close({ drainTimeout: drainMs }).then(end, end);
    });
  }
}
