import { AparteError } from "aparte";
import type { JsonValue } from "aparte/adapter";
import { describe, expect, it } from "vitest";
import { type Answer, Speech } from "../agent.ts";
import { settled, shows, startBot, startServer } from "./bot.ts";

describe("discord takes files", () => {
  /** Says of each file how many bytes it has, and the last of them. */
  const readFiles: Answer = async function* ({ files, signal }) {
    for (const { name, type, load } of files) {
      const bytes = (await load?.(signal)) ?? new Uint8Array();
      yield { type: "message", text: `${name} (${type}): ${bytes.byteLength}, ${bytes.at(-1)}` };
    }
  };
  const photo = { name: "photo.png", type: "image/png", bytes: new Uint8Array([1, 2, 3]) };

  it("with and without words", async () => {
    const server = await startServer();
    await startBot(server, { answer: readFiles });
    const ann = server.person("ann");
    const note = { name: "note.txt", bytes: new Uint8Array([7]) };
    server.sayDirectly(ann, "", { attachments: [photo, note] });
    await shows(
      server,
      "photo.png (image/png): 3, 3\n\nnote.txt (undefined): 1, 7",
      server.directChannel(ann),
    );
  });

  it("in listeners of one's own, with what they ask", async () => {
    const server = await startServer();
    const bot = await startBot(server, { answer: readFiles, discord: { answer: "none" } });
    bot.client.on("messageCreate", async (event) => {
      if (event.author.bot) return;
      await event.reply(await (await bot.adapter.session(event)).ask("what is it?").text());
    });
    const ann = server.person("ann");
    server.sayDirectly(ann, "", { attachments: [photo] });
    await shows(server, "photo.png (image/png): 3, 3", server.directChannel(ann));
  });

  it.each([403, 404])(
    "whose links have run out (%i), by their refs, also in another process",
    async (status) => {
      const server = await startServer();
      const speech = new Speech();
      const bot = await startBot(server, {
        answer: async function* (turn, memory) {
          for await (const _ of speech.answer(turn, memory));
          yield* readFiles(turn, memory);
        },
      });
      const ann = server.person("ann");
      server.sayDirectly(ann, "look", { attachments: [photo] });
      await server.until(() => bot.messages.length === 1);
      server.expireLinks(status);
      speech.end();
      await shows(server, "photo.png (image/png): 3, 3", server.directChannel(ann));
      await server.until(() => server.downloads === 0);
      const ref = bot.messages[0]?.files?.[0]?.ref ?? null;
      const other = await startBot(server);
      const bytes = await other.adapter.loadFile(JSON.parse(JSON.stringify(ref)), AbortSignal.timeout(5_000));
      expect([...bytes]).toEqual([1, 2, 3]);
    },
  );

  it("from Discord's hosts only, up to a size", async () => {
    const server = await startServer();
    const ann = server.person("ann");
    const tooLarge = await startBot(server, { answer: readFiles, discord: { maxFileBytes: 2 } });
    server.sayDirectly(ann, "look", { attachments: [photo] });
    await shows(server, /^A file of your message is too large for me\. \(ref/, server.directChannel(ann));
    expect(tooLarge.log.join("\n")).toContain("is larger than 2 bytes");
    await settled(tooLarge);
    await tooLarge.client.destroy();
    const bob = server.person("bob");
    const elsewhere = await startBot(server, { answer: readFiles, discord: { fileHosts: [] } });
    server.sayDirectly(bob, "look", { attachments: [photo] });
    await shows(server, /^I could not read that message\. \(ref/, server.directChannel(bob));
    expect(elsewhere.log.join("\n")).toContain("is not at one of Discord's own hosts");
  });

  it("that are gone: the error says so", async () => {
    const server = await startServer();
    const bot = await startBot(server);
    server.sayDirectly(server.person("ann"), "look", { attachments: [photo] });
    await server.until(() => bot.messages.length === 1);
    server.loseFiles();
    const gone = { channelId: server.channelId, messageId: "1", attachmentId: "2" };
    const refs: [JsonValue, string][] = [
      [bot.messages[0]?.files?.[0]?.ref ?? null, "is no longer there"],
      [gone, "could not be found"],
      [{ ...gone, messageId: "../users" }, "is no attachment"],
      [null, "is no attachment"],
    ];
    for (const [ref, problem] of refs) {
      const failure = await bot.adapter.loadFile(ref, AbortSignal.timeout(5_000)).catch((error) => error);
      expect(failure).toBeInstanceOf(AparteError);
      expect(failure).toMatchObject({ code: "input-invalid", field: "files" });
      expect(failure.message).toContain(problem);
    }
  });
});
