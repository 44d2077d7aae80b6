/** Something that happens at a time. */
interface Happening {
  readonly at: number;
  /** Of those of one time, the first one that was planned happens first. */
  readonly order: number;
  run: (() => void) | undefined;
}

/** The one time of a simulation, in milliseconds. It passes as fast as what happens in it is computed. */
export class Timeline {
  /** A binary heap: none is later than the two below it, which are at twice its index plus one and plus two. */
  readonly #planned: Happening[] = [];
  #now = 0;
  #order = 0;

  get now(): number {
    return this.#now;
  }

  /** @returns takes it back */
  at(time: number, run: () => void): () => void {
    const happening: Happening = { at: Math.max(time, this.#now), order: this.#order, run };
    this.#order += 1;
    this.#push(happening);
    return () => {
      happening.run = undefined;
    };
  }

  after(ms: number, run: () => void): () => void {
    return this.at(this.#now + ms, run);
  }

  /** Lets the next thing happen. @returns false where nothing is planned any more */
  step(): boolean {
    for (;;) {
      const next = this.#pop();
      if (next === undefined) return false;
      const { run, at } = next;
      if (run === undefined) continue;
      this.#now = at;
      run();
      return true;
    }
  }

  #push(happening: Happening): void {
    const heap = this.#planned;
    let index = heap.length;
    heap.push(happening);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = heap[above] as Happening;
      if (!isEarlier(happening, other)) break;
      heap[index] = other;
      index = above;
    }
    heap[index] = happening;
  }

  #pop(): Happening | undefined {
    const heap = this.#planned;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      const right = heap[below + 1];
      let other = heap[below];
      if (other === undefined) break;
      if (right !== undefined && isEarlier(right, other)) {
        other = right;
        below += 1;
      }
      if (!isEarlier(other, last)) break;
      heap[index] = other;
      index = below;
    }
    heap[index] = last;
    return first;
  }
}

function isEarlier(one: Happening, other: Happening): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/**
 * Resolves when nothing is left to do at this moment: all that was resolved has been reacted to. The tick that is asked
 * for at the end of the promises' queue comes when that queue is empty.
 */
export function atRest(): Promise<void> {
  return new Promise((resolve) => {
    queueMicrotask(() => process.nextTick(resolve));
  });
}
