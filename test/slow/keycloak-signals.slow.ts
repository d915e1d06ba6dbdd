import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { isKeycloakThere, type Keycloak, startKeycloak } from '@countersign/test-support/keycloak';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countersign, type Ran, temporaryFolder } from '../../packages/cli/test/test-io.ts';
import { clientTokens } from '../../packages/identity/src/index.ts';
import { pemOf } from '../../packages/identity/test/authority.ts';
import { Browser } from '../../packages/identity/test/login/browser.ts';
import { openTeller, REDIRECT, type Teller } from '../../packages/identity/test/login/teller.ts';
import {
  createX509Authority,
  encodePem,
  parseSpiffeId,
  softwareSigner,
} from '../../packages/spiffe/src/index.ts';

const PASSWORD = 'only-keycloak-knows-it';
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type';
const PUSH_AUTHORIZATION = 'Bearer s3cret-of-this-test';
const alice = 'spiffe://bank.example/human/alice';
/** Keycloak looks each second for what it has to push; a loaded machine is slow and not wrong. */
const SOON = { timeout: 30_000, interval: 200 };

// A transmitter that is not ours: its streams, tokens, subjects and keys, to a bank set up as the guide says.
describe.skipIf(!isKeycloakThere('signals of Keycloak'))('with Keycloak as transmitter', () => {
  const stop = new AbortController();
  const api = createServer((_, answer) => answer.end('from the api'));
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let data: string;
  let keycloak: Keycloak;
  let running: Promise<Ran>;
  let agent: Agent;
  let teller: Teller;
  let issuerUrl: string;
  let signalsUrl: string;
  let edgeUrl: string;
  const fetchIt = ((url: string | URL, init: object) =>
    undiciFetch(url, { ...init, dispatcher: agent } as never)) as unknown as typeof fetch;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const bank = join(folder.path, 'bank');
    data = join(folder.path, 'data');
    const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [tls, client, poller, tellerKeys] = [newKeys(), newKeys(), newKeys(), newKeys()];
    const [control, issuer, edge, signals, port] = (await Promise.all(
      Array.from({ length: 5 }, freePort),
    )) as [number, number, number, number, number];
    issuerUrl = `https://localhost:${issuer}`;
    signalsUrl = `https://localhost:${signals}`;
    edgeUrl = `https://localhost:${edge}/accounts-api`;
    await countersign(['init', bank]);
    // Keys lie outside of what is reviewed.
    const secrets = join(folder.path, 'secrets');
    for (const each of [join(bank, 'trust'), secrets]) await mkdir(each, { recursive: true });

    // The bank's own CA of servers: of Keycloak, of the issuer, and of the listener of signals.
    const ca = await createX509Authority({
      ...{ trustDomain: 'servers.example', signer: softwareSigner(newKeys()), now: Date.now },
    });
    const { chain } = await ca.issueSvid({
      spiffeId: parseSpiffeId('spiffe://servers.example/localhost'),
      ...{ publicKey: tls.publicKey, ttlSeconds: 3600, dnsNames: ['localhost'] },
    });
    const caPem = encodePem([ca.certificate]);
    const secret = (name: string) => join(secrets, name);
    const caFile = join(bank, 'trust/servers.pem');
    await writeFile(caFile, caPem);
    await writeFile(secret('tls.pem'), encodePem(chain));
    for (const [name, keys] of [
      ['tls.key', tls],
      ['staff.key', client],
      ['poll.key', poller],
    ] as const)
      await writeFile(secret(name), pemOf(keys.privateKey), { mode: 0o600 });

    agent = new Agent({ connect: { ca: [caPem] } });
    keycloak = await startKeycloak({
      ...{ certificateFile: secret('tls.pem'), keyFile: secret('tls.key'), caFile, caPem, port },
      providers: [
        '--spi-ssf-transmitter--default--outbox-drainer-interval=1s',
        // Its own guard against pushing into networks of its host; here everything is on one.
        '--spi-ssf-transmitter--default--allow-insecure-push-targets=true',
      ],
    });
    const realm = `${keycloak.url}/realms/staff`;
    await makeRealm(`${issuerUrl}/idp/staff`, poller.publicKey);
    // As a receiver makes it itself; what is pushed is an administrator's, below.
    const tokenUrl = `${realm}/protocol/openid-connect/token`;
    const token = await clientTokens({
      ...{ issuer: realm, clientId: 'countersign-poll', tokenUrl, caFile, now: Date.now },
      authentication: { method: 'private_key_jwt', keyFile: secret('poll.key') },
      scopes: ['ssf.manage'],
    }).get();
    const made = await fetchIt(`${realm}/ssf/transmitter/streams`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        events_requested: [`${CAEP}/credential-change`],
        delivery: { method: 'urn:ietf:rfc:8936' },
      }),
    });
    const polled = (await made.json()) as {
      aud: [string];
      delivery: { endpoint_url: string };
    };

    const edit = async (file: string, edits: readonly (readonly [string | RegExp, string])[]) => {
      let text = await readFile(join(bank, file), 'utf8');
      for (const [from, to] of edits) {
        if (text.search(from) < 0) throw new Error(`found no ${from} in ${file}`);
        text = text.replace(from, to);
      }
      await writeFile(join(bank, file), text);
    };
    const transmitter = (name: string, ...how: string[]) => `
      - name: ${name}
        owner: iam@bank.example
        issuer: ${realm}
        jwksUrl: ${realm}/protocol/openid-connect/certs
        ${how.join('\n        ')}
        caFile: trust/servers.pem
        subjects: { kind: human }
        may: [end-sessions]`;
    await once(api.listen(0, '127.0.0.1'), 'listening');
    await edit('countersign.yaml', [
      ['7401', `${control}`],
      [/7402/g, `${issuer}`],
      ['8443', `${edge}`],
      [/# clientAuthorities: .*/, 'clientAuthorities: [trust/servers.pem]'],
      [
        / {2}svidTtl:/,
        `  issuerCertificateFile: ${secret('tls.pem')}
  issuerKeyFile: ${secret('tls.key')}
  issuerAuthorities: [trust/servers.pem]
  login:
    name: Example Bank
    identityProviders:
      - name: staff
        displayName: Bank Account
        issuer: ${realm}
        clientId: countersign
        keyFile: ${secret('staff.key')}
        caFile: trust/servers.pem
        person: { claim: preferred_username, matches: id }
  signals:
    address: 127.0.0.1:${signals}
    url: ${signalsUrl}
    certificateFile: ${secret('tls.pem')}
    keyFile: ${secret('tls.key')}
    transmitters:${transmitter(
      'keycloak',
      `authorizationHash: ${createHash('sha256').update(PUSH_AUTHORIZATION).digest('base64url')}`,
    )}${transmitter(
      'keycloak-poll',
      `audience: ${polled.aud[0]}`,
      `pollUrl: ${polled.delivery.endpoint_url}`,
      `client: { id: countersign-poll, tokenUrl: '${tokenUrl}', keyFile: '${secret('poll.key')}' }`,
    )}
  svidTtl:`,
      ],
    ]);
    await edit('surfaces/accounts.yaml', [
      ['9001', `${(api.address() as { port: number }).port}`],
      ['mode: shadow', 'mode: enforce'],
    ]);
    const { x, y } = tellerKeys.publicKey.export({ format: 'jwk' });
    await writeFile(
      join(bank, 'identities/desk.yaml'),
      `- { id: human/alice, owner: hr@bank.example }
- id: workload/desk
  owner: branches@bank.example
  client:
    id: teller
    authentication: private_key_jwt
    jwks: [{ kty: EC, crv: P-256, kid: t1, x: ${x}, y: ${y} }]
    scopes: [accounts]
    audiences: [https://api.bank.example/accounts]
    people: { redirectUris: [${REDIRECT}], acr: idp, refresh: true }
`,
    );
    await writeFile(
      join(bank, 'playbooks/credential-changed.yaml'),
      'name: credential-changed\non: credential-change\ndo: [revoke-sessions]\n',
    );
    await writeFile(
      join(bank, 'policies/staff.cedar'),
      '@id("staff-read")\npermit (principal is Human, action, resource) when { context.scopes.contains("accounts") };\n',
    );
    const checked = await countersign(['check', '-C', bank]);
    expect([checked.err, checked.out]).toEqual(['', expect.any(String)]);
    await new Promise<void>((resolve, reject) => {
      running = countersign(['start', '-C', bank, '-d', data], {
        stop: stop.signal,
        onOut: (text) => text.includes('"ready":true') && resolve(),
      });
      void running.then(({ err, out }) => reject(new Error(err + out)));
    });
    await agent.close();
    agent = new Agent({
      connect: { ca: [caPem, await readFile(join(data, 'trust.pem'), 'utf8')] },
    });
    teller = await openTeller({ issuerUrl, key: tellerKeys.privateKey, fetch: fetchIt });
  }, 300_000);
  afterAll(async () => {
    stop.abort();
    await running;
    await agent?.destroy();
    api.closeAllConnections();
    api.close();
    await keycloak?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  async function makeRealm(ours: string, pollerKey: KeyObject): Promise<void> {
    const jwk = pollerKey.export({ format: 'jwk' }) as Record<string, string>;
    const kid = await calculateJwkThumbprint(jwk);
    await keycloak.admin('POST', '', {
      ...{ realm: 'staff', enabled: true, sslRequired: 'all' },
      attributes: { 'ssf.transmitterEnabled': 'true' },
      users: [
        {
          ...{ username: 'alice', enabled: true, firstName: 'Alice', lastName: 'A' },
          ...{ email: 'alice@bank.example', emailVerified: true },
          credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
        },
      ],
    });
    // After the realm, which makes the scopes of signals.
    for (const client of [
      {
        ...{ clientId: 'countersign', standardFlowEnabled: true },
        clientAuthenticatorType: 'client-jwt',
        redirectUris: [`${ours}/callback`],
        attributes: {
          ...{ 'use.jwks.url': 'true', 'jwks.url': `${ours}/jwks` },
          ...{ 'token.endpoint.auth.signing.alg': 'ES256', 'pkce.code.challenge.method': 'S256' },
          ...{ 'id.token.signed.response.alg': 'ES256', 'post.logout.redirect.uris': '+' },
          // No logout by back channel: what ends a session here is a signal.
        },
      },
      receiver('countersign-push', {
        'ssf.allowedDeliveryMethods': 'push',
        'ssf.validPushUrls': `${signalsUrl}/signals/keycloak`,
        'ssf.streamAudience': signalsUrl,
      }),
      receiver('countersign-poll', {
        'ssf.allowedDeliveryMethods': 'poll',
        ...{ 'use.jwks.string': 'true', 'token.endpoint.auth.signing.alg': 'ES256' },
        'jwks.string': JSON.stringify({ keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] }),
        // Over before the last test begins.
        'access.token.lifespan': '10',
      }),
    ])
      await keycloak.admin('POST', '/staff/clients', { ...client, enabled: true });
  }

  const receiver = (clientId: string, attributes: object) => ({
    ...{ clientId, clientAuthenticatorType: 'client-jwt', serviceAccountsEnabled: true },
    ...{ standardFlowEnabled: false, defaultClientScopes: ['service_account'] },
    optionalClientScopes: ['ssf.read', 'ssf.manage'],
    attributes: {
      ...{ 'ssf.enabled': 'true', 'ssf.defaultSubjects': 'ALL', 'ssf.autoVerifyStream': 'true' },
      ...attributes,
    },
  });

  const onData = (...words: readonly string[]) => countersign([...words, '-d', data]);
  /** What came of the tokens, in order: by whom, of which type, with which outcome. */
  const received = async (): Promise<string[]> => {
    const { out, err } = await onData(
      ...['find', '--action', 'signal-received', '--names', 'a test of signals', '--json'],
    );
    if (!out) throw new Error(err);
    return JSON.parse(out).answer.rows.map(
      ({ event }: { event: { by: string; detail: { type: string; outcome: string } } }) =>
        `${event.by.slice('signals:'.length)} ${event.detail.type.split('/').at(-1)}: ${event.detail.outcome}`,
    );
  };

  async function signIn(there = new Browser(keycloak.url, fetchIt)): Promise<string> {
    const browser = new Browser(issuerUrl, fetchIt);
    const pending = await teller.begin();
    const page = await browser.go(pending.url);
    const { url } = await browser.go(`${page.url.pathname}/idp?with=staff`);
    const { page: form } = await there.go(url);
    const answer = await there.request(
      ...submitted(form?.html ?? '', { username: 'alice', password: PASSWORD }),
    );
    const callback = answer.headers.get('location');
    if (callback === null) throw new Error(`found no way back: ${await answer.text()}`);
    const visited = await browser.go(callback);
    if (visited.page) throw new Error(`not signed in: ${visited.page.html}`);
    return (await teller.finish(visited.url, pending)).access_token;
  }

  /** Asks before it does. */
  async function signOut(there: Browser): Promise<void> {
    // With a way back: of a sign-out without one Keycloak 26.7.3 tells nobody (its listener finds no details, and fails).
    const query = new URLSearchParams({
      ...{ client_id: 'countersign', post_logout_redirect_uri: `${issuerUrl}/idp/staff/callback` },
    });
    const { page } = await there.go(`/realms/staff/protocol/openid-connect/logout?${query}`);
    await there.request(...submitted(page?.html ?? ''));
  }

  /** The form of a page of Keycloak's, with what it holds and what is filled in. */
  function submitted(html: string, filled: Record<string, string> = {}): [string, RequestInit] {
    const [, action] = /<form[^>]* action="([^"]+)"/.exec(html) ?? [];
    if (action === undefined) throw new Error(`found no form in ${html}`);
    const hidden = [...html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([input]) =>
      ['name', 'value'].map((name) => new RegExp(` ${name}="([^"]*)"`).exec(input)?.[1] ?? ''),
    );
    const body = new URLSearchParams({ ...Object.fromEntries(hidden), ...filled });
    return [action.replaceAll('&amp;', '&'), { method: 'POST', body }];
  }

  async function userId(): Promise<string> {
    const [user] = (await keycloak.admin('GET', '/staff/users?username=alice')) as { id: string }[];
    if (!user) throw new Error('found no alice');
    return user.id;
  }

  /** What the gateway answers calls with these. */
  const called = (tokens: readonly string[]) =>
    Promise.all(
      tokens.map(async (token) => {
        const answer = teller.call(new URL(`${edgeUrl}/accounts/1`), token);
        const { status } = await answer.catch(
          (error: { response?: Response }) => error.response ?? { status: 0 },
        );
        return status;
      }),
    );

  test('a stream is made, verified, paused and resumed', async () => {
    const stream = '/staff/ssf/clients/countersign-push/stream';
    await keycloak.admin('POST', stream, {
      events_requested: [`${CAEP}/session-revoked`],
      delivery: {
        ...{ method: 'urn:ietf:rfc:8935', endpoint_url: `${signalsUrl}/signals/keycloak` },
        authorization_header: PUSH_AUTHORIZATION,
      },
    });
    const polled = 'keycloak-poll verification: verified';
    await expect.poll(received, SOON).toContain('keycloak verification: verified');
    await expect.poll(received, SOON).toContain(polled);
    for (const status of ['paused', 'enabled']) {
      await keycloak.admin('POST', `${stream}/status`, { status, reason: 'maintenance' });
      await expect.poll(received, SOON).toContain(`keycloak stream-updated: stream ${status}`);
    }
    const { code, out } = await onData('signals', 'list');
    expect([code, out]).toEqual([0, expect.stringContaining('from keycloak-poll  poll')]);
  });

  test('an administrator there signs the person out: every session is over here, its token refused', async () => {
    const tokens = [await signIn(), await signIn()];
    expect(tokens.map((each) => decodeJwt(each).sub)).toEqual([alice, alice]);
    expect(await called(tokens)).toEqual([200, 200]);
    await keycloak.admin('POST', `/staff/users/${await userId()}/logout`, {});
    await expect.poll(() => called(tokens), SOON).toEqual([401, 401]);
    await expect.poll(received, SOON).toContain('keycloak session-revoked: ended 2 sessions');
  });

  test('the person signs out there: that session is over, and no other', async () => {
    const there = new Browser(keycloak.url, fetchIt);
    const tokens = [await signIn(there), await signIn()];
    await signOut(there);
    await expect.poll(() => called(tokens), SOON).toEqual([401, 200]);
    await expect.poll(received, SOON).toContain('keycloak session-revoked: ended 1 sessions');
  });

  test('a new key of the realm is found with the first token that it signed', async () => {
    const active = async () => {
      const keys = (await keycloak.admin('GET', '/staff/keys')) as { active: { RS256: string } };
      return keys.active.RS256;
    };
    const there = new Browser(keycloak.url, fetchIt);
    const tokens = [await signIn(there)];
    const before = await active();
    await keycloak.admin('POST', '/staff/components', {
      ...{
        name: 'next',
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
      },
      config: { priority: ['1000'], enabled: ['true'], active: ['true'] },
    });
    expect(await active()).not.toBe(before);
    await signOut(there);
    await expect.poll(() => called(tokens), SOON).toEqual([401]);
    const refused = await onData('events', '--kind', 'authentication');
    expect(refused.out).not.toContain('signal-');
  });

  test('a password that was changed there is heard by poll, and a playbook answers', async () => {
    const tokens = [await signIn()];
    expect(await called(tokens)).toEqual([200]);
    await keycloak.admin('PUT', `/staff/users/${await userId()}/reset-password`, {
      ...{ type: 'password', value: 'another-that-it-knows', temporary: false },
    });
    await expect.poll(() => called(tokens), SOON).toEqual([401]);
    await expect.poll(received, SOON).toContain('keycloak-poll credential-change: told');
  });
});
