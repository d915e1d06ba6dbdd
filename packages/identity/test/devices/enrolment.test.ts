import { X509Certificate } from 'node:crypto';
import { openIdentity } from '@countersign/identity';
import { afterEach, describe, expect, test } from 'vitest';
import { id, keyring, newKey, pemOf, post, registration, svidRequest } from '../authority.ts';
import { BY, type DeviceBank, type Keys, LAPTOP, openDevices, refusedFor } from './device-bank.ts';

let bank: DeviceBank;
afterEach(() => bank.close());

const leafOf = ({ body }: { body: { chain: string[] } }) =>
  new X509Certificate(Buffer.from(body.chain[0] ?? '', 'base64'));

async function enrolled(keys: Keys = newKey(), more: object = {}) {
  bank = await openDevices();
  const answer = await bank.enrol(await bank.code('alice-laptop', more), keys);
  expect(answer.status).toBe(200);
  return { keys, answer };
}

describe('a device enrols', () => {
  test('with a code and a request of its key: a certificate of its own, a subject and a fact', async () => {
    const { answer, keys } = await enrolled(newKey(), {
      owner: id('human/alice'),
      identifiers: { serial: 'C02XK1' },
    });
    const leaf = leafOf(answer);
    expect(leaf.subjectAltName).toBe(`URI:${LAPTOP}`);
    expect(leaf.checkPrivateKey(keys.privateKey)).toBe(true);
    expect(answer.body.notAfterMs - bank.now()).toBeLessThanOrEqual(600_000);
    expect(bank.identity.subject(LAPTOP)).toMatchObject({ enabled: true });
    const [device] = bank.identity.devices.list();
    expect(bank.fact('alice-laptop')).toMatchObject({
      ownership: 'corporate',
      owner: id('human/alice'),
      keyThumbprint: device?.keyThumbprint,
      posture: {},
    });
    expect(device).toMatchObject({ state: 'enrolled', identifiers: { serial: 'c02xk1' } });
    expect(bank.events.map((event) => event.kind === 'administration' && event.action)).toEqual(
      expect.arrayContaining(['device-registered', 'svid-issued', 'device-enrolled']),
    );
  });

  test('once: a code that was used, is over, or is none gets nothing, and all look the same', async () => {
    bank = await openDevices();
    const code = await bank.code('alice-laptop', { ttlSeconds: 60 });
    expect((await bank.enrol(code)).status).toBe(200);
    const answers = [await bank.enrol(code), await bank.enrol('x'.repeat(43))];
    const other = await bank.code('bob-laptop', { ttlSeconds: 60 });
    bank.advance(60_000);
    answers.push(await bank.enrol(other));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.detail}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(401);
    // What each was is told in the record alone.
    expect(
      bank.events.flatMap((event) =>
        event.kind === 'authentication' && event.result === 'refused' ? [event.reason] : [],
      ),
    ).toEqual(['join-token-used', 'join-token-unknown', 'join-token-expired']);
    expect(bank.identity.devices.list().map(({ state }) => state)).toEqual(['enrolled', 'awaited']);
  });

  test('one of two that use a code at once', async () => {
    bank = await openDevices();
    const code = await bank.code('alice-laptop');
    const answers = await Promise.all([bank.enrol(code), bank.enrol(code), bank.enrol(code)]);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 401, 401]);
  });

  test('and nothing of it stays when it cannot be recorded that it may', async () => {
    bank = await openDevices();
    bank.failRecording(true);
    await expect(bank.code('alice-laptop')).rejects.toThrow('the log is gone');
    expect(bank.identity.devices.list()).toEqual([]);
  });

  test('with a key of another device never', async () => {
    const { keys } = await enrolled();
    const answer = await bank.enrol(await bank.code('bob-laptop'), keys);
    expect([answer.status, refusedFor(bank)]).toEqual([403, 'device-key']);
  });

  test('with what is no request of a P-256 key never, and its code stays good', async () => {
    bank = await openDevices();
    const code = await bank.code('alice-laptop');
    const json = { code, request: '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END' };
    const answer = await post(bank, `${bank.controlUrl}/v1/devices/enrol`, { json });
    expect([answer.status, refusedFor(bank)]).toEqual([400, 'request-malformed']);
    expect((await bank.enrol(code)).status).toBe(200);
  });

  test.each([
    ['a name that is a path upwards', { name: '../workload/countersign/edge' }, 'device-malformed'],
    ['an empty name', { name: '' }, 'device-malformed'],
    ['an owner that is no person', { owner: id('workload/x') }, 'device-malformed'],
    ['an owner that nobody knows', { owner: id('human/mallory') }, 'subject-unregistered'],
    ['a serial that is none', { identifiers: { serial: '0' } }, 'device-malformed'],
    ['a code that lives for two days', { ttlSeconds: 172_800 }, 'device-malformed'],
  ])('not with %s', async (_what, more, code) => {
    bank = await openDevices();
    const made = await bank.identity.devices.enrolment({ name: 'x', by: BY, ...more });
    expect(made).toMatchObject({ isGranted: false, code });
    expect(bank.identity.devices.list()).toEqual([]);
  });

  test('under a serial that is of one device only', async () => {
    bank = await openDevices();
    await bank.code('one', { identifiers: { serial: 'C02' } });
    const made = await bank.identity.devices.enrolment({
      ...{ name: 'two', identifiers: { serial: 'c02' }, by: BY },
    });
    expect(made).toMatchObject({ isGranted: false, code: 'device-registered' });
  });
});

