import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { BotkitMessage, BotWorker } from "botkit";
import { describe, expect, it, onTestFinished } from "vitest";
import type { BotkitAdapter, Controller } from "../../../adapters/botkit/controller.ts";
import { guardController, guardDialog, guardRequests, guardSends } from "../../../adapters/botkit/guard.ts";

const away = new Error("away");
const message = { type: "message" } as BotkitMessage;

/** Who was told of what. */
function told() {
  const calls: unknown[][] = [];
  return { calls, failed: (...call: unknown[]) => void calls.push(call) };
}

describe("Botkit is kept", () => {
  const bot = {} as BotWorker;

  /** A controller whose every part does this. */
  const controllerThat = (run: (this: unknown, ...given: unknown[]) => Promise<unknown>) => {
    const parts = { listenForInterrupts: run, listenForTriggers: run, processTriggersAndEvents: run };
    return { ...parts, trigger: run, saveState: run } as unknown as Controller;
  };

  it("from what its handlers, dialogs and storage throw: it is told with its turn, and the message is taken", async () => {
    const { calls, failed } = told();
    const controller = controllerThat(async () => {
      throw away;
    });
    guardController(controller, failed);
    expect(await controller.listenForInterrupts(bot, message)).toBe(true);
    expect(await controller.listenForTriggers(bot, message)).toBe(true);
    expect(await controller.processTriggersAndEvents(bot, message)).toBeUndefined();
    expect(await controller.trigger("hello", bot, message)).toBeUndefined();
    await controller.saveState(bot);
    const inTurn = [away, bot, message];
    expect(calls).toEqual([inTurn, inTurn, inTurn, inTurn, [away, bot, undefined]]);
  });

  it("as it is where nothing throws", async () => {
    const { calls, failed } = told();
    const ran: unknown[] = [];
    const controller = controllerThat(async function (...given) {
      ran.push([this === controller, ...given]);
      return false;
    });
    guardController(controller, failed);
    expect(await controller.listenForInterrupts(bot, message)).toBe(false);
    expect(await controller.listenForTriggers(bot, message)).toBe(false);
    expect(await controller.processTriggersAndEvents(bot, message)).toBe(false);
    expect(await controller.trigger("hello", bot, message)).toBe(false);
    await controller.saveState(bot);
    const inTurn = [true, bot, message];
    expect(ran).toEqual([inTurn, inTurn, inTurn, [true, "hello", bot, message], [true, bot]]);
    expect(calls).toEqual([]);
  });

  it("from waiting for what its adapter cannot send", async () => {
    const sent: unknown[] = [];
    const context = {
      sendActivity: async (activity: { text: string }) => {
        sent.push(activity);
        if (activity.text === "formatted refused") throw away;
        return { id: "m1" };
      },
    };
    const worker = {
      ensureMessageFormat: (text: string) => ({ text }),
      getConfig: (name: string) => (name === "context" ? context : undefined),
    } as unknown as BotWorker;
    const middleware = new Error("a middleware's");
    const send = {
      run: (by: BotWorker, { text = "" }: { text?: string }, done: (...how: unknown[]) => void) =>
        done(text === "stopped" ? middleware : undefined, by, { text: `formatted ${text}` }),
    };
    guardSends({ middleware: { send } } as unknown as Controller)(worker);
    const said = worker.say("hello");
    expect(sent).toEqual([{ text: "formatted hello" }]);
    expect(await said).toEqual({ id: "m1" });
    await expect(worker.say("refused")).rejects.toBe(away);
    await expect(worker.say("stopped")).rejects.toBe(middleware);
    expect(sent).toHaveLength(2);
  });

  it("from what a running dialog throws", async () => {
    const { calls, failed } = told();
    let isAway = false;
    const dialogs = {
      status: "waiting",
      async continueDialog() {
        if (isAway) throw away;
        return { status: this.status };
      },
    };
    const worker = {
      getConfig: (name: string) => (name === "dialogContext" ? dialogs : undefined),
    } as unknown as BotWorker;
    guardDialog(worker, message, failed);
    expect(await dialogs.continueDialog()).toEqual({ status: "waiting" });
    isAway = true;
    expect(await dialogs.continueDialog()).toBeUndefined();
    expect(calls).toEqual([[away, worker, message]]);
    guardDialog({ getConfig: () => undefined } as unknown as BotWorker, message, failed);
  });

  it.each([
    ["which nobody answered", undefined, "500 "],
    ["which its adapter answered in part", 403, "403 no"],
  ])("from leaving a request open whose turn throws, %s", async (_, status, answer) => {
    const { calls, failed } = told();
    const given: unknown[] = [];
    const adapter: BotkitAdapter = {
      async processActivity(_request, response, logic) {
        given.push(this === adapter, logic);
        if (status !== undefined) response.writeHead(status).write("no");
        throw away;
      },
    };
    guardRequests(adapter, failed);
    const server = createServer(
      (request, response) => void adapter.processActivity?.(request, response, "turn"),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(`${response.status} ${await response.text()}`).toBe(answer);
    expect(calls).toEqual([[away]]);
    expect(given).toEqual([true, "turn"]);
  });

  it("without requests, where its adapter takes none", () => {
    const adapter: BotkitAdapter = {};
    guardRequests(adapter, () => {});
    expect(adapter).toEqual({});
  });
});
