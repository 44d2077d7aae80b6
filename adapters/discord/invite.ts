/** Permissions that answers need: to see, to write (in threads too), to attach, to reply. */
const needed = (1n << 10n) | (1n << 11n) | (1n << 15n) | (1n << 16n) | (1n << 38n);
const createThreads = 1n << 35n;

/** The link by which people add the bot to their guild, with the permissions that it needs. */
export function inviteLink(applicationId: string, openThreads: boolean): string {
  const permissions = String(openThreads ? needed | createThreads : needed);
  const query = new URLSearchParams({
    client_id: applicationId,
    scope: "bot applications.commands",
    permissions,
  });
  return `https://discord.com/oauth2/authorize?${query}`;
}
