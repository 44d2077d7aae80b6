import type { App, Context } from "@slack/bolt";
import type { AparteError, SessionMapper, Speaker } from "aparte";
import { type Adapter, optionInvalid } from "aparte/adapter";
import { acknowledgeRecorded, soon } from "./acknowledge.ts";
import { addressOf, replyAddress } from "./address.ts";
import { SlackClients } from "./clients.ts";
import { Commands } from "./commands.ts";
import { listenToControls } from "./controls.ts";
import { deliver } from "./deliver.ts";
import { rememberEvent } from "./event.ts";
import { codeOf, readFailure } from "./failures.ts";
import { SlackFiles } from "./files.ts";
import { missingScopes } from "./manifest.ts";
import { type Heard, hear, isEcho, readMessage } from "./message.ts";
import { Directory } from "./names.ts";
import { checkOptions, type SlackOptions } from "./options.ts";
import { InOrder } from "./order.ts";
import { OwnListeners } from "./own-listeners.ts";
import { offerPrompts } from "./prompts.ts";
import { listenToRemovals } from "./removals.ts";
import { isStop, Responding } from "./respond.ts";
import { type SessionMiddleware, sessionMiddleware } from "./session.ts";
import { type Place, platform, readPlace, speakerAt } from "./speaker.ts";
import { Workspaces } from "./workspaces.ts";

export type { SlackButton } from "./buttons.ts";
export { eventOf, type SlackMessageEvent } from "./event.ts";
export { slackInstallations } from "./installations.ts";
export { type ManifestOptions, slackManifest } from "./manifest.ts";
export type { Respond, SlackClient, SlackFeedback, SlackOptions } from "./options.ts";
export type { SessionMiddleware, SlackContext, SlackSession } from "./session.ts";
export { type SpeakerOptions, speakerOf } from "./speaker.ts";

/** Answers people on Slack. */
export interface SlackAdapter extends Required<Omit<Adapter, "bot" | "reread">>, Pick<Adapter, "bot"> {
  readonly platform: "slack";
  /**
   * Listens to a Bolt app, over HTTP or in Socket Mode. Slack hears that a message came only when it is recorded, and
   * sends it again if the process dies before; where the store fails, the person is told instead. Leave
   * `processBeforeResponse` out: it makes Slack wait for the app's slowest listener. The app needs the events
   * `app_mention` and `message.im`, and those of the channels where it answers more than mentions. End it in this order: `await app.stop()`, then `mapper.close()`.
   * @throws {AparteError} `option-invalid` when an app is attached already, or the tokens of its workspaces are not known
   */
  attach(app: App): void;
  /** A global middleware: `app.use(adapter.session)` puts the person's session on `context.session` of every listener. */
  readonly session: SessionMiddleware;
}

/** What an attached app lends. */
interface Attached {
  readonly clients: SlackClients;
  readonly workspaces: Workspaces;
  readonly files: SlackFiles;
  readonly directory: Directory;
  readonly warn: (message: string, error: unknown) => void;
}

/** What Bolt hands to a listener, as far as it is read here. */
interface Told {
  readonly body: object;
  readonly context: Context;
}

