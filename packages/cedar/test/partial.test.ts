import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EvaluationError } from '../src/ast/evaluation-error.ts';
import type { LinkedPolicy } from '../src/ast/linked-policy.ts';
import type { Request } from '../src/authorize/request.ts';
import { compilePolicy } from '../src/compile/compile-policy.ts';
import { Frame } from '../src/compile/frame.ts';
import type { EntityView } from '../src/entity/entity-view.ts';
import { interpret } from '../src/partial/interpret.ts';
import { interpretPolicy } from '../src/partial/interpret-policy.ts';
import { truth } from '../src/partial/logic.ts';
import { ContextFault, openContext } from '../src/partial/open-context.ts';
import { ERROR, FALSE, TRUE } from '../src/partial/outcomes.ts';
import type { Partial } from '../src/partial/partial.ts';
import { completeEnvironment, partialEnvironment } from '../src/partial/partial-environment.ts';
import type { UnknownAttribute } from '../src/partial/partial-request.ts';
import { parsePolicy } from '../src/text/parse-policy.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { policyText } from './partial/arbitrary-policies.ts';
import * as worlds from './partial/arbitrary-worlds.ts';

const SEED = Number(process.env['CEDAR_PARTIAL_SEED'] ?? 20_261_126);
const RUNS = Number(process.env['CEDAR_PARTIAL_RUNS'] ?? 3_000);

function policyOf(text: string): LinkedPolicy {
  const parsed = parsePolicy({ id: 'p', text }, { isTemplate: false });
  if (!parsed.policy) throw new Error(`${JSON.stringify(parsed.problems)} in ${text}`);
  return parsed.policy;
}

type Outcome = boolean | string;

/** What the compiled engine makes of a policy: true, false or the message of its error. */
function fully(policy: LinkedPolicy, request: Request, entities: EntityView): Outcome {
  const compiled = compilePolicy(policy, 0);
  const frame = new Frame(request, entities);
  try {
    return compiled.inScope(frame) && compiled.holds(frame);
  } catch (error) {
    if (error instanceof EvaluationError) return error.message;
    throw error;
  }
}

function outcome(partial: Partial): Outcome {
  switch (partial.kind) {
    case 'known':
      if (typeof partial.value !== 'boolean') throw new Error('expected a boolean');
      return partial.value;
    case 'failed':
      return partial.error.message;
    case 'open':
      throw new Error(`expected an outcome of ${JSON.stringify(partial.expression)}`);
  }
}

const bitOf = (of: Outcome) => (of === true ? TRUE : of === false ? FALSE : ERROR);

