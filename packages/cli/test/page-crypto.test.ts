import * as node from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Buffer as PageBuffer } from '../page/buffer.ts';
import * as page from '../page/crypto/node-crypto.ts';

// What stands in the place of `node:crypto` in the evidence page, held against `node:crypto`.

const message = Buffer.from('countersign');
type Sign = (key: node.KeyObject) => Buffer;
type How = Readonly<Record<string, unknown>>;

const pss = (saltLength: number): How => ({
  padding: node.constants.RSA_PKCS1_PSS_PADDING,
  saltLength,
});
const raw: How = { dsaEncoding: 'ieee-p1363' };
const keyPairs = {
  ed25519: node.generateKeyPairSync('ed25519'),
  'P-256': node.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': node.generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': node.generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'ml-dsa-44': node.generateKeyPairSync('ml-dsa-44'),
  'rsa 2048': node.generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'rsa 2049': node.generateKeyPairSync('rsa', { modulusLength: 2049 }),
  'rsa 1031': node.generateKeyPairSync('rsa', { modulusLength: 1031, publicExponent: 3 }),
} as const;

/** Keys, digests and paddings that something in an evidence file can be signed with. */
const ways: readonly [keyof typeof keyPairs, string | null, How][] = [
  ['ed25519', null, {}],
  ['ml-dsa-44', null, {}],
  ['P-256', 'sha256', raw],
  ['P-256', 'sha256', {}],
  ['P-256', 'sha512', {}],
  ['P-384', 'sha384', {}],
  ['P-521', 'sha512', {}],
  ['P-521', 'sha224', {}],
  ['rsa 2048', 'sha256', {}],
  ['rsa 2048', 'sha512', pss(64)],
  ['rsa 2048', 'sha256', pss(32)],
  ['rsa 2048', 'sha256', pss(0)],
  ['rsa 2049', 'sha512', pss(64)],
  ['rsa 2049', 'sha384', {}],
  ['rsa 1031', 'sha256', pss(32)],
  ['rsa 1031', 'sha256', {}],
];

function both(
  algorithm: string | null,
  data: Uint8Array,
  [nodeKey, pageKey]: readonly [node.KeyObject, page.KeyObject],
  how: How,
  signature: Uint8Array,
): readonly [boolean, boolean] {
  return [
    node.verify(algorithm, data, { key: nodeKey, ...how }, signature),
    page.verify(algorithm, data, { key: pageKey, ...how }, signature),
  ];
}

function keysOf(name: keyof typeof keyPairs): readonly [node.KeyObject, page.KeyObject] {
  const { publicKey } = keyPairs[name];
  const key = publicKey.export({ format: 'der', type: 'spki' });
  return [publicKey, page.createPublicKey({ key, format: 'der' })];
}

describe.each(ways)('%s with %s and %o', (name, algorithm, how) => {
  const { privateKey } = keyPairs[name];
  const sign: Sign = (key) => node.sign(algorithm, message, { key, ...how });
  const keys = keysOf(name);

  test('is verified as Node verifies it, whichever bit is flipped', () => {
    const good = sign(privateKey);
    expect(both(algorithm, message, keys, how, good)).toEqual([true, true]);
    expect(both(algorithm, Buffer.from('other'), keys, how, good)).toEqual([false, false]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: good.length * 8 - 1 }), (bit) => {
        const flipped = Buffer.from(good);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        const [expected, found] = both(algorithm, message, keys, how, flipped);
        expect(found).toBe(expected);
      }),
      { numRuns: name === 'ml-dsa-44' ? 20 : 60 },
    );
  });

  test('is not verified when it is shorter, longer or empty', () => {
    const good = sign(privateKey);
    const zero = Buffer.of(0);
    for (const other of [
      good.subarray(1),
      good.subarray(0, -1),
      Buffer.alloc(0),
      Buffer.concat([zero, good]),
      Buffer.concat([good, zero]),
    ]) {
      expect(both(algorithm, message, keys, how, other)).toEqual([false, false]);
    }
  });
});

