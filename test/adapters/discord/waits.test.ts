import { describe, expect, it } from "vitest";
import { Speech } from "../agent.ts";
import { mention, settled, shows, startBot, startServer } from "./bot.ts";

/** A bot that is busy with Ann's first question until `speech.end()`. */
async function busyBot() {
  const server = await startServer();
  const speech = new Speech();
  let isFirst = true;
  const bot = await startBot(server, {
    answer: async function* (turn, memory) {
      if (isFirst) {
        isFirst = false;
        yield* speech.answer(turn, memory);
      } else yield { type: "message", text: `To "${turn.text}".` };
    },
  });
  const ann = server.person("ann");
  server.say(ann, `${mention(server)} first`);
  speech.say("Well");
  await shows(server, "Well");
  return { server, bot, speech, ann };
}

describe("discord, of a message that waits", () => {
  it("asks it as it was edited", async () => {
    const { server, bot, speech, ann } = await busyBot();
    const id = server.say(ann, `${mention(server)} a typo`);
    server.edit(id, `${mention(server)} no typo`);
    speech.end();
    await shows(server, 'To "no typo".');
    await settled(bot);
    expect(server.shown().map(({ content }) => content)).toEqual(["Well", 'To "no typo".']);
  });

  it("does not ask it when it was deleted, and goes on with the next", async () => {
    const { server, bot, speech, ann } = await busyBot();
    server.delete(server.say(ann, `${mention(server)} never mind`));
    server.say(ann, `${mention(server)} third`);
    speech.end();
    await shows(server, 'To "third".');
    await settled(bot);
    expect(server.shown().map(({ content }) => content)).toEqual(["Well", 'To "third".']);
    expect(bot.messages.map(({ text }) => text)).toEqual(["first", "third"]);
  });

  it("asks it as it came when Discord does not give it", async () => {
    const { server, speech, ann } = await busyBot();
    const id = server.say(ann, `${mention(server)} second`);
    server.fail({ method: "GET", path: new RegExp(`/messages/${id}$`), status: 403, code: 50_001 });
    speech.end();
    await shows(server, 'To "second".');
  });
});
