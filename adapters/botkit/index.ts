import { AparteError, type Message, type SessionMapper, type Speaker } from "aparte";
import { type Adapter, cut, deliverPosts, failureText, optionInvalid } from "aparte/adapter";
import type { Botkit, BotkitMessage, BotkitPlugin, BotWorker } from "botkit";
import { type Controller, isWebAdapter } from "./controller.ts";
import { filesOf, loadFile } from "./files.ts";
import { type Failed, guardController, guardDialog, guardRequests, guardSends } from "./guard.ts";
import { withoutMentions } from "./mentions.ts";
import { type BotkitOptions, type BotkitSettings, checkOptions } from "./options.ts";
import { isBareMention, isSaid } from "./said.ts";
import { type OpenTurn, type ReplyAddress, senderFor } from "./sender.ts";
import { answerOf, eventId, getSession, giveSession, hasSession } from "./session.ts";
import { platform, speakerOf } from "./speaker.ts";
import { WebGate } from "./web.ts";

export type { BotkitOptions } from "./options.ts";
export { agentSays, type BotkitSession, getSession } from "./session.ts";

/** What `controller.plugins.aparte` offers. */
export interface BotkitExtension {
  readonly mapper: SessionMapper;
  readonly getSession: typeof getSession;
}

/**
 * A plugin for Botkit 4.15: `controller.usePlugin(botkit(mapper))`. Each person has a session of their own with the
 * agent, in handlers and dialogs too ({@link getSession}); the agent answers by itself as `options.answer` says.
 *
 * A speaker's platform is `"botkit"`. The tenant is the activity's channel with the team, `"web"` for the Web adapter;
 * the user is `from.id` (where clients choose that by themselves, `conversation.id`), the channel `conversation.id`, the
 * thread Slack's `thread_ts`. Several controllers on one mapper have a `bot` each.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`; by `usePlugin`, when the controller has
 * the Web adapter and `authenticate` is missing.
 */
export function botkit(
  mapper: SessionMapper,
  options: BotkitOptions = {},
): (controller: Botkit) => BotkitPlugin {
  const settings = checkOptions(options);
  return (controller) => plugin(mapper, settings, controller as unknown as Controller);
}

/** The names of the bots that a mapper serves. */
const bots = new WeakMap<SessionMapper, Set<string>>();

/** @throws {AparteError} `option-invalid` where another controller has the name: their answers would be mixed up */
function claimName(mapper: SessionMapper, name: string): void {
  const names = bots.get(mapper) ?? new Set();
  if (names.has(name))
    throw optionInvalid(
      "bot",
      "must name this controller's bot: another controller on this mapper has the same",
    );
  bots.set(mapper, names.add(name));
}

