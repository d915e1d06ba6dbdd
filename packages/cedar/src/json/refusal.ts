/** Longer names and texts are cut in messages. */
const SHOWN_MAX = 100;

/**
 * Why a value was refused. Thrown inside this folder only; on its way out it collects where the value stood,
 * so that reading a good value costs nothing for messages.
 */
export class Refusal {
  readonly found: string;
  readonly expected: string;
  /** From the inside out. */
  readonly #steps: (string | number)[] = [];

  constructor(found: string, expected: string) {
    this.found = found;
    this.expected = expected;
  }

  /** @returns itself, one level further out */
  within(step: string | number): this {
    this.#steps.push(step);
    return this;
  }

  get path(): string {
    return this.#steps.toReversed().map(printStep).join('').replace(/^\./, '');
  }

  get message(): string {
    return `found ${this.found} at '${this.path}', expected ${this.expected}`;
  }
}

/** For a `catch` around values of a record or set: everything but a refusal is thrown again as it is. */
export function within(error: unknown, step: string | number): unknown {
  return error instanceof Refusal ? error.within(step) : error;
}

function printStep(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`;
  const name = cut(step);
  return /^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** What a JSON value is, in words. */
export function describe(json: unknown): string {
  switch (typeof json) {
    case 'string':
      return json.isWellFormed() ? `'${cut(json)}'` : 'half a surrogate pair';
    case 'number':
    case 'bigint':
    case 'boolean':
      return `${json}`;
    case 'undefined':
      return 'nothing';
    case 'object':
      if (json === null) return 'null';
      if (Array.isArray(json)) return 'a list';
      return isPlainObject(json) ? 'an object' : 'an object of a class';
    default:
      return `a ${typeof json}`;
  }
}

function cut(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX).toWellFormed()}…` : text;
}

/** An object of JSON. A class could have a `toJSON` that says something else, and state of its own. */
export function isPlainObject(json: unknown): json is JsonObject {
  if (typeof json !== 'object' || json === null) return false;
  const prototype = Object.getPrototypeOf(json);
  return prototype === Object.prototype || prototype === null;
}

/**
 * The same for objects of which only known names are read, at half the cost. An object made over a plain one passes
 * as well: what it inherits under those names was put there by whoever calls us.
 */
export function isReadable(json: unknown): json is JsonObject {
  if (typeof json !== 'object' || json === null) return false;
  return json.constructor === Object || isPlainObject(json);
}

export interface JsonObject {
  readonly [name: string]: unknown;
}
