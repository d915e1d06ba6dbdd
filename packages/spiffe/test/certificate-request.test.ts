import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  certificateRequest,
  readCertificateRequest,
  SpiffeError,
  softwareSigner,
} from '@countersign/spiffe';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasOpenssl, openssl, p256, pem } from './support.ts';

const spki = (key: KeyObject) => key.export({ format: 'pem', type: 'spki' });
const derOf = (text: string) =>
  Buffer.from(text.replace(/-----[A-Z ]+-----/g, ''), 'base64') as Uint8Array;

/** As openssl writes it; it reads keys from files only. */
function requestOf(key: KeyObject, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'request-'));
  try {
    writeFileSync(join(folder, 'key.pem'), pem(key), { mode: 0o600 });
    return openssl(['req', '-new', '-key', join(folder, 'key.pem'), ...args]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function codeOf(read: () => unknown): string {
  try {
    read();
    return 'taken';
  } catch (error) {
    if (error instanceof SpiffeError) return error.code;
    throw error;
  }
}

describe('a certificate request', () => {
  test('gives the key that signed it, from PEM and from DER', async () => {
    const keys = p256();
    const text = await certificateRequest(softwareSigner(keys), { commonName: 'alice-laptop' });
    expect(spki(readCertificateRequest(text).publicKey)).toBe(spki(keys.publicKey));
    expect(spki(readCertificateRequest(derOf(text)).publicKey)).toBe(spki(keys.publicKey));
  });

  test('with any byte changed is refused, or asks for the same key', async () => {
    const keys = p256();
    const text = await certificateRequest(softwareSigner(keys), { commonName: 'x' });
    const der = derOf(text);
    for (let index = 0; index < der.length; index++) {
      const broken = Uint8Array.from(der);
      broken[index] = (broken[index] ?? 0) ^ 0x01;
      expect(codeOf(() => readCertificateRequest(broken))).not.toBe('taken');
    }
    for (let length = 0; length < der.length; length++) {
      expect(codeOf(() => readCertificateRequest(der.subarray(0, length)))).not.toBe('taken');
    }
  });

  test('that is anything else is refused by a SpiffeError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.uint8Array({ maxLength: 300 })), (input) => {
        expect(codeOf(() => readCertificateRequest(input))).toBe(
          'ERR_SPIFFE_CERTIFICATE_MALFORMED',
        );
      }),
    );
    const huge = new Uint8Array(16_385);
    expect(codeOf(() => readCertificateRequest(huge))).toBe('ERR_SPIFFE_CERTIFICATE_MALFORMED');
  });

  test('signed by another key than it carries is refused', async () => {
    const [mine, other] = [p256(), p256()];
    const signer = { ...softwareSigner(other), publicKey: mine.publicKey };
    const text = await certificateRequest(signer, { commonName: 'x' });
    expect(() => readCertificateRequest(text)).toThrow(/found the signature of another key/);
  });

  test.skipIf(!hasOpenssl)(
    'of openssl is read, whatever else it asks for; other keys are refused',
    () => {
      const keys = p256();
      const text = requestOf(keys.privateKey, [
        '-subj',
        '/O=Bank/CN=alice-laptop',
        '-addext',
        'subjectAltName=URI:spiffe://bank.example/workload/payments/api',
      ]);
      expect(spki(readCertificateRequest(text).publicKey)).toBe(spki(keys.publicKey));
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const others = [rsa, generateKeyPairSync('ec', { namedCurve: 'P-384' })];
      for (const { privateKey } of others) {
        const asked = requestOf(privateKey, ['-subj', '/CN=x']);
        expect(codeOf(() => readCertificateRequest(asked))).toBe('ERR_SPIFFE_ISSUE_REFUSED');
      }
      const sha1 = requestOf(keys.privateKey, ['-sha1', '-subj', '/CN=x']);
      expect(codeOf(() => readCertificateRequest(sha1))).toBe('ERR_SPIFFE_ALGORITHM');
    },
  );

  test.skipIf(!hasOpenssl)('of ours is one to openssl', async () => {
    const text = await certificateRequest(softwareSigner(p256()), { commonName: 'alice-laptop' });
    const shown = openssl(['req', '-noout', '-verify', '-subject'], text);
    expect(shown).toMatch(/alice-laptop/);
  });
});
