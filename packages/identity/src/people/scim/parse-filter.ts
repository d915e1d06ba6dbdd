import { type AttributePath, findAttribute, named } from './attribute-path.ts';
import {
  COMPARISONS,
  type Comparison,
  type ElementFilter,
  type Filter,
  type FilterValue,
} from './filter.ts';
import { badRequest, quoted, type ScimFault, type ScimType } from './scim-error.ts';
import type { ResourceType, ScimAttribute } from './scim-schemas.ts';

/** Characters of a filter or path. */
const LENGTH_MAX = 4096;
/** Comparisons in one filter: each is asked of each resource. */
const TERMS_MAX = 50;
/** Parentheses and `not` inside each other: the parser and the evaluator recurse. */
const DEPTH_MAX = 16;

/** What a path of a PATCH operation names (RFC 7644 §3.5.2, figure 7). */
export interface PatchPath extends AttributePath {
  /** Which elements of a multi-valued attribute. */
  readonly filter?: ElementFilter;
}

/**
 * Reads a filter: the whole grammar of RFC 7644 §3.4.2.2, at most 4,096 characters, 50 comparisons and 16 levels.
 *
 * @throws {ScimFault} 400 `invalidFilter`
 */
export function parseFilter(text: string, type: ResourceType): Filter {
  return new FilterParser(text, type, 'invalidFilter').whole();
}

/**
 * Reads a path of a PATCH operation.
 *
 * @throws {ScimFault} 400 `invalidPath`, also when the schemas know no such attribute
 */
export function parsePatchPath(text: string, type: ResourceType): PatchPath {
  return new FilterParser(text, type, 'invalidPath').patchPath();
}

