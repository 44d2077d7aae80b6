import type { App } from "@slack/bolt";

type Listener = (args: { readonly body: object }) => unknown;

/**
 * Notices which messages the app's own listeners are called for, of those that it registers from now on.
 * @param heard told of a message when a listener is called for it
 */
export function noticeOwnListeners(app: App, heard: (body: object) => void): void {
  for (const method of ["message", "event"] as const) {
    const register = app[method].bind(app) as (...args: unknown[]) => void;
    const noticing = (...args: unknown[]) => {
      const listener = args.pop() as Listener;
      register(...args, (told: Parameters<Listener>[0]) => {
        heard(told.body);
        return listener(told);
      });
    };
    Object.assign(app, { [method]: noticing });
  }
}
