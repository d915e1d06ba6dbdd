import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CedarFolder, cedarFolder } from './cedar-files.ts';

let vaults: CedarFolder;
beforeAll(async () => {
  vaults = await cedarFolder();
});
afterAll(() => vaults[Symbol.asyncDispose]());

const DATA = ['--schema', 'vaults.cedarschema', '--entities', 'entities.json'];

/** `User::"alice" Action::"open" Vault::"v1"` as options. */
function asked(principal: string, action: string, resource: string): readonly string[] {
  return ['--principal', principal, '--action', action, '--resource', resource];
}

const ALICE_OPENS = asked('User::"alice"', 'Action::"open"', 'Vault::"v1"');

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
    expect(out).toContain('help: the other one is in a.cedar');
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
      /^broken.json:1:22: error: found '}', expected a name in quotes\n/,
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

describe('authorize', () => {
  const authorize = (...words: readonly string[]) =>
    vaults.cedar('authorize', 'policies', ...DATA, ...words);

  test('allows with 0, and names the policy and where it stands', async () => {
    expect(await authorize(...ALICE_OPENS, '--context', '{"acr":"gold"}')).toEqual({
      code: EXIT.ok,
      out: 'ALLOW\n\nPermitted by:\n  owner-opens  (policies/owner.cedar:1)\n',
      err: '',
    });
  });

  test('denies with 1, which is no failure', async () => {
    expect(await authorize(...ALICE_OPENS, '--context', '{"acr":"silver"}')).toEqual({
      code: EXIT.negative,
      out: 'DENY\n\nNone of the 3 policies permits it.\n',
      err: '',
    });
    const forbidden = await authorize(...ALICE_OPENS, '--context', '{"acr":"gold","risk":81}');
    expect(forbidden.code).toBe(EXIT.negative);
    expect(forbidden.out).toBe('DENY\n\nForbidden by:\n  policy1  (policies/deep/risk.cedar:2)\n');
  });

  test('answers as JSON', async () => {
    const { code, out } = await authorize(
      ...asked('User::"bob"', 'Action::"look"', 'Vault::"v1"'),
      ...['--context', '{"acr":"none"}', '--json'],
    );
    expect(code).toBe(EXIT.ok);
    expect(out).toBe(
      '{"decision":"allow","reasons":["auditors-look"],"errors":[],"erroredForbids":[]}\n',
    );
  });

  test('takes the context from a file, and the request as the official command line has it', async () => {
    await vaults.write({
      'gold.json': '{"acr": "gold"}',
      'request.json': JSON.stringify({
        principal: 'User::"alice"',
        action: 'Action::"open"',
        resource: { type: 'Vault', id: 'v1' },
        context: { acr: 'gold' },
      }),
    });
    expect((await authorize(...ALICE_OPENS, '--context', 'gold.json')).code).toBe(EXIT.ok);
    expect((await authorize('--request', 'request.json')).code).toBe(EXIT.ok);
  });

  test('keeps every digit of an integer', async () => {
    await using folder = await cedarFolder({
      'p.cedar':
        '@id("exact") permit (principal, action, resource) when { context.n == 9007199254740993 && resource.n == -9223372036854775808 };',
      'e.json': '[{"uid":{"type":"R","id":"r"},"attrs":{"n":-9223372036854775808},"parents":[]}]',
    });
    const ask = (n: string) =>
      folder.cedar(
        ...['authorize', 'p.cedar', ...asked('U::"u"', 'Action::"a"', 'R::"r"')],
        ...['--entities', 'e.json', '--context', `{"n": ${n}}`],
      );
    expect((await ask('9007199254740993')).code).toBe(EXIT.ok);
    expect((await ask('9007199254740992')).code).toBe(EXIT.negative);
    expect((await ask('9223372036854775808')).code).toBe(EXIT.failed);
    expect((await ask('1.5')).err).toContain("found 1.5 at 'context.n'");
  });

  test('reads the escapes of an entity as a policy would', async () => {
    await using folder = await cedarFolder({
      'p.cedar': 'permit (principal == A::B::"a\\"\\u{e9}\\0", action, resource);',
    });
    const ask = (principal: string) =>
      folder.cedar('authorize', 'p.cedar', ...asked(principal, 'Action::"a"', 'R::"r"'));
    expect((await ask('A :: B::"a\\"\\u{e9}\\x00"')).code).toBe(EXIT.ok);
    expect((await ask('A::B::"a"')).code).toBe(EXIT.negative);
    expect((await ask('A::B::"a\\q"')).code).toBe(EXIT.usage);
  });

  test('tells which policy failed to evaluate and where; a forbid that did denies with --strict only', async () => {
    await using folder = await cedarFolder({
      'p.cedar': `permit (principal, action, resource);
@id("risky")
forbid (principal, action, resource)
when { context.risk > 80 };`,
    });
    const words = ['authorize', 'p.cedar', ...asked('U::"u"', 'Action::"a"', 'R::"r"')];
    const open = await folder.cedar(...words);
    expect(open.code).toBe(EXIT.ok);
    expect(open.out).toBe(
      [
        'ALLOW',
        '',
        'Permitted by:',
        '  policy0  (p.cedar:1)',
        '',
        "p.cedar:4:8: error: policy 'risky': record does not have the attribute `risk`",
        '    4 | when { context.risk > 80 };',
        '      |        ^^^^^^^^^^^^',
        '',
        "note: Cedar skips a forbid that fails to evaluate, which fails open: 'risky'; --strict denies",
        '',
      ].join('\n'),
    );
    const strict = await folder.cedar(...words, '--strict');
    expect(strict.code).toBe(EXIT.negative);
    expect(strict.out).toMatch(/^DENY\n\nA forbid could not be evaluated, which denies.\n/);
    const json = await folder.cedar(...words, '--strict', '--json');
    expect(JSON.parse(json.out)).toEqual({
      decision: 'deny',
      reasons: [],
      errors: [
        {
          policy: 'risky',
          message: 'record does not have the attribute `risk`',
          file: 'p.cedar',
          line: 4,
          column: 8,
          endLine: 4,
          endColumn: 20,
        },
      ],
      erroredForbids: ['risky'],
    });
  });

  test('does not answer a question that the schema does not admit, unless told to', async () => {
    const words = asked('Vault::"v1"', 'Action::"open"', 'Vault::"v1"');
    const refused = await authorize(...words, '--context', '{"acr":"gold"}');
    expect([refused.code, refused.out]).toEqual([EXIT.failed, '']);
    expect(refused.err).toMatch(/^countersign cedar authorize: cannot read the request: /);
    const { code } = await authorize(
      ...words,
      ...['--context', '{"acr":"gold"}', '--no-request-validation'],
    );
    expect(code).toBe(EXIT.negative);
  });

  test('decides under no policy with an error, and says which', async () => {
    await using folder = await cedarFolder({
      'good.cedar': 'permit (principal, action, resource);',
      'bad.cedar': 'permit (principal, action);',
    });
    const { code, out, err } = await folder.cedar(
      ...['authorize', '.', ...asked('U::"u"', 'Action::"a"', 'R::"r"')],
    );
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toMatch(/^bad\.cedar:1:\d+: error: policy 'policy0': /);
    expect(err).toMatch(
      /\ncountersign cedar authorize: cannot authorize: found \d errors? in policies and schema, expected none\n$/,
    );
  });

  test.each([
    [
      ['authorize'],
      'found no --principal, expected --principal, --action and --resource, or --request',
    ],
    [['authorize', '-l', 'U::"u"', '-r', 'R::"r"'], 'found no --action'],
    [['authorize', ...ALICE_OPENS], 'found no policies, expected files or folders of them'],
    [
      ['authorize', '-l', 'User::alice'],
      `found --principal 'User::alice', expected an entity such as 'User::"alice"'; did you mean 'User::"alice"', both quotes included?`,
    ],
    [['authorize', '-l', 'alice'], `found --principal 'alice', expected an entity such as`],
    [['authorize', '-l', 'U::"u" x'], 'expected an entity such as'],
    [['authorize', '--request', 'r.json', '-a', 'x'], 'found --request and --action, expected one'],
    [['authorize', ...ALICE_OPENS, '-c', '{"a":}'], 'found no JSON in --context: at character 6'],
    [
      ['explain', ...ALICE_OPENS, '--raise', '=1'],
      "found --raise '=1', expected NAME or NAME=VALUE",
    ],
    [['filter'], 'found no --resource-type, expected the type of the resources'],
    [['filter', '--resource-type', 'V', '--dialect', 'postgre'], "did you mean 'postgres'?"],
    [['vectors'], 'found no PATH, expected a test or a folder of them'],
    [['check'], 'found no policies, expected files or folders of them'],
  ])('%j is used wrongly', async (words, said) => {
    const { code, out, err } = await vaults.cedar(...words);
    expect([code, out]).toEqual([EXIT.usage, '']);
    expect(err).toContain(said);
  });
});

