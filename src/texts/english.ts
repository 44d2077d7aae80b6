/**
 * Every sentence of aparte that a person may read, by its code. `{name}` stands for a fact that is known when the
 * sentence is said.
 */
export const english = {
  // What stands behind a failure, so that the log is found by it.
  "with-reference": "{text} (ref {reference})",

  // Failures, by the codes of errors. Some are notices too.
  "option-invalid": "This bot is not set up correctly.",
  "input-invalid": "I could not read that message.",
  "file-too-large": "A file of your message is too large for me.",
  "agent-unknown": "I do not know that agent.",
  "store-failed": "I cannot reach my memory right now. Please try again in a moment.",
  "store-timeout": "I cannot reach my memory right now. Please try again in a moment.",
  "store-unreadable": "I cannot read what I know of our conversation.",
  "hook-failed": "Something went wrong on my side.",
  "lease-lost": "Another copy of me goes on with this message.",
  "wait-timeout": "I did not get to your message in time. Please send it again.",
  "turn-timeout": "That took too long. Please try again.",
  stopped: "Stopped.",
  "turn-over": "That came too late.",
  busy: "One moment, please: I am still answering your last message.",
  full: "Too many of your messages are waiting. Send this one again later.",
  limited: "That was a lot in a short time. Please come back in {seconds} s.",
  duplicate: "This message was handled before.",
  paused: "A human answers here now.",
  "no-answer": "The agent had nothing to say to that.",
  "answer-lost": "My answer to this message was lost. Please send it again.",
  "backend-auth": "The agent does not accept me right now.",
  "backend-rejected": "The agent could not take that message.",
  "backend-refused-content": "The agent refused that content.",
  "backend-rate-limited": "The agent is very busy. Please try again in a minute.",
  "backend-quota": "The agent has used up its quota.",
  "backend-unavailable": "I cannot reach the agent right now. Please try again.",
  "backend-timeout": "The agent did not answer in time. Please try again.",
  "backend-stream-cut": "The answer broke off. Please try again.",
  "backend-failed": "The agent failed to answer. Please try again.",
  "backend-protocol": "The agent answered in a way I do not understand.",
  "backend-unsupported": "This agent cannot do that.",
  "action-required": "The agent asked for something this bot cannot do.",
  "conversation-lost": "Our earlier conversation is gone. Please try again.",
  "conversation-busy": "The agent is still busy with an earlier message.",
  closed: "I am restarting. Please try again in a moment.",

  // Notices of a turn.
  merged: "This message is answered together with a later one.",
  interrupted: "Stopped, since a new message came.",
  "file-lost": "A file of an earlier message was lost. Please send it again.",
  undelivered: "My last answer could not be delivered. Here it is:\n\n{answer}",
  "undelivered-elsewhere": "My last answer to you could not be delivered. Ask again, and I will repeat it.",
  "agent-asks": "The agent asks you something.",
  "too-long":
    "Your message has {length} characters, and I can read {most} at most. Please send it in shorter parts.",
  "new-conversation": "Our earlier conversation is gone, so we start a new one.",
  "conversation-over": "It has been a while, so we start a new conversation.",
  "session-over": "We have not spoken for a while, and I could not go on where we were. We begin anew.",
  "session-half-over":
    "We have not spoken for a while. I know where we were, but not all of what you told me.",

  // What an adapter says of a reply's events.
  "you-could-ask": "You could ask:",
  handoff: "A human takes over from here.",
  "conversation-ended": "This conversation has ended. Your next message begins a new one.",
  thinking: "is thinking…",
  "whole-in-file": "The whole answer is in the file.",

  // What an adapter says by itself.
  "bare-mention": "Yes? Write your question behind my name.",
  "words-unreadable": "I cannot read this message. Please mention me in it.",
  "nothing-to-read": "There is nothing in that message that I can read.",
  "permissions-missing": "I may not answer you in {channel}. I need these permissions there: {permissions}.",
  "not-yours": "That is not yours: it belongs to another person's answer.",
  "nothing-runs": "There is nothing of yours that I could stop here.",
  "begun-anew": "I have forgotten what we talked about.",
  "conversation-named": "Our conversation has its name.",
  "agent-chosen": "You talk to {agent} now.",
  "agents-listed": "You talk to {agent}. There are: {agents}. Say: !use NAME",
  "agent-not-there": "There is no agent of that name. There are: {agents}.",
  erased: "All that was kept of you here is erased.",
  "erased-here":
    "All that was kept of you here is erased. The agent's service cannot erase what it has, or is asked again until it does.",
  "feedback-thanks": "Thank you: I have passed it on.",
  privacy:
    "What you say to me goes to an agent's service, under a name that tells it nothing about you. Nobody else sees our conversation. With /new the agent forgets it, with /forget all that is kept of you here is erased.",

  // What Slack's commands say. `{command}` is how it is written there.
  "usage-new": "`{command}` begins a new conversation: the agent forgets what was said",
  "usage-name": "`{command}` gives our conversation a name",
  "usage-use": "`{command}` chooses the agent that you talk to",
  "usage-stop": "`{command}` stops the answer that is being written for you",
  "usage-kept": "`{command}` tells what is kept of you",
  "usage-forget": "`{command}` erases all that is kept of you",
  "anew-each-message": "Here each new message begins a new conversation.",
  "in-a-thread": "Here each of our threads is a conversation of its own. In one of them, say: `{command}`.",
  "agents-offered": "You can talk to: {agents}. To choose: `{command}`.",
  "kept-nothing": "Nothing is kept of you.",
  "kept-this": "This is kept of you:",
  "kept-direct": "in private",
  "kept-channels": "in channels",
  "kept-channel": "in {channel}",
  "kept-conversation": "a conversation with {agent}",
  "kept-messages": "a conversation with {agent} (messages: {count})",
  "kept-choice": "you chose {agent}",
  "kept-line": "your place in line",
  "kept-where":
    "What you say goes to the agent's service, under a name that tells it nothing about you. `{command}` erases all of it.",

  // Buttons and commands.
  "button-stop": "Stop",
  "button-new": "New conversation",
  "button-good": "Good answer",
  "button-bad": "Bad answer",
  "command-ask": "Ask the agent",
  "command-ask-question": "What you want to know",
  "command-ask-private": "Only you see the question and the answer",
  "command-new": "Begin a new conversation: the agent forgets what was said",
  "command-title": "Name our conversation",
  "command-title-title": "The name",
  "command-stop": "Stop the answer that is being written for you here",
  "command-privacy": "What happens with what you say",
  "command-forget": "Erase our conversation, and all that is kept of you here",
  "command-agent": "Choose the agent that you talk to",
  "command-agent-agent": "Its name",
  "command-ask-about": "Ask about this",

  // What the web handler refuses.
  unauthenticated: "Please sign in first.",
  forbidden: "You may not speak there.",
  "foreign-origin": "Pages of other sites may not speak here.",
  "not-found": "There is no answer to that message here, or no longer.",
  "method-not-allowed": "Use POST, GET or DELETE.",
  "too-large": "The message is larger than {most} bytes.",
  "type-unsupported": "Send application/json, or multipart/form-data where there are files.",
  "header-missing": 'A multipart message needs the header "{header}: 1".',
  overloaded: "Too much is waiting at this moment. Please try again.",
  internal: "Something went wrong here. Please try again.",
  "authentication-unavailable": "I cannot tell who you are right now. Please try again.",
} as const;

/** The closed set of our sentences; the errors' codes among them. */
export type TextCode = keyof typeof english;

/** All sentences of one language. */
export type TextTable = { readonly [Code in TextCode]: string };
