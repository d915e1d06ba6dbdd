import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createPrivateAuthority, encodePem, softwareSigner } from '@countersign/spiffe';
import { decodeJwt, SignJWT } from 'jose';
import * as client from 'openid-client';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, newKey, pemOf } from '../authority.ts';
import { alice, bob, type LoginBank, startLoginBank } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';
import type { Asked, Teller } from './teller.ts';

// Decoupled approval (OpenID CIBA): the application asks, the person approves at their own page, in another browser.
let bank: LoginBank;
let aliceKey: SoftwareAuthenticator;
let teller: Teller;
const MESSAGE = 'Pay 120.00 to Example Ltd, K7-33';
const GRANT = 'urn:openid:params:grant-type:ciba';
beforeEach(async () => {
  bank = await startLoginBank();
  await bank.apply(bank.registrations({ ciba: true }));
  aliceKey = await bank.enrol(alice);
  teller = await bank.teller();
});
afterEach(() => bank.close());

const ask = (parameters: Record<string, string> = {}) => teller.ask(parameters);
const poll = (asked: Asked) => teller.poll(asked);
/** One poll, and what it is answered. */
const pollOnce = (asked: Asked, dpop = teller.dpop) =>
  client.genericGrantRequest(
    teller.config,
    GRANT,
    { auth_req_id: asked.auth_req_id },
    { DPoP: dpop },
  );
async function errorOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return 'none';
  } catch (error) {
    const { error: code, code: kind, cause } = error as Record<string, unknown>;
    const inner = (cause as Record<string, unknown> | undefined)?.['error'];
    return String(code ?? inner ?? kind);
  }
}
async function page(authenticator = aliceKey) {
  const browser = bank.browser();
  await browser.openAccount(authenticator);
  const { page: shown } = await browser.go('/account');
  const html = shown?.html ?? '';
  const ids = [...html.matchAll(/data-approve data-id="([^"]+)"/g)].map(([, id]) => id ?? '');
  return { browser, html, ids };
}
const ceremony = () => ({ origin: bank.authority.issuerUrl, rpId: 'localhost' });
async function approve(
  { browser, ids }: Awaited<ReturnType<typeof page>>,
  authenticator = aliceKey,
  id = ids[0] ?? 'none',
) {
  const options = await browser.post('/account/approval/options', { id });
  if (options.status !== 200) return options;
  const response = authenticator.get(options.body, ceremony());
  return browser.post('/account/approval/approve', { id, response });
}
const actions = () =>
  bank.authority.events.flatMap((event) =>
    event.kind === 'administration' && event.action.startsWith('approval-')
      ? [[event.action, event.by, event.target]]
      : [],
  );
const reasons = () =>
  bank.authority.events.flatMap((event) =>
    event.kind === 'authentication' && event.result === 'refused' ? [event.reason] : [],
  );
const TELLER = 'spiffe://bank.example/workload/teller';