describe('explain', () => {
  const explain = (...words: readonly string[]) =>
    vaults.cedar('explain', 'policies', ...DATA, ...ALICE_OPENS, ...words);

  test('tells which clause failed, with the values seen, and what would turn it', async () => {
    const { code, out } = await explain(
      ...['--context', '{"acr":"silver"}', '--raise', 'acr=silver,gold', '--raise', 'approved'],
    );
    expect(code).toBe(EXIT.negative);
    expect(out).toBe(`DENY

None of the 3 policies permits it.

falsified  permit owner-opens  (policies/owner.cedar:1)
  held         action == Action::"open"
                 action  Action::"open"
  held         resource is Vault
                 resource  Vault::"v1"
  held         when { resource.owner == principal }
                 resource.owner  User::"alice"
                 principal       User::"alice"
  FAILED       when { context.acr == "gold" }
                 context.acr  "silver"

falsified  forbid policy1  (policies/deep/risk.cedar:2)
  FAILED       when { context has risk }
                 context has risk  false
  not reached  when { context.risk > 80 }

1 more for other actions or types.

It would have been allowed with:
  context.acr = "gold"
`);
  });

  test('gives it all as JSON, clauses with their places', async () => {
    const { code, out } = await explain(
      ...['--context', '{"acr":"gold","risk":90}', '--lower', 'risk', '--json'],
    );
    expect(code).toBe(EXIT.negative);
    const { decision, policies, raise } = JSON.parse(out);
    expect(decision).toBe('deny');
    expect(raise).toMatchObject({ kind: 'found', changes: [{ attribute: ['risk'], to: 80 }] });
    expect(policies[1]).toMatchObject({ id: 'policy1', effect: 'forbid', outcome: 'satisfied' });
    expect(policies[1].clauses.at(-1)).toMatchObject({
      part: 'when',
      status: 'held',
      text: 'context.risk > 80',
      reads: [{ kind: 'value', text: 'context.risk', value: 90 }],
      file: 'policies/deep/risk.cedar',
      line: 3,
      column: 28,
    });
  });

  test('explains what is allowed with 0, and says when nothing helps', async () => {
    expect((await explain('--context', '{"acr":"gold"}')).code).toBe(EXIT.ok);
    const { out } = await explain('--context', '{"acr":"x"}', '--raise', 'approved=true,false');
    expect(out).toContain('\nWhatever values these attributes had, it would have been denied.\n');
  });
});

