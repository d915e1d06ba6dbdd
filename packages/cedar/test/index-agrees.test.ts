import {
  CedarRecord,
  createEntityStore,
  type Entity,
  type EntityStore,
  EntityUid,
  layer,
} from '@countersign/cedar';
import { expect, test } from 'vitest';
import type { LinkedPolicy } from '#src/ast/linked-policy.ts';
import { createPolicySet } from '#src/authorize/create-policy-set.ts';
import type { PolicySet } from '#src/authorize/policy-set.ts';
import type { Schema } from '#src/schema/schema.ts';
import { parsePolicy } from '#src/text/parse-policy.ts';
import { type Random, randomOf } from './fuzz/random.ts';
import { seedOfRun } from './fuzz/seed.ts';

// An index that misses a forbid is the worst fault there is. Sets larger than those of the fuzz suites, stores that
// change, views of all kinds: whatever the index remembers, it must find what looking at every policy finds.

const SEED = seedOfRun();
const ROUNDS = Number(process.env['CEDAR_INDEX_ROUNDS'] ?? 60);

const TYPES = ['User', 'Team', 'NS::User', 'Doc'];
const IDS = Array.from({ length: 8 }, (_, index) => `e${index}`);
const ACTIONS = ['view', 'edit', 'list', 'read', 'all', 'odd'].map(
  (id) => new EntityUid('Action', id),
);
/** Each is in the next two. */
const GROUPS = new Map(
  ACTIONS.map((action, index) => [action.key, ACTIONS.slice(index + 1, index + 3)]),
);

test.each([
  ['without a schema', undefined],
  ['with a schema', schema()],
])('finds every policy that applies, %s', (_what, typed) => {
  let decided = 0;
  let reasons = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const random = randomOf(SEED, round);
    const { indexed, scanned } = makeSets(random, typed);
    const stores = [makeStore(random), makeStore(random)];
    for (let step = 0; step < 60; step += 1) {
      const store = random.pick(stores);
      if (random.chance(0.5)) change(store, random);
      const view = random.chance(0.15) ? layer(store, [makeEntity(random)]) : store;
      const request = {
        principal: anyUid(random),
        action: random.chance(0.9) ? random.pick(ACTIONS) : new EntityUid('Action', 'unknown'),
        resource: anyUid(random),
        context: CedarRecord.empty,
      };
      const found = indexed.authorize(request, view);
      expect(found, `seed ${SEED}, round ${round}, step ${step}`).toEqual(
        scanned.authorize(request, view),
      );
      decided += 1;
      reasons += found.reasons.length;
    }
  }
  // The comparison is worth something only where policies apply.
  expect(reasons / decided).toBeGreaterThan(0.3);
});

test.each([
  ['without a schema', undefined],
  ['with a schema', schema()],
])('remembers of stores only what still holds of them, %s', (_what, typed) => {
  // Nobody who asks is named in a scope, so that what was found for one request may serve the next; names are few,
  // so that it does; and two stores go through as many changes as each other, so that only they tell one from another.
  let reasons = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const random = randomOf(SEED, round);
    const groups = Array.from({ length: 4 }, (_, index) => new EntityUid('Team', `t${index}`));
    const texts = Array.from({ length: 12 }, () => {
      const effect = random.chance(0.7) ? 'permit' : 'forbid';
      const [one, other] = ['principal', 'resource'].map((name) =>
        random.chance(0.3) ? name : `${name} in ${random.pick(groups)}`,
      );
      return `${effect} (${one}, action, ${other});`;
    });
    const { indexed, scanned } = setsOf(texts, typed);
    const stores = [createEntityStore(), createEntityStore()];
    const leaves = ['u0', 'u1', 'u2'].map((id) => new EntityUid('User', id));
    for (let step = 0; step < 60; step += 1) {
      if (step < 20 || random.chance(0.3)) {
        for (const store of stores) move(store, random, { leaves, groups });
      }
      const request = {
        principal: random.pick(leaves),
        action: ACTIONS[0] as EntityUid,
        resource: random.pick(leaves),
        context: CedarRecord.empty,
      };
      const store = random.pick(stores);
      const found = indexed.authorize(request, store);
      expect(found, `seed ${SEED}, round ${round}, step ${step}`).toEqual(
        scanned.authorize(request, store),
      );
      reasons += found.reasons.length;
    }
  }
  expect(reasons).toBeGreaterThan(ROUNDS * 60);
});

