import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import * as aparte from "aparte";
import * as aparteBotkit from "aparte/botkit";
import * as aparteDialogflow from "aparte/dialogflow-cx";
import { TestAdapter } from "botbuilder";
import { Botkit } from "botkit";
import { expect, it } from "vitest";

it("The page for those who come from Botkit's middlewares has an example that runs", async () => {
  const page = await readFile("docs/botkit-migration.md", "utf8");
  const [, code = ""] = /## After\s+```js\n(.*?)```/s.exec(page) ?? [];
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const key = {
    ...{ type: "service_account", project_id: "p", client_email: "bot@p.iam.gserviceaccount.com" },
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
  const modules = new Map<string, unknown>([
    ["./key.json", key],
    ["aparte", aparte],
    ["aparte/botkit", aparteBotkit],
    ["aparte/dialogflow-cx", aparteDialogflow],
  ]);
  const env = { APARTE_SECRET: "a secret of the tests, long enough" };
  const example = code.replace("sqlite:./aparte.db", "memory:");
  const start = new Function("require", "process", `${example}; return start;`)(
    (name: string) => modules.get(name),
    { env },
  );
  const adapter = new TestAdapter(async () => {});
  const controller = new Botkit({ adapter, disable_webserver: true, disable_console: true } as never);
  await start(controller);
  expect(Object.keys(controller.plugins.aparte)).toEqual(["mapper", "getSession"]);
  expect(controller.plugins.aparte.mapper.agentNames).toEqual(["helper"]);
  await controller.plugins.aparte.mapper.close();
});
