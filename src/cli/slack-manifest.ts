/**
 * The manifest that `aparte slack manifest` prints, for the environment that the program will run in: Socket Mode, or
 * HTTP where there is a signing secret.
 */
export async function slackManifestText(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const { slackManifest } = await import("aparte/slack");
  const isHttp = env.SLACK_SIGNING_SECRET !== undefined && env.SLACK_APP_TOKEN === undefined;
  const manifest = slackManifest({
    agentView: env.SLACK_AGENT_VIEW !== "false",
    ...(isHttp ? { requestUrl: "https://YOUR-HOST/slack/events" } : {}),
  });
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
