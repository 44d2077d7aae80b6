import type { App, Context } from "@slack/bolt";
import { type Adapter, AparteError, optionInvalid, type SessionMapper } from "aparte";
import { replyAddress } from "./address.ts";
import { deliver } from "./deliver.ts";
import { readFailure } from "./failures.ts";
import { SlackFiles } from "./files.ts";
import { platform, readMessage, type SlackEvent } from "./message.ts";
import { checkOptions, type SlackClient, type SlackOptions } from "./options.ts";
import { Workspaces } from "./workspaces.ts";

export type { SlackClient, SlackOptions } from "./options.ts";

/** Answers people on Slack. */
export interface SlackAdapter extends Required<Omit<Adapter, "bot" | "reread">>, Pick<Adapter, "bot"> {
  readonly platform: "slack";
  /**
   * Listens to a Bolt app, over HTTP or in Socket Mode. Attach before `app.assistant(…)`, which keeps messages to
   * itself. With `processBeforeResponse: true` Slack hears that a message came only when it is recorded, and sends
   * it again if the process dies before; where the store fails, the person is told instead. The app needs the events `app_mention`, `message.im` and `message.mpim`. End it in this
   * order: `await app.stop()`, then `mapper.close()`.
   * @throws {AparteError} `option-invalid` when an app is attached already.
   */
  attach(app: App): void;
}

/** What an attached app lends. */
interface Attached {
  readonly workspaces: Workspaces;
  readonly files: SlackFiles;
}

/** What Bolt hands to a listener, as far as it is read here. */
interface Heard {
  readonly event: object;
  readonly body: object;
  readonly context: Context;
  readonly client: SlackClient;
}

/**
 * Hands the messages that people send to a bot on Slack to the mapper, and shows the replies as they come.
 *
 * @throws {AparteError} `option-invalid` with the option's name as `field`.
 */
export function slack(mapper: SessionMapper, options: SlackOptions = {}): SlackAdapter {
  const settings = checkOptions(options);
  let attached: Attached | undefined;
  const lent = (): Attached => {
    if (attached !== undefined) return attached;
    throw new AparteError("option-invalid", "No Slack app: call attach(app) first.", { field: "app" });
  };
  const adapter: SlackAdapter = {
    platform,
    ...(settings.bot === undefined ? {} : { bot: settings.bot }),
    attach(app) {
      if (attached !== undefined) throw optionInvalid("app", "is set already: one adapter serves one app");
      const workspaces = new Workspaces(app.client, settings);
      const files = new SlackFiles((workspace) => workspaces.client(workspace), settings);
      attached = { workspaces, files };
      const take = async ({ event, body, context, client }: Heard) => {
        const { teamId, enterpriseId, isEnterpriseInstall, botUserId } = context;
        const workspace = isEnterpriseInstall ? enterpriseId : teamId;
        if (workspace === undefined) return;
        const isShared = Reflect.get(body, "is_ext_shared_channel") === true;
        const origin = {
          bot: settings.bot,
          workspace,
          teamId,
          enterpriseId,
          isEnterpriseInstall,
          botUserId,
          isShared,
        };
        const message = readMessage(event as SlackEvent, origin, (list) => files.of(workspace, list));
        if (message === undefined) return;
        workspaces.heard(workspace, client);
        // What goes wrong here was logged by the mapper, and told to the person through `deliver`.
        await mapper.receive(message).catch(() => {});
      };
      app.event("app_mention", take);
      app.event("message", take);
      mapper.connect(adapter);
    },
    deliver: async (message, delivery) => deliver(lent().workspaces, replyAddress(message), delivery),
    failure: readFailure,
    loadFile: async (ref, signal) => lent().files.load(ref, signal),
  };
  return adapter;
}