describe('a device renews', () => {
  test('with its key alone, also after its certificate ended; but not after a long absence', async () => {
    const { keys } = await enrolled();
    bank.advance(3 * 86_400_000);
    expect(bank.identity.devices.list()[0]?.state).toBe('absent');
    const answer = await bank.renew(keys);
    expect(answer.status).toBe(200);
    expect(leafOf(answer).checkPrivateKey(keys.privateKey)).toBe(true);
    expect(bank.identity.devices.list()[0]?.state).toBe('enrolled');
    bank.advance(600_000 + 7 * 86_400_000 + 1000);
    expect([(await bank.renew(keys)).status, refusedFor(bank)]).toEqual([403, 'device-absent']);
  });

  test('with no other key, whatever it shows', async () => {
    const { answer, keys } = await enrolled();
    expect([(await bank.renew(newKey())).status, refusedFor(bank)]).toEqual([403, 'device-key']);
    // Its certificate in hand, at the door of workloads: the key would change there.
    const client = {
      certPem: leafOf(answer).toString(),
      keyPem: pemOf(keys.privateKey),
    };
    const url = `${bank.controlUrl}/v1/svid`;
    const other = await post(bank, url, { client, json: { request: await svidRequest(newKey()) } });
    expect([other.status, refusedFor(bank)]).toEqual([403, 'device-key']);
    // Nor with its own: what workloads get there lives as long as workloads' SVIDs do.
    const same = await post(bank, url, { client, json: { request: await svidRequest(keys) } });
    expect([same.status, refusedFor(bank)]).toEqual([403, 'device-key']);
  });

  test('with no request that was made before, for somebody else, or for nobody', async () => {
    const { keys } = await enrolled();
    const jti = 'once';
    expect((await bank.renew(keys, { claims: { jti } })).status).toBe(200);
    expect((await bank.renew(keys, { claims: { jti } })).status).toBe(400);
    expect((await bank.renew(keys, { claims: { sub: id('device/bob-laptop') } })).status).toBe(403);
    expect((await bank.renew(keys, { claims: { sub: undefined } })).status).toBe(403);
    expect((await bank.renew(keys, { spiffeId: id('device/nobody') })).status).toBe(403);
    expect((await bank.renew(keys, { spiffeId: id('workload/x') })).status).toBe(403);
  });

  test('and a code for a device is none at the door of workloads', async () => {
    bank = await openDevices();
    const joinToken = await bank.code('alice-laptop');
    const json = { joinToken, request: await svidRequest() };
    const answer = await post(bank, `${bank.controlUrl}/v1/enrol`, { json });
    expect([answer.status, refusedFor(bank)]).toEqual([403, 'device-key']);
    expect((await bank.enrol(joinToken)).status).toBe(200);
  });
});

