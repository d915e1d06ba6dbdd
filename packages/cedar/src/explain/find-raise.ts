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
import type { UnknownAttribute } from '../partial/partial-request.ts';
import type { OpenRecord } from '../partial/shape.ts';
import type { RecordType, SchemaType } from '../schema/schema.ts';
import type { CedarRecord } from '../value/cedar-record.ts';
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
  // Refuses what cannot be raised, alone or together.
  openedContext(set, denied, paths.map(present));
  const unknown = withUnknown(set, denied, raisedOrNot(denied.request.context, paths));
  if (unknown.decision === 'deny') return { kind: 'impossible', tried: 0 };

  const type = contextType(set, denied);
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
  let isPossible = false;
  for (let size = 1; size <= candidates.length; size += 1) {
    const groups = subsetsOf(candidates, size).filter((group) => {
      const paths = group.map(({ path }) => path);
      return withUnknown(set, denied, paths.map(present)).decision !== 'deny';
    });
    isPossible ||= groups.length > 0;
    // Where one attribute has no value to try, looking for a combination would go through all values of the others.
    const triable = groups.filter((group) => group.every(({ values }) => values.length > 0));
    for (const changes of combinations(triable)) {
      if (tried === RAISE_LIMITS.combinations)
        return { kind: 'gaveUp', tried, bound: 'combinations' };
      tried += 1;
      if (isAllowedWith(set, denied, changes)) return { kind: 'found', changes, tried };
    }
  }
  if (!isPossible) return { kind: 'impossible', tried: 0 };
  return candidates.some(({ isCut }) => isCut)
    ? { kind: 'gaveUp', tried, bound: 'values' }
    : { kind: 'notFound', tried };
}

function present(path: readonly string[]): UnknownAttribute {
  return { path, isPresent: true };
}

/**
 * All that attributes can be when any of them are raised: one that is not there now may as well stay away, and
 * so may a record on the way to it.
 */
function raisedOrNot(
  context: CedarRecord,
  paths: readonly (readonly string[])[],
): readonly UnknownAttribute[] {
  const unknown = paths.map((path): UnknownAttribute => {
    const missing = path.findIndex(
      (_name, index) => valueAt(context, path.slice(0, index + 1)) === undefined,
    );
    return missing < 0 ? present(path) : { path: path.slice(0, missing + 1) };
  });
  // Several may stand in one record that is missing.
  return [...new Map(unknown.map((each) => [JSON.stringify(each.path), each])).values()];
}

/** What can be said while attributes have a value, whichever, or none. */
function withUnknown(
  set: PolicySet,
  denied: Denied,
  unknown: readonly UnknownAttribute[],
): PartialAnswer {
  const { entities, options, request } = denied;
  const environment = partialEnvironment(
    { ...request, context: openedContext(set, denied, unknown) },
    { entities: set.view(entities), schema: set.schema },
  );
  return evaluateIn(set.policies, environment, { strict: options.strict === true });
}

function openedContext(
  set: PolicySet,
  denied: Denied,
  unknown: readonly UnknownAttribute[],
): OpenRecord {
  const known = unknown.reduce(
    (context, { path }) => withoutPath(context, path),
    denied.request.context,
  );
  const context = openContext(known, unknown, contextType(set, denied));
  if (context instanceof ContextFault) throw unraisable(context.message);
  return context;
}

function contextType({ schema }: PolicySet, { request }: Denied): RecordType | undefined {
  return schema?.actions.get(request.action.key)?.context;
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
