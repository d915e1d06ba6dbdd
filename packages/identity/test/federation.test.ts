import { generateKeyPairSync } from 'node:crypto';
import { Federation, type NewEvent } from '@countersign/identity';
import type { Fact, FederationPartner } from '@countersign/model';
import { createPrivateAuthority, encodeBundle, softwareSigner } from '@countersign/spiffe';
import { type Database, type FactLog, openFactLog } from '@countersign/state';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { craft, plain, x } from '../../spiffe/test/craft-certificate.ts';
import { emptyDatabase } from './empty-database.ts';
import { type Partner, startPartner } from './partner.ts';

const BANK = 'bank.example';
const PARTNER = 'fintech.example';

let partner: Partner;
let database: Database;
let factLog: FactLog;
let federation: Federation;
let events: NewEvent[];
let offset: number;
let ownAuthority: Uint8Array;
const by = { by: 'local:uid=0' };

beforeEach(async () => {
  partner = await startPartner();
  database = await emptyDatabase();
  offset = 0;
  events = [];
  factLog = await openFactLog(database, { trustDomain: BANK, now });
  ownAuthority = (await partner.newAuthority(BANK)).certificate;
  await factLog.append({
    puts: [{ kind: 'trust-bundle', trustDomain: BANK, x509Authorities: [base64(ownAuthority)] }],
  });
  federation = await open();
});
afterEach(async () => {
  await federation.close();
  await partner.down().catch(() => undefined);
  await database.close();
});

const now = () => Date.now() + offset;
const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64');

