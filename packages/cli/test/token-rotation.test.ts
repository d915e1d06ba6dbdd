import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stolenTokenKey } from '../../identity/test/stolen-authority.ts';
import { underLoad, until } from './rotating-bank.ts';
import { AUDIENCE, REPORTER, tokenBank } from './token-bank.ts';

let bank: Awaited<ReturnType<typeof tokenBank>>;
beforeAll(async () => {
  bank = await tokenBank();
}, 60_000);
afterAll(() => bank[Symbol.asyncDispose]());

test('keys of access tokens rotate under load, and no token is refused at the edge', async () => {
  // Each call with a new token, and others all the time with the first one.
  const first = await bank.token();
  expect(await bank.call(first)).toBe(200);
  const before = await bank.idOf('active');
  const kids = new Set<unknown>();
  const load = underLoad(async () => {
    const fresh = await bank.token();
    kids.add(decodeProtectedHeader(fresh).kid);
    return bank.call(fresh);
  }, 3);
  const held = underLoad(() => bank.call(first), 1);
  for (let times = 0; times < 3; times += 1) {
    const seen = load.calls();
    await bank.ca('prepare', 'token');
    await until(() => load.calls() > seen + 15, 'calls go on while one is prepared');
    await bank.ca('activate', 'token');
    const after = load.calls();
    await until(() => load.calls() > after + 15, 'calls go on with the next one');
  }
  await Promise.all([load.stop(), held.stop()]);
  expect([load.wrong, held.wrong]).toEqual([[], []]);
  expect(kids.size).toBe(4);
  expect((await bank.slots()).map(({ state }) => state)).toEqual(['old', 'old', 'old', 'active']);
  expect(before).toBe(decodeProtectedHeader(first).kid);
}, 60_000);

test('a token of a stolen key is refused at the edge as soon as the key is tainted, and clients go on', async () => {
  const stolen = await stolenTokenKey(bank.data);
  const genuine = await bank.token();
  const { cnf } = decodeJwt<{ cnf: { jkt: string } }>(genuine);
  const forge = () =>
    new SignJWT({ client_id: 'reporter', scope: 'accounts', sid: 'made-up', cnf })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: stolen.kid })
      .setIssuer(bank.issuerUrl)
      .setSubject(REPORTER)
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime('4m')
      .sign(stolen.privateKey);
  const forged = await forge();
  // Nothing tells it from a genuine one.
  expect([await bank.call(forged), await bank.call(genuine)]).toEqual([200, 200]);
  await bank.ca('prepare', 'token');
  await bank.ca('activate', 'token');
  expect(await bank.idOf('old')).toBe(stolen.kid);
  await bank.ca('taint', 'token', stolen.kid, '--reason', 'a backup of the key was found');
  await until(async () => (await bank.call(forged)) === 401, 'the edge has heard of it');
  expect([await bank.call(genuine), await bank.call(await forge())]).toEqual([401, 401]);
  expect(await bank.call(await bank.token())).toBe(200);
  await bank.ca('revoke', 'token', stolen.kid, '--reason', 'all have others');
  expect((await bank.slots()).map(({ id }) => id)).not.toContain(stolen.kid);
  expect(await bank.call(await forge())).toBe(401);
  await until(async () => {
    const { out } = await bank.onData('find', '--reason', 'token-signature', '--json');
    return JSON.parse(out).answer.rows.length > 0;
  }, 'the refusals are in the record');
}, 60_000);
