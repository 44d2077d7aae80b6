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
    maxLength: 4000,
    showsDrafts: false,
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
      const say = async (person: string, text: string, channelId: string) => {
        count += 1;
        const activity = {
          ...{ type: "message", channelId, id: `a${count}`, text },
          ...{ from: { id: person, name: person }, recipient: { id: "bot", name: "bot" } },
          conversation: { id: "room", isGroup: true, conversationType: "channel", name: "room" },
        };
        await deliver(activity);
        return activity;
      };
      return {
        async attach(mapper) {
          const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true });
          controller.usePlugin(botkit(mapper));
          bots.push(controller);
          return async () => {};
        },
        say: (person, text) => say(person, text, "test"),
        sayElsewhere: (text) => say("ada", text, "elsewhere"),
        again: async (event) => deliver(event as Partial<Activity>),
        shown: () => shown,
        close: async () => {},
      };
    },
  },
);
