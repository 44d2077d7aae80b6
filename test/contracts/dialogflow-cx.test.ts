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
        let faults: { lift(): void }[] = [];
        return {
          backend: dialogflowCx({
            ...{ agent, credentials, baseURL, stream, maxTextLength: 100_000 },
            ...(deadlineMs === undefined ? {} : { requestTimeout: deadlineMs }),
            retryDelay: 1,
          }),
          begun: () => emulator.nextTurn(),
          opened: () => emulator.sessions().length,
          lose: () => {},
          cutNext: () => faults.push(emulator.fail({ call, endAt: 60 })),
          refuse: () => faults.push(emulator.fail({ call, status: "UNAUTHENTICATED", times: 100 })),
          limit: () => faults.push(emulator.fail({ call, status: "RESOURCE_EXHAUSTED", times: 100 })),
          hangNext: () => faults.push(emulator.fail({ call, hang: true, times: 100 })),
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
