import { hash, randomBytes } from 'node:crypto';

const KEY_BYTES = 32;
const TAG_BYTES = 8;
/** Two bits a level. */
const DEPTH = TAG_BYTES * 4;

/** A part of a tree of keys: all leaves below `path` (digits 0 to 3 from the root) derive from `key` (base64). */
export interface KeyNode {
  readonly path: string;
  readonly key: string;
}

/**
 * One secret that gives a key for each of 2^64 tags, and of which single tags can be destroyed while all others stay:
 * the puncturable form of the tree of Goldreich, Goldwasser and Micali (Boneh and Waters 2013, section 3.1).
 * Whole it is one node of 32 bytes; each tag destroyed leaves at most 96 nodes more.
 *
 * A child is SHA-256 of its parent's 32 bytes and one byte of its own, so that no leaf tells of any other.
 */
export class PuncturableKey {
  readonly #nodes: Map<string, Uint8Array>;

  private constructor(nodes: Map<string, Uint8Array>) {
    this.#nodes = nodes;
  }

  /** A new one, from the system's randomness unless another is given (tests). */
  static generate(secret: Uint8Array = randomBytes(KEY_BYTES)): PuncturableKey {
    return new PuncturableKey(new Map([['', secret]]));
  }

  /**
   * What {@link nodes} gave.
   *
   * @throws {TypeError} when a node is none, or two of them overlap: a destroyed tag would be back
   */
  static fromNodes(nodes: readonly KeyNode[]): PuncturableKey {
    const map = new Map<string, Uint8Array>();
    for (const { path, key } of nodes) {
      const bytes = Buffer.from(key, 'base64');
      if (!/^[0-3]{0,32}$/.test(path) || bytes.length !== KEY_BYTES || map.has(path)) {
        throw new TypeError(`cannot read record key: found node '${path.slice(0, 40)}' malformed`);
      }
      map.set(path, bytes);
    }
    // In their order a node stands right behind one that is above it, or behind another below the same.
    let last: string | undefined;
    for (const path of [...map.keys()].sort()) {
      if (last !== undefined && path.startsWith(last)) {
        throw new TypeError(`cannot read record key: found node '${path}' below another`);
      }
      last = path;
    }
    return new PuncturableKey(map);
  }

  /** The parts that are left, for {@link fromNodes}; in the order of their paths. */
  nodes(): readonly KeyNode[] {
    return [...this.#nodes]
      .map(([path, key]) => ({ path, key: Buffer.from(key).toString('base64') }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The key of a tag (8 bytes): 32 bytes, or nothing when it was destroyed. */
  derive(tag: Uint8Array): Uint8Array | undefined {
    const digits = digitsOf(tag);
    const from = this.#above(digits);
    if (from === undefined) return undefined;
    let key = this.#nodes.get(from) as Uint8Array;
    for (let level = from.length; level < DEPTH; level++)
      key = childOf(key, digits.charCodeAt(level));
    return key;
  }

  /** Destroys the key of a tag for good; false when it was already. */
  puncture(tag: Uint8Array): boolean {
    const digits = digitsOf(tag);
    const from = this.#above(digits);
    if (from === undefined) return false;
    let key = this.#nodes.get(from) as Uint8Array;
    this.#nodes.delete(from);
    for (let level = from.length; level < DEPTH; level++) {
      const own = digits[level] as string;
      for (const other of '0123') {
        if (other === own) continue;
        this.#nodes.set(digits.slice(0, level) + other, childOf(key, other.charCodeAt(0)));
      }
      key = childOf(key, own.charCodeAt(0));
    }
    return true;
  }

  /** The path of the node that a leaf derives from. */
  #above(digits: string): string | undefined {
    for (let length = 0; length <= DEPTH; length++) {
      const path = digits.slice(0, length);
      if (this.#nodes.has(path)) return path;
    }
    return undefined;
  }
}

const scratch = Buffer.alloc(KEY_BYTES + 1);

function childOf(key: Uint8Array, digit: number): Uint8Array {
  scratch.set(key);
  scratch[KEY_BYTES] = digit;
  return hash('sha256', scratch, 'buffer');
}

function digitsOf(tag: Uint8Array): string {
  if (tag.length !== TAG_BYTES)
    throw new TypeError(`found a tag of ${tag.length} bytes, expected 8`);
  let digits = '';
  for (const byte of tag) {
    digits += `${byte >> 6}${(byte >> 4) & 3}${(byte >> 2) & 3}${byte & 3}`;
  }
  return digits;
}
