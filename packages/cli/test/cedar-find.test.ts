import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ALICE_OPENS, type CedarFolder, cedarFolder, DATA } from './cedar-files.ts';

let vaults: CedarFolder;
beforeAll(async () => {
  vaults = await cedarFolder();
});
afterAll(() => vaults[Symbol.asyncDispose]());

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

describe('who', () => {
  const who = (...words: readonly string[]) =>
    vaults.cedar('who', 'policies', ...DATA, '--context', '{"acr":"gold"}', ...words);
  const BOB_LOOKS = ['--principal', 'User::"bob"', '--action', 'Action::"look"'];

  test('lists the principals, the resources or the actions, whichever is not named', async () => {
    const onV1 = ['--resource', 'Vault::"v1"'];
    expect(await who(...onV1, '--action', 'Action::"look"')).toEqual({
      code: EXIT.ok,
      out: 'User::"bob"\n',
      err: '',
    });
    expect((await who(...BOB_LOOKS)).out).toBe('Vault::"v1"\nVault::"v2"\n');
    expect((await who(...onV1, '--principal', 'User::"alice"')).out).toBe('Action::"open"\n');
  });

  test('goes page by page, each hit once, and tells where the next page begins', async () => {
    const first = await who(...BOB_LOOKS, '--limit', '1', '--json');
    const { hits, cursor, sought } = JSON.parse(first.out);
    expect([sought, hits]).toEqual(['resource', [{ type: 'Vault', id: 'v1' }]]);
    const second = await who(...BOB_LOOKS, '--limit', '1', '--json', '--cursor', cursor);
    expect(JSON.parse(second.out)).toMatchObject({ hits: [{ type: 'Vault', id: 'v2' }] });

    const text = await who(...BOB_LOOKS, '--limit', '1');
    expect(text.out).toBe('Vault::"v1"\n');
    expect(text.err).toBe(`more with --cursor '${cursor}'\n`);
    const all = await who(...BOB_LOOKS, '--limit', '1', '--all', '--json');
    expect(JSON.parse(all.out).hits).toHaveLength(2);
    expect(JSON.parse(all.out)).not.toHaveProperty('cursor');
  });

  test('goes through every type that the file has when there is no schema', async () => {
    await using folder = await cedarFolder({
      'p.cedar': 'permit (principal, action, resource) when { principal != resource };',
      'e.json': JSON.stringify(
        ['B', 'A', 'A'].map((type, at) => ({ uid: { type, id: `${at}` }, attrs: {}, parents: [] })),
      ),
    });
    const words = ['who', 'p.cedar', '--entities', 'e.json'];
    const asks = ['-a', 'Action::"a"', '-r', 'A::"1"'];
    expect((await folder.cedar(...words, ...asks)).out).toBe('A::"2"\nB::"0"\n');
    expect((await folder.cedar(...words, ...asks, '--type', 'B')).out).toBe('B::"0"\n');
    const found: unknown[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const more: readonly string[] = cursor === '' ? [] : ['--cursor', cursor];
      const page = await folder.cedar(...words, ...asks, '--limit', '1', '--json', ...more);
      const { hits, cursor: next } = JSON.parse(page.out);
      found.push(...hits);
      cursor = next;
    }
    expect(found).toEqual([
      { type: 'A', id: '2' },
      { type: 'B', id: '0' },
    ]);
  });

  test('finds nobody with 1', async () => {
    const words = ['--action', 'Action::"look"', '--resource', 'Vault::"v1"', '--type', 'Group'];
    const text = await who(...words);
    expect([text.code, text.out]).toEqual([EXIT.negative, '']);
    expect(text.err).toBe('no principal of 0 looked at\n');
    expect(JSON.parse((await who(...words, '--json')).out)).toEqual({
      sought: 'principal',
      hits: [],
      examined: 0,
    });
  });

  test('names what the question names and the entities do not hold', async () => {
    const words = ['--action', 'Action::"look"', '--resource', 'Vault::"v9"', '--type', 'Group'];
    expect((await who(...words)).err).toBe('no principal of 0 looked at\nno entity Vault::"v9"\n');
  });

  test.each([
    [['-a', 'Action::"look"'], EXIT.usage, 'found less than two of --principal'],
    [[...ALICE_OPENS], EXIT.usage, 'expected two of them; cedar authorize asks about three'],
    [
      [...BOB_LOOKS, '--limit', '0'],
      EXIT.usage,
      "found --limit '0', expected a whole number from 1",
    ],
    [[...BOB_LOOKS, '--cursor', 'x'], EXIT.usage, "found --cursor 'x', expected the one that"],
    [[...BOB_LOOKS, '--cursor', 'Vault/x'], EXIT.failed, 'found no cursor'],
    [['-l', 'User::"a"', '-r', 'Vault::"v1"', '--type', 'T'], EXIT.usage, 'found --type where'],
    [[...BOB_LOOKS, '--type', 'Valt'], EXIT.failed, "found no entity type 'Valt' in the schema"],
    [['-l', 'User::"a"', '-a', 'Action::"lok"'], EXIT.failed, 'found no action Action::"lok" in'],
  ])('%j is not answered', async (words, expected, said) => {
    const { code, out, err } = await who(...words);
    expect([code, out]).toEqual([expected, '']);
    expect(err).toContain(said);
  });
});
