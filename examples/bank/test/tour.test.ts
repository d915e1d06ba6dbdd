import { runTour, SCENES, type Scene, type TourEnvironment } from '@countersign/example-bank';
import type { Event } from '@countersign/model';
import { expect, test } from 'vitest';
import { outcomeWords, tally } from '../src/tour/recorded.ts';

const env = { now: Date.now } as TourEnvironment;

function scene(name: string, after: readonly string[], run: Scene['run']): Scene {
  return { name, title: name, expected: 'done', after, run };
}
const done = async () => ({ got: 'done', ok: true });

test('every scene has a name of its own, and waits only for scenes that are told before it', () => {
  const names = SCENES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const [index, { after = [] }] of SCENES.entries()) {
    for (const other of after) expect(names.slice(0, index)).toContain(other);
  }
});

test('scenes are played after those that they name, four at once at most', async () => {
  const order: string[] = [];
  let atOnce = 0;
  let most = 0;
  const noting = (name: string, after: readonly string[] = []): Scene =>
    scene(name, after, async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      order.push(name);
      return done();
    });
  const scenes = [
    noting('last', ['first']),
    ...'abcdefgh'.split('').map((name) => noting(name)),
    noting('first'),
  ];
  const played = await runTour(env, { scenes });
  expect(played.map((each) => each.scene.name)).toEqual(scenes.map(({ name }) => name));
  expect(order.indexOf('last')).toBeGreaterThan(order.indexOf('first'));
  expect(most).toBe(4);
});

test('a scene that throws has failed, and the others go on', async () => {
  const scenes = [
    scene('broken', [], async () => {
      throw new Error('no such bank');
    }),
    scene('good', ['broken'], done),
  ];
  const played = await runTour(env, { scenes });
  expect(played.map(({ ok, got }) => [ok, got])).toEqual([
    [false, 'no such bank'],
    [true, 'done'],
  ]);
});

test('scenes that wait for each other are told, not waited for', async () => {
  const scenes = [scene('a', ['b'], done), scene('b', ['a'], done)];
  await expect(runTour(env, { scenes })).rejects.toMatchObject({ code: 'ERR_BANK_TOUR' });
});

const decision = {
  v: 1,
  id: 'e-1',
  at: 1,
  origin: 'edge',
  seq: 0,
  kind: 'decision',
  effect: 'permit',
  enforced: true,
  reason: 'policy-permits',
  policyVersion: '',
  factSequence: 0,
} as const satisfies Event;
const recording = (event: Event | undefined): Pick<TourEnvironment, 'findEvent'> => ({
  findEvent: async (predicate) => (event && predicate(event) ? event : undefined),
});

test.each<[string, number, string | undefined, Event | undefined, string]>([
  ['a permit that was recorded', 200, 'e-1', decision, '200'],
  ['an answer without an event id', 200, undefined, decision, '200 without an event id'],
  ['an answer that the record does not tell of', 200, 'e-2', decision, '200 not recorded'],
  [
    'a refusal with its reason',
    403,
    'e-1',
    { ...decision, effect: 'deny', reason: 'policy-none-permits' },
    '403 policy-none-permits',
  ],
  [
    'a refused token',
    401,
    'e-1',
    {
      v: 1,
      id: 'e-1',
      at: 1,
      origin: 'edge',
      seq: 0,
      kind: 'authentication',
      result: 'refused',
      reason: 'token-binding',
    },
    '401 token-binding',
  ],
  [
    'a denial that nobody acted upon',
    200,
    'e-1',
    { ...decision, effect: 'deny', enforced: false, reason: 'token-missing' },
    '200 token-missing',
  ],
])('tells %s', async (_, status, eventId, event, words) => {
  expect(await outcomeWords(recording(event), { status, eventId })).toBe(words);
});

test('counts what is alike', () => {
  expect(tally(['400 path-ambiguous', '400 path-ambiguous', '200'])).toBe(
    '2 x 400 path-ambiguous, 1 x 200',
  );
  expect(tally([])).toBe('');
});