/**
 * Hands the messages that people send to a bot on Slack to the mapper, and shows the replies as they come.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function slack(mapper: SessionMapper, options: SlackOptions = {}): SlackAdapter {
  const settings = checkOptions(options);
  const { bot, agentView } = settings;
  let attached: Attached | undefined;
  const attachedApp = (): Attached => {
    if (attached !== undefined) return attached;
    throw optionInvalid("app", "is missing: call attach(app) first");
  };
  const speakerIn = async (place: Place) =>
    speakerAt(await attachedApp().directory.completed(place), settings);

  function listenToMessages(app: App, { clients, files, directory }: Attached, commands: Commands): void {
    const responding = new Responding(settings, clients);
    const reading = new InOrder();
    const seen = new WeakSet<object>();
    /** What the app's own listeners may still be called for. */
    const waiting = new WeakMap<object, Told>();
    let isWarned = false;

    const read = async (heard: Heard, botUserId: string | undefined) => {
      if (!(await responding.isForBot(heard, botUserId))) return undefined;
      const place = await directory.completed(heard.place);
      return readMessage({ ...heard, place }, settings, botUserId, { files, directory });
    };
    /** @returns what is still done for the person, and keeps none of their next messages waiting */
    const receive = async (
      heard: Heard,
      { body, context: { botUserId } }: Told,
    ): Promise<{ work?: Promise<void> }> => {
      // Whoever is being answered need not call the bot to stop it.
      const isStopped = isStop(heard.event.text ?? "") && (await stop(await speakerIn(heard.place)));
      if (isStopped) return {};
      const message = await read(heard, botUserId);
      if (message === undefined) return {};
      if (isStop(message.text) && (isEcho(heard) || (await stop(message)))) return {};
      const work = settings.command === false ? undefined : commands.obey(message, heard);
      if (work !== undefined) return { work };
      rememberEvent(message, heard.event);
      await mapper.receive(message, { comesAgain: true }).catch((error: AparteError) => {
        if (error.code === "closed") acknowledgements.leave(body);
        // What else goes wrong here was logged by the mapper, and told to the person through `deliver`.
      });
      return {};
    };
    /** Where the store is away, the person is told when the word is taken for a message. */
    const stop = (speaker: Speaker) => mapper.stop(speaker).catch(() => false);
    const take = async (told: Told) => {
      const heard = hear(told.body, told.context.botUserId, agentView);
      if (heard === undefined) return;
      const { channel, user } = heard.event;
      // Reading may ask Slack for names, and people's messages keep their order.
      const { work } = await reading.run(`${channel} ${user}`, () => receive(heard, told));
      await soon(work);
    };
    const acknowledgements = acknowledgeRecorded(app, async (body) => {
      const told = waiting.get(body);
      if (told !== undefined) await takeUnheard(told);
      // What the bot says itself comes back as a message, which Bolt keeps from all listeners.
      const heard = seen.has(body) ? undefined : hear(body, undefined, agentView);
      if (heard === undefined || isWarned) return;
      isWarned = true;
      app.logger.warn(
        "aparte was not given a message: `app.assistant(…)` keeps those of its threads to itself, and so does " +
          "a global middleware that does not call next().",
      );
    });
    const takeUnheard = async (told: Told) => {
      const heard = hear(told.body, told.context.botUserId, agentView);
      if (own === undefined || heard === undefined) return;
      // Of a mention's two events one is taken.
      if (isEcho(heard)) own.echoed(told.body);
      else if (!(await own.took(told.body, heard.event.type === "app_mention"))) await take(told);
    };
    const listen = async (told: Told) => {
      seen.add(told.body);
      if (settings.answer === "unheard") waiting.set(told.body, told);
      else await take(told).finally(() => acknowledgements.recorded(told.body));
    };
    app.event("app_mention", listen);
    app.event("message", listen);
    // Only from here on: the listeners above are none of the app's own.
    const own =
      settings.answer === "unheard"
        ? new OwnListeners(app, (body) => void acknowledgements.recorded(body))
        : undefined;
  }

  const speakerOf = async (body: object) => {
    const place = readPlace(body, agentView);
    if (place === undefined) return undefined;
    return attached === undefined ? speakerAt(place, settings) : speakerIn(place);
  };

  const adapter: SlackAdapter = {
    platform,
    ...(bot === undefined ? {} : { bot }),
    attach(app) {
      if (attached !== undefined) throw optionInvalid("app", "is set already: one adapter serves one app");
      const clients = new SlackClients(app, settings);
      const files = new SlackFiles(clients, settings);
      const directory = new Directory(clients);
      const warn = (message: string, error: unknown) =>
        app.logger.warn(`aparte: ${message} (${codeOf(error)})`);
      attached = { clients, workspaces: new Workspaces(settings, mapper.rates), files, directory, warn };
      mapper.connect(adapter);
      if (app.client.token !== undefined) void checkScopes(app, clients, settings.command);
      const commands = new Commands({ mapper, clients, agentView, speakerOf });
      listenToControls(app, mapper, settings, commands);
      if (settings.command !== false) commands.listen(app, settings.command);
      listenToRemovals(app, mapper, settings);
      if (settings.answer !== "none") warnOfWaiting(app);
      if (settings.prompts.length > 0) offerPrompts(app, settings.prompts);
      if (settings.answer !== "none") listenToMessages(app, attached, commands);
    },
    session: sessionMiddleware(mapper, speakerOf),
    deliver: async (message, delivery) => {
      const { clients, workspaces, warn } = attachedApp();
      const address = replyAddress(message);
      const workspace = workspaces.get(address.workspace);
      await deliver({
        ...{ delivery, message, address, settings, workspace, warn },
        clients: await clients.of(address),
      });
    },
    address: addressOf,
    failure: readFailure,
    loadFile: async (ref, signal) => attachedApp().files.load(ref, signal),
  };
  return adapter;
}

/** Says which scopes the token lacks, as Slack tells with any answer. */
async function checkScopes(app: App, clients: SlackClients, command: string | false): Promise<void> {
  try {
    const { side } = await clients.of({ workspace: "" });
    const { scopes } = (await side.auth.test()).response_metadata ?? {};
    const missing = scopes === undefined ? [] : missingScopes(scopes, command);
    if (missing.length === 0) return;
    app.logger.warn(
      `aparte: the Slack app lacks scopes, see \`aparte slack manifest\`: ${missing.join("; ")}`,
    );
  } catch {
    // Bolt itself says what is wrong with the token.
  }
}

/** Says what makes Slack wait for more than that a message is recorded. */
function warnOfWaiting(app: App): void {
  const receiver: unknown = Reflect.get(app, "receiver");
  if (typeof receiver !== "object" || receiver === null) return;
  if (Reflect.get(receiver, "processBeforeResponse") !== true) return;
  app.logger.warn(
    "aparte: `processBeforeResponse` makes Slack wait for the app's slowest listener. Leave it out: messages are " +
      "acknowledged when they are recorded without it.",
  );
}