describe('without unknowns', () => {
  test('evaluates every policy as the compiled engine does', () => {
    fc.assert(
      fc.property(policyText, worlds.world, worlds.request, (text, world, request) => {
        const policy = policyOf(text);
        const entities = worlds.viewOf(world);
        const partial = interpretPolicy(
          policy,
          completeEnvironment(request, { entities, schema: undefined }),
        );
        expect(outcome(partial)).toBe(fully(policy, request, entities));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

const ATTRIBUTES = ['b', 'n', 's', 'e', 'set', 'd', 'ip', 'at', 'dec', 'dur'] as const;

/** Which parts of a request are unknown. */
const mask = fc.record({
  principal: fc.constantFrom('known', 'known', 'typed', 'unknown'),
  action: fc.constantFrom('known', 'known', 'known', 'unknown'),
  resource: fc.constantFrom('known', 'typed', 'unknown'),
  context: fc.oneof(
    fc.constantFrom('known' as const, 'rest' as const),
    fc.uniqueArray(
      fc.record({
        path: fc.oneof(
          fc.constantFrom(...ATTRIBUTES).map((name) => [name]),
          fc.constantFrom('b', 'n', 'e').map((name) => ['d', name]),
        ),
        isPresent: fc.boolean(),
      }),
      { selector: ({ path }) => path[0], maxLength: 4 },
    ),
  ),
});

describe('for every completion', () => {
  test('a residual comes to what full evaluation comes to, errors included', () => {
    fc.assert(
      fc.property(
        policyText,
        worlds.world,
        worlds.world,
        worlds.request,
        worlds.request,
        mask,
        fc.context(),
        (text, world, otherWorld, known, other, unknown, log) => {
          const policy = policyOf(text);
          const uid = (name: 'principal' | 'action' | 'resource') =>
            unknown[name] === 'known'
              ? known[name]
              : { type: unknown[name] === 'typed' ? other[name].type : undefined };
          const paths = unknown.context === 'known' ? [] : unknown.context;
          const context = openContext(withoutPaths(known.context, paths), paths, undefined);
          if (context instanceof ContextFault) throw new Error(context.message);
          const entities = worlds.viewOf(world);
          const partial = interpretPolicy(
            policy,
            partialEnvironment(
              {
                principal: uid('principal'),
                action: uid('action'),
                resource: uid('resource'),
                context,
              },
              { entities, schema: undefined },
            ),
          );
          const completion: Request = {
            principal: unknown.principal === 'known' ? known.principal : other.principal,
            action: unknown.action === 'known' ? known.action : other.action,
            resource: unknown.resource === 'known' ? known.resource : other.resource,
            context: completed(known.context, other.context, paths),
          };
          const own = ['principal', 'action', 'resource'] as const;
          const added = own
            .filter((name) => unknown[name] !== 'known')
            .map((name) => otherWorld.get(other[name].key))
            .filter((entity) => entity !== undefined);
          const completeView = worlds.viewOf(new Map([...worlds.worldOf(added), ...world]));
          const expected = fully(policy, completion, completeView);
          log.log(
            JSON.stringify(partial, (_, value) =>
              typeof value === 'bigint' ? `${value}n` : value,
            ),
          );
          if (partial.kind !== 'open') {
            expect(outcome(partial)).toBe(expected);
            return;
          }
          expect(partial.outcomes & bitOf(expected)).not.toBe(0);
          const environment = completeEnvironment(completion, {
            entities: completeView,
            schema: undefined,
          });
          expect(
            outcome(truth(interpret(partial.expression, environment), partial.expression)),
          ).toBe(expected);
        },
      ),
      { seed: SEED, numRuns: RUNS },
    );
  });
});

type Paths = 'rest' | readonly UnknownAttribute[];

function withoutPaths(context: CedarRecord, paths: Paths): CedarRecord {
  const fields = new Map(context.entries());
  if (paths === 'rest') {
    // What has no known value may be anything.
    for (const name of ['b', 'e', 'd', 'at']) fields.delete(name);
    return CedarRecord.of([...fields]);
  }
  for (const { path } of paths) {
    const [name = '', inner] = path;
    const value = fields.get(name);
    if (inner === undefined) fields.delete(name);
    else if (value instanceof CedarRecord)
      fields.set(name, withoutPaths(value, [{ path: [inner] }]));
    else fields.delete(name);
  }
  return CedarRecord.of([...fields]);
}

function completed(known: CedarRecord, other: CedarRecord, paths: Paths): CedarRecord {
  const fields = new Map(withoutPaths(known, paths).entries());
  if (paths === 'rest') {
    for (const [name, value] of other.entries()) if (!fields.has(name)) fields.set(name, value);
    return CedarRecord.of([...fields]);
  }
  for (const { path, isPresent } of paths) {
    const [name = '', inner] = path;
    if (inner !== undefined) {
      const record = fields.get(name);
      const source = other.get(name);
      fields.set(
        name,
        completed(
          record instanceof CedarRecord ? record : CedarRecord.empty,
          source instanceof CedarRecord ? source : CedarRecord.empty,
          [{ path: [inner], isPresent: isPresent === true }],
        ),
      );
      continue;
    }
    const value = other.get(name) ?? (isPresent ? 'x' : undefined);
    if (value !== undefined) fields.set(name, value);
  }
  return CedarRecord.of([...fields]);
}