/** Fetches when it starts and when a test asks, and at no other time. */
function open(): Promise<Federation> {
  return Federation.open({
    ...{ database, factLog, now },
    record: async (event) => void events.push(event),
    warn: (text) => expect.fail(text),
    wait: (_, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    fetchTimeoutMs: 500,
  });
}

const fact = (name = PARTNER) =>
  factLog.get(`trust-bundle ${name}`) as Extract<Fact, { kind: 'trust-bundle' }> | undefined;
const refresh = () => federation.refresh(PARTNER, by);
const names = () =>
  events.map((event) =>
    event.kind === 'alarm' ? event.alarm : event.kind === 'administration' ? event.action : '',
  );
const alarms = () => events.flatMap((event) => (event.kind === 'alarm' ? [event.alarm] : []));

/** Applies, and waits until the first fetch has ended. */
async function follow(more: Partial<FederationPartner> = {}): Promise<void> {
  await federation.apply([partner.declared(more)], by);
  await refresh();
}

test('the bundle that was handed over is in force at once, and the endpoint’s after it', async () => {
  await federation.apply([partner.declared()], by);
  expect(fact()).toMatchObject({
    sequence: 1,
    x509Authorities: [base64(partner.authority.certificate)],
  });
  const { standing, held } = await refresh();
  expect(standing).toBe('trusted');
  expect(held).toMatchObject({ sequence: 5, x509Authorities: 1, jwtAuthorities: 1 });
  expect(fact()).toMatchObject({ sequence: 5, refreshHintSeconds: 60 });
  expect(fact()?.jwtAuthorities?.map(({ kid }) => kid)).toEqual([partner.jwt.authority.keyId]);
  // Applying begins a fetch by itself, which may be there before the operator's.
  expect(names().toSorted()).toEqual([
    ...['federation-added', 'federation-bundle-taken', 'federation-bundle-taken'],
    'federation-refreshed',
  ]);
});

test('a rotation is followed: both authorities, then the new one alone, which the endpoint then shows', async () => {
  await follow();
  const next = await partner.newAuthority();
  partner.publish({ x509Authorities: [partner.authority.certificate, next.certificate] });
  await refresh();
  expect(fact()?.x509Authorities).toHaveLength(2);
  partner.show(await partner.identity(next));
  partner.publish({ x509Authorities: [next.certificate] });
  expect((await refresh()).trouble).toBeUndefined();
  expect(fact()).toMatchObject({ sequence: 7, x509Authorities: [base64(next.certificate)] });
  expect(alarms()).toEqual([]);
});

test('what was taken survives a restart, and is in force while the endpoint is down', async () => {
  await follow();
  await federation.close();
  await partner.down();
  federation = await open();
  await federation.apply([partner.declared()], by);
  const status = await refresh();
  expect(status).toMatchObject({ standing: 'trusted', held: { sequence: 5 } });
  expect(status.trouble?.code).toBe('ERR_SPIFFE_BUNDLE_UNAVAILABLE');
  expect(fact()).toMatchObject({ sequence: 5 });
  // The file of then is older than what is held: it takes nothing back.
  expect(names().filter((name) => name === 'federation-added')).toHaveLength(1);
});

test('a partner that changed its keys too fast is locked out, and comes back by a bundle that it hands over anew', async () => {
  await follow();
  const next = await partner.newAuthority();
  partner.show(await partner.identity(next));
  partner.publish({ x509Authorities: [next.certificate] });
  expect((await refresh()).trouble?.code).toBe('ERR_SPIFFE_UNTRUSTED');
  expect(fact()).toMatchObject({ sequence: 5 });
  // An older file that has the right keys takes nothing back; the one of now is above what is held.
  const stale = encodeBundle({ ...partner.state.bundle, sequence: 5 });
  await follow({ initialBundle: stale });
  expect((await refresh()).trouble?.code).toBe('ERR_SPIFFE_UNTRUSTED');
  await follow({ initialBundle: encodeBundle(partner.state.bundle) });
  const status = await refresh();
  expect([status.standing, status.trouble, status.held?.sequence]).toEqual([
    'trusted',
    undefined,
    6,
  ]);
  expect(fact()?.x509Authorities).toEqual([base64(next.certificate)]);
});

describe('an endpoint that is not heard', () => {
  test('makes the bundle stale after three refresh hints, and no longer trusted after the limit', async () => {
    await follow({ trustForSeconds: 1800 });
    await partner.down();
    offset = 179_000;
    expect((await refresh()).standing).toBe('trusted');
    offset = 181_000;
    expect((await refresh()).standing).toBe('stale');
    expect([alarms(), fact()?.sequence]).toEqual([['federation-stale'], 5]);
    offset = 1_801_000;
    await federation.look();
    expect(fact()).toBeUndefined();
    expect(alarms()).toEqual(['federation-stale', 'federation-distrusted']);
    await partner.listen();
    expect((await refresh()).standing).toBe('trusted');
    expect(fact()).toMatchObject({ sequence: 5 });
    expect(names().at(-1)).toBe('federation-recovered');
    expect(fact(BANK)?.x509Authorities).toEqual([base64(ownAuthority)]);
  });
});

test('a bundle that was handed over with the wrong name is not in force for a moment', async () => {
  const stranger = await partner.newAuthority('acme.example');
  const initialBundle = encodeBundle({
    ...partner.state.bundle,
    ...{ x509Authorities: [stranger.certificate], sequence: 1 },
  });
  await federation.apply([partner.declared({ initialBundle })], by);
  expect(fact()).toBeUndefined();
  expect(await refresh()).toMatchObject({ standing: 'waiting' });
  expect(alarms()[0]).toBe('federation-bundle-refused');
});

describe('what an endpoint must not do changes nothing, and is an alarm once:', () => {
  const cases: [string, string, () => Promise<void> | void][] = [
    [
      'a sequence that goes back',
      'ERR_SPIFFE_BUNDLE_INVALID',
      () => partner.publish({ sequence: 4 }),
    ],
    [
      'a sequence that is not said any more',
      'ERR_SPIFFE_BUNDLE_INVALID',
      () => {
        partner.state.answer = (_, response) => {
          const { spiffe_sequence: _gone, ...rest } = JSON.parse(
            encodeBundle(partner.state.bundle),
          );
          response.end(JSON.stringify(rest));
        };
      },
    ],
    [
      'another SPIFFE ID',
      'ERR_SPIFFE_PEER_UNEXPECTED',
      async () =>
        partner.show(await partner.identity(partner.authority, `spiffe://${PARTNER}/somebody`)),
    ],
    [
      'an SVID of an authority that is not in the bundle',
      'ERR_SPIFFE_UNTRUSTED',
      async () => partner.show(await partner.identity(await partner.newAuthority())),
    ],
    [
      'an SVID that has ended',
      'ERR_SPIFFE_EXPIRED',
      async () => {
        partner.show(await partner.identity(partner.authority, undefined, 60));
        // Of the partner's clock and ours, ours counts.
        offset = 170_000;
      },
    ],
    [
      'a certificate of the web in the place of an SVID',
      'ERR_SPIFFE_UNTRUSTED',
      async () => partner.show((await webOf()).shown),
    ],
    [
      'a redirect to plain http',
      'ERR_SPIFFE_BUNDLE_ENDPOINT',
      () => {
        partner.state.answer = (_, response) =>
          response.writeHead(302, { location: 'http://127.0.0.1/' }).end();
      },
    ],
    [
      'more authorities than points could carry',
      'ERR_SPIFFE_BUNDLE_INVALID',
      () => {
        const large = Array.from({ length: 9 }, largeAuthority);
        partner.publish({ x509Authorities: [partner.authority.certificate, ...large] });
      },
    ],
    [
      'an answer that is no bundle',
      'ERR_SPIFFE_BUNDLE_INVALID',
      () => {
        partner.state.answer = (_, response) => response.end('{"keys":');
      },
    ],
    [
      'an authority of ours',
      'ERR_SPIFFE_BUNDLE_INVALID',
      () => partner.publish({ x509Authorities: [partner.authority.certificate, ownAuthority] }),
    ],
    [
      'the bundle of another trust domain',
      'ERR_SPIFFE_BUNDLE_INVALID',
      async () =>
        partner.publish({
          x509Authorities: [(await partner.newAuthority('acme.example')).certificate],
        }),
    ],
    [
      'an authority more, of another trust domain',
      'ERR_SPIFFE_BUNDLE_INVALID',
      async () =>
        partner.publish({
          x509Authorities: [
            partner.authority.certificate,
            (await partner.newAuthority('acme.example')).certificate,
          ],
        }),
    ],
    [
      'an authority that calls itself by our name',
      'ERR_SPIFFE_BUNDLE_INVALID',
      async () =>
        partner.publish({
          x509Authorities: [
            partner.authority.certificate,
            (await partner.newAuthority(BANK)).certificate,
          ],
        }),
    ],
  ];
  test.each(cases)('%s', async (_claim, code, misbehave) => {
    await follow();
    const before = fact();
    await misbehave();
    expect((await refresh()).trouble).toMatchObject({ code, attempts: 1 });
    expect((await refresh()).trouble).toMatchObject({ code, attempts: 2 });
    expect(fact()).toEqual(before);
    expect(alarms()).toEqual(['federation-bundle-refused']);
    expect(fact(BANK)?.x509Authorities).toEqual([base64(ownAuthority)]);
  });
});

/** An authority of 15 KB. */
function largeAuthority(): Uint8Array {
  return craft({ extensions: [x.ca, x.certSign, plain('2a0304', Buffer.alloc(15_000))] }).der;
}

/** A certificate of the web for the partner's endpoint, and who issued it. */
async function webOf() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  const web = await createPrivateAuthority({ commonName: 'web', signer, now: Date.now });
  const { chain } = await web.issueServerCertificate({
    ...{ dnsNames: ['localhost'], publicKey, ttlSeconds: 3600 },
  });
  const keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  return { shown: { chain, keyPem }, authority: web.certificate };
}

