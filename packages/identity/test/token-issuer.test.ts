import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type LoginSettings,
  type NewEvent,
  openIdentity,
  openIssuerSettings,
  openTokenIssuer,
  type TokenIssuer,
} from '@countersign/identity';
import { openFactLog, openPostgres } from '@countersign/state';
import {
  type Postgres,
  type PostgresPlace,
  postgresOrSkip,
  startPostgres,
} from '@countersign/test-support/postgres';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sealKey } from '../src/authorities/sealed-key.ts';
import type { IdentityTables } from '../src/tables.ts';
import {
  accounts,
  keyring,
  newKey,
  registration,
  startAuthority,
  type TestAuthority,
  trustDomain,
} from './authority.ts';
import { tokenKeyOf } from './stolen-authority.ts';

const bin = postgresOrSkip();
const LOGIN: LoginSettings = {
  ...{ rpId: 'localhost', name: 'Example Bank', approvalOrigins: [] },
  ...{ sessionTtlSeconds: 3600, sessionIdleSeconds: 3600, administrators: [] },
  ...{ recoveryApprovers: [], exceptions: [], hardwareKeys: { roots: [], aaguids: [] } },
};

describe.skipIf(bin === undefined)('an issuer alone beside the room', () => {
  let server: Postgres;
  let place: PostgresPlace;
  let authority: TestAuthority;
  const closing: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    if (bin !== undefined) server = await startPostgres(bin);
  }, 60_000);
  afterAll(() => server?.stop());
  beforeEach(async () => {
    if (bin === undefined) return;
    place = await server.createDatabase();
    authority = await startAuthority(
      { login: () => LOGIN },
      { database: await openPostgres(place) },
    );
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await authority?.close();
  });

  async function openAlone(tokenSecret?: Uint8Array) {
    const database = await openPostgres({ ...place, isMadeElsewhere: true });
    closing.push(() => database.close());
    const now = () => authority.now();
    const factLog = await openFactLog(database, { trustDomain, now });
    const events: NewEvent[] = [];
    const log = { isFailing: false };
    const issuer = await openTokenIssuer({
      ...{ database, factLog, now },
      tokenSecret: tokenSecret ?? (await keyring).tokenSecret,
      options: {
        ...{ svidTtlSeconds: 120, accessTokenTtlSeconds: 300, issuerUrl: authority.issuerUrl },
        login: () => LOGIN,
      },
      async record(event) {
        if (log.isFailing) throw new Error('the log is gone');
        events.push(event);
      },
    });
    return { database, issuer, events, log };
  }

  async function served({ issuer }: TokenIssuer): Promise<string> {
    const server = createServer((request, response) => issuer.handler(request, response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    closing.push(async () => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const sealed = () =>
    authority.database.tables<IdentityTables>().selectFrom('authority').selectAll().execute();

  test('opens with the secret of tokens, writes no event, and changes nothing of the authorities', async () => {
    const [before, facts] = [await sealed(), authority.factLog.all()];
    const { events } = await openAlone();
    expect(await sealed()).toEqual(before);
    expect(authority.factLog.all()).toEqual(facts);
    expect(events).toEqual([]);
  });

  test('gives no token that it cannot record, and records each that it gives', async () => {
    const keys = newKey();
    await authority.identity.applyRegistrations(
      [
        registration('agent/robot', {
          client: {
            ...{ id: 'robot', authentication: 'private_key_jwt', binding: 'dpop' },
            jwks: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'r1' }],
            ...{ audiences: [accounts], scopes: ['accounts'] },
          },
        }),
      ],
      [],
    );
    const { issuer, events, log } = await openAlone();
    const url = await served(issuer);
    const signed = (claims: object, header: { alg: string } & object) =>
      new SignJWT({ jti: randomUUID(), ...claims })
        .setIssuedAt()
        .setProtectedHeader(header)
        .sign(keys.privateKey);
    const ask = async () => {
      const { issuerUrl: aud } = authority;
      const claims = { iss: 'robot', sub: 'robot', aud, exp: Math.floor(Date.now() / 1000) + 60 };
      const jwk = keys.publicKey.export({ format: 'jwk' });
      const answer = await fetch(`${url}/token`, {
        method: 'POST',
        headers: {
          DPoP: await signed(
            // The provider takes the scheme from the connection, which is plain here.
            { htm: 'POST', htu: `${aud.replace('https', 'http')}/token` },
            {
              alg: 'ES256',
              typ: 'dpop+jwt',
              jwk,
            } as never,
          ),
        },
        body: new URLSearchParams({
          ...{ grant_type: 'client_credentials', scope: 'accounts', resource: accounts },
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: await signed(claims, { alg: 'ES256', kid: 'r1' } as never),
        }),
      });
      const body = (await answer.json()) as { access_token?: string };
      return { status: answer.status, isGiven: body.access_token !== undefined };
    };
    expect(await ask()).toEqual({ status: 200, isGiven: true });
    expect(events.map((event) => event.kind === 'administration' && event.action)).toEqual([
      'session-started',
      'token-issued',
    ]);
    log.isFailing = true;
    expect(await ask()).toEqual({ status: 500, isGiven: false });
  });

  test('knows the web applications that it is told of, also when the authority registers points and people', async () => {
    const web = {
      ...{ id: 'https://ops.bank.example/edge', audience: 'https://ops.bank.example' },
      ...{ redirectUri: 'https://ops.bank.example/.countersign/callback', acr: 'phr' as const },
      ...{ scopes: ['web'], tokenTtlSeconds: 300 },
    };
    const { issuer, events } = await openAlone();
    const url = await served(issuer);
    const said = async (): Promise<string> => {
      const body = new URLSearchParams({ client_id: web.id });
      await (await fetch(`${url}/request`, { method: 'POST', body })).text();
      const last = events.at(-1);
      return (last?.kind === 'authentication' && last.detail) || '';
    };
    const isKnown = expect.stringContaining('certificate was not provided');
    // Told before the point is there: rows and settings come in any order.
    issuer.noteWebClients([{ name: 'edge', web: [web] }]);
    expect(await said()).not.toEqual(isKnown);
    await authority.identity.registerPoints([{ name: 'edge', surfaces: [], web: [web] }]);
    await expect.poll(said, { timeout: 5000 }).toEqual(isKnown);
    await authority.identity.applyRegistrations([registration('workload/late')], []);
    await authority.identity.registerPoints([{ name: 'edge', surfaces: ['a'], web: [web] }]);
    expect(await said()).toEqual(isKnown);
    issuer.noteWebClients([]);
    expect(await said()).not.toEqual(isKnown);
  });

  test('follows which key signs: what the authority prepares is shown here, what it taints is not', async () => {
    const { issuer } = await openAlone();
    const url = await served(issuer);
    const kids = async (): Promise<string[]> => {
      const { keys } = (await (await fetch(`${url}/jwks`)).json()) as { keys: { kid: string }[] };
      return keys.map(({ kid }) => kid);
    };
    const { kid: first } = await tokenKeyOf(authority);
    expect(await kids()).toEqual([first]);
    const by = 'local:uid=0';
    const { authorities } = authority.identity;
    await authorities.prepare('token', { by });
    await expect.poll(kids, { timeout: 5000 }).toHaveLength(2);
    await authorities.activate('token', { by });
    await authorities.taint('token', { id: first, reason: 'stolen', by });
    const { kid: second } = await tokenKeyOf(authority);
    await expect.poll(kids, { timeout: 5000 }).toEqual([second]);
  });

  test('that secret opens no X.509 or JWT authority', async () => {
    const { tokenSecret } = await keyring;
    // As an authority would open: it needs those, too.
    const database = await openPostgres(place);
    closing.push(() => database.close());
    await expect(
      openIdentity({
        ...{ database, factLog: authority.factLog, now: authority.now },
        keyring: { ...(await keyring), authoritySecret: tokenSecret },
        options: {
          ...{ svidTtlSeconds: 120, accessTokenTtlSeconds: 300, issuerUrl: authority.issuerUrl },
        },
        record: async () => undefined,
      }),
    ).rejects.toMatchObject({ code: 'ERR_IDENTITY_AUTHORITY' });
  });

  test('refuses the secret of another authority', async () => {
    await expect(openAlone(new Uint8Array(32))).rejects.toMatchObject({
      code: 'ERR_IDENTITY_AUTHORITY',
      message: expect.stringContaining("sealed under another 'authorities.pem'"),
    });
  });

  test('opens what an older version sealed once the authority has started', async () => {
    const { kid, privateKey } = await tokenKeyOf(authority);
    const kept = privateKey.export({ format: 'der', type: 'pkcs8' });
    const secret = (await keyring).authoritySecret;
    await authority.database
      .tables<IdentityTables>()
      .updateTable('authority')
      .set({ sealed: sealKey(kept, { secret, name: `token ${kid}` }) })
      .where('id', '=', kid)
      .execute();
    await expect(openAlone()).rejects.toMatchObject({ code: 'ERR_IDENTITY_AUTHORITY' });
    const again = await startAuthority(
      { issuerUrl: authority.issuerUrl },
      { database: await openPostgres(place) },
    );
    closing.push(() => again.close());
    expect((await tokenKeyOf(again)).privateKey.equals(privateKey)).toBe(true);
    await openAlone();
  });

  test('refuses a database of which no authority has made the tables, and makes none', async () => {
    place = await server.createDatabase();
    await expect(openAlone()).rejects.toMatchObject({
      code: 'ERR_STATE_MIGRATION',
      message: expect.stringContaining('expected those of an authority'),
    });
    const client = await server.connect(place.database);
    const { rows } = await client.query("select 1 from pg_tables where schemaname = 'public'");
    await client.end();
    expect(rows).toEqual([]);
  });

  test('refuses a database whose authority is of an older version', async () => {
    const client = await server.connect(place.database);
    await client.query(
      `delete from migration where room = 'identity'
         and position = (select max(position) from migration where room = 'identity')`,
    );
    await client.end();
    await expect(openAlone()).rejects.toMatchObject({
      code: 'ERR_STATE_MIGRATION',
      message: expect.stringContaining('start the authority of this version first'),
    });
  });

  test('hears of settings that the authority writes, and of each that is another', async () => {
    const written = await openIssuerSettings(authority.database);
    const { database } = await openAlone();
    let heard = 0;
    const read = await openIssuerSettings(database, { onChange: () => (heard += 1) });
    expect(read.current()).toBeUndefined();
    await written.put('{"a":1}');
    await expect.poll(() => read.current()).toBe('{"a":1}');
    await written.put('{"a":1}');
    await written.put('{"a":2}');
    await expect.poll(() => read.current()).toBe('{"a":2}');
    expect(heard).toBe(1);
  });
});

test('the secrets of a keyring are apart from each other', async () => {
  const { authoritySecret, tokenSecret, recordSecret } = await keyring;
  const all = [authoritySecret, tokenSecret, recordSecret].map((each) =>
    Buffer.from(each).toString('hex'),
  );
  expect(new Set(all).size).toBe(3);
});
