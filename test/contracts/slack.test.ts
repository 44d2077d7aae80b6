import type { AddressInfo } from "node:net";
import { App, LogLevel } from "@slack/bolt";
import { slack } from "aparte/slack";
import { adapterContract } from "aparte/testing";
import { describe, it } from "vitest";
import { SlackServer } from "../fakes/slack-server.ts";

adapterContract(
  { describe, it },
  {
    name: "for Slack",
    platform: "slack",
    start: async () => {
      const server = await SlackServer.start();
      const mention = `<@${server.botUserId}>`;
      const said = new Map<string, { user: string; text: string }>();
      return {
        async attach(mapper) {
          const app = new App({
            token: server.token,
            signingSecret: server.signingSecret,
            clientOptions: { slackApiUrl: server.apiUrl, retryConfig: { retries: 0 } },
            logLevel: LogLevel.ERROR,
          });
          slack(mapper, { editInterval: 20 }).attach(app);
          // Bolt looks at its token in the background, and would be cut off there by a short test's end.
          await server.next("auth.test");
          const listener = await app.start({ port: 0, host: "127.0.0.1" });
          const { port } = (listener as { address(): unknown }).address() as AddressInfo;
          server.eventsUrl = `http://127.0.0.1:${port}/slack/events`;
          return async () => void (await app.stop());
        },
        async say(person, text) {
          const user = person === "ada" ? "UADA" : "UBOB";
          const ts = server.ts();
          said.set(ts, { user, text: `${mention} ${text}` });
          return server.say(user, `${mention} ${text}`, { ts });
        },
        sayElsewhere: (text) =>
          server.say("UADA", `${mention} ${text}`, { event: { team: "T2" }, envelope: { team_id: "T2" } }),
        async again(event) {
          const { user = "", text = "" } = said.get(String(event)) ?? {};
          await server.say(user, text, { ts: String(event), retry: 1 });
        },
        shown: () =>
          server.shown().map(({ shown, blocks = [] }) => {
            const images = blocks.flatMap((block) => ("image_url" in block ? [block.image_url] : []));
            return [shown, ...images].join("\n");
          }),
        close: () => server.close(),
      };
    },
  },
);
