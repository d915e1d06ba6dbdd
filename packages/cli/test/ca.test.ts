import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { EXIT } from '@countersign/cli';
import { clientTlsOptions, verifyX509Svid } from '@countersign/spiffe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { POINT, rotatingBank, underLoad, until } from './rotating-bank.ts';

let bank: Awaited<ReturnType<typeof rotatingBank>>;
beforeAll(async () => {
  bank = await rotatingBank();
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

const slotsOf = async (kind: 'x509' | 'jwt') => (await bank.show())[kind].authorities;
const idOf = async (kind: 'x509' | 'jwt', state: string) =>
  (await slotsOf(kind)).find((slot) => slot.state === state)?.id ?? 'none';
const trustJson = async () => JSON.parse(await readFile(join(bank.data, 'trust.json'), 'utf8'));

type Identity = Pick<Awaited<ReturnType<typeof bank.workload>>, 'chain' | 'keyPem'>;

/** A connection of its own to the sidecar, with the SVID of that moment. */
async function dial({ chain, keyPem }: Identity): Promise<TLSSocket> {
  const authorities = (await trustJson()).x509Authorities.map((der: string) =>
    Buffer.from(der, 'base64'),
  );
  const socket = connect({
    ...{ host: '127.0.0.1', port: bank.mesh },
    ...clientTlsOptions({ svid: { chain, keyPem }, expect: POINT, authorities, now: Date.now }),
  });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

test('shows one authority of a kind that issues, and what comes next by itself', async () => {
  const { code, out } = await bank.onAuthority('ca', 'show');
  expect(code).toBe(EXIT.ok);
  expect(out).toMatch(
    /^x509, each for 86400 s\n {2}active {4}[0-9a-f]{40} {2}until \S+\n {2}next {6}prepare another at \S+\njwt, each for 86400 s\n/,
  );
});

test('a prepared authority is in trust.json, at the point and at a workload before it issues', async () => {
  const workload = await bank.workload();
  const before = workload.authorities.length;
  await bank.ca('prepare', 'x509');
  const prepared = await idOf('x509', 'prepared');
  // Asked again, it is the same.
  await bank.ca('prepare', 'x509');
  expect(await idOf('x509', 'prepared')).toBe(prepared);
  await until(() => workload.authorities.length === before + 1, 'the workload knows it');
  await until(
    async () => (await trustJson()).x509Authorities.length === before + 1,
    'trust.json is written anew',
  );
  const [leaf] = workload.chain;
  expect(isIssuedBy(leaf, workload.authorities.at(-1))).toBe(false);
});

test('when it is activated it issues, and nothing that was going on is disturbed', async () => {
  const workload = await bank.workload();
  const load = underLoad(() => bank.call(workload));
  await until(() => load.calls() > 20, 'calls go through');
  await bank.ca('activate', 'x509');
  const later = await bank.workload();
  expect(isIssuedBy(later.chain[0], later.authorities.at(-1))).toBe(true);
  expect(await bank.call(later)).toBe(200);
  const seen = load.calls();
  await until(() => load.calls() > seen + 50, 'calls go on');
  await load.stop();
  expect(load.wrong).toEqual([]);
  expect((await slotsOf('x509')).map(({ state }) => state)).toEqual(['old', 'active']);
});

test('what a tainted authority issued is refused, what was opened with it is closed, and everybody goes on with another', async () => {
  const workload = await bank.workload();
  // One of them still has an SVID of the authority before.
  await bank.ca('prepare', 'x509');
  await bank.ca('activate', 'x509');
  const issuer = (await slotsOf('x509')).filter(({ state }) => state === 'old').at(-1)?.id ?? '';
  const stolen = { chain: workload.chain, keyPem: workload.keyPem };
  const open = await dial(stolen);
  const closed = once(open, 'close');
  const refused = await bank.onAuthority(
    'ca',
    'taint',
    'x509',
    await idOf('x509', 'active'),
    '--reason',
    'x',
  );
  expect([refused.code, refused.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('prepare and activate another first'),
  ]);

  await bank.ca('taint', 'x509', issuer, '--reason', 'a backup of the key was found');
  await closed;
  await until(() => workload.chain[0] !== stolen.chain[0], 'the workload has another SVID');
  await until(async () => (await bank.call(workload).catch(() => 0)) === 200, 'calls go on');
  const load = underLoad(() => bank.call(workload));
  await until(() => load.calls() > 100, 'calls go through');
  await load.stop();
  expect(load.wrong).toEqual([]);

  // Neither the point nor the authority takes the old one.
  const again = await dial(stolen);
  again.write('GET /accounts-api/accounts HTTP/1.1\r\nhost: a\r\n\r\n');
  const [answer] = await Promise.race([once(again, 'data'), once(again, 'close')]);
  expect(String(answer)).not.toContain('from the api');
  again.destroy();
  const bundles = new Map([['bank.example', workload.authorities]]);
  expect(() => verifyX509Svid(stolen.chain, { bundles, now: Date.now })).toThrow(/no path/);
  expect(verifyX509Svid(workload.chain, { bundles, now: Date.now }).spiffeId.path).toBe(
    '/workload/payments/api',
  );
  await until(async () => (await bank.onAuthority('status')).code === EXIT.ok, 'the point is back');
  const { out } = await bank.onAuthority('find', '--action', 'ca-tainted', '--json');
  expect(JSON.parse(out).answer.rows[0].event).toMatchObject({
    by: expect.stringMatching(/^local:uid=/),
    target: `x509 ${issuer}`,
    detail: { reason: 'a backup of the key was found' },
  });
});

test('a tainted authority is forgotten by revoke, and by nothing else', async () => {
  const tainted = await idOf('x509', 'tainted');
  const active = await idOf('x509', 'active');
  const wrong = await bank.onAuthority('ca', 'revoke', 'x509', active, '--reason', 'x');
  expect([wrong.code, wrong.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('expected it tainted'),
  ]);
  await bank.ca('revoke', 'x509', tainted, '--reason', 'every host has renewed');
  expect((await slotsOf('x509')).map(({ id }) => id)).not.toContain(tainted);
  const unknown = await bank.onAuthority('ca', 'taint', 'x509', tainted, '--reason', 'x');
  expect([unknown.code, unknown.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('found no x509 authority'),
  ]);
});

test('says what is wrong with its words', async () => {
  const said = async (...words: string[]) => (await bank.onAuthority('ca', ...words)).code;
  expect(await said('prepare')).toBe(EXIT.usage);
  expect(await said('prepare', 'ssh')).toBe(EXIT.usage);
  expect(await said('taint', 'jwt')).toBe(EXIT.usage);
  expect(await said('taint', 'jwt', 'a')).toBe(EXIT.usage);
  expect(await said('activate', 'jwt')).toBe(EXIT.failed);
});

test('a host that was off while the authorities rotated finds back by the key that signs facts', async () => {
  const old = join(bank.folder, 'trust.json');
  const { x509Authorities } = JSON.parse(await readFile(old, 'utf8'));
  await bank.ca('taint', 'x509', await idOf('x509', 'old'), '--reason', 'drill');
  // Nothing of what it knew is left.
  await until(
    async () => !(await trustJson()).x509Authorities.includes(x509Authorities[0]),
    'trust.json is written anew',
  );
  const workload = await bank.workload({ trust: old });
  // The sidecar renews meanwhile.
  await until(async () => (await bank.call(workload).catch(() => 0)) === 200, 'calls go through');
});

test('the authorities are the same after a restart', async () => {
  const before = await bank.show();
  const workload = await bank.workload();
  await bank.restartAuthority();
  expect((await bank.show()).x509.authorities).toEqual(before.x509.authorities);
  expect((await bank.show()).jwt.authorities).toEqual(before.jwt.authorities);
  await until(async () => (await bank.call(workload)) === 200, 'calls go on');
});

function isIssuedBy(leaf: Uint8Array | undefined, authority: Uint8Array | undefined): boolean {
  if (!leaf || !authority) return false;
  return new X509Certificate(leaf).verify(new X509Certificate(authority).publicKey);
}
