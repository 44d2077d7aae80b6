import { setTimeout as sleep } from "node:timers/promises";
import { sinceStart } from "./clock.ts";
import type { Ledger, Person } from "./ledger.ts";
import type { Platform } from "./platforms/platform.ts";
import { Random } from "./random.ts";

/** The longest that somebody waits for an answer before they go on talking, in milliseconds. */
const answerMs = 20_000;

/** Says nothing that the stand-in agent understands in a special way. */
const filler =
  "the quick brown fox jumps over a lazy dog while seven ducks swim across one quiet pond and nobody counts the ripples";

/** Lets people talk, so many at a time, until this moment; then resolves when the last ones have said their word. */
export async function talk(
  atOnce: number,
  until: number,
  platforms: ReadonlyMap<string, Platform>,
  ledger: Ledger,
  seed: number,
): Promise<number> {
  let people = 0;
  const names = [...platforms.keys()];
  const one = async () => {
    while (sinceStart() < until) {
      const number = people;
      people += 1;
      const random = new Random(seed, `person ${number}`);
      const platform = names[number % names.length] ?? "";
      const person: Person = { number, platform, isDirect: random.chance(0.6) };
      await conversation(person, platforms.get(platform), until, ledger, random);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return people;
}

async function conversation(
  person: Person,
  platform: Platform | undefined,
  until: number,
  ledger: Ledger,
  random: Random,
): Promise<void> {
  // Some say so much that their answers, which repeat it, need several posts.
  const isLong = random.chance(0.2);
  const messages = isLong ? 25 : 3 + random.index(12);
  for (let index = 0; index < messages && sinceStart() < until; index += 1) {
    const short = random.chance(0.05) ? "hello slow: 150" : "hello";
    const said = ledger.say(person, index, isLong ? filler : short);
    await platform?.say(said);
    // Half of the time they do not wait for the answer.
    if (random.chance(0.5)) await ledger.untilShown(said, answerMs);
    else await sleep(random.between(0, 500));
  }
}
