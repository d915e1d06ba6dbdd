import { createCedarEngine, runVectors, type VectorReport } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { afterAll, expect, test } from 'vitest';

const engine = createCedarEngine({ startThread: startNodeThread });
afterAll(() => engine.close());

const alice = { type: 'User', id: 'alice' };
const request = {
  description: 'alice views',
  principal: alice,
  action: { type: 'Action', id: 'view' },
  resource: { type: 'Doc', id: 'plan' },
  context: {},
  decision: 'allow',
  reason: ['policy0'],
  errors: [],
};
const SCHEMA =
  'entity User { level?: Long }; entity Doc; action view appliesTo { principal: User, resource: Doc, context: { n?: Long } };';

/** Runs what a folder `t` holds; JSON is given as it is or as text. */
async function run(files: { readonly [path: string]: unknown }, path = 't'): Promise<VectorReport> {
  const texts = new Map(
    Object.entries(files).map(([name, content]) => [
      `/root/${name}`,
      typeof content === 'string' ? content : JSON.stringify(content),
    ]),
  );
  return runVectors(`/root/${path}`, {
    root: '/root',
    engine,
    readFile: (name) => {
      const text = texts.get(name);
      if (text === undefined) throw new Error(`ENOENT: '${name}'`);
      return text;
    },
    listFiles: (folder) => {
      if (texts.has(folder)) return undefined;
      return [...texts.keys()].filter((name) => name.startsWith(`${folder}/`));
    },
  });
}

const fine = (requests: number, tests = 1): VectorReport => ({ tests, requests, mismatches: [] });
const permit = 'permit (principal, action, resource);';

test('runs one test, or all in a folder and below, and no other JSON', async () => {
  const files = {
    't/one.json': { policies: 'p.cedar', requests: [request, request] },
    't/deep/two.json': { policies: 'p.cedar', requests: [request] },
    't/entities.json': [],
    't/one.entities.json': '{',
    't/schema.json': { '': { entityTypes: {}, actions: {} } },
    't/readme.md': 'no test',
    'p.cedar': permit,
  };
  expect(await run(files)).toEqual(fine(3, 2));
  expect(await run(files, 't/one.json')).toEqual(fine(2));
});

test('calls policies by their places and reports what differs, with both answers', async () => {
  const report = await run({
    't/one.json': {
      policies: 'p.cedar',
      requests: [
        { ...request, reason: ['policy1'], errors: ['policy0'] },
        { ...request, description: 'wrong decision', decision: 'deny', reason: ['policy1'] },
        { ...request, description: 'wrong reason', errors: ['policy0'] },
        { ...request, description: 'wrong errors', reason: ['policy1'] },
      ],
    },
    'p.cedar':
      'permit (principal, action, resource) when { 1 + "a" == 2 }; // ;\n@id("x") permit (principal, action, resource);',
  });
  const got = { decision: 'allow', reason: ['policy1'], errors: ['policy0'] };
  expect(report.requests).toBe(4);
  expect(report.mismatches).toEqual([
    {
      test: '/root/t/one.json',
      request: 'wrong decision',
      expected: { decision: 'deny', reason: ['policy1'], errors: [] },
      got,
    },
    {
      test: '/root/t/one.json',
      request: 'wrong reason',
      expected: { decision: 'allow', reason: ['policy0'], errors: ['policy0'] },
      got,
    },
    {
      test: '/root/t/one.json',
      request: 'wrong errors',
      expected: { decision: 'allow', reason: ['policy1'], errors: [] },
      got,
    },
  ]);
});

test('reads schemas in both syntaxes, entities with and without marks, every digit of a number', async () => {
  const base = {
    't/p.cedar':
      'permit (principal, action, resource) when { principal.level == 9007199254740993 && context.n == -9223372036854775808 };',
    't/e.entities.json':
      '[{"uid": {"__entity": {"type": "User", "id": "alice"}}, "attrs": {"level": 9007199254740993}, "parents": []}]',
    't/s.cedarschema': SCHEMA,
    't/j.cedarschema.json': {
      '': {
        entityTypes: {
          User: {
            shape: { type: 'Record', attributes: { level: { type: 'Long', required: false } } },
          },
          Doc: {},
        },
        actions: {
          view: {
            appliesTo: {
              principalTypes: ['User'],
              resourceTypes: ['Doc'],
              context: { type: 'Record', attributes: { n: { type: 'Long', required: false } } },
            },
          },
        },
      },
    },
  };
  const one = (schema?: string) =>
    JSON.stringify({
      policies: 't/p.cedar',
      entities: 't/e.entities.json',
      ...(schema !== undefined && { schema }),
      requests: [{ ...request, principal: { __entity: alice }, context: { n: 'N' } }],
    }).replace('"N"', '-9223372036854775808');
  for (const schema of [undefined, 't/s.cedarschema', 't/j.cedarschema.json']) {
    expect(await run({ ...base, 't/one.json': one(schema) }), schema).toEqual(fine(1));
  }
});

