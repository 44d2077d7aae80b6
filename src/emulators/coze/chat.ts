import { type AgentPlan, planAfterAction, planAnswer, wordsOf } from "../agent.ts";
import { type ChatRun, runChat, wireChat } from "./chat-run.ts";
import { openStream, silent } from "./chat-stream.ts";
import { type EnteredMessage, enteredMessages, saidIn } from "./content.ts";
import { createConversation, ownConversation, type Service } from "./conversations.ts";
import {
  asFields,
  asList,
  customVariablesOf,
  type Fields,
  metaDataOf,
  optionalFlag,
  optionalText,
  readBody,
  requiredQuery,
  requiredText,
} from "./fields.ts";
import { wireMessage } from "./messages.ts";
import { type Answer, type Call, Refusal, type Route } from "./protocol.ts";
import type { Chat, Conversation, Identity, Message } from "./state.ts";

export interface ChatOptions {
  readonly service: Service;
  /** The published chatflows. */
  readonly workflows: readonly string[];
  /** Throws where the account begins too many chats. */
  readonly limit: () => void;
  readonly wordDelayMs: number;
  readonly closing: AbortSignal;
  readonly onChat: (chat: Chat) => void;
  readonly onChatEnd: (chat: Chat) => void;
}

const maxMessages = 100;

