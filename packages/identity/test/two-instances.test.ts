import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Identity, LoginSettings } from '@countersign/identity';
import { openPostgres } from '@countersign/state';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { decodeJwt, SignJWT } from 'jose';
import type * as client from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  accounts,
  id,
  joinedPeer,
  newKey,
  peerOf,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from './authority.ts';
import { Browser } from './login/browser.ts';
import { createMaker, MODEL, SoftwareAuthenticator } from './login/software-authenticator.ts';
import { openTeller, REDIRECT } from './login/teller.ts';

const alice = id('human/alice');
const robotId = id('agent/robot');
const by = 'local:uid=0';
const bin = postgresOrSkip();
let server: Postgres;
/** Two instances of one issuer, as behind a load balancer: one name, one keyring, one database; each a pool and a memory of its own. */
let a: TestAuthority;
let b: TestAuthority;
/** To which of them requests go. */
let via: TestAuthority;
let agent: Agent;
let maker: Awaited<ReturnType<typeof createMaker>>;
const robotKeys = newKey();
const tellerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

beforeAll(async () => {
  if (bin !== undefined) server = await startPostgres(bin);
  maker = await createMaker();
}, 60_000);
afterAll(() => server?.stop());

beforeEach(async () => {
  if (bin === undefined) return;
  const settings: LoginSettings = {
    ...{ rpId: 'localhost', name: 'Example Bank', approvalOrigins: [] },
    ...{ sessionTtlSeconds: 3600, sessionIdleSeconds: 3600, administrators: [] },
    ...{ recoveryApprovers: [], exceptions: [] },
    hardwareKeys: { roots: [maker.root], aaguids: [MODEL] },
  };
  const place = await server.createDatabase();
  const login = () => settings;
  a = await startAuthority({ login }, { database: await openPostgres(place) });
  const { issuerUrl } = a;
  b = await startAuthority({ login, issuerUrl }, { database: await openPostgres(place) });
  via = a;
  // Both show an SVID of the same authority.
  agent = new Agent({ connect: { ca: a.authorityPem } });
  await a.identity.applyRegistrations(registrations(), []);
  await known(() => b.identity.registration(robotId));
});
afterEach(async () => {
  await agent?.destroy();
  await Promise.all([a?.close(), b?.close()]);
});

function registrations() {
  return [
    registration('human/alice'),
    registration('workload/batch'),
    registration('workload/node', { isNode: true }),
    registration('agent/robot', {
      client: {
        ...{ id: 'robot', authentication: 'private_key_jwt', binding: 'dpop' },
        jwks: [{ ...robotKeys.publicKey.export({ format: 'jwk' }), kid: 'r1' }],
        ...{ audiences: [accounts], scopes: ['accounts'] },
      },
    }),
    registration('workload/teller', {
      client: {
        ...{ id: 'teller', authentication: 'private_key_jwt', binding: 'dpop' },
        jwks: [{ ...tellerKeys.publicKey.export({ format: 'jwk' }), kid: 't1' }],
        ...{ audiences: [accounts], scopes: ['accounts'] },
        people: { redirectUris: [REDIRECT], acr: 'phr', refresh: true },
      },
    }),
  ];
}

/** What was done at one instance is known at the other as soon as it hears of it; here, at most ten seconds later. */
const known = (find: () => unknown) => expect.poll(find, { timeout: 10_000 }).toBeTruthy();

const routed = ((url: string | URL, init: object) => {
  const { port } = new URL(via.issuerUrl);
  const there = new URL(url);
  there.port = port;
  return undiciFetch(there, { ...init, dispatcher: agent } as never);
}) as unknown as typeof fetch;

const teller = () =>
  openTeller({ issuerUrl: a.issuerUrl, key: tellerKeys.privateKey, fetch: routed });
const browser = () => new Browser(a.issuerUrl, routed);

async function enrolled(identity: Identity): Promise<SoftwareAuthenticator> {
  const authenticator = new SoftwareAuthenticator();
  const made = await identity.login?.invite({ subject: alice, by });
  if (!made?.isGranted) throw new Error('no code');
  const { status } = await browser().enrol(made.code, authenticator);
  expect(status).toBe(201);
  return authenticator;
}