describe('a code', () => {
  test('ends the one before it', async () => {
    bank = await openDevices();
    const first = await bank.code('alice-laptop', { ttlSeconds: 86_400 });
    const second = await bank.code('alice-laptop');
    expect((await bank.enrol(first)).status).toBe(401);
    expect((await bank.enrol(second)).status).toBe(200);
    expect((await bank.enrol(first)).status).toBe(401);
  });

  test.each(['revoke', 'remove'] as const)('is good no more after %s', async (how) => {
    bank = await openDevices();
    const code = await bank.code('alice-laptop', { ttlSeconds: 86_400 });
    await bank.identity.devices[how]('alice-laptop', { reason: 'lost', by: BY });
    if (how === 'revoke') await bank.identity.devices.restore('alice-laptop', { by: BY });
    else await bank.code('alice-laptop');
    expect((await bank.enrol(code)).status).toBe(401);
  });
});

describe('sessions whose tokens are bound to its key end', () => {
  const session = async (keyThumbprint: string, name: string): Promise<string> => {
    await bank.database
      .tables<{ session: Record<string, unknown> }>()
      .insertInto('session')
      .values({
        ...{ id: name, client_id: 'app', subject: id('human/alice'), binding: 'dpop' },
        ...{ thumbprint: keyThumbprint, started_ms: bank.now(), last_token_ms: bank.now() },
        ...{ ends_ms: bank.now() + 3_600_000, revoked_ms: null, revoked_reason: null },
      })
      .execute();
    return name;
  };

  test.each([
    ['it is revoked', () => bank.identity.devices.revoke('alice-laptop', { reason: 'x', by: BY })],
    ['it is removed', () => bank.identity.devices.remove('alice-laptop', { by: BY })],
    ['it enrols with another', async () => bank.enrol(await bank.code('alice-laptop'))],
  ])('when %s', async (_, how) => {
    await enrolled();
    const key = bank.identity.devices.list()[0]?.keyThumbprint ?? '';
    const own = await session(key, 'own');
    const other = await session('A'.repeat(43), 'other');
    await how();
    expect([own, other].map((each) => bank.identity.isRevoked('session', each))).toEqual([
      true,
      false,
    ]);
  });
});

test('a device whose owner has left gets nothing more, until it is somebody else’s', async () => {
  const { keys } = await enrolled(newKey(), { owner: id('human/alice') });
  expect((await bank.renew(keys)).status).toBe(200);
  const alice = { target: 'subject', value: id('human/alice') } as const;
  await bank.identity.revoke({ ...alice, reason: 'left', by: BY });
  expect([(await bank.renew(keys)).status, refusedFor(bank)]).toEqual([403, 'subject-revoked']);
  const code = await bank.code('alice-laptop', { owner: id('human/bob') });
  expect((await bank.enrol(code, keys)).status).toBe(200);
  expect((await bank.renew(keys)).status).toBe(200);
});

describe('a device that enrols anew', () => {
  test('with another key has the certificates of the old one revoked, and the old key renews no more', async () => {
    const { keys, answer } = await enrolled();
    const next = newKey();
    expect((await bank.enrol(await bank.code('alice-laptop'), next)).status).toBe(200);
    const thumbprint = Buffer.from(
      leafOf(answer).fingerprint256.replaceAll(':', ''),
      'hex',
    ).toString('base64url');
    expect(bank.identity.isRevoked('certificate', [thumbprint])).toBe(true);
    expect((await bank.renew(keys)).status).toBe(403);
    expect((await bank.renew(next)).status).toBe(200);
  });

  test('with the same key keeps them', async () => {
    const { keys } = await enrolled();
    expect((await bank.enrol(await bank.code('alice-laptop'), keys)).status).toBe(200);
    const revocations = bank.factLog.all().filter(({ kind }) => kind === 'revocation');
    expect(revocations).toEqual([]);
  });
});

