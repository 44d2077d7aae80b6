import { randomUUID } from "node:crypto";
import { type AgentPlan, planAnswer } from "../agent.ts";
import { Refusal } from "./refusal.ts";

/** A conversation as the emulator keeps it. */
export interface SonaopsConversation {
  readonly id: string;
  readonly agentId: string;
  /** The `X-User-ID` that opened it, and the only one it answers. */
  readonly userId: string;
  /** What was said and kept, oldest first. */
  readonly messages: readonly SonaopsMessage[];
}

/** A message as the emulated Sonaops keeps it. */
export interface SonaopsMessage {
  /** The agent's messages have one. */
  readonly id?: string;
  readonly role: "user" | "agent";
  readonly text: string;
}

/** A turn that was taken. */
export interface SonaopsTurn {
  readonly conversationId: string;
  readonly agentId: string;
  readonly userId: string;
  /** What the person said. */
  readonly text: string;
}

type Fields = Readonly<Record<string, unknown>>;

type Kept = SonaopsConversation & { readonly messages: SonaopsMessage[] };

/** A turn whose answer is to be streamed. */
export interface StartedTurn {
  readonly plan: AgentPlan;
  /** Keeps the turn and returns the id of the agent's message. */
  save(answer: string): string;
}

/** The agents and their conversations. */
export class SonaopsService {
  readonly agents: readonly string[];
  readonly #profile: "A" | "B";
  readonly #conversations = new Map<string, Kept>();
  /** How many conversations were opened, those that were deleted included. */
  opened = 0;
  /** How many turns were taken. */
  taken = 0;

  constructor(agents: readonly string[], profile: "A" | "B") {
    this.agents = agents;
    this.#profile = profile;
  }

  get conversations(): readonly SonaopsConversation[] {
    return [...this.#conversations.values()].map((each) => ({ ...each, messages: [...each.messages] }));
  }

  /** Opens a conversation and returns its id. */
  open(userId: string, body: Fields): string {
    const agentId = this.#agentIn(body);
    const id = this.#newId();
    this.#conversations.set(id, { id, agentId, userId, messages: [] });
    this.opened += 1;
    return id;
  }

  /** Takes a turn. Stricter than the service is known to be: a conversation answers its own user and agent alone. */
  begin(userId: string, body: Fields): { readonly turn: SonaopsTurn; readonly started: StartedTurn } {
    const agentId = this.#agentIn(body);
    const { conversationId, text } = body;
    if (typeof conversationId !== "string") throw new Refusal("bad-request", "conversationId is required");
    if (typeof text !== "string" || text.trim() === "") throw new Refusal("bad-request", "text is required");
    const conversation = this.#conversations.get(conversationId);
    if (conversation?.userId !== userId || conversation.agentId !== agentId) {
      throw new Refusal("unknown-conversation");
    }
    this.taken += 1;
    const { messages } = conversation;
    const before = messages.filter((message) => message.role === "user").map((message) => message.text);
    return {
      turn: { conversationId, agentId, userId, text },
      started: {
        plan: planAnswer({ text, attachments: [], before }),
        save: (answer) => {
          const id = this.#newId();
          messages.push({ role: "user", text }, { id, role: "agent", text: answer });
          return id;
        },
      },
    };
  }

  delete(conversationId: string): boolean {
    return this.#conversations.delete(conversationId);
  }

  #agentIn({ agentId }: Fields): string {
    if (typeof agentId !== "string" || agentId.trim() === "") throw new Refusal("no-agent-id");
    if (!this.agents.includes(agentId)) throw new Refusal("unknown-agent");
    return agentId;
  }

  /** The pages of the two profiles differ. */
  #newId(): string {
    const id = randomUUID();
    return this.#profile === "B" ? id : id.replaceAll("-", "");
  }
}
