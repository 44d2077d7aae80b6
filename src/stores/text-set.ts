/** Where an entry has been removed. */
const removed = 0xff_ff_ff_ff;

/** Texts lie in pieces of this many bytes, so that growing copies none of them. */
const pieceBytes = 1 << 18;

/** An entry begins with its length in two bytes. */
const headBytes = 2;

const maxBytes = 4_096;
const encoder = new TextEncoder();
const scratch = new Uint8Array(maxBytes);

/** A text, as a {@link TextSet} looks it up. Valid until the next one is made. */
export interface Encoded {
  readonly bytes: number;
  readonly hash: number;
}

/**
 * Encodes a text once for several sets.
 * @throws {RangeError} when it is longer than 4,096 bytes of UTF-8
 */
export function encode(text: string): Encoded {
  const bytes = encodeAscii(text) ?? encodeAny(text);
  return { bytes, hash: hashOf(scratch, 0, bytes) };
}

/** Several times as fast as the encoder, for texts as short as a mark. */
function encodeAscii(text: string): number | undefined {
  const { length } = text;
  if (length > maxBytes) return undefined;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return undefined;
    scratch[index] = code;
  }
  return length;
}

function encodeAny(text: string): number {
  const { read, written } = encoder.encodeInto(text, scratch);
  if (read < text.length) throw new RangeError(`A mark has at most ${maxBytes} bytes.`);
  return written;
}

/**
 * A set of many short texts in about half the room that a `Set` of strings takes, and with nothing for the garbage
 * collector to walk through.
 */
export class TextSet {
  /** How many entries were made, also those that were removed. */
  #used = 0;
  /** Where each entry lies, plus one; 0 where there is none. An entry stands at its hash's place or after it. */
  #places = new Uint32Array(64);
  readonly #pieces: Uint8Array[] = [];
  #end = 0;

  get size(): number {
    return this.#used;
  }

  has(text: Encoded): boolean {
    return this.#find(text) !== -1;
  }

  /** Adds a text that is not there. */
  add({ bytes, hash }: Encoded): void {
    if ((this.#used + 1) * 4 > this.#places.length * 3) this.#grow();
    const at = this.#allot(headBytes + bytes);
    const piece = this.#piece(at);
    const offset = at % pieceBytes;
    piece[offset] = bytes & 0xff;
    piece[offset + 1] = bytes >> 8;
    for (let index = 0; index < bytes; index += 1) {
      piece[offset + headBytes + index] = scratch[index] as number;
    }
    this.#put(hash, at + 1);
    this.#used += 1;
  }

  /** Its room stays taken. */
  delete(text: Encoded): void {
    const slot = this.#find(text);
    if (slot !== -1) this.#places[slot] = removed;
  }

  #find({ bytes, hash }: Encoded): number {
    const mask = this.#places.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = this.#places[slot] as number;
      if (place === 0) return -1;
      if (place !== removed && this.#is(place - 1, bytes)) return slot;
    }
  }

  #is(at: number, bytes: number): boolean {
    const piece = this.#piece(at);
    const offset = at % pieceBytes;
    if (lengthAt(piece, offset) !== bytes) return false;
    for (let index = 0; index < bytes; index += 1) {
      if (piece[offset + headBytes + index] !== scratch[index]) return false;
    }
    return true;
  }

  #put(hash: number, place: number): void {
    const mask = this.#places.length - 1;
    let slot = hash & mask;
    while (this.#places[slot] !== 0) slot = (slot + 1) & mask;
    this.#places[slot] = place;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Uint32Array(old.length * 2);
    for (const place of old) {
      if (place === 0 || place === removed) continue;
      const piece = this.#piece(place - 1);
      const offset = (place - 1) % pieceBytes;
      this.#put(hashOf(piece, offset + headBytes, lengthAt(piece, offset)), place);
    }
  }

  #allot(bytes: number): number {
    const left = this.#pieces.length * pieceBytes - this.#end;
    if (left < bytes) {
      this.#end += left;
      this.#pieces.push(new Uint8Array(pieceBytes));
    }
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  #piece(at: number): Uint8Array {
    return this.#pieces[Math.floor(at / pieceBytes)] as Uint8Array;
  }
}

function lengthAt(piece: Uint8Array, offset: number): number {
  return (piece[offset] as number) | ((piece[offset + 1] as number) << 8);
}

/** FNV-1a, with its bits mixed once more, since only the low ones are used. */
function hashOf(bytes: Uint8Array, from: number, length: number): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = from; index < from + length; index += 1) {
    hash = Math.imul(hash ^ (bytes[index] as number), 0x01_00_01_93);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
