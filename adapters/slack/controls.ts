import type { App, BlockAction, ButtonAction } from "@slack/bolt";
import type { SessionMapper } from "aparte";
import { actions, questionAction, readFeedback } from "./buttons.ts";
import type { Commands } from "./commands.ts";
import type { SlackSettings } from "./options.ts";
import { addressIn, readPlace } from "./speaker.ts";

/** What people do with the buttons of answers, and with Slack's own button that stops an agent. */
export function listenToControls(
  app: App,
  mapper: SessionMapper,
  { agentView, onFeedback }: SlackSettings,
  commands: Commands,
): void {
  app.action(actions.stop, (asked) =>
    commands.answer(asked, async (who) =>
      (await mapper.stop(who)) ? undefined : mapper.texts(who)("nothing-runs"),
    ),
  );

  app.action(actions.new, (asked) => commands.answer(asked, (who) => commands.run(who, "new")));

  app.action<BlockAction<ButtonAction>>(questionAction, async ({ ack, body, action }) => {
    const place = readPlace(body, agentView);
    const speaker = await commands.speakerOf(body);
    const { channel, user } = place ?? {};
    const { value, action_ts } = action;
    const ts = body.message?.ts;
    if (place !== undefined && speaker !== undefined && channel !== undefined && ts && value) {
      const replyTo = addressIn(place, channel, ts);
      // Whoever presses a button twice asks twice; Slack's own repetition has the same time.
      const id = `${channel}:${ts}:${user}:${action_ts}`;
      // What goes wrong here was logged by the mapper, and told to the person through `deliver`.
      await mapper.receive({ ...speaker, id, text: value, replyTo }).catch(() => {});
    }
    await ack();
  });

  app.action<BlockAction>(actions.feedback, async (asked) => {
    const ts = asked.body.message?.ts;
    const press = readFeedback(Reflect.get(asked.action, "value"));
    if (ts === undefined || press === undefined) return asked.ack();
    const { isPositive, user, answer } = press;
    await commands.answer(asked, async (who) => {
      // The answer is in the conversation of whoever asked.
      const isOwn = answer !== undefined && who.user === user;
      if (!isOwn && onFeedback === undefined) return mapper.texts(who)("not-yours");
      if (isOwn) await mapper.feedback(who, answer, isPositive ? "up" : "down");
      await onFeedback?.({ speaker: who, ts, isPositive });
      return mapper.texts(who)("feedback-thanks");
    });
  });

  app.event("agent_session_stopped", async ({ body }) => {
    const speaker = await commands.speakerOf(body);
    if (speaker !== undefined) await mapper.stop(speaker);
  });
}
