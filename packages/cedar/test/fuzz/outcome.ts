/** What an engine said to one request; errors and reasons sorted by policy id. */
export type Outcome =
  | {
      readonly kind: 'answer';
      readonly decision: 'allow' | 'deny';
      readonly reasons: readonly string[];
      readonly errors: readonly PolicyFault[];
    }
  /** The policies, the schema, the entities or the request were not taken. */
  | { readonly kind: 'refused'; readonly why: string };

export interface PolicyFault {
  readonly policy: string;
  readonly message: string;
  /** UTF-16 offsets in the policy's own text, or in its template's. */
  readonly start?: number;
  readonly end?: number;
}

/** How two outcomes differ, from what must never happen to what is only seen by people. */
export type Difference = 'decision' | 'reasons' | 'errors' | 'refusal' | 'message' | 'span';

/**
 * Where our place of an error may be another one. `members`: of twins in a set that evaluation made ours does not
 * know which is written where, and blames the whole `in`. `steps`: what is left of `if true then x else y` is `x`,
 * of `[1]` a value.
 */
export type Leniency = 'none' | 'members' | 'steps';

export function compareOutcomes(
  expected: Outcome,
  got: Outcome,
  leniency: Leniency,
): readonly Difference[] {
  if (expected.kind === 'refused' || got.kind === 'refused') {
    return expected.kind === got.kind ? [] : ['refusal'];
  }
  const differences: Difference[] = [];
  if (expected.decision !== got.decision) differences.push('decision');
  if (!sameTexts(expected.reasons, got.reasons)) differences.push('reasons');
  const ids = (outcome: typeof expected) => outcome.errors.map((error) => error.policy);
  if (!sameTexts(ids(expected), ids(got))) return [...differences, 'errors'];
  const pairs = expected.errors.map((error, index) => [error, got.errors[index]] as const);
  if (pairs.some(([one, other]) => one.message !== other?.message)) differences.push('message');
  if (pairs.some(([one, other]) => !isSamePlace(one, other, leniency))) differences.push('span');
  return differences;
}

export function byPolicy(one: PolicyFault, other: PolicyFault): number {
  return one.policy < other.policy ? -1 : one.policy > other.policy ? 1 : 0;
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

const MEMBER = /^type error: expected \(entity of type `any_entity_type`\)/;

function isSamePlace(
  expected: PolicyFault,
  got: PolicyFault | undefined,
  leniency: Leniency,
): boolean {
  if (!got) return false;
  if (expected.start === got.start && expected.end === got.end) return true;
  switch (leniency) {
    case 'none':
      return false;
    case 'members':
      return MEMBER.test(expected.message) && isWithin(expected, got);
    case 'steps':
      return isWithin(got, expected) || isWithin(expected, got);
  }
}

function isWithin(inner: PolicyFault, outer: PolicyFault): boolean {
  if (inner.start === undefined || inner.end === undefined) return false;
  if (outer.start === undefined || outer.end === undefined) return false;
  return outer.start <= inner.start && inner.end <= outer.end;
}
