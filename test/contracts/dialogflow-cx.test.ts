import { dialogflowCx } from "aparte/dialogflow-cx";
import { backendContract } from "aparte/testing";
import { describe, it } from "vitest";
import { startDialogflowCxEmulator } from "../../src/emulators/dialogflow-cx/index.ts";

for (const stream of [true, false]) {
  backendContract(
    { describe, it },
    {
      name: stream ? "dialogflow-cx" : "dialogflow-cx, answered at once",
      remember: (name) => `my name is ${name}`,
      recall: "what is my name?",
      slow: stream ? "wait: 60000" : "fail: hang",
      canLose: false,
      async start(deadlineMs) {
        const emulator = await startDialogflowCxEmulator({ maxTextLength: 100_000 });
        const { agent, credentials, baseURL } = emulator;
        const call = stream ? "serverStreamingDetectIntent" : "detectIntent";
        // Events and characters are torn all the while, behind what goes wrong on purpose.
        const tear = () =>
          emulator.fail({ pieces: 211, contentType: "text/plain", times: Number.POSITIVE_INFINITY });
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
          close: () => emulator.close(),
        };
      },
    },
  );
}