test('RSA-PSS by a salt of another length is refused as Node refuses it', () => {
  const { privateKey } = keyPairs['rsa 2048'];
  const signature = node.sign('sha256', message, { key: privateKey, ...pss(20) });
  const keys = keysOf('rsa 2048');
  expect(both('sha256', message, keys, pss(32), signature)).toEqual([false, false]);
  expect(both('sha256', message, keys, pss(20), signature)).toEqual([true, true]);
  expect(both('sha512', message, keys, pss(20), signature)).toEqual([false, false]);
});

test('ECDSA with the other of the two values of s is good, as it is to Node', () => {
  const { privateKey } = keyPairs['P-256'];
  const signature = node.sign('sha256', message, { key: privateKey, ...raw });
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${signature.toString('hex', 32)}`);
  const other = Buffer.concat([
    signature.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ]);
  expect(both('sha256', message, keysOf('P-256'), raw, other)).toEqual([true, true]);
});

test('Ed25519 agrees with Node where verifiers are known to differ: keys and points of small order, and encodings that are not reduced', () => {
  const points = [
    `01${'00'.repeat(31)}`,
    `01${'00'.repeat(30)}80`,
    `ec${'ff'.repeat(30)}7f`,
    `ec${'ff'.repeat(31)}`,
    '00'.repeat(32),
    `${'00'.repeat(31)}80`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    `ed${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(31)}`,
    `ee${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(31)}`,
    'ff'.repeat(32),
  ].map((hex) => Buffer.from(hex, 'hex'));
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
  const { Point } = ed25519;
  const bytesOf = (value: bigint) =>
    Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
  const agrees = (key: Uint8Array, r: Uint8Array, s: bigint, data: Uint8Array): boolean => {
    const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
    const keys = [
      node.createPublicKey({ key: der, format: 'der', type: 'spki' }),
      page.createPublicKey({ key: der, format: 'der' }),
    ] as const;
    const [expected, found] = both(null, data, keys, {}, Buffer.concat([r, bytesOf(s)]));
    const what = [key, r].map((each) => Buffer.from(each).toString('hex'));
    expect([...what, s, found]).toEqual([...what, s, expected]);
    return expected;
  };
  for (const key of points) {
    for (const r of points) {
      for (const s of [0n, ORDER]) expect(agrees(key, r, s, message)).toBe(false);
    }
  }
  // A key with a part of small order: by the equation with cofactor every signature would be good, without it one in eight.
  const [a, r] = [123_456_789n, 987_654_321n];
  const part = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  let good = 0;
  for (const key of [Point.BASE.multiply(a), Point.BASE.multiply(a).add(part)]) {
    for (const [start, first] of [
      [Point.BASE.multiply(r), r],
      [Point.BASE.multiply(r).add(part), r],
      [Point.ZERO, 0n],
      [part, 0n],
    ] as const) {
      for (let number = 0; number < 16; number++) {
        const [data, keyBytes, rBytes] = [Buffer.of(number), key.toBytes(), start.toBytes()];
        const hashed = node.createHash('sha512').update(rBytes).update(keyBytes).update(data);
        const k = BigInt(`0x${hashed.digest().reverse().toString('hex')}`) % ORDER;
        const s = (first + k * a) % ORDER;
        if (agrees(keyBytes, rBytes, s, data)) good += 1;
        agrees(keyBytes, rBytes, s + ORDER, data);
      }
    }
  }
  // Some of each, else nothing was compared that matters.
  expect(good).toBeGreaterThan(16);
  expect(good).toBeLessThan(100);
});

test('keys are read and written as JWK in the same way', () => {
  for (const name of Object.keys(keyPairs) as (keyof typeof keyPairs)[]) {
    const [nodeKey, pageKey] = keysOf(name);
    const jwk = nodeKey.export({ format: 'jwk' });
    expect(pageKey.export({ format: 'jwk' })).toEqual(jwk);
    expect(page.createPublicKey({ key: jwk as never }).export({ format: 'jwk' })).toEqual(jwk);
    expect(pageKey.asymmetricKeyType).toBe(nodeKey.asymmetricKeyType);
    expect(pageKey.asymmetricKeyDetails).toMatchObject(
      name.startsWith('rsa') ? { modulusLength: nodeKey.asymmetricKeyDetails?.modulusLength } : {},
    );
  }
});

test('what is no key is refused where Node refuses it', () => {
  const { publicKey } = keyPairs['P-256'];
  const jwk = publicKey.export({ format: 'jwk' });
  for (const key of [
    {},
    { kty: 'oct', k: 'AA' },
    { ...jwk, x: 'AAAA' },
    { ...jwk, crv: 'P-384' },
    { kty: 'OKP', crv: 'Ed25519', x: 'AA' },
    { ...jwk, y: undefined },
    { kty: 'RSA', n: 'AQAB' },
  ]) {
    expect(() => node.createPublicKey({ key: key as never, format: 'jwk' })).toThrow();
    expect(() => page.createPublicKey({ key: key as never })).toThrow();
  }
});

test('hashes are the same in every encoding that is asked for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const algorithm of ['sha256', 'sha384', 'sha512']) {
        for (const encoding of ['hex', 'base64', 'base64url', 'binary'] as const) {
          expect(page.hash(algorithm, bytes, encoding)).toBe(node.hash(algorithm, bytes, encoding));
        }
      }
    }),
  );
});

test('bytes and texts turn into each other as they do in Node, also where a text is damaged', () => {
  // Hexadecimal digits are read of texts that were looked at before alone.
  const encodings = ['base64', 'base64url', 'utf8', 'latin1'] as const;
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.uint8Array({ maxLength: 60 }),
      (text, bytes) => {
        for (const encoding of encodings) {
          const expected = Buffer.from(text, encoding);
          expect(PageBuffer.from(text, encoding).toString('hex')).toBe(expected.toString('hex'));
          expect(PageBuffer.from(bytes).toString(encoding)).toBe(
            Buffer.from(bytes).toString(encoding),
          );
        }
      },
    ),
  );
  for (const text of [
    'YQ',
    'YQ==',
    'YQ=',
    'Y',
    'YWI=YQ==',
    'YW\nI=',
    '_-8',
    '+/8=',
    'YQ==!',
    '=YQ',
  ]) {
    for (const encoding of ['base64', 'base64url'] as const) {
      expect([text, PageBuffer.from(text, encoding).toString('hex')]).toEqual([
        text,
        Buffer.from(text, encoding).toString('hex'),
      ]);
    }
  }
});

test('what Node encrypted comes out, and nothing that was changed', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(),
      (key, text, additional, at) => {
        const nonce = Buffer.alloc(12);
        const cipher = node.createCipheriv('aes-256-gcm', key, nonce).setAAD(additional);
        const body = Buffer.concat([cipher.update(text), cipher.final()]);
        const tag = cipher.getAuthTag();
        const open = (changed: Uint8Array, added: Uint8Array, by: Uint8Array) => {
          const decipher = page.createDecipheriv('aes-256-gcm', page.createSecretKey(key), nonce);
          decipher.setAAD(added);
          decipher.setAuthTag(by);
          return Buffer.concat([decipher.update(changed), decipher.final()]);
        };
        expect(open(body, additional, tag)).toEqual(Buffer.from(text));
        const flipped = (bytes: Uint8Array) => {
          const copy = Buffer.from(bytes);
          const place = at % copy.length;
          copy[place] = (copy[place] ?? 0) ^ 1;
          return copy;
        };
        expect(() => open(body, additional, flipped(tag))).toThrow();
        if (body.length > 0) expect(() => open(flipped(body), additional, tag)).toThrow();
        if (additional.length > 0) expect(() => open(body, flipped(additional), tag)).toThrow();
      },
    ),
  );
});
