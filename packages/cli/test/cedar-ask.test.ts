import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALICE_OPENS, asked, type CedarFolder, cedarFolder, DATA } from './cedar-files.ts';

let vaults: CedarFolder;
beforeAll(async () => {
  vaults = await cedarFolder();
});
afterAll(() => vaults[Symbol.asyncDispose]());

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
    for (const [n, said] of [
      ['9223372036854775808', 'expected an integer of 64 bits'],
      ['1.5', 'expected a value, and numbers without fraction or exponent'],
    ] as const) {
      const { code, err } = await ask(n);
      expect(code).toBe(EXIT.usage);
      expect(err).toContain(said);
    }
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
    [
      ['authorize', ...ALICE_OPENS, '-c', '{"a":}'],
      'found no JSON in --context: found "}" at line 1, column 6',
    ],
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
    for (const [values, tried] of [
      ['acr=tin', 'Not the one combination tried'],
      ['acr=tin,brass', 'None of the 2 combinations tried'],
    ] as const) {
      const { out } = await explain('--context', '{"acr":"x"}', '--raise', values);
      expect(out).toContain(`\n${tried} would have had it allowed; others may.\n`);
    }
  });
});
