import type { ReplyEvent } from "aparte";
import { oneLine } from "aparte/adapter";

/** Slack's bounds: images of a message, with room for its other blocks; characters of an address, and of the words for an image. */
const most = 40;
const urlLength = 3_000;
const nameLength = 2_000;

/** The images of a reply: shown below its words, or links among them where Slack takes none. */
export class Images {
  readonly #images: (ReplyEvent & { readonly type: "file" })[] = [];
  #areLinks = false;

  /** @returns false for what is no image that Slack can show */
  add(event: ReplyEvent): boolean {
    if (event.type !== "file" || event.kind !== "image") return false;
    if (event.url.length > urlLength || this.size === most) return false;
    this.#images.push(event);
    return true;
  }

  get size(): number {
    return this.#images.length;
  }

  /** Slack took the blocks of this reply for wrong. @returns whether images may be why */
  drop(): boolean {
    const mayBeWhy = !this.#areLinks && this.size > 0;
    this.#areLinks = true;
    return mayBeWhy;
  }

  get blocks(): object[] {
    if (this.#areLinks) return [];
    return this.#images.map(({ url, name }) => ({
      type: "image",
      image_url: url,
      alt_text: oneLine(name || url, nameLength),
    }));
  }

  /**
   * What is said of them among the words.
   * @param isPlain whether there are no blocks
   * @param isAll whether nothing else is said
   */
  words(isPlain: boolean, isAll: boolean): string[] {
    if (isPlain || this.#areLinks)
      return this.#images.map(({ url, name }) => (name ? `${name}: ${url}` : url));
    return isAll ? this.#images.map(({ url, name }) => name || url) : [];
  }
}
