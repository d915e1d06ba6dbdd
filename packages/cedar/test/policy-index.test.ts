import {
  type CedarEntity,
  type CedarRequest,
  createEntityStore,
  type EntityView,
  entitiesFrom,
  type PolicySource,
} from '@countersign/cedar';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { newEngine } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

const SEED = Number(process.env['CEDAR_INDEX_SEED'] ?? 20_261_126);

// Few names, so that scopes and requests meet often; actions, principals and resources share some of them.
const TYPES = ['A', 'B', 'Action'] as const;
const IDS = ['1', '2', '3', 'g'] as const;

const uid = fc.record({ type: fc.constantFrom(...TYPES), id: fc.constantFrom(...IDS) });
const named = uid.map(({ type, id }) => `${type}::"${id}"`);
const actionName = fc.constantFrom(...IDS).map((id) => `Action::"${id}"`);

const constraint = (variable: 'principal' | 'resource') =>
  fc.oneof(
    fc.constant(variable),
    named.map((name) => `${variable} == ${name}`),
    named.map((name) => `${variable} in ${name}`),
    fc.constantFrom(...TYPES).map((type) => `${variable} is ${type}`),
    fc
      .tuple(fc.constantFrom(...TYPES), named)
      .map(([type, name]) => `${variable} is ${type} in ${name}`),
  );

const action = fc.oneof(
  fc.constant('action'),
  actionName.map((name) => `action == ${name}`),
  actionName.map((name) => `action in ${name}`),
  fc.array(actionName, { maxLength: 3 }).map((names) => `action in [${names.join(', ')}]`),
);

const policy = fc
  .record({
    effect: fc.constantFrom('permit', 'forbid'),
    principal: constraint('principal'),
    action,
    resource: constraint('resource'),
    condition: fc.constantFrom(
      '',
      ' when { context has a }',
      ' when { context.a }',
      ' unless { principal in resource }',
    ),
  })
  .map(
    (part) =>
      `${part.effect} (${part.principal}, ${part.action}, ${part.resource})${part.condition};`,
  );

const entity: fc.Arbitrary<CedarEntity> = fc
  .record({
    uid,
    parents: fc.uniqueArray(uid, { maxLength: 3, selector: ({ type, id }) => type + id }),
  })
  .map(({ uid: own, parents }) => ({
    uid: own,
    attrs: {},
    // Later names only: no cycles. An action's parents are actions.
    parents: parents.filter(
      (parent) =>
        (own.type === 'Action' ? parent.type === 'Action' : true) &&
        TYPES.indexOf(parent.type) * 4 + IDS.indexOf(parent.id) >
          TYPES.indexOf(own.type) * 4 + IDS.indexOf(own.id),
    ),
  }));

const entities = fc.uniqueArray(entity, {
  maxLength: 8,
  selector: ({ uid: own }) => own.type + own.id,
});

const request: fc.Arbitrary<CedarRequest> = fc.record({
  principal: uid,
  action: fc.constantFrom(...IDS).map((id) => ({ type: 'Action', id })),
  resource: uid,
  context: fc.constantFrom({}, { a: true }, { a: 1 }),
});

const SCHEMA = `
entity A in [A, B] = {}; entity B in [B] = {};
action "g"; action "3" in ["g"] appliesTo { principal: [A, B], resource: [A, B], context: { a?: Bool } };
action "1", "2" in ["3"] appliesTo { principal: [A, B], resource: [A, B], context: { a?: Bool } };
`;

