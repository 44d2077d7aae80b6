import { describe, expect, it } from "vitest";
import { Variables } from "../../src/cli/variables.ts";

const names = [
  ...[
    "APARTE_SECRET",
    "APARTE_OTHER_SECRETS",
    "APARTE_STORE",
    "APARTE_FOLDER",
    "APARTE_SCOPE",
    "APARTE_OVERLAP",
  ],
  ...["APARTE_TURNS_PER_MINUTE", "APARTE_TENANT_TURNS_PER_MINUTE", "APARTE_PAGE", "APARTE_LINK_HOSTS"],
  ...[
    "APARTE_FRESH_AFTER",
    "APARTE_RETENTION",
    "APARTE_ENCRYPT",
    "COZE_APP_ID",
    "COZE_KEY_ID",
    "COZE_BOT_ID",
  ],
  ...["COZE_PRIVATE_KEY", "COZE_PRIVATE_KEY_FILE", "COZE_REGION", "COZE_BASE_URL", "COZE_ACCOUNT_ID"],
  ...["COZE_ENTERPRISE_ID", "COZE_CONNECTOR_ID", "COZE_QPS", "SONAOPS_BASE_URL", "SONAOPS_API_KEY"],
  ...["SONAOPS_API_SECRET", "SONAOPS_AGENT_ID", "SONAOPS_AGENT_NAME", "SONAOPS_PROFILE", "DIALOGFLOW_AGENT"],
  ...["DIALOGFLOW_CREDENTIALS_FILE", "DIALOGFLOW_ENVIRONMENT", "DIALOGFLOW_LANGUAGE", "DIALOGFLOW_BASE_URL"],
  ...["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_PORT", "SLACK_AGENT_VIEW"],
  ...["SLACK_API_URL", "DISCORD_TOKEN", "DISCORD_API_URL"],
];

describe("A variable of the program", () => {
  it.each(names)("is known, and told where it is written wrong: %s", (name) => {
    expect(() => new Variables({ [name]: "1" })).not.toThrow();
    const slip = name.replace(/.$/, "");
    expect(() => new Variables({ [slip]: "1" })).toThrow(
      expect.objectContaining({ field: slip, message: expect.stringContaining(`Did you mean ${name}?`) }),
    );
  });

  it("is told otherwise where it is one of ours, and where it may be another program's", () => {
    expect(() => new Variables({ APARTE_STOER: "1" })).toThrow(
      "APARTE_STOER does not exist. Did you mean APARTE_STORE?",
    );
    expect(() => new Variables({ SLACK_PROT: "1" })).toThrow(
      "SLACK_PROT is not read. Did you mean SLACK_PORT? Another program's is to be unset here.",
    );
    const all = names.filter((name) => name.startsWith("APARTE_")).join(", ");
    expect(() => new Variables({ APARTE_EVERYTHING: "1" })).toThrow(
      `APARTE_EVERYTHING does not exist. There are: ${all}.`,
    );
    // What is set already was not meant.
    expect(() => new Variables({ DISCORD_BOT_TOKEN: "1", DISCORD_TOKEN: "1" })).not.toThrow();
    expect(() => new Variables({ MY_SLACK_PROT: "1", XAPARTE_STOER: "1" })).not.toThrow();
  });
});
