import fc from 'fast-check';

// Policies that read everything a request and entities can hold, mostly well-typed, so that evaluation gets
// deep, and ill-typed often enough that every error is met.

export const TYPES = ['User', 'Team', 'Doc'] as const;
export const IDS = ['a', 'b', 'c'] as const;

export const uidText = fc
  .tuple(fc.constantFrom(...TYPES), fc.constantFrom(...IDS))
  .map(([type, id]) => `${type}::"${id}"`);

const join =
  (separator: string) =>
  (parts: readonly string[]): string =>
    parts.join(separator);

const { bool, any } = fc.letrec<{
  [kind in 'any' | 'bool' | 'long' | 'string' | 'entity' | 'set' | 'record' | 'extension']: string;
}>((tie) => {
  const depth = { depthSize: 'small', withCrossShrink: true, maxDepth: 5 } as const;
  const holder = fc.oneof(
    { ...depth, depthIdentifier: 'holder' },
    { weight: 3, arbitrary: fc.constant('context') },
    { weight: 3, arbitrary: tie('entity') },
    { weight: 1, arbitrary: tie('record') },
    { weight: 1, arbitrary: tie('any') },
  );
  const binary = (left: fc.Arbitrary<string>, operators: string[], right: fc.Arbitrary<string>) =>
    fc.tuple(left, fc.constantFrom(...operators), right).map(([l, o, r]) => `(${l} ${o} ${r})`);
  const method = (of: fc.Arbitrary<string>, names: string[], argument: fc.Arbitrary<string>) =>
    fc.tuple(of, fc.constantFrom(...names), argument).map(([o, n, a]) => `${o}.${n}(${a})`);
  const read = (name: string) => holder.map((of) => `${of}.${name}`);
  const conditional = (arm: fc.Arbitrary<string>) =>
    fc.tuple(tie('bool'), arm, arm).map(([c, t, e]) => `(if ${c} then ${t} else ${e})`);
  const tag = fc.tuple(tie('entity'), tie('string')).map(([e, s]) => `${e}.getTag(${s})`);
  const oneOf = (...arbitraries: fc.Arbitrary<string>[]) => fc.oneof(depth, ...arbitraries);

  return {
    any: oneOf(
      fc.constantFrom('principal', 'context', '1', '"x"', 'true'),
      tie('bool'),
      tie('long'),
      tie('string'),
      tie('entity'),
      tie('set'),
      tie('record'),
      tie('extension'),
      tag,
    ),
    bool: oneOf(
      fc.constantFrom('true', 'false', 'context.b'),
      read('b'),
      binary(tie('bool'), ['&&', '||'], tie('bool')),
      tie('bool').map((b) => `!(${b})`),
      conditional(tie('bool')),
      binary(tie('any'), ['==', '!='], tie('any')),
      binary(tie('entity'), ['==', 'in'], tie('entity')),
      binary(tie('long'), ['<', '<=', '>', '>=', '=='], tie('long')),
      binary(tie('extension'), ['<', '>=', '=='], tie('extension')),
      binary(tie('entity'), ['in'], tie('set')),
      method(tie('set'), ['contains'], tie('any')),
      method(tie('set'), ['containsAll', 'containsAny'], tie('set')),
      tie('set').map((s) => `${s}.isEmpty()`),
      fc
        .tuple(holder, fc.constantFrom('b', 'n', 's', 'e', 'd', 'd.b', 'd.e', 'e.n', 'zz'))
        .map(([h, p]) => `(${h} has ${p})`),
      fc.tuple(tie('entity'), fc.constantFrom(...TYPES)).map(([e, t]) => `(${e} is ${t})`),
      fc
        .tuple(tie('entity'), fc.constantFrom(...TYPES), tie('entity'))
        .map(([e, t, w]) => `(${e} is ${t} in ${w})`),
      fc
        .tuple(tie('string'), fc.constantFrom('*', 'x*', '*y*', ''))
        .map(([s, p]) => `(${s} like "${p}")`),
      method(tie('entity'), ['hasTag'], tie('string')),
      method(tie('extension'), ['isInRange', 'lessThan', 'greaterThanOrEqual'], tie('extension')),
      tie('extension').map((e) => `${e}.isIpv4()`),
      tie('any'),
    ),
    long: oneOf(
      fc.constantFrom('0', '1', '9223372036854775807'),
      read('n'),
      read('d.n'),
      binary(tie('long'), ['+', '-', '*'], tie('long')),
      tie('long').map((n) => `-(${n})`),
      conditional(tie('long')),
      tie('extension').map((e) => `${e}.toMilliseconds()`),
      tag,
    ),
    string: oneOf(fc.constantFrom('""', '"x"', '"xyz"'), read('s'), conditional(tie('string'))),
    entity: oneOf(
      fc.constantFrom('principal', 'resource', 'action', 'principal', 'resource'),
      uidText,
      read('e'),
      conditional(tie('entity')),
    ),
    set: oneOf(
      fc.constantFrom('["x", "y"]', '[]', 'context.set'),
      read('set'),
      fc.array(tie('any'), { maxLength: 3 }).map((each) => `[${join(', ')(each)}]`),
      fc.array(tie('entity'), { maxLength: 3 }).map((each) => `[${join(', ')(each)}]`),
      conditional(tie('set')),
    ),
    record: oneOf(
      fc.constantFrom('{}', 'context', 'context.d'),
      read('d'),
      fc
        .tuple(tie('any'), tie('bool'), tie('entity'))
        .map(([n, b, e]) => `{ n: ${n}, b: ${b}, e: ${e} }`),
    ),
    extension: oneOf(
      fc.constantFrom(
        'ip("10.0.0.0/8")',
        'decimal("1.5")',
        'datetime("2026-01-01")',
        'duration("1h")',
        'ip("bad")',
        'context.ip',
        'context.at',
        'context.dec',
        'context.dur',
      ),
      method(tie('extension'), ['offset', 'durationSince'], tie('extension')),
      tie('string').map((s) => `ip(${s})`),
      tie('extension').map((e) => `${e}.toTime()`),
    ),
  };
});

const scopeOf = (name: 'principal' | 'resource') =>
  fc.oneof(
    { weight: 30, arbitrary: fc.constant(name) },
    uidText.map((uid) => `${name} == ${uid}`),
    uidText.map((uid) => `${name} in ${uid}`),
    fc.constantFrom(...TYPES).map((type) => `${name} is ${type}`),
    fc
      .tuple(fc.constantFrom(...TYPES), uidText)
      .map(([type, uid]) => `${name} is ${type} in ${uid}`),
  );

const actionScope = fc.constantFrom(
  ...Array.from({ length: 12 }, () => 'action'),
  'action == Action::"read"',
  'action in Action::"all"',
  'action in [Action::"write", Action::"all"]',
  'action in []',
);

export const expressionText = fc.oneof({ weight: 4, arbitrary: bool }, any);

export const policyText = fc
  .record({
    effect: fc.constantFrom('permit', 'forbid'),
    principal: scopeOf('principal'),
    action: actionScope,
    resource: scopeOf('resource'),
    conditions: fc.array(
      fc
        .tuple(fc.constantFrom('when', 'when', 'unless'), expressionText)
        .map(([kind, body]) => `${kind} { ${body} }`),
      { maxLength: 3 },
    ),
  })
  .map(
    ({ effect, principal, action, resource, conditions }) =>
      `${effect} (${principal}, ${action}, ${resource}) ${conditions.join(' ')};`,
  );
