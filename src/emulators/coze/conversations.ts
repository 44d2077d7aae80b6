import { enteredMessages } from "./content.ts";
import {
  asList,
  metaDataOf,
  nameOf,
  optionalInteger,
  optionalText,
  readBody,
  requiredQuery,
  requiredText,
} from "./fields.ts";
import { type Call, Refusal, type Route } from "./protocol.ts";
import type { Conversation, CozeState, Identity } from "./state.ts";

/** What the handlers of the service share. */
export interface Service {
  readonly state: CozeState;
  readonly identify: (request: Request) => Identity;
  /** Refuses a bot that does not exist (4006), is not published (4015), or is outside the token's scope (4101). */
  readonly checkBot: (botId: string, identity: Identity) => void;
  readonly onConversation: (conversation: Conversation) => void;
}

const apiConnector = "1024";

/** The conversation, if the token's session made it. To any other session it does not exist. */
export function ownConversation(state: CozeState, id: string, identity: Identity): Conversation {
  const conversation = state.conversations.get(id);
  if (
    conversation === undefined ||
    conversation.accountId !== identity.accountId ||
    conversation.sessionName !== identity.sessionName
  ) {
    throw new Refusal(4002, "conversation not found, or it is not yours");
  }
  return conversation;
}

export function createConversation(
  service: Service,
  identity: Identity,
  draft: Partial<Pick<Conversation, "botId" | "connectorId" | "name" | "metaData">>,
): Conversation {
  const conversation = service.state.addConversation({
    accountId: identity.accountId,
    sessionName: identity.sessionName,
    botId: draft.botId ?? "",
    connectorId: draft.connectorId ?? apiConnector,
    name: draft.name ?? "",
    metaData: draft.metaData ?? {},
  });
  return conversation;
}

export function conversationRoutes(service: Service): readonly Route[] {
  const { state } = service;

  async function create({ request }: Call) {
    const identity = service.identify(request);
    const body = await readBody(request);
    const botId = optionalText(body, "bot_id");
    if (botId !== undefined) service.checkBot(botId, identity);
    const connectorId = optionalText(body, "connector_id");
    const entered = asList(body.messages, "messages");
    if (entered.length > 16) throw new Refusal(4000, "messages: at most 16");
    const messages = enteredMessages(entered, "conversation", { state, identity });
    const conversation = createConversation(service, identity, {
      name: nameOf(optionalText(body, "name") ?? ""),
      metaData: metaDataOf(body),
      ...(botId === undefined ? {} : { botId }),
      ...(connectorId === undefined ? {} : { connectorId }),
    });
    for (const message of messages) {
      state.addMessage({
        ...message,
        conversationId: conversation.id,
        sectionId: conversation.sectionId,
        chatId: "",
        botId: "",
      });
    }
    service.onConversation(conversation);
    return { data: wire(conversation) };
  }

  function retrieve({ request, query }: Call) {
    const identity = service.identify(request);
    return { data: wire(ownConversation(state, requiredQuery(query, "conversation_id"), identity)) };
  }

  function list({ request, query }: Call) {
    const identity = service.identify(request);
    const botId = requiredQuery(query, "bot_id");
    service.checkBot(botId, identity);
    const pageNum = optionalInteger(query.get("page_num"), "page_num", { min: 1, max: 1e9, otherwise: 1 });
    const pageSize = optionalInteger(query.get("page_size"), "page_size", { min: 1, max: 50, otherwise: 50 });
    const sortOrder = (query.get("sort_order") ?? "DESC").toUpperCase();
    if (sortOrder !== "ASC" && sortOrder !== "DESC")
      throw new Refusal(4000, "sort_order must be ASC or DESC");
    const connectorId = query.get("connector_id") ?? apiConnector;
    const own = state
      .conversationsOf(identity)
      .filter((conversation) => conversation.botId === botId && conversation.connectorId === connectorId)
      .sort((a, b) => (sortOrder === "ASC" ? a.order - b.order : b.order - a.order));
    const end = pageNum * pageSize;
    return {
      data: { conversations: own.slice(end - pageSize, end).map(wire), has_more: own.length > end },
    };
  }

  async function rename({ request, params }: Call) {
    const identity = service.identify(request);
    const conversation = ownConversation(state, params.id ?? "", identity);
    conversation.name = nameOf(requiredText(await readBody(request), "name"));
    conversation.updatedAt = state.now();
    state.saveConversation(conversation);
    return { data: wire(conversation) };
  }

  function remove({ request, params }: Call) {
    state.dropConversation(ownConversation(state, params.id ?? "", service.identify(request)));
    return {};
  }

  // The body is not even looked at: the official client sends none, and calls it a form.
  function clear({ request, params }: Call) {
    const conversation = ownConversation(state, params.id ?? "", service.identify(request));
    conversation.sectionId = state.newId();
    conversation.updatedAt = state.now();
    state.saveConversation(conversation);
    return { data: { id: conversation.sectionId, conversation_id: conversation.id } };
  }

  return [
    { method: "POST", path: "/v1/conversation/create", handle: create },
    { method: "GET", path: "/v1/conversation/retrieve", handle: retrieve },
    { method: "GET", path: "/v1/conversations", handle: list },
    { method: "PUT", path: "/v1/conversations/:id", handle: rename },
    { method: "DELETE", path: "/v1/conversations/:id", handle: remove },
    { method: "POST", path: "/v1/conversations/:id/clear", handle: clear },
  ];
}

function wire(conversation: Conversation) {
  return {
    id: conversation.id,
    name: conversation.name,
    meta_data: conversation.metaData,
    creator_id: conversation.accountId,
    connector_id: conversation.connectorId,
    created_at: conversation.createdAt,
    updated_at: conversation.updatedAt,
    last_section_id: conversation.sectionId,
  };
}