async function errorOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'none';
  } catch (error) {
    return String((error as client.ResponseBodyError).error);
  }
}

async function assertion(jti: string = randomUUID()): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ aud: a.issuerUrl, jti, iat: now, exp: now + 60 })
    .setIssuer('robot')
    .setSubject('robot')
    .setProtectedHeader({ alg: 'ES256', kid: 'r1' })
    .sign(robotKeys.privateKey);
}

async function proof(keys = newKey()): Promise<string> {
  return new SignJWT({ htm: 'POST', htu: `${a.issuerUrl}/token`, jti: randomUUID() })
    .setIssuedAt()
    .setProtectedHeader({
      ...{ alg: 'ES256', typ: 'dpop+jwt' },
      jwk: keys.publicKey.export({ format: 'jwk' }),
    })
    .sign(keys.privateKey);
}

const robot = (at: TestAuthority, jwt: string, DPoP: string) =>
  post(at, `${at.issuerUrl}/token`, {
    headers: { DPoP },
    form: {
      ...{ grant_type: 'client_credentials', scope: 'accounts', resource: accounts },
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    },
  });

describe.skipIf(bin === undefined)('two instances on one PostgreSQL', () => {
  test('serve one login in turns: pushed at one, signed in at the other, redeemed at the first, renewed at the second', async () => {
    const key = await enrolled(a.identity);
    const app = await teller();
    const pending = await app.begin();
    via = b;
    const callback = await browser().signIn(pending.url, key);
    via = a;
    const tokens = await app.finish(callback, pending);
    expect(decodeJwt(tokens.access_token)).toMatchObject({ iss: a.issuerUrl, sub: alice });
    via = b;
    const renewed = await app.refresh(String(tokens.refresh_token));
    const { sid } = decodeJwt(tokens.access_token);
    expect(decodeJwt(renewed.access_token)['sid']).toBe(sid);
    for (const { identity } of [a, b]) {
      expect(await identity.login?.sessions()).toMatchObject([{ id: sid, subject: alice }]);
    }
  });

  test('take a code once; the second time, at the other, ends the session at both', async () => {
    const key = await enrolled(a.identity);
    const app = await teller();
    const pending = await app.begin();
    const callback = await browser().signIn(pending.url, key);
    const tokens = await app.finish(callback, pending);
    via = b;
    expect(await errorOf(app.finish(callback, pending))).toBe('invalid_grant');
    const sid = String(decodeJwt(tokens.access_token)['sid']);
    expect(b.identity.isRevoked('session', sid)).toBe(true);
    await known(() => a.identity.isRevoked('session', sid));
    for (const at of [a, b]) {
      via = at;
      expect(await errorOf(app.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
    }
  });

  test('of a code that comes to both at once redeem one at most', async () => {
    const key = await enrolled(a.identity);
    const app = await teller();
    for (let round = 0; round < 5; round += 1) {
      const pending = await app.begin({ prompt: 'login' });
      via = b;
      const callback = await browser().signIn(pending.url, key);
      const results = await Promise.all(
        [a, b].map((at) => {
          via = at;
          return errorOf(app.finish(callback, pending));
        }),
      );
      expect(results.filter((result) => result === 'none').length).toBeLessThanOrEqual(1);
      expect(results).toContain('invalid_grant');
    }
  });

  test('take a pushed request once', async () => {
    const key = await enrolled(a.identity);
    const app = await teller();
    const pending = await app.begin();
    await browser().signIn(pending.url, key);
    via = b;
    const { page } = await browser().go(pending.url);
    expect(page?.response.status).toBe(400);
    expect(page?.html).toContain('request_uri');
  });

  test('take a proof once, and a client assertion once', async () => {
    const [jwt, dpop] = [await assertion(), await proof()];
    expect(await robot(a, jwt, dpop)).toMatchObject({ status: 200 });
    const [byProof, byAssertion] = [
      await robot(b, await assertion(), dpop),
      await robot(b, jwt, await proof()),
    ];
    expect(byProof).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(byAssertion).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    const refusals = b.events.filter((event) => event.kind === 'authentication');
    expect(refusals.map(({ result, detail }) => [result, detail])).toEqual([
      ['refused', expect.stringContaining('DPoP')],
      ['refused', expect.stringContaining('used')],
    ]);
  });

  test('of a proof and an assertion that come to both at once take one', async () => {
    for (let round = 0; round < 10; round += 1) {
      const [jwt, dpop] = [await assertion(), await proof()];
      const answers = await Promise.all([a, b].map((at) => robot(at, jwt, dpop)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    }
  });

  test('take what a passkey signed once, and only for the challenge that either made', async () => {
    const key = await enrolled(a.identity);
    const app = await teller();
    const one = browser();
    const visited = await one.go((await app.begin()).url);
    const { body: options } = await one.post(`${visited.url.pathname}/options`);
    const signed = key.get(options, { origin: a.issuerUrl, rpId: 'localhost' }, {});
    via = b;
    expect(await one.post(`${visited.url.pathname}/login`, signed)).toMatchObject({ status: 200 });
    via = a;
    const again = await one.post(`${visited.url.pathname}/login`, signed);
    expect(again.status).not.toBe(200);
  });

  test('register a passkey by a code once', async () => {
    const made = await a.identity.login?.invite({ subject: alice, by });
    const code = made?.isGranted ? made.code : '';
    via = b;
    expect(await browser().enrol(code, new SoftwareAuthenticator())).toMatchObject({ status: 201 });
    via = a;
    expect((await browser().enrol(code, new SoftwareAuthenticator())).status).not.toBe(201);
  });

  test('know what was registered at the other, and refuse at once what was revoked there', async () => {
    expect(await robot(b, await assertion(), await proof())).toMatchObject({ status: 200 });
    await a.identity.revoke({ target: 'subject', value: robotId, reason: 'stolen', by });
    await known(() => b.identity.isRevoked('subject', robotId));
    expect((await robot(b, await assertion(), await proof())).status).toBe(400);
    await b.identity.reinstate({ target: 'subject', value: robotId, by });
    await known(() => !a.identity.isRevoked('subject', robotId));
    expect(await robot(a, await assertion(), await proof())).toMatchObject({ status: 200 });
    await b.identity.applyRegistrations(registrations().slice(0, 3), []);
    await known(() => a.identity.registration(robotId) === undefined);
    expect((await robot(a, await assertion(), await proof())).status).toBe(401);
  });

  test('end a session of which the other has given tokens', async () => {
    const granted = await robot(a, await assertion(), await proof());
    const sid = String(decodeJwt(granted.body.access_token)['sid']);
    expect(await b.identity.sessions()).toMatchObject([{ id: sid }]);
    await b.identity.revoke({ target: 'session', value: sid, reason: 'stolen', by });
    await known(() => a.identity.isRevoked('session', sid));
    expect((await robot(a, await assertion(), await proof())).status).toBe(400);
  });

  test('hold a new key of a client to what another session of it was narrowed to at the other, before word of that came', async () => {
    const granted = await robot(a, await assertion(), await proof());
    const session = String(decodeJwt(granted.body.access_token)['sid']);
    // As when the wake is lost, and the next look is not yet.
    Object.assign(b.factLog, { look: () => undefined });
    await a.identity.narrow({ session, readOnly: true, reason: 'odd hour', by });
    expect(b.identity.narrowing(session)).toBeUndefined();
    const other = await robot(b, await assertion(), await proof());
    expect(other.status).toBe(200);
    const heir = String(decodeJwt(other.body.access_token)['sid']);
    expect(heir).not.toBe(session);
    expect(b.identity.narrowing(heir)).toMatchObject({ readOnly: true });
  });

  test('renew what the other issued, once, and use up a join token once', async () => {
    const peer = await joinedPeer(a.identity, id('workload/batch'));
    const request = await svidRequest();
    const grant = await b.identity.renew({ request }, peer);
    expect(grant).toMatchObject({ isGranted: true });
    expect(await a.identity.renew({ request }, peer)).toMatchObject({
      isGranted: false,
      code: 'request-replayed',
    });
    if (!grant.isGranted) throw new Error('no grant');
    const next = peerOf(id('workload/batch'), grant);
    expect(await a.identity.wasIssued(next)).toBe(true);

    const made = await a.identity.createJoinToken({ spiffeId: id('workload/batch'), by });
    const joinToken = made.isGranted ? made.joinToken : '';
    const both = await Promise.all(
      [a, b].map(async ({ identity }) =>
        identity.enrol({ joinToken, request: await svidRequest() }),
      ),
    );
    expect(both.filter(({ isGranted }) => isGranted)).toHaveLength(1);
  });

  test('rotate one authority: prepared at one, activated at the other, issuing at both', async () => {
    const [first] = a.identity.authorities.show().x509.authorities;
    const prepared = await a.identity.authorities.prepare('x509', { by });
    if (!('id' in prepared)) throw new Error('not prepared');
    const { id: next } = prepared;
    expect(await b.identity.authorities.activate('x509', { id: next, by })).toMatchObject({
      ...{ id: next, state: 'active' },
    });
    const peer = await joinedPeer(a.identity, id('workload/batch'));
    const rows = await a.database
      .tables<{ svid: { thumbprint: string; authority: string } }>()
      .selectFrom('svid')
      .select('authority')
      .where('thumbprint', '=', peer.thumbprint)
      .execute();
    expect(rows).toEqual([{ authority: next }]);
    await a.identity.authorities.taint('x509', { id: first?.id ?? '', reason: 'stolen', by });
    await known(() => b.identity.taintedAuthorities().length === 1);
    expect(b.identity.bundle().x509Authorities).toEqual(a.identity.bundle().x509Authorities);
    const after = a.identity.bundle().sequence;
    // Both look at once whether something is due: it is done once.
    for (const at of [a, b]) at.advance(13 * 3_600_000);
    await Promise.all([a.identity.rotate(), b.identity.rotate()]);
    for (const { identity } of [a, b]) {
      await identity.rotate();
      const states = identity.authorities.show().x509.authorities.map(({ state }) => state);
      expect(states.filter((state) => state === 'prepared')).toHaveLength(1);
      expect(identity.bundle().sequence).toBeGreaterThan(after ?? 0);
    }
    expect(b.identity.authorities.show().x509.authorities).toEqual(
      a.identity.authorities.show().x509.authorities,
    );
  });

  test('know a device that enrolled at the other, and what became of a person there', async () => {
    const made = await a.identity.devices.enrolment({ name: 'laptop-1', by });
    expect(made).toMatchObject({ isGranted: true });
    await known(() => b.identity.devices.has(id('device/laptop-1')));
    await b.identity.devices.remove('laptop-1', { by });
    await known(() => !a.identity.devices.has(id('device/laptop-1')));
  });

  test('give nothing when the database is away: nobody can know whether it may', async () => {
    const peer = await joinedPeer(b.identity, id('workload/node'));
    const [jwt, dpop] = [await assertion(), await proof()];
    const crashed = server.crash({ downMilliseconds: 3000 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const answer = await robot(b, jwt, dpop);
    expect(answer.status).toBe(500);
    await expect(b.identity.renew({ request: await svidRequest() }, peer)).rejects.toThrow();
    await expect(
      b.identity.nodes.issueJwt({ spiffeId: id('workload/batch'), audiences: ['x'] }, peer),
    ).rejects.toThrow();
    await crashed;
    await expect
      .poll(async () => (await robot(b, await assertion(), await proof())).status, {
        timeout: 10_000,
      })
      .toBe(200);
  }, 60_000);

  test('keep the clients of web applications when the other one registers somebody', async () => {
    const web = {
      ...{ id: 'https://ops.bank.example/edge', audience: 'https://ops.bank.example' },
      ...{ redirectUri: 'https://ops.bank.example/.countersign/callback', acr: 'phr' as const },
      ...{ scopes: ['web'], tokenTtlSeconds: 300 },
    };
    for (const { identity } of [a, b]) {
      await identity.registerPoints([{ name: 'edge', surfaces: [], web: [web] }]);
    }
    await b.identity.applyRegistrations([...registrations(), registration('workload/late')], []);
    await known(() => a.identity.registration(id('workload/late')));
    await post(a, `${a.issuerUrl}/request`, { form: { client_id: web.id } });
    expect(a.events.at(-1)).toMatchObject({
      reason: 'issuer-invalid-client',
      detail: expect.stringContaining('certificate was not provided'),
    });
  });
});