// A string as in JSON; what else stands between blanks, brackets and parentheses is a word.
const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([()[\]])|([^\s()[\]"]+))/y;

class FilterParser {
  readonly #text: string;
  readonly #type: ResourceType;
  readonly #faultType: ScimType;
  #at = 0;
  #terms = 0;
  #depth = 0;
  #token = '';

  constructor(text: string, type: ResourceType, faultType: ScimType) {
    this.#text = text;
    this.#type = type;
    this.#faultType = faultType;
    if (text.length > LENGTH_MAX) {
      throw badRequest(
        faultType,
        `found ${text.length} characters, expected at most ${LENGTH_MAX}`,
      );
    }
    this.#next();
  }

  whole(): Filter {
    const filter = this.#or();
    this.#expect('');
    return filter;
  }

  patchPath(): PatchPath {
    const text = this.#word('an attribute');
    const path = findAttribute(text, this.#type);
    if (!path) throw this.#fault(`found no attribute ${quoted(text)} in the schemas`);
    if (this.#token !== '[') {
      this.#expect('');
      return path;
    }
    if (!path.attribute.multiValued || path.attribute.type !== 'complex' || path.sub) {
      throw this.#fault(`found a filter on ${quoted(text)}, expected a multi-valued attribute`);
    }
    this.#next();
    const filter = this.#elementOr(path.attribute);
    this.#expect(']');
    if (this.#isWord('')) return { ...path, filter };
    const behind = this.#word("'.' and a sub-attribute");
    const sub = behind.startsWith('.')
      ? named(path.attribute.subAttributes ?? [], behind.slice(1))
      : undefined;
    if (!sub) throw this.#fault(`found no sub-attribute ${quoted(behind)} of ${quoted(text)}`);
    this.#expect('');
    return { ...path, filter, sub };
  }

  #or(): Filter {
    let left = this.#and();
    while (this.#isWord('or')) {
      this.#next();
      left = { kind: 'or', left, right: this.#and() };
    }
    return left;
  }

  #and(): Filter {
    let left = this.#unary();
    while (this.#isWord('and')) {
      this.#next();
      left = { kind: 'and', left, right: this.#unary() };
    }
    return left;
  }

  #unary(): Filter {
    return this.#nested(
      () => this.#or(),
      (filter) => ({ kind: 'not', filter }),
      () => this.#term(),
    );
  }

  #elementOr(attribute: ScimAttribute): ElementFilter {
    let left = this.#elementAnd(attribute);
    while (this.#isWord('or')) {
      this.#next();
      left = { kind: 'or', left, right: this.#elementAnd(attribute) };
    }
    return left;
  }

  #elementAnd(attribute: ScimAttribute): ElementFilter {
    let left = this.#elementUnary(attribute);
    while (this.#isWord('and')) {
      this.#next();
      left = { kind: 'and', left, right: this.#elementUnary(attribute) };
    }
    return left;
  }

  #elementUnary(attribute: ScimAttribute): ElementFilter {
    return this.#nested(
      () => this.#elementOr(attribute),
      (filter) => ({ kind: 'not', filter }),
      () => {
        const name = this.#word('a sub-attribute');
        const sub = named(attribute.subAttributes ?? [], name);
        return this.#comparison(sub, sub && { sub });
      },
    );
  }

  /** `( … )`, `not ( … )`, or what `term` reads. */
  #nested<F>(inner: () => F, negated: (filter: F) => F, term: () => F): F {
    const isNot = this.#isWord('not');
    if (isNot) this.#next();
    if (this.#token !== '(') {
      if (isNot) throw this.#fault(`found ${this.#here()}, expected '(' behind 'not'`);
      return term();
    }
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw this.#fault(`found more than ${DEPTH_MAX} levels`);
    this.#next();
    const filter = inner();
    this.#expect(')');
    this.#depth -= 1;
    return isNot ? negated(filter) : filter;
  }

  #term(): Filter {
    const text = this.#word('an attribute');
    const path = findAttribute(text, this.#type);
    const at = path && { path };
    if (this.#token !== '[') {
      return this.#comparison(path?.sub ?? path?.attribute, at);
    }
    if (path && path.attribute.type !== 'complex') {
      throw this.#fault(`found '[' behind ${quoted(text)}, which has no sub-attributes`);
    }
    this.#next();
    const attribute = path?.attribute ?? NOBODYS;
    const filter = this.#elementOr(attribute);
    this.#expect(']');
    if (!this.#token.startsWith('.')) return { kind: 'element', ...at, filter };
    const sub = named(attribute.subAttributes ?? [], this.#word('a sub-attribute').slice(1));
    return { kind: 'element', ...at, filter, and: this.#comparison(sub, sub && { sub }) };
  }

  #comparison<At extends object>(
    attribute: ScimAttribute | undefined,
    at: At | undefined,
  ):
    | ({ readonly kind: 'present' } & Partial<At>)
    | ({
        readonly kind: 'compare';
        readonly comparison: Comparison;
        readonly value: FilterValue;
      } & Partial<At>) {
    this.#terms += 1;
    if (this.#terms > TERMS_MAX) throw this.#fault(`found more than ${TERMS_MAX} comparisons`);
    const word = this.#word('an operator').toLowerCase();
    if (word === 'pr') return { kind: 'present', ...at } as never;
    const comparison = COMPARISONS.find((each) => each === word);
    if (!comparison) {
      throw this.#fault(`found ${quoted(word)}, expected pr or one of ${COMPARISONS.join(', ')}`);
    }
    // RFC 7644 §3.4.2.2: these have no order, and to ask for one is a fault.
    if (attribute?.type === 'boolean' && !['eq', 'ne'].includes(comparison)) {
      throw this.#fault(`found ${comparison} on ${quoted(attribute.name)}, expected eq or ne`);
    }
    const value = this.#value();
    return {
      kind: 'compare',
      ...at,
      comparison,
      value: attribute?.type === 'boolean' ? asBoolean(value) : value,
    } as never;
  }

  #value(): FilterValue {
    const token = this.#token;
    let value: unknown;
    try {
      value = JSON.parse(token === '' ? '?' : token);
    } catch {
      throw this.#fault(`found ${this.#here()}, expected a value as JSON writes it`);
    }
    if (typeof value === 'object' && value !== null) {
      throw this.#fault(`found ${this.#here()}, expected text, a number, true, false or null`);
    }
    // No attribute has it, and PostgreSQL takes no text with it.
    if (typeof value === 'string' && value.includes('\0')) {
      throw this.#fault(`found ${this.#here()}, expected text without NUL`);
    }
    this.#next();
    return value as FilterValue;
  }

  #word(expected: string): string {
    const token = this.#token;
    if (token === '' || /^["()[\]]/.test(token)) {
      throw this.#fault(`found ${this.#here()}, expected ${expected}`);
    }
    this.#next();
    return token;
  }

  #isWord(word: string): boolean {
    return this.#token.toLowerCase() === word;
  }

  #expect(token: string): void {
    if (this.#token !== token) {
      throw this.#fault(
        `found ${this.#here()}, expected ${token === '' ? 'the end, and or or' : `'${token}'`}`,
      );
    }
    if (token !== '') this.#next();
  }

  #next(): void {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (!match) {
      if (this.#text.slice(this.#at).trim() !== '') {
        throw this.#fault(`found ${quoted(this.#text.slice(this.#at))}, expected a filter`);
      }
      this.#token = '';
      return;
    }
    this.#at = TOKEN.lastIndex;
    this.#token = match[1] ?? match[2] ?? match[3] ?? '';
  }

  #here(): string {
    return this.#token === '' ? 'the end' : quoted(this.#token);
  }

  #fault(detail: string): ScimFault {
    return badRequest(this.#faultType, detail);
  }
}

/** Of an attribute that no schema knows: without sub-attributes. */
const NOBODYS: ScimAttribute = {
  name: '',
  type: 'complex',
  multiValued: true,
  description: '',
  required: false,
  caseExact: false,
  mutability: 'readOnly',
  returned: 'never',
  uniqueness: 'none',
};

/** Entra asks `active eq "True"`. */
function asBoolean(value: FilterValue): FilterValue {
  if (typeof value !== 'string' || !/^(true|false)$/i.test(value)) return value;
  return value.toLowerCase() === 'true';
}
