import {
  type CedarEntity,
  type CedarRequest,
  type CoverageReport,
  createCedarEngine,
  createCoverage,
  createJsonParser,
  type EntityView,
  entitiesFrom,
  mergeCoverage,
  type PolicyCoverage,
  type PolicySet,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { policyText } from './partial/arbitrary-policies.ts';
import * as worlds from './partial/arbitrary-worlds.ts';

/** Printed with every failure; another one takes other policies and worlds. */
const SEED = Number(process.env['CEDAR_COVERAGE_SEED'] ?? 20_261_126);

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const { parseEntity } = createJsonParser(undefined);
const NOTHING: EntityView = entitiesFrom({ get: () => undefined }, parseEntity);

const ask = (context: CedarRequest['context'], principal = 'a', action = 'read'): CedarRequest => ({
  principal: { type: 'User', id: principal },
  action: { type: 'Action', id: action },
  resource: { type: 'Doc', id: 'd' },
  context,
});

async function covered(text: string, requests: readonly CedarRequest[]) {
  const set = await engine.load([{ id: 'p', text }], undefined);
  const coverage = createCoverage(set);
  for (const request of requests) coverage.observe(request, NOTHING);
  const report = coverage.report();
  return { report, policy: report.policies[0] as PolicyCoverage };
}

const outline = ({ points }: PolicyCoverage) =>
  points.map(({ kind, seen, status, text }) => [
    kind,
    text,
    `${seen.true}/${seen.false}/${seen.error}/${seen.other}`,
    status,
  ]);

test('counts each part of a condition both ways, and what was never reached', async () => {
  const text = `permit (principal == User::"a", action, resource is Doc)
    when { context.x && (context.y || !context.z) }
    unless { context.w == 1 };`;
  const requests = [
    ask({ x: true, y: true, w: 2 }),
    ask({ x: true, y: false, z: true }),
    ask({ x: false }),
    ask({ x: 1 }),
    ask({}, 'b'),
  ];
  const { policy, report } = await covered(text, requests);
  expect(outline(policy)).toEqual([
    ['principal', 'principal == User::"a"', '4/1/0/0', 'covered'],
    ['resource', 'resource is Doc', '4/0/0/0', 'partly'],
    ['condition', 'context.x', '2/1/0/1', 'covered'],
    ['condition', 'context.y', '1/1/0/0', 'covered'],
    ['condition', 'context.z', '1/0/0/0', 'partly'],
    ['condition', 'context.w == 1', '0/1/0/0', 'partly'],
  ]);
  expect(policy).toMatchObject({ reach: 'satisfied', reached: 4, satisfied: 1, errored: 1 });
  for (const { span, text: own } of policy.points) {
    expect(text.slice(span.start, span.end)).toBe(own);
  }
  expect(report.totals).toEqual({
    policies: { count: 1, reached: 1, satisfied: 1, percent: 100 },
    points: { count: 6, reached: 6, covered: 3, percent: 50 },
  });
});

test('tells which arm of an `if` was taken, wherever it stands', async () => {
  const text = `permit (principal, action, resource)
    when { (if context.x then context.n else 7) > 3 };`;
  const { policy } = await covered(text, [ask({ x: true, n: 5 }), ask({ x: true })]);
  expect(outline(policy)).toEqual([
    ['condition', '(if context.x then context.n else 7) > 3', '1/0/1/0', 'partly'],
    ['condition', 'context.x', '2/0/0/0', 'partly'],
    ['arm', 'context.n', '0/0/1/1', 'covered'],
    ['arm', '7', '0/0/0/0', 'never'],
  ]);
});

test('tells policies that were satisfied from those reached and those never reached', async () => {
  const set = await engine.load(
    [
      { id: 'open', text: 'permit (principal, action, resource);' },
      { id: 'other', text: 'permit (principal, action == Action::"write", resource);' },
      { id: 'never', text: 'permit (principal, action, resource) when { false };' },
    ],
    undefined,
  );
  const coverage = createCoverage(set);
  expect(coverage.report().totals.policies).toMatchObject({ reached: 0, satisfied: 0, percent: 0 });
  coverage.observe(ask({}), NOTHING);
  const { policies, totals } = coverage.report();
  expect(policies.map(({ id, reach }) => [id, reach])).toEqual([
    ['never', 'scope'],
    ['open', 'satisfied'],
    ['other', 'never'],
  ]);
  expect(totals).toEqual({
    policies: { count: 3, reached: 2, satisfied: 1, percent: 33.3 },
    points: { count: 1, reached: 1, covered: 0, percent: 0 },
  });
});

test('counts a request that the schema does not admit as refused', async () => {
  const schema =
    'entity User; entity Doc; action read appliesTo { principal: User, resource: Doc };';
  const set = await engine.load(
    [{ id: 'p', text: 'permit (principal, action, resource);' }],
    schema,
  );
  const coverage = createCoverage(set);
  coverage.observe(ask({ other: 1 }), NOTHING);
  coverage.observe(ask({}), NOTHING);
  expect(coverage.report()).toMatchObject({ requests: 2, refused: 1, policies: [{ reached: 1 }] });
});

test('adds reports up, and keeps a policy apart that changed in between', async () => {
  const text = 'permit (principal, action, resource) when { context.x };';
  const one = await covered(text, [ask({ x: true })]);
  const other = await covered(text, [ask({ x: false }), ask({})]);
  const both = await covered(text, [ask({ x: true }), ask({ x: false }), ask({})]);
  expect(mergeCoverage([one.report, other.report])).toEqual(both.report);
  expect(mergeCoverage([])).toMatchObject({ requests: 0, policies: [] });
  const changed = await covered(text.replace('.x', '.y'), [ask({ y: true })]);
  const merged = mergeCoverage([one.report, changed.report]);
  expect(merged.policies.map(({ id, satisfied }) => [id, satisfied])).toEqual([
    ['p', 1],
    ['p', 1],
  ]);
  const json = JSON.parse(JSON.stringify(both.report)) as CoverageReport;
  expect(json).toEqual(both.report);
});

test('counts as deciding does, whatever the policies and requests', async () => {
  const texts = fc.sample(policyText, { numRuns: 60, seed: SEED });
  const set = await engine.load(
    texts.map((text, index) => ({ id: `p${index}`, text })),
    undefined,
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(worlds.world, worlds.request), { minLength: 1, maxLength: 4 }),
      (questions) => {
        const coverage = createCoverage(set);
        const reports = questions.map(([world, request]) => {
          const alone = createCoverage(set);
          for (const each of [coverage, alone]) each.observe(request, viewOf(world));
          return alone.report();
        });
        const report = coverage.report();
        expect(mergeCoverage(reports)).toEqual(report);
        const errors = questions.flatMap(([world, request]) =>
          set.authorize(request, viewOf(world)).errors.map(({ policy }) => policy),
        );
        for (const { errored, id, points, reach, reached, satisfied } of report.policies) {
          expect(errored).toBe(errors.filter((each) => each === id).length);
          expect(satisfied + errored).toBeLessThanOrEqual(reached);
          expect(reach === 'never').toBe(reached === 0);
          for (const { kind, seen } of points) {
            const times = seen.true + seen.false + seen.error + seen.other;
            const isScope = kind !== 'condition' && kind !== 'arm';
            expect(times).toBeLessThanOrEqual(isScope ? questions.length : reached);
          }
        }
        const reasons = reasonsOf(set, questions);
        for (const id of reasons) {
          expect(report.policies.find((policy) => policy.id === id)?.reach).toBe('satisfied');
        }
      },
    ),
    { seed: SEED, numRuns: 50 },
  );
});

function reasonsOf(
  set: PolicySet,
  questions: readonly (readonly [readonly CedarEntity[], CedarRequest])[],
): readonly string[] {
  return questions.flatMap(([world, request]) => set.authorize(request, viewOf(world)).reasons);
}

function viewOf(entities: readonly CedarEntity[]): EntityView {
  const byName = new Map(entities.map((entity) => [JSON.stringify(entity.uid), entity]));
  const get = ({ type, id }: { type: string; id: string }) =>
    byName.get(JSON.stringify({ type, id }));
  return entitiesFrom({ get }, parseEntity);
}