describe('a person who is asked elsewhere', () => {
  test('sees who asks for what, approves with a passkey, and the application gets a bound token', async () => {
    const asked = await ask();
    expect(asked).toMatchObject({ interval: 5, expires_in: 300 });
    const shown = await page();
    for (const each of ['teller', MESSAGE, accounts, '<strong>accounts</strong>']) {
      expect(shown.html).toContain(each);
    }
    expect(await approve(shown)).toMatchObject({ status: 200 });
    const tokens = await poll(asked);
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      ...{ sub: alice, aud: accounts, client_id: 'teller', scope: 'accounts' },
      ...{ acr: 'phr', amr: ['pop', 'user', 'mfa'], auth_time: expect.any(Number) },
      cnf: { jkt: await teller.thumbprint() },
    });
    expect(tokens.claims()).toMatchObject({ sub: alice, acr: 'phr' });
    const { sid } = decodeJwt(tokens.access_token);
    expect((await page()).html).toContain(`data-action="end-session" data-id="${sid}"`);
    expect(actions()).toEqual([
      ['approval-requested', TELLER, alice],
      ['approval-granted', alice, alice],
    ]);
    expect((await page()).ids).toEqual([]);
  });

  test('ends the session that came of it, and its refresh token is good no more', async () => {
    const asked = await ask();
    await approve(await page());
    const tokens = await poll(asked);
    const again = await teller.refresh(String(tokens.refresh_token));
    const { sid } = decodeJwt(again.access_token);
    const { browser } = await page();
    expect(await browser.post('/account/session/end', { id: sid })).toMatchObject({ status: 200 });
    expect(bank.authority.identity.isRevoked('session', String(sid))).toBe(true);
    expect(await errorOf(teller.refresh(String(tokens.refresh_token)))).toBe('invalid_grant');
  });

  test('denies it: the application is told access_denied, once', async () => {
    const asked = await ask();
    const { browser, ids } = await page();
    expect(await browser.post('/account/approval/deny', { id: ids[0] })).toMatchObject({
      status: 200,
    });
    expect(await browser.post('/account/approval/deny', { id: ids[0] })).toMatchObject({
      status: 409,
    });
    expect(await errorOf(poll(asked))).toBe('access_denied');
    expect(await errorOf(pollOnce(asked))).toBe('invalid_grant');
    expect(actions().at(-1)).toEqual(['approval-denied', alice, alice]);
  });

  test('is known by SPIFFE ID and by an ID token, too', async () => {
    await ask({ login_hint: alice });
    const first = await page();
    expect(first.ids).toHaveLength(1);
    const asked = await ask();
    await approve(await page());
    const { id_token: hint } = await poll(asked);
    const parameters = { id_token_hint: String(hint), login_hint: '' };
    await ask(parameters);
    expect((await page()).ids).toHaveLength(2);
  });

  test('signs what they were shown: the record has the statement, and it verifies', async () => {
    const asked = await ask();
    await approve(await page());
    await poll(asked);
    const granted = bank.authority.events.find(
      (event) => event.kind === 'administration' && event.action === 'approval-granted',
    );
    if (granted?.kind !== 'administration') throw new Error('found no event');
    const { statement, assertion } = granted.detail as {
      statement: string;
      assertion: { clientDataJSON: string; authenticatorData: string; signature: string };
    };
    expect(JSON.parse(statement)).toMatchObject({
      ...{ client: 'teller', person: alice, scope: 'openid accounts', audience: accounts },
      ...{ acr: 'phr', bindingMessage: MESSAGE },
    });
    const { createHash, verify } = await import('node:crypto');
    const challenge = createHash('sha256').update(statement).digest('base64url');
    const clientData = Buffer.from(assertion.clientDataJSON, 'base64url');
    expect(JSON.parse(clientData.toString())).toMatchObject({ challenge });
    const signed = Buffer.concat([
      Buffer.from(assertion.authenticatorData, 'base64url'),
      createHash('sha256').update(clientData).digest(),
    ]);
    const signature = Buffer.from(assertion.signature, 'base64url');
    expect(verify('sha256', signed, aliceKey.keys.publicKey, signature)).toBe(true);
  });
});

