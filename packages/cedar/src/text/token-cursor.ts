import type { Span } from '../ast/expression.ts';
import type { CedarErrorCode } from '../cedar-error.ts';
import { LIMITS } from '../limits.ts';
import type { Token } from './lex.ts';
import { isReserved } from './words.ts';

/** Why a text is no policy. Thrown inside the parser and never leaves it as an exception. */
export class Refusal {
  readonly code: CedarErrorCode;
  readonly message: string;
  readonly span: Span;

  constructor(message: string, span: Span, code: CedarErrorCode = 'ERR_CEDAR_POLICY_INVALID') {
    this.code = code;
    this.message = message;
    this.span = span;
  }
}

/** Where a parser is among the words of a text. */
export class TokenCursor {
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #index = 0;
  /** How deep the tree is that was parsed last: set by each function that returns an expression. */
  depth = 0;

  constructor(tokens: readonly Token[], textLength: number) {
    this.#tokens = tokens;
    // Of a kind that nothing expects: no word has an empty text.
    this.#end = { kind: 'punctuation', text: '', start: textLength, end: textLength };
  }

  /** The word `ahead` of the next, or one of empty text at the end. */
  peek(ahead = 0): Token {
    return this.#tokens[this.#index + ahead] ?? this.#end;
  }

  next(): Token {
    const token = this.peek();
    if (token !== this.#end) this.#index += 1;
    return token;
  }

  /** Where the next word starts. */
  get start(): number {
    return this.peek().start;
  }

  spanFrom(start: number): Span {
    return { start, end: this.#tokens[this.#index - 1]?.end ?? start };
  }

  /** Whether the next word is this operator, bracket or keyword; no string is. */
  isAt(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.text === text && token.kind !== 'string';
  }

  /** Goes past a word if it is the next. */
  accept(text: string): boolean {
    if (!this.isAt(text)) return false;
    this.#index += 1;
    return true;
  }

  expect(text: string): Token {
    if (!this.isAt(text)) this.refuse(`expected \`${text}\``);
    return this.next();
  }

  /** A word that may name a type or an attribute. */
  expectName(): string {
    const token = this.peek();
    if (token.kind !== 'identifier') this.refuse('expected a name');
    if (isReserved(token.text)) this.refuse('expected a name, and that word is reserved');
    return this.next().text;
  }

  /** What stands between two brackets with commas between, of which one may end the list. */
  list<T>(close: string, parse: () => T): T[] {
    const items: T[] = [];
    while (!this.accept(close)) {
      items.push(parse());
      if (!this.isAt(close)) this.expect(',');
    }
    return items;
  }

  /** Says that a tree of this depth was made of what was parsed. */
  grow(depth: number, span: Span): void {
    if (depth > LIMITS.depth) {
      throw new Refusal(
        `found an expression nested ${depth} deep, expected at most ${LIMITS.depth}`,
        span,
        'ERR_CEDAR_TOO_DEEP',
      );
    }
    this.depth = depth;
  }

  /** Refuses the next word. */
  refuse(expected: string): never {
    const { text, start, end } = this.peek();
    const found = text === '' ? 'the end of the policy' : `\`${text.slice(0, 100)}\``;
    throw new Refusal(`found ${found}, ${expected}`, { start, end });
  }
}
