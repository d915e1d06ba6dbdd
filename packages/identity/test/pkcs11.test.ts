import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, verify } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openPkcs11Token, type Pkcs11Token, type Pkcs11TokenOptions } from '@countersign/identity';
import { createX509Authority, parseSpiffeId, verifyX509Svid } from '@countersign/spiffe';
import { missingSoftHsm, newSoftHsm, PIN } from '@countersign/test-support/softhsm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

describe.skipIf(missingSoftHsm())('keys in a PKCS#11 token', () => {
  let hsm: ReturnType<typeof newSoftHsm>;
  let token: Pkcs11Token;
  const message = Buffer.from('to be signed');
  const open = (options: Partial<Pkcs11TokenOptions> = {}): Promise<Pkcs11Token> =>
    openPkcs11Token({
      module: hsm.module,
      token: { label: 'bank' },
      pin: async () => PIN,
      ...options,
    });

  beforeAll(async () => {
    hsm = newSoftHsm();
    hsm.initToken('bank');
    token = await open();
  });

  afterAll(async () => {
    await token?.close();
    rmSync(hsm.folder, { recursive: true, force: true });
  });

  test('the token tells what it is', () => {
    expect(token.info).toMatchObject({ label: 'bank', manufacturer: 'SoftHSM project' });
    expect(token.info.serial).toMatch(/^[0-9a-f]{16}$/);
  });

  test('a P-256 key is made inside, is not extractable, and signs as OpenSSL verifies', async () => {
    const key = await token.makeKey('ca', 'p256');
    expect(key).toMatchObject({ kind: 'p256', isExtractable: false });
    for (let count = 0; count < 100; count += 1) {
      const text = Buffer.from(`${count}`);
      expect(verify('sha256', text, key.publicKey, await key.sign(text))).toBe(true);
    }
    const again = await token.key({ label: 'ca' }, 'p256');
    expect(again?.publicKey.equals(key.publicKey)).toBe(true);
    const byId = await token.key({ id: key.id }, 'p256');
    expect(byId?.publicKey.equals(key.publicKey)).toBe(true);
    await expect(token.makeKey('ca', 'p256')).rejects.toMatchObject({
      code: 'ERR_IDENTITY_HSM',
      message: "could not make key 'ca': found one of that label in the token, expected none",
    });
    await expect(token.key({ label: 'ca' }, 'ed25519')).rejects.toThrow(
      'found a key of another kind',
    );
  });

  test('an Ed25519 key signs', async () => {
    const key = await token.makeKey('facts', 'ed25519');
    expect(verify(null, message, key.publicKey, await key.sign(message))).toBe(true);
    const again = await token.key({ label: 'facts' }, 'ed25519');
    expect(again?.publicKey.equals(key.publicKey)).toBe(true);
  });

  test('a key that is not there is nothing, and one that was destroyed is not there', async () => {
    expect(await token.key({ label: 'nobody' }, 'p256')).toBeUndefined();
    await token.makeKey('short-lived', 'p256');
    expect(await token.destroyKey({ label: 'short-lived' })).toBe(true);
    expect(await token.destroyKey({ label: 'short-lived' })).toBe(false);
    expect(await token.key({ label: 'short-lived' }, 'p256')).toBeUndefined();
  });

  test('an authority whose key is in the token issues SVIDs', async () => {
    const signer = await token.makeKey('authority', 'p256');
    const authority = await createX509Authority({
      trustDomain: 'bank.example',
      signer,
      now: Date.now,
    });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spiffeId = parseSpiffeId('spiffe://bank.example/workload/api');
    const svids = await Promise.all(
      Array.from({ length: 50 }, () =>
        authority.issueSvid({ spiffeId, publicKey, ttlSeconds: 60 }),
      ),
    );
    const bundles = new Map([['bank.example', [authority.certificate]]]);
    for (const { chain } of svids) verifyX509Svid(chain, { bundles, now: Date.now });
  });

  test('a key that was imported is used, by its label or its id', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = join(hsm.folder, 'imported.pem');
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
    execFileSync('softhsm2-util', [
      ...['--module', hsm.module, '--import', file, '--token', 'bank', '--pin', PIN],
      ...['--label', 'imported', '--id', 'a1'],
    ]);
    const key = await token.key({ label: 'imported' }, 'p256');
    expect(key?.id).toBe('a1');
    expect(
      verify('sha256', message, key?.publicKey as never, (await key?.sign(message)) as never),
    ).toBe(true);
  });

  test('two keys of one label are not chosen between', async () => {
    for (const id of ['b1', 'b2']) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const file = join(hsm.folder, `${id}.pem`);
      writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }));
      execFileSync('softhsm2-util', [
        ...['--module', hsm.module, '--import', file, '--token', 'bank', '--pin', PIN],
        ...['--label', 'twins', '--id', id],
      ]);
    }
    await expect(token.key({ label: 'twins' }, 'p256')).rejects.toThrow(
      "could not choose a key 'twins': found 2 private keys in the token, expected one; name its id",
    );
    expect((await token.key({ label: 'twins', id: 'b2' }, 'p256'))?.id).toBe('b2');
  });

  test.each([
    [
      'a relative path',
      { module: 'softhsm2.so' },
      "found 'softhsm2.so', expected an absolute path",
    ],
    ['a file that is not there', { module: '/nowhere/p11.so' }, 'cannot open shared object file'],
    [
      'a library that is no module',
      { module: '/lib/x86_64-linux-gnu/libc.so.6' },
      'C_GetFunctionList',
    ],
    ['no token named', { token: {} }, 'found neither, expected a label or a serial number'],
    ['too many sessions', { sessionsMax: 5 }, 'found 5 sessions, expected 1 to 4'],
  ] as const)('refuses %s', async (_, options, message) => {
    await expect(open(options)).rejects.toMatchObject({
      code: 'ERR_IDENTITY_HSM',
      message: expect.stringContaining(message),
    });
  });

  test('a token that is in no slot is worth asking again', async () => {
    await expect(open({ token: { label: 'elsewhere' } })).rejects.toMatchObject({
      code: 'ERR_IDENTITY_HSM_UNAVAILABLE',
      message: expect.stringContaining("found no token with label 'elsewhere'"),
    });
  });

  describe('when things go wrong', () => {
    let faulty: Pkcs11Token;
    const openFaulty = (options: Partial<Pkcs11TokenOptions> = {}) =>
      open({
        module: hsm.faulty,
        timeoutMs: 2000,
        ...options,
      });

    beforeAll(async () => {
      await token.close();
      faulty = await openFaulty();
    });

    beforeEach(() => hsm.order());

    afterAll(() => faulty?.close());

    test.each([
      ['the session', 0xb3],
      ['the login', 0x101],
      ['the key handle', 0x60],
      ['the device for a moment', 0x32],
      ['the initialisation', 0x190],
    ])('a signature survives the loss of %s', async (_, value) => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      hsm.order(`C_Sign rv ${value} 1`);
      const signature = await key?.sign(message);
      expect(verify('sha256', message, key?.publicKey as never, signature as never)).toBe(true);
    });

    test('one loss among many signatures at once costs none of them', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      hsm.order('C_Sign rv 50 2', 'C_OpenSession rv 179 1');
      const signatures = await Promise.all(Array.from({ length: 20 }, () => key?.sign(message)));
      for (const signature of signatures) {
        expect(verify('sha256', message, key?.publicKey as never, signature as never)).toBe(true);
      }
    });

    test('a token that is pulled is told in words, and works again when it is put back', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      const away = join(hsm.folder, 'pulled');
      mkdirSync(away);
      const names = readdirSync(hsm.tokens);
      const move = (from: string, to: string) => {
        for (const name of names) renameSync(join(from, name), join(to, name));
      };
      move(hsm.tokens, away);
      hsm.order('C_Sign rv 50 1');
      await expect(key?.sign(message)).rejects.toMatchObject({
        code: 'ERR_IDENTITY_HSM_UNAVAILABLE',
        message: expect.stringMatching(
          /found no token with label 'bank', expected the token to answer$/,
        ),
      });
      move(away, hsm.tokens);
      await expect
        .poll(async () => (await key?.sign(message).catch(() => undefined))?.length, {
          timeout: 20_000,
        })
        .toBeGreaterThan(60);
    });

    test('another token with the same names in the slot signs nothing', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      const away = join(hsm.folder, 'swapped');
      renameSync(hsm.tokens, away);
      mkdirSync(hsm.tokens);
      hsm.initToken('bank');
      execFileSync('softhsm2-util', [
        ...['--module', hsm.module, '--import', join(hsm.folder, 'imported.pem')],
        ...['--token', 'bank', '--pin', PIN, '--label', 'ca', '--id', 'c1'],
      ]);
      hsm.order('C_Sign rv 50 1');
      await expect(key?.sign(message)).rejects.toMatchObject({
        code: 'ERR_IDENTITY_HSM',
        message:
          "could not use key 'ca': found another key of that name in the token, expected the one that was used before",
      });
      rmSync(hsm.tokens, { recursive: true });
      renameSync(away, hsm.tokens);
      hsm.order('C_Sign rv 50 1');
      const signature = await key?.sign(message);
      expect(verify('sha256', message, key?.publicKey as never, signature as never)).toBe(true);
    });

    test('what the module answers is told by name and in words', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      hsm.order('C_Sign rv 48 3');
      await expect(key?.sign(message)).rejects.toMatchObject({
        code: 'ERR_IDENTITY_HSM_UNAVAILABLE',
        message: expect.stringContaining(
          'C_Sign: CKR_DEVICE_ERROR (0x30): the device has a problem',
        ),
      });
      hsm.order('C_GenerateKeyPair rv 49 1');
      await expect(faulty.makeKey('full', 'p256')).rejects.toMatchObject({
        code: 'ERR_IDENTITY_HSM',
        message:
          "could not make key 'full': found C_GenerateKeyPair: CKR_DEVICE_MEMORY (0x31): the device is full, expected CKR_OK",
      });
      hsm.order('C_Sign rv 2147483649 1');
      await expect(key?.sign(message)).rejects.toThrow('CKR_VENDOR_DEFINED (0x80000001)');
    });

    test('a key is not made twice when the token goes away meanwhile', async () => {
      hsm.order('C_GenerateKeyPair rv 50 1');
      await expect(faulty.makeKey('once', 'p256')).rejects.toMatchObject({
        code: 'ERR_IDENTITY_HSM_UNAVAILABLE',
      });
      expect(await faulty.key({ label: 'once' }, 'p256')).toBeUndefined();
    });

    test('a slow token stops nothing else in the process, and one that hangs is given up', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      hsm.order('C_Sign sleep 1000 1');
      const order: string[] = [];
      const signing = key?.sign(message).then(() => order.push('signed'));
      let turnCount = 0;
      const turns = setInterval(() => {
        turnCount += 1;
      }, 1);
      await new Promise((resolve) => setTimeout(resolve, 100));
      // The other session signs at once.
      await key?.sign(message).then(() => order.push('signed by the other session'));
      await signing;
      clearInterval(turns);
      expect(order).toEqual(['signed by the other session', 'signed']);
      expect(turnCount).toBeGreaterThan(20);

      hsm.order('C_Sign sleep 3000 2');
      const three = await Promise.allSettled([1, 2, 3].map(() => key?.sign(message)));
      for (const each of three) {
        expect(each).toMatchObject({
          status: 'rejected',
          reason: {
            code: 'ERR_IDENTITY_HSM_UNAVAILABLE',
            message: expect.stringContaining('no answer in 2000 ms'),
          },
        });
      }
      await expect.poll(() => key?.sign(message), { timeout: 10_000 }).toBeDefined();
    });

    test('more than a thousand that wait are refused at once', async () => {
      const key = await faulty.key({ label: 'ca' }, 'p256');
      hsm.order('C_Sign sleep 500 2');
      const all = await Promise.allSettled(Array.from({ length: 1003 }, () => key?.sign(message)));
      const refused = all.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []));
      expect(new Set(refused)).toEqual(new Set(['ERR_IDENTITY_BUSY']));
      // One or two of the test before this may still be in the module.
      expect(refused.length).toBeLessThanOrEqual(3);
    });

    test('a PIN that was refused is not tried again', async () => {
      await faulty.close();
      let pinCount = 0;
      const wrong = await openFaulty({
        pin: async () => {
          pinCount += 1;
          return pinCount === 1 ? PIN : 'no longer';
        },
      });
      const key = await wrong.key({ label: 'ca' }, 'p256');
      for (let count = 0; count < 5; count += 1) {
        hsm.order('C_Sign rv 50 1');
        await expect(key?.sign(message)).rejects.toMatchObject({
          code: 'ERR_IDENTITY_HSM',
          message: expect.stringContaining('C_Login: CKR_PIN_INCORRECT (0xa0): the PIN is wrong'),
        });
      }
      expect(pinCount).toBe(2);
      await wrong.close();
      await expect(key?.sign(message)).rejects.toThrow('found a token that was closed');
    });
  });
});
