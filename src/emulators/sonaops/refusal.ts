/** What the service says no to, by the words of its pages. */
export type SonaopsRefusalKind =
  | "unauthorized"
  | "invalid-key"
  | "rate-limit"
  | "usage-cap"
  | "no-agent-id"
  | "unknown-agent"
  | "unknown-conversation"
  | "bad-request"
  | "server-error";

interface Form {
  readonly message: string;
  /** The envelope's code. Those of business errors are not public, and `unauthorized`'s is made up. */
  readonly code: number;
  /** The HTTP status under each profile. */
  readonly status: { readonly A: number; readonly B: number };
}

const always200 = { A: 200, B: 200 };

const forms: Readonly<Record<SonaopsRefusalKind, Form>> = {
  unauthorized: { message: "Unauthorized", code: 10401, status: { A: 401, B: 401 } },
  "invalid-key": { message: "Invalid API key", code: 10400, status: { A: 200, B: 401 } },
  "rate-limit": { message: "Too many requests, please try again later", code: 10400, status: always200 },
  "usage-cap": { message: "API key usage limit reached", code: 10400, status: always200 },
  "no-agent-id": { message: "agentId is required", code: 10400, status: always200 },
  "unknown-agent": { message: "Agent not found", code: 10404, status: { A: 404, B: 200 } },
  // The text is made up: no page tells it.
  "unknown-conversation": { message: "Conversation not found", code: 10404, status: { A: 404, B: 200 } },
  "bad-request": { message: "Bad request", code: 10400, status: { A: 400, B: 200 } },
  "server-error": { message: "Internal server error", code: 10500, status: { A: 500, B: 200 } },
};

export const refusalKinds: readonly string[] = Object.keys(forms);

/** A refused request. */
export class Refusal extends Error {
  readonly kind: SonaopsRefusalKind;

  /** @param detail what is wrong, for the developer who reads the emulator's answer. */
  constructor(kind: SonaopsRefusalKind, detail?: string) {
    const { message } = forms[kind];
    super(detail === undefined ? message : `${message}: ${detail}`);
    this.kind = kind;
  }
}

/** The HTTP status and the envelope's code of a refusal. */
export function formOf(
  kind: SonaopsRefusalKind,
  profile: "A" | "B",
): { readonly status: number; readonly code: number } {
  const { status, code } = forms[kind];
  return { status: status[profile], code };
}
