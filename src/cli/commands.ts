import type { SessionMapper } from "../mapper.ts";
import type { Middleware } from "../turn/middleware.ts";

/**
 * What people can tell the bot itself: `!reset` lets the agent forget, `!agents` lists the agents, and `!use NAME`
 * chooses one until another is chosen.
 */
export function commands(mapper: SessionMapper): Middleware {
  return async (turn, next) => {
    const [command, name = ""] = turn.text.trim().split(/\s+/, 2);
    switch (command) {
      case "!reset":
        await mapper.reset(turn.message);
        return turn.say("I have forgotten what we talked about.");
      case "!agents": {
        const agents = await mapper.agents(turn.message);
        return turn.say(`You talk to ${turn.agent}. There are: ${agents.join(", ")}. Say: !use NAME`);
      }
      case "!use": {
        const agents = await mapper.agents(turn.message);
        if (!agents.includes(name))
          return turn.say(`There is no agent of that name. There are: ${agents.join(", ")}.`);
        await mapper.select(turn.message, name);
        return turn.say(`You talk to ${name} now.`);
      }
      default:
        return next();
    }
  };
}