function plugin(mapper: SessionMapper, settings: BotkitSettings, controller: Controller): BotkitPlugin {
  const { answer, authenticate, drafts, onError, speaker, maxLength, editInterval } = settings;
  const failed: Failed = (error, bot, message) => {
    onError(error);
    if (bot === undefined || message === undefined || !hasSession(message)) return;
    const texts = mapper.texts(getSession(message).speaker);
    bot.reply(message, failureText(error, texts)).catch(onError);
  };
  const { adapter } = controller;
  const gate = isWebAdapter(adapter) ? webGate(authenticate, failed) : undefined;
  claimName(mapper, settings.bot ?? "");
  guardRequests(adapter, failed);
  gate?.guardRequests(adapter);
  guardController(controller, failed);

  /** By person and event, while Botkit waits. */
  const open = new Map<string, OpenTurn & { delivered?: Promise<void> }>();
  const aparte: Adapter<ReplyAddress> = {
    platform,
    ...(settings.bot === undefined ? {} : { bot: settings.bot }),
    // A request or a socket that is gone does not come back.
    failure: (error) => ({ passes: !(error instanceof AparteError && error.code === "answer-lost") }),
    deliver: (message, delivery) => {
      const turn = open.get(turnKey(message));
      const delivered = senderFor(controller, message, turn, drafts, delivery.texts).then((sender) =>
        deliverPosts(delivery, { ...sender, maxLength, editInterval }),
      );
      if (turn !== undefined) turn.delivered = delivered;
      return delivered;
    },
    loadFile: (ref, signal) => loadFile(ref, settings, signal),
  };

  /** @throws {AparteError} `input-invalid` where this controller could not deliver what the speaker is answered */
  function named(who: Speaker): Speaker {
    const speaker = settings.bot === undefined ? who : { bot: settings.bot, ...who };
    const isOwn = speaker.platform === platform && speaker.bot === settings.bot;
    if (isOwn || answer === "none") return speaker;
    throw new AparteError("input-invalid", "The option `speaker` names another platform or bot than this.", {
      field: "speaker",
    });
  }

  async function ask(bot: BotWorker, message: BotkitMessage): Promise<void> {
    if (!hasSession(message)) return;
    const { speaker: who } = getSession(message);
    if (isBareMention(message)) await bot.reply(message, mapper.texts(who)("bare-mention"));
    if (!isSaid(message)) return;
    const answer = await answerOf(message);
    if (answer !== undefined) {
      for (const part of cut(answer, settings.maxLength)) await bot.reply(message, part);
      return;
    }
    const said: Message = {
      ...who,
      id: eventId(message),
      text: message.text ?? "",
      files: filesOf(message, settings),
      replyTo: { reference: JSON.parse(JSON.stringify(message.reference)) },
    };
    const key = turnKey(said);
    const turn: OpenTurn & { delivered?: Promise<void> } = { bot, message };
    // Botkit's HTTP requests are answered at the end of the turn: so it waits.
    const waits = message.incoming_message.channelId === "webhook" && !open.has(key);
    if (waits) open.set(key, turn);
    try {
      await mapper.receive(said);
    } catch {
      // Told to the person through `deliver`, and logged by the mapper.
    }
    await turn.delivered?.catch(() => {});
    if (waits) open.delete(key);
  }

  if (answer === "unheard") {
    const { trigger } = controller;
    controller.trigger = async (event, bot, message) => {
      const result = await trigger.call(controller, event, bot, message);
      const isHeard = (controller._events[event]?.length ?? 0) > 0;
      if (bot !== undefined && message?.type === event && !isHeard) await ask(bot, message);
      return result;
    };
  }
  controller.ready(() => {
    gate?.guardSockets(adapter);
    mapper.connect(aparte);
  });
  controller.addPluginExtension("aparte", { mapper, getSession } satisfies BotkitExtension);
  return {
    name: "aparte",
    middlewares: {
      spawn: [guardSends(controller)],
      // Before all others that know the message: a running dialog ends the turn before the later ones. With two
      // parameters, since Botkit would not see that a middleware with three has thrown.
      ingest: [
        async (bot: BotWorker, message: BotkitMessage) => {
          const words = withoutMentions(message.incoming_message);
          if (words !== undefined) message.text = words;
          const who = speaker?.(message) ?? speakerOf(message, gate?.user, settings.trustedChannels);
          if (who !== undefined) giveSession(message, named(who), mapper, filesOf(message, settings));
          guardDialog(bot, message, failed);
        },
      ],
      interpret: answer === "all" ? [ask] : [],
    },
  };
}

/** Ids of events are the clients' own: two people may have the same. */
function turnKey({ tenant, user, id }: Pick<Message, "tenant" | "user" | "id">): string {
  return JSON.stringify([tenant, user, id]);
}

function webGate(authenticate: BotkitSettings["authenticate"], failed: Failed): WebGate {
  if (authenticate === undefined) {
    throw optionInvalid(
      "authenticate",
      "is missing: clients of Botkit's Web adapter may claim to be anybody",
    );
  }
  return new WebGate(authenticate, failed);
}
