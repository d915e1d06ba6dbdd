import type { BinaryOperator, Expression, Span, Variable } from '../ast/expression.ts';
import { readTypeName } from '../json/type-name.ts';
import { EntityUid } from '../value/entity-uid.ts';
import { LONG_MAX, longOf } from '../value/long.ts';
import type { Token } from './lex.ts';
import { Refusal, type TokenCursor } from './token-cursor.ts';
import { unescapePattern, unescapeString } from './unescape.ts';
import { EXTENSION_FUNCTIONS, EXTENSION_METHODS, isOperatorMethod } from './words.ts';

// The grammar of Cedar 4.5's expressions, from the weakest binding to the strongest. Spans are those of the
// official engine, which sees them in evaluation errors: all nodes of one chain (`a && b && c`, `a.b.c()`)
// have the span of the whole chain, parentheses around an expression are no part of it, and the span of a
// negative literal is that of its digits.

/** `if … then … else …`, or what `||` joins. */
export function parseExpression(cursor: TokenCursor): Expression {
  const { start } = cursor;
  if (!cursor.accept('if')) {
    return chain(cursor, { operators: OR, operand: parseConjunction, make: logical('or') });
  }
  const condition = parseExpression(cursor);
  let { depth } = cursor;
  cursor.expect('then');
  const then = parseExpression(cursor);
  depth = Math.max(depth, cursor.depth);
  cursor.expect('else');
  const otherwise = parseExpression(cursor);
  depth = Math.max(depth, cursor.depth);
  const span = cursor.spanFrom(start);
  cursor.grow(depth + 1, span);
  return { kind: 'if', span, condition, then, otherwise };
}

function parseConjunction(cursor: TokenCursor): Expression {
  return chain(cursor, { operators: AND, operand: parseRelation, make: logical('and') });
}

/** A comparison or a test. None of them follows another without parentheses. */
function parseRelation(cursor: TokenCursor): Expression {
  const { start } = cursor;
  const left = parseSum(cursor);
  const leftDepth = cursor.depth;
  const operator = cursor.peek();
  if (operator.kind === 'string') return left;
  if (COMPARISONS.has(operator.text)) {
    cursor.next();
    const right = parseSum(cursor);
    const span = cursor.spanFrom(start);
    cursor.grow(Math.max(leftDepth, cursor.depth) + 1, span);
    return { kind: 'binary', span, operator: operator.text as BinaryOperator, left, right };
  }
  if (cursor.accept('has')) {
    const path = parseHasPath(cursor);
    const span = cursor.spanFrom(start);
    // Cedar's own tree grows by one test for each name.
    cursor.grow(leftDepth + path.length, span);
    return { kind: 'has', span, operand: left, path };
  }
  if (cursor.accept('like')) {
    const pattern = unescapePattern(cursor.peek().text);
    if (cursor.peek().kind !== 'string') cursor.refuse('expected a pattern in quotes');
    if (!pattern) cursor.refuse('expected a pattern with valid escapes');
    cursor.next();
    const span = cursor.spanFrom(start);
    cursor.grow(leftDepth + 1, span);
    return { kind: 'like', span, operand: left, pattern };
  }
  if (!cursor.accept('is')) return left;
  const entityType = parseTypeName(cursor);
  const within = cursor.accept('in') ? parseSum(cursor) : undefined;
  const span = cursor.spanFrom(start);
  cursor.grow((within ? Math.max(leftDepth, cursor.depth) : leftDepth) + 1, span);
  return { kind: 'is', span, operand: left, entityType, ...(within && { within }) };
}

function parseHasPath(cursor: TokenCursor): readonly string[] {
  if (cursor.peek().kind === 'string') return [parseString(cursor)];
  const path = [cursor.expectName()];
  while (cursor.accept('.')) path.push(cursor.expectName());
  return path;
}

function parseSum(cursor: TokenCursor): Expression {
  return chain(cursor, { operators: SUM, operand: parseProduct, make: arithmetic });
}

function parseProduct(cursor: TokenCursor): Expression {
  return chain(cursor, { operators: PRODUCT, operand: parseUnary, make: arithmetic });
}

/** Cedar's own bound on `!!!!x` and `----x`. */
const UNARY_MAX = 4;

function parseUnary(cursor: TokenCursor): Expression {
  const { start } = cursor;
  const sign = cursor.isAt('!') ? '!' : '-';
  let count = 0;
  while (cursor.isAt(sign)) {
    if (count === UNARY_MAX) cursor.refuse(`expected at most ${UNARY_MAX} in a row`);
    cursor.next();
    count += 1;
  }
  if (count === 0) return parseMember(cursor);
  let operand: Expression;
  if (sign === '-' && isBareInteger(cursor)) {
    operand = parseInteger(cursor, { isNegative: true });
    count -= 1;
  } else {
    operand = parseMember(cursor);
  }
  const span = cursor.spanFrom(start);
  for (; count > 0; count -= 1) {
    cursor.grow(cursor.depth + 1, span);
    operand = { kind: sign === '!' ? 'not' : 'negate', span, operand };
  }
  return operand;
}

