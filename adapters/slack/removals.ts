import type { App } from "@slack/bolt";
import type { SessionMapper } from "aparte";
import { sessionsOf } from "./kept.ts";
import type { SlackSettings } from "./options.ts";

interface Removal {
  readonly team_id?: string;
  readonly enterprise_id?: string;
  readonly authorizations?: readonly unknown[];
}

/** Forgets the installation of a workspace that removed the app, or took the bot's token back. */
export function listenToRemovals(
  app: App,
  mapper: SessionMapper,
  { bot, installations, eraseRemoved }: SlackSettings,
): void {
  const forget = async (body: Removal) => {
    const removed = read(body);
    await installations?.deleteInstallation?.(removed as never);
    return removed;
  };
  app.event("app_uninstalled", async ({ body }) => {
    const { teamId, enterpriseId, isEnterpriseInstall } = await forget(body);
    const tenant = isEnterpriseInstall ? enterpriseId : teamId;
    if (!eraseRemoved || !tenant) return;
    for await (const { sessionName } of sessionsOf(mapper, { tenant, ...(bot === undefined ? {} : { bot }) }))
      await mapper.forget(sessionName);
  });
  app.event("tokens_revoked", async ({ body, event }) => {
    if ((event.tokens.bot ?? []).length > 0) await forget(body);
  });
}

function read({ team_id: teamId, enterprise_id: enterpriseId, authorizations = [] }: Removal) {
  const [authorization] = authorizations as { readonly is_enterprise_install?: boolean }[];
  const isEnterpriseInstall = authorization?.is_enterprise_install === true || teamId === undefined;
  return { teamId, enterpriseId, isEnterpriseInstall };
}
