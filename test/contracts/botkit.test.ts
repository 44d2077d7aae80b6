import { botkit } from "aparte/botkit";
import { adapterContract } from "aparte/testing";
import { type Activity, TestAdapter, TurnContext } from "botbuilder";
import { Botkit } from "botkit";
import { describe, it } from "vitest";

adapterContract(
  { describe, it },
  {
    name: "for Botkit",
    platform: "botkit",
    start: async () => {
      const shown: string[] = [];
      const bots: Botkit[] = [];
      let count = 0;
      const adapter = new TestAdapter(async () => {});
      adapter.sendActivities = async (_context: TurnContext, activities: Partial<Activity>[]) => {
        for (const { type, text } of activities) if (type === "message") shown.push(text ?? "");
        return activities.map((_, index) => ({ id: `${index}` }));
      };
      const deliver = (activity: Partial<Activity>) =>
        bots.at(-1)?.handleTurn(new TurnContext(adapter, activity));
      return {
        async attach(mapper) {
          const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true });
          controller.usePlugin(botkit(mapper));
          bots.push(controller);
          return async () => {};
        },
        async say(person, text) {
          count += 1;
          const activity = {
            ...{ type: "message", channelId: "test", id: `a${count}`, text },
            ...{ from: { id: person, name: person }, recipient: { id: "bot", name: "bot" } },
            conversation: { id: "room", isGroup: true, conversationType: "channel", name: "room" },
          };
          await deliver(activity);
          return activity;
        },
        again: async (event) => deliver(event as Partial<Activity>),
        shown: () => shown,
        close: async () => {},
      };
    },
  },
);