/** `-1` is a literal; `-1.a` and `-(1)` negate something. */
function isBareInteger(cursor: TokenCursor): boolean {
  if (cursor.peek().kind !== 'integer') return false;
  return !cursor.isAt('.', 1) && !cursor.isAt('(', 1) && !cursor.isAt('[', 1);
}

/** What is written behind an expression: an attribute by name or in brackets, or a method's arguments. */
type Access =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly name: string }
  | { readonly kind: 'arguments'; readonly args: readonly Expression[]; readonly depth: number };

function parseMember(cursor: TokenCursor): Expression {
  const { start } = cursor;
  const first = cursor.peek();
  const isCall = first.kind === 'identifier' && cursor.isAt('(', 1);
  // A function's name is no expression, so its call is made here, where the span of the chain is known.
  if (isCall) cursor.next();
  let expression = isCall ? undefined : parsePrimary(cursor);
  let { depth } = cursor;
  const accesses = parseAccesses(cursor);
  if (accesses.length === 0 && expression) {
    cursor.depth = depth;
    return expression;
  }
  const span = cursor.spanFrom(start);
  let index = 0;
  if (!expression) {
    const called = accesses[0] as Extract<Access, { kind: 'arguments' }>;
    expression = functionCall(first, called.args, span);
    depth = called.depth + 1;
    index = 1;
  }
  for (; index < accesses.length; index += 1) {
    const access = accesses[index] as Access;
    const following = accesses[index + 1];
    if (access.kind === 'arguments') {
      throw new Refusal('found arguments, expected a function or a method before them', span);
    }
    if (access.kind === 'name' && following?.kind === 'arguments') {
      expression = methodCall(expression, { name: access.name, args: following.args, span });
      depth = Math.max(depth, following.depth);
      index += 1;
    } else {
      expression = { kind: 'attribute', span, operand: expression, name: access.name };
    }
    depth += 1;
  }
  cursor.grow(depth, span);
  return expression;
}

function parseAccesses(cursor: TokenCursor): readonly Access[] {
  const accesses: Access[] = [];
  for (;;) {
    if (cursor.accept('.')) {
      accesses.push({ kind: 'name', name: cursor.expectName() });
    } else if (cursor.accept('(')) {
      const { items, depth } = parseExpressions(cursor, ')');
      accesses.push({ kind: 'arguments', args: items, depth });
    } else if (cursor.accept('[')) {
      accesses.push({ kind: 'index', name: parseString(cursor) });
      cursor.expect(']');
    } else {
      return accesses;
    }
  }
}

function functionCall(name: Token, args: readonly Expression[], span: Span): Expression {
  // `unknown` is a function of Cedar's own partial evaluation, which a policy must not reach.
  if (!EXTENSION_FUNCTIONS.has(name.text)) {
    throw new Refusal(`found the function \`${name.text}\`, expected one that there is`, name);
  }
  return { kind: 'call', span, function: name.text, args };
}

function methodCall(
  receiver: Expression,
  { name, args, span }: { name: string; args: readonly Expression[]; span: Span },
): Expression {
  const [argument] = args;
  if (isOperatorMethod(name)) {
    if (!argument || args.length !== 1) {
      throw new Refusal(`found ${args.length} arguments of \`${name}\`, expected one`, span);
    }
    return { kind: 'binary', span, operator: name, left: receiver, right: argument };
  }
  if (name === 'isEmpty') {
    if (argument) {
      throw new Refusal(`found ${args.length} arguments of \`${name}\`, expected none`, span);
    }
    return { kind: 'isEmpty', span, operand: receiver };
  }
  if (!EXTENSION_METHODS.has(name)) {
    throw new Refusal(`found the method \`${name}\`, expected one that there is`, span);
  }
  return { kind: 'call', span, function: name, args: [receiver, ...args] };
}

const VARIABLES: ReadonlySet<string> = new Set(['principal', 'action', 'resource', 'context']);

function parsePrimary(cursor: TokenCursor): Expression {
  const token = cursor.peek();
  const { start } = token;
  cursor.depth = 1;
  switch (token.kind) {
    case 'integer':
      return parseInteger(cursor, { isNegative: false });
    case 'string':
      return { kind: 'literal', value: parseString(cursor), span: cursor.spanFrom(start) };
    case 'identifier':
      if (cursor.isAt('::', 1)) {
        return { kind: 'entity', uid: parseUid(cursor), span: cursor.spanFrom(start) };
      }
      cursor.next();
      if (token.text === 'true' || token.text === 'false') {
        return { kind: 'literal', value: token.text === 'true', span: cursor.spanFrom(start) };
      }
      if (!VARIABLES.has(token.text)) {
        throw new Refusal(`found \`${token.text}\`, expected an expression`, token);
      }
      return { kind: 'variable', name: token.text as Variable, span: cursor.spanFrom(start) };
    default:
      break;
  }
  if (cursor.accept('(')) {
    const expression = parseExpression(cursor);
    cursor.expect(')');
    return expression;
  }
  if (cursor.accept('[')) {
    const { items: elements, depth } = parseExpressions(cursor, ']');
    const span = cursor.spanFrom(start);
    cursor.grow(depth + 1, span);
    return { kind: 'set', elements, span };
  }
  if (cursor.accept('{')) return parseRecord(cursor, start);
  return cursor.refuse('expected an expression');
}

