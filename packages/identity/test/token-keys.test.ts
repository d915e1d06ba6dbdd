import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIdentity, openKeyring } from '@countersign/identity';
import { openDatabase, openFactLog } from '@countersign/state';
import {
  calculateJwkThumbprint,
  createLocalJWKSet,
  decodeProtectedHeader,
  exportJWK,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, newKey, passphrase, trustDomain } from './authority.ts';
import { alice, type LoginBank, startLoginBank } from './login/login-bank.ts';
import type { SoftwareAuthenticator } from './login/software-authenticator.ts';
import type { Teller } from './login/teller.ts';

const HOUR_MS = 3_600_000;
const by = 'local:uid=0';
const root = mkdtempSync(join(tmpdir(), 'token-keys-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('keys of access tokens', () => {
  let bank: LoginBank;
  let aliceKey: SoftwareAuthenticator;
  let teller: Teller;
  beforeEach(async () => {
    bank = await startLoginBank();
    aliceKey = await bank.enrol(alice);
    teller = await bank.teller();
  });
  afterEach(() => bank.close());

  const authorities = () => bank.authority.identity.authorities;
  const slots = () => authorities().show().token.authorities;
  const idOf = (state: string) => slots().find((slot) => slot.state === state)?.id ?? 'none';
  const kidOf = (token: string) => String(decodeProtectedHeader(token).kid);
  /** The kids of `/jwks`, and of the facts that points verify with; they are the same. */
  async function published(): Promise<string[]> {
    const answer = await bank.fetch(`${bank.authority.issuerUrl}/jwks`, {});
    const { keys } = (await answer.json()) as { keys: { kid: string }[] };
    const kids = keys.map(({ kid }) => kid).toSorted();
    const facts = bank.authority.factLog
      .all()
      .flatMap((fact) => (fact.kind === 'issuer-key' ? [fact.kid] : []));
    expect(facts.toSorted()).toEqual(kids);
    return kids;
  }
  async function verified(token: string): Promise<boolean> {
    const answer = await bank.fetch(`${bank.authority.issuerUrl}/jwks`, {});
    const keys = createLocalJWKSet((await answer.json()) as JSONWebKeySet);
    try {
      await jwtVerify(token, keys, { issuer: bank.authority.issuerUrl, audience: accounts });
      return true;
    } catch {
      return false;
    }
  }
  async function turn(): Promise<void> {
    await authorities().prepare('token', { by });
    await authorities().activate('token', { by });
  }

  test('rotate by the clock alone: known before it signs, known until its last token is over', async () => {
    const { advance, identity } = bank.authority;
    const first = idOf('active');
    expect(await published()).toEqual([first]);
    advance(12 * HOUR_MS + 1000);
    await identity.rotate();
    const second = idOf('prepared');
    expect(await published()).toEqual([first, second].toSorted());
    expect(idOf('active')).toBe(first);
    advance(8 * HOUR_MS);
    await identity.rotate();
    expect([idOf('old'), idOf('active')]).toEqual([first, second]);
    expect(await published()).toEqual([first, second].toSorted());
    advance(359_000);
    await identity.rotate();
    expect(await published()).toContain(first);
    advance(2000);
    await identity.rotate();
    expect(await published()).toEqual([second]);
  });

  test('rotate while a person signs in, and neither code, nor refresh token, nor session is lost', async () => {
    const pending = await teller.begin();
    await turn();
    const callback = await bank.browser().signIn(pending.url, aliceKey);
    await turn();
    const tokens = await teller.finish(callback, pending);
    expect(kidOf(tokens.access_token)).toBe(idOf('active'));
    expect(kidOf(String(tokens.id_token))).toBe(idOf('active'));
    expect(await verified(tokens.access_token)).toBe(true);
    const stolen = idOf('active');
    await turn();
    expect(await verified(tokens.access_token)).toBe(true);
    await authorities().taint('token', { id: stolen, reason: 'a backup was found', by });
    expect(await verified(tokens.access_token)).toBe(false);
    expect(await published()).not.toContain(stolen);
    const next = await teller.refresh(String(tokens.refresh_token));
    expect(await verified(next.access_token)).toBe(true);
    expect(await bank.authority.identity.login?.sessions()).toHaveLength(1);
    await authorities().revoke('token', { id: stolen, reason: 'all have others', by });
    expect(slots().map(({ id }) => id)).not.toContain(stolen);
    expect(
      bank.authority.events.flatMap((event) =>
        event.kind === 'administration' && event.target === `token ${stolen}`
          ? [[event.action, event.by, event.detail?.['reason']]]
          : [],
      ),
    ).toEqual([
      ['ca-prepared', by, undefined],
      ['ca-activated', by, undefined],
      ['ca-tainted', by, 'a backup was found'],
      ['ca-revoked', by, 'all have others'],
    ]);
  });

  test('many are asked for while keys turn: each names a key that is known, and verifies', async () => {
    const pending = await teller.begin();
    const callback = await bank.browser().signIn(pending.url, aliceKey);
    const { access_token } = await teller.finish(callback, pending);
    const made = [access_token];
    const ask = async (): Promise<void> => {
      const { publicKey: key } = newKey();
      const token = await bank.authority.identity.probeToken({
        ...{ subject: alice, clientId: 'teller', audience: accounts, key, by },
      });
      expect(await verified(token)).toBe(true);
      made.push(token);
    };
    for (let times = 0; times < 10; times += 1) {
      await Promise.all([ask(), turn(), ask(), ask()]);
    }
    for (const token of made) expect(await verified(token)).toBe(true);
    expect(new Set(made.map(kidOf)).size).toBeGreaterThan(1);
  });

  test('one that is active is not tainted, and what is not there is not activated', async () => {
    const options = { id: idOf('active'), reason: 'drill', by };
    expect(await authorities().taint('token', options)).toMatchObject({ code: 'authority-state' });
    expect(await authorities().activate('token', { by })).toMatchObject({ code: 'not-found' });
  });
});

