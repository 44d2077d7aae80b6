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
        // Events and characters are torn all the while, behind what goes wrong on purpose.
        const tear = () =>
          emulator.fail({ pieces: 211, unterminated: true, times: Number.POSITIVE_INFINITY });
        let torn = tear();
        let faults: { lift(): void }[] = [];
        const fail = (fault: Parameters<typeof emulator.fail>[0]): void => {
          torn.lift();
          faults.push(emulator.fail(fault));
          torn = tear();
        };
        return {
          backend: sonaops({
            ...{ apiKey, apiSecret, agentId, baseURL, profile },
            ...(deadlineMs === undefined ? {} : { requestTimeout: deadlineMs, idleTimeout: deadlineMs }),
            retryDelay: 1,
          }),
          begun: () => emulator.nextTurn(),
          opened: () => emulator.conversationsOpened,
          lose: (conversationId) => emulator.deleteConversation(conversationId),
          cutNext: () => fail({ path, cut: "in-answer" }),
          refuse: () => fail({ path, refuse: "unauthorized", times: 100 }),
          limit: () => fail({ path, refuse: "rate-limit", times: 100 }),
          hangNext: () => fail({ path, hang: true }),
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
