import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  FACTS_TYPE,
  localSigner,
  POLICY_TYPE,
  STATEMENT_LENGTH_MAX,
  StateError,
  signStatement,
  verifyStatement,
} from '@countersign/state';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const signer = localSigner(generateKeyPairSync('ed25519').privateKey, 'facts-1');
const other = localSigner(generateKeyPairSync('ed25519').privateKey, 'facts-1');
const keys = [signer.publicJwk];
const options = { type: FACTS_TYPE, keys };

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

async function signParts(header: unknown, payload: unknown): Promise<string> {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${Buffer.from(await signer.sign(Buffer.from(signed))).toString('base64url')}`;
}

function codeOf(verify: () => unknown): string {
  try {
    verify();
  } catch (error) {
    if (error instanceof StateError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('verifyStatement', () => {
  test('gives back what was signed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (payload) => {
        const jws = await signStatement(payload, { type: FACTS_TYPE, signer });
        expect(JSON.stringify(verifyStatement(jws, options))).toBe(JSON.stringify(payload));
      }),
    );
  });

  test('refuses a statement of another type', async () => {
    const jws = await signStatement({}, { type: POLICY_TYPE, signer });
    expect(codeOf(() => verifyStatement(jws, options))).toBe('ERR_STATE_STATEMENT_TYPE');
  });

  test('refuses another key under the same kid', async () => {
    const jws = await signStatement({}, { type: FACTS_TYPE, signer: other });
    expect(codeOf(() => verifyStatement(jws, options))).toBe('ERR_STATE_STATEMENT_SIGNATURE');
  });

  test('refuses a kid that is unknown or stands for two keys', async () => {
    const jws = await signStatement({}, { type: FACTS_TYPE, signer });
    for (const known of [[], [signer.publicJwk, other.publicJwk]]) {
      expect(codeOf(() => verifyStatement(jws, { type: FACTS_TYPE, keys: known }))).toBe(
        'ERR_STATE_STATEMENT_KEY',
      );
    }
  });

  test('refuses a key that is no Ed25519 key', async () => {
    const jws = await signStatement({}, { type: FACTS_TYPE, signer });
    const wrong = { kid: 'facts-1', kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' };
    expect(codeOf(() => verifyStatement(jws, { type: FACTS_TYPE, keys: [wrong] }))).toBe(
      'ERR_STATE_STATEMENT_KEY',
    );
  });

  const good = { alg: 'EdDSA', kid: 'facts-1', typ: FACTS_TYPE };
  test.each([
    ['no algorithm', { ...good, alg: 'none' }],
    ['a symmetric algorithm', { ...good, alg: 'HS256' }],
    ['a further header', { ...good, crit: ['b64'], b64: false }],
    ['a key of its own', { ...good, jwk: other.publicJwk }],
    ['no kid', { alg: 'EdDSA', typ: FACTS_TYPE }],
    ['no typ', { alg: 'EdDSA', kid: 'facts-1' }],
    ['a number for a kid', { ...good, kid: 1 }],
    ['a list for a header', [good]],
    ['null for a header', null],
    ['a header that is not JSON', '{alg'],
    ['a header with a byte order mark', `\ufeff${JSON.stringify(good)}`],
    ['an oversized header', { ...good, kid: 'k'.repeat(2000) }],
  ])('refuses %s', async (_, header) => {
    const jws = await signParts(header, {});
    expect(codeOf(() => verifyStatement(jws, options))).toBe('ERR_STATE_STATEMENT_MALFORMED');
  });

  test('refuses a payload that is not JSON or not UTF-8, though it is signed', async () => {
    for (const payload of ['{', '']) {
      const jws = await signParts(good, payload);
      expect(codeOf(() => verifyStatement(jws, options))).toBe('ERR_STATE_STATEMENT_MALFORMED');
    }
    const signed = `${encode(good)}.${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}`;
    const signature = Buffer.from(await signer.sign(Buffer.from(signed))).toString('base64url');
    expect(codeOf(() => verifyStatement(`${signed}.${signature}`, options))).toBe(
      'ERR_STATE_STATEMENT_MALFORMED',
    );
  });

  test('refuses every single character changed, added or taken away', async () => {
    const jws = await signStatement({ sequence: 7 }, { type: FACTS_TYPE, signer });
    for (let at = 0; at < jws.length; at += 1) {
      for (const put of ['', 'A', '_', '=', '+', '.', '\n', `${jws[at]}A`]) {
        const changed = jws.slice(0, at) + put + jws.slice(at + 1);
        if (changed === jws) continue;
        expect(
          codeOf(() => verifyStatement(changed, options)),
          changed,
        ).not.toBe('accepted');
      }
    }
  });

  test('never throws anything but its own error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\w.-]*$/)), (jws) => {
        expect(codeOf(() => verifyStatement(jws, options))).not.toBe('accepted');
      }),
    );
  });

  test('takes the longest statement and refuses one character more', async () => {
    const room = await longest();
    const jws = await signStatement('x'.repeat(room), { type: FACTS_TYPE, signer });
    expect(jws.length).toBeGreaterThan(STATEMENT_LENGTH_MAX - 4);
    expect(verifyStatement(jws, options)).toHaveLength(room);
    expect(codeOf(() => verifyStatement(`${jws}${'A'.repeat(5)}`, options))).toBe(
      'ERR_STATE_STATEMENT_SIZE',
    );
    await expect(
      signStatement('x'.repeat(room + 3), { type: FACTS_TYPE, signer }),
    ).rejects.toMatchObject({ code: 'ERR_STATE_STATEMENT_SIZE' });
  });
});

/** How many characters of a string payload fill a statement. */
async function longest(): Promise<number> {
  const empty = await signStatement('', { type: FACTS_TYPE, signer });
  return Math.floor(((STATEMENT_LENGTH_MAX - empty.length) / 4) * 3) - 1;
}

describe('signStatement', () => {
  test('refuses what JSON cannot say', async () => {
    await expect(signStatement(undefined, { type: FACTS_TYPE, signer })).rejects.toMatchObject({
      code: 'ERR_STATE_STATEMENT_MALFORMED',
    });
  });
});

describe('localSigner', () => {
  test.each([
    ['a public key', generateKeyPairSync('ed25519').publicKey],
    ['a key of another curve', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ] as [string, KeyObject][])('refuses %s', (_, key) => {
    expect(codeOf(() => localSigner(key, 'k'))).toBe('ERR_STATE_STATEMENT_KEY');
  });

  test('shows no private part', () => {
    expect(JSON.stringify(signer.publicJwk)).not.toContain('"d"');
    expect(JSON.stringify(signer)).not.toContain('"d"');
  });
});