describe('an application that asks', () => {
  test('may sign its request (CIBA §7.1.1), and what it signed counts', async () => {
    const request = await new SignJWT({
      ...{ scope: 'openid accounts', resource: accounts, login_hint: 'human/alice' },
      binding_message: 'signed message',
    })
      .setProtectedHeader({ alg: 'ES256', kid: 't1' })
      .setIssuer('teller')
      .setAudience(bank.authority.issuerUrl)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime('1m')
      .sign(bank.tellerKey);
    await client.initiateBackchannelAuthentication(teller.config, { request });
    expect((await page()).html).toContain('signed message');
  });

  test('that is content with an identity provider gets what a passkey approved', async () => {
    await bank.apply(bank.registrations({ ciba: true, acr: 'idp' }));
    const asked = await ask();
    expect((await approve(await page())).status).toBe(200);
    expect(decodeJwt((await poll(asked)).access_token)['acr']).toBe('phr');
    const askedFor = await ask({ acr_values: 'idp' });
    expect((await approve(await page())).status).toBe(200);
    expect(decodeJwt((await poll(askedFor)).access_token)['acr']).toBe('phr');
  });

  test('is told to wait while the person has not answered, and to slow down when it hurries', async () => {
    const asked = await ask();
    const before = bank.authority.events.length;
    expect(await errorOf(pollOnce(asked))).toBe('authorization_pending');
    expect(await errorOf(pollOnce(asked))).toBe('slow_down');
    bank.authority.advance(6000);
    // Ten seconds from now on.
    expect(await errorOf(pollOnce(asked))).toBe('slow_down');
    bank.authority.advance(16_000);
    expect(await errorOf(pollOnce(asked))).toBe('authorization_pending');
    // Polling fills no record.
    expect(bank.authority.events).toHaveLength(before);
  });

  test('is told when the time is over, which is five minutes at the most, and the record says so', async () => {
    const asked = await ask({ requested_expiry: '4000' });
    expect(asked.expires_in).toBe(300);
    const shown = await page();
    bank.authority.advance(301_000);
    expect(await approve(shown)).toMatchObject({ status: 409 });
    expect((await page()).ids).toEqual([]);
    await bank.authority.identity.sweep();
    expect(actions().at(-1)).toEqual(['approval-expired', 'system', alice]);
  });

  test('is told expired_token by a poll that comes later', async () => {
    const asked = await ask({ requested_expiry: '1' });
    const polling = new Set(['authorization_pending', 'slow_down']);
    let told = 'authorization_pending';
    while (polling.has(told)) told = await errorOf(pollOnce(asked));
    expect(told).toBe('expired_token');
  });

  test('gets one token for one auth_req_id: a replay is refused, and ends what came of it', async () => {
    const asked = await ask();
    await approve(await page());
    const { access_token } = await poll(asked);
    expect(await errorOf(pollOnce(asked))).toBe('invalid_grant');
    const { sid } = decodeJwt(access_token);
    expect(bank.authority.identity.isRevoked('session', String(sid))).toBe(true);
  });

  test('that is another one gets nothing with it', async () => {
    const asked = await ask();
    await approve(await page());
    const [, , , known] = bank.registrations({ ciba: true });
    const other = {
      ...known,
      subject: { ...known?.subject, id: 'spiffe://bank.example/workload/other' },
      client: { ...known?.client, id: 'other' },
    };
    await bank.apply([...bank.registrations({ ciba: true }), other as never]);
    const config = await otherClient('other');
    expect(
      await errorOf(
        client.genericGrantRequest(
          config,
          GRANT,
          { auth_req_id: asked.auth_req_id },
          {
            DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')),
          },
        ),
      ),
    ).toBe('invalid_grant');
    // And takes nothing from whom it is.
    expect((await poll(asked)).access_token).toBeDefined();
  });

  test('may not, unless the bank registered it for this', async () => {
    await bank.apply(bank.registrations());
    expect(await errorOf(ask())).toBe('invalid_request');
    expect(reasons()).toContain('issuer-invalid-request');
  });

  test.each([
    ['none', ''],
    ['one that turns direction', 'Pay \u202e00.021 to Example'],
    ['one of control characters', 'Pay 1\u0007'],
    ['one over several lines', 'Pay 1\nApproved by the bank'],
    ['one with something invisible', 'Pay 1\u200b20'],
    ['one with heaps of marks', `Pay 1${'\u0301'.repeat(8)}`],
    ['one in another normal form', 'Zu\u0308rich'],
    ['one of 65 characters', 'x'.repeat(65)],
    ['one that pads', 'Pay     1'],
  ])('is refused with a binding message that cannot be compared: %s', async (_what, message) => {
    expect(await errorOf(ask({ binding_message: message }))).toBe('invalid_binding_message');
    expect(actions()).toEqual([]);
  });

  test('has its message shown as text, whatever it is', async () => {
    await ask({ binding_message: '<b onclick="x">Pay</b> & "more"' });
    const { html } = await page();
    expect(html).toContain('<bdi>&#60;b onclick=&#34;x&#34;&#62;Pay&#60;/b&#62; &#38;');
  });

  test.each([
    ['an acr that nobody reaches', { acr_values: 'gold' }, 'unmet_authentication_requirements'],
    ['a scope that is not its own', { scope: 'openid admin' }, 'invalid_scope'],
    ['a resource that is not its own', { resource: 'https://x.example/' }, 'invalid_target'],
    ['a user code', { user_code: '1234' }, 'invalid_request'],
    ['two hints', { id_token_hint: 'x' }, 'invalid_request'],
    ['a hint token', { login_hint: '', login_hint_token: 'x' }, 'invalid_request'],
    ['an expiry that is no number', { requested_expiry: '-1' }, 'invalid_request'],
  ])('is refused with %s', async (_what, parameters, code) => {
    expect(await errorOf(ask(parameters as Record<string, string>))).toBe(code);
    expect((await page()).ids).toEqual([]);
  });
});

