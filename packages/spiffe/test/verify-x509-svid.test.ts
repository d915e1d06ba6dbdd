import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  certificateThumbprint,
  decodePem,
  SpiffeError,
  type SpiffeErrorCode,
  verifyX509Svid,
} from '@countersign/spiffe';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  ANY_USAGE,
  CLIENT_AUTH,
  type Craft,
  type Crafted,
  commonName,
  craft,
  critical,
  EMPTY_NAME,
  hex,
  plain,
  SERVER_AUTH,
  tlv,
  x,
} from './craft-certificate.ts';
import { API, hasOpenssl, newAuthority, openssl, p256, TRUST_DOMAIN } from './support.ts';

const CA = [x.ca, x.certSign];
const BOTH = x.usages(SERVER_AUTH, CLIENT_AUTH);
const root = craft({ extensions: [...CA, x.uris([`spiffe://${TRUST_DOMAIN}`], false)] });

function leafOf(issuer: Crafted, more: Partial<Craft> = {}): Crafted {
  const extensions = [x.notCa, x.digitalSignature, BOTH, x.uris([API.uri])];
  return craft({ issuer, name: EMPTY_NAME, extensions, ...more });
}

interface Circumstances {
  anchors?: readonly Uint8Array[];
  now?: () => number;
}

function verify(
  chain: readonly Crafted[],
  { anchors = [root.der], now = Date.now }: Circumstances = {},
) {
  return verifyX509Svid(
    chain.map(({ der }) => der),
    { bundles: new Map([[TRUST_DOMAIN, anchors]]), now },
  );
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    expect(error.message).toMatch(/^could not [^\n]+: found [^\n]+, expected [^\n]+$/);
    return error.code;
  }
}

describe('an SVID is accepted', () => {
  test('with everything right, and names its peer', () => {
    const leaf = leafOf(root);
    const peer = verify([leaf]);
    expect(peer.spiffeId).toEqual(API);
    expect(peer.thumbprint).toBe(certificateThumbprint(leaf.der));
    expect(peer.serialHex).toBe('0133');
    expect(peer.notAfterMs % 1000).toBe(0);
  });

  const leaves: [string, Partial<Craft>][] = [
    [
      'without extended key usage',
      { extensions: [x.notCa, x.digitalSignature, x.uris([API.uri])] },
    ],
    ['without basic constraints', { extensions: [x.digitalSignature, BOTH, x.uris([API.uri])] }],
    [
      'with a subject and an uncritical alternative name',
      {
        name: commonName('api'),
        extensions: [x.notCa, x.digitalSignature, BOTH, x.uris([API.uri], false)],
      },
    ],
    [
      'with further key usages that do not sign certificates',
      { extensions: [x.notCa, x.keyUsage('030203a8'), BOTH, x.uris([API.uri])] },
    ],
    [
      'with an unknown extension that is not critical',
      {
        extensions: [x.notCa, x.digitalSignature, x.uris([API.uri]), plain('2a0304', hex('0500'))],
      },
    ],
    [
      'with cA written out as false',
      {
        extensions: [critical('551d13', hex('3003010100')), x.digitalSignature, x.uris([API.uri])],
      },
    ],
  ];
  test.each(leaves)('%s', (_, more) => {
    expect(verify([leafOf(root, more)]).spiffeId).toEqual(API);
  });

  test('through intermediates, in any order and with others among them', () => {
    const first = craft({ issuer: root, extensions: CA });
    const second = craft({ issuer: first, extensions: [x.caPath(0), x.certSign] });
    const stranger = craft({ extensions: CA });
    const leaf = leafOf(second);
    expect(verify([leaf, second, first]).spiffeId).toEqual(API);
    expect(verify([leaf, stranger, first, second, root]).spiffeId).toEqual(API);
    expect(codeOf(() => verify([leaf, second]))).toBe('ERR_SPIFFE_UNTRUSTED');
    expect(codeOf(() => verify([leaf, first]))).toBe('ERR_SPIFFE_UNTRUSTED');
  });

  test('when the bundle holds an intermediate as its authority', () => {
    const intermediate = craft({ issuer: root, extensions: CA });
    expect(verify([leafOf(intermediate)], { anchors: [intermediate.der] }).spiffeId).toEqual(API);
  });

  test('while two authorities of one name take turns', () => {
    const name = commonName('same name');
    const old = craft({ name, extensions: CA });
    const next = craft({ name, extensions: CA });
    for (const issuer of [old, next]) {
      expect(verify([leafOf(issuer)], { anchors: [old.der, next.der] }).spiffeId).toEqual(API);
    }
  });

  test('by another path, when the first is expired', () => {
    const keys = p256();
    const name = commonName('cross signed');
    const expired = craft({
      issuer: root,
      name,
      keys,
      extensions: CA,
      notAfterMs: Date.now() - 1000,
    });
    const valid = craft({ issuer: root, name, keys, extensions: CA });
    const leaf = leafOf(valid);
    expect(verify([leaf, expired, valid]).spiffeId).toEqual(API);
    expect(codeOf(() => verify([leaf, expired]))).toBe('ERR_SPIFFE_EXPIRED');
  });

  const algorithms: [string, string, () => ReturnType<typeof p256>, string | null][] = [
    [
      'ECDSA P-384 with SHA-384',
      '300a06082a8648ce3d040303',
      () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      'sha384',
    ],
    [
      'ECDSA P-521 with SHA-512',
      '300a06082a8648ce3d040304',
      () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
      'sha512',
    ],
    [
      'RSA 2048 with SHA-256',
      '300d06092a864886f70d01010b0500',
      () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
      'sha256',
    ],
    ['Ed25519', '300506032b6570', () => generateKeyPairSync('ed25519'), null],
  ];
  test.each(algorithms)('signed with %s', (_, algorithm, generate, hash) => {
    const authority = craft({ keys: generate(), algorithm: hex(algorithm), hash, extensions: CA });
    const leaf = leafOf(authority, { keys: generate(), algorithm: hex(algorithm), hash });
    expect(verify([leaf], { anchors: [authority.der] }).spiffeId).toEqual(API);
  });

  test('at both ends of its life, and not a millisecond beyond', () => {
    const at = Math.floor(Date.now() / 1000) * 1000;
    const leaf = leafOf(root, { notBeforeMs: at, notAfterMs: at + 1000 });
    expect(codeOf(() => verify([leaf], { now: () => at - 1 }))).toBe('ERR_SPIFFE_NOT_YET_VALID');
    expect(codeOf(() => verify([leaf], { now: () => at }))).toBe('accepted');
    expect(codeOf(() => verify([leaf], { now: () => at + 1000 }))).toBe('accepted');
    expect(codeOf(() => verify([leaf], { now: () => at + 1001 }))).toBe('ERR_SPIFFE_EXPIRED');
    expect(codeOf(() => verify([leaf], { now: () => Number.NaN }))).toBe('ERR_SPIFFE_EXPIRED');
  });
});