export function chatRoutes({
  service,
  workflows,
  limit,
  wordDelayMs,
  closing,
  onChat,
  onChatEnd,
}: ChatOptions): readonly Route[] {
  const { state } = service;
  const cancels = new Map<string, AbortController>();

  async function create(call: Call): Promise<Answer> {
    const identity = service.identify(call.request);
    const body = await readBody(call.request);
    const asked = readChat(body, service, identity);
    return answer(call, identity, asked, call.query.get("conversation_id") ?? "");
  }

  async function runWorkflow(call: Call): Promise<Answer> {
    const identity = service.identify(call.request);
    const body = await readBody(call.request);
    const asked = readWorkflowChat(body, service, identity, workflows);
    return answer(call, identity, asked, optionalText(body, "conversation_id") ?? "");
  }

  function answer(call: Call, identity: Identity, asked: AskedChat, conversationId: string): Answer {
    limit();
    const known = conversationId === "" ? undefined : ownConversation(state, conversationId, identity);
    const context = known === undefined ? [] : contextOf(known);
    const query = asked.messages.at(-1) ?? context.at(-1);
    if (query?.role !== "user") throw new Refusal(4000, "the last message must be the user's query");
    if (known !== undefined && state.running.has(known.id)) {
      throw new Refusal(4016, "the conversation already has a chat in progress, wait for it or cancel it");
    }
    const said = saidIn(query, state);
    const before = [...context, ...asked.messages]
      .filter((message) => message.role === "user" && message !== query)
      .map((message) => saidIn(message, state).text);
    const stopped = asked.isWorkflow ? stoppedIn(known) : undefined;
    const plan = planned(
      call,
      stopped?.plan ?? planAnswer({ ...said, before, variables: asked.customVariables }),
    );
    const conversation = known ?? createConversation(service, identity, { botId: asked.botId });
    if (known === undefined) service.onConversation(conversation);
    const chat = begin(conversation, asked, wordsOf(said.text).length + before.length, {
      asked: stopped?.asked ?? said.text,
      outputs: stopped?.outputs ?? [],
    });
    keep(conversation, chat, asked.messages, said.text);
    return start(call, chat, plan, asked);

    /** What a chatflow goes on with that stopped for a question. It runs no tools of the client's. */
    function stoppedIn(known: Conversation | undefined) {
      const last = [...state.chats.values()].findLast((chat) => chat.conversationId === known?.id);
      if (last?.status !== "requires_action") return undefined;
      const outputs = [...last.outputs, said.text];
      let plan = planAfterAction(last.asked, outputs);
      while (plan.steps.some((step) => step.type === "action" && step.isQuestion !== true)) {
        outputs.push("unknown");
        plan = planAfterAction(last.asked, outputs);
      }
      return { asked: last.asked, outputs, plan };
    }
  }

  function begin(
    conversation: Conversation,
    asked: AskedChat,
    input: number,
    plan: Pick<Chat, "asked" | "outputs">,
  ): Chat {
    const chat: Chat = {
      id: state.newId(),
      conversationId: conversation.id,
      botId: asked.botId,
      userId: asked.userId,
      sectionId: conversation.sectionId,
      saved: asked.saved,
      metaData: asked.metaData,
      customVariables: asked.customVariables,
      parameters: asked.parameters,
      createdAt: state.now(),
      status: "created",
      endedAt: undefined,
      lastError: { code: 0, msg: "" },
      toolCalls: [],
      ...plan,
      usage: { input, output: 0 },
    };
    state.running.set(conversation.id, chat.id);
    state.saveChat(chat);
    return chat;
  }

  function keep(
    conversation: Conversation,
    chat: Chat,
    messages: readonly EnteredMessage[],
    text: string,
  ): void {
    if (!chat.saved) return;
    const { id: conversationId, sectionId } = conversation;
    for (const message of messages) {
      state.addMessage({ ...message, conversationId, sectionId, chatId: chat.id, botId: chat.botId });
    }
    // Created without a name, a conversation is called after the first thing said in it.
    if (conversation.name === "") conversation.name = Array.from(text).slice(0, 100).join("");
    conversation.updatedAt = state.now();
    state.saveConversation(conversation);
  }

  function start(
    call: Call,
    chat: Chat,
    plan: AgentPlan,
    { stream, isWorkflow }: Pick<AskedChat, "stream" | "isWorkflow">,
  ): Answer {
    const canceled = new AbortController();
    cancels.set(chat.id, canceled);
    const isNew = chat.status === "created";
    const run: Omit<ChatRun, "sink"> = {
      state,
      chat,
      plan,
      wordDelayMs,
      closing,
      canceled: canceled.signal,
      onEnd(ended) {
        cancels.delete(ended.id);
        onChatEnd(ended);
      },
    };
    onChat(chat);
    if (!stream) {
      void runChat({ ...run, sink: silent });
      return { data: wireChat(chat) };
    }
    const done = { debug_url: "https://www.coze.cn/work_flow" };
    const { sink, response } = isWorkflow ? openStream(call, { blank: " ", done }) : openStream(call);
    if (isNew) sink.emit("conversation.chat.created", wireChat(chat));
    void runChat({ ...run, sink });
    return response;
  }

  /** What the agent sees: the current section, without the turns that were cancelled, failed or still run. */
  function contextOf(conversation: Conversation): readonly Message[] {
    return state.messagesOf(conversation.id).filter((message) => {
      if (message.sectionId !== conversation.sectionId) return false;
      if (message.type !== "question" && message.type !== "answer") return false;
      const status = state.chats.get(message.chatId)?.status;
      return status === undefined || status === "completed" || status === "requires_action";
    });
  }

  function find(conversationId: string, chatId: string, identity: Identity): Chat {
    const conversation = ownConversation(state, conversationId, identity);
    const chat = state.chats.get(chatId);
    if (chat?.conversationId !== conversation.id) throw new Refusal(4001, "chat not found");
    return chat;
  }

  function named({ request, query }: Call): Chat {
    const identity = service.identify(request);
    return find(requiredQuery(query, "conversation_id"), requiredQuery(query, "chat_id"), identity);
  }

  const retrieve = (call: Call) => ({ data: wireChat(named(call)) });

  function listMessages(call: Call) {
    const chat = named(call);
    const messages = state
      .messagesOf(chat.conversationId)
      .filter((message) => message.chatId === chat.id && message.role === "assistant");
    return { data: messages.map(wireMessage) };
  }

  async function cancel({ request }: Call) {
    const identity = service.identify(request);
    const body = await readBody(request);
    const chat = find(requiredText(body, "conversation_id"), requiredText(body, "chat_id"), identity);
    if (chat.status !== "created" && chat.status !== "in_progress") {
      throw new Refusal(4104, `a chat that is ${chat.status} cannot be cancelled`);
    }
    chat.status = "canceled";
    chat.endedAt = state.now();
    state.saveChat(chat);
    state.running.delete(chat.conversationId);
    cancels.get(chat.id)?.abort();
    return { data: wireChat(chat) };
  }

  async function submit(call: Call): Promise<Answer> {
    const chat = named(call);
    const body = await readBody(call.request);
    if (!chat.saved) throw new Refusal(5000, "tool outputs need a chat with auto_save_history");
    if (chat.status !== "requires_action") throw new Refusal(4000, "the chat does not wait for tool outputs");
    const outputs = new Map(
      asList(body.tool_outputs, "tool_outputs").map((value) => {
        const output = asFields(value, "tool_outputs");
        return [requiredText(output, "tool_call_id"), optionalText(output, "output") ?? ""] as const;
      }),
    );
    const texts = chat.toolCalls.map(({ id }) => outputs.get(id));
    if (outputs.size !== texts.length || !texts.every((text) => text !== undefined)) {
      throw new Refusal(4000, "tool_outputs must answer each tool call once");
    }
    if (state.running.has(chat.conversationId))
      throw new Refusal(4016, "the conversation has a chat in progress");
    const stream = optionalFlag(body, "stream", false);
    state.running.set(chat.conversationId, chat.id);
    chat.toolCalls = [];
    chat.status = "in_progress";
    chat.outputs = [...chat.outputs, ...texts];
    const plan = planned(call, planAfterAction(chat.asked, chat.outputs));
    return start(call, chat, plan, { stream, isWorkflow: false });
  }

  return [
    { method: "POST", path: "/v3/chat", handle: create },
    { method: "POST", path: "/v1/workflows/chat", handle: runWorkflow },
    // The documents and the Go client read it by GET, the JavaScript and Python clients by POST.
    { method: "GET", path: "/v3/chat/retrieve", handle: retrieve },
    { method: "POST", path: "/v3/chat/retrieve", handle: retrieve },
    { method: "GET", path: "/v3/chat/message/list", handle: listMessages },
    { method: "POST", path: "/v3/chat/cancel", handle: cancel },
    { method: "POST", path: "/v3/chat/submit_tool_outputs", handle: submit },
  ];
}

