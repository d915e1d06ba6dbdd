import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign, temporaryFolder } from './test-io.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let bank: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  bank = join(folder.path, 'bank');
  const made = await countersign(['init', 'bank'], { cwd: folder.path });
  expect([made.code, made.err]).toEqual([EXIT.ok, '']);
  expect(made.out).toContain('next: countersign check bank');
});
afterAll(() => folder[Symbol.asyncDispose]());

const ask = (...words: readonly string[]) =>
  countersign([
    'decide',
    '-C',
    bank,
    ...['--subject', 'partner/example', '--surface', 'accounts', '--action', 'GetAccount'],
    ...words,
  ]);

describe('init', () => {
  test('writes over nothing', async () => {
    const { code, err } = await countersign(['init', bank]);
    expect(code).toBe(EXIT.failed);
    expect(err).toMatch(
      /: could not make a repository in '.*': found '.*', expected an empty folder\n$/,
    );
  });

  test('lists what it made as JSON', async () => {
    const { code, out } = await countersign(['init', 'json', '--json'], { cwd: folder.path });
    expect(code).toBe(EXIT.ok);
    const made = JSON.parse(out);
    expect(made.folder).toBe(join(folder.path, 'json'));
    expect(made.files).toContain('surfaces/accounts.yaml');
  });
});

describe('check', () => {
  test('finds nothing wrong with what init made', async () => {
    expect(await countersign(['check', 'bank'], { cwd: folder.path })).toEqual({
      code: EXIT.ok,
      out: 'good: 0 errors, 0 warnings\n',
      err: '',
    });
  });

  test('of a file asks for its folder', async () => {
    const { code, err } = await countersign(['check', 'bank/countersign.yaml'], {
      cwd: folder.path,
    });
    expect(code).toBe(EXIT.usage);
    expect(err).toContain("found file 'bank/countersign.yaml', expected the repository's folder");
  });

  test('tells file, line, what was found and expected, and how to mend it', async () => {
    await using broken = await temporaryFolder();
    await countersign(['init'], { cwd: broken.path });
    const file = join(broken.path, 'surfaces/accounts.yaml');
    await writeFile(file, (await readFile(file, 'utf8')).replace('shadow', 'enfroce'));
    const text = await countersign(['check'], { cwd: broken.path });
    expect(text.code).toBe(EXIT.negative);
    expect(text.out).toMatch(
      /^surfaces\/accounts.yaml:10:7: error: found 'enfroce', expected one of shadow, enforce\n {4}did you mean 'enforce'\?\n/,
    );
    expect(text.out).toMatch(/not good: \d+ errors?, 0 warnings\n$/);

    const json = await countersign(['check', '--json'], { cwd: broken.path });
    expect(json.code).toBe(EXIT.negative);
    const { ok, errors, warnings, problems } = JSON.parse(json.out);
    expect([ok, warnings]).toEqual([false, 0]);
    expect(errors).toBe(problems.length);
    expect(problems[0]).toEqual({
      severity: 'error',
      file: 'surfaces/accounts.yaml',
      line: 10,
      column: 7,
      found: "'enfroce'",
      expected: 'one of shadow, enforce',
      mend: "did you mean 'enforce'?",
    });
  });

  test('says that there is no repository', async () => {
    await using empty = await temporaryFolder();
    await mkdir(join(empty.path, 'nothing'));
    for (const name of ['nothing', 'missing']) {
      const { code, out } = await countersign(['check', name], { cwd: empty.path });
      expect(code).toBe(EXIT.negative);
      expect(out).toContain('countersign.yaml');
    }
  });
});

describe('decide', () => {
  test('permits, and names the policy', async () => {
    const { code, out } = await ask('--param', 'AccountId=22289', '--scope', 'accounts');
    expect(code).toBe(EXIT.ok);
    expect(out).toMatch(/^PERMIT {2}policy-permits\n/);
    expect(out).toContain('partners-read-granted-accounts  (policies/accounts.cedar)');
    expect(out).toContain('@id("partners-read-granted-accounts")');
  });

  test('denies another account', async () => {
    const { code, out } = await ask('--param', 'AccountId=31820', '--scope', 'accounts');
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(/^DENY {2}policy-none-permits\n/);
    expect(out).toContain('None of the 4 policies permits it.');
  });

  test('denies without the scope, as a point would', async () => {
    const { code, out } = await ask('--param', 'AccountId=22289', '--json');
    expect(code).toBe(EXIT.negative);
    const { decision, missingScopes } = JSON.parse(out);
    expect([decision.effect, decision.reason]).toEqual(['deny', 'scope-insufficient']);
    expect(missingScopes).toEqual(['accounts']);
  });

  test('forbids at a risk that is assumed, and says which policy', async () => {
    const { code, out } = await ask(
      ...['--param', 'AccountId=22289', '--scope', 'accounts', '--risk', 'HIGH'],
    );
    expect(code).toBe(EXIT.negative);
    expect(out).toMatch(/^DENY {2}policy-forbids\n/);
    expect(out).toContain('nobody-at-high-risk');
  });

  test.each([
    [['--param', 'AccountId'], "found parameter 'AccountId', expected name=value"],
    [[], "found no parameter 'AccountId', expected --param AccountId=<value>"],
    [
      ['--param', 'AccountId=1', '--proof', 'tls'],
      "found key proof 'tls', expected none, mtls or dpop",
    ],
    [
      ['--param', 'AccountId=1', '--risk', 'high'],
      "found risk 'high', expected LOW, MEDIUM or HIGH",
    ],
    [
      ['--param', 'AccountId=1', '--surface', 'acounts'],
      "found surface 'acounts', expected 'accounts'?",
    ],
    [
      ['--param', 'AccountId=1', '--action', 'GetAcount'],
      "found action 'GetAcount', expected 'GetAccount'?",
    ],
  ])('does not understand %j', async (words, said) => {
    const { code, out, err } = await ask(...words);
    expect([code, out]).toEqual([EXIT.usage, '']);
    expect(err).toContain(said);
  });

  test('makes no decision from a repository with errors', async () => {
    const { code, out, err } = await countersign(
      ['decide', '--subject', 'partner/x', '--surface', 'accounts', '--action', 'GetAccount'],
      { cwd: folder.path },
    );
    expect([code, out]).toEqual([EXIT.failed, '']);
    expect(err).toContain('countersign decide: cannot decide: the repository has errors');
  });
});
