import type { App, BlockAction, ButtonAction } from "@slack/bolt";
import type { SessionMapper, Speaker } from "aparte";
import { actions } from "./buttons.ts";
import { privately } from "./commands.ts";
import type { Feedback } from "./options.ts";
import { type Place, readPlace } from "./speaker.ts";

export interface ControlsOptions {
  readonly mapper: SessionMapper;
  readonly agentView: boolean;
  readonly onFeedback: ((feedback: Feedback) => unknown) | undefined;
  readonly speakerAt: (place: Place) => Promise<Speaker>;
}

/** What people do with the buttons of answers, and with Slack's own button that stops an agent. */
export function listenToControls(app: App, options: ControlsOptions): void {
  const { mapper, agentView, onFeedback, speakerAt } = options;
  const whoActed = async (body: object) => {
    const place = readPlace(body, agentView);
    return place === undefined ? undefined : { place, speaker: await speakerAt(place) };
  };

  app.action(actions.stop, async ({ ack, body, respond }) => {
    await ack();
    const { speaker } = (await whoActed(body)) ?? {};
    if (speaker === undefined || (await mapper.stop(speaker))) return;
    await respond(privately(mapper.texts(speaker)("nothing-runs")));
  });

  app.action(actions.new, async ({ ack, body, respond }) => {
    await ack();
    const { speaker } = (await whoActed(body)) ?? {};
    if (speaker === undefined) return;
    await mapper.reset(speaker);
    await respond(privately(mapper.texts(speaker)("begun-anew")));
  });

  app.action<BlockAction<ButtonAction>>(actions.question, async ({ ack, body, action }) => {
    const { place, speaker } = (await whoActed(body)) ?? {};
    const { channel, user } = place ?? {};
    const { value, action_ts } = action;
    const ts = body.message?.ts;
    if (place !== undefined && speaker !== undefined && channel !== undefined && ts && value) {
      const { installation, userTeam, thread } = place;
      const replyTo = {
        ...{ ...installation, channel, ts, user: place.user, userTeam },
        ...(thread === undefined ? {} : { thread }),
      };
      // Whoever presses a button twice asks twice; Slack's own repetition has the same time.
      const id = `${channel}:${ts}:${user}:${action_ts}`;
      // What goes wrong here was logged by the mapper, and told to the person through `deliver`.
      await mapper.receive({ ...speaker, id, text: value, replyTo }).catch(() => {});
    }
    await ack();
  });

  app.action<BlockAction>(actions.feedback, async ({ ack, body, action, respond }) => {
    await ack();
    const { speaker } = (await whoActed(body)) ?? {};
    const ts = body.message?.ts;
    if (speaker === undefined || ts === undefined) return;
    await onFeedback?.({ speaker, ts, isPositive: Reflect.get(action, "value") === "good" });
    await respond(privately(mapper.texts(speaker)("feedback-thanks")));
  });

  app.event("agent_session_stopped", async ({ body }) => {
    const { speaker } = (await whoActed(body)) ?? {};
    if (speaker !== undefined) await mapper.stop(speaker);
  });
}