describe('a device that is', () => {
  test('revoked renews nothing, gets no code, and is back when that is taken back', async () => {
    const { keys } = await enrolled();
    const { devices } = bank.identity;
    await devices.revoke('alice-laptop', { reason: 'lost in a taxi', by: BY });
    expect(bank.factLog.get(`revocation subject ${LAPTOP}`)).toMatchObject({
      reason: 'lost in a taxi',
    });
    expect(devices.list()[0]?.state).toBe('revoked');
    expect((await bank.renew(keys)).status).toBe(403);
    expect(await devices.enrolment({ name: 'alice-laptop', by: BY })).toMatchObject({
      ...{ isGranted: false, code: 'subject-revoked' },
    });
    await devices.restore('alice-laptop', { by: BY });
    expect((await bank.renew(keys)).status).toBe(200);
  });

  test('removed is nobody: no fact, no subject, no certificate, and its names are free', async () => {
    const { keys } = await enrolled(newKey(), { identifiers: { serial: 'C02' } });
    const { devices } = bank.identity;
    await devices.remove('alice-laptop', { by: BY });
    const revoked = bank.factLog.all().filter(({ kind }) => kind === 'revocation');
    expect(revoked).toMatchObject([{ target: 'certificate', reason: 'the device was removed' }]);
    expect(bank.identity.subject(LAPTOP)).toBeUndefined();
    expect(bank.fact('alice-laptop')).toBeUndefined();
    expect((await bank.renew(keys)).status).toBe(403);
    await bank.code('other', { identifiers: { serial: 'C02' } });
    expect(await devices.remove('alice-laptop', { by: BY })).toMatchObject({
      code: 'device-unknown',
    });
  });

  test('removed after it was revoked leaves a name that another may have', async () => {
    const { keys } = await enrolled();
    const { devices } = bank.identity;
    await devices.revoke('alice-laptop', { reason: 'lost', by: BY });
    await devices.remove('alice-laptop', { by: BY });
    const next = newKey();
    expect((await bank.enrol(await bank.code('alice-laptop'), next)).status).toBe(200);
    expect((await bank.renew(keys)).status).toBe(403);
    expect((await bank.renew(next)).status).toBe(200);
  });

  test('enrolled stands in no file: applying the repository leaves it, and no file may claim its name', async () => {
    const { keys } = await enrolled();
    await bank.identity.applyRegistrations([registration('human/alice')], []);
    expect((await bank.renew(keys)).status).toBe(200);
    await expect(
      bank.identity.applyRegistrations([registration('device/alice-laptop')], []),
    ).rejects.toThrow(/found a device that is enrolled, expected another name/);
  });

  test('kept over a restart', async () => {
    const { keys } = await enrolled(newKey(), { identifiers: { serial: 'C02' } });
    const before = bank.identity.devices.list();
    const again = await openIdentity({
      ...{ database: bank.database, factLog: bank.factLog, keyring: await keyring },
      options: { svidTtlSeconds: 120, accessTokenTtlSeconds: 300, issuerUrl: bank.issuerUrl },
      ...{ now: bank.now, record: async () => undefined },
    });
    expect(again.devices.list()).toEqual(before);
    const request = await svidRequest(keys, { claims: { sub: LAPTOP } });
    expect(await again.devices.renew({ spiffeId: LAPTOP, request })).toMatchObject({
      isGranted: true,
    });
  });
});

describe('how often', () => {
  test('a device that renews in a loop waits, and leaves one event a minute', async () => {
    const { keys } = await enrolled();
    const statuses: number[] = [];
    for (let times = 0; times < 20; times += 1) statuses.push((await bank.renew(keys)).status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(16);
    expect(statuses.slice(16)).toEqual([429, 429, 429, 429]);
    const told = bank.events.filter(
      (event) => event.kind === 'authentication' && event.reason === 'request-rate',
    );
    expect(told).toEqual([
      expect.objectContaining({ subject: LAPTOP, detail: expect.stringContaining(LAPTOP) }),
    ]);
    bank.advance(31_000);
    expect((await bank.renew(keys)).status).toBe(200);
  });

  test('strangers use up nothing of a device, and wait when they fail too often', async () => {
    const { keys } = await enrolled();
    const statuses: number[] = [];
    for (let times = 0; times < 130; times += 1) {
      statuses.push((await bank.renew(newKey())).status);
    }
    expect(statuses.indexOf(429)).toBe(120);
    expect((await bank.enrol('x'.repeat(43))).status).toBe(429);
    const count = bank.events.length;
    expect((await bank.renew(newKey())).status).toBe(429);
    expect(bank.events).toHaveLength(count);
    bank.advance(61_000);
    await bank.identity.sweep();
    expect(bank.events.slice(count)).toContainEqual(
      expect.objectContaining({ reason: 'request-rate', listener: 'control', ip: '127.0.0.1' }),
    );
    for (let times = 0; times < 16; times += 1) expect((await bank.renew(keys)).status).toBe(200);
  });
});
