import type { CertificateJoin, Registration } from '@countersign/model';
import { certificateThumbprint, encodePem } from '@countersign/spiffe';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  CLIENT_AUTH,
  type Craft,
  type Crafted,
  commonName,
  craft,
  SERVER_AUTH,
  x,
} from '../../spiffe/test/craft-certificate.ts';
import { twinOf } from '../../spiffe/test/twin-certificate.ts';
import {
  type Answer,
  id,
  last,
  newKey,
  pemOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
  type TlsClient,
  trustDomain,
} from './authority.ts';

const HOST_A = id('workload/nodes/host-a');
const HOST_B = id('workload/nodes/host-b');
const EDGE = id('workload/countersign/edge');
const DNS = 'host-a.bank.example';

const newRoot = (name = 'Hosts CA') =>
  craft({ name: commonName(name), extensions: [x.ca, x.certSign] });
const root = newRoot();
const other = newRoot();
const usages = [x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH)];

const host = (more: Partial<Craft> = {}): Crafted =>
  craft({
    issuer: root,
    name: commonName('host-a'),
    extensions: [...usages, x.dns(DNS)],
    ...more,
  });

const byDns = (dnsName = DNS, authority = root): CertificateJoin => ({
  kind: 'certificate',
  authoritiesPem: [encodePem([authority.der])],
  dnsName,
});

const node = (name: string, ...joins: CertificateJoin[]): Registration =>
  registration(`workload/nodes/${name}`, { isNode: true, joins });

function tlsOf(leaf: Crafted, ...more: readonly Crafted[]): TlsClient {
  return {
    certPem: encodePem([leaf, ...more].map(({ der }) => der)),
    keyPem: pemOf(leaf.privateKey),
  };
}

let authority: TestAuthority;
beforeAll(async () => {
  authority = await startAuthority();
});
afterAll(() => authority.close());
beforeEach(async () => {
  await apply(node('host-a', byDns()));
  await authority.identity.registerPoints([]);
});

const apply = (...registrations: Registration[]) =>
  authority.identity.applyRegistrations(registrations, []);

async function join(client?: TlsClient, keys = newKey()): Promise<Answer> {
  return post(authority, `${authority.controlUrl}/v1/enrol`, {
    ...(client && { client }),
    json: { attestation: { kind: 'certificate' }, request: await svidRequest(keys) },
  });
}

const REFUSED = {
  title: 'Unauthorized',
  detail: 'nobody joins with this certificate or token now',
};

async function refused(client: TlsClient | undefined, reason: string): Promise<string> {
  const { status, body } = await join(client);
  // The same words for all: the caller learns nothing of what is registered.
  expect({ status, body }).toEqual({ status: 401, body: { ...REFUSED, status: 401 } });
  const event = last(authority, 'authentication');
  expect(event).toMatchObject({ result: 'refused', reason, listener: 'control' });
  return event?.kind === 'authentication' ? (event.detail ?? '') : '';
}

