import { AparteError } from "../../errors.ts";
import type { Backend, OpenCall } from "../backend.ts";
import { textOf } from "../http/json.ts";
import { ask } from "./chat.ts";
import { SonaopsClient } from "./client.ts";
import { readOptions, type SonaopsOptions } from "./options.ts";

export { serviceWords } from "../http/failure.ts";
export type { SonaopsRefusal } from "./failure.ts";
export type { SonaopsOptions } from "./options.ts";
export type { SonaopsQuotaNotice } from "./quota.ts";
export { type SonaopsFrame, type SonaopsReader, type SonaopsReading, sonaopsReader } from "./reader.ts";
export type { SonaopsRequestToSign, SonaopsSign } from "./signing.ts";

/**
 * An agent on the Sonaops Open API. The service learns of a person only the session's pseudonym (`X-User-ID`); each
 * agent has a conversation of its own. It cannot list, rename, clear or delete conversations, nor stop a turn, so
 * those members are missing. Only partly public: docs/sonaops.md says what is inferred.
 *
 * @throws {AparteError} `option-invalid` with the option's name, at once.
 */
export function sonaops(options: SonaopsOptions): Backend {
  const client = new SonaopsClient(readOptions(options));
  return {
    name: "sonaops",
    open: (call) => open(client, call),
    ask: (turn) => ask(client, turn),
  };
}

/** Repeated after failures, too: at worst a conversation is left over in which nobody speaks. */
async function open(client: SonaopsClient, { sessionName, signal, permit }: OpenCall): Promise<string> {
  const agentId = await client.agentId(sessionName, signal);
  const data = await client.call(
    {
      path: "/v1/chat/conversation",
      body: { agentId },
      userId: sessionName,
      isTurn: false,
      permit,
    },
    signal,
  );
  const id = textOf(data.conversationId);
  if (id === undefined || id.trim() === "") {
    throw new AparteError("backend-protocol", "Sonaops sent no id for a conversation. Check baseURL.");
  }
  return id;
}
