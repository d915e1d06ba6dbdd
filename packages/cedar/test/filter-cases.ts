import { EvaluationError } from '../src/ast/evaluation-error.ts';
import type { Expression } from '../src/ast/expression.ts';
import { compileCondition } from '../src/compile/compile.ts';
import { Frame } from '../src/compile/frame.ts';
import { type FilterPolicy, type SqlFilter, type SqlRefusal, toSql } from '../src/filter/to-sql.ts';
import { CedarRecord } from '../src/value/cedar-record.ts';
import { EntityUid } from '../src/value/entity-uid.ts';
import { entitiesOf, mappingOf, schemaOf, type World } from './filter-world.ts';

/** What one set of policies ought to select from a world, and the filter that should select it. */
export interface FilterCase {
  readonly filter: SqlFilter | SqlRefusal;
  readonly expected: readonly string[];
}

/** Both readings of a forbid that fails. */
export function casesOf(
  world: World,
  policySets: readonly (readonly FilterPolicy[])[],
): readonly FilterCase[] {
  const entities = entitiesOf(world);
  const schema = schemaOf(world);
  const mapping = mappingOf(world);
  return policySets.flatMap((policies) =>
    [false, true].map((strict) => ({
      filter: toSql(policies, {
        dialect: world.dialect,
        entityType: 'Doc',
        mapping,
        alias: 'docs',
        strict,
        ...(schema && { schema }),
        // Otherwise the tables tell all.
        ...(world.hierarchy === 'memory' && { entities }),
      }),
      expected: world.docs
        .filter(({ id }) => isPermitted(policies, new EntityUid('Doc', id), { entities, strict }))
        .map(({ id }) => id),
    })),
  );
}

function isPermitted(
  policies: readonly FilterPolicy[],
  resource: EntityUid,
  {
    entities,
    strict,
  }: { readonly entities: ReturnType<typeof entitiesOf>; readonly strict: boolean },
): boolean {
  const frame = new Frame(
    { principal: NOBODY, action: NOTHING, resource, context: CedarRecord.empty },
    entities,
  );
  const outcomes = policies.map(({ effect, condition }) => ({
    effect,
    outcome: evaluate(condition, frame),
  }));
  const isForbidden = outcomes.some(
    ({ effect, outcome }) =>
      effect === 'forbid' && (outcome === true || (strict && outcome === 'error')),
  );
  return (
    !isForbidden && outcomes.some(({ effect, outcome }) => effect === 'permit' && outcome === true)
  );
}

const NOBODY = new EntityUid('User', 'nobody');
const NOTHING = new EntityUid('Action', 'nothing');

function evaluate(condition: Expression, frame: Frame): boolean | 'error' {
  try {
    return compileCondition(condition)(frame);
  } catch (error) {
    if (error instanceof EvaluationError) return 'error';
    throw error;
  }
}