describe('a certificate of the host', () => {
  test('gives the SVID of whom the registration names, and the record says by what', async () => {
    const leaf = host();
    const { status, body } = await join(tlsOf(leaf));
    expect(status).toBe(200);
    const thumbprint = certificateThumbprint(leaf.der);
    expect(body).toMatchObject({
      spiffeId: HOST_A,
      joinedBy: `certificate ${thumbprint} (CN=host-a)`,
    });
    expect(last(authority, 'administration')).toMatchObject({
      action: 'svid-issued',
      by: HOST_A,
      target: HOST_A,
      detail: {
        via: 'certificate',
        certificate: thumbprint,
        certificateSubject: 'CN=host-a',
        certificateIssuer: 'CN=Hosts CA',
        certificateSerial: '133',
      },
    });
  });

  const day = 86_400_000;
  const bad: [string, string, string, () => Crafted][] = [
    [
      'that has expired',
      'join-certificate-invalid',
      'ERR_SPIFFE_EXPIRED',
      () => host({ notAfterMs: Date.now() - 1000 }),
    ],
    [
      'of tomorrow',
      'join-certificate-invalid',
      'ERR_SPIFFE_NOT_YET_VALID',
      () => host({ notBeforeMs: Date.now() + day, notAfterMs: Date.now() + 2 * day }),
    ],
    [
      'of another authority with the same name',
      'join-certificate-invalid',
      'ERR_SPIFFE_UNTRUSTED',
      () => host({ issuer: other }),
    ],
    [
      'that it signed itself',
      'join-certificate-invalid',
      'ERR_SPIFFE_UNTRUSTED',
      () => craft({ name: commonName('host-a'), extensions: [...usages, x.dns(DNS)] }),
    ],
    [
      'that is an authority',
      'join-certificate-invalid',
      'ERR_SPIFFE_LEAF_IS_AUTHORITY',
      () => host({ extensions: [x.ca, x.usages(CLIENT_AUTH), x.dns(DNS)] }),
    ],
    [
      'without clientAuth',
      'join-certificate-invalid',
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      () => host({ extensions: [x.notCa, x.dns(DNS)] }),
    ],
    [
      'for servers',
      'join-certificate-invalid',
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      () => host({ extensions: [x.usages(SERVER_AUTH), x.dns(DNS)] }),
    ],
    [
      'of another name',
      'join-unregistered',
      'CN=host-a',
      () => host({ extensions: [...usages, x.dns('host-c.bank.example')] }),
    ],
    ['without names', 'join-unregistered', 'CN=host-a', () => host({ extensions: usages })],
  ];
  test.each(bad)('%s is refused as %s: %s', async (_what, reason, detail, make) => {
    const leaf = make();
    expect(await refused(tlsOf(leaf), reason)).toContain(detail);
  });

  test('comes with four intermediates, and not with five', async () => {
    const path: Crafted[] = [];
    const grow = () => {
      path.unshift(craft({ issuer: path[0] ?? root, extensions: [x.ca, x.certSign] }));
      return host({ issuer: path[0] as Crafted });
    };
    for (let length = 1; length < 4; length += 1) grow();
    const { status } = await join(tlsOf(grow(), ...path));
    expect(status).toBe(200);
    expect(await refused(tlsOf(grow(), ...path), 'join-certificate-invalid')).toContain(
      '5 intermediates',
    );
  });

  test('by an authority of our own below the same root is none of a host', async () => {
    const issuing = (uri: string) =>
      craft({ issuer: root, extensions: [x.ca, x.certSign, x.uris([uri], false)] });
    const ours = issuing(`spiffe://${trustDomain}`);
    const detail = await refused(tlsOf(host({ issuer: ours }), ours), 'join-certificate-invalid');
    expect(detail).toContain('by an authority of bank.example, which vouches for no hosts');
    // Of another trust domain: whoever registers it so means it.
    const other = issuing('spiffe://hosts.example');
    expect((await join(tlsOf(host({ issuer: other }), other))).status).toBe(200);
  });

  test('by an authority whose certificate is revoked is refused, with either signature of that', async () => {
    const between = craft({ issuer: root, extensions: [x.ca, x.certSign] });
    const leaf = host({ issuer: between });
    const value = certificateThumbprint(between.der);
    await authority.identity.revoke({
      ...{ target: 'certificate', value, reason: 'stolen', by: 'test' },
    });
    const twin = { ...between, der: twinOf(between.der) };
    for (const issuer of [between, twin]) {
      await refused(tlsOf(leaf, issuer), 'join-certificate-revoked');
    }
  });

  test('is nothing without the handshake that proves its key', async () => {
    expect(await refused(undefined, 'join-certificate-missing')).toContain('no client certificate');
    const leaf = host();
    // A key file of the thief's own private value under the certificate's public one: his OpenSSL takes it.
    const stolen = { certPem: encodePem([leaf.der]), keyPem: forgedKey(leaf) };
    const before = authority.events.length;
    await expect(join(stolen)).rejects.toThrow();
    expect(authority.tlsErrors.at(-1)?.message).toMatch(/signature failure/);
    expect(authority.events.slice(before)).toEqual([]);
  });

  test('is not taken for the certificate of a renewal, nor for a join token', async () => {
    const client = tlsOf(host());
    const renewal = await post(authority, `${authority.controlUrl}/v1/svid`, {
      client,
      json: { request: await svidRequest() },
    });
    expect(renewal.status).toBe(401);
    const token = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      client,
      json: { joinToken: 'x', request: await svidRequest() },
    });
    expect(token.status).toBe(401);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'join-token-unknown' });
  });
});

