import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodePem, openDiskUpstream } from '@countersign/spiffe';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasOpenssl, openssl } from './support.ts';
import { mintAndUse } from './upstream.ts';

const KEYS = {
  'p-256': ['EC', 'ec_paramgen_curve:P-256'],
  'p-384': ['EC', 'ec_paramgen_curve:P-384'],
  'p-521': ['EC', 'ec_paramgen_curve:P-521'],
  rsa: ['RSA', 'rsa_keygen_bits:3072'],
  ed25519: ['ED25519'],
} as const;

describe.skipIf(!hasOpenssl)('an upstream on disk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'disk-upstream-'));
  const at = (name: string): string => join(folder, name);
  const newKey = (name: string, kind: keyof typeof KEYS = 'p-256'): void => {
    const [algorithm, option] = KEYS[kind];
    openssl([
      ...['genpkey', '-algorithm', algorithm, '-out', at(`${name}.key`)],
      ...(option ? ['-pkeyopt', option] : []),
    ]);
  };
  /** A certificate, by itself or by another. */
  const certify = (
    name: string,
    { by = name, days = '30', constraints = 'critical,CA:TRUE' } = {},
  ) => {
    openssl([
      ...['req', '-new', '-x509', '-subj', `/O=Bank/CN=${name}`, '-key', at(`${name}.key`)],
      ...(by === name ? [] : ['-CA', at(`${by}.pem`), '-CAkey', at(`${by}.key`)]),
      ...['-days', days, '-out', at(`${name}.pem`)],
      ...['-addext', `basicConstraints=${constraints}`],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ]);
  };
  const open = (name: string, more: object = {}) =>
    openDiskUpstream({
      certificateFile: at(`${name}.pem`),
      keyFile: at(`${name}.key`),
      now: Date.now,
      ...more,
    });
  const mint = (name: string, more: object = {}) => mintAndUse(open(name, more));

  beforeAll(() => {
    newKey('root');
    certify('root');
    newKey('issuing');
    certify('issuing', { by: 'root', days: '10' });
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(Object.keys(KEYS) as (keyof typeof KEYS)[])('signs with a root of %s', async (kind) => {
    newKey(`root-${kind}`, kind);
    certify(`root-${kind}`);
    const { chain, x509Roots } = await mint(`root-${kind}`);
    expect(chain).toHaveLength(1);
    expect(x509Roots).toEqual(decodePem(readFileSync(at(`root-${kind}.pem`), 'utf8')));
  });

  test('signs with an intermediate below a root that is offline', async () => {
    const { chain, x509Roots } = await mint('issuing', { rootsFile: at('root.pem') });
    expect(chain).toHaveLength(2);
    expect(x509Roots).toHaveLength(1);
  });

  test('signs through two levels, with the root in the same file', async () => {
    newKey('lower');
    certify('lower', { by: 'issuing' });
    const all = ['lower', 'issuing', 'root'].map((name) => readFileSync(at(`${name}.pem`), 'utf8'));
    writeFileSync(at('all.pem'), all.join(''));
    const { chain } = await mint('lower', { certificateFile: at('all.pem') });
    expect(chain).toHaveLength(3);
  });

  test('opens an encrypted key with its passphrase, and says when it is not the one', async () => {
    openssl([
      ...['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', at('root.key')],
      ...['-passout', 'pass:a secret of the bank', '-out', at('encrypted.key')],
    ]);
    const files = { keyFile: at('encrypted.key') };
    await mint('root', { ...files, passphrase: async () => 'a secret of the bank' });
    await expect(mint('root', { ...files, passphrase: async () => 'another' })).rejects.toThrow(
      `could not use upstream disk ${at('root.pem')}: found a key in '${at('encrypted.key')}' that the passphrase does not open, expected one as PEM`,
    );
    await expect(mint('root', files)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
      message: expect.stringContaining('found an encrypted key'),
    });
  });

  test('what it signs ends with the first of its own chain', async () => {
    newKey('short');
    certify('short', { by: 'root', days: '1' });
    const upstream = open('short', { rootsFile: at('root.pem') });
    const { notAfterMs } = await mintAndUse(upstream, { ttlSeconds: 7 * 86_400 });
    expect(notAfterMs).toBeLessThanOrEqual(Date.now() + 86_400_000);
    expect(notAfterMs).toBeGreaterThan(Date.now() + 86_000_000);
  });

  test('is read anew each time: files that were replaced count at once', async () => {
    newKey('rotating');
    certify('rotating');
    const upstream = open('rotating');
    const first = await mintAndUse(upstream);
    newKey('rotating');
    await expect(mintAndUse(upstream)).rejects.toMatchObject({
      code: 'ERR_SPIFFE_UPSTREAM_REFUSED',
      message: expect.stringMatching(
        /found a key in '.*' that is not of the first certificate in '.*', expected the two to fit$/,
      ),
    });
    certify('rotating');
    const second = await mintAndUse(upstream);
    expect(second.x509Roots).not.toEqual(first.x509Roots);
  });

  test('tells its roots at once, and after each change, and trouble without taking them back', async () => {
    writeFileSync(at('roots.pem'), readFileSync(at('root.pem')));
    const upstream = open('issuing', { rootsFile: at('roots.pem'), lookEveryMs: 10 });
    const seen: number[] = [];
    const errors: string[] = [];
    const stop = upstream.followRoots?.({
      onRoots: (roots) => seen.push(roots.length),
      onError: (error) => errors.push((error as { code: string }).code),
    });
    await expect.poll(() => seen).toEqual([1]);
    newKey('next');
    certify('next');
    const both = ['root', 'next'].map((name) => readFileSync(at(`${name}.pem`), 'utf8')).join('');
    writeFileSync(at('roots.pem'), 'half');
    await expect.poll(() => errors.at(-1)).toBe('ERR_SPIFFE_UPSTREAM_REFUSED');
    rmSync(at('roots.pem'));
    await expect.poll(() => errors.at(-1)).toBe('ERR_SPIFFE_UPSTREAM_UNAVAILABLE');
    writeFileSync(at('roots.pem'), both);
    await expect.poll(() => seen).toEqual([1, 2]);
    stop?.();
    await upstream.close();
  });

  test.each([
    [
      'a file that is not there',
      'nowhere',
      {},
      'ERR_SPIFFE_UPSTREAM_UNAVAILABLE',
      "found no readable '",
    ],
    [
      'an intermediate without root',
      'issuing',
      {},
      'ERR_SPIFFE_UPSTREAM_REFUSED',
      'expected the roots in a file of their own',
    ],
    [
      'a key as certificate',
      'root',
      { certificateFile: 'root.key' },
      'ERR_SPIFFE_UPSTREAM_REFUSED',
      'found 0 whole certificates',
    ],
    [
      'a certificate as key',
      'root',
      { keyFile: 'root.pem' },
      'ERR_SPIFFE_UPSTREAM_REFUSED',
      'found no private key in',
    ],
  ] as const)('refuses %s', async (_, name, files, code, message) => {
    const more = Object.fromEntries(Object.entries(files).map(([key, file]) => [key, at(file)]));
    await expect(mint(name, more)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('refuses what may not certify authorities', async () => {
    newKey('leaf');
    certify('leaf', { by: 'root', constraints: 'critical,CA:FALSE' });
    await expect(mint('leaf', { rootsFile: at('root.pem') })).rejects.toThrow(
      'expected the certificate of a CA',
    );
    newKey('lowest');
    certify('lowest', { by: 'root', constraints: 'critical,CA:TRUE,pathlen:0' });
    await expect(mint('lowest', { rootsFile: at('root.pem') })).rejects.toThrow(
      'found a certificate that allows 0 authorities below it (pathlen), expected 1 or more',
    );
    newKey('one-level');
    certify('one-level', { constraints: 'critical,CA:TRUE,pathlen:1' });
    await mint('one-level');
    newKey('below');
    certify('below', { by: 'one-level' });
    await expect(mint('below', { rootsFile: at('one-level.pem') })).rejects.toThrow(
      'found a certificate that allows 1 authorities below it (pathlen), expected 2 or more',
    );
    const later = () => Date.now() + 31 * 86_400_000;
    await expect(mint('root', { now: later })).rejects.toThrow('expected now within');
    await expect(mint('issuing', { rootsFile: at('one-level.pem') })).rejects.toThrow(
      'expected the root of the chain',
    );
    newKey('stranger');
    certify('stranger');
    const mixed = ['issuing', 'stranger'].map((name) => readFileSync(at(`${name}.pem`), 'utf8'));
    writeFileSync(at('mixed.pem'), mixed.join(''));
    await expect(
      mint('issuing', { certificateFile: at('mixed.pem'), rootsFile: at('stranger.pem') }),
    ).rejects.toThrow('expected the root of the chain');
  });
});