describe('nobody else', () => {
  test('approves for a person: another is shown nothing, and their passkey is refused', async () => {
    const bobKey = await bank.enrol(bob);
    await ask();
    const hers = await page();
    const his = await page(bobKey);
    expect(his.ids).toEqual([]);
    expect(await approve(his, bobKey, hers.ids[0])).toMatchObject({ status: 409 });
    // In her browser, with his passkey.
    expect(await approve(hers, bobKey)).toMatchObject({ status: 401 });
    expect(reasons()).toContain('approval-person');
    expect(actions().map(([action]) => action)).toEqual(['approval-requested']);
  });

  test('approves one request with what was signed for another, or twice', async () => {
    const [first, second] = [await ask(), await ask({ binding_message: 'Pay 9,999 to Mallory' })];
    const shown = await page();
    const [newest = '', oldest = ''] = shown.ids;
    const options = await shown.browser.post('/account/approval/options', { id: oldest });
    await shown.browser.post('/account/approval/options', { id: newest });
    const response = aliceKey.get(options.body, ceremony());
    const crossed = { id: newest, response };
    expect(await shown.browser.post('/account/approval/approve', crossed)).toMatchObject({
      status: 401,
    });
    expect(await errorOf(pollOnce(second))).toBe('authorization_pending');
    expect(await approve(shown, aliceKey, oldest)).toMatchObject({ status: 200 });
    const replayed = { id: oldest, response };
    expect(await shown.browser.post('/account/approval/approve', replayed)).toMatchObject({
      status: 409,
    });
    expect((await poll(first)).access_token).toBeDefined();
  });

  test('approves with a challenge that was for signing in', async () => {
    await ask();
    const shown = await page();
    const options = await shown.browser.post('/account/options');
    await shown.browser.post('/account/approval/options', { id: shown.ids[0] });
    const response = aliceKey.get(options.body, ceremony());
    expect(
      await shown.browser.post('/account/approval/approve', { id: shown.ids[0], response }),
    ).toMatchObject({ status: 401 });
  });

  test('approves without being signed in, or from another site', async () => {
    await ask();
    const { ids, browser } = await page();
    const stranger = bank.browser();
    expect(await stranger.post('/account/approval/deny', { id: ids[0] })).toMatchObject({
      status: 401,
    });
    const headers = { origin: 'https://evil.example' };
    expect(await browser.post('/account/approval/deny', { id: ids[0] }, headers)).toMatchObject({
      status: 403,
    });
  });

  test('reaches a level that the passkey does not: phrh takes a hardware key', async () => {
    const asked = await ask({ acr_values: 'phrh' });
    const shown = await page();
    expect(shown.html).toContain('It takes your security key.');
    expect(await approve(shown)).toMatchObject({
      ...{ status: 403, body: { error: 'hardware-needed' } },
    });
    expect(reasons()).toContain('tier-insufficient');
    expect(await errorOf(pollOnce(asked))).toBe('authorization_pending');
  });

  test('gets a token who is disabled between approval and poll', async () => {
    const asked = await ask();
    await approve(await page());
    const registrations = bank
      .registrations({ ciba: true })
      .map((each) => (each.subject.id === alice ? { ...each, enabled: false } : each));
    await bank.apply(registrations);
    expect(await errorOf(poll(asked))).toBe('invalid_grant');
  });

  test('gets a token by a passkey that is withdrawn while it approves: the application hears no', async () => {
    const asked = await ask();
    const shown = await page();
    const held = bank.authority.holdRecording(
      (event) => event.kind === 'authentication' && event.reason === 'passkey',
    );
    const approving = approve(shown);
    await held.reached;
    const [passkey] = (await bank.authority.identity.login?.passkeys()) ?? [];
    const by = 'local:uid=0';
    await bank.authority.identity.withdrawCredential(String(passkey?.credentialId), { by });
    held.release();
    expect((await approving).status).toBeGreaterThanOrEqual(400);
    expect(await errorOf(poll(asked))).toBe('access_denied');
    expect(reasons()).toContain('passkey-disabled');
    const sessions = (await bank.authority.identity.login?.sessions()) ?? [];
    expect(sessions.filter(({ revokedAtMs }) => revokedAtMs === undefined)).toEqual([]);
  });

  test('redeems the refresh token of it with another key', async () => {
    const asked = await ask();
    await approve(await page());
    const tokens = await poll(asked);
    const stolen = client.getDPoPHandle(teller.config, await client.randomDPoPKeyPair('ES256'));
    expect(await errorOf(teller.refresh(String(tokens.refresh_token), stolen))).toBe(
      'invalid_grant',
    );
  });

  test('is told that it was approved when that cannot be recorded', async () => {
    const asked = await ask();
    const shown = await page();
    const options = await shown.browser.post('/account/approval/options', { id: shown.ids[0] });
    const response = aliceKey.get(options.body, ceremony());
    bank.authority.failRecording(true);
    expect(
      await shown.browser.post('/account/approval/approve', { id: shown.ids[0], response }),
    ).toMatchObject({ status: 500 });
    bank.authority.failRecording(false);
    expect(await errorOf(pollOnce(asked))).toBe('authorization_pending');
  });
});

