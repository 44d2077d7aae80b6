import { botkit } from "aparte/botkit";
import { adapterContract, type PlatformUnderTest } from "aparte/testing";
import { type Activity, BotFrameworkAdapter, TestAdapter, TurnContext } from "botbuilder";
import { Botkit } from "botkit";
import { describe, it } from "vitest";
import { ConnectorServer } from "../fakes/connector-server.ts";

/** A room in which two people talk to the bots on an adapter. */
function room(
  adapter: TestAdapter | BotFrameworkAdapter,
  place: Partial<Activity>,
): Omit<PlatformUnderTest, "shown" | "close"> {
  const bots: Botkit[] = [];
  let count = 0;
  const deliver = (activity: Partial<Activity>) =>
    bots.at(-1)?.handleTurn(new TurnContext(adapter, activity));
  const say = async (person: string, text: string, tenant: string) => {
    count += 1;
    const activity = {
      ...place,
      ...{ type: "message", id: `a${count}`, text },
      ...{ from: { id: person, name: person }, recipient: { id: "bot", name: "bot" } },
      conversation: {
        ...{ id: "room", isGroup: true, conversationType: "channel", name: "room", tenantId: tenant },
      },
    };
    await deliver(activity);
    return activity;
  };
  return {
    async attach(mapper) {
      const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true });
      controller.usePlugin(botkit(mapper, { editInterval: 20 }));
      bots.push(controller);
      return async () => {};
    },
    say: (person, text) => say(person, text, "acme"),
    sayElsewhere: (text) => say("ada", text, "another"),
    again: async (event) => deliver(event as Partial<Activity>),
  };
}

adapterContract(
  { describe, it },
  {
    name: "for Botkit",
    platform: "botkit",
    maxLength: 4000,
    showsDrafts: false,
    start: async () => {
      const shown: string[] = [];
      const adapter = new TestAdapter(async () => {});
      adapter.sendActivities = async (_context: TurnContext, activities: Partial<Activity>[]) => {
        for (const { type, text } of activities) if (type === "message") shown.push(text ?? "");
        return activities.map((_, index) => ({ id: `${index}` }));
      };
      return { ...room(adapter, { channelId: "test" }), shown: () => shown, close: async () => {} };
    },
  },
);

adapterContract(
  { describe, it },
  {
    name: "for Botkit on Teams",
    platform: "botkit",
    maxLength: 4000,
    start: async () => {
      const connector = await ConnectorServer.start();
      const adapter = new BotFrameworkAdapter({ appId: "", appPassword: "" });
      return {
        ...room(adapter, { channelId: "msteams", serviceUrl: connector.url }),
        shown: () => connector.shown,
        close: () => connector.close(),
      };
    },
  },
);
