import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import {
  type BundleSource,
  certificateThumbprint,
  createX509Authority,
  decodePem,
  encodePem,
  parseSpiffeId,
  softwareSigner,
  verifyX509Svid,
  type X509Authority,
} from '@countersign/spiffe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Bank, LEDGERLY, openBank, PAYMENTS, POINT_ID, type Presented } from './bank.ts';

// A workload of another trust domain, whose bundle is a fact, before a point's mesh listener.

const PARTNER = 'fintech.example';
const SERVICE = `spiffe://${PARTNER}/ns/payments/sa/api`;
const listener = 'mesh' as const;

let bank: Bank;
let authority: X509Authority;
beforeEach(async () => {
  bank = await openBank();
  authority = await newAuthority();
  bank.change([bundle([authority]), registered([SERVICE])]);
});
afterEach(() => bank.close());

const newAuthority = (trustDomain = PARTNER): Promise<X509Authority> =>
  createX509Authority({
    trustDomain,
    signer: softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    now: Date.now,
  });

function bundle(authorities: readonly X509Authority[], trustDomain = PARTNER): Fact {
  return {
    ...{ kind: 'trust-bundle', trustDomain },
    x509Authorities: authorities.map(({ certificate }) =>
      Buffer.from(certificate).toString('base64'),
    ),
  };
}

/** The subject as it is, with these SPIFFE IDs. */
function registered(spiffeIds: readonly string[], id = LEDGERLY): Fact {
  const fact = bank.decision.facts.subject(id);
  if (!fact) throw new Error(`no ${id}`);
  return { ...fact, spiffeIds: [...spiffeIds] };
}

async function svid(id = SERVICE, by = authority): Promise<Presented> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chain } = await by.issueSvid({
    ...{ spiffeId: parseSpiffeId(id), publicKey, ttlSeconds: 600 },
  });
  const keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  return {
    certPem: encodePem(chain),
    keyPem,
    thumbprint: certificateThumbprint(chain[0] ?? new Uint8Array()),
  };
}

async function refusalOf(got: Awaited<ReturnType<Bank['call']>>) {
  const { authentication, decision, outcome } = await bank.record(got.problem.eventId);
  expect([authentication?.result, outcome?.forwarded]).toEqual(['refused', false]);
  return { status: got.status, reason: decision?.reason, caller: decision?.caller };
}

test('is the subject that it is registered for, and the record says who it was', async () => {
  const got = await bank.call({ listener, as: await svid() });
  expect(got.status).toBe(200);
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({ subject: LEDGERLY, peer: SERVICE, policies: ['partners'] });
  expect(decision?.caller).toBeUndefined();
});

test('that nobody registered is nobody, though its bundle is known', async () => {
  const other = `spiffe://${PARTNER}/ns/payments/sa/other`;
  expect(await refusalOf(await bank.call({ listener, as: await svid(other) }))).toEqual({
    ...{ status: 401, reason: 'peer-unregistered', caller: other },
  });
});

test('with the path of one of our subjects, or of a point, is nobody', async () => {
  for (const own of [PAYMENTS, LEDGERLY, POINT_ID]) {
    const same = own.replace('bank.example', PARTNER);
    const { reason } = await refusalOf(await bank.call({ listener, as: await svid(same) }));
    expect(reason).toBe('peer-unregistered');
  }
});

test('that two subjects claim is neither', async () => {
  bank.change([registered([SERVICE], PAYMENTS)]);
  const { reason } = await refusalOf(await bank.call({ listener, as: await svid() }));
  expect(reason).toBe('peer-unregistered');
});

describe('bundles are never merged', () => {
  test('with all authorities in one bundle, the leaf that a partner forged verifies', async () => {
    const forger = await newAuthority('bank.example');
    const forged = decodePem((await svid(PAYMENTS, forger)).certPem);
    const ours = [bank.authority.certificate];
    const theirs = [authority.certificate, forger.certificate];
    const verified = (bundles: BundleSource) => verifyX509Svid(forged, { bundles, now: Date.now });
    expect(verified({ get: () => [...ours, ...theirs] }).spiffeId.uri).toBe(PAYMENTS);
    const apart = new Map([
      ['bank.example', ours],
      [PARTNER, theirs],
    ]);
    expect(() => verified(apart)).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_UNTRUSTED' }),
    );
  });

  test('the partner’s authority cannot name one of ours', async () => {
    // Whoever owns an authority can write any name into a leaf.
    const signer = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    const forger = await createX509Authority({
      trustDomain: 'bank.example',
      signer,
      now: Date.now,
    });
    bank.change([bundle([authority, forger])]);
    const got = await bank.call({ listener, as: await svid(PAYMENTS, forger) });
    expect((await refusalOf(got)).reason).toBe('certificate-invalid');
  });

  test('another partner’s authority cannot name one of this one', async () => {
    const forger = await newAuthority();
    bank.change([bundle([forger], 'other.example')]);
    const got = await bank.call({ listener, as: await svid(SERVICE, forger) });
    expect((await refusalOf(got)).reason).toBe('certificate-invalid');
  });

  test('our authority cannot name one of the partner', async () => {
    bank.change([registered(['spiffe://bank.example/workload/api'])]);
    const got = await bank.call({
      listener,
      as: await bank.svid('spiffe://bank.example/workload/api'),
    });
    // Registered or not: of our own trust domain everybody is called by its own name.
    expect((await refusalOf(got)).reason).toBe('peer-unregistered');
  });
});