describe('filter', () => {
  const filter = (...words: readonly string[]) =>
    vaults.cedar('filter', 'policies', ...DATA, '--resource-type', 'Vault', ...words);

  test('prints SQL and parameters, for either database', async () => {
    const words = ['-l', 'User::"bob"', '-a', 'Action::"look"', '--table', 'mapping.json'];
    const { code, out } = await filter(...words, '--dialect', 'sqlite', '-c', '{"acr":"gold"}');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^[^\n]*"resource"\."branch_id"[^\n]*\?[^\n]*\n-- 1: "north"\n$/);

    const json = await filter(
      ...[...words, '--dialect', 'postgres', '--alias', 'v', '-c', '{"acr":"gold"}', '--json'],
    );
    const { kind, sql, parameters } = JSON.parse(json.out);
    expect([kind, parameters]).toEqual(['filter', ['north']]);
    expect(sql).toContain('"v"."branch_id"');
    expect(sql).toContain('$1');
  });

  test('selects nothing for whom nothing is permitted', async () => {
    const { code, out } = await filter(
      ...['-l', 'User::"alice"', '-a', 'Action::"look"', '--table', 'mapping.json'],
      ...['--dialect', 'postgres', '-c', '{"acr":"gold"}', '--json'],
    );
    expect(code).toBe(EXIT.ok);
    expect(JSON.parse(out)).toEqual({ kind: 'filter', sql: 'FALSE', parameters: [] });
  });

  test('keeps every digit of a parameter', async () => {
    await vaults.write({
      'long.cedar':
        'permit (principal, action, resource) when { resource has level && resource.level == 9007199254740993 };',
    });
    const { out } = await vaults.cedar(
      ...['filter', 'long.cedar', ...DATA, '--resource-type', 'Vault', '-l', 'User::"bob"'],
      ...['-a', 'Action::"look"', '--table', 'mapping.json', '--dialect', 'sqlite'],
      ...['-c', '{"acr":"gold"}', '--json'],
    );
    expect(out).toContain('"parameters":[9007199254740993]');
  });

  test('refuses what has no faithful SQL, naming policy and place', async () => {
    await vaults.write({
      'like.cedar': `@id("by-tag")
permit (principal, action, resource)
when { resource.owner in Group::"auditors" };`,
    });
    const words = [
      ...['filter', 'like.cedar', '-s', 'vaults.cedarschema', '--resource-type', 'Vault'],
      ...['-l', 'User::"bob"', '-a', 'Action::"look"', '--table', 'narrow.json'],
      ...['--dialect', 'sqlite', '-c', '{"acr":"gold"}'],
    ];
    await vaults.write({ 'narrow.json': '{"Vault": {"table": "vaults", "id": "id"}}' });
    const { code, out } = await vaults.cedar(...words);
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(
      /^like\.cedar:3:8: error: policy 'by-tag': cannot translate 'by-tag' to SQL: /,
    );
    expect(out).toMatch(/\nrefused: no filter\n$/);
    const json = JSON.parse((await vaults.cedar(...words, '--json')).out);
    expect(json).toMatchObject({
      kind: 'refused',
      code: 'ERR_CEDAR_FILTER_UNTRANSLATABLE',
      refusals: [{ policy: 'by-tag', file: 'like.cedar', line: 3, column: 8 }],
    });
  });

  test.each([
    ['{"Vault": {"tabel": "vaults", "id": "id"}}', /"tabel".* at Vault/],
    [
      '{"Vault": {"table": "vaults", "id": "id", "attributes": {"level": {"colum": "level"}}}}',
      /Vault\.attributes\.level/,
    ],
    ['{"User": {"table": "users", "id": "id"}}', /Vault/],
    ['[]', /expected record/],
  ])('says what is wrong with the mapping %s', async (mapping, said) => {
    await vaults.write({ 'wrong.json': mapping });
    const { code, out, err } = await filter(
      ...['-l', 'User::"bob"', '-a', 'Action::"look"', '--table', 'wrong.json'],
      ...['--dialect', 'sqlite', '-c', '{"acr":"gold"}'],
    );
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toMatch(said);
    expect(err.split('\n')).toHaveLength(2);
  });
});