// What the index remembers has bounds; past them it starts anew.

test('finds every policy for more kinds of entities than it remembers', () => {
  const groups = Array.from({ length: 130 }, (_, index) => new EntityUid('Team', `g${index}`));
  const { indexed, scanned } = setsOf([
    'permit (principal in Team::"g0", action, resource);',
    'permit (principal in Team::"g129", action, resource in Team::"g1");',
    'forbid (principal, action, resource in Team::"g64");',
  ]);
  const store = createEntityStore();
  const principal = new EntityUid('User', 'a');
  const resource = new EntityUid('Doc', 'a');
  const context = CedarRecord.empty;
  let asked = 0;
  for (const [first, one] of groups.entries()) {
    for (const other of groups.slice(first + 1)) {
      store.putAll([
        { ...bare(principal), parents: [one, other] },
        { ...bare(resource), parents: [other, one] },
      ]);
      const request = { principal, action: ACTIONS[0] as EntityUid, resource, context };
      const found = indexed.authorize(request, store);
      if (JSON.stringify(found) !== JSON.stringify(scanned.authorize(request, store))) {
        expect(found).toEqual(scanned.authorize(request, store));
      }
      asked += 1;
    }
  }
  expect(asked).toBeGreaterThan(8192);
});

test('finds every policy for more names of types and actions than it remembers', () => {
  const types = Array.from({ length: 17 }, (_, index) => `T${index}`);
  const actions = Array.from({ length: 18 }, (_, index) => new EntityUid('Action', `a${index}`));
  const { indexed, scanned } = setsOf([
    ...types.map((type) => `permit (principal is ${type}, action, resource);`),
    ...types.map((type) => `forbid (principal is T0, action, resource is ${type});`),
    ...actions.map((action) => `permit (principal, action == ${action}, resource);`),
  ]);
  const store = createEntityStore();
  const context = CedarRecord.empty;
  // Again, so that what was forgotten is found anew.
  const pairs = types.flatMap((one) => types.map((other) => [one, other] as const));
  for (const action of [...actions, ...actions]) {
    for (const [one, other] of pairs) {
      const principal = new EntityUid(one, 'x');
      const request = { principal, action, resource: new EntityUid(other, 'x'), context };
      const found = indexed.authorize(request, store);
      if (JSON.stringify(found) !== JSON.stringify(scanned.authorize(request, store))) {
        expect(found).toEqual(scanned.authorize(request, store));
      }
    }
  }
});

/** The same policies twice. */
type Sets = Record<'indexed' | 'scanned', PolicySet>;

function makeSets(random: Random, typed: Schema | undefined): Sets {
  const count = random.pick([3, 20, 60, 200]);
  const texts = Array.from({ length: count }, () => {
    const effect = random.chance(0.7) ? 'permit' : 'forbid';
    const condition = random.weighted([
      [6, ''],
      [1, ' when { context has x }'],
      [1, ' when { context.x }'],
      [1, ' unless { principal in resource }'],
    ]);
    return `${effect} (${scope('principal', random)}, ${actionScope(random)}, ${scope('resource', random)})${condition};`;
  });
  return setsOf(texts, typed);
}

function setsOf(texts: readonly string[], schema?: Schema): Sets {
  const read = new Map([...new Set(texts)].map((text) => [text, policyOf(text)]));
  const policies = texts.map((text, index) => ({
    ...(read.get(text) as LinkedPolicy),
    id: `p${index}`,
  }));
  return {
    indexed: createPolicySet({ policies, schema }),
    scanned: createPolicySet({ policies, schema }, { isIndexed: false }),
  };
}

