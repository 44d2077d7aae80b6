import { coze } from "aparte/coze";
import { dialogflowCx } from "aparte/dialogflow-cx";
import { sonaops } from "aparte/sonaops";
import { expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { startCozeEmulator } from "../../src/emulators/coze/index.ts";
import { startDialogflowCxEmulator } from "../../src/emulators/dialogflow-cx/index.ts";
import { startSonaopsEmulator } from "../../src/emulators/sonaops/index.ts";
import { AparteError } from "../../src/errors.ts";
import { SessionMapper } from "../../src/mapper.ts";

const turns = Number(process.env.HOSTILE_TURNS ?? 10);
const quiet = { info() {}, warn() {}, error() {} };
const hostile = { seed: 14, share: 0.3 };

interface Service {
  readonly backend: Backend;
  /** Every text that reached the agent, as often as it ran. */
  runs(): readonly string[];
  close(): Promise<void>;
}

const services: Readonly<Record<string, () => Promise<Service>>> = {
  async coze() {
    const emulator = await startCozeEmulator({ hostile });
    const { appId, keyId, privateKey, botId, baseURL } = emulator;
    const timing = {
      pollInterval: 2,
      retryDelay: 1,
      requestTimeout: 2000,
      idleTimeout: 2000,
      waitTimeout: 2000,
    };
    return {
      backend: coze({ appId, keyId, privateKey, botId, baseURL, ...timing }),
      runs: () =>
        emulator
          .conversations()
          .flatMap(({ messages }) =>
            messages.flatMap(({ type, text }) => (type === "question" ? [text] : [])),
          ),
      close: () => emulator.close(),
    };
  },
  async sonaops() {
    const emulator = await startSonaopsEmulator({ hostile, profile: "A" });
    const { apiKey, apiSecret, agentId, baseURL } = emulator;
    const seen: string[] = [];
    const watch = async (): Promise<void> => {
      seen.push((await emulator.nextTurn()).text);
      await watch();
    };
    void watch();
    const timing = {
      retryDelay: 1,
      logger: quiet,
      idleTimeout: 2000,
      requestTimeout: 2000,
      savedTimeout: 50,
    };
    return {
      backend: sonaops({ apiKey, apiSecret, agentId, baseURL, ...timing }),
      runs: () => seen,
      close: () => emulator.close(),
    };
  },
  async "dialogflow-cx"() {
    const emulator = await startDialogflowCxEmulator({ hostile });
    const { agent, credentials, baseURL } = emulator;
    return {
      backend: dialogflowCx({ agent, credentials, baseURL, retryDelay: 1 }),
      runs: () => emulator.turns().map(({ input }) => ("text" in input ? String(input.text) : "")),
      close: () => emulator.close(),
    };
  },
};

it.each(Object.keys(services))(
  "%s runs a turn at most once under a hostile network, and each person hears of it",
  async (name) => {
    const service = await services[name]?.();
    if (service === undefined) throw new Error(name);
    const mapper = new SessionMapper({
      agents: { helper: service.backend },
      secret: "Vq3n8wJ0tZrK5yLx2mHb7cTdQeUaGfSp",
      logger: quiet,
    });
    const told = new Map<string, number>();
    const count = (what: string) => told.set(what, (told.get(what) ?? 0) + 1);
    const person = async (user: number) => {
      for (let turn = 0; turn < turns / 10; turn++) {
        const text = `word ${user} ${turn}`;
        try {
          const answer = await mapper
            .handle({ platform: "p", tenant: "t", user: `u${user}`, id: `${user}-${turn}`, text })
            .text();
          // Whole, once, and nothing beside it.
          const whole = new RegExp(`^Turn \\d+\\. You said: "${text}"\\.( Before that you told me: .*\\.)?$`);
          expect(answer).toMatch(whole);
          count("answered");
        } catch (error) {
          if (!(error instanceof AparteError)) throw error;
          expect(error.say).toMatch(/ref [A-Z0-9]{8}/);
          count(error.code);
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: 10 }, (_, user) => person(user)));
      const runs = service.runs().filter((text) => text.startsWith("word "));
      expect(runs.filter((text, at) => runs.indexOf(text) !== at)).toEqual([]);
      expect([...told.values()].reduce((sum, each) => sum + each, 0)).toBe(Math.floor(turns / 10) * 10);
      expect(told.get("answered") ?? 0).toBeGreaterThan(turns / 4);
      if (process.env.HOSTILE_TURNS !== undefined) console.log(name, runs.length, Object.fromEntries(told));
    } finally {
      await mapper.close();
      await service.close();
    }
  },
  200_000,
);