interface AskedChat {
  readonly isWorkflow: boolean;
  /** Empty for an app's chatflow. */
  readonly botId: string;
  readonly userId: string;
  readonly stream: boolean;
  readonly saved: boolean;
  readonly messages: readonly EnteredMessage[];
  readonly metaData: Readonly<Record<string, string>>;
  readonly customVariables: Readonly<Record<string, string>>;
  readonly parameters: Fields;
}

function readChat(body: Fields, service: Service, identity: Identity): AskedChat {
  const botId = requiredText(body, "bot_id");
  const userId = requiredText(body, "user_id");
  service.checkBot(botId, identity);
  const stream = optionalFlag(body, "stream", false);
  const saved = optionalFlag(body, "auto_save_history", true);
  if (!stream && !saved) throw new Refusal(4007, "stream=false requires auto_save_history=true");
  const list = asList(body.additional_messages, "additional_messages");
  if (list.length > maxMessages) throw new Refusal(4004, `additional_messages exceeds ${maxMessages}`);
  const entry = saved ? "chat" : "unsaved-chat";
  const messages = enteredMessages(list, entry, { state: service.state, identity });
  const parameters = asFields(body.parameters ?? {}, "parameters");
  const customVariables = customVariablesOf(body);
  const metaData = metaDataOf(body);
  return { isWorkflow: false, botId, userId, stream, saved, messages, metaData, customVariables, parameters };
}

const maxWorkflowMessages = 50;

function readWorkflowChat(
  body: Fields,
  service: Service,
  identity: Identity,
  workflows: readonly string[],
): AskedChat {
  if (!workflows.includes(requiredText(body, "workflow_id")))
    throw new Refusal(4200, "the workflow does not exist, or is not published");
  const botId = optionalText(body, "bot_id") ?? "";
  const appId = optionalText(body, "app_id") ?? "";
  if ((botId === "") === (appId === "")) throw new Refusal(4000, "one of bot_id and app_id is required");
  if (botId !== "") service.checkBot(botId, identity);
  const list = asList(body.additional_messages, "additional_messages");
  if (list.length > maxWorkflowMessages) throw new Refusal(4004, "additional_messages exceeds 50");
  const messages = enteredMessages(list, "chat", { state: service.state, identity });
  if (messages.some(({ contentType }) => contentType !== "text"))
    throw new Refusal(4000, "content_type must be text");
  if (body.parameters === undefined) throw new Refusal(4000, "The field parameters is required");
  const parameters = asFields(body.parameters, "parameters");
  const userId = optionalText(asFields(body.ext ?? {}, "ext"), "user_id") ?? "";
  const common = { stream: true, saved: true, metaData: {}, customVariables: {} };
  return { isWorkflow: true, botId, userId, messages, parameters, ...common };
}

/** The agent's plan, or the failure that a queued fault puts in its place. */
function planned(call: Call, plan: AgentPlan): AgentPlan {
  if (plan.early !== undefined) throw new Refusal(plan.early, "refused on request");
  const failed = call.fault.chatFailed;
  return failed === undefined ? plan : { steps: [{ type: "fail", text: "", ...failed }] };
}
