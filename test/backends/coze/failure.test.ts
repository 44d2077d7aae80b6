import { coze } from "aparte/coze";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CozeFault } from "../../../src/emulators/coze/faults.ts";
import { type CozeEmulator, startCozeEmulator } from "../../../src/emulators/coze/index.ts";
import { AparteError } from "../../../src/errors.ts";

let emulator: CozeEmulator;

beforeAll(async () => {
  emulator = await startCozeEmulator();
});
afterAll(() => emulator.close());

function backend() {
  const { appId, keyId, privateKey, botId, baseURL } = emulator;
  return coze({ appId, keyId, privateKey, botId, baseURL, retryDelay: 1, pollInterval: 1 });
}

const call = () => ({ sessionName: "ada", agent: "helper", signal: new AbortController().signal });

/** What becomes of a request that always meets the fault, and how often it is sent. */
async function met(fault: CozeFault, request: () => Promise<unknown>): Promise<[AparteError, sent: number]> {
  const ordered = emulator.fail({ times: 99, ...fault });
  const error = await request().catch((reason: unknown) => reason);
  ordered.lift();
  if (!(error instanceof AparteError)) throw new Error("It did not fail.", { cause: error });
  return [error, ordered.hits];
}

const list = "/v1/conversations";
const listed = (fault: CozeFault) => met({ path: list, ...fault }, () => backend().find(call()));

