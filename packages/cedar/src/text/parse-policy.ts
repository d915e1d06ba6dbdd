import type {
  ActionConstraint,
  Condition,
  PolicyAst,
  ScopeConstraint,
  ScopeTarget,
} from '../ast/policy.ts';
import type { CedarProblem, PolicySource } from '../engine.ts';
import type { EntityUid } from '../value/entity-uid.ts';
import { checkPolicyText } from './check-text.ts';
import { parseExpression, parseString, parseTypeName, parseUid } from './parse-expression.ts';
import { Refusal, TokenCursor } from './token-cursor.ts';

/** A policy, or what is wrong with its text. */
export type PolicyParse =
  | { readonly policy: PolicyAst; readonly problems?: never }
  | { readonly policy?: never; readonly problems: readonly CedarProblem[] };

/**
 * Parses exactly one policy, or with `isTemplate` exactly one template. Accepts what Cedar 4.13 accepts within
 * `LIMITS`, but for `unknown(…)`. Never throws, and never goes deeper than the bounds allow.
 */
export function parsePolicy(
  { id, text }: PolicySource,
  { isTemplate }: { readonly isTemplate: boolean },
): PolicyParse {
  const { tokens, problems } = checkPolicyText(text);
  if (problems.length > 0) {
    return { problems: problems.map((problem) => ({ ...problem, policy: id })) };
  }
  const cursor = new TokenCursor(tokens, text.length);
  try {
    const policy = { id, text, ...parseParts(cursor) };
    const hasSlot = isSlot(policy.principal) || isSlot(policy.resource);
    if (hasSlot === isTemplate) return { policy };
    throw new Refusal(
      isTemplate
        ? 'found no slot, expected a template with ?principal or ?resource'
        : 'found a template slot, expected a policy without slots',
      { start: 0, end: text.length },
    );
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    const { code, message, span } = refusal;
    return { problems: [{ code, policy: id, severity: 'error', message, ...span }] };
  }
}

function parseParts(cursor: TokenCursor): Omit<PolicyAst, 'id' | 'text'> {
  const annotations = parseAnnotations(cursor);
  const effect = cursor.isAt('permit') ? 'permit' : 'forbid';
  if (!cursor.accept(effect)) cursor.refuse('expected `permit` or `forbid`');
  cursor.expect('(');
  const principal = parseScope(cursor, 'principal');
  cursor.expect(',');
  const action = parseAction(cursor);
  cursor.expect(',');
  const resource = parseScope(cursor, 'resource');
  cursor.accept(',');
  cursor.expect(')');
  const conditions: Condition[] = [];
  while (!cursor.accept(';')) conditions.push(parseCondition(cursor));
  if (cursor.peek().text !== '') cursor.refuse('expected the end of the policy');
  return { effect, annotations, principal, action, resource, conditions };
}

function parseAnnotations(cursor: TokenCursor): PolicyAst['annotations'] {
  const annotations = new Map<string, string>();
  while (cursor.accept('@')) {
    const name = cursor.peek();
    if (name.kind !== 'identifier') cursor.refuse('expected the name of an annotation');
    if (annotations.has(name.text)) cursor.refuse('expected each annotation once');
    cursor.next();
    let value = '';
    if (cursor.accept('(')) {
      value = parseString(cursor);
      cursor.expect(')');
    }
    annotations.set(name.text, value);
  }
  return [...annotations];
}

function parseScope(cursor: TokenCursor, variable: 'principal' | 'resource'): ScopeConstraint {
  const { start } = cursor;
  cursor.expect(variable);
  if (cursor.accept('==')) {
    const target = parseTarget(cursor, variable);
    return { kind: 'equals', span: cursor.spanFrom(start), target };
  }
  const entityType = cursor.accept('is') ? parseTypeName(cursor) : undefined;
  const target = cursor.accept('in') ? parseTarget(cursor, variable) : undefined;
  const span = cursor.spanFrom(start);
  if (entityType !== undefined) {
    return target ? { kind: 'isIn', span, entityType, target } : { kind: 'is', span, entityType };
  }
  return target ? { kind: 'in', span, target } : { kind: 'any', span };
}

function parseTarget(cursor: TokenCursor, variable: 'principal' | 'resource'): ScopeTarget {
  return parenthesised(cursor, (): ScopeTarget => {
    if (cursor.peek().kind !== 'slot') return { kind: 'entity', uid: parseUid(cursor) };
    cursor.expect(`?${variable}`);
    return { kind: 'slot', slot: `?${variable}` };
  });
}

function parseAction(cursor: TokenCursor): ActionConstraint {
  const { start } = cursor;
  cursor.expect('action');
  if (cursor.accept('==')) {
    const uid = parenthesised(cursor, () => parseActionUid(cursor));
    return { kind: 'equals', span: cursor.spanFrom(start), uid };
  }
  if (!cursor.accept('in')) return { kind: 'any', span: cursor.spanFrom(start) };
  const found = parenthesised(cursor, () => {
    const isList = cursor.accept('[');
    const uids = isList
      ? cursor.list(']', () => parenthesised(cursor, () => parseActionUid(cursor)))
      : [parseActionUid(cursor)];
    return { uids, isList };
  });
  return { kind: 'in', span: cursor.spanFrom(start), ...found };
}

function parseActionUid(cursor: TokenCursor): EntityUid {
  const first = cursor.peek();
  const uid = parseUid(cursor);
  if (uid.type === 'Action' || uid.type.endsWith('::Action')) return uid;
  throw new Refusal(`found the type \`${uid.type}\`, expected \`Action\` in any namespace`, first);
}

/** The policy's scope takes what stands in parentheses for what stands there without. */
function parenthesised<T>(cursor: TokenCursor, parse: () => T): T {
  let open = 0;
  while (cursor.accept('(')) open += 1;
  const parsed = parse();
  for (; open > 0; open -= 1) cursor.expect(')');
  return parsed;
}

function parseCondition(cursor: TokenCursor): Condition {
  const { start } = cursor;
  const kind = cursor.isAt('when') ? 'when' : 'unless';
  if (!cursor.accept(kind)) cursor.refuse('expected `when`, `unless` or `;`');
  cursor.expect('{');
  const body = parseExpression(cursor);
  cursor.expect('}');
  return { kind, span: cursor.spanFrom(start), body };
}

function isSlot(constraint: ScopeConstraint): boolean {
  return 'target' in constraint && constraint.target.kind === 'slot';
}
