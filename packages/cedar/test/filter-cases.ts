import {
  type CedarEngine,
  type PolicySource,
  type SqlFilter,
  type SqlRefusal,
  toSql,
} from '@countersign/cedar';
import { permitsWhen } from './filter-matrix.ts';
import {
  ACTIONS,
  contextOf,
  mappingOf,
  PRINCIPAL,
  schemaOf,
  storeOf,
  type World,
} from './filter-world.ts';

/** What policies ought to select from a world, and the filter that should select it. */
export interface FilterCase {
  readonly policies: readonly string[];
  readonly filter: SqlFilter | SqlRefusal;
  /** Ids, sorted. */
  readonly expected: readonly string[];
}

/** For each action its filter; by default in both readings of a forbid that fails. */
export async function casesOf(
  engine: CedarEngine,
  world: World,
  policies: readonly PolicySource[],
  {
    actions = ACTIONS,
    readings = [false, true],
  }: { readonly actions?: readonly string[]; readonly readings?: readonly boolean[] } = {},
): Promise<readonly FilterCase[]> {
  const set = await engine.load(policies, schemaOf(world), { validation: 'off' });
  const entities = storeOf(world, set);
  const known = storeOf(world, set, { hasDocs: world.showsDocs });
  return actions.flatMap((id) =>
    readings.map((strict) => {
      const action = { type: 'Action', id };
      const question = { principal: PRINCIPAL, action, context: contextOf(world) };
      const resources = world.docs.map((doc) => ({ type: 'Doc', id: doc.id }));
      return {
        policies: policies.filter((each) => each.id.startsWith(`${id}.`)).map(({ text }) => text),
        filter: toSql(set, { ...question, resource: { type: 'Doc' } }, known, {
          dialect: world.dialect,
          mapping: mappingOf(world),
          alias: 'docs',
          strict,
        }),
        expected: resources
          .filter(
            (resource) =>
              set.authorize({ ...question, resource }, entities, { strict }).decision === 'allow',
          )
          .map((resource) => resource.id)
          .sort(),
      };
    }),
  );
}

/** How many cases there were, and how many say something. */
export class FilterCount {
  cases = 0;
  refused = 0;
  /** Those in which some rows are permitted and some are not. */
  telling = 0;
  readonly #refusals = new Map<string, number>();

  add({ filter, expected }: FilterCase, world: World): void {
    this.cases += 1;
    if (expected.length > 0 && expected.length < world.docs.length) this.telling += 1;
    if (filter.kind === 'filter') return;
    this.refused += 1;
    for (const { message } of filter.refusals) {
      const reason = message.replace(/^.* to SQL: /, '');
      this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
    }
  }

  toString(): string {
    const reasons = [...this.#refusals].sort(([, one], [, other]) => other - one).slice(0, 8);
    return [
      `${this.cases} cases, ${this.telling} of them select some rows and not others, ${this.refused} refused`,
      ...reasons.map(([reason, count]) => `  ${count} x ${reason}`),
    ].join('\n');
  }
}

const chain = (count: number, operator: string, operand: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => operand(index)).join(` ${operator} `);

const nest = (count: number, start: string, wrap: (inner: string, index: number) => string) =>
  Array.from({ length: count }).reduce<string>((inner, _, index) => wrap(inner, index), start);

/**
 * Conditions about as long and as deep as can be loaded, on an optional Long `n`, a Long `q` and an optional
 * boolean `b`: none may grow out of bounds, or nest deeper than a database takes.
 */
export const LONG_CONDITIONS: { readonly [name: string]: string } = {
  'a chain of &&': chain(450, '&&', (index) => `resource.n == ${index}`),
  'a chain of ||': chain(450, '||', (index) => `resource.n == ${index}`),
  'a chain of || without errors': chain(450, '||', (index) => `resource.q == ${index}`),
  'a chain of +': `${chain(90, '+', () => 'resource.q')} > 5`,
  '&& and || in turn': nest(55, 'resource.n == 99', (inner, index) =>
    index % 2 === 0
      ? `(${inner} || resource.n == ${index})`
      : `(${inner} && resource.n != ${index})`,
  ),
  '&& and || in turn, from the right': nest(55, 'resource.n == 99', (inner, index) =>
    index % 2 === 0
      ? `(resource.n == ${index} || ${inner})`
      : `(resource.n != ${index} && ${inner})`,
  ),
  'ifs in ifs': nest(
    55,
    'resource.b',
    (inner, index) => `(if resource.q == ${index} then ${inner} else resource.b)`,
  ),
  'numbers from ifs in ifs': `${nest(30, 'resource.n', (inner, index) => `(if resource.q == ${index} then ${index} else ${inner})`)} == 3`,
  'negations of conjunctions': nest(
    50,
    'resource.b',
    (inner, index) => `!(${inner} && (resource.b || resource.q == ${index}))`,
  ),
};

/** Many conditions asked of one world, each alone, a batch at a time. */
export async function* casesOfConditions(
  engine: CedarEngine,
  world: World,
  conditions: readonly string[],
): AsyncGenerator<FilterCase, void> {
  for (let start = 0; start < conditions.length; start += 120) {
    const { actions, policies } = permitsWhen(conditions.slice(start, start + 120));
    yield* await casesOf(engine, world, policies, { actions, readings: [false] });
  }
}
