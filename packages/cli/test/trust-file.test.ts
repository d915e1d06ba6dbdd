import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { expect, test } from 'vitest';
import { countersign, temporaryFolder } from './test-io.ts';

const key = { kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'k' };
const good = {
  trustDomain: 'bank.example',
  x509Authorities: ['AAAA'],
  factKeys: [key],
  policyKeys: [key],
  controlUrl: 'https://127.0.0.1:7401',
};

test.each([
  ['no JSON', 'not json', /cannot read trust anchors of \S+: found no JSON\n$/],
  ['a key of another kind', { ...good, factKeys: [{ ...key, kty: 'RSA' }] }, /factKeys\[0\]\.kty/],
  ['no authority', { ...good, x509Authorities: [] }, /x509Authorities/],
  ['no policy key', { ...good, policyKeys: [] }, /policyKeys/],
  ['no address', { ...good, controlUrl: 'nowhere' }, /controlUrl/],
])('a point does not start on trust anchors with %s', async (_, content, said) => {
  await using data = await temporaryFolder();
  const file = join(data.path, 'trust.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  const { code, out, err } = await countersign(['gateway', 'edge', '--data', data.path]);
  expect([code, out]).toEqual([EXIT.failed, '']);
  expect(err).toMatch(said);
});

test('a point without trust anchors says where they come from', async () => {
  await using data = await temporaryFolder();
  const { code, err } = await countersign(['gateway', 'edge', '--data', data.path]);
  expect(code).toBe(EXIT.failed);
  expect(err).toMatch(
    /no file \S+trust\.json; copy trust\.json from the authority's data folder, or name it with --trust\n$/,
  );
});

test('a join token file that is gone is told of, and does not stop a start by itself', async () => {
  await using data = await temporaryFolder();
  const words = [
    'gateway',
    'edge',
    '--data',
    data.path,
    '--join-token-file',
    join(data.path, 'no'),
  ];
  const { code, err } = await countersign(words);
  expect(code).toBe(EXIT.failed);
  expect(err).toMatch(
    /^countersign gateway edge: no join token at \S+\/no: going on with the SVID/,
  );
  expect(err).toContain('cannot read trust anchors');
});
