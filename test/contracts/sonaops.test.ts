import { sonaops } from "aparte/sonaops";
import { backendContract } from "aparte/testing";
import { describe, it } from "vitest";
import { startSonaopsEmulator } from "../../src/emulators/sonaops/index.ts";

for (const profile of ["A", "B"] as const) {
  backendContract(
    { describe, it },
    {
      name: `sonaops, profile ${profile}`,
      remember: (name) => `my name is ${name}`,
      recall: "what is my name?",
      slow: "slow: 60000",
      async start(deadlineMs) {
        const emulator = await startSonaopsEmulator({ profile });
        const { apiKey, apiSecret, agentId, baseURL } = emulator;
        const path = "/v1/chat/stream";
        let faults: { lift(): void }[] = [];
        return {
          backend: sonaops({
            ...{ apiKey, apiSecret, agentId, baseURL, profile },
            ...(deadlineMs === undefined ? {} : { requestTimeout: deadlineMs, idleTimeout: deadlineMs }),
            retryDelay: 1,
          }),
          begun: () => emulator.nextTurn(),
          opened: () => emulator.conversationsOpened,
          lose: (conversationId) => emulator.deleteConversation(conversationId),
          cutNext: () => faults.push(emulator.fail({ path, cut: "in-answer" })),
          refuse: () => faults.push(emulator.fail({ path, refuse: "unauthorized", times: 100 })),
          limit: () => faults.push(emulator.fail({ path, refuse: "rate-limit", times: 100 })),
          hangNext: () => faults.push(emulator.fail({ path, hang: true })),
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
