import { createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createPrivateAuthority,
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
  verifyClientCertificate,
  verifyX509Svid,
} from '@countersign/spiffe';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { API, hasOpenssl, newAuthority, openssl, p256, TRUST_DOMAIN } from './support.ts';

const refused = expect.objectContaining({ code: 'ERR_SPIFFE_ISSUE_REFUSED' });
const NOW = Date.UTC(2026, 10, 22, 12, 0, 0, 789);
const folder = mkdtempSync(join(tmpdir(), 'countersign-spiffe-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, chain: readonly Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, encodePem(chain));
  return path;
}

describe('an SVID', () => {
  test('lives from ten seconds ago to its time to live, in whole seconds', async () => {
    const authority = await newAuthority({ now: () => NOW });
    const { publicKey } = p256();
    const svid = await authority.issueSvid({ spiffeId: API, publicKey, ttlSeconds: 3600 });
    expect(svid.spiffeId).toBe(API);
    expect(svid.notBeforeMs).toBe(Date.UTC(2026, 10, 22, 11, 59, 50));
    expect(svid.notAfterMs).toBe(Date.UTC(2026, 10, 22, 13, 0, 0));
    expect(svid.chain).toHaveLength(1);
    const node = new X509Certificate(svid.chain[0] ?? '');
    expect(node.validFromDate.getTime()).toBe(svid.notBeforeMs);
    expect(node.validToDate.getTime()).toBe(svid.notAfterMs);
    expect(node.serialNumber.toLowerCase()).toBe(svid.serialHex);
    expect(node.publicKey.equals(publicKey)).toBe(true);
    expect(node.subjectAltName).toBe(`URI:${API.uri}`);
    expect(node.ca).toBe(false);
    expect(node.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(node.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
  });

  test('never outlives the authority, which then issues no more', async () => {
    let now = NOW;
    const authority = await newAuthority({ validitySeconds: 100, now: () => now });
    const { publicKey } = p256();
    expect(authority.notAfterMs).toBe(Date.UTC(2026, 10, 22, 12, 1, 40));
    const svid = await authority.issueSvid({ spiffeId: API, publicKey, ttlSeconds: 3600 });
    expect(svid.notAfterMs).toBe(authority.notAfterMs);
    now = authority.notAfterMs;
    await expect(authority.issueSvid({ spiffeId: API, publicKey, ttlSeconds: 1 })).rejects.toEqual(
      refused,
    );
  });

  test('has a serial number of 16 bytes, positive, and never twice the same', async () => {
    const authority = await newAuthority();
    const { publicKey } = p256();
    const serials = new Set<string>();
    for (let count = 0; count < 200; count += 1) {
      const { serialHex } = await authority.issueSvid({ spiffeId: API, publicKey, ttlSeconds: 60 });
      expect(serialHex).toMatch(/^[4-7][0-9a-f]{31}$/);
      serials.add(serialHex);
    }
    expect(serials.size).toBe(200);
  });

  test.skipIf(!hasOpenssl)(
    'says to OpenSSL what SPIFFE asks for, and passes its strict check',
    async () => {
      const authority = await newAuthority();
      const { chain } = await authority.issueSvid({
        spiffeId: API,
        publicKey: p256().publicKey,
        ttlSeconds: 3600,
        dnsNames: ['payments.bank.example', 'localhost'],
        ipAddresses: ['127.0.0.1', '::1', '2001:db8::a:1.2.3.4', '1:2:3:4:5:6:7:8', 'fe80::'],
      });
      const leaf = file('leaf.pem', chain);
      const root = file('root.pem', [authority.certificate]);
      expect(
        openssl(['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, leaf]),
      ).toMatch(/OK/);
      expect(
        openssl(['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', root, leaf]),
      ).toMatch(/OK/);
      const text = openssl(['x509', '-in', leaf, '-noout', '-text']).replace(/\s+/g, ' ');
      expect(text).toContain('Version: 3');
      expect(text).toContain('Signature Algorithm: ecdsa-with-SHA256');
      expect(text).toContain('Basic Constraints: critical CA:FALSE');
      expect(text).toContain('Key Usage: critical Digital Signature X509v3');
      expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
      expect(text).toContain(
        `Subject Alternative Name: critical URI:${API.uri}, DNS:payments.bank.example, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:A:102:304, IP Address:1:2:3:4:5:6:7:8, IP Address:FE80:0:0:0:0:0:0:0`,
      );
      const keyId = /Authority Key Identifier: ([0-9A-F:]+)/.exec(text)?.[1] ?? 'none';
      const rootText = openssl(['x509', '-in', root, '-noout', '-text']).replace(/\s+/g, ' ');
      expect(rootText).toContain(`Subject Key Identifier: ${keyId}`);
      expect(rootText).toContain('Basic Constraints: critical CA:TRUE');
      expect(rootText).toContain('Key Usage: critical Certificate Sign, CRL Sign');
      expect(rootText).toContain(`URI:spiffe://${TRUST_DOMAIN}`);
    },
  );

  test.skipIf(!hasOpenssl)('reads back the same in OpenSSL for any ID and time', async () => {
    let now = NOW;
    const authority = await newAuthority({ now: () => now, validitySeconds: 29 * 365 * 86_400 });
    const root = file('any-root.pem', [authority.certificate]);
    const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.array(segment, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: NOW, max: NOW + 28 * 365 * 86_400_000 }),
        async (segments, at) => {
          now = at;
          const spiffeId = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/${segments.join('/')}`);
          const { publicKey } = p256();
          const svid = await authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 86_400 });
          const seconds = String(Math.floor(at / 1000));
          const path = file('any.pem', svid.chain);
          openssl(['verify', '-attime', seconds, '-x509_strict', '-CAfile', root, path]);
          const text = openssl(['x509', '-in', path, '-noout', '-text', '-serial']);
          expect(text).toContain(`URI:${spiffeId.uri}\n`);
          expect(text.toLowerCase()).toContain(`serial=${svid.serialHex}`);
          const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
          const peer = verifyX509Svid(svid.chain, { bundles, now: () => at });
          expect(peer).toMatchObject({ spiffeId, notAfterMs: svid.notAfterMs });
        },
      ),
      { numRuns: 12 },
    );
  });

  test('may have the longest ID there is', async () => {
    const authority = await newAuthority();
    const start = `spiffe://${TRUST_DOMAIN}/`;
    const spiffeId = parseSpiffeId(start + 'a'.repeat(2048 - start.length));
    const svid = await authority.issueSvid({
      spiffeId,
      publicKey: p256().publicKey,
      ttlSeconds: 60,
    });
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    expect(verifyX509Svid(svid.chain, { bundles, now: Date.now }).spiffeId).toEqual(spiffeId);
  });

  test.each([
    ['of another trust domain', { spiffeId: parseSpiffeId('spiffe://other.example/x') }],
    ['without path', { spiffeId: parseSpiffeId(`spiffe://${TRUST_DOMAIN}`) }],
    ['of no life', { ttlSeconds: 0 }],
    ['of half a second', { ttlSeconds: 1.5 }],
    ['of more than a day', { ttlSeconds: 86_401 }],
    ['of no number of seconds', { ttlSeconds: Number.NaN }],
    [
      'for an RSA key',
      { publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey },
    ],
    ['for an Ed25519 key', { publicKey: generateKeyPairSync('ed25519').publicKey }],
    [
      'for another curve',
      { publicKey: generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey },
    ],
    ['for a private key', { publicKey: p256().privateKey }],
    ['for a wildcard', { dnsNames: ['*.bank.example'] }],
    ['for a name in capitals', { dnsNames: ['Bank.example'] }],
    ['for an empty name', { dnsNames: [''] }],
    ['for a name with a NUL', { dnsNames: ['bank.example\0.evil'] }],
    ['for a name of 254 characters', { dnsNames: [`${'a.'.repeat(126)}aa`] }],
    ['for a name as address', { ipAddresses: ['bank.example'] }],
    ['for an address with a zone', { ipAddresses: ['fe80::1%eth0'] }],
    ['for 17 names', { dnsNames: Array<string>(17).fill('a') }],
  ])('%s is not issued', async (_, change) => {
    const authority = await newAuthority();
    const request = { spiffeId: API, publicKey: p256().publicKey, ttlSeconds: 60, ...change };
    await expect(authority.issueSvid(request)).rejects.toEqual(refused);
  });

  test('for names at the bounds is issued', async () => {
    const authority = await newAuthority();
    const { chain } = await authority.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 86_400,
      dnsNames: [`${'a.'.repeat(126)}a`, ...Array<string>(14).fill('a')],
      ipAddresses: ['0.0.0.0'],
    });
    expect(new X509Certificate(chain[0] ?? '').subjectAltName).toContain('IP Address:0.0.0.0');
  });
});

describe('an authority', () => {
  test('goes on with the certificate of an earlier start', async () => {
    const signer = softwareSigner(p256());
    const first = await newAuthority({ signer });
    const second = await newAuthority({ signer, certificate: first.certificate });
    expect(second.certificate).toBe(first.certificate);
    const { chain } = await second.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 60,
    });
    const bundles = new Map([[TRUST_DOMAIN, [first.certificate]]]);
    expect(verifyX509Svid(chain, { bundles, now: Date.now }).spiffeId).toEqual(API);
  });

  test('may be an intermediate, whose SVIDs carry the way to the root', async () => {
    const root = await newAuthority();
    const keys = p256();
    const { chain: path } = await root.issueIntermediate({
      publicKey: keys.publicKey,
      ttlSeconds: 3600,
    });
    const [certificate] = path;
    expect(path).toHaveLength(1);
    if (!certificate) throw new Error('no certificate');
    const authority = await newAuthority({ signer: softwareSigner(keys), certificate });
    const svid = await authority.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 86_400,
    });
    expect(svid.chain).toEqual([svid.chain[0], certificate]);
    expect(svid.notAfterMs).toBe(authority.notAfterMs);
    const bundles = new Map([[TRUST_DOMAIN, [root.certificate]]]);
    expect(verifyX509Svid(svid.chain, { bundles, now: Date.now }).spiffeId).toEqual(API);
    // Its own intermediate would be one too many.
    const below = p256();
    const deeper = await authority.issueIntermediate({
      publicKey: below.publicKey,
      ttlSeconds: 60,
    });
    const [deep] = deeper.chain;
    if (!deep) throw new Error('no certificate');
    const third = await newAuthority({
      signer: softwareSigner(below),
      certificate: deep,
      intermediates: [certificate],
    });
    const far = await third.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 60,
    });
    expect(far.chain).toHaveLength(3);
    expect(() => verifyX509Svid(far.chain, { bundles, now: Date.now })).toThrow(
      expect.objectContaining({
        code: 'ERR_SPIFFE_AUTHORITY_INVALID',
        message: 'could not accept authority: found 1 authorities below it, expected at most 0',
      }),
    );
  });

  test('with a key elsewhere is asked for signatures over certificates only', async () => {
    const keys = p256();
    const asked: Uint8Array[] = [];
    const signer = {
      publicKey: keys.publicKey,
      sign: async (tbs: Uint8Array) => {
        asked.push(tbs);
        return sign('sha256', tbs, keys.privateKey);
      },
    };
    const authority = await newAuthority({ signer });
    await authority.issueSvid({ spiffeId: API, publicKey: p256().publicKey, ttlSeconds: 60 });
    expect(asked).toHaveLength(2);
    for (const tbs of asked) expect(tbs[0]).toBe(0x30);
  });

  test('refuses a signer that answers r || s', async () => {
    const keys = p256();
    const signer = {
      publicKey: keys.publicKey,
      sign: (tbs: Uint8Array) =>
        sign('sha256', tbs, { key: keys.privateKey, dsaEncoding: 'ieee-p1363' }),
    };
    await expect(newAuthority({ signer })).rejects.toEqual(refused);
  });

  test('refuses a signer that signs with another key', async () => {
    const other = p256();
    const signer = { publicKey: p256().publicKey, sign: softwareSigner(other).sign };
    await expect(newAuthority({ signer })).rejects.toEqual(refused);
  });

  test('passes on what its signer throws', async () => {
    const failure = new Error('hsm is gone');
    const signer = { publicKey: p256().publicKey, sign: () => Promise.reject(failure) };
    await expect(newAuthority({ signer })).rejects.toBe(failure);
  });

  test('refuses a certificate of another key, of a leaf, and one that has expired', async () => {
    const keys = p256();
    const signer = softwareSigner(keys);
    const authority = await newAuthority({ signer, validitySeconds: 60 });
    const { certificate } = authority;
    await expect(newAuthority({ certificate })).rejects.toEqual(refused);
    const { chain } = await authority.issueSvid({
      spiffeId: API,
      publicKey: keys.publicKey,
      ttlSeconds: 60,
    });
    const [leaf = new Uint8Array()] = chain;
    await expect(newAuthority({ signer, certificate: leaf })).rejects.toEqual(refused);
    const now = () => Date.now() + 61_000;
    await expect(newAuthority({ signer, certificate, now })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_EXPIRED',
    });
  });

  test('refuses a trust domain that is none, and a clock that is none', async () => {
    await expect(newAuthority({ trustDomain: 'Bank' })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_ID_INVALID',
    });
    await expect(newAuthority({ now: () => Number.NaN })).rejects.toEqual(refused);
    await expect(newAuthority({ validitySeconds: 31 * 365 * 86_400 })).rejects.toEqual(refused);
  });

  test('writes dates from 2050 on as GeneralizedTime', async () => {
    const now = () => Date.UTC(2049, 11, 31, 23, 59, 59);
    const authority = await createX509Authority({
      trustDomain: TRUST_DOMAIN,
      signer: softwareSigner(p256()),
      now,
    });
    const { validTo, validFrom } = new X509Certificate(authority.certificate);
    expect([validFrom, validTo]).toEqual(['Dec 31 23:59:49 2049 GMT', 'Dec 31 23:59:59 2050 GMT']);
    const svid = await authority.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 60,
    });
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    expect(verifyX509Svid(svid.chain, { bundles, now }).notAfterMs).toBe(
      Date.UTC(2050, 0, 1, 0, 0, 59),
    );
  });
});

