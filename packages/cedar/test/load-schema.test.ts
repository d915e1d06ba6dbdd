import { createRequire } from 'node:module';
import { createEntityStore, type PolicySource } from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { newEngine, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

const cedar: typeof import('@cedar-policy/cedar-wasm/nodejs') = createRequire(
  import.meta.resolve('@countersign/cedar'),
)('@cedar-policy/cedar-wasm/nodejs');

const nobody = createEntityStore();
const PERMIT: PolicySource = {
  id: 'young',
  text: 'permit (principal is User, action == Action::"open", resource) when { principal has age && principal.age < 18 };',
};

function inJson(schema: string): object {
  const answer = cedar.schemaToJson(schema);
  if (answer.type === 'failure') throw new Error(JSON.stringify(answer.errors));
  return answer.json;
}

const NAMESPACED = `
type Rank = Long;
entity Top enum ["all", "none"];
namespace Bank {
  type Address = { street: String, zip?: __cedar::String };
  type Level = { level: Level2, at: datetime };
  type Level2 = decimal;
  @doc("who") entity User in [Group, Top] = { home: Address, levels: Set<Set<Level>>, addr?: ipaddr } tags Set<Level>;
  entity Group, Other in Group;
  action all;
  action some in [all];
  action "go on" in [Action::"all", some] appliesTo { principal: [User, Top], resource: Other, context: { a?: Address, "odd key": duration } };
}
action "out" in [Bank::Action::"all"] appliesTo { principal: Bank::User, resource: [Top], context: { rank: Rank } };
`;

test.each([
  ['a small schema', SCHEMA],
  ['namespaces, common types, enums and groups', NAMESPACED],
])('resolves %s alike from Cedar syntax, JSON text and an object', async (_what, schema) => {
  const json = inJson(schema);
  const [fromCedar, fromText, fromObject] = await Promise.all(
    [schema, `\n ${JSON.stringify(json)}`, json].map((form) => engine.load([], form)),
  );
  expect(fromCedar?.schema?.entityTypes.size).toBeGreaterThan(2);
  expect(fromText?.schema).toEqual(fromCedar?.schema);
  expect(fromObject?.schema).toEqual(fromCedar?.schema);
});

test('validates against a schema in JSON', async () => {
  const schema = inJson(SCHEMA);
  const set = await engine.load([PERMIT], schema);
  expect(set.authorize(request(), nobody).decision).toBe('deny');
  const misfit = { id: 'misfit', text: 'permit (principal is Usr, action, resource);' };
  expect(await engine.validate([misfit], JSON.stringify(schema))).toMatchObject([
    { policy: 'misfit', code: 'ERR_CEDAR_POLICY_INVALID', severity: 'error' },
    { policy: 'misfit', severity: 'warning' },
    { policy: 'misfit', severity: 'warning' },
  ]);
});

test.each([
  ['no JSON', '{"": {', /SyntaxError/],
  [
    'a key twice',
    '{"": {"entityTypes": {"A": {}, "\\u0041": {}}, "actions": {}}}',
    /"\\u0041" twice/,
  ],
  ['an unknown field', '{"": {"entityTypes": {}, "actions": {}, "more": {}}}', /more/],
  [
    'one name for two types',
    '{"N": {"entityTypes": {"T": {}}, "commonTypes": {"T": {"type": "String"}}, "actions": {}}}',
    /'T' as an entity type and a common type/,
  ],
  ['an unknown type', '{"": {"entityTypes": {"A": {"memberOfTypes": ["B"]}}, "actions": {}}}', /B/],
  ['JSON and no object', '[]', /unexpected token/],
  ['deep JSON', `{"a": ${'['.repeat(100)}${']'.repeat(100)}}`, /nested 65 deep/],
])('refuses a schema in JSON that has %s', async (_what, schema, message) => {
  const problems = await engine.validate([PERMIT], schema);
  expect(problems[0]?.code).toMatch(/^ERR_CEDAR_(SCHEMA_INVALID|TOO_DEEP)$/);
  expect(problems[0]?.message).toMatch(message);
  expect(problems.every(({ policy }) => policy === undefined)).toBe(true);
});

test('does not take an object without text for no schema', async () => {
  const schema = { toJSON: () => undefined };
  await expect(engine.load([PERMIT], schema)).rejects.toMatchObject({
    code: 'ERR_CEDAR_SCHEMA_INVALID',
  });
});

test.each([null, 'permissive', ''])('validates where %j asks for it to be off', async (asked) => {
  const wrong = { id: 'w', text: 'permit (principal, action, resource) when { principal.no };' };
  const options = { validation: asked as never };
  await expect(engine.load([wrong], SCHEMA, options)).rejects.toMatchObject({
    code: 'ERR_CEDAR_POLICY_INVALID',
  });
});

test('refuses an object that is no JSON', async () => {
  const loop: { [name: string]: unknown } = {};
  loop['loop'] = loop;
  for (const schema of [loop, { a: 1n }]) {
    expect(await engine.validate([], schema)).toMatchObject([{ code: 'ERR_CEDAR_SCHEMA_INVALID' }]);
  }
});

test('names such as __proto__ are names in a schema, too', async () => {
  const schema =
    'entity User { "__proto__"?: Long, "constructor": String }; action "__proto__" appliesTo { principal: User, resource: User, context: { "__proto__": Long } };';
  for (const form of [schema, inJson(schema)]) {
    const set = await engine.load([], form);
    const user = set.schema?.entityTypes.get('User');
    expect([...(user?.shape.attributes.keys() ?? [])].sort()).toEqual(['__proto__', 'constructor']);
    const [action] = [...(set.schema?.actions.values() ?? [])];
    expect(action?.uid.id).toBe('__proto__');
    expect([...(action?.context.attributes.keys() ?? [])]).toEqual(['__proto__']);
  }
});

test('warns of what is odd in a schema once, however many policies there are', async () => {
  const schema = `${SCHEMA} entity decimal; type ipaddr = Long;`;
  const permits = Array.from({ length: 300 }, (_, index) => ({ ...PERMIT, id: `p${index}` }));
  const problems = await engine.validate(permits, schema);
  expect(problems.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
  expect(problems.map(({ start = 0, end }) => schema.slice(start, end)).sort()).toEqual([
    'decimal',
    'ipaddr',
  ]);
});
