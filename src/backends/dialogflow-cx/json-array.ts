import { AparteError } from "../../errors.ts";

/** The most characters that one element may have: nobody fills our memory. */
const maxCharacters = 16 * 1024 * 1024;

/**
 * The elements of a JSON array, each as soon as its last byte is here: so does the service stream over REST.
 * Returns when the array is closed; throws `backend-stream-cut` when the bytes end before that.
 */
export async function* jsonArray(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  const elements = new Elements();
  for await (const chunk of bytes) {
    yield* elements.read(decoder.decode(chunk, { stream: true }));
    if (elements.isClosed) return;
  }
  throw new AparteError("backend-stream-cut", "Dialogflow's answer broke off in the middle. Ask again.");
}

/** Finds where elements begin and end, without looking into them. */
class Elements {
  isClosed = false;
  #isOpen = false;
  /** How deep in brackets within an element; 0 between elements. */
  #depth = 0;
  #isString = false;
  #isEscaped = false;
  #element = "";

  *read(text: string): Generator<unknown> {
    let start = 0;
    for (let index = 0; index < text.length && !this.isClosed; index += 1) {
      const character = text.charAt(index);
      if (this.#depth === 0) {
        if (this.#isBetween(character)) continue;
        start = index;
      }
      if (!this.#endsElement(character)) continue;
      yield parse(this.#element + text.slice(start, index + 1));
      this.#element = "";
    }
    if (this.#depth === 0) return;
    this.#element += text.slice(start);
    if (this.#element.length > maxCharacters) throw malformed("is too long");
  }

  /** Whether the character stands between elements; if not, an element begins with it. */
  #isBetween(character: string): boolean {
    if (/\s/.test(character)) return true;
    if (!this.#isOpen) {
      if (character !== "[") throw malformed("is no list");
      this.#isOpen = true;
      return true;
    }
    if (character === ",") return true;
    if (character === "]") {
      this.isClosed = true;
      return true;
    }
    if (character !== "{") throw malformed("is no list of objects");
    return false;
  }

  #endsElement(character: string): boolean {
    if (this.#isString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === "\\") this.#isEscaped = true;
      else if (character === '"') this.#isString = false;
      return false;
    }
    if (character === '"') this.#isString = true;
    else if (character === "{" || character === "[") this.#depth += 1;
    else if (character === "}" || character === "]") this.#depth -= 1;
    return this.#depth === 0;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("is no JSON");
  }
}

function malformed(problem: string): AparteError {
  return new AparteError("backend-protocol", `Dialogflow's streamed answer ${problem}.`);
}