describe("A refusal of Coze's", () => {
  it.each([
    [4000, "backend-rejected", 1, "a parameter is wrong; check botId"],
    [4001, "backend-rejected", 1, "the chat does not exist"],
    [4002, "conversation-lost", 1, "the conversation does not exist"],
    [4003, "backend-rejected", 1, "check metaData"],
    [4004, "backend-rejected", 1, "too many messages"],
    [4005, "backend-rejected", 1, "content is not accepted"],
    [4006, "backend-rejected", 1, "check botId"],
    [4007, "backend-rejected", 1, "must be saved"],
    [4008, "backend-quota", 1, "tomorrow"],
    [4009, "backend-rate-limited", 4, "at its capacity"],
    [4010, "backend-rejected", 1, "too long"],
    [4011, "backend-quota", 1, "tokens are used up"],
    [4012, "backend-rejected", 1, "choose another model"],
    [4013, "backend-unavailable", 4, "model failed"],
    [4014, "backend-failed", 1, "check its settings"],
    [4015, "backend-rejected", 1, "publish it"],
    [4016, "conversation-busy", 1, "another chat runs"],
    [4019, "backend-quota", 1, "top it up"],
    [4020, "backend-rate-limited", 4, "requests a minute"],
    [4021, "backend-rejected", 1, "workflow is not set up"],
    [4022, "backend-quota", 1, "bill is overdue"],
    [4028, "backend-quota", 1, "buy a plan"],
    // Once more with another token.
    [4100, "backend-auth", 2, "token is refused"],
    [4101, "backend-auth", 2, "permissions and spaces"],
    [700012006, "backend-auth", 2, "token is refused"],
    [4102, "backend-refused-content", 1, "risk control"],
    [4104, "backend-rejected", 1, "cannot be cancelled"],
    [4105, "backend-refused-content", 1, "sensitive"],
    [4200, "backend-rejected", 1, "the workflow is published"],
    [4201, "backend-rejected", 1, "there already"],
    [4300, "backend-refused-content", 1, "file is empty"],
    [4301, "backend-refused-content", 1, "more than one file"],
    [4302, "backend-refused-content", 1, "too large"],
    [4303, "backend-refused-content", 1, "this type"],
    [4304, "backend-refused-content", 1, "not valid"],
    [4314, "backend-rejected", 1, "run does not exist"],
    [4315, "backend-rejected", 1, "run has ended"],
    [5000, "backend-unavailable", 4, "the service failed; check botId"],
    [999, "backend-failed", 1, "the request was refused"],
  ])("%d is %s after %d requests, and says: %s", async (code, ours, sent, advice) => {
    const [error, hits] = await listed({ code });
    expect([error.code, hits]).toEqual([ours, sent]);
    expect(error.message).toMatch(new RegExp(`^Coze: \\S.*\\(code ${code}\\)\\.$`));
    expect(error.message).toContain(advice);
    expect(error.traceId).toMatch(/^\d+$/);
  });

  it.each([
    [{ page: 401 }, "backend-auth", 2, "the access token is refused (HTTP 401)"],
    [
      { page: 403 },
      "backend-auth",
      1,
      "the access is forbidden; check the OAuth app's permissions (HTTP 403)",
    ],
    [{ page: 408 }, "backend-unavailable", 4, "a gateway before it failed; try again later (HTTP 408)"],
    [{ page: 429 }, "backend-rate-limited", 4, "there are too many requests (HTTP 429)"],
    [{ page: 500 }, "backend-unavailable", 4, "a gateway before it failed; try again later (HTTP 500)"],
    [{ page: 499 }, "backend-protocol", 1, "the answer is not Coze's; check baseURL (HTTP 499)"],
    [{ page: 200, body: '{"hello":1}' }, "backend-protocol", 1, "check baseURL (HTTP 200)"],
    [{ page: 404, body: '{"code":0,"data":{}}' }, "backend-protocol", 1, "check baseURL (HTTP 404)"],
    [{ page: 302, headers: { location: "/v1/x" } }, "backend-protocol", 1, "check baseURL (HTTP 302)"],
    [{ code: 4013, status: 429 }, "backend-rate-limited", 4, "there are too many requests (code 4013)"],
    [{ code: "4020" }, "backend-rate-limited", 4, "requests a minute for the plan (code 4020)"],
    [{ code: 999, status: 503 }, "backend-unavailable", 4, "try again later (code 999)"],
    [{ code: 999, status: 401 }, "backend-auth", 2, "the access token is refused (code 999)"],
    [{ code: 999, status: 404 }, "backend-failed", 1, "the request was refused (code 999)"],
  ] satisfies [CozeFault, string, number, string][])(
    "%j is %s after %d requests",
    async (fault, ours, sent, words) => {
      const [error, hits] = await listed(fault);
      expect([error.code, hits]).toEqual([ours, sent]);
      expect(error.message).toMatch(/^Coze: \S/);
      expect(error.message).toContain(words);
    },
  );

  it("tells when to come back, and whose request it was", async () => {
    const headers = { "retry-after": "60" };
    const [error, hits] = await listed({ page: 429, headers });
    expect([error.retryAfterMs, hits]).toEqual([60_000, 1]);
    const [soon] = await listed({ page: 200, body: '{"code":4009,"detail":{"logid":"L1"}}' });
    expect([soon.retryAfterMs, soon.traceId]).toEqual([undefined, "L1"]);
  });

  it("of a request about one conversation means that this is gone, where nothing is found", async () => {
    const service = backend();
    const conversation = { ...call(), conversationId: await service.open(call()) };
    for (const code of [4002, 4200]) {
      for (const [path, request] of [
        ["/v1/conversation/message/list", () => service.history(conversation)],
        ["/v1/conversations/*", () => service.clear(conversation)],
      ] as const) {
        const [error] = await met({ path, code }, request);
        expect([error.code, error.message]).toEqual([
          "conversation-lost",
          "Coze: the conversation does not exist, or not for this session (code 4002).",
        ]);
      }
      emulator.fail({ path: "/v1/conversation/retrieve", code });
      expect(await service.exists(conversation)).toBe(false);
    }
    expect(await service.exists(conversation)).toBe(true);
    const [error] = await met({ path: "/v1/conversation/retrieve", code: 4000 }, () =>
      service.exists(conversation),
    );
    expect(error.code).toBe("backend-rejected");
  });

  it.each([
    [4002, "backend-failed", "Coze: the chat failed (code 4002)."],
    [5000, "backend-failed", "Coze: the chat failed (code 5000)."],
    [4013, "backend-failed", "Coze: the chat failed (code 4013)."],
    [4011, "backend-quota", "Coze: the account's Coze tokens are used up; buy some (code 4011)."],
  ])("%d of a chat that ran does not invite to send it again", async (code, ours, message) => {
    const service = backend();
    const conversationId = await service.open(call());
    const turn = { ...call(), conversationId, turnId: "t", text: "hello", files: [] };
    const ask = async () => {
      for await (const _ of service.ask(turn));
    };
    const [error, hits] = await met({ path: "/v3/chat", chatFailed: { code, msg: "" } }, ask);
    expect([error.code, error.message, error.retryable, hits]).toEqual([ours, message, false, 1]);
  });
});