function policyOf(text: string): LinkedPolicy {
  const { policy, problems } = parsePolicy({ id: '', text }, { isTemplate: false });
  if (!policy) throw new Error(`${problems[0]?.message}: ${text}`);
  return policy;
}

function scope(name: 'principal' | 'resource', random: Random): string {
  const uid = () => anyUid(random).toString();
  return random.weighted<() => string>([
    [2, () => name],
    [2, () => `${name} == ${uid()}`],
    [4, () => `${name} in ${uid()}`],
    [2, () => `${name} is ${random.pick(TYPES)}`],
    [2, () => `${name} is ${random.pick(TYPES)} in ${uid()}`],
  ])();
}

function actionScope(random: Random): string {
  return random.weighted<() => string>([
    [3, () => 'action'],
    [1, () => `action == ${random.pick(ACTIONS)}`],
    [2, () => `action in ${random.pick(ACTIONS)}`],
    [1, () => `action in [${random.some(ACTIONS, random.below(3)).join(', ')}]`],
  ])();
}

/** Ids from one short list, so that names meet; now and then an action where none is expected. */
function anyUid(random: Random): EntityUid {
  if (random.chance(0.04)) return random.pick(ACTIONS);
  return new EntityUid(random.pick(TYPES), random.pick(IDS));
}

function makeStore(random: Random): EntityStore {
  const store = createEntityStore();
  store.putAll(ACTIONS.map((uid) => ({ ...bare(uid), parents: GROUPS.get(uid.key) ?? [] })));
  for (let count = 0; count < 16; count += 1) change(store, random);
  return store;
}

/** One change; a change that would close a cycle is refused and changes nothing. */
function change(store: EntityStore, random: Random): void {
  const entity = makeEntity(random);
  try {
    random.weighted<() => unknown>([
      [4, () => store.put(entity)],
      [2, () => store.putAll([entity, makeEntity(random)])],
      [2, () => store.find(entity.uid) && store.reparent(entity.uid, entity.parents)],
      [1, () => store.remove(entity.uid)],
    ])();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CEDAR_ENTITIES_INVALID' });
  }
}

/** Gives one entity other parents than it has; a group is only in later ones. */
function move(
  store: EntityStore,
  random: Random,
  { leaves, groups }: { leaves: readonly EntityUid[]; groups: readonly EntityUid[] },
): void {
  const { hierarchyVersion } = store;
  while (store.hierarchyVersion === hierarchyVersion) {
    const at = random.below(groups.length);
    const isGroup = random.chance(0.4);
    const uid = isGroup ? (groups[at] as EntityUid) : random.pick(leaves);
    const parents = random.some(isGroup ? groups.slice(at + 1) : groups, random.below(4));
    store.put({ ...bare(uid), parents });
  }
}

function makeEntity(random: Random): Entity {
  const uid = new EntityUid(random.pick(TYPES), random.pick(IDS));
  const parents = Array.from({ length: random.below(4) }, () => anyUid(random));
  return { ...bare(uid), parents: parents.filter((parent) => !parent.equals(uid)) };
}

function bare(uid: EntityUid): Entity {
  return { uid, attributes: CedarRecord.empty, tags: undefined, parents: [] };
}

/** Actions only: scopes and hierarchies of the rest do not ask the schema. */
function schema(): Schema {
  const above = (uid: EntityUid): readonly EntityUid[] =>
    (GROUPS.get(uid.key) ?? []).flatMap((group) => [group, ...above(group)]);
  return {
    entityTypes: new Map(),
    actions: new Map(
      ACTIONS.map((uid) => [
        uid.key,
        {
          uid,
          ancestors: new Set(above(uid).map(({ key }) => key)),
          principalTypes: new Set(TYPES),
          resourceTypes: new Set(TYPES),
          context: { kind: 'record' as const, attributes: new Map() },
        },
      ]),
    ),
  };
}
