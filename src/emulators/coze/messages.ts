import { ownConversation, type Service } from "./conversations.ts";
import { optionalInteger, optionalText, readBody, requiredQuery, requiredText } from "./fields.ts";
import { type Call, Refusal, type Route } from "./protocol.ts";
import type { Message } from "./state.ts";

export function messageRoutes(service: Service): readonly Route[] {
  const { state } = service;

  async function list({ request, query }: Call) {
    const identity = service.identify(request);
    const conversation = ownConversation(state, requiredQuery(query, "conversation_id"), identity);
    const body = await readBody(request);
    const order = optionalText(body, "order") ?? "desc";
    if (order !== "asc" && order !== "desc") throw new Refusal(4000, "order must be asc or desc");
    const limit = optionalInteger(body.limit, "limit", { min: 1, max: 50, otherwise: 50 });
    const chatId = optionalText(body, "chat_id");
    const all = visible(state.messagesOf(conversation.id)).filter(
      (message) => chatId === undefined || message.chatId === chatId,
    );
    if (order === "desc") all.reverse();
    const { page, hasMore } = pageOf(
      all,
      optionalText(body, "before_id"),
      optionalText(body, "after_id"),
      limit,
    );
    return {
      data: page.map(wireMessage),
      first_id: page.at(0)?.id ?? "0",
      last_id: page.at(-1)?.id ?? "0",
      has_more: hasMore,
    };
  }

  async function feedback({ request, params }: Call) {
    const conversation = ownConversation(state, params.id ?? "", service.identify(request));
    const message = state.messagesOf(conversation.id).find(({ id }) => id === params.message);
    if (message?.type !== "answer") throw new Refusal(4005, "message not found");
    const body = await readBody(request);
    const type = requiredText(body, "feedback_type");
    if (type !== "like" && type !== "unlike") throw new Refusal(4000, "feedback_type must be like or unlike");
    const comment = optionalText(body, "comment");
    message.feedback = { type, ...(comment === undefined ? {} : { comment }) };
    state.saveMessage(message);
    return {};
  }

  return [
    { method: "POST", path: "/v1/conversations/:id/messages/:message/feedback", handle: feedback },
    { method: "POST", path: "/v1/conversation/message/list", handle: list },
  ];
}

export function wireMessage(message: Message): Readonly<Record<string, unknown>> {
  return {
    id: message.id,
    conversation_id: message.conversationId,
    bot_id: message.botId,
    chat_id: message.chatId,
    section_id: message.sectionId,
    role: message.role,
    type: message.type,
    content: message.content,
    content_type: message.contentType,
    meta_data: message.metaData,
    created_at: message.createdAt,
    updated_at: message.updatedAt,
  };
}

/** Questions and answers: what a conversation shows of itself. The rest belongs to its chat alone. */
function visible(messages: readonly Message[]): Message[] {
  return messages.filter((message) => message.type === "question" || message.type === "answer");
}

/**
 * A page of a list that is already in its order. `before_id` (the last page's `first_id`) asks for the `limit`
 * messages in front of it, `after_id` (its `last_id`) for those behind. `"0"` names no place.
 */
function pageOf(
  list: readonly Message[],
  beforeId: string | undefined,
  afterId: string | undefined,
  limit: number,
): { page: readonly Message[]; hasMore: boolean } {
  const after = placeOf(list, afterId);
  const before = placeOf(list, beforeId);
  const range = list.slice(after === undefined ? 0 : after + 1, before);
  const page = before === undefined ? range.slice(0, limit) : range.slice(-limit);
  return { page, hasMore: range.length > limit };
}

function placeOf(list: readonly Message[], id: string | undefined): number | undefined {
  if (id === undefined || id === "" || id === "0") return undefined;
  const index = list.findIndex((message) => message.id === id);
  if (index < 0) throw new Refusal(4005, "message not found");
  return index;
}
