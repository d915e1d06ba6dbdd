import { createHash } from 'node:crypto';
import { cp, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Browser } from '../../identity/test/login/browser.ts';
import { askAs, controlOf } from './as-peer.ts';
import { ALICE, issuerBank, type Via } from './issuer-bank.ts';
import { countersign } from './test-io.ts';

const bin = postgresOrSkip();
const BOTH: readonly Via[] = ['authority', 'issuer-b'];

describe.skipIf(bin === undefined)('an issuer beside the authority', () => {
  let server: Postgres;
  let bank: Awaited<ReturnType<typeof issuerBank>>;
  let authority: typeof bank.authority;
  let issuer: typeof bank.issuerProcess;
  beforeAll(async () => {
    if (bin === undefined) return;
    server = await startPostgres(bin);
    bank = await issuerBank(await server.createDatabase());
    ({ authority, issuerProcess: issuer } = bank);
  }, 90_000);
  afterAll(async () => {
    await bank?.close([authority, issuer].filter((each) => each !== undefined));
    await server?.stop();
  });

  const errorOf = async (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => 'none',
      (error: client.ResponseBodyError) => String(error.error ?? error.message),
    );
  const status = async () => JSON.parse((await bank.onData('status', '--json')).out);
  /** Events of the issuer's log that the authority holds. */
  const collected = async (...words: string[]): Promise<{ action?: string; origin: string }[]> => {
    const found = await bank.onData('find', '--log', 'issuer-b', '--json', ...words);
    return JSON.parse(found.out).answer.rows.map(({ event }: { event: object }) => event);
  };

  test('issues to a client of openid-client, and the edge takes the token; it stands in the authority’s record', async () => {
    bank.go('issuer-b');
    const token = await bank.token();
    expect(decodeJwt(token)).toMatchObject({ iss: bank.issuerUrl });
    expect(await bank.call(token)).toBe(200);
    await expect
      .poll(async () => (await collected('--action', 'token-issued')).length, { timeout: 10_000 })
      .toBe(1);
    expect(await status()).toMatchObject({
      points: [{ name: 'edge' }],
      issuers: [{ name: 'issuer-b', connected: true, heardAtMs: expect.any(Number) }],
    });
    const { out } = await bank.onData('events', '--json', '--kind', 'administration');
    expect(out).toContain('"action":"issuer-keys-given"');
  });

  test('is the only one that gets what it issues with: a point of the same bank does not, and the file is its own', async () => {
    const svidOf = async (folder: string, name: string) => {
      const kept = await readFile(join(folder, 'points', name, 'svid/svid.json'), 'utf8');
      const { chain, keyPem } = JSON.parse(kept) as { chain: string[]; keyPem: string };
      return { chain: chain.map((der) => Buffer.from(der, 'base64')), keyPem };
    };
    const url = `${controlOf(bank.data)}/v1/issuer`;
    const refused = await askAs(await svidOf(bank.edgeData, 'edge'), url);
    expect(refused.status).toBe(403);
    const given = await askAs(await svidOf(bank.dataB, 'issuer-b'), url);
    expect([given.status, Object.keys(JSON.parse(given.body))]).toEqual([
      200,
      ['storage', 'tokenSecret'],
    ]);
    expect(refused.body).not.toContain(JSON.parse(given.body).tokenSecret);
    const { mode } = await stat(join(bank.dataB, 'points/issuer-b/keys/issuer.json'));
    expect(mode & 0o777).toBe(0o600);
  });

  test('takes a proof and an assertion once, wherever they were shown first; the refusals stand in the record', async () => {
    const [assertion, proof] = [await bank.assertion(), await bank.proof()];
    bank.go('authority');
    expect(await bank.ask(assertion, proof)).toMatchObject({ status: 200 });
    bank.go('issuer-b');
    expect(await bank.ask(await bank.assertion(), proof)).toMatchObject({ error: 'invalid_grant' });
    expect(await bank.ask(assertion, await bank.proof())).toMatchObject({
      error: 'invalid_client',
    });
    await expect
      .poll(async () => (await collected('--kind', 'authentication')).length, { timeout: 10_000 })
      .toBe(2);
  });

  test('signs people in; a code that comes back at the other ends the session there, and at the points at once', async () => {
    bank.go('issuer-b');
    const made = await bank.onData('passkey', 'invite', ALICE, '--json');
    const key = await bank.newKey();
    const browser = () => new Browser(bank.issuerUrl, bank.fetchIt);
    const enrolled = await browser().enrol(JSON.parse(made.out).code, key, { hardware: true });
    expect(enrolled.status).toBe(201);
    const app = await bank.teller();
    const pending = await app.begin();
    bank.go('authority');
    const callback = await browser().signIn(pending.url, key);
    const tokens = await app.finish(callback, pending);
    const called = async (): Promise<number> => {
      const answer = await app
        .call(bank.edgeUrl, tokens.access_token)
        .catch((error: { response?: Response }) => error.response as Response);
      return answer.status;
    };
    expect(await called()).toBe(200);
    bank.go('issuer-b');
    expect(await errorOf(app.finish(callback, pending))).toBe('invalid_grant');
    // What the issuer revoked is a fact, and the authority's feed brings it.
    await expect.poll(called, { timeout: 2000, interval: 50 }).toBe(401);
    for (const at of BOTH) {
      bank.go(at);
      expect(await errorOf(app.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
    }
  });

  test('signs a person out of a session that began at the authority, and the points hear of it', async () => {
    bank.go('authority');
    const made = await bank.onData('passkey', 'invite', 'human/bob', '--json');
    const key = await bank.newKey();
    const browser = new Browser(bank.issuerUrl, bank.fetchIt);
    await browser.enrol(JSON.parse(made.out).code, key, { hardware: true });
    const app = await bank.teller();
    const pending = await app.begin();
    const tokens = await app.finish(await browser.signIn(pending.url, key), pending);
    const called = async (): Promise<number> => {
      const answer = await app
        .call(bank.edgeUrl, tokens.access_token)
        .catch((error: { response?: Response }) => error.response as Response);
      return answer.status;
    };
    expect(await called()).toBe(200);
    bank.go('issuer-b');
    await client.tokenRevocation(app.config, String(tokens.refresh_token));
    await expect.poll(called, { timeout: 2000, interval: 50 }).toBe(401);
    await expect
      .poll(async () => (await collected('--action', 'session-revoked')).length, { timeout: 5000 })
      .toBeGreaterThan(0);
  });

  test('refuses within a second what is revoked at the authority, and gives again when it is taken back', async () => {
    bank.go('issuer-b');
    const revoke = (...words: string[]) =>
      bank.onData('revoke', 'subject', 'workload/reporter', '--reason', 'stolen', ...words);
    expect((await revoke()).code).toBe(EXIT.ok);
    const refused = () => errorOf(bank.token());
    await expect.poll(refused, { timeout: 1000, interval: 20 }).not.toBe('none');
    expect((await revoke('--reinstate')).code).toBe(EXIT.ok);
    await expect.poll(refused, { timeout: 1000, interval: 20 }).toBe('none');
  });

  test('takes clients that are applied while it runs', async () => {
    await bank.edit('identities/people.yaml', [['id: reporter', 'id: reporter-2']]);
    expect(JSON.parse((await bank.onData('apply', '--json')).out)).toMatchObject({ restart: [] });
    bank.go('issuer-b');
    await expect
      .poll(() => errorOf(bank.token()), { timeout: 2000, interval: 50 })
      .toBe('invalid_client');
    await bank.edit('identities/people.yaml', [['id: reporter-2', 'id: reporter']]);
    await bank.onData('apply');
    await expect.poll(() => errorOf(bank.token()), { timeout: 2000, interval: 50 }).toBe('none');
  });

  test('is named where what both read at their start was changed', async () => {
    await bank.edit('countersign.yaml', [[/accessTokenTtl: \S+/, 'accessTokenTtl: 4m']]);
    const { out } = await bank.onData('apply', '--json');
    expect(JSON.parse(out)).toMatchObject({ restart: ['authority', 'issuer-b'] });
    await bank.edit('countersign.yaml', [['accessTokenTtl: 4m', 'accessTokenTtl: 5m']]);
    expect((await bank.onData('apply')).code).toBe(EXIT.ok);
  });

  test('is alone under its name', async () => {
    // A data folder that was copied is the same log twice.
    const copy = `${bank.dataB}-copy`;
    await cp(bank.dataB, copy, { recursive: true, filter: (from) => !from.endsWith('lock') });
    const second = await countersign(['issuer', 'issuer-b', '-d', copy]);
    expect(second.code).toBe(EXIT.failed);
    expect(second.err).toContain('another process runs as issuer-b on test@');
    await rm(copy, { recursive: true });
  });

  test('does not start by a clock that is further from the database’s than tokens are given', async () => {
    const copy = `${bank.dataB}-copy`;
    await cp(bank.dataB, copy, { recursive: true, filter: (from) => !from.endsWith('lock') });
    const late = await countersign(['issuer', 'issuer-b', '-d', copy], {
      now: () => Date.now() - 6000,
    });
    expect(late.code).toBe(EXIT.failed);
    expect(late.err).toMatch(/our clock [56]\d{3} ms behind the database's, expected at most 5000/);
  });

  test('goes on while the authority is dead; what it did is collected later, and the chain verifies', async () => {
    authority.kill();
    await authority.exited;
    bank.go('issuer-b');
    const before = await bank.token();
    expect(decodeJwt(before)).toMatchObject({ iss: bank.issuerUrl });
    // It also starts, from what it was given before.
    await issuer.stop({ graceMs: 5000 });
    issuer = await bank.startIssuer();
    await bank.token();
    authority = await bank.startAuthority();
    await expect
      .poll(async () => (await status()).issuers, { timeout: 20_000 })
      .toMatchObject([{ connected: true }]);
    const jtiHash = createHash('sha256')
      .update(String(decodeJwt(before).jti))
      .digest('base64url');
    await expect
      .poll(async () => JSON.stringify(await collected('--action', 'token-issued')), {
        timeout: 10_000,
      })
      .toContain(jtiHash);
    expect(await bank.call(await bank.token())).toBe(200);
    const verified = await bank.onData('ledger', 'verify');
    expect([verified.code, verified.err]).toEqual([EXIT.ok, '']);
    expect(verified.out).toMatch(/good {2}issuer-b \(collected\)/);
  });

  test('is not missed by the authority: that serves on, and says who is away', async () => {
    issuer.kill();
    await issuer.exited;
    bank.go('authority');
    expect(await bank.call(await bank.token())).toBe(200);
    await expect
      .poll(async () => (await status()).issuers, { timeout: 10_000 })
      .toMatchObject([{ connected: false }]);
    const said = await bank.onData('status');
    expect(said.code).toBe(EXIT.negative);
    expect(said.out).toMatch(/issuers\n {2}issuer-b +away +log \d+ entries, last heard of 20/);
  });

  test('ends when it is revoked, and does not start again', async () => {
    issuer = await bank.startIssuer();
    const name = 'workload/countersign/issuer-b';
    await bank.onData('revoke', 'subject', name, '--reason', 'host stolen');
    expect(await issuer.exited).toBe('exit code 3');
    expect(await bank.log('issuer-b')).toContain('revoked, expected an issuer');
    await expect(bank.startIssuer()).rejects.toThrow('exit code 3');
    await bank.onData('revoke', 'subject', name, '--reinstate');
  });

  test('ends when the configuration names it no more', async () => {
    issuer = await bank.startIssuer();
    await bank.edit('countersign.yaml', [[/ {2}issuers: .*\n/, '']]);
    expect((await bank.onData('apply')).code).toBe(EXIT.ok);
    expect(await issuer.exited).toBe('exit code 3');
    expect(await status()).toMatchObject({ issuers: [] });
  });
});