describe('an SVID is refused', () => {
  const ext = (...extensions: Buffer[]): Partial<Craft> => ({ extensions });
  const leaves: [string, SpiffeErrorCode, Partial<Craft>][] = [
    [
      'that is an authority',
      'ERR_SPIFFE_LEAF_IS_AUTHORITY',
      ext(x.ca, x.digitalSignature, BOTH, x.uris([API.uri])),
    ],
    [
      'with keyCertSign',
      'ERR_SPIFFE_KEY_USAGE',
      ext(x.notCa, x.keyUsage('03020284'), BOTH, x.uris([API.uri])),
    ],
    [
      'with cRLSign',
      'ERR_SPIFFE_KEY_USAGE',
      ext(x.notCa, x.keyUsage('03020182'), BOTH, x.uris([API.uri])),
    ],
    [
      'without digitalSignature',
      'ERR_SPIFFE_KEY_USAGE',
      ext(x.notCa, x.keyUsage('03020520'), BOTH, x.uris([API.uri])),
    ],
    ['without key usage', 'ERR_SPIFFE_KEY_USAGE', ext(x.notCa, BOTH, x.uris([API.uri]))],
    [
      'with uncritical key usage',
      'ERR_SPIFFE_KEY_USAGE',
      ext(x.notCa, x.keyUsage('03020780', false), BOTH, x.uris([API.uri])),
    ],
    [
      'for servers only',
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      ext(x.notCa, x.digitalSignature, x.usages(SERVER_AUTH), x.uris([API.uri])),
    ],
    [
      'for clients only',
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      ext(x.notCa, x.digitalSignature, x.usages(CLIENT_AUTH), x.uris([API.uri])),
    ],
    [
      'for any use instead of both',
      'ERR_SPIFFE_EXTENDED_KEY_USAGE',
      ext(x.notCa, x.digitalSignature, x.usages(ANY_USAGE), x.uris([API.uri])),
    ],
    [
      'with two URIs',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([API.uri, `spiffe://${TRUST_DOMAIN}/x`])),
    ],
    [
      'with one URI twice',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([API.uri, API.uri])),
    ],
    [
      'with a second URI that is no SPIFFE ID',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([API.uri, 'https://bank.example'])),
    ],
    ['with no alternative name', 'ERR_SPIFFE_URI_SAN', ext(x.notCa, x.digitalSignature, BOTH)],
    ['with no extension at all', 'ERR_SPIFFE_URI_SAN', ext()],
    [
      'with a DNS name only',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.dns('bank.example')),
    ],
    [
      'whose DNS name pretends to be a URI',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.dns(`a, URI:${API.uri}`)),
    ],
    [
      'with a URI that is no SPIFFE ID',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris(['https://bank.example/x'])),
    ],
    [
      'that names the trust domain itself',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([`spiffe://${TRUST_DOMAIN}`])),
    ],
    [
      'with a path that climbs',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([`spiffe://${TRUST_DOMAIN}/a/../b`])),
    ],
    [
      'with an ID of 2049 bytes',
      'ERR_SPIFFE_URI_SAN',
      ext(
        x.notCa,
        x.digitalSignature,
        BOTH,
        x.uris([`spiffe://${TRUST_DOMAIN}/`.padEnd(2049, 'a')]),
      ),
    ],
    [
      'with an uncritical name beside an empty subject',
      'ERR_SPIFFE_URI_SAN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([API.uri], false)),
    ],
    [
      'with a NUL in its URI',
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris([`${API.uri}\0`])),
    ],
    [
      'of a trust domain that is not known',
      'ERR_SPIFFE_TRUST_DOMAIN_UNKNOWN',
      ext(x.notCa, x.digitalSignature, BOTH, x.uris(['spiffe://other.example/x'])),
    ],
    [
      'with an unknown critical extension',
      'ERR_SPIFFE_EXTENSION_UNSUPPORTED',
      ext(x.notCa, x.digitalSignature, x.uris([API.uri]), critical('2a0304', hex('0500'))),
    ],
    [
      'with an extension twice',
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      ext(x.notCa, x.notCa, x.digitalSignature, x.uris([API.uri])),
    ],
    ['that ended a second ago', 'ERR_SPIFFE_EXPIRED', { notAfterMs: Date.now() - 1000 }],
    ['that begins in a minute', 'ERR_SPIFFE_NOT_YET_VALID', { notBeforeMs: Date.now() + 60_000 }],
    ['of version 1', 'ERR_SPIFFE_CERTIFICATE_MALFORMED', { version: Buffer.alloc(0) }],
    [
      'with two signature algorithms',
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      { outerAlgorithm: hex('300a06082a8648ce3d040303') },
    ],
    [
      'signed with SHA-1',
      'ERR_SPIFFE_ALGORITHM',
      { algorithm: hex('300906072a8648ce3d0401'), hash: 'sha1' },
    ],
    [
      'with parameters where there are none',
      'ERR_SPIFFE_ALGORITHM',
      { algorithm: hex('300c06082a8648ce3d0403020500') },
    ],
    [
      'with a key of RSA 1024',
      'ERR_SPIFFE_ALGORITHM',
      { keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) },
    ],
    [
      'with a key of another curve',
      'ERR_SPIFFE_ALGORITHM',
      { keys: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }) },
    ],
    ['with a padded serial number', 'ERR_SPIFFE_CERTIFICATE_MALFORMED', { serial: hex('0001') }],
  ];
  test.each(leaves)('%s', (_, code, more) => {
    expect(codeOf(() => verify([leafOf(root, more)]))).toBe(code);
  });

  const authorities: [string, SpiffeErrorCode, Partial<Craft>][] = [
    ['is none', 'ERR_SPIFFE_AUTHORITY_INVALID', { extensions: [x.notCa, x.certSign] }],
    ['does not say what it is', 'ERR_SPIFFE_AUTHORITY_INVALID', { extensions: [x.certSign] }],
    [
      'may not sign certificates',
      'ERR_SPIFFE_AUTHORITY_INVALID',
      { extensions: [x.ca, x.digitalSignature] },
    ],
    ['has no key usage', 'ERR_SPIFFE_AUTHORITY_INVALID', { extensions: [x.ca] }],
    [
      'is for servers only',
      'ERR_SPIFFE_AUTHORITY_INVALID',
      { extensions: [...CA, x.usages(SERVER_AUTH)] },
    ],
    [
      'has a SPIFFE ID with a path',
      'ERR_SPIFFE_AUTHORITY_INVALID',
      { extensions: [...CA, x.uris([API.uri])] },
    ],
    [
      'has a broken SPIFFE ID',
      'ERR_SPIFFE_ID_INVALID',
      { extensions: [...CA, x.uris(['SPIFFE://x'])] },
    ],
    [
      'has name constraints, even uncritical',
      'ERR_SPIFFE_EXTENSION_UNSUPPORTED',
      { extensions: [...CA, plain('551d1e', hex('3000'))] },
    ],
    [
      'has an unknown critical extension',
      'ERR_SPIFFE_EXTENSION_UNSUPPORTED',
      { extensions: [...CA, critical('2a0304', hex('0500'))] },
    ],
    ['has expired', 'ERR_SPIFFE_EXPIRED', { extensions: CA, notAfterMs: Date.now() - 1000 }],
    [
      'is not yet valid',
      'ERR_SPIFFE_NOT_YET_VALID',
      { extensions: CA, notBeforeMs: Date.now() + 60_000 },
    ],
  ];
  test.each(authorities)('whose authority %s, be it root or intermediate', (_, code, more) => {
    const bad = craft({ extensions: [], ...more });
    expect(codeOf(() => verify([leafOf(bad)], { anchors: [bad.der] }))).toBe(code);
    const below = craft({ issuer: root, extensions: [], ...more });
    expect(codeOf(() => verify([leafOf(below), below]))).toBe(code);
  });

  test('below an authority for any use, for both, or for whatever it likes it is accepted', () => {
    for (const usage of [x.usages(ANY_USAGE), BOTH, x.uris(['https://ca.example/'])]) {
      const authority = craft({ extensions: [...CA, usage] });
      expect(verify([leafOf(authority)], { anchors: [authority.der] }).spiffeId).toEqual(API);
    }
  });

  test('when another leaf issued it', () => {
    const workload = leafOf(root, { name: commonName('workload') });
    expect(codeOf(() => verify([leafOf(workload), workload]))).toBe('ERR_SPIFFE_AUTHORITY_INVALID');
  });

  test('when the path is longer than an authority allows, counting none that issued itself', () => {
    const top = craft({ extensions: [x.caPath(1), x.certSign] });
    const one = craft({ issuer: top, extensions: CA });
    const two = craft({ issuer: one, extensions: CA });
    const anchors = [top.der];
    expect(verify([leafOf(one), one], { anchors }).spiffeId).toEqual(API);
    expect(codeOf(() => verify([leafOf(two), two, one], { anchors }))).toBe(
      'ERR_SPIFFE_AUTHORITY_INVALID',
    );
    const rolled = craft({ issuer: one, name: one.name, extensions: CA });
    expect(verify([leafOf(rolled), rolled, one], { anchors }).spiffeId).toEqual(API);
  });

  test('with nothing, nine certificates, or bytes that are none', () => {
    const leaf = leafOf(root);
    expect(codeOf(() => verify([]))).toBe('ERR_SPIFFE_NO_CERTIFICATE');
    expect(verify([leaf, ...Array<Crafted>(7).fill(root)]).spiffeId).toEqual(API);
    expect(codeOf(() => verify([leaf, ...Array<Crafted>(8).fill(root)]))).toBe(
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    );
    for (const der of [Buffer.alloc(0), Buffer.from('no'), Buffer.alloc(16_385, 0x30)]) {
      expect(codeOf(() => verify([{ ...leaf, der }]))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
    }
  });

  test('when its trust domain has no authority left, or too many', () => {
    const leaf = leafOf(root);
    expect(codeOf(() => verify([leaf], { anchors: [] }))).toBe('ERR_SPIFFE_UNTRUSTED');
    const anchors = (count: number) => Array<Uint8Array>(count).fill(root.der);
    expect(codeOf(() => verify([leaf], { anchors: anchors(64) }))).toBe('accepted');
    expect(codeOf(() => verify([leaf], { anchors: anchors(65) }))).toBe(
      'ERR_SPIFFE_BUNDLE_INVALID',
    );
  });

  test("when another trust domain's authority issued it, though that one is trusted for its own", () => {
    const partner = craft({ extensions: CA });
    const bundles = new Map([
      [TRUST_DOMAIN, [root.der]],
      ['partner.example', [partner.der]],
    ]);
    const admin = leafOf(partner, {
      extensions: [x.notCa, x.digitalSignature, BOTH, x.uris([`spiffe://${TRUST_DOMAIN}/admin`])],
    });
    const own = leafOf(partner, {
      extensions: [x.notCa, x.digitalSignature, BOTH, x.uris(['spiffe://partner.example/api'])],
    });
    expect(codeOf(() => verifyX509Svid([admin.der, partner.der], { bundles, now: Date.now }))).toBe(
      'ERR_SPIFFE_UNTRUSTED',
    );
    expect(verifyX509Svid([own.der], { bundles, now: Date.now }).spiffeId.trustDomain).toBe(
      'partner.example',
    );
  });

  test('when only the name of its issuer is right, whatever else it says: it is called untrusted', () => {
    const impostor = craft({ name: root.name, extensions: CA });
    const forged = leafOf(impostor, { notAfterMs: Date.now() - 1000 });
    expect(codeOf(() => verify([forged, impostor]))).toBe('ERR_SPIFFE_UNTRUSTED');
  });

  test('without much work, when its chain is a maze of one name', () => {
    const name = commonName('maze');
    const maze = Array.from({ length: 7 }, () =>
      craft({ name, issuer: { ...root, name }, extensions: CA }),
    );
    const anchors = Array.from({ length: 40 }, () => craft({ name, extensions: CA }).der);
    const leaf = leafOf({ ...root, name });
    expect(codeOf(() => verify([leaf, ...maze], { anchors }))).toBe('ERR_SPIFFE_UNTRUSTED');
  });
});

