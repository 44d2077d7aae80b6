import type { App, Context } from "@slack/bolt";
import { type Adapter, AparteError, optionInvalid, type SessionMapper } from "aparte";
import { acknowledgeRecorded } from "./acknowledge.ts";
import { replyAddress } from "./address.ts";
import { SlackClients } from "./clients.ts";
import { deliver } from "./deliver.ts";
import { codeOf, readFailure } from "./failures.ts";
import { SlackFiles } from "./files.ts";
import { type Heard, hear, readMessage } from "./message.ts";
import { Directory } from "./names.ts";
import { checkOptions, type SlackOptions } from "./options.ts";
import { InOrder } from "./order.ts";
import { Responding } from "./respond.ts";
import { type Place, platform } from "./speaker.ts";
import { Workspaces } from "./workspaces.ts";

export type { Respond, SlackClient, SlackOptions } from "./options.ts";
export { type SpeakerOptions, speakerOf } from "./speaker.ts";

/** Answers people on Slack. */
export interface SlackAdapter extends Required<Omit<Adapter, "bot">>, Pick<Adapter, "bot"> {
  readonly platform: "slack";
  /**
   * Listens to a Bolt app, over HTTP or in Socket Mode. Slack hears that a message came only when it is recorded, and
   * sends it again if the process dies before; where the store fails, the person is told instead. Leave
   * `processBeforeResponse` out: it makes Slack wait for the app's slowest listener. The app needs the events
   * `app_mention`, `message.im` and `message.mpim`. End it in this order: `await app.stop()`, then `mapper.close()`.
   * @throws {AparteError} `option-invalid` when an app is attached already, or the tokens of its workspaces are not known
   */
  attach(app: App): void;
}

/** What an attached app lends. */
interface Attached {
  readonly clients: SlackClients;
  readonly workspaces: Workspaces;
  readonly files: SlackFiles;
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
  const lent = (): Attached => {
    if (attached !== undefined) return attached;
    throw new AparteError("option-invalid", "No Slack app: call attach(app) first.", { field: "app" });
  };
  const adapter: SlackAdapter = {
    platform,
    ...(bot === undefined ? {} : { bot }),
    attach(app) {
      if (attached !== undefined) throw optionInvalid("app", "is set already: one adapter serves one app");
      const clients = new SlackClients(app, settings);
      const workspaces = new Workspaces(settings);
      const files = new SlackFiles(clients, settings);
      const directory = new Directory(clients);
      const responding = new Responding(settings.respond, settings.threadTime, clients);
      const reading = new InOrder();
      const warn = (message: string, error: unknown) =>
        app.logger.warn(`aparte: ${message} (${codeOf(error)})`);
      attached = { clients, workspaces, files, warn };
      let isWarned = false;
      const acknowledgements = acknowledgeRecorded(app, () => {
        if (!isWarned) {
          app.logger.warn(
            "aparte was not given a message: `app.assistant(…)` keeps those of its threads to itself, and so does " +
              "a global middleware that does not call next().",
          );
        }
        isWarned = true;
      });
      /** Somebody of another workspace of the own organisation is none of another company. */
      const certain = async (place: Place): Promise<Place> => {
        if (!place.isUncertain) return place;
        const { installation, user } = place;
        const isOwn = (await directory.enterpriseOf(installation, user)) === installation.enterprise;
        return { ...place, isForeign: !isOwn, isUncertain: false };
      };
      const read = async (heard: Heard, botUserId: string | undefined) => {
        if (!(await responding.isForBot(heard, botUserId))) return undefined;
        const place = await certain(heard.place);
        const { installation } = place;
        const names = directory.names(installation);
        return readMessage(
          { ...heard, place },
          { bot, agentView, botUserId, names, filesOf: (list) => files.of(installation, list) },
        );
      };
      const take = async ({ body, context: { botUserId } }: Told) => {
        try {
          const heard = hear(body, botUserId, agentView);
          if (heard === undefined) return;
          const { channel, user } = heard.event;
          // Reading may ask Slack for names, and people's messages keep their order.
          await reading.run(`${channel} ${user}`, async () => {
            const message = await read(heard, botUserId);
            // What goes wrong here was logged by the mapper, and told to the person through `deliver`.
            if (message !== undefined) await mapper.receive(message).catch(() => {});
          });
        } finally {
          await acknowledgements.recorded(body);
        }
      };
      app.event("app_mention", take);
      app.event("message", take);
      mapper.connect(adapter);
    },
    deliver: async (message, delivery) => {
      const { clients, workspaces, warn } = lent();
      const address = replyAddress(message);
      await deliver(delivery, {
        ...{
          clients: await clients.of(address),
          workspace: workspaces.get(address.workspace),
          address,
          warn,
        },
        firstWait: settings.editInterval,
      });
    },
    failure: readFailure,
    loadFile: async (ref, signal) => lent().files.load(ref, signal),
  };
  return adapter;
}