describe('how often people are asked', () => {
  const fatigue = () =>
    bank.authority.events.filter(
      (event) => event.kind === 'alarm' && event.alarm === 'approval-fatigue',
    );
  const deny = async () => {
    const { browser, ids } = await page();
    await browser.post('/account/approval/deny', { id: ids[0] });
  };

  test('each one that was denied slows the next, and in the end somebody hears of it', async () => {
    await ask();
    await deny();
    expect(await errorOf(ask())).toBe('temporarily_unavailable');
    bank.authority.advance(31_000);
    await ask();
    await deny();
    bank.authority.advance(31_000);
    expect(await errorOf(ask())).toBe('temporarily_unavailable');
    bank.authority.advance(30_000);
    await ask();
    expect(fatigue()).toEqual([]);
    // Not answered is no better.
    bank.authority.advance(300_000 + 119_000);
    expect(await errorOf(ask())).toBe('temporarily_unavailable');
    bank.authority.advance(2000);
    await ask();
    expect(fatigue()).toEqual([
      expect.objectContaining({ detail: expect.stringContaining(`'teller' asks ${alice} again`) }),
    ]);
    await approve(await page());
    // What they agreed to ends it.
    await ask();
  });

  test('no more than three of a client wait at one person', async () => {
    for (let times = 0; times < 3; times += 1) await ask();
    expect(await errorOf(ask())).toBe('temporarily_unavailable');
    expect((await page()).ids).toHaveLength(3);
    expect(reasons()).toContain('issuer-temporarily-unavailable');
  });

  test('who tries names learns nothing, and somebody hears of it, once', async () => {
    for (let index = 0; index < 25; index += 1) {
      expect(await ask({ login_hint: `human/guess-${index}` })).toMatchObject({ expires_in: 300 });
    }
    const alarms = bank.authority.events.filter(
      (event) => event.kind === 'alarm' && event.alarm === 'approval-unknown-persons',
    );
    expect(alarms).toHaveLength(1);
    // All of it is forgotten after a day.
    const rows = () =>
      bank.authority.database
        .tables<{ approval_request: { id: string } }>()
        .selectFrom('approval_request')
        .select('id')
        .execute();
    bank.authority.advance(301_000);
    await bank.authority.identity.sweep();
    expect(await rows()).toHaveLength(25);
    bank.authority.advance(86_400_000);
    await bank.authority.identity.sweep();
    expect(await rows()).toEqual([]);
  });

  test.each(['human/nobody', 'nobody', 'workload/teller', 'human/bob'])(
    'somebody who is not known, or gets nothing, is asked and slowed like anybody: %s',
    async (hint) => {
      const registrations = bank
        .registrations({ ciba: true })
        .map((each) => (each.subject.id === bob ? { ...each, enabled: false } : each));
      await bank.apply(registrations);
      const known = await ask();
      const asked = await ask({ login_hint: hint });
      expect(Object.keys(asked).toSorted()).toEqual(Object.keys(known).toSorted());
      expect(asked).toMatchObject({ interval: 5, expires_in: 300 });
      expect(await errorOf(pollOnce(asked))).toBe('authorization_pending');
      for (let times = 0; times < 2; times += 1) await ask({ login_hint: hint });
      expect(await errorOf(ask({ login_hint: hint }))).toBe('temporarily_unavailable');
      bank.authority.advance(301_000);
      expect(await errorOf(ask({ login_hint: hint }))).toBe('temporarily_unavailable');
    },
  );
});

