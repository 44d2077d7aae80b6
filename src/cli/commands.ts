import type { SessionMapper } from "../mapper.ts";
import type { Middleware } from "../turn/middleware.ts";

/**
 * What people can tell the bot itself: `!reset` lets the agent forget, `!agents` lists the agents, and `!use NAME`
 * chooses one until another is chosen.
 */
export function commands(mapper: SessionMapper): Middleware {
  return async (turn, next) => {
    const texts = mapper.texts(turn.message);
    const [command, name = ""] = turn.text.trim().split(/\s+/, 2);
    switch (command) {
      case "!reset":
        await mapper.reset(turn.message);
        return turn.say(texts("begun-anew"));
      case "!agents": {
        const agents = await mapper.agents(turn.message);
        return turn.say(texts("agents-listed", { agent: turn.agent, agents: agents.join(", ") }));
      }
      case "!use": {
        const agents = await mapper.agents(turn.message);
        if (!agents.includes(name)) return turn.say(texts("agent-not-there", { agents: agents.join(", ") }));
        await mapper.select(turn.message, name);
        return turn.say(texts("agent-chosen", { agent: name }));
      }
      default:
        return next();
    }
  };
}