describe('a private authority', () => {
  async function partner() {
    return createPrivateAuthority({
      commonName: 'Fintech One CA',
      organization: 'Fintech One',
      signer: softwareSigner(p256()),
      now: Date.now,
    });
  }

  test('issues client certificates without SPIFFE ID', async () => {
    const authority = await partner();
    const { publicKey } = p256();
    const { chain, notAfterMs, serialHex } = await authority.issueClientCertificate({
      commonName: 'api.fintech.example',
      organization: 'Fintech One',
      publicKey,
      ttlSeconds: 3600,
    });
    const verified = verifyClientCertificate(chain, {
      authorities: [authority.certificate],
      now: Date.now,
    });
    expect(verified).toEqual({
      thumbprint: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      names: expect.any(Array),
      subject: 'CN=api.fintech.example,O=Fintech One',
      issuer: 'CN=Fintech One CA,O=Fintech One',
      notAfterMs,
      serialHex,
    });
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    expect(() => verifyX509Svid(chain, { bundles, now: Date.now })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_URI_SAN' }),
    );
    if (!hasOpenssl) return;
    const [leaf, root] = [file('client.pem', chain), file('partner.pem', [authority.certificate])];
    expect(
      openssl(['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', root, leaf]),
    ).toMatch(/OK/);
  });

  test('issues server certificates for hosts, and goes on after a restart', async () => {
    const signer = softwareSigner(p256());
    const first = await createPrivateAuthority({ commonName: 'CA', signer, now: Date.now });
    const second = await createPrivateAuthority({
      commonName: 'CA',
      signer,
      certificate: first.certificate,
      now: Date.now,
    });
    const { publicKey } = p256();
    const { chain } = await second.issueServerCertificate({
      dnsNames: ['bank.example'],
      ipAddresses: ['127.0.0.1'],
      publicKey,
      ttlSeconds: 60,
    });
    const leaf = new X509Certificate(chain[0] ?? '');
    expect(leaf.checkHost('bank.example')).toBe('bank.example');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(
      leaf.verify(createPublicKey(signer.publicKey.export({ format: 'pem', type: 'spki' }))),
    ).toBe(true);
    await expect(second.issueServerCertificate({ publicKey, ttlSeconds: 60 })).rejects.toEqual(
      refused,
    );
  });

  test.each([
    ['no name', { commonName: '' }],
    ['a name of 65 characters', { commonName: 'a'.repeat(65) }],
    ['an empty organization', { organization: '' }],
    ['more than three years', { ttlSeconds: 3 * 365 * 86_400 + 1 }],
  ])('issues nothing for %s', async (_, change) => {
    const authority = await partner();
    const request = { commonName: 'a', publicKey: p256().publicKey, ttlSeconds: 60, ...change };
    await expect(authority.issueClientCertificate(request)).rejects.toEqual(refused);
  });
});
