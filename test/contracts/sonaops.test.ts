import { sonaops } from "aparte/sonaops";
import { backendContract } from "aparte/testing";
import { describe, it } from "vitest";
import {
  type SonaopsEmulator,
  type SonaopsTurn,
  startSonaopsEmulator,
} from "../../src/emulators/sonaops/index.ts";

/**
 * Under hostility all sentences hold but two, which its requests never meet: a request that hangs keeps its deadline,
 * and one whose signal was aborted before is not sent. A conversation that was opened in vain, since the answer was
 * lost, does not count: the service cannot be asked for it, and nobody speaks there.
 */
const hostileSeed = 14;
/** What fails is soon tried again. */
const quick = { requestTimeout: 2000, idleTimeout: 2000, savedTimeout: 50 };

for (const profile of ["A", "B"] as const) {
  backendContract(
    { describe, it },
    {
      name: `sonaops, profile ${profile}`,
      remember: (name) => `my name is ${name}`,
      recall: "what is my name?",
      slow: "slow: 60000",
      // The profiles differ in their signatures alone.
      ...(profile === "A" ? { hostileSeed } : {}),
      async start(deadlineMs, seed) {
        const hostile = seed === undefined ? undefined : { seed, share: 0.4 };
        const emulator = await startSonaopsEmulator({
          profile,
          ...(hostile === undefined ? {} : { hostile }),
        });
        const turns = watched(emulator);
        const { apiKey, apiSecret, agentId, baseURL } = emulator;
        const path = "/v1/chat/stream";
        // Events and characters are torn all the while, behind what goes wrong on purpose.
        const tear = () =>
          hostile === undefined
            ? emulator.fail({ pieces: 211, unterminated: true, times: Number.POSITIVE_INFINITY })
            : { lift() {} };
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
            ...(hostile === undefined ? {} : quick),
            ...(deadlineMs === undefined ? {} : { requestTimeout: deadlineMs, idleTimeout: deadlineMs }),
            retryDelay: 1,
          }),
          begun: () => emulator.nextTurn(),
          opened: () =>
            hostile === undefined
              ? emulator.conversationsOpened
              : new Set(turns.map(({ conversationId }) => conversationId)).size,
          lose: (conversationId) => emulator.deleteConversation(conversationId),
          cutNext: () => fail({ path, cut: "in-answer" }),
          refuse: () => fail({ path, refuse: "unauthorized", times: 100 }),
          limit: () => fail({ path, refuse: "rate-limit", times: 100 }),
          hangNext: () => fail({ path, hang: true }),
          accept() {
            for (const fault of faults) fault.lift();
            faults = [];
          },
          hostile: {
            runs: () => turns.map(({ text }) => text),
            isWhole: (text, answer) =>
              emulator
                .conversations()
                .some(({ messages }) =>
                  messages.some((said, at) => said.text === text && messages[at + 1]?.text === answer),
                ),
          },
          close: () => emulator.close(),
        };
      },
    },
  );
}

/** All turns that the emulator takes from now on, also those that it does not keep. */
function watched(emulator: SonaopsEmulator): readonly SonaopsTurn[] {
  const turns: SonaopsTurn[] = [];
  const watch = async (): Promise<void> => {
    turns.push(await emulator.nextTurn());
    await watch();
  };
  void watch();
  return turns;
}
