/** Runs each contender in turn, again and again, so that all meet the same weather; answers medians. */
export async function sideBySide(contenders, { rounds = 7, turns = 4_000 } = {}) {
  const times = new Map(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await contender.run(turns);
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of contenders) times.get(contender.name).push(await contender.run(turns));
  }
  return new Map([...times].map(([name, all]) => [name, median(all)]));
}

export function median(values) {
  const sorted = [...values].sort((one, two) => one - two);
  return sorted[Math.floor(sorted.length / 2)];
}

export function row(what, value, goal = "") {
  console.log(`${what.padEnd(66)} ${String(value).padStart(16)}   ${goal}`);
}