describe('vectors', () => {
  const test1 = {
    policies: 'p.cedar',
    requests: [
      {
        description: 'a permit',
        principal: { type: 'U', id: 'u' },
        action: { type: 'Action', id: 'a' },
        resource: { type: 'R', id: 'r' },
        context: {},
        decision: 'allow',
        reason: ['policy0'],
        errors: [],
      },
      {
        description: 'not a permit',
        principal: { type: 'U', id: 'v' },
        action: { type: 'Action', id: 'a' },
        resource: { type: 'R', id: 'r' },
        context: {},
        decision: 'allow',
        reason: ['policy0'],
        errors: [],
      },
    ],
  };
  const files = (requests = test1.requests) => ({
    'suite/p.cedar': 'permit (principal == U::"u", action, resource);',
    'suite/tests/one.json': JSON.stringify({ ...test1, requests }),
    'suite/tests/one.entities.json': '[]',
  });

  test('prints exactly what was run, what was expected, and what came', async () => {
    await using folder = await cedarFolder(files());
    const { code, out, err } = await folder.cedar(
      ...['vectors', 'suite/tests', '--root', 'suite', '--json'],
    );
    expect([code, err]).toEqual([EXIT.negative, '']);
    expect(JSON.parse(out)).toEqual({
      tests: 1,
      requests: 2,
      mismatches: [
        {
          test: 'suite/tests/one.json',
          request: 'not a permit',
          expected: { decision: 'allow', reason: ['policy0'], errors: [] },
          got: { decision: 'deny', reason: [], errors: [] },
        },
      ],
    });
    const text = await folder.cedar('vectors', 'suite/tests/one.json', '--root', 'suite');
    expect([text.code, text.out]).toEqual([
      EXIT.negative,
      [
        'suite/tests/one.json: not a permit',
        '    expected allow, reasons: policy0, errors: none',
        '    got      deny, reasons: none, errors: none',
        'not good: 1 tests, 2 requests, 1 mismatch',
        '',
      ].join('\n'),
    ]);
  });

  test('exits with 0 only without mismatch', async () => {
    await using folder = await cedarFolder(files(test1.requests.slice(0, 1)));
    expect(
      await folder.cedar('vectors', 'suite/tests/one.json', '--root', 'suite', '--json'),
    ).toEqual({ code: EXIT.ok, out: '{"tests":1,"requests":1,"mismatches":[]}\n', err: '' });
    // The paths inside of the test are relative to the root: another one has none of them.
    expect((await folder.cedar('vectors', 'suite/tests', '--root', '.')).code).toBe(EXIT.negative);
  });

  test('takes no path that is not there, and no folder without a test, for a success', async () => {
    for (const [path, said] of [
      ['nowhere', "found no such file or folder 'nowhere'"],
      ['policies', "found no test in 'policies'"],
    ] as const) {
      const { code, out, err } = await vaults.cedar('vectors', path);
      expect([code, out]).toEqual([EXIT.failed, '']);
      expect(err).toBe(`countersign cedar vectors: cannot run vectors: ${said}\n`);
    }
  });
});

