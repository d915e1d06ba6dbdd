import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CedarFolder, cedarFolder, DATA } from './cedar-files.ts';

let vaults: CedarFolder;
beforeAll(async () => {
  vaults = await cedarFolder();
});
afterAll(() => vaults[Symbol.asyncDispose]());

describe('check', () => {
  test('finds nothing wrong, and says what it read and which policies go by their place', async () => {
    expect(await vaults.cedar('check', 'policies', ...DATA)).toEqual({
      code: EXIT.ok,
      out: 'note: 1 policy without @id, called by place: policy1\ngood: 0 errors, 0 warnings in 3 policies, 1 template, 6 entities\n',
      err: '',
    });
  });

  test('lists as JSON where every id comes from', async () => {
    const { code, out } = await vaults.cedar('check', 'policies', ...DATA, '--json');
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(out)).toEqual({
      ok: true,
      errors: 0,
      warnings: 0,
      policies: [
        {
          id: 'branch-template',
          kind: 'template',
          idFrom: 'annotation',
          file: 'policies/branch.cedar',
          line: 1,
        },
        {
          id: 'policy1',
          kind: 'policy',
          idFrom: 'position',
          file: 'policies/deep/risk.cedar',
          line: 2,
        },
        {
          id: 'owner-opens',
          kind: 'policy',
          idFrom: 'annotation',
          file: 'policies/owner.cedar',
          line: 1,
        },
        { id: 'auditors-look', kind: 'link', idFrom: 'link', file: 'policies/branch.links.json' },
      ],
      problems: [],
    });
  });

  test('tells file, line, column, the line itself with a mark, and how to mend it', async () => {
    await using folder = await cedarFolder({
      'p.cedar': `permit (principal, action, resource)
when { context.level > 3 };
`,
      's.cedarschema':
        'entity U; action a appliesTo { principal: U, resource: U, context: { level?: Long } };',
    });
    const { code, out } = await folder.cedar('check', 'p.cedar', '-s', 's.cedarschema');
    expect(code).toBe(EXIT.negative);
    expect(out).toBe(
      [
        'p.cedar:2:8: error: policy \'policy0\': unable to guarantee safety of access to optional attribute `level` in context for Action::"a"',
        '    2 | when { context.level > 3 };',
        '      |        ^^^^^^^^^^^^^',
        "    help: try testing for the attribute's presence with `context has level && ..`",
        'note: 1 policy without @id, called by place: policy0',
        'not good: 1 error, 0 warnings in 1 policy',
        '',
      ].join('\n'),
    );
  });

  test('gives each problem as JSON with its place in the file, not in the policy', async () => {
    await using folder = await cedarFolder({
      'p.cedar': 'permit (principal, action, resource);\n  permit (principal, action, resorce);',
    });
    const { code, out } = await folder.cedar('check', '--policies', 'p.cedar', '--json');
    expect(code).toBe(EXIT.negative);
    const { ok, errors, problems } = JSON.parse(out);
    expect([ok, errors]).toEqual([false, 1]);
    expect(problems).toMatchObject([
      {
        severity: 'error',
        code: 'ERR_CEDAR_POLICY_INVALID',
        policy: 'policy1',
        file: 'p.cedar',
        line: 2,
        column: 30,
      },
    ]);
  });

  test('warns without making an error of it', async () => {
    await using folder = await cedarFolder({
      'p.cedar':
        '@id("never") permit (principal is U, action == Action::"a", resource is U) when { false };',
      's.cedarschema': 'entity U; action a appliesTo { principal: U, resource: U };',
    });
    const { code, out } = await folder.cedar('check', 'p.cedar', '-s', 's.cedarschema');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^p.cedar:1:\d+: warning: policy 'never': /);
    expect(out).toMatch(/\ngood: 0 errors, 1 warning in 1 policy\n$/);
    const strict = await folder.cedar('check', 'p.cedar', '-s', 's.cedarschema', '--strict');
    expect(strict.code).toBe(EXIT.negative);
    expect(strict.out).toMatch(/\nnot good: 1 error, 0 warnings in 1 policy\n$/);
  });

  test('warns of a file without policies, which passes for a good one otherwise', async () => {
    await using folder = await cedarFolder({
      'p.cedar': '// permit (principal, action, resource);',
    });
    const { code, out } = await folder.cedar('check', 'p.cedar');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^p.cedar: warning: found no policy, expected one or more\n/);
    expect((await folder.cedar('check', 'p.cedar', '--strict')).code).toBe(EXIT.negative);
  });

  test('warns of a template without a link, and finds links in a file of that very name', async () => {
    const template = '@id("t") forbid (principal in ?principal, action, resource);';
    const link = '[{"template_id":"t","link_id":"l","args":{"?principal":"U::\\"u\\""}}]';
    await using folder = await cedarFolder({
      'a/p.cedar': template,
      'b/p.cedar': template,
      'b/.links.json': link,
    });
    const alone = await folder.cedar('check', 'a');
    expect(alone.out).toMatch(/^a\/p.cedar:1:1: warning: found no link of the template 't'/);
    const linked = await folder.cedar('check', 'b');
    expect(linked.out).toMatch(/^good: 0 errors, 0 warnings in 1 policy, 1 template/);
  });

  test('says that nothing is validated without a schema', async () => {
    const { code, out } = await vaults.cedar('check', 'policies/owner.cedar');
    expect(code).toBe(EXIT.ok);
    expect(out).toBe(
      'good: 0 errors, 0 warnings in 1 policy; without a schema nothing was validated\n',
    );
  });

  test('checks a schema and entities without any policy', async () => {
    const { code, out } = await vaults.cedar('check', ...DATA);
    expect(code).toBe(EXIT.ok);
    expect(out).toBe('good: 0 errors, 0 warnings in 0 policies, 6 entities\n');
  });

  test('finds the schema at fault, in its own file', async () => {
    await using folder = await cedarFolder({
      'p.cedar': 'permit (principal, action, resource);',
      's.cedarschema': 'entity User;\nentity Vault { owner: Usr };',
      'e.json': '[]',
    });
    const { code, out } = await folder.cedar(
      ...['check', 'p.cedar', '-s', 's.cedarschema', '--entities', 'e.json'],
    );
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(/^s\.cedarschema:\d+:\d+: error: .*Usr/);
  });

  test('finds every entity that does not fit, and where in the file it starts', async () => {
    await vaults.write({
      'bad.json': `[
  {"uid": {"type": "User", "id": "alice"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Vault", "id": "[,"}, "attrs": {"owner": 7}, "parents": []},
  {"uid": {"type": "Valt", "id": "v2"}, "attrs": {}, "parents": []}
]`,
    });
    const { code, out } = await vaults.cedar(
      ...['check', 'policies', '-s', 'vaults.cedarschema', '--entities', 'bad.json', '--json'],
    );
    expect(code).toBe(EXIT.negative);
    const { problems } = JSON.parse(out);
    expect(problems).toMatchObject([
      { code: 'ERR_CEDAR_ENTITY_INVALID', file: 'bad.json', line: 3, column: 3 },
      { code: 'ERR_CEDAR_ENTITY_INVALID', file: 'bad.json', line: 4, column: 3 },
    ]);
    expect(problems[0].message).toContain('attrs.owner');
    expect(problems[1].message).toContain('Valt');
  });

  test('refuses parents in a circle', async () => {
    await using folder = await cedarFolder({
      'p.cedar': 'permit (principal, action, resource);',
      'e.json': JSON.stringify(
        ['a', 'b'].map((id) => ({
          uid: { type: 'T', id },
          attrs: {},
          parents: [{ type: 'T', id: id === 'a' ? 'b' : 'a' }],
        })),
      ),
    });
    const { code, out } = await folder.cedar('check', 'p.cedar', '--entities', 'e.json');
    expect(code).toBe(EXIT.negative);
    expect(out).toContain('found a cycle of parents: T::"a" in T::"b" in T::"a"');
  });

  test('refuses one id for two policies, and names the other file', async () => {
    await using folder = await cedarFolder({
      'a.cedar': '@id("one") permit (principal, action, resource);',
      'b.cedar': '\n@id("one") permit (principal, action, resource);',
    });
    const { code, out } = await folder.cedar('check', 'a.cedar', 'b.cedar');
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(/^b\.cedar:2:1: error: found the id 'one' twice, expected every id once\n/);
    expect(out).toContain('help: the other one is in a.cedar:1; give one of them another @id');
  });

  test('refuses one id for a policy and a link, and names its line', async () => {
    await using folder = await cedarFolder({
      'a.cedar':
        '@id("one") permit (principal, action, resource);\n@id("t") permit (principal == ?principal, action, resource);',
      'b.links.json':
        '[{"template_id": "t", "link_id": "one", "args": {"?principal": "U::\\"u\\""}}]',
    });
    const { out } = await folder.cedar('check', '.');
    expect(out).toContain(
      "b.links.json: error: found the id 'one' twice, expected every id once\n",
    );
    expect(out).toContain('help: the other one is in a.cedar:1; give one of them another link id');
  });

  test('reads a file once, however often it is named', async () => {
    const { code, out } = await vaults.cedar(
      ...['check', 'policies', './policies/owner.cedar', '-p', 'policies/deep/../owner.cedar'],
    );
    expect(code).toBe(EXIT.ok);
    expect(out).toContain('in 3 policies, 1 template;');
  });

  test('refuses a link of no template, and links that are none', async () => {
    await using folder = await cedarFolder({
      't.cedar': '@id("t") permit (principal == ?principal, action, resource);',
      'lost.json': '[{"template_id": "tt", "link_id": "l", "args": {"?principal": "U::\\"a\\""}}]',
      'slotless.json': '[{"templateId": "t", "newId": "l", "values": {}}]',
      'none.json': '{"links": []}',
      'broken.json': '[{"template_id": "t",}]',
    });
    const found = async (links: string) => (await folder.cedar('check', 't.cedar', links)).out;
    expect(await found('lost.json')).toContain(
      "lost.json: error: policy 'l': found no template 'tt', expected one of that id",
    );
    expect(await found('slotless.json')).toContain(
      "slotless.json: error: policy 'l': found no value for ?principal, expected an entity",
    );
    expect(await found('none.json')).toMatch(/^none.json: error: found no list as links/);
    expect(await found('broken.json')).toMatch(
      /^broken.json:1:22: error: found "}]" at line 1, column 22, expected a name in quotes\n/,
    );
  });

  test('takes links in a file of any name with --links', async () => {
    await using folder = await cedarFolder({
      't.cedar': '@id("t") permit (principal == ?principal, action, resource);',
      linked: '[{"template_id": "t", "link_id": "l", "args": {"?principal": "U::\\"a\\""}}]',
      empty: '',
    });
    const { code, out } = await folder.cedar(
      'check',
      't.cedar',
      '--links',
      'linked',
      '-k',
      'empty',
    );
    expect(code).toBe(EXIT.ok);
    expect(out).toContain('in 1 policy, 1 template;');
  });

  test('prints nothing of a file that a terminal would obey', async () => {
    await using folder = await cedarFolder({
      'p.cedar': `@id("\u009b31m\u{e0041}") permit (principal, action, resource)
when { "\u001b]0;owned\u0007\u202e" == 1 + };`,
    });
    for (const more of [[], ['--json']]) {
      const { code, out } = await folder.cedar('check', 'p.cedar', ...more);
      expect(code).toBe(EXIT.negative);
      expect(out).not.toMatch(/[^\P{Cc}\n]|\p{Cf}|\p{Zl}/u);
      if (more.length > 0) expect(JSON.parse(out).policies[0].id).toBe('\u009b31m\u{e0041}');
      else expect(out).toContain("policy '\\u{9b}31m\\u{e0041}'");
    }
  });
});