test.each([
  ['without a schema', undefined],
  ['with one, whose actions count', SCHEMA],
])('the index and a full scan agree, %s', async (_what, schema) => {
  console.log(`seed ${SEED}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(policy, { minLength: 1, maxLength: 12 }),
      fc.array(entities, { minLength: 1, maxLength: 3 }),
      fc.array(request, { minLength: 1, maxLength: 12 }),
      async (texts, worlds, requests) => {
        const sources: PolicySource[] = texts.map((text, index) => ({ id: `p${index}`, text }));
        const options = { validation: 'off' } as const;
        const indexed = await engine.load(sources, schema, options);
        const scanned = await engine.load(sources, schema, { ...options, isIndexed: false });
        const store = createEntityStore();
        // One store that changes under the index, and a view that it remembers nothing of.
        for (const world of worlds) {
          const readable = schema
            ? world.filter(
                ({ uid: own, parents }) =>
                  [own, ...parents].every(({ type }) => type !== 'Action') &&
                  (own.type === 'A' || parents.every(({ type }) => type === 'B')),
              )
            : world;
          store.putAll(readable.map(indexed.parseEntity));
          const lazy = entitiesFrom(
            {
              get: ({ type, id }) =>
                readable.find(({ uid: own }) => own.type === type && own.id === id),
            },
            indexed.parseEntity,
          );
          for (const asked of requests) {
            for (const view of [store, lazy]) {
              for (let round = 0; round < 2; round += 1) {
                expect(indexed.authorize(asked, view, { validateRequest: false })).toEqual(
                  scanned.authorize(asked, view, { validateRequest: false }),
                );
              }
            }
          }
        }
      },
    ),
    { seed: SEED, numRuns: Number(process.env['CEDAR_INDEX_RUNS'] ?? 150) },
  );
});

test('policies that cannot apply are not asked, however many', async () => {
  const sources = Array.from({ length: 1000 }, (_, index): PolicySource => {
    const scope = [
      `principal in Group::"g${index}", action == Action::"read", resource`,
      `principal, action == Action::"read", resource == Doc::"d${index}"`,
      `principal is User in Group::"g${index}", action, resource in Folder::"f${index}"`,
      `principal == User::"u${index}", action in [Action::"read", Action::"a${index}"], resource`,
      `principal, action == Action::"a${index}", resource`,
      `principal is T${index}, action, resource`,
    ][index % 6];
    // Whoever asks this policy asks for this entity.
    return { id: `p${index}`, text: `permit (${scope}) when { Probe::"${index}" has x };` };
  });
  const set = await engine.load(sources, undefined);
  const asked: string[] = [];
  const view = entitiesFrom(
    {
      get({ type, id }) {
        if (type === 'Probe') asked.push(id);
        const parents = new Map([
          ['User u9', 'Group g6'],
          ['Group g6', 'Group g12'],
          ['Doc d7', 'Folder f8'],
        ]).get(`${type} ${id}`);
        if (parents === undefined) return undefined;
        const [parentType = '', parentId = ''] = parents.split(' ');
        return { uid: { type, id }, attrs: {}, parents: [{ type: parentType, id: parentId }] };
      },
    },
    set.parseEntity,
  );
  set.authorize(
    {
      principal: { type: 'User', id: 'u9' },
      action: { type: 'Action', id: 'read' },
      resource: { type: 'Doc', id: 'd7' },
      context: {},
    },
    view,
  );
  // By group, group above it, document, and principal; p8 has the folder and another group.
  expect(asked.sort()).toEqual(['12', '6', '7', '9']);
});

test('what is remembered of a store is bounded for all actions together', async () => {
  const condition = 'when { context has a && context.a }';
  const wide = Array.from(
    { length: 1000 },
    () => `permit (principal, action, resource) ${condition};`,
  );
  const scoped = ['a', 'b'].map(
    (name) =>
      `permit (principal, action == Action::"${name}", resource in Folder::"f") ${condition};`,
  );
  const set = await engine.load(
    [...wide, ...scoped].map((text, index) => ({ id: `p${index}`, text })),
    undefined,
  );
  const store = createEntityStore();
  store.putAll(
    Array.from({ length: 3000 }, (_, index) =>
      set.parseEntity({
        uid: { type: 'Doc', id: `d${index}` },
        attrs: {},
        parents: [{ type: 'Folder', id: `f${index}` }],
      }),
    ),
  );
  let walks = 0;
  const view: EntityView = {
    hierarchyVersion: 1,
    find: (uid) => store.find(uid),
    isDescendant: (uid, ancestor) => store.isDescendant(uid, ancestor),
    someAncestor(uid, visit) {
      walks += 1;
      return store.someAncestor(uid, visit);
    },
  };
  const ask = (action: string, index: number) => {
    const before = walks;
    set.authorize(
      {
        principal: { type: 'User', id: 'u' },
        action: { type: 'Action', id: action },
        resource: { type: 'Doc', id: `d${index}` },
        context: {},
      },
      view,
    );
    return walks - before;
  };
  for (let index = 0; index < 3000; index += 1) expect(ask('a', index)).toBe(1);
  expect(ask('a', 0)).toBe(0);
  // Each list has 1,000 policies: both actions' would be six million.
  for (let index = 0; index < 3000; index += 1) ask('b', index);
  expect(ask('b', 2999)).toBe(0);
  expect(ask('a', 0)).toBe(1);
});
