import { setTimeout as sleep } from "node:timers/promises";
import { SlackServer } from "../../test/fakes/slack-server.ts";
import type { BotSettings } from "../bot.ts";
import { copies, maxDeliveries, type Platform, patienceMs, type Surroundings } from "./platform.ts";

export interface Slack extends Platform {
  readonly settings: BotSettings["slack"];
}

/** Slack, with its events over HTTP: delivered to one process, to another one when that one does not answer. */
export async function startSlack({ bots, ledger, random, outage }: Surroundings): Promise<Slack> {
  const server = await SlackServer.start();
  server.faultOf = ({ method }) => {
    if (!/^(chat|conversations|assistant)\./.test(method)) return undefined;
    const failure = outage.next();
    if (failure === undefined) return undefined;
    const { is, isCarriedOut } = failure;
    if (isCarriedOut) return { method, lost: is === "reset" ? "dropped" : "unavailable" };
    return is === "reset" ? { method, refused: true } : { method, status: is };
  };
  server.onCall = ({ method, body, process, result }, message) => {
    server.calls.length = 0; // It need not be remembered here.
    if (method === "chat.delete" && message === undefined) ledger.deleted("slack", body.ts ?? "");
    if (message === undefined || !method.startsWith("chat.")) return;
    const { ts, channel, thread, shown, metadata } = message;
    const marked = /\d{10}\.\d{6}/.exec(JSON.stringify(metadata ?? {}))?.[0];
    const about = [marked, thread].filter((name) => name !== undefined);
    const isLost = result === "dropped" || result === "unavailable";
    const place = `${channel} ${thread ?? ""}`;
    ledger.shown({ platform: "slack", id: ts, place, text: shown, bot: Number(process), isLost, about });
  };
  return {
    outage,
    settings: { token: server.token, signingSecret: server.signingSecret, apiUrl: server.apiUrl },
    async say(said) {
      const { person, text } = said;
      const ts = server.ts();
      ledger.name(said, ts);
      const user = `U${person.number}`;
      const channel = person.isDirect ? `D${person.number}` : server.channel;
      const words = person.isDirect ? text : `<@${server.botUserId}> ${text}`;
      const deliver = async (bot: number, retry: number) => {
        const eventsUrl = bots().slackUrl(bot);
        if (eventsUrl === undefined) throw new Error("The process is being started.");
        const place = { channel, ts, eventsUrl, withinMs: patienceMs };
        await server.say(user, words, { ...place, ...(retry === 0 ? {} : { retry }) });
        ledger.note(said, `bot ${bot} says received`);
        ledger.accepted(said);
      };
      const order = random.shuffled([...Array(bots().count).keys()]);
      const more = order.slice(1, copies(random)).map(async (bot) => {
        await sleep(random.pick([0, 0, 300, 5_000]));
        await deliver(bot, 1).catch(() => {});
      });
      const first = (async () => {
        for (let retry = 0; retry < maxDeliveries; retry += 1) {
          const bot = order[retry % order.length] ?? 0;
          const isReceived = await deliver(bot, retry).then(
            () => true,
            () => false,
          );
          if (isReceived || said.acceptedAt !== undefined) return;
          await sleep(300);
        }
      })();
      void Promise.all(more);
      await first;
    },
    close: () => server.close(),
  };
}
