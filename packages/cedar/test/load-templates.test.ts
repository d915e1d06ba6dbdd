import { createEntityStore, type LoadOptions, type PolicySource } from '@countersign/cedar';
import { afterAll, expect, test } from 'vitest';
import { newEngine, request, SCHEMA } from './engine.ts';

const engine = newEngine();
afterAll(() => engine.close());

const nobody = createEntityStore();
const ALICE = { type: 'User', id: 'alice' };
const VAULT = { type: 'Vault', id: 'v1' };
const BOTH: PolicySource = {
  id: 'both',
  text: '@why("x") permit (principal == ?principal, action, resource is Vault in ?resource) when { 1 == 1 };',
};
const ONE: PolicySource = {
  id: 'one',
  text: 'forbid (principal in ?principal, action == Action::"open", resource);',
};
const link = (id: string, template: string, values: object) => ({ id, template, values });

test('fills the slots of templates, and links decide', async () => {
  const set = await engine.load([], SCHEMA, {
    templates: [BOTH, ONE],
    links: [
      link('l1', 'both', { '?principal': ALICE, '?resource': VAULT }),
      link('l2', 'both', { '?principal': { type: 'User', id: 'bob' }, '?resource': VAULT }),
      link('l3', 'one', { '?principal': { type: 'Team', id: 'staff' } }),
    ],
  });
  expect(set.ids).toEqual(['l1', 'l2', 'l3']);
  expect(set.policy('l1')?.annotations.get('why')).toBe('x');
  expect(set.policy('both')).toBeUndefined();
  expect(set.authorize(request(), nobody)).toMatchObject({ decision: 'allow', reasons: ['l1'] });
  const [first] = set.policies;
  expect(first).toMatchObject({
    id: 'l1',
    template: 'both',
    text: BOTH.text,
    principal: { kind: 'equals', target: { kind: 'entity', uid: ALICE } },
    resource: { kind: 'isIn', entityType: 'Vault', target: { kind: 'entity', uid: VAULT } },
  });
});

test('policies come in the order given, links after them', async () => {
  const statics = ['z', 'b', 'a'].map((id) => ({
    id,
    text: 'permit (principal, action, resource);',
  }));
  const links = ['y', 'c'].map((id) => link(id, 'one', { '?principal': ALICE }));
  const set = await engine.load(statics, SCHEMA, { templates: [ONE], links });
  expect(set.policies.map(({ id }) => id)).toEqual(['z', 'b', 'a', 'y', 'c']);
  expect(set.ids).toEqual(['a', 'b', 'c', 'y', 'z']);
});

test.each<[string, LoadOptions, string, RegExp]>([
  ['an unknown template', { links: [link('l', 'none', {})] }, 'l', /no template 'none'/],
  [
    'a missing slot',
    { templates: [BOTH], links: [link('l', 'both', { '?principal': ALICE })] },
    'l',
    /no value for \?resource/,
  ],
  [
    'a slot that the template has not',
    { templates: [ONE], links: [link('l', 'one', { '?principal': ALICE, '?resource': VAULT })] },
    'l',
    /value for \?resource/,
  ],
  [
    'a slot that there is not',
    { templates: [ONE], links: [link('l', 'one', { '?principal': ALICE, '?action': VAULT })] },
    'l',
    /value for \?action/,
  ],
  [
    'a type that is no name',
    { templates: [ONE], links: [link('l', 'one', { '?principal': { type: 'A::if', id: '' } })] },
    'l',
    /no entity for \?principal/,
  ],
  [
    'an entity of an unknown type',
    { templates: [ONE], links: [link('l', 'one', { '?principal': { type: 'Usr', id: '' } })] },
    'l',
    /Usr/,
  ],
  [
    'a template without slots',
    { templates: [{ id: 't', text: 'permit (principal, action, resource);' }] },
    't',
    /static policy/,
  ],
  [
    "the resource's slot for the principal",
    { templates: [{ id: 't', text: 'permit (principal == ?resource, action, resource);' }] },
    't',
    /\?resource/,
  ],
  [
    'a slot in a condition',
    {
      templates: [
        {
          id: 't',
          text: 'permit (principal == ?principal, action, resource) when { ?principal == 1 };',
        },
      ],
    },
    't',
    /slot/,
  ],
  [
    'a template that does not fit the schema',
    {
      templates: [{ ...ONE, text: `${ONE.text.slice(0, -1)} when { principal.nope };` }],
      links: [link('l', 'one', { '?principal': ALICE })],
    },
    'one',
    /nope/,
  ],
  [
    "a link with a template's id",
    { templates: [ONE], links: [link('one', 'one', { '?principal': ALICE })] },
    'one',
    /'one' twice/,
  ],
  [
    'two links of one id',
    {
      templates: [ONE],
      links: [link('l', 'one', { '?principal': ALICE }), link('l', 'one', { '?principal': ALICE })],
    },
    'l',
    /'l' twice/,
  ],
])('refuses %s, naming it', async (_what, options, id, message) => {
  const error = await engine.load([], SCHEMA, options).catch((each) => each);
  expect(error.code).toBe('ERR_CEDAR_POLICY_INVALID');
  expect(error.message).toMatch(new RegExp(`^cannot load policy '${id}': `));
  expect(error.message).toMatch(message);
});

test("refuses a link with a policy's id, and a template given as a policy", async () => {
  const policy = { id: 'l', text: 'permit (principal, action, resource);' };
  const links = [link('l', 'one', { '?principal': ALICE })];
  await expect(engine.load([policy], SCHEMA, { templates: [ONE], links })).rejects.toThrow(
    /'l' twice/,
  );
  await expect(engine.load([ONE], SCHEMA)).rejects.toThrow(/slot \?principal/);
});

test("tells what is wrong with a template once, however many links it has, in the template's text", async () => {
  const text = `${ONE.text.slice(0, -1)} when { "é😀" == "" || principal.nope };`;
  const links = Array.from({ length: 300 }, (_, index) =>
    link(`l${index}`, 'one', { '?principal': ALICE }),
  );
  const problems = await engine.validate([], SCHEMA, { templates: [{ id: 'one', text }], links });
  const errors = problems.filter(({ severity }) => severity === 'error');
  expect(new Set(errors.map(({ policy }) => policy))).toEqual(new Set(['one']));
  expect(text.slice(errors[0]?.start, errors[0]?.end)).toBe('principal.nope');
});

test('takes 10,000 links, and refuses one more', async () => {
  const links = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      link(`l${index}`, 'one', { '?principal': { type: 'User', id: `${index}` } }),
    );
  const set = await engine.load([], SCHEMA, { templates: [ONE], links: links(9999) });
  expect(set.ids).toHaveLength(9999);
  const problems = await engine.validate([], SCHEMA, { templates: [ONE], links: links(10_000) });
  expect(problems).toMatchObject([{ code: 'ERR_CEDAR_TOO_DEEP' }]);
}, 60_000);
