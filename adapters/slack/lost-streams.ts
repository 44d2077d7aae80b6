import type { ShownPostsOptions } from "./shown-posts.ts";

/**
 * A stream of the reply that may stand there without our knowing its name: Slack's answer was lost, or the process died
 * before it wrote the name down. A stream bears no mark until it ends, so it is known by its words.
 */
export class LostStreams {
  readonly #options: ShownPostsOptions;
  #words: string | undefined;

  constructor(options: ShownPostsOptions) {
    this.#options = options;
  }

  /** The first words of a stream that may have begun, also in an earlier delivery. */
  get words(): string | undefined {
    const { words } = (this.#options.delivery.posts ?? {}) as { readonly words?: unknown };
    return this.#words ?? (typeof words === "string" ? words : undefined);
  }

  set words(words: string) {
    this.#words = words;
  }

  /**
   * Removes it once the whole reply stands elsewhere: by now all living streams have other words. Were it another
   * person's after all, that reply would be posted anew.
   * @param posts where the reply stands
   * @param texts what it says there
   */
  async remove(posts: readonly string[], texts: readonly string[]): Promise<void> {
    const { api, delivery, workspace } = this.#options;
    const { words } = this;
    if (api.thread === undefined || (words === undefined && !delivery.isRepeated)) return;
    const open = (await api.openStreams()).filter(
      ({ ts }) => !workspace.streams.has(ts) && !posts.includes(ts),
    );
    const isOwn = (shown: string) =>
      words === undefined ? shown !== "" && texts.some((text) => text.startsWith(shown)) : shown === words;
    // In a direct message nobody else is answered, and nothing of this person's before this reply is done.
    const found = api.isDirect ? open : open.filter(({ shown }) => isOwn(shown));
    if (found.length > 1 && !api.isDirect) return;
    for (const { ts } of found) {
      await delivery.permit();
      await api.remove(ts);
    }
  }
}