describe('by https_web', () => {
  const byWeb = (authority: Uint8Array): FederationPartner => {
    const { initialBundle: _none, endpoint, ...rest } = partner.declared();
    const url = endpoint.url.replace('127.0.0.1', 'localhost');
    const webAuthorities = [base64(authority)];
    return { ...rest, endpoint: { url, profile: 'https_web', webAuthorities } };
  };

  test('nobody is believed before the endpoint was heard, and then by what it said', async () => {
    const { shown, authority } = await webOf();
    partner.show(shown);
    await federation.apply([byWeb(authority)], by);
    expect(await refresh()).toMatchObject({ standing: 'trusted', held: { sequence: 5 } });
    expect(fact()).toMatchObject({ sequence: 5 });
  });

  test('an SVID, or a certificate of another authority, is no certificate of the web', async () => {
    await federation.apply([byWeb((await webOf()).authority)], by);
    expect((await refresh()).trouble?.code).toBe('ERR_SPIFFE_UNTRUSTED');
    partner.show((await webOf()).shown);
    expect(await refresh()).toMatchObject({
      standing: 'waiting',
      trouble: { code: 'ERR_SPIFFE_UNTRUSTED', attempts: expect.any(Number) },
    });
    expect([fact(), alarms()]).toEqual([undefined, ['federation-bundle-refused']]);
  });
});