describe('a changed certificate', () => {
  test('never verifies, and never does worse than to be refused', async () => {
    const authority = await newAuthority();
    const { chain } = await authority.issueSvid({
      spiffeId: API,
      publicKey: p256().publicKey,
      ttlSeconds: 3600,
    });
    const [leaf = new Uint8Array()] = chain;
    const bundles = new Map([[TRUST_DOMAIN, [authority.certificate]]]);
    fc.assert(
      fc.property(fc.nat(leaf.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Uint8Array.from(leaf);
        changed[at] = (changed[at] ?? 0) ^ change;
        expect(codeOf(() => verifyX509Svid([changed], { bundles, now: Date.now }))).not.toBe(
          'accepted',
        );
      }),
      { numRuns: 600 },
    );
  });

  test('has no second spelling of its signature: unused bits are malformed', () => {
    const bundles = new Map([[TRUST_DOMAIN, [root.der]]]);
    // An ECDSA signature is random: about half of them end in a zero bit.
    for (let attempt = 0; attempt < 16; attempt += 1) {
      const changed = Uint8Array.from(leafOf(root).der);
      // BIT STRING, its length, no unused bits, SEQUENCE of r and s (RFC 5480 appendix A): all short forms.
      const at = changed.findLastIndex(
        (byte, index) => byte === 0x03 && index + 2 + (changed[index + 1] ?? 0) === changed.length,
      );
      changed[at + 2] = 1;
      expect(codeOf(() => verifyX509Svid([changed], { bundles, now: Date.now }))).toBe(
        'ERR_SPIFFE_CERTIFICATE_MALFORMED',
      );
    }
  });

  test('cut off, made longer or wholly random is malformed', () => {
    const { der } = leafOf(root);
    const bundles = new Map([[TRUST_DOMAIN, [root.der]]]);
    const run = (bytes: Uint8Array) =>
      codeOf(() => verifyX509Svid([bytes], { bundles, now: Date.now }));
    for (let length = 0; length < der.length; length += 1) {
      expect(run(der.subarray(0, length))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
    }
    expect(run(Buffer.concat([der, Buffer.from([0])]))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(run(noise)).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
        expect(run(tlv(0x30, noise))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
      }),
    );
  });

  const encodings: [string, (good: string) => string][] = [
    ['a boolean that is neither', (good) => good.replace('0603551d0f0101ff', '0603551d0f010101')],
    ['a key usage without bits', (good) => good.replace('03020780', '03020700')],
    ['bits that do not count but are set', (good) => good.replace('03020780', '03020781')],
    [
      'a February of 30 days',
      (good) =>
        good.replace(/180f[0-9a-f]{30}/, `180f${Buffer.from('20260230000000Z').toString('hex')}`),
    ],
    [
      'a time with a fraction',
      (good) =>
        good.replace(/180f[0-9a-f]{30}/, `180f${Buffer.from('202602010000.0Z').toString('hex')}`),
    ],
    ['a negative serial padded', (good) => good.replace('02020133', '0202ff80')],
  ];
  test.each(encodings)('with %s is malformed', (_, change) => {
    const { der } = leafOf(root);
    const changed = Buffer.from(change(Buffer.from(der).toString('hex')), 'hex');
    expect(changed.equals(der)).toBe(false);
    const bundles = new Map([[TRUST_DOMAIN, [root.der]]]);
    expect(codeOf(() => verifyX509Svid([changed], { bundles, now: Date.now }))).toBe(
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    );
  });

  test.each([
    ['an indefinite length', '3080'],
    ['a length in a longer form than needed', '308110'],
    ['a multi-byte tag', '3f8100'],
    ['a length of four bytes', '308400000010'],
  ])('that begins with %s is malformed', (_, start) => {
    const bundles = new Map([[TRUST_DOMAIN, [root.der]]]);
    const bytes = hex(start.padEnd(60, '0'));
    expect(codeOf(() => verifyX509Svid([bytes], { bundles, now: Date.now }))).toBe(
      'ERR_SPIFFE_CERTIFICATE_MALFORMED',
    );
  });
});

