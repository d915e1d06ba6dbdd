import { Buffer } from 'node:buffer';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  type Bundle,
  createBundleSet,
  createJwtIssuer,
  decodePem,
  encodeBundle,
  encodeJwtBundle,
  encodePem,
  parseBundle,
  parseJwtBundle,
  softwareSigner,
} from '@countersign/spiffe';
import { describe, expect, test } from 'vitest';
import { craft, hex, x } from './craft-certificate.ts';
import { newAuthority, p256, TRUST_DOMAIN } from './support.ts';

const invalid = expect.objectContaining({ code: 'ERR_SPIFFE_BUNDLE_INVALID' });

async function sample() {
  const authority = await newAuthority();
  const rsa = craft({
    keys: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    algorithm: hex('300d06092a864886f70d01010b0500'),
    extensions: [x.ca, x.certSign],
  });
  return {
    trustDomain: TRUST_DOMAIN,
    x509Authorities: [Buffer.from(authority.certificate), Buffer.from(rsa.der)],
    jwtAuthorities: [
      createJwtIssuer({
        trustDomain: TRUST_DOMAIN,
        signer: softwareSigner(p256()),
        now: Date.now,
      }).authority,
      {
        keyId: 'old',
        publicKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey,
      },
    ],
    sequence: 7,
    refreshHintSeconds: 60,
  };
}

/** Keys as text: two key objects of the same key are not equal to a comparison by fields. */
function plain(bundle: Bundle) {
  return {
    ...bundle,
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKey }) => ({
      keyId,
      jwk: publicKey.export({ format: 'jwk' }),
    })),
  };
}

