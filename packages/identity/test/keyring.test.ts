import { createPublicKey, verify } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeyring } from '@countersign/identity';
import { signStatement, verifyStatement } from '@countersign/state';
import { afterAll, describe, expect, test } from 'vitest';
import { newKey, passphrase } from './authority.ts';

const root = mkdtempSync(join(tmpdir(), 'keyring-'));
afterAll(() => rmSync(root, { recursive: true }));
const NAMES = ['authorities.pem', 'facts.pem', 'log.pem', 'policy.pem', 'record.pem'];

describe('openKeyring', () => {
  test('makes five encrypted keys that only their owner may read, and opens them again', async () => {
    const folder = join(root, 'deep', 'keys');
    const made = await openKeyring({ folder, passphrase });
    expect(readdirSync(folder).sort()).toEqual(NAMES);
    expect(readdirSync(join(root, 'deep'))).toEqual(['keys']);
    for (const name of NAMES) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(folder, name), 'utf8')).toMatch(
        /^-----BEGIN ENCRYPTED PRIVATE KEY-----/,
      );
    }
    const opened = await openKeyring({ folder, passphrase });
    expect(opened.facts.publicJwk).toEqual(made.facts.publicJwk);
    const jws = await signStatement({ a: 1 }, { type: 't', signer: made.facts });
    expect(verifyStatement(jws, { type: 't', keys: [opened.facts.publicJwk] })).toEqual({ a: 1 });
    const message = Buffer.from('note');
    const logKey = createPublicKey({
      format: 'jwk',
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(made.log.publicKey).toString('base64url') },
    });
    expect(verify(null, message, logKey, opened.log.sign(message))).toBe(true);
    expect(opened.authoritySecret).toEqual(made.authoritySecret);
    expect(opened.authoritySecret).not.toEqual(opened.recordSecret);
  });

  test('keeps the keys apart', async () => {
    const keyring = await openKeyring({ folder: join(root, 'apart'), passphrase });
    const { facts, policy, log } = keyring;
    expect(facts.kid).not.toBe(policy.kid);
    expect(facts.publicJwk['x']).not.toBe(Buffer.from(log.publicKey).toString('base64url'));
    expect(JSON.stringify(keyring)).not.toContain('"d"');
  });

  test('refuses another passphrase, clearly', async () => {
    const folder = join(root, 'other');
    await openKeyring({ folder, passphrase });
    await expect(openKeyring({ folder, passphrase: `${passphrase}!` })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_PASSPHRASE',
      message: expect.stringContaining('the passphrase is not the one'),
    });
  });

  test('refuses a passphrase of 15 characters and takes one of 16', async () => {
    const folder = join(root, 'short');
    await expect(openKeyring({ folder, passphrase: 'x'.repeat(15) })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_PASSPHRASE',
    });
    await openKeyring({ folder, passphrase: 'x'.repeat(16) });
  });

  test('never makes a key anew that is missing among others', async () => {
    const folder = join(root, 'missing');
    await openKeyring({ folder, passphrase });
    rmSync(join(folder, 'log.pem'));
    await expect(openKeyring({ folder, passphrase })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_KEY',
      message: expect.stringContaining('log.pem'),
    });
    expect(readdirSync(folder)).toHaveLength(4);
  });

  test("makes the record's key for a keyring that is older than it, and keeps it", async () => {
    const folder = join(root, 'older');
    await openKeyring({ folder, passphrase });
    rmSync(join(folder, 'record.pem'));
    const { recordSecret } = await openKeyring({ folder, passphrase });
    expect(recordSecret).toHaveLength(32);
    expect((await openKeyring({ folder, passphrase })).recordSecret).toEqual(recordSecret);
  });

  test('refuses a key that others may read', async () => {
    const folder = join(root, 'readable');
    await openKeyring({ folder, passphrase });
    chmodSync(join(folder, 'facts.pem'), 0o640);
    await expect(openKeyring({ folder, passphrase })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_KEY',
      message: expect.stringContaining('640'),
    });
  });

  test.each([
    ['a key in the clear', newKey().privateKey.export({ type: 'pkcs8', format: 'pem' })],
    [
      'a key of another kind',
      newKey().privateKey.export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase,
      }),
    ],
  ])('refuses %s', async (name, pem) => {
    const folder = join(root, name);
    await openKeyring({ folder, passphrase });
    writeFileSync(join(folder, 'facts.pem'), pem);
    await expect(openKeyring({ folder, passphrase })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_KEY',
    });
  });

  test('takes an empty folder that was made for it', async () => {
    const folder = join(root, 'empty');
    mkdirSync(folder);
    await openKeyring({ folder, passphrase });
    expect(readdirSync(folder)).toHaveLength(5);
  });
});