test('the key file of before signs on under its kid until the next one does, and is removed then', async () => {
  const folder = join(root, 'keys');
  await openKeyring({ folder, passphrase });
  const { privateKey, publicKey } = newKey();
  const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
  const file = join(folder, 'access-tokens.pem');
  writeFileSync(file, privateKey.export(encrypted), { mode: 0o600 });
  const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
  const database = openDatabase({ file: ':memory:' });
  let nowMs = Date.now();
  const now = () => nowMs;
  const open = async () => {
    const factLog = await openFactLog(database, { trustDomain, now });
    const identity = await openIdentity({
      ...{ database, factLog, now, record: async () => {} },
      keyring: await openKeyring({ folder, passphrase }),
      options: {
        ...{ svidTtlSeconds: 3600, accessTokenTtlSeconds: 300 },
        issuerUrl: 'https://localhost:7402',
      },
    });
    return { identity, factLog };
  };
  const { identity, factLog } = await open();
  expect(identity.authorities.show().token.authorities).toMatchObject([
    { id: kid, state: 'active', keyIn: 'database' },
  ]);
  expect(factLog.get(`issuer-key https://localhost:7402 ${kid}`)).toMatchObject({
    jwk: { kid, alg: 'ES256', use: 'sig' },
  });
  nowMs += 13 * HOUR_MS;
  await identity.rotate();
  nowMs += 8 * HOUR_MS;
  await identity.rotate();
  expect(existsSync(file)).toBe(true);
  nowMs += 361_000;
  await identity.rotate();
  expect(existsSync(file)).toBe(false);
  const again = await open();
  expect(again.identity.authorities.show().token).toEqual(identity.authorities.show().token);
  expect(again.factLog.get(`issuer-key https://localhost:7402 ${kid}`)).toBeUndefined();
  await database.close();
});