describe('an application that wants to be told', () => {
  test('is pinged when the person answered, with the token that it gave; then it asks', async () => {
    await using endpoint = await startEndpoint();
    const answers = [500, 204];
    const told = endpoint.answer(() => answers.shift() ?? 204);
    const before = bank;
    const pinged = await startLoginBank({}, { notify: endpoint.notify });
    try {
      await pinged.apply(
        pinged.registrations({ ciba: true, notificationEndpoint: `${endpoint.url}/approved` }),
      );
      bank = pinged;
      aliceKey = await bank.enrol(alice);
      teller = await bank.teller();
      // CIBA §7.1: required in ping mode.
      expect(await errorOf(ask())).toBe('invalid_request');
      const asked = await ask({ client_notification_token: 'token-of-the-client' });
      expect(await approve(await page())).toMatchObject({ status: 200 });
      // The first one it could not take; the person did not wait for that.
      await expect.poll(() => told.length, { timeout: 10_000 }).toBe(2);
      expect(told.at(-1)).toEqual({
        path: '/approved',
        authorization: 'Bearer token-of-the-client',
        body: { auth_req_id: asked.auth_req_id },
      });
      expect((await poll(asked)).access_token).toBeDefined();
    } finally {
      bank = before;
      await pinged.close();
    }
  });

  test('that cannot be told polls, and an alarm names the endpoint, and no person', async () => {
    await using endpoint = await startEndpoint();
    endpoint.answer(() => 302);
    const before = bank;
    const pinged = await startLoginBank({}, { notify: endpoint.notify });
    try {
      await pinged.apply(
        pinged.registrations({ ciba: true, notificationEndpoint: `${endpoint.url}/approved` }),
      );
      bank = pinged;
      aliceKey = await bank.enrol(alice);
      teller = await bank.teller();
      const asked = await ask({ client_notification_token: 'token-of-the-client' });
      await approve(await page());
      expect((await poll(asked)).access_token).toBeDefined();
      await expect
        .poll(() => bank.authority.events.filter(({ kind }) => kind === 'alarm'), {
          timeout: 20_000,
        })
        .toEqual([
          expect.objectContaining({
            alarm: 'approval-ping-failed',
            detail: `${endpoint.url} was not told that an approval was answered: HTTP 302`,
          }),
        ]);
    } finally {
      bank = before;
      await pinged.close();
    }
  }, 30_000);

  test.each(['http://teller.bank.example/x', 'https://user@teller.bank.example/', 'file:///etc'])(
    'at %s is not registered',
    async (notificationEndpoint) => {
      const registrations = bank.registrations({ ciba: true, notificationEndpoint });
      await expect(bank.apply(registrations)).rejects.toMatchObject({
        code: 'ERR_IDENTITY_REGISTRATION',
        message: expect.stringContaining('notification endpoint'),
      });
    },
  );
});

/** An application's endpoint over TLS, and the way to it. */
async function startEndpoint() {
  const authority = await createPrivateAuthority({
    commonName: 'applications',
    signer: softwareSigner(newKey()),
    now: Date.now,
  });
  const keys = newKey();
  const { chain } = await authority.issueServerCertificate({
    ...{ dnsNames: ['localhost'], publicKey: keys.publicKey, ttlSeconds: 3600 },
  });
  let status = () => 204;
  const told: unknown[] = [];
  const server = createServer(
    { cert: encodePem(chain), key: pemOf(keys.privateKey) },
    async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      told.push({
        path: incoming.url,
        authorization: incoming.headers.authorization,
        body: JSON.parse(Buffer.concat(chunks).toString()),
      });
      response.writeHead(status(), { location: 'https://elsewhere.example/' }).end();
    },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const agent = new Agent({ connect: { ca: encodePem([authority.certificate]) } });
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    async notify(
      url: string,
      body: string,
      { headers, signal }: { headers: Readonly<Record<string, string>>; signal: AbortSignal },
    ) {
      const answer = await request(url, {
        ...{ dispatcher: agent, method: 'POST', headers: { ...headers }, body, signal },
      });
      await answer.body.dump();
      return { status: answer.statusCode };
    },
    answer(next: () => number) {
      status = next;
      return told;
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Another application, with the same key. */
async function otherClient(id: string): Promise<client.Configuration> {
  const key = await crypto.subtle.importKey(
    'pkcs8',
    bank.tellerKey.export({ type: 'pkcs8', format: 'der' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  );
  return client.discovery(
    new URL(bank.authority.issuerUrl),
    id,
    undefined,
    client.PrivateKeyJwt(
      { key, kid: 't1' },
      {
        [client.modifyAssertion]: (_header, payload) => {
          payload['aud'] = bank.authority.issuerUrl;
        },
      },
    ),
    { [client.customFetch]: bank.fetch as never },
  );
}
