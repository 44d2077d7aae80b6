import type { TurnContext } from "botbuilder";
import type { BotkitMessage, BotWorker } from "botkit";
import type { BotkitAdapter, Controller, Request, Response } from "./controller.ts";

/** @param bot of the turn in which it failed, where there is one */
export type Failed = (error: unknown, bot?: BotWorker, message?: BotkitMessage) => void;

/**
 * Keeps what handlers, dialogs and the storage throw from ending the process. Botkit runs them in callbacks whose
 * rejection nobody handles, and whose turn then never ends.
 * https://github.com/howdyai/botkit/blob/v4.15.0/packages/botkit/src/core.ts (handleTurn)
 */
export function guardController(controller: Controller, failed: Failed): void {
  const { listenForInterrupts, listenForTriggers, processTriggersAndEvents, trigger, saveState } = controller;
  const caught = async (
    run: Promise<unknown>,
    bot?: BotWorker,
    message?: BotkitMessage,
    instead?: unknown,
  ) => {
    try {
      return await run;
    } catch (error) {
      failed(error, bot, message);
      return instead;
    }
  };
  // What threw had taken the message: nothing else answers it.
  controller.listenForInterrupts = (bot, message) =>
    caught(listenForInterrupts.call(controller, bot, message), bot, message, true);
  controller.listenForTriggers = (bot, message) =>
    caught(listenForTriggers.call(controller, bot, message), bot, message, true);
  controller.processTriggersAndEvents = (bot, message) =>
    caught(processTriggersAndEvents.call(controller, bot, message), bot, message);
  controller.trigger = (event, bot, message) =>
    caught(trigger.call(controller, event, bot, message), bot, message);
  controller.saveState = async (bot) => {
    await caught(saveState.call(controller, bot), bot);
  };
}

/**
 * Lets `bot.say` and `bot.reply` reject where the adapter cannot send. In Botkit they never end then, and the
 * rejection is left to nobody, which ends the process.
 * https://github.com/howdyai/botkit/blob/v4.15.0/packages/botkit/src/botworker.ts (say)
 */
export function guardSends(controller: Controller): (bot: BotWorker) => void {
  return (bot) => {
    bot.say = (message) =>
      new Promise((resolve, reject) => {
        const activity = bot.ensureMessageFormat(message);
        controller.middleware.send.run(bot, activity, (error, _bot, formatted) => {
          if (error) reject(error);
          else (bot.getConfig("context") as TurnContext).sendActivity(formatted).then(resolve, reject);
        });
      });
  };
}

/** The same for the dialog that a turn goes on with. */
export function guardDialog(bot: BotWorker, message: BotkitMessage, failed: Failed): void {
  const dialogs = bot.getConfig("dialogContext") as { continueDialog(): Promise<unknown> } | undefined;
  if (dialogs === undefined) return;
  const continueDialog = dialogs.continueDialog.bind(dialogs);
  dialogs.continueDialog = async () => {
    try {
      return await continueDialog();
    } catch (error) {
      failed(error, bot, message);
      return undefined;
    }
  };
}

/** Answers an HTTP request whose turn fails: Botkit throws once more, where nobody catches it. */
export function guardRequests(adapter: BotkitAdapter, failed: Failed): void {
  const { processActivity } = adapter;
  if (processActivity === undefined) return;
  adapter.processActivity = async (request: Request, response: Response, logic: unknown) => {
    try {
      await processActivity.call(adapter, request, response, logic);
    } catch (error) {
      failed(error);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  };
}