describe('an endpoint that is only broken is heard again later, without an alarm:', () => {
  const cases: [string, () => void][] = [
    [
      'status 500',
      () => {
        partner.state.answer = (_, response) => response.writeHead(500).end();
      },
    ],
    [
      'more than two megabytes',
      () => {
        partner.state.answer = (_, response) => response.end(' '.repeat(2_000_001));
      },
    ],
    [
      'bytes that come one by one',
      () => {
        partner.state.answer = (_, response) => {
          const timer = setInterval(() => response.write(' '), 50);
          response.once('close', () => clearInterval(timer));
        };
      },
    ],
    [
      'nothing at all',
      () => {
        partner.state.answer = () => undefined;
      },
    ],
  ];
  test.each(cases)('%s', async (_claim, misbehave) => {
    await follow();
    misbehave();
    expect((await refresh()).trouble?.code).toBe('ERR_SPIFFE_BUNDLE_UNAVAILABLE');
    expect([fact()?.sequence, alarms()]).toEqual([5, []]);
    partner.state.answer = undefined;
    expect((await refresh()).trouble).toBeUndefined();
  });
});

test('no keys at all mean that everything is revoked: the fact has no authorities, and it is an alarm', async () => {
  await follow();
  partner.publish({ x509Authorities: [], jwtAuthorities: [] });
  await refresh();
  expect(fact()).toEqual({
    ...{ kind: 'trust-bundle', trustDomain: PARTNER, x509Authorities: [] },
    ...{ sequence: 6, refreshHintSeconds: 60 },
  });
  expect(alarms()).toEqual(['federation-all-revoked']);
});

test('a partner that is removed is out of force in the same step, and forgotten', async () => {
  await follow();
  await federation.apply([], by);
  expect(fact()).toBeUndefined();
  expect(federation.status()).toEqual([]);
  await expect(refresh()).rejects.toThrow("could not federate with 'fintech.example'");
  expect(names().at(-1)).toBe('federation-removed');
  // Who comes back begins with what is handed over then: a lower sequence is no going back.
  partner.publish({ sequence: 2 });
  await follow();
  expect(fact()).toMatchObject({ sequence: 2 });
});

test('from the day on that a federation ends nobody of it is believed, and its endpoint is not asked', async () => {
  await follow();
  offset = 31 * 86_400_000;
  await federation.look();
  expect(fact()).toBeUndefined();
  expect(federation.status()[0]?.standing).toBe('ended');
  expect(names().at(-1)).toBe('federation-ended');
});

test('an endpoint of another partner’s is verified by that partner’s bundle', async () => {
  const other = await startPartner('hub.example');
  try {
    partner.show(await other.identity(other.authority));
    const { url } = partner.declared().endpoint;
    const spiffeId = 'spiffe://hub.example/bundle-server';
    const endpoint = { url, profile: 'https_spiffe', spiffeId } as const;
    await federation.apply([other.declared(), partner.declared({ endpoint })], by);
    expect(await refresh()).toMatchObject({ standing: 'trusted', held: { sequence: 5 } });
  } finally {
    await other.down();
  }
});

test.each([
  ['our own trust domain', () => [partner.declared({ trustDomain: BANK })]],
  ['one twice', () => [partner.declared(), partner.declared()]],
])('refuses %s', (_claim, partners) => {
  expect(() => federation.apply(partners(), by)).toThrow(
    expect.objectContaining({ code: 'ERR_IDENTITY_FEDERATION' }),
  );
  expect(fact(BANK)?.x509Authorities).toEqual([base64(ownAuthority)]);
});
