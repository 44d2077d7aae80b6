/** Why this version of Node cannot run aparte, if it cannot. An old Node must be able to read this file. */
export function nodeProblem(version: string): string | undefined {
  const [major, minor] = version.split(".").map(Number) as [number, number];
  if (major > 20 || (major === 20 && minor >= 19)) return undefined;
  return `aparte needs Node 20.19 or later, and this is ${version}. See https://nodejs.org\n`;
}
