import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { expect, test, vi } from 'vitest';
import { softwareAuthenticator } from '../../sdk/test/software-authenticator.ts';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign } from './test-io.ts';

const ALICE = 'spiffe://bank.example/human/alice';

type Told = { readonly target: string; readonly detail: object };

test("a person's authenticator is registered by the operator, known at the edge, and withdrawn", async () => {
  await using bank = await startAuthorityAndEdge();
  const { folder, data, edgeData } = bank;
  const person = `- id: human/alice\n  owner: people@bank.example\n`;
  await writeFile(join(folder, 'bank/identities/people.yaml'), person);
  expect((await countersign(['apply', '-d', data])).err).toBe('');
  const { credential } = softwareAuthenticator('ES256', ALICE);
  const { credentialId } = credential;
  const file = join(folder, 'key.json');
  await writeFile(file, JSON.stringify(credential));
  const run = (...words: string[]) => countersign(['credential', ...words, '-d', data]);

  expect(await run('list')).toMatchObject({ code: EXIT.ok, out: 'no authenticators\n' });
  expect(await run('register', file)).toEqual({
    code: EXIT.ok,
    out: `registered ${credentialId} for ${ALICE}\n`,
    err: '',
  });
  expect((await run('list')).out).toBe(`${credentialId}  ${ALICE}  bank.example\n`);
  expect(JSON.parse((await run('list', '--json')).out)).toEqual([credential]);
  await vi.waitFor(async () => expect(await replicaOf(edgeData)).toContain(credentialId), 10_000);
  const again = await run('register', file);
  expect([again.code, again.out]).toEqual([EXIT.failed, '']);
  expect(again.err).toContain('withdraw it first');
  await writeFile(join(folder, 'part.json'), '{"credentialId":"abc"}');
  const part = await run('register', join(folder, 'part.json'));
  expect(part.code).toBe(EXIT.failed);
  expect(part.err).toMatch(/^countersign credential register: .* at publicKey .* at subject\n$/);

  expect((await run('withdraw', credentialId)).out).toBe(`withdrew ${credentialId}\n`);
  expect((await run('withdraw', credentialId)).err).toContain('found no credential');
  const { out } = await countersign(['events', '-d', data, '--kind', 'administration', '--json']);
  const told = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ action }) => action.startsWith('credential-'))
    .map(({ action, target, detail }) => [action, target, detail]);
  // She is a person: the record has a pseudonym of her, and the rest is sealed.
  const pseudonym = expect.stringMatching(/\/human\/pn-\d{4}-[\w-]{22}$/);
  expect(told).toEqual([
    ['credential-registered', pseudonym, undefined],
    ['credential-withdrawn', pseudonym, undefined],
  ]);
  const found = await countersign([
    ...['find', '--target', 'human/alice', '--names', 'looking for a key', '-d', data, '--json'],
  ]);
  const { rows } = JSON.parse(found.out).answer;
  expect(rows.map(({ event }: { event: Told }) => [event.target, event.detail])).toEqual([
    [ALICE, expect.objectContaining({ credentialId })],
    [ALICE, expect.objectContaining({ credentialId })],
  ]);
});

test.each<[string, string[], number, string]>([
  ['no file', ['register'], EXIT.usage, 'found no FILE'],
  ['a file that is not there', ['register', '/none.json'], EXIT.failed, 'cannot read /none.json'],
  ['no credential ID', ['withdraw'], EXIT.usage, 'found no credential ID'],
])('with %s it says so', async (_what, words, code, message) => {
  const found = await countersign(['credential', ...words]);
  expect(found.code).toBe(code);
  expect(found.err).toContain(message);
});

/** What the point keeps of the authority's facts. */
async function replicaOf(edgeData: string): Promise<string> {
  const names = await readdir(edgeData, { recursive: true });
  const files = names.filter((name) => name.includes('replica/'));
  const texts = await Promise.all(
    files.map((name) => readFile(join(edgeData, name), 'utf8').catch(() => '')),
  );
  // Facts travel as JWS: the payload is base64url.
  return texts
    .join('\n')
    .split(/[."\s]/)
    .map((part) => Buffer.from(part, 'base64url').toString())
    .join('\n');
}