describe('a bundle', () => {
  test('is a JWK set as SPIFFE defines it', async () => {
    const bundle = await sample();
    const document = JSON.parse(encodeBundle(bundle));
    expect(document).toMatchObject({
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
      keys: [
        { use: 'x509-svid', kty: 'EC', crv: 'P-256' },
        { use: 'x509-svid', kty: 'RSA', e: 'AQAB' },
        { use: 'jwt-svid', kid: bundle.jwtAuthorities[0]?.keyId, kty: 'EC', crv: 'P-256' },
        { use: 'jwt-svid', kid: 'old', kty: 'RSA' },
      ],
    });
    for (const [index, jwk] of document.keys.slice(0, 2).entries()) {
      expect(jwk).not.toHaveProperty('kid');
      expect(jwk.x5c).toHaveLength(1);
      const certificate = new X509Certificate(Buffer.from(jwk.x5c[0], 'base64'));
      expect(certificate.raw).toEqual(bundle.x509Authorities[index]);
      expect(certificate.publicKey.equals(createPublicKey({ key: jwk, format: 'jwk' }))).toBe(true);
    }
  });

  test('reads back as it was, for the trust domain that the reader names', async () => {
    const bundle = await sample();
    const read = parseBundle(encodeBundle(bundle), { trustDomain: TRUST_DOMAIN });
    expect(plain(read)).toEqual(plain(bundle));
    const renamed = parseBundle(encodeBundle(bundle), { trustDomain: 'other.example' });
    expect(renamed.trustDomain).toBe('other.example');
  });

  test('may be empty, which revokes everything', () => {
    expect(parseBundle('{"keys":[]}', { trustDomain: TRUST_DOMAIN })).toEqual({
      trustDomain: TRUST_DOMAIN,
      x509Authorities: [],
      jwtAuthorities: [],
      sequence: 0,
      refreshHintSeconds: 300,
    });
  });

  test('may hold keys for other uses, which are passed over', async () => {
    const document = JSON.parse(encodeBundle(await sample()));
    document.keys.push({ use: 'wit-svid', kid: '1', kty: 'EC' }, { kty: 'EC' });
    const bundle = parseBundle(JSON.stringify(document), { trustDomain: TRUST_DOMAIN });
    expect(bundle.x509Authorities).toHaveLength(2);
  });

  test('holds 64 authorities and no more', async () => {
    const bundle = await sample();
    const [authority = Buffer.alloc(0)] = bundle.x509Authorities;
    const of = (count: number) => ({
      ...bundle,
      x509Authorities: Array<Buffer>(count).fill(authority),
    });
    const text = encodeBundle(of(64));
    expect(parseBundle(text, { trustDomain: TRUST_DOMAIN }).x509Authorities).toHaveLength(64);
    expect(() => encodeBundle(of(65))).toThrow(invalid);
    const document = JSON.parse(text);
    document.keys.push(document.keys[0]);
    expect(() => parseBundle(JSON.stringify(document), { trustDomain: TRUST_DOMAIN })).toThrow(
      invalid,
    );
  });

  type Document = { keys: Record<string, unknown>[]; [name: string]: unknown };
  const change = (edit: (document: Document) => unknown) => edit;
  test.each([
    ['no JSON', change(() => '{')],
    ['a list', change(() => [])],
    ['null', change(() => null)],
    ['no keys', change(({ keys: _, ...rest }) => rest)],
    ['a key that is no object', change((document) => ({ ...document, keys: ['x'] }))],
    [
      'two certificates for a key',
      change((d) => ({ ...d, keys: [{ ...d.keys[0], x5c: [1, 2] }] })),
    ],
    ['no certificate', change((d) => ({ ...d, keys: [{ ...d.keys[0], x5c: undefined }] }))],
    [
      'a certificate that is none',
      change((d) => ({ ...d, keys: [{ ...d.keys[0], x5c: ['AAAA'] }] })),
    ],
    ['broken base64', change((d) => ({ ...d, keys: [{ ...d.keys[0], x5c: ['*'] }] }))],
    [
      'another key in the JWK',
      change((d) => ({ ...d, keys: [{ ...d.keys[0], x: d.keys[0]?.['y'] }] })),
    ],
    ['a jwt key without kid', change((d) => ({ ...d, keys: [{ ...d.keys[2], kid: undefined }] }))],
    [
      'a kid twice',
      change((d) => ({ ...d, keys: [d.keys[2], { ...d.keys[3], kid: d.keys[2]?.['kid'] }] })),
    ],
    [
      'a jwt key that is off its curve',
      change((d) => ({ ...d, keys: [{ ...d.keys[2], x: d.keys[2]?.['y'] }] })),
    ],
    [
      'a symmetric jwt key',
      change((d) => ({ ...d, keys: [{ use: 'jwt-svid', kid: 'k', kty: 'oct', k: 'AAAA' }] })),
    ],
    [
      'a jwt key of 1024 bits',
      change((d) => {
        const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
        const key = publicKey.export({ format: 'jwk' });
        return { ...d, keys: [{ use: 'jwt-svid', kid: 'k', ...key }] };
      }),
    ],
    [
      'an Ed25519 jwt key',
      change((d) => {
        const key = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
        return { ...d, keys: [{ use: 'jwt-svid', kid: 'k', ...key }] };
      }),
    ],
    ['a negative sequence', change((d) => ({ ...d, spiffe_sequence: -1 }))],
    ['half a second of refresh hint', change((d) => ({ ...d, spiffe_refresh_hint: 0.5 }))],
    ['two million characters and one', change(() => ' '.repeat(2_000_001))],
  ])('with %s is refused', async (_, edit) => {
    const edited = edit(JSON.parse(encodeBundle(await sample())));
    const text = typeof edited === 'string' ? edited : JSON.stringify(edited);
    expect(() => parseBundle(text, { trustDomain: TRUST_DOMAIN })).toThrow(invalid);
  });

  test('is read for no trust domain that is none', () => {
    expect(() => parseBundle('{"keys":[]}', { trustDomain: 'a/b' })).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_ID_INVALID' }),
    );
  });
});

