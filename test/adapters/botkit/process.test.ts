import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startCozeEmulator } from "aparte/testing";
import { expect, it, onTestFinished } from "vitest";
import { builtRoot } from "../../build.ts";

it("stays alive in a process of its own when handlers throw and requests name nobody", async () => {
  const emulator = await startCozeEmulator();
  onTestFinished(() => emulator.close());
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  const settings = { root: await builtRoot(), agent: { appId, keyId, privateKey, botId, baseURL } };
  const script = fileURLToPath(new URL("../../processes/botkit.mjs", import.meta.url));
  const child: ChildProcess = fork(script, {
    env: { ...process.env, SETTINGS: JSON.stringify(settings) },
    silent: true,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const post = async (body: object, user = "ada") => {
    const response = await fetch(`http://127.0.0.1:${port}/api/messages`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `token of ${user}` },
      body: JSON.stringify(body),
    });
    return `${response.status} ${await response.text()}`;
  };
  expect(await post({ type: "message", user: "ada", text: "throw" })).toMatch(/^200 .*ref /);
  expect(await post({ type: "message", text: "throw" }, "")).toMatch(/^401/);
  expect(await post({ type: "message", user: "bob", text: "hello" })).toMatch(/^401/);
  expect(await post({ text: "no type" })).toMatch(/^200/);
  expect(await post({ type: "message", user: "ada", text: "word5" })).toContain("word5");
  expect(child.exitCode).toBeNull();
});
