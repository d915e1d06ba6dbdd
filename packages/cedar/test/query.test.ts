import {
  type CedarEntity,
  type CedarUid,
  createCedarEngine,
  createEntityStore,
  createJsonParser,
  type EntityStore,
  type EntityUid,
  type PolicySet,
  QUERY_LIMITS,
  type QueryOptions,
  type QueryPage,
  queryActions,
  queryPrincipals,
  queryResources,
} from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { policiesFor } from './filter-policies.ts';
import { ACTIONS, contextOf, PRINCIPAL, schemaOf, storeOf, worlds } from './filter-world.ts';

/** Printed with every run; another one takes other policies and entities. */
const SEED = Number(process.env['CEDAR_QUERY_SEED'] ?? 20_261_126);
const WORLDS = Number(process.env['CEDAR_QUERY_WORLDS'] ?? 25);

// Seconds, and many more where other suites run beside it.
const PATIENCE = { timeout: 120_000 };

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

type Ask = (options: QueryOptions) => QueryPage;

/** All hits, page by page. */
function* pagesOf(ask: Ask, options: QueryOptions): Generator<QueryPage> {
  let cursor: string | undefined;
  do {
    const page = ask({ ...options, ...(cursor !== undefined && { cursor }) });
    yield page;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

const spell = ({ type, id }: CedarUid | EntityUid) => `${type}::${JSON.stringify(id)}`;

test(
  `every hit is allowed and all that are allowed are hits (seed ${SEED})`,
  PATIENCE,
  async () => {
    const questions = worlds('sqlite').chain((world) =>
      fc.record({
        world: fc.constant(world),
        policies: policiesFor(world),
        paging: fc.record({
          limit: fc.integer({ min: 1, max: 12 }),
          candidatesMax: fc.integer({ min: 1, max: 12 }),
        }),
        strict: fc.boolean(),
      }),
    );
    const count = { questions: 0, hits: 0, examined: 0, candidates: 0 };
    await fc.assert(
      fc.asyncProperty(questions, async ({ world, policies, paging, strict }) => {
        const set = await engine.load(policies, schemaOf(world), { validation: 'off' });
        const store = storeOf(world, set);
        const context = contextOf(world);
        const resource = { type: 'Doc', id: 'd1' };
        const options = { ...paging, strict };
        const check = (
          ask: Ask,
          candidates: readonly CedarUid[],
          isAllowed: (uid: CedarUid) => boolean,
        ) => {
          const pages = [...pagesOf(ask, options)];
          for (const page of pages) {
            expect(page.hits.length).toBeLessThanOrEqual(paging.limit);
            expect(page.examined).toBeLessThanOrEqual(paging.candidatesMax);
          }
          const hits = pages.flatMap((page) => page.hits.map(spell));
          expect(hits.toSorted()).toEqual(candidates.filter(isAllowed).map(spell).sort());
          count.questions += 1;
          count.hits += hits.length;
          count.candidates += candidates.length;
          count.examined += pages.reduce((sum, { examined }) => sum + examined, 0);
        };
        const decide = (request: { principal: CedarUid; action: CedarUid; resource: CedarUid }) =>
          set.authorize({ ...request, context }, store, { strict }).decision === 'allow';

        for (const id of ACTIONS) {
          const action = { type: 'Action', id };
          check(
            (given) =>
              queryResources(
                set,
                { principal: PRINCIPAL, action, context, resource: { type: 'Doc' } },
                store,
                given,
              ),
            uidsOf(store, 'Doc'),
            (each) => decide({ principal: PRINCIPAL, action, resource: each }),
          );
          check(
            (given) =>
              queryPrincipals(
                set,
                { principal: { type: 'User' }, action, resource, context },
                store,
                given,
              ),
            uidsOf(store, 'User'),
            (each) => decide({ principal: each, action, resource }),
          );
        }
        check(
          (given) => queryActions(set, { principal: PRINCIPAL, resource, context }, store, given),
          ACTIONS.map((id) => ({ type: 'Action', id })),
          (each) => decide({ principal: PRINCIPAL, action: each, resource }),
        );
      }),
      { seed: SEED, numRuns: WORLDS },
    );
    console.log(`queries, seed ${SEED}: ${JSON.stringify(count)}`);
    expect(count.hits / count.candidates).toBeGreaterThan(0.1);
    expect(count.examined).toBeLessThan(count.candidates);
  },
);

function uidsOf(store: EntityStore, type: string): readonly CedarUid[] {
  return [...store.ofType(type)].map(({ uid }) => ({ type, id: uid.id }));
}

const CONTEXT = {};
const ALICE = { type: 'User', id: 'alice' };
const READ = { type: 'Action', id: 'read' };

const { parseEntity } = createJsonParser(undefined);

function doc(id: string, { open = true, folder = 'top' } = {}): CedarEntity {
  return {
    uid: { type: 'Doc', id },
    attrs: { open },
    parents: [{ type: 'Folder', id: folder }],
  };
}

function storeWith(...entities: readonly CedarEntity[]): EntityStore {
  const store = createEntityStore();
  for (const entity of entities) store.put(parseEntity(entity));
  return store;
}

async function permitWhen(condition: string, scope = 'resource'): Promise<PolicySet> {
  const text = `permit (principal, action, ${scope}) when { ${condition} };`;
  return await engine.load([{ id: 'p', text }], undefined);
}

const docs = (count: number, options?: Parameters<typeof doc>[1]) =>
  Array.from({ length: count }, (_, index) => doc(`${options?.folder ?? 'd'}${index}`, options));

const DOCS = { principal: ALICE, action: READ, context: CONTEXT, resource: { type: 'Doc' } };

describe('pages', () => {
  test('end exactly where nothing follows', async () => {
    const set = await permitWhen('resource.open');
    const store = storeWith(...docs(4));
    const first = queryResources(set, DOCS, store, { limit: 4 });
    expect(first).toMatchObject({ cursor: undefined, examined: 4 });
    expect(first.hits).toHaveLength(4);
    const three = queryResources(set, DOCS, store, { limit: 3 });
    expect(three.cursor).toBeDefined();
    expect(queryResources(set, DOCS, store, { limit: 3, cursor: three.cursor ?? '' })).toEqual({
      hits: [{ type: 'Doc', id: 'd3' }],
      cursor: undefined,
      examined: 1,
    });
  });

  test('stop at the stated work, with no hit if there is none so far', async () => {
    const set = await permitWhen('resource.open');
    const store = storeWith(...docs(5, { open: false, folder: 'closed' }), doc('last'));
    const page = queryResources(set, DOCS, store, { candidatesMax: 5 });
    expect(page).toMatchObject({ hits: [], examined: 5 });
    expect(
      queryResources(set, DOCS, store, { candidatesMax: 5, cursor: page.cursor ?? '' }),
    ).toEqual({
      hits: [{ type: 'Doc', id: 'last' }],
      cursor: undefined,
      examined: 1,
    });
  });

  test('show each that stays once, whatever comes and goes meanwhile', async () => {
    const sets = await Promise.all(
      ['resource.open', 'resource in Folder::"top" && resource.open'].map((each) =>
        permitWhen(each),
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...sets),
        fc.array(
          fc.record({
            remove: fc.array(fc.nat(19)),
            add: fc.nat(3),
            replace: fc.array(fc.nat(19)),
          }),
          { minLength: 1, maxLength: 6 },
        ),
        (set, changes) => {
          const store = storeWith(...docs(20));
          const removed = new Set<string>();
          const seen: string[] = [];
          const stepsLeft = [...changes];
          for (const page of pagesOf((options) => queryResources(set, DOCS, store, options), {
            limit: 3,
          })) {
            seen.push(...page.hits.map(({ id }) => id));
            if (page.cursor === undefined) break;
            const change = stepsLeft.shift();
            for (const index of change?.remove ?? []) {
              store.remove(store.uid('Doc', `d${index}`));
              removed.add(`d${index}`);
            }
            for (const index of change?.replace ?? []) {
              if (!removed.has(`d${index}`)) store.put(parseEntity(doc(`d${index}`)));
            }
            for (let index = 0; index < (change?.add ?? 0); index += 1) {
              store.put(parseEntity(doc(`new${stepsLeft.length}.${index}`)));
            }
          }
          expect(new Set(seen).size).toBe(seen.length);
          for (const { uid } of store.ofType('Doc')) expect(seen).toContain(uid.id);
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });

  test.each(['', 'x', '!', btoa('[1,"d",2]'), btoa('{}'), 'A'.repeat(70_000)])(
    'do not go on from %#, which is no cursor',
    async (cursor) => {
      const set = await permitWhen('true');
      expect(() => queryResources(set, DOCS, storeWith(), { cursor })).toThrow(
        expect.objectContaining({ code: 'ERR_CEDAR_CURSOR_INVALID' }),
      );
    },
  );

  test('go on after names of any length', async () => {
    const set = await engine.load(
      [
        { id: 'p', text: 'permit (principal, action, resource);' },
        { id: 'q', text: `permit (principal, action in [Action::"a"], resource);` },
      ],
      undefined,
    );
    const long = 'é'.repeat(60_000);
    const actions = ['a', `b${long}`, 'c'];
    const store = storeWith(doc('a'), doc(long), doc('c'));
    for (const id of actions) {
      const parents = id === 'a' ? [] : [{ type: 'Action', id: 'a' }];
      store.put(set.parseEntity({ uid: { type: 'Action', id }, attrs: {}, parents }));
    }
    const question = { principal: ALICE, resource: { type: 'Doc', id: 'c' }, context: {} };
    const entities = [...pagesOf((page) => queryResources(set, DOCS, store, page), { limit: 1 })];
    expect(entities.flatMap(({ hits }) => hits.map(({ id }) => id))).toEqual(['a', long, 'c']);
    const found = [...pagesOf((page) => queryActions(set, question, store, page), { limit: 1 })];
    expect(found.flatMap(({ hits }) => hits.map(({ id }) => id))).toEqual(actions);
  });

  test('do not go on with another question, or in a store that was filled anew', async () => {
    const set = await permitWhen('resource.open');
    const { cursor = '' } = queryResources(set, DOCS, storeWith(...docs(4)), { limit: 2 });
    const store = storeWith(...docs(4).reverse());
    const other = { ...DOCS, context: { more: 1n } };
    const refused = expect.objectContaining({ code: 'ERR_CEDAR_CURSOR_INVALID' });
    expect(() => queryResources(set, other, store, { cursor })).toThrow(refused);
    expect(() => queryResources(set, DOCS, store, { cursor })).toThrow(refused);
  });

  test.each([{ limit: 0 }, { limit: 1.5 }, { candidatesMax: -1 }, { candidatesMax: Number.NaN }])(
    'cannot have %j',
    async (options) => {
      const set = await permitWhen('true');
      expect(() => queryResources(set, DOCS, storeWith(), options)).toThrow(RangeError);
    },
  );

  test('hold no more than the limit allows', async () => {
    const set = await permitWhen('true');
    const store = storeWith(...docs(QUERY_LIMITS.hits + 1));
    expect(queryResources(set, DOCS, store, { limit: 5_000 }).hits).toHaveLength(QUERY_LIMITS.hits);
  });
});

describe('work', () => {
  const store = storeWith(...docs(3_000, { folder: 'other' }), ...docs(5, { folder: 'top' }), {
    uid: { type: 'Folder', id: 'top' },
    attrs: {},
    parents: [{ type: 'Folder', id: 'root' }],
  });

  test.each([
    ['resource in Folder::"top"', 5],
    ['resource in Folder::"root" && resource.open', 5],
    ['resource in [Folder::"top", Folder::"nothing"]', 5],
    ['resource is Doc in Folder::"top"', 5],
    ['resource.open && (resource == Doc::"top1" || resource in Folder::"none")', 1],
    ['[Doc::"top1", Doc::"other7", Doc::"gone"].contains(resource)', 2],
    ['if resource.open then resource == Doc::"top1" else Doc::"top2" == resource', 2],
    ['principal == User::"bob"', 0],
    ['resource is Folder', 0],
  ])('of %s is %d candidates', async (condition, examined) => {
    const set = await permitWhen(condition);
    expect(queryResources(set, DOCS, store).examined).toBe(examined);
  });

  test('of a scope is what is in it', async () => {
    const set = await permitWhen('resource.open', 'resource in Folder::"top"');
    expect(queryResources(set, DOCS, store)).toMatchObject({ examined: 5, cursor: undefined });
  });

  test('of a forbid for all is none', async () => {
    const set = await engine.load(
      [
        { id: 'p', text: 'permit (principal, action, resource);' },
        { id: 'f', text: 'forbid (principal, action, resource) unless { context has mfa };' },
      ],
      undefined,
    );
    expect(queryResources(set, DOCS, store)).toEqual({ hits: [], cursor: undefined, examined: 0 });
  });
});

describe('with a schema', () => {
  const SCHEMA = `
    entity User;
    entity Doc { open: Bool };
    entity Colour enum ["red", "green", "blue"];
    action read appliesTo { principal: User, resource: [Doc, Colour], context: {} };
    action write appliesTo { principal: User, resource: Doc, context: { reason: String } };
  `;
  const load = (text: string) => engine.load([{ id: 'p', text }], SCHEMA);

  test('a type that the schema or the action does not have has no entities', async () => {
    const set = await load('permit (principal, action, resource);');
    const nobody = { hits: [], cursor: undefined, examined: 0 };
    const ask = (type: string) =>
      queryResources(set, { ...DOCS, resource: { type } }, storeWith(...docs(3)));
    expect(ask('Nothing')).toEqual(nobody);
    expect(ask('User')).toEqual(nobody);
  });

  test('an enumerated type has its ids', async () => {
    const set = await load(
      'permit (principal, action, resource) unless { resource == Colour::"red" };',
    );
    const ask = (options: QueryOptions) =>
      queryResources(set, { ...DOCS, resource: { type: 'Colour' } }, storeWith(), options);
    const pages = [...pagesOf(ask, { limit: 1 })];
    expect(pages.map(({ hits }) => hits.map(({ id }) => id))).toEqual([['blue'], ['green'], []]);
  });

  test('an action whose context does not fit is not allowed', async () => {
    const set = await load('permit (principal, action, resource);');
    const store = storeWith(doc('d'));
    const ask = (context: { reason?: string }) =>
      queryActions(set, { principal: ALICE, resource: { type: 'Doc', id: 'd' }, context }, store)
        .hits;
    expect(ask({})).toEqual([READ]);
    expect(ask({ reason: 'audit' })).toEqual([{ type: 'Action', id: 'write' }]);
  });

  test('a request that nobody could complete is refused', async () => {
    const set = await load('permit (principal, action, resource);');
    const wrong = { ...DOCS, action: { type: 'Action', id: 'fly' } };
    expect(() => queryResources(set, wrong, storeWith())).toThrow(
      expect.objectContaining({ code: 'ERR_CEDAR_REQUEST_INVALID' }),
    );
  });
});