test('checks requests against the schema unless a request says otherwise', async () => {
  const stranger = { ...request, principal: { type: 'Doc', id: 'x' } };
  const report = await run({
    't/one.json': {
      policies: 'p.cedar',
      schema: 's.cedarschema',
      requests: [
        { ...stranger, validateRequest: false },
        { ...stranger, validateRequest: true },
        stranger,
      ],
    },
    'p.cedar': permit,
    's.cedarschema': SCHEMA,
  });
  expect(report.mismatches.map(({ got }) => 'error' in got)).toEqual([true, true]);
});

test('links templates that stand among the policies, however the links are written', async () => {
  const policies =
    '@id("by id") permit (principal == ?principal, action, resource);\npermit (principal, action, resource in ?resource);';
  const doc = { type: 'Doc', id: 'plan' };
  const linked = { ...request, reason: ['a', 'b'] };
  const official = [
    { templateId: 'policy0', newId: 'a', values: { '?principal': alice } },
    { templateId: 'policy1', newId: 'b', values: { '?resource': { __entity: doc } } },
  ];
  const commandLine = [
    { template_id: 'by id', link_id: 'a', args: { '?principal': 'User::"alice"' } },
    { template_id: 'policy1', link_id: 'b', args: { '?resource': 'Doc::"\\u{70}lan"' } },
  ];
  const base = { policies: 'p.cedar', requests: [linked] };
  for (const [name, files] of Object.entries({
    'in the test': { 't/one.json': { ...base, templateLinks: official } },
    'in the test, as the command line has them': {
      't/one.json': { ...base, templateLinks: commandLine },
    },
    'in a file that the test names': {
      't/one.json': { ...base, links: 'l.json' },
      'l.json': commandLine,
    },
    'beside the policies': { 't/one.json': base, 'p.links.json': official },
  })) {
    expect(await run({ ...files, 'p.cedar': policies }), name).toEqual(fine(1));
  }
  const without = await run({ 't/one.json': base, 'p.cedar': policies });
  expect(without.mismatches).toMatchObject([{ got: { decision: 'deny', reason: [] } }]);
});

test.each([
  [
    'no policies',
    { 't/one.json': { policies: 'q.cedar', requests: [request] } },
    "no file 'q.cedar'",
  ],
  [
    'a policy that does not parse',
    { 't/one.json': { policies: 'bad.cedar', requests: [request] }, 'bad.cedar': 'permit (;' },
    'cannot',
  ],
  [
    'a schema that is none',
    {
      't/one.json': { policies: 'p.cedar', schema: 's', requests: [request] },
      s: 'entity',
    },
    'cannot load',
  ],
  [
    'entities that are no list',
    { 't/one.json': { policies: 'p.cedar', entities: 'e', requests: [request] }, e: {} },
    'no list of entities',
  ],
  [
    'an entity that is none',
    { 't/one.json': { policies: 'p.cedar', entities: 'e', requests: [request] }, e: [1] },
    'entity that is no object',
  ],
  [
    'a cycle',
    {
      't/one.json': { policies: 'p.cedar', entities: 'e', requests: [request] },
      e: [{ uid: alice, attrs: {}, parents: [alice] }],
    },
    'cycle',
  ],
  [
    'a link to no template',
    {
      't/one.json': {
        policies: 'p.cedar',
        templateLinks: [{ templateId: 'x', newId: 'y', values: {} }],
        requests: [request],
      },
    },
    "no template 'x'",
  ],
])('answers each request of a test that has %s with why', async (_what, files, error) => {
  const report = await run({ 'p.cedar': permit, ...files });
  expect(report).toMatchObject({ tests: 1, requests: 1 });
  expect(report.mismatches).toMatchObject([
    { request: 'alice views', got: { error: expect.stringContaining(error) } },
  ]);
});

test.each([
  ['no JSON', '{', 'JSON'],
  [
    'a request without decision',
    { policies: 'p', requests: [{ ...request, decision: 'maybe' }] },
    'no decision in requests[0]',
  ],
  [
    'a principal that is none',
    { policies: 'p', requests: [{ ...request, principal: 'alice' }] },
    'expected Type::"id"',
  ],
  ['requests that are no list', { policies: 'p', requests: {} }, 'no list as requests'],
])('says of a test with %s that it cannot be read', async (_what, content, error) => {
  expect(await run({ 't/one.json': content })).toEqual({
    tests: 1,
    requests: 0,
    mismatches: [
      { test: '/root/t/one.json', request: '', got: { error: expect.stringContaining(error) } },
    ],
  });
});

test('tells how far it is', async () => {
  const seen: unknown[] = [];
  await runVectors('/x.json', {
    root: '/',
    engine,
    readFile: (name) =>
      name === '/x.json' ? JSON.stringify({ policies: 'p.cedar', requests: [request] }) : permit,
    listFiles: () => undefined,
    onProgress: (done) => seen.push(done),
  });
  expect(seen).toEqual([{ tests: 1, requests: 1 }]);
});
