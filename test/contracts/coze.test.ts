import { generateKeyPairSync } from "node:crypto";
import { coze } from "aparte/coze";
import { backendContract, type CozeEmulator, type CozeMessage, startCozeEmulator } from "aparte/testing";
import { describe, it } from "vitest";

// Made once: a key takes longer than most tests.
const privateKey = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
}).privateKey;

/**
 * Under hostility all sentences hold but two, which its requests never meet: a request that hangs keeps its deadline,
 * and one whose signal was aborted before is not sent. Refused credentials and rates are still told as such, once
 * nothing else befalls the message.
 */
const hostileSeed = 14;
/** What fails is soon tried again. */
const quick = { pollInterval: 2, requestTimeout: 2000, idleTimeout: 2000, waitTimeout: 2000 };

for (const stream of [true, false]) {
  backendContract(
    { describe, it },
    {
      name: stream ? "coze" : "coze, polled",
      remember: (name) => `my name is ${name}`,
      recall: "what is my name?",
      slow: "slow: 30 one two three four five six seven eight nine ten",
      hostileSeed,
      async start(deadlineMs, seed) {
        const hostile = seed === undefined ? undefined : { seed, share: 0.4 };
        const emulator = await startCozeEmulator({
          privateKey,
          ...(hostile === undefined ? {} : { hostile }),
        });
        const { appId, keyId, botId, baseURL } = emulator;
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
          backend: coze({
            ...{ appId, keyId, privateKey, botId, baseURL, stream, pollInterval: 20, retryDelay: 1 },
            ...(hostile === undefined ? {} : quick),
            ...(deadlineMs === undefined
              ? {}
              : { requestTimeout: deadlineMs, idleTimeout: deadlineMs, waitTimeout: deadlineMs }),
          }),
          begun: () => emulator.once("chat"),
          opened: () => emulator.conversations().length,
          lose: (id) => void emulator.deleteConversation(id),
          cutNext: () => fail({ method: "POST", path: "/v3/chat", cut: 3 }),
          refuse: () => fail({ path: "/v3/*", status: 401, code: 4100, times: 100 }),
          limit: () => fail({ path: "/v3/*", code: 4020, times: 100 }),
          hangNext: () => fail({ path: "/v3/*", hang: true, times: 100 }),
          accept() {
            for (const fault of faults) fault.lift();
            faults = [];
          },
          hostile: {
            runs: () => messagesOf(emulator).flatMap(({ type, text }) => (type === "question" ? [text] : [])),
            isWhole: (text, answer) =>
              messagesOf(emulator).some(
                ({ type, text: said, chatId }, _, all) =>
                  type === "question" &&
                  said === text &&
                  all.some(
                    (other) => other.type === "answer" && other.chatId === chatId && other.text === answer,
                  ),
              ),
          },
          close: () => emulator.close(),
        };
      },
    },
  );
}

function messagesOf(emulator: CozeEmulator): readonly CozeMessage[] {
  return emulator.conversations().flatMap(({ messages }) => messages);
}