describe('hostile files', () => {
  const ask = ['--principal', 'U::"u"', '--action', 'Action::"a"', '--resource', 'R::"r"'];
  const permit = 'permit (principal, action, resource);';

  test.each([
    [
      'ten megabytes in one literal',
      `permit (principal, action, resource) when { context.x == "${'a'.repeat(1e7)}" };`,
      'characters, expected at most',
    ],
    ['ten megabytes of policies', `${permit}\n`.repeat(270_000), 'expected at most'],
    [
      'five thousand brackets',
      `permit (principal, action, resource) when { ${'('.repeat(5000)}true${')'.repeat(5000)} };`,
      'found brackets nested 65 deep, expected at most 64',
    ],
    [
      'a chain of five thousand',
      `permit (principal, action, resource) when { ${'true && '.repeat(5000)}true };`,
      'found more than 500 operators',
    ],
    ['a string without end', 'permit (principal == U::"', 'found a string without end'],
    ['no policy at all', '{"json": true}', 'found a policy without end'],
  ])('%s is refused in a few lines', async (_name, text, said) => {
    await using folder = await cedarFolder({ 'p.cedar': text });
    const checked = await folder.cedar('check', 'p.cedar');
    expect(checked.code).toBe(EXIT.negative);
    expect(checked.out).toContain(said);
    expect(checked.out.length).toBeLessThan(2000);
    const decided = await folder.cedar('authorize', 'p.cedar', ...ask);
    expect([decided.code, decided.out]).toEqual([EXIT.failed, '']);
    expect(decided.err).toContain(said);
  });

  test.each([
    [
      'p.cedar',
      ['check', 'p.cedar', '--entities', 'nowhere.json'],
      "cannot read entities 'nowhere.json': found no such file",
    ],
    [
      'a folder as schema',
      ['check', 'p.cedar', '-s', 'folder'],
      "cannot read schema 'folder': found a folder, expected a file",
    ],
    [
      'a folder as context',
      ['authorize', 'p.cedar', ...ask, '-c', 'folder'],
      "cannot read context 'folder': found a folder",
    ],
    [
      'a folder without policies',
      ['check', 'folder/empty'],
      "found no .cedar file in 'folder/empty', expected one",
    ],
    [
      'no such policies',
      ['check', 'nowhere.cedar'],
      "cannot read policies 'nowhere.cedar': found no such file",
    ],
    [
      'bytes that are no text',
      ['check', 'latin.cedar'],
      "cannot read policies 'latin.cedar': found bytes that are not UTF-8",
    ],
    [
      'JSON that is none',
      ['authorize', 'p.cedar', ...ask, '-c', 'broken.json'],
      "cannot read context 'broken.json' as JSON: line 2, column 8: found '}', expected a value",
    ],
    [
      'a context that is a list',
      ['authorize', 'p.cedar', ...ask, '-c', 'list.json'],
      'found a context that is no object, expected {…}',
    ],
    [
      'entities that are no list',
      ['authorize', 'p.cedar', ...ask, '--entities', 'object.json'],
      'found JSON that is no list',
    ],
    [
      'entities that are none',
      ['authorize', 'p.cedar', ...ask, '--entities', 'list.json'],
      'list.json:1:2: error: cannot read the entity',
    ],
    [
      'a context nested a thousand deep',
      ['authorize', 'p.cedar', ...ask, '-c', 'deep.json'],
      'expected at most 64 levels',
    ],
    [
      'a request without action',
      ['authorize', 'p.cedar', '--request', 'request.json'],
      "cannot read request 'request.json': found no action",
    ],
    [
      'an unknown',
      ['authorize', 'p.cedar', ...ask, '-c', '{"x":{"__extn":{"fn":"unknown","arg":"q"}}}'],
      'unknown',
    ],
    [
      'half a surrogate pair',
      ['authorize', 'p.cedar', ...ask, '-c', '{"x":"\\ud800"}'],
      'surrogate',
    ],
  ])('%s is told as such', async (_name, words, said) => {
    await using folder = await cedarFolder({
      'p.cedar': permit,
      'folder/empty/README.md': '',
      'latin.cedar': Uint8Array.of(0x2f, 0x2f, 0xe9),
      'broken.json': '{\n  "a": }',
      'list.json': '[1]',
      'object.json': '{"entities": []}',
      'deep.json': `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`,
      'request.json': '{"principal": "U::\\"u\\"", "context": {}}',
    });
    const { code, out, err } = await folder.cedar(...words);
    expect(code).not.toBe(EXIT.ok);
    expect(code).not.toBe(EXIT.negative);
    expect(out).toBe('');
    expect(err).toContain(said);
    expect(err).not.toContain('    at ');
  });

  test('names like __proto__ are names like others', async () => {
    await using folder = await cedarFolder({
      'p.cedar':
        'permit (principal, action, resource) when { resource["__proto__"] == 1 && context.constructor == "c" };',
      'e.json': '[{"uid":{"type":"R","id":"__proto__"},"attrs":{"__proto__":1},"parents":[]}]',
    });
    const { code } = await folder.cedar(
      ...['authorize', 'p.cedar', ...asked('U::"u"', 'Action::"a"', 'R::"__proto__"')],
      ...['--entities', 'e.json', '-c', '{"constructor":"c"}'],
    );
    expect(code).toBe(EXIT.ok);
  });
});