describe('a registration', () => {
  const leaf = host({ serial: Buffer.from('00af01', 'hex') });
  const thumbprint = certificateThumbprint(leaf.der);
  const authoritiesPem = [encodePem([root.der])];
  const rules: [string, Partial<CertificateJoin>, Partial<CertificateJoin>][] = [
    [
      'fingerprint',
      { thumbprints: [thumbprint] },
      { thumbprints: [certificateThumbprint(host().der)] },
    ],
    ['common name', { commonName: 'host-a' }, { commonName: 'HOST-A' }],
    ['serial number', { serialHex: 'af01' }, { serialHex: 'af02' }],
    ['DNS name', { dnsName: DNS.toUpperCase() }, { dnsName: 'bank.example' }],
    [
      'all that it says',
      { commonName: 'host-a', dnsName: DNS },
      { commonName: 'host-a', dnsName: 'x' },
    ],
  ];
  test.each(rules)('tells a certificate by %s', async (_by, good, bad) => {
    await apply(node('host-a', { kind: 'certificate', authoritiesPem, ...bad }));
    await refused(tlsOf(leaf), 'join-unregistered');
    await apply(node('host-a', { kind: 'certificate', authoritiesPem, ...good }));
    const { status } = await join(tlsOf(host({ serial: Buffer.from('00af01', 'hex') })));
    // A fingerprint is of that one certificate; the others fit any like it.
    expect(status).toBe('thumbprints' in good ? 401 : 200);
    if ('thumbprints' in good) expect((await join(tlsOf(leaf))).status).toBe(200);
  });

  test('that names nothing of the certificate lets nobody in', async () => {
    await apply(node('host-a', { kind: 'certificate', authoritiesPem }));
    await refused(tlsOf(host()), 'join-unregistered');
  });

  test('trusts its own authority only, also where two name the same host', async () => {
    await apply(node('host-a', byDns()), node('host-b', byDns(DNS, other)));
    expect((await join(tlsOf(host()))).body.spiffeId).toBe(HOST_A);
    expect((await join(tlsOf(host({ issuer: other })))).body.spiffeId).toBe(HOST_B);
  });

  test('that another fits as well is refused, whichever was meant', async () => {
    await apply(
      node('host-a', byDns()),
      node('host-b', { kind: 'certificate', authoritiesPem, commonName: 'host-a' }),
    );
    expect(await refused(tlsOf(host()), 'join-ambiguous')).toContain(`${HOST_A} and ${HOST_B}`);
  });

  test('that is one of nine which fit is refused without a look at any authority', async () => {
    const names = Array.from({ length: 9 }, (_, n) => node(`host-${n}`, byDns(DNS, newRoot())));
    await apply(...names);
    expect(await refused(tlsOf(host()), 'join-ambiguous')).toContain('fits 9');
  });

  test('of a point lets it join, with its keys', async () => {
    await apply();
    await authority.identity.registerPoints([{ name: 'edge', surfaces: [], joins: [byDns()] }]);
    const { status, body } = await join(tlsOf(host()));
    expect([status, body.spiffeId]).toEqual([200, EDGE]);
  });

  test('that is disabled, revoked or gone gives nothing', async () => {
    const client = tlsOf(host());
    await apply(registration('workload/nodes/host-a', { joins: [byDns()], enabled: false }));
    expect((await join(client)).status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({
      reason: 'subject-disabled',
      subject: HOST_A,
    });
    await apply();
    await refused(client, 'join-unregistered');
  });

  test('does not bring back a certificate that an operator revoked', async () => {
    const leaf = host();
    const target = { target: 'certificate', value: certificateThumbprint(leaf.der) } as const;
    await authority.identity.revoke({ ...target, reason: 'decommissioned', by: 'test' });
    await refused(tlsOf(leaf), 'join-certificate-revoked');
    await authority.identity.reinstate({ ...target, by: 'test' });
    expect((await join(tlsOf(leaf))).status).toBe(200);
  });
});

describe('one certificate', () => {
  const alarms = () => authority.events.filter(({ kind }) => kind === 'alarm');

  test('on a second host is refused with an alarm while the first holds its SVID, renewed or not', async () => {
    const client = tlsOf(host());
    const first = newKey();
    const { body } = await join(client, first);
    await refused(client, 'join-credential-in-use');
    expect(last(authority, 'alarm')).toMatchObject({
      alarm: 'join-credential-reused',
      detail: expect.stringContaining(HOST_A),
    });
    const certPem = encodePem(body.chain.map((der: string) => Buffer.from(der, 'base64')));
    const svid = { certPem, keyPem: pemOf(first.privateKey) };
    authority.advance(60_000);
    const second = newKey();
    const renewed = await post(authority, `${authority.controlUrl}/v1/svid`, {
      client: svid,
      json: {
        request: await svidRequest(second, { claims: { iat: (authority.now() / 1000) | 0 } }),
      },
    });
    expect(renewed.status).toBe(200);
    // Past the end of the first SVID; the renewed one is alive.
    authority.advance(61_000);
    const again = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      client,
      json: {
        attestation: { kind: 'certificate' },
        request: await svidRequest(newKey(), { claims: { iat: (authority.now() / 1000) | 0 } }),
      },
    });
    expect(again.status).toBe(401);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'join-credential-in-use' });
    authority.advance(-121_000);
  });

  test('joins again, without alarm or operator, when its SVID has ended', async () => {
    const client = tlsOf(host());
    expect((await join(client)).status).toBe(200);
    const before = alarms().length;
    authority.advance(121_000);
    const request = await svidRequest(newKey(), { claims: { iat: (authority.now() / 1000) | 0 } });
    const { status } = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      client,
      json: { attestation: { kind: 'certificate' }, request },
    });
    expect(status).toBe(200);
    expect(alarms().length).toBe(before);
    authority.advance(-121_000);
  });

  test('joins again when its SVID was revoked, and when the answer was lost and the key is the same', async () => {
    const client = tlsOf(host());
    const keys = newKey();
    const { body } = await join(client, keys);
    expect((await join(client, keys)).status).toBe(200);
    // The refusal names what is alive: the one whose answer was lost, too.
    const detail = await refused(client, 'join-credential-in-use');
    const svids = / SVID (.+)$/.exec(detail)?.[1]?.split(', ') ?? [];
    expect(svids).toHaveLength(2);
    for (const value of svids) {
      const { isGranted } = await authority.identity.revoke({
        ...{ target: 'certificate', value, reason: 'disk lost', by: 'test' },
      });
      expect(isGranted).toBe(true);
    }
    expect((await join(client)).status).toBe(200);
    expect(body.spiffeId).toBe(HOST_A);
  });

  test('is one subject: for another it is refused with an alarm, until the first is no more', async () => {
    const client = tlsOf(host());
    expect((await join(client)).body.spiffeId).toBe(HOST_A);
    await apply(node('host-a'), node('host-b', byDns()));
    await refused(client, 'join-credential-of-another');
    expect(last(authority, 'alarm')).toMatchObject({ alarm: 'join-credential-reused' });
    await apply(node('host-b', byDns()));
    authority.advance(121_000);
    const request = await svidRequest(newKey(), { claims: { iat: (authority.now() / 1000) | 0 } });
    const { body } = await post(authority, `${authority.controlUrl}/v1/enrol`, {
      client,
      json: { attestation: { kind: 'certificate' }, request },
    });
    expect(body.spiffeId).toBe(HOST_B);
    authority.advance(-121_000);
  });

  test('that is revoked takes with it what was renewed of its SVID', async () => {
    const leaf = host();
    const keys = newKey();
    const { body } = await join(tlsOf(leaf), keys);
    const svid = {
      certPem: encodePem(body.chain.map((der: string) => Buffer.from(der, 'base64'))),
      keyPem: pemOf(keys.privateKey),
    };
    const renew = async () =>
      post(authority, `${authority.controlUrl}/v1/svid`, {
        client: svid,
        json: { request: await svidRequest() },
      });
    expect((await renew()).status).toBe(200);
    const target = { target: 'certificate', value: certificateThumbprint(leaf.der) } as const;
    await authority.identity.revoke({ ...target, reason: 'decommissioned', by: 'test' });
    expect((await renew()).status).toBe(403);
    expect(last(authority, 'authentication')).toMatchObject({ reason: 'certificate-revoked' });
    await authority.identity.reinstate({ ...target, by: 'test' });
    // Renewed twice of one SVID, as after a crash: each is remembered.
    expect((await renew()).status).toBe(200);
    await refused(tlsOf(leaf), 'join-credential-in-use');
  });

  describe('with its other ECDSA signature, which whoever has it can make,', () => {
    const twin = (leaf: Crafted): Crafted => ({ ...leaf, der: twinOf(leaf.der) });
    const revoke = (leaf: Crafted) =>
      authority.identity.revoke({
        ...{ target: 'certificate', value: certificateThumbprint(leaf.der) },
        ...{ reason: 'decommissioned', by: 'test' },
      });

    test('is the same one: in use, and of the same subject', async () => {
      const leaf = host();
      expect((await join(tlsOf(leaf))).status).toBe(200);
      const detail = await refused(tlsOf(twin(leaf)), 'join-credential-in-use');
      expect(detail).toContain(
        `found certificate ${certificateThumbprint(twin(leaf).der)} a second`,
      );
      expect(last(authority, 'alarm')).toMatchObject({ alarm: 'join-credential-reused' });
      await apply(node('host-a'), node('host-b', byDns()));
      await refused(tlsOf(twin(leaf)), 'join-credential-of-another');
    });

    test.each([
      ['the one that was shown', (leaf: Crafted) => leaf],
      ['the other', twin],
    ])(
      'joins no more when %s is revoked, and what came of it is not renewed',
      async (_, listed) => {
        const leaf = host();
        const keys = newKey();
        const { body } = await join(tlsOf(leaf), keys);
        await revoke(listed(leaf));
        for (const each of [leaf, twin(leaf)]) {
          await refused(tlsOf(each), 'join-certificate-revoked');
        }
        const svid = {
          certPem: encodePem(body.chain.map((der: string) => Buffer.from(der, 'base64'))),
          keyPem: pemOf(keys.privateKey),
        };
        const renewed = await post(authority, `${authority.controlUrl}/v1/svid`, {
          client: svid,
          json: { request: await svidRequest() },
        });
        expect(renewed.status).toBe(403);
        expect(last(authority, 'authentication')).toMatchObject({ reason: 'certificate-revoked' });
      },
    );

    test('is not the one that a registration pins by its hash', async () => {
      const leaf = host();
      const pinned = { ...byDns(), thumbprints: [certificateThumbprint(leaf.der)] };
      await apply(node('host-a', pinned));
      await refused(tlsOf(twin(leaf)), 'join-unregistered');
      expect((await join(tlsOf(leaf))).status).toBe(200);
    });

    test('is held by whoever joined with it before both were known', async () => {
      const leaf = host();
      expect((await join(tlsOf(leaf))).status).toBe(200);
      // As the versions before kept it: by the one hash that was shown.
      const tables = authority.database.tables<{
        svid: { credential: string | null };
        join_credential: { credential: string };
      }>();
      const credential = `certificate ${certificateThumbprint(leaf.der)}`;
      const both = [certificateThumbprint(leaf.der), certificateThumbprint(twin(leaf).der)];
      const kept = `certificate ${both.sort().join(' ')}`;
      for (const table of ['svid', 'join_credential'] as const) {
        const { numUpdatedRows } = await tables
          .updateTable(table)
          .set({ credential })
          .where('credential', '=', kept)
          .executeTakeFirstOrThrow();
        expect(numUpdatedRows).toBe(1n);
      }
      for (const each of [leaf, twin(leaf)]) await refused(tlsOf(each), 'join-credential-in-use');
    });
  });

  test('that two use in one moment gets one of them in', async () => {
    const client = tlsOf(host());
    const answers = await Promise.all([join(client), join(client)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
  });

  test('gets nothing when the record cannot be written', async () => {
    authority.failRecording(true);
    const { status } = await join(tlsOf(host()));
    authority.failRecording(false);
    expect(status).toBe(500);
  });
});

/** PKCS#8 of an EC key whose private value does not belong to its public one (RFC 5915 §3 carries both). */
function forgedKey({ publicKey }: Crafted): string {
  const jwk = publicKey.export({ format: 'jwk' });
  const thief = newKey().privateKey.export({ format: 'der', type: 'pkcs8' });
  const point = Buffer.concat([
    Buffer.from([4]),
    Buffer.from(jwk.x ?? '', 'base64url'),
    Buffer.from(jwk.y ?? '', 'base64url'),
  ]);
  // The public point is the last 65 bytes of both.
  const forged = Buffer.concat([thief.subarray(0, thief.length - 65), point]);
  return `-----BEGIN PRIVATE KEY-----\n${forged
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
