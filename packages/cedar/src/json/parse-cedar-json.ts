import { LIMITS } from '../limits.ts';
import { longOf } from '../value/long.ts';
import { CedarDataError } from './cedar-data-error.ts';

/** Around a value: the list of entities, the entity, its `attrs`, and escapes within. */
const LEVELS_MAX = LIMITS.valueNesting + 8;
/** i64 has no more. */
const DIGITS_MAX = 19;

const QUOTE = 34;
const BACKSLASH = 92;

/**
 * `JSON.parse` for Cedar's data: integers are exact over all of i64, a `bigint` beyond 2^53. What Cedar has no value
 * for is refused where it stands: fractions, exponents, larger integers. So is a name that comes twice in an object,
 * where `JSON.parse` would take the last and another reader the first.
 *
 * @throws {CedarDataError} `ERR_CEDAR_JSON_INVALID`, the message with line and column
 */
export function parseCedarJson(text: string): unknown {
  return new JsonReader(text).readAll();
}

class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readAll(): unknown {
    const value = this.#readValue(1);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#refuse(this.#at, 'the end');
    return value;
  }

  #readValue(level: number): unknown {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#readObject(level);
      case '[':
        return this.#readList(level);
      case '"':
        return this.#readString();
      case 't':
        return this.#readWord('true', true);
      case 'f':
        return this.#readWord('false', false);
      case 'n':
        return this.#readWord('null', null);
      default:
        return this.#readNumber();
    }
  }

  #readObject(level: number): unknown {
    this.#enter(level);
    const object: { [name: string]: unknown } = {};
    if (this.#take('}')) return object;
    do {
      this.#skipSpace();
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#refuse(start, 'a name in quotes');
      const name = this.#readString();
      if (Object.hasOwn(object, name)) throw this.#refuse(start, 'each name once');
      if (!this.#take(':')) throw this.#refuse(this.#at, "':'");
      const value = this.#readValue(level + 1);
      // Assigning to `__proto__` would set the prototype.
      if (name === '__proto__') {
        Object.defineProperty(object, name, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      } else {
        object[name] = value;
      }
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#refuse(this.#at, "',' or '}'");
    return object;
  }

  #readList(level: number): unknown {
    this.#enter(level);
    const list: unknown[] = [];
    if (this.#take(']')) return list;
    do list.push(this.#readValue(level + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#refuse(this.#at, "',' or ']'");
    return list;
  }

  #enter(level: number): void {
    if (level > LEVELS_MAX) throw this.#refuse(this.#at, `at most ${LEVELS_MAX} levels`);
    this.#at += 1;
  }

  #readString(): string {
    const text = this.#text;
    const start = this.#at;
    let hasEscapes = false;
    for (let at = start + 1; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return hasEscapes ? this.#unescape(start, at + 1) : text.slice(start + 1, at);
      }
      if (code < 32) throw this.#refuse(at, 'no control character in a string');
      if (code === BACKSLASH) {
        hasEscapes = true;
        at += 1;
      }
    }
    throw this.#refuse(text.length, 'the end of a string');
  }

  #unescape(start: number, end: number): string {
    try {
      return JSON.parse(this.#text.slice(start, end)) as string;
    } catch {
      throw this.#refuse(start, 'a string with the escapes of JSON');
    }
  }

  #readNumber(): number | bigint {
    const start = this.#at;
    const token = /[-+.0-9a-zA-Z]*/y;
    token.lastIndex = start;
    const [number = ''] = token.exec(this.#text) ?? [];
    if (!/^-?(?:0|[1-9][0-9]*)$/.test(number)) {
      throw this.#refuse(start, 'a value, and numbers without fraction or exponent');
    }
    const long = number.length > DIGITS_MAX + 1 ? undefined : longOf(BigInt(number));
    if (long === undefined) throw this.#refuse(start, 'an integer of 64 bits');
    this.#at += number.length;
    return long;
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#refuse(this.#at, 'a value');
    this.#at += word.length;
    return value;
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      switch (this.#text.charCodeAt(this.#at)) {
        case 9:
        case 10:
        case 13:
        case 32:
          this.#at += 1;
          break;
        default:
          return;
      }
    }
  }

  #refuse(at: number, expected: string): CedarDataError {
    const before = this.#text.slice(0, at).split('\n');
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const rest = this.#text.slice(at, at + 20).toWellFormed();
    const found = at >= this.#text.length ? 'the end' : JSON.stringify(rest);
    return new CedarDataError(
      'ERR_CEDAR_JSON_INVALID',
      `cannot read the JSON: found ${found} at ${place}, expected ${expected}`,
      place,
    );
  }
}