describe.skipIf(!hasOpenssl)('certificates that OpenSSL issued', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-openssl-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);

  function issue(signature: readonly string[], keyOptions: readonly string[]) {
    // One key of each kind is enough, and RSA keys are slow to make.
    const key = at(`${keyOptions.join('').replace(/\W/g, '')}.key`);
    if (!existsSync(key)) openssl(['genpkey', ...keyOptions, '-out', key]);
    openssl([
      ...[
        'req',
        '-x509',
        '-new',
        '-key',
        key,
        '-subj',
        '/O=SPIRE/CN=root',
        '-days',
        '2',
        '-out',
        at('ca.pem'),
      ],
      ...[
        '-addext',
        'keyUsage=critical,keyCertSign,cRLSign',
        '-addext',
        `subjectAltName=URI:spiffe://${TRUST_DOMAIN}`,
      ],
      ...signature,
    ]);
    openssl([
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at('leaf.key'),
      '-subj',
      '/CN=leaf',
      '-out',
      at('leaf.csr'),
    ]);
    writeFileSync(
      at('leaf.cnf'),
      `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:${API.uri},DNS:a.example\nauthorityKeyIdentifier=keyid\n`,
    );
    openssl([
      ...[
        'x509',
        '-req',
        '-in',
        at('leaf.csr'),
        '-CA',
        at('ca.pem'),
        '-CAkey',
        key,
        '-CAcreateserial',
      ],
      ...['-days', '1', '-extfile', at('leaf.cnf'), '-out', at('leaf.pem'), ...signature],
    ]);
    const read = (name: string) => decodePem(readFileSync(at(name), 'utf8'));
    return { chain: read('leaf.pem'), bundles: new Map([[TRUST_DOMAIN, read('ca.pem')]]) };
  }

  const PSS = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest'];
  const RSA = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'];
  const EC = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  test.each<[string, string[], string[], string]>([
    ['ECDSA with SHA-256', ['-sha256'], EC, 'accepted'],
    ['ECDSA with SHA-384', ['-sha384'], EC, 'accepted'],
    ['RSA with SHA-256', ['-sha256'], RSA, 'accepted'],
    ['RSA with SHA-384', ['-sha384'], RSA, 'accepted'],
    ['RSA with SHA-512', ['-sha512'], RSA, 'accepted'],
    ['RSA-PSS with SHA-256', ['-sha256', ...PSS], RSA, 'accepted'],
    ['RSA-PSS with SHA-384', ['-sha384', ...PSS], RSA, 'accepted'],
    ['RSA-PSS with SHA-512', ['-sha512', ...PSS], RSA, 'accepted'],
    ['RSA with SHA-1', ['-sha1'], RSA, 'ERR_SPIFFE_ALGORITHM'],
    ['RSA-PSS with SHA-1', ['-sha1', ...PSS], RSA, 'ERR_SPIFFE_ALGORITHM'],
    [
      'RSA 1024',
      ['-sha256'],
      ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
      'ERR_SPIFFE_ALGORITHM',
    ],
    ['Ed25519', [], ['-algorithm', 'ED25519'], 'accepted'],
  ])('with %s', (_, signature, keyOptions, expected) => {
    const { chain, bundles } = issue(signature, keyOptions);
    expect(codeOf(() => verifyX509Svid(chain, { bundles, now: Date.now }))).toBe(expected);
  });
});