describe('a bundle of JWT authorities alone', () => {
  test('reads back, also without `use`, as SPIRE writes it', async () => {
    const { jwtAuthorities } = await sample();
    const text = encodeJwtBundle(jwtAuthorities);
    expect(JSON.parse(text).keys).toHaveLength(2);
    const bare = text.replaceAll('"use":"jwt-svid",', '');
    for (const each of [text, bare]) {
      expect(parseJwtBundle(each).map(({ keyId }) => keyId)).toEqual(
        jwtAuthorities.map(({ keyId }) => keyId),
      );
    }
    expect(() => parseJwtBundle(text.replace('"kid"', '"id"'))).toThrow(invalid);
  });

  test('holds 64 keys and no more', async () => {
    const [key] = (await sample()).jwtAuthorities;
    if (!key) throw new Error('no key');
    const of = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...key, keyId: `${index}` }));
    expect(parseJwtBundle(encodeJwtBundle(of(64)))).toHaveLength(64);
    expect(() => encodeJwtBundle(of(65))).toThrow(invalid);
  });
});

describe('a set of bundles', () => {
  const bundle = (trustDomain: string, sequence: number): Bundle => ({
    trustDomain,
    x509Authorities: [Buffer.from([sequence])],
    jwtAuthorities: [],
    sequence,
    refreshHintSeconds: 60,
  });

  test('keeps trust domains apart, and never goes back to an older sequence', () => {
    const set = createBundleSet([bundle('a.example', 4), bundle('b.example', 9)]);
    const { x509, jwt } = set;
    expect(set.put(bundle('a.example', 5))).toBe(true);
    expect(set.put(bundle('a.example', 5))).toBe(false);
    expect(() => set.put(bundle('a.example', 4))).toThrow(invalid);
    expect(x509.get('a.example')).toEqual([Buffer.from([5])]);
    expect(x509.get('b.example')).toEqual([Buffer.from([9])]);
    expect(jwt.get('b.example')).toEqual([]);
    expect(x509.get('c.example')).toBeUndefined();
    set.remove('a.example');
    expect(x509.get('a.example')).toBeUndefined();
    expect(set.trustDomains).toEqual(['b.example']);
  });

  test('takes the last one put when sequences say nothing', () => {
    const set = createBundleSet([bundle('a.example', 4)]);
    expect(set.put(bundle('a.example', 0))).toBe(true);
    expect(set.get('a.example')?.sequence).toBe(0);
  });

  test('holds 1,024 trust domains and no more', () => {
    const set = createBundleSet();
    for (let count = 0; count < 1024; count += 1) set.put(bundle(`${count}.example`, 1));
    expect(() => set.put(bundle('one-more.example', 1))).toThrow(invalid);
    expect(set.put(bundle('7.example', 2))).toBe(true);
  });
});

describe('PEM', () => {
  test('reads back in order, with text around the blocks and any line ends', async () => {
    const { x509Authorities } = await sample();
    const pem = `subject=ours\n${encodePem(x509Authorities)}\n# the end`;
    expect(decodePem(pem)).toEqual(x509Authorities);
    expect(decodePem(pem.replaceAll('\n', '\r\n'))).toEqual(x509Authorities);
    for (const line of encodePem(x509Authorities).split('\n'))
      expect(line.length).toBeLessThanOrEqual(64);
  });

  test.each([
    ['nothing', () => ''],
    ['a block without end', (pem: string) => pem.replace(/-----END CERTIFICATE-----\n$/, '')],
    ['a block with other characters', (pem: string) => pem.replace('MII', '*II')],
    ['a block that is no certificate', () => encodePem([Buffer.from('no')])],
    ['more than two million characters', (pem: string) => pem + ' '.repeat(2_000_000)],
  ])('of %s is refused', async (_, edit) => {
    const { x509Authorities } = await sample();
    expect(() => decodePem(edit(encodePem(x509Authorities)))).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_CERTIFICATE_MALFORMED' }),
    );
  });
});
