import type { MapperOptions } from "aparte";
import { describe, expect, it } from "vitest";
import type { SlackServer } from "../../fakes/slack-server.ts";
import { settled as atRest, TestClock } from "../../support/test-clock.ts";
import { cut, TestStore } from "../../support/test-store.ts";
import { backend, Speech } from "../agent.ts";
import { shows, startBot, startServer } from "./bot.ts";

/** Time that passes for the mappers while their calls of Slack take none. */
class Time {
  readonly clock = new TestClock();
  readonly store = new TestStore(this.clock);
  readonly #underWay = new Set<Promise<unknown>>();

  /** A process on this clock. */
  bot(server: SlackServer, name: string, options: Partial<MapperOptions> = {}) {
    const view = this.store.view({ durable: true });
    const counted = (...call: Parameters<typeof fetch>) => {
      const answered = fetch(...call);
      this.#underWay.add(answered);
      const end = () => this.#underWay.delete(answered);
      answered.then(end, end);
      return answered;
    };
    const started = startBot(server, {
      ...{ store: view, mapper: { clock: this.clock, leaseTime: 10_000, ...options } },
      app: {
        clientOptions: {
          ...{ slackApiUrl: server.apiUrl, retryConfig: { retries: 0 } },
          ...{ fetch: counted, headers: { "x-process": name } },
        },
      },
    });
    return started.then((bot) => ({ ...bot, view }));
  }

  async pass(seconds: number, until: () => unknown = () => false): Promise<void> {
    for (let second = 0; second < seconds && !until(); second += 1) {
      await this.clock.pass(1_000);
      await atRest();
      while (this.#underWay.size > 0) {
        await Promise.allSettled(this.#underWay);
        await atRest();
      }
    }
  }
}

const said = (server: SlackServer) => server.shown().map(({ shown }) => shown);

describe("when Slack is away in mid-answer", () => {
  it.each([
    [20, "a thread", "C1"],
    [120, "a thread", "C1"],
    [120, "a direct message", "D1"],
    [600, "a thread", "C1"],
    [600, "a direct message", "D1"],
  ])(
    "for %i s, the answer in %s stands there afterwards, once, before the next one",
    async (seconds, _, channel) => {
      const server = await startServer();
      const time = new Time();
      const speeches = [new Speech(), new Speech()];
      const asked: string[] = [];
      const bot = await time.bot(server, "1", {
        agents: {
          helper: backend((turn, memory) => {
            asked.push(turn.text);
            return (speeches[asked.length - 1] ?? new Speech()).answer(turn, memory);
          }),
        },
      });
      const text = (words: string) => (channel === "C1" ? `<@${server.botUserId}> ${words}` : words);
      const thread = channel === "C1" ? { thread: "1789.5" } : {};
      await server.say("U1", text("one"), { channel, ...thread });
      speeches[0]?.say("One. ");
      await shows(server, "One. ");
      server.faultOf = ({ method }) => ({ method, status: 503 });
      speeches[0]?.say("Two. ");
      await server.until(() => server.calls.some(({ result }) => result === "503"));
      speeches[0]?.say("Three.");
      speeches[0]?.end();
      await server.say("U1", text("two"), { channel, ...thread });
      await time.pass(seconds);
      expect(said(server)).toEqual(["One. "]);
      server.faultOf = () => undefined;
      await time.pass(60, () => said(server)[0] === "One. Two. Three.");
      await shows(server, "One. Two. Three.");
      speeches[1]?.say("Next.");
      speeches[1]?.end();
      await shows(server, "Next.");
      await bot.mapper.close();
      expect(said(server)).toEqual(["One. Two. Three.", "Next."]);
      expect(server.shown().some(({ isStreaming }) => isStreaming)).toBe(false);
      expect(asked).toEqual(["one", "two"]);
    },
  );

  it.each([
    ["a thread", "C1"],
    ["a direct message", "D1"],
  ])(
    "for ten minutes, and the process dies in it, another one shows the answer in %s, once",
    async (_, channel) => {
      const server = await startServer();
      const time = new Time();
      const speech = new Speech();
      let asked = 0;
      const helper = backend((turn, memory) => {
        asked += 1;
        return speech.answer(turn, memory);
      });
      const first = await time.bot(server, "1", { agents: { helper } });
      const eventsUrl = server.eventsUrl ?? "";
      const second = await time.bot(server, "2", { agents: { helper } });
      await server.say("U1", `<@${server.botUserId}> one`, { channel, eventsUrl });
      speech.say("One. ");
      await shows(server, "One. ");
      server.faultOf = ({ method }) => ({ method, status: 503 });
      speech.say("Two.");
      speech.end();
      await time.pass(300);
      // From here on it reaches neither the store nor Slack.
      first.view.intercept = cut;
      await time.pass(300);
      server.faultOf = ({ method, process }) => (process === "1" ? { method, status: 503 } : undefined);
      await time.pass(90, () => said(server).includes("One. Two."));
      await shows(server, "One. Two.");
      await time.pass(120);
      expect(server.shown()).toMatchObject([{ channel, shown: "One. Two.", isStreaming: false }]);
      expect(asked).toBe(1);
      const closed = [first, second].map(({ mapper }) => mapper.close());
      await time.pass(120);
      await Promise.all(closed);
    },
  );
});