function parseRecord(cursor: TokenCursor, start: number): Expression {
  const names = new Set<string>();
  let depth = 0;
  const fields = cursor.list('}', () => {
    const key = cursor.peek();
    const name = key.kind === 'string' ? parseString(cursor) : cursor.expectName();
    if (names.has(name)) throw new Refusal(`found the key \`${name}\` twice, expected once`, key);
    names.add(name);
    cursor.expect(':');
    const value = parseExpression(cursor);
    depth = Math.max(depth, cursor.depth);
    return [name, value] as const;
  });
  const span = cursor.spanFrom(start);
  cursor.grow(depth + 1, span);
  return { kind: 'record', fields, span };
}

function parseExpressions(
  cursor: TokenCursor,
  close: string,
): { readonly items: readonly Expression[]; readonly depth: number } {
  let depth = 0;
  const items = cursor.list(close, () => {
    const item = parseExpression(cursor);
    depth = Math.max(depth, cursor.depth);
    return item;
  });
  return { items, depth };
}

/** `2 ** 63` has 19 digits. */
const INTEGER_DIGITS_MAX = 19;

function parseInteger(cursor: TokenCursor, { isNegative }: { isNegative: boolean }): Expression {
  const { text, start, end } = cursor.peek();
  const digits = text.replace(/^0+(?=.)/, '');
  const size = digits.length > INTEGER_DIGITS_MAX ? LONG_MAX + 2n : BigInt(digits);
  const value = longOf(isNegative ? -size : size);
  if (value === undefined) cursor.refuse('expected an integer of 64 bits');
  cursor.next();
  cursor.depth = 1;
  return { kind: 'literal', value, span: { start, end } };
}

/** A string in quotes, unescaped. */
export function parseString(cursor: TokenCursor): string {
  const token = cursor.peek();
  if (token.kind !== 'string') cursor.refuse('expected a string');
  const value = unescapeString(token.text);
  if (value === undefined) cursor.refuse('expected a string with valid escapes');
  cursor.next();
  return value;
}

/** `Bank::Account` */
export function parseTypeName(cursor: TokenCursor): string {
  let name = cursor.expectName();
  while (cursor.isAt('::') && cursor.peek(1).kind === 'identifier') {
    cursor.next();
    name += `::${cursor.expectName()}`;
  }
  // One string object for one name, shared with those in data.
  return readTypeName(name) ?? name;
}

/** `Bank::Account::"a1"` */
export function parseUid(cursor: TokenCursor): EntityUid {
  const type = parseTypeName(cursor);
  cursor.expect('::');
  return new EntityUid(type, parseString(cursor));
}

const OR: ReadonlySet<string> = new Set(['||']);
const AND: ReadonlySet<string> = new Set(['&&']);
const SUM: ReadonlySet<string> = new Set(['+', '-']);
const PRODUCT: ReadonlySet<string> = new Set(['*']);
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', 'in']);

interface ChainLink {
  readonly operator: string;
  readonly left: Expression;
  readonly right: Expression;
  readonly span: Span;
}

function logical(kind: 'and' | 'or'): (link: ChainLink) => Expression {
  return ({ left, right, span }) => ({ kind, span, left, right });
}

function arithmetic({ operator, left, right, span }: ChainLink): Expression {
  return { kind: 'binary', span, operator: operator as BinaryOperator, left, right };
}

/** Operands with operators of one strength between them, grouped from the left. */
function chain(
  cursor: TokenCursor,
  {
    operators,
    operand,
    make,
  }: {
    readonly operators: ReadonlySet<string>;
    readonly operand: (cursor: TokenCursor) => Expression;
    readonly make: (link: ChainLink) => Expression;
  },
): Expression {
  const { start } = cursor;
  const first = operand(cursor);
  if (!isOperator(cursor.peek(), operators)) return first;
  const rest: { operator: string; right: Expression; depth: number }[] = [];
  let { depth } = cursor;
  for (let token = cursor.peek(); isOperator(token, operators); token = cursor.peek()) {
    cursor.next();
    rest.push({ operator: token.text, right: operand(cursor), depth: cursor.depth });
  }
  // Only now is it known where the chain ends.
  const span = cursor.spanFrom(start);
  let expression = first;
  for (const link of rest) {
    expression = make({ ...link, left: expression, span });
    depth = Math.max(depth, link.depth) + 1;
  }
  cursor.grow(depth, span);
  return expression;
}

function isOperator(token: Token, operators: ReadonlySet<string>): boolean {
  return token.kind === 'punctuation' && operators.has(token.text);
}
