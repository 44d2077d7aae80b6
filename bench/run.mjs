// Figures, side by side in one run. Read the ratios: the numbers depend on the machine.
import { fileURLToPath } from "node:url";
import { benchCrowd } from "./crowd.mjs";
import { benchInstalled } from "./installed.mjs";
import { benchMemory } from "./memory.mjs";
import { benchRedis } from "./redis.mjs";
import { benchThroughput } from "./throughput.mjs";
import { benchTokens } from "./tokens.mjs";
import { benchTurns } from "./turns.mjs";

console.log(`Node ${process.version}\n`);
await benchTurns();
await benchRedis();
await benchThroughput();
await benchCrowd();
await benchTokens();
await benchMemory();
benchInstalled(fileURLToPath(new URL("..", import.meta.url)));
