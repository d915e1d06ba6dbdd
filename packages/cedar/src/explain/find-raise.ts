import type { AuthorizeOptions, PolicySet } from '../authorize/policy-set.ts';
import type { Request } from '../authorize/request.ts';
import type { CedarJson, CedarRequest } from '../engine.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { CedarDataError } from '../json/cedar-data-error.ts';
import { evaluateIn } from '../partial/evaluate-in.ts';
import { ContextFault, openContext } from '../partial/open-context.ts';
import { parserOf } from '../partial/parser-of.ts';
import type { PartialAnswer } from '../partial/partial-answer.ts';
import { partialEnvironment } from '../partial/partial-environment.ts';
import type { RecordType, SchemaType } from '../schema/schema.ts';
import { jsonWith, valueAt, withoutPath } from './at-path.ts';
import { type RaiseCandidates, raiseCandidates } from './raise-candidates.ts';
import {
  RAISE_LIMITS,
  type RaisableAttribute,
  type RaiseChange,
  type RaiseFinding,
} from './raise-finding.ts';

/** A denied question. */
export interface Denied {
  readonly json: CedarRequest;
  readonly request: Request;
  readonly entities: EntityView;
  readonly options: AuthorizeOptions;
}

/**
 * Looks for the least set of changes that turns a denial: sets of attributes from the smallest on, of each size
 * all combinations of values from the lowest on. Sets of attributes that could take any value and still be denied are
 * left out, which partial evaluation tells; every other combination is asked as a request of its own.
 */
export function findRaise(
  set: PolicySet,
  denied: Denied,
  raise: readonly RaisableAttribute[],
): RaiseFinding {
  const paths = raise.map(({ attribute }) =>
    typeof attribute === 'string' ? [attribute] : attribute,
  );
  if (paths.length > RAISE_LIMITS.attributes) {
    throw unraisable(
      `found ${paths.length} attributes, expected ${RAISE_LIMITS.attributes} at most`,
    );
  }
  const unknown = withUnknown(set, denied, paths);
  if (unknown.decision === 'deny') return { kind: 'impossible', tried: 0 };

  const type = set.schema?.actions.get(denied.request.action.key)?.context;
  const residuals = unknown.residuals.map(({ condition }) => condition);
  const candidates = raise.map((raisable, index) => {
    const path = paths[index] ?? [];
    const now = valueAt(denied.request.context, path);
    const subject = { raisable, path, now, type: typeAt(type, path) };
    return raiseCandidates(subject, { parser: parserOf(set), residuals });
  });
  return search(set, denied, candidates);
}

function search(
  set: PolicySet,
  denied: Denied,
  candidates: readonly RaiseCandidates[],
): RaiseFinding {
  let tried = 0;
  for (let size = 1; size <= candidates.length; size += 1) {
    const groups = subsetsOf(candidates, size).filter((group) => {
      const paths = group.map(({ path }) => path);
      return withUnknown(set, denied, paths).decision !== 'deny';
    });
    for (const changes of combinations(groups)) {
      if (tried === RAISE_LIMITS.combinations)
        return { kind: 'gaveUp', tried, bound: 'combinations' };
      tried += 1;
      if (isAllowedWith(set, denied, changes)) return { kind: 'found', changes, tried };
    }
  }
  return candidates.some(({ isCut }) => isCut)
    ? { kind: 'gaveUp', tried, bound: 'values' }
    : { kind: 'notFound', tried };
}

/** What can be said while attributes have a value, whichever. */
function withUnknown(
  set: PolicySet,
  { entities, options, request }: Denied,
  paths: readonly (readonly string[])[],
): PartialAnswer {
  const type = set.schema?.actions.get(request.action.key)?.context;
  const context = openContext(
    paths.reduce(withoutPath, request.context),
    paths.map((path) => ({ path, isPresent: true })),
    type,
  );
  if (context instanceof ContextFault) throw unraisable(context.message);
  const environment = partialEnvironment(
    { ...request, context },
    { entities: set.view(entities), schema: set.schema },
  );
  return evaluateIn(set.policies, environment, { strict: options.strict === true });
}

function isAllowedWith(
  set: PolicySet,
  { entities, json, options }: Denied,
  changes: readonly RaiseChange[],
): boolean {
  const context = changes.reduce(
    (changed, { attribute, to }) => jsonWith(changed, attribute, to),
    json.context,
  );
  return set.authorize({ ...json, context }, entities, options).decision === 'allow';
}

/** Sets of a size, in the order of the list. */
function subsetsOf<T>(list: readonly T[], size: number): readonly (readonly T[])[] {
  if (size === 0) return [[]];
  return list.flatMap((first, index) =>
    subsetsOf(list.slice(index + 1), size - 1).map((rest) => [first, ...rest]),
  );
}

/** All combinations of values in all groups, those of the lowest values first. */
function* combinations(
  groups: readonly (readonly RaiseCandidates[])[],
): Generator<readonly RaiseChange[]> {
  const heightMax = Math.max(0, ...groups.map(heightOf));
  for (let height = 0; height <= heightMax; height += 1) {
    for (const group of groups) yield* combinationsAt(group, height);
  }
}

/** The places of the highest values, added up. */
function heightOf(group: readonly RaiseCandidates[]): number {
  return group.reduce((sum, { values }) => sum + values.length - 1, 0);
}

/** Combinations of which the places of the values add up to a height. */
function* combinationsAt(
  [first, ...rest]: readonly RaiseCandidates[],
  height: number,
): Generator<readonly RaiseChange[]> {
  if (!first) {
    if (height === 0) yield [];
    return;
  }
  for (const [place, to] of first.values.entries()) {
    if (place > height) return;
    for (const others of combinationsAt(rest, height - place)) {
      yield [change(first.path, to), ...others];
    }
  }
}

function change(attribute: readonly string[], to: CedarJson): RaiseChange {
  return { attribute, to };
}

function typeAt(type: RecordType | undefined, path: readonly string[]): SchemaType | undefined {
  let at: SchemaType | undefined = type;
  for (const name of path) {
    at = at?.kind === 'record' ? at.attributes.get(name)?.type : undefined;
  }
  return at;
}

function unraisable(message: string): CedarDataError {
  return new CedarDataError('ERR_CEDAR_REQUEST_INVALID', `cannot raise: ${message}`, 'raise');
}