test('does not speak for others: a transaction token in its hands is refused', async () => {
  const headers = { 'Txn-Token': bank.txnToken({}) };
  const got = await bank.call({ listener, as: await svid(), headers });
  expect(await refusalOf(got)).toEqual({
    ...{ status: 401, reason: 'transaction-token-invalid', caller: SERVICE },
  });
});

test('goes on over a rotation of its authority, and ends with the old one', async () => {
  const next = await newAuthority();
  const [before, after] = [await svid(), await svid(SERVICE, next)];
  expect((await bank.call({ listener, as: after })).status).toBe(401);
  bank.change([bundle([authority, next])]);
  expect((await bank.call({ listener, as: before })).status).toBe(200);
  expect((await bank.call({ listener, as: after })).status).toBe(200);
  bank.change([bundle([next])]);
  expect((await bank.call({ listener, as: before })).status).toBe(401);
  expect((await bank.call({ listener, as: after })).status).toBe(200);
});

describe('its open connection is closed at once when', () => {
  const rows: [string, () => readonly [readonly Fact[], readonly string[]]][] = [
    ['its bundle is empty: everything is revoked', () => [[bundle([])], []]],
    ['the federation is removed', () => [[], [`trust-bundle ${PARTNER}`]]],
    ['it is not registered any more', () => [[registered([])], []]],
    [
      'it is registered for somebody else',
      () => [[registered([]), registered([SERVICE], PAYMENTS)], []],
    ],
  ];
  test.each(rows)('%s', async (_claim, change) => {
    const socket = await bank.tls({ as: await svid(), listener });
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'data');
    const own = await bank.tls({ as: await bank.svid(PAYMENTS), listener });
    const closed = once(socket, 'close');
    bank.change(...change());
    await closed;
    // Ours is as it was.
    expect(own.destroyed).toBe(false);
    own.destroy();
  });
});

describe('at the edge, with an access token that is bound to its SVID,', () => {
  const CLIENT = `spiffe://${PARTNER}/ns/payments/sa/client`;
  const bound = (as: Presented) => bank.token({ cnf: { 'x5t#S256': as.thumbprint } });

  test('it is the subject of the token, whether it is registered to call by itself or not', async () => {
    for (const id of [CLIENT, SERVICE]) {
      const as = await svid(id);
      const got = await bank.call({ as, token: bound(as) });
      const { authentication } = await bank.record(got.headers['countersign-event-id'] as string);
      expect(authentication).toMatchObject({ result: 'accepted', subject: LEDGERLY });
    }
  });

  test('it is refused without one, with one of another, and when it is registered for somebody else', async () => {
    const [as, other] = [await svid(CLIENT), await svid(CLIENT)];
    expect((await refusalOf(await bank.call({ as }))).reason).toBe('token-missing');
    expect((await refusalOf(await bank.call({ as, token: bound(other) }))).reason).toBe(
      'token-binding',
    );
    bank.change([registered([CLIENT], PAYMENTS)]);
    expect((await refusalOf(await bank.call({ as, token: bound(as) }))).reason).toBe(
      'token-subject',
    );
  });

  test('its connection stands while facts change, and ends with its bundle', async () => {
    const as = await svid(CLIENT);
    const socket = await bank.tls({ as });
    socket.on('error', () => undefined);
    socket.resume();
    const ask = async () => {
      socket.write(
        `GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${bound(as)}\r\n\r\n`,
      );
      const [data] = await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      return String(data).split('\r\n')[0];
    };
    expect(await ask()).toBe('HTTP/1.1 200 OK');
    bank.change([registered([])]);
    bank.change([bundle([authority, await newAuthority()])]);
    expect(await ask()).toBe('HTTP/1.1 200 OK');
    const closed = once(socket, 'close');
    bank.change([], [`trust-bundle ${PARTNER}`]);
    await closed;
    expect((await refusalOf(await bank.call({ as, token: bound(as) }))).reason).toBe(
      'certificate-invalid',
    );
  });
});
