import type { App, InstallationStore } from "@slack/bolt";

/** Forgets the installation of a workspace that removed the app, or took the bot's token back. */
export function listenToRemovals(app: App, installations: InstallationStore): void {
  const remove = async (body: { team_id?: string; enterprise_id?: string; authorizations?: unknown[] }) => {
    const [authorization] = (body.authorizations ?? []) as { is_enterprise_install?: boolean }[];
    const { team_id: teamId, enterprise_id: enterpriseId } = body;
    const isEnterpriseInstall = authorization?.is_enterprise_install === true || teamId === undefined;
    await installations.deleteInstallation?.({ teamId, enterpriseId, isEnterpriseInstall } as never);
  };
  app.event("app_uninstalled", async ({ body }) => remove(body));
  app.event("tokens_revoked", async ({ body, event }) => {
    if ((event.tokens.bot ?? []).length > 0) await remove(body);
  });
}
