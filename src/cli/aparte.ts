#!/usr/bin/env node
// An old Node must be able to read this file: it loads the others only where they can run.

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `aparte needs Node 20.19 or later, and this is ${process.versions.node}. See https://nodejs.org\n`,
  );
  process.exitCode = 2;
} else if (process.argv[2] === "emulator") {
  process.argv.splice(2, 1);
  await import("./emulator.ts");
} else if (process.argv[2] === "slack" && process.argv[3] === "manifest") {
  const { slackManifestText } = await import("./slack-manifest.ts");
  process.stdout.write(await slackManifestText(process.env));
} else {
  await import("./main.ts");
}
