import { dialogflowCx } from "aparte/dialogflow-cx";
import { backendContract } from "aparte/testing";
import { describe, it } from "vitest";
import { startDialogflowCxEmulator } from "../../src/emulators/dialogflow-cx/index.ts";

/**
 * Under hostility all sentences hold but two, which its requests never meet: a request that hangs keeps its deadline,
 * and one whose signal was aborted before is not sent.
 */
const hostileSeed = 14;

for (const stream of [true, false]) {
  backendContract(
    { describe, it },
    {
      name: stream ? "dialogflow-cx" : "dialogflow-cx, answered at once",
      remember: (name) => `my name is ${name}`,
      recall: "what is my name?",
      slow: stream ? "wait: 60000" : "fail: hang",
      canLose: false,
      hostileSeed,
      async start(deadlineMs, seed) {
        const hostile = seed === undefined ? undefined : { seed, share: 0.4 };
        const emulator = await startDialogflowCxEmulator({
          maxTextLength: 100_000,
          ...(hostile === undefined ? {} : { hostile }),
        });
        const { agent, credentials, baseURL } = emulator;
        const call = stream ? "serverStreamingDetectIntent" : "detectIntent";
        // Events and characters are torn all the while, behind what goes wrong on purpose.
        const tear = () =>
          hostile === undefined
            ? emulator.fail({ pieces: 211, contentType: "text/plain", times: Number.POSITIVE_INFINITY })
            : { lift() {} };
        let torn = tear();
        let faults: { lift(): void }[] = [];
        const fail = (fault: Parameters<typeof emulator.fail>[0]): void => {
          torn.lift();
          faults.push(emulator.fail(fault));
          torn = tear();
        };
        return {
          backend: dialogflowCx({
            ...{ agent, credentials, baseURL, stream, maxTextLength: 100_000 },
            ...(deadlineMs === undefined ? {} : { requestTimeout: deadlineMs }),
            retryDelay: 1,
          }),
          begun: () => emulator.nextTurn(),
          opened: () => emulator.sessions().length,
          lose: () => {},
          cutNext: () => fail({ call, endAt: 60 }),
          refuse: () => fail({ call, status: "UNAUTHENTICATED", times: 100 }),
          limit: () => fail({ call, status: "RESOURCE_EXHAUSTED", times: 100 }),
          hangNext: () => fail({ call, hang: true, times: 100 }),
          accept() {
            for (const fault of faults) fault.lift();
            faults = [];
          },
          hostile: {
            runs: () => emulator.turns().flatMap(({ input }) => (input.kind === "text" ? [input.text] : [])),
            isWhole,
          },
          close: () => emulator.close(),
        };
      },
    },
  );
}

/** The stand-in keeps no answers: what they are is said here. */
function isWhole(text: string, answer: string): boolean {
  const name = /^my name is ([\p{L}\p{N}]+)/u.exec(text)?.[1];
  if (name !== undefined)
    return new RegExp(`^Turn \\d+\\. I will remember that your name is ${name}\\.$`).test(answer);
  if (text.startsWith("what is my name?"))
    return /^Turn \d+\. (You have not told me your name|Your name is [\p{L}\p{N}]+)\.$/u.test(answer);
  const said = `^Turn \\d+\\. You said: "${text}"\\.( Before that you told me: "(.|\n)*"\\.)?$`;
  return new RegExp(said).test(answer);
}
