import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { rmSync } from 'node:fs';
import { openIdentity, openPkcs11Token, type Pkcs11Token } from '@countersign/identity';
import { type Database, openFactLog } from '@countersign/state';
import { missingSoftHsm, newSoftHsm, PIN } from '@countersign/test-support/softhsm';
import { compactVerify, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { accounts, id, keyring, newKey, trustDomain } from './authority.ts';
import { emptyDatabase } from './empty-database.ts';

describe.skipIf(missingSoftHsm())('the keys of authorities', () => {
  let hsm: ReturnType<typeof newSoftHsm>;
  let token: Pkcs11Token;
  let database: Database;
  const open = async (isInHsm: boolean) =>
    openIdentity({
      database,
      factLog: await openFactLog(database, { trustDomain, now: Date.now }),
      keyring: await keyring,
      now: Date.now,
      record: async () => undefined,
      ...(isInHsm && { openToken: async () => token }),
      options: {
        svidTtlSeconds: 3600,
        accessTokenTtlSeconds: 300,
        issuerUrl: 'https://localhost:7402',
      },
    });

  beforeAll(async () => {
    database = await emptyDatabase();
    hsm = newSoftHsm();
    hsm.initToken('keys');
    token = await openPkcs11Token({
      module: hsm.module,
      token: { label: 'keys' },
      pin: async () => PIN,
    });
  });

  afterAll(async () => {
    await token?.close();
    await database.close();
    rmSync(hsm.folder, { recursive: true });
  });

  test('that are in the database go on when an HSM is named, and the next one is made there', async () => {
    const [before] = (await open(false)).authorities.show().x509.authorities;
    const identity = await open(true);
    expect(identity.authorities.show().x509.authorities).toEqual([before]);
    await identity.authorities.prepare('x509', { by: 'a test' });
    await identity.authorities.activate('x509', { by: 'a test' });
    const states = identity.authorities.show().x509.authorities.map(({ state }) => state);
    expect(states).toEqual(['old', 'active']);
  });

  test('of tokens sign in the HSM, and points know them by their fact', async () => {
    const identity = await open(true);
    await identity.authorities.prepare('token', { by: 'a test' });
    const made = await identity.authorities.activate('token', { by: 'a test' });
    expect(made).toMatchObject({ keyIn: 'hsm' });
    const signed = await identity.probeToken({
      ...{ subject: id('workload/api'), clientId: 'api', audience: accounts, by: 'a test' },
      key: newKey().publicKey,
    });
    const { kid } = decodeProtectedHeader(signed);
    expect(made).toMatchObject({ id: kid });
    const facts = await openFactLog(database, { trustDomain, now: Date.now });
    const fact = facts.get(`issuer-key https://localhost:7402 ${kid}`);
    if (fact?.kind !== 'issuer-key') throw new Error('found no key');
    const key = createPublicKey({ key: fact.jwk as JsonWebKey, format: 'jwk' });
    await compactVerify(signed, key);
  });

  test('that are in an HSM do not open without it', async () => {
    await expect(open(false)).rejects.toMatchObject({
      code: 'ERR_IDENTITY_AUTHORITY',
      message: expect.stringMatching(
        /found it in an HSM \('countersign bank\.example (?:x509|token) [0-9a-f]{16}'\), expected authority\.ca\.keys to say which$/,
      ),
    });
  });
});
