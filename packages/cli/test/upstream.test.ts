import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { EXIT } from '@countersign/cli';
import { missingSoftHsm, newSoftHsm, PIN } from '@countersign/test-support/softhsm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rotatingBank, until } from './rotating-bank.ts';

describe.skipIf(missingSoftHsm('openssl', 'pkcs11-tool'))(
  'an authority below a CA on disk, with its keys in an HSM',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'bank-ca-'));
    const at = (name: string): string => join(folder, name);
    let hsm: ReturnType<typeof newSoftHsm>;
    let bank: Awaited<ReturnType<typeof rotatingBank>>;

    /** How many private keys lie in the token, by the word of its own tool. */
    const keyCount = (): number => {
      const listed = spawnSync(
        'pkcs11-tool',
        [
          '--module',
          hsm.module,
          '--token-label',
          'bank',
          '--login',
          '--pin',
          PIN,
          '--list-objects',
          '--type',
          'privkey',
        ],
        { encoding: 'utf8' },
      );
      return listed.stdout.split('Private Key Object').length - 1;
    };

    beforeAll(async () => {
      hsm = newSoftHsm();
      hsm.initToken('bank');
      writeFileSync(at('pin'), `${PIN}\n`);
      newAuthority(at, 'root');
      newAuthority(at, 'issuing', 'root');
      bank = await rotatingBank({
        ca: JSON.stringify({
          lifetime: '24h',
          upstream: {
            disk: {
              certificateFile: at('issuing.pem'),
              keyFile: at('issuing.key'),
              rootsFile: at('root.pem'),
            },
          },
          keys: {
            pkcs11: {
              module: hsm.faulty,
              tokenLabel: 'bank',
              pin: { file: at('pin') },
              timeout: '2s',
            },
          },
        }),
      });
    }, 60_000);

    afterAll(async () => {
      await bank?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
      rmSync(hsm.folder, { recursive: true, force: true });
    });

    test("the bank's root is the trust anchor, and requests go through", async () => {
      const trust = JSON.parse(readFileSync(join(bank.data, 'trust.json'), 'utf8'));
      const root = new X509Certificate(readFileSync(at('root.pem')));
      expect(trust.x509Authorities).toEqual([root.raw.toString('base64')]);
      const workload = await bank.workload();
      expect(workload.chain).toHaveLength(3);
      expect(await bank.call(workload)).toBe(200);
    });

    test('ca show tells who signed, and where the key is', async () => {
      const { x509 } = await bank.show();
      expect(x509.authorities).toMatchObject([
        { state: 'active', keyIn: 'hsm', upstream: `disk ${at('issuing.pem')}` },
      ]);
    });

    test('each authority has a key of its own in the token, which goes with it', async () => {
      const before = keyCount();
      // One of each kind.
      expect(before).toBe(3);
      await bank.ca('prepare', 'x509');
      expect(keyCount()).toBe(4);
      const idOf = async (state: string) =>
        (await bank.show()).x509.authorities.find((slot) => slot.state === state)?.id ?? '';
      await bank.ca('activate', 'x509');
      const old = await idOf('old');
      await bank.ca('taint', 'x509', old, '--reason', 'a drill');
      const workload = await bank.workload();
      const calls = async () => (await bank.call(workload).catch(() => 0)) === 200;
      // Whoever did not renew before it is revoked never will.
      await until(calls, 'the point has renewed');
      await bank.ca('revoke', 'x509', old, '--reason', 'a drill');
      expect(keyCount()).toBe(3);
      await until(calls, 'calls go through');
    });

    test('after a restart the same keys sign', async () => {
      const { x509 } = await bank.show();
      await bank.restartAuthority();
      expect((await bank.show()).x509.authorities).toEqual(x509.authorities);
      expect(keyCount()).toBe(3);
      expect(await bank.call(await bank.workload())).toBe(200);
    });

    test('without the token nothing is issued and all else goes on; it issues again when the token is back', async () => {
      const workload = await bank.workload();
      renameSync(hsm.tokens, `${hsm.tokens}.pulled`);
      hsm.order('C_Sign rv 50 1');
      await expect(bank.workload()).rejects.toThrow(
        'there is no authority that can issue; try again',
      );
      expect(await bank.call(workload)).toBe(200);
      const { code, err } = await bank.onAuthority('ca', 'prepare', 'x509');
      expect([code, err]).toEqual([
        EXIT.failed,
        expect.stringContaining('expected the token to answer'),
      ]);
      renameSync(`${hsm.tokens}.pulled`, hsm.tokens);
      await until(
        () =>
          bank.workload().then(
            () => true,
            () => false,
          ),
        'it issues again',
      );
    });

    test('without the token it does not start', async () => {
      await expect(
        bank.restartAuthority(async () => renameSync(hsm.tokens, `${hsm.tokens}.pulled`)),
      ).rejects.toThrow(
        /cannot use the HSM of authority\.ca\.keys: could not start pkcs#11 module/,
      );
      renameSync(`${hsm.tokens}.pulled`, hsm.tokens);
      await bank.restartAuthority();
    });

    test('with another token in the place of a lost one, below the same root everybody goes on', async () => {
      const workload = await bank.workload();
      await expect(
        bank.restartAuthority(async () => {
          renameSync(hsm.tokens, `${hsm.tokens}.lost`);
          mkdirSync(hsm.tokens);
          hsm.initToken('bank');
        }),
      ).rejects.toThrow(
        /could not use key 'countersign bank\.example x509 .*': found none in the token/,
      );
      const database = new DatabaseSync(join(bank.data, 'authority/state.db'));
      database.exec('DELETE FROM authority');
      database.close();
      await bank.restartAuthority();
      expect(await bank.call(workload)).toBe(200);
      expect(await bank.call(await bank.workload())).toBe(200);
    });

    test('a restart with a wrong PIN is refused with words for the operator', async () => {
      writeFileSync(at('pin'), 'not the pin of it');
      await expect(bank.restartAuthority()).rejects.toThrow(
        /cannot use the HSM of authority\.ca\.keys: .*CKR_PIN_INCORRECT \(0xa0\): the PIN is wrong/,
      );
      writeFileSync(at('pin'), PIN);
      await bank.restartAuthority();
    });
  },
);

function newAuthority(at: (name: string) => string, name: string, by = name): void {
  execFileSync('openssl', [
    ...['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ...['-out', at(`${name}.key`)],
  ]);
  execFileSync('openssl', [
    ...['req', '-new', '-x509', '-subj', `/O=Bank/CN=${name}`, '-key', at(`${name}.key`)],
    ...(by === name ? [] : ['-CA', at(`${by}.pem`), '-CAkey', at(`${by}.key`)]),
    ...['-days', '3', '-out', at(`${name}.pem`), '-addext', 'basicConstraints=critical,CA:TRUE'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
}
