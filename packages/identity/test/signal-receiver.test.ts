import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  EVENT_TYPES,
  namedSubject,
  type PushSource,
  type SignalTransmitter,
  transmitterKeys,
} from '@countersign/identity';
import type { Signal } from '@countersign/model';
import { CompactSign, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  accounts,
  id,
  partner,
  post,
  registration,
  startAuthority,
  type TestAuthority,
  trustDomain,
} from './authority.ts';
import { newReceiver, serveSignals, testLog } from './signal-authority.ts';

const IDP = 'https://idp.example';
const AUDIENCE = 'https://signals.bank.example';
const ALICE = id('human/alice');
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = (key: KeyObject, kid: string) => ({
  ...{ ...key.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' },
});

let authority: TestAuthority;
let closers: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  authority = await startAuthority();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
  await authority.close();
});

function transmitter(more: Partial<PushSource> = {}): PushSource {
  return {
    ...{ name: 'idp', issuer: IDP, audience: AUDIENCE, may: ['end-sessions', 'disable'] },
    keys: transmitterKeys({
      url: `${IDP}/jwks`,
      getJson: async () => ({ keys: [jwk(keys.publicKey, 'k1')] }),
      now: authority.now,
    }),
    subjectOf(identifier) {
      const names = {
        trustDomain,
        kind: 'human',
        issuer: IDP,
        emailDomain: 'bank.example',
      } as const;
      const found = namedSubject(identifier, names);
      return found && authority.identity.subject(found) ? found : undefined;
    },
    ...more,
  };
}

async function listening(sources: readonly PushSource[] = [transmitter()]) {
  const responded: Signal[] = [];
  const served = await serveSignals(authority, { pushSources: sources, responded });
  closers.push(() => served.close());
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  closers.push(() => agent.destroy());
  return {
    responded,
    async push(token: string, headers: Record<string, string> = {}, name = 'idp') {
      const { statusCode, body } = await request(`${served.url}/signals/${name}`, {
        ...{ dispatcher: agent, method: 'POST', body: token },
        headers: { 'content-type': 'application/secevent+jwt', ...headers },
      });
      const text = await body.text();
      return { status: statusCode, body: text === '' ? undefined : JSON.parse(text) };
    },
  };
}

let serial = 0;
/** A token as the IdP makes it; `claims` and `header` replace parts, undefined takes one away. */
async function set(
  type: keyof typeof EVENT_TYPES | `https:${string}`,
  {
    event = {},
    claims = {},
    header = {},
    key = keys.privateKey,
  }: { event?: object; claims?: object; header?: object; key?: KeyObject | Uint8Array } = {},
): Promise<string> {
  serial += 1;
  const uri = type in EVENT_TYPES ? EVENT_TYPES[type as keyof typeof EVENT_TYPES] : type;
  const payload = {
    ...{ iss: IDP, aud: AUDIENCE, jti: `jti-${serial}`, iat: Math.floor(authority.now() / 1000) },
    sub_id: { format: 'iss_sub', iss: IDP, sub: 'alice' },
    events: { [uri]: event },
    ...claims,
  };
  return new SignJWT(JSON.parse(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'secevent+jwt', ...header })
    .sign(key);
}

/** Alice works here; a client of hers has a session. */
async function alice(): Promise<() => Promise<number>> {
  const { tls, thumbprint } = await partner('ledgerly');
  const human = registration('human/alice', {
    certificates: [thumbprint],
    client: { id: 'alice' },
  });
  await authority.identity.applyRegistrations([human], []);
  const token = await post(authority, `${authority.issuerUrl}/token`, {
    client: tls,
    form: {
      ...{ grant_type: 'client_credentials', client_id: 'alice', scope: 'accounts' },
      resource: accounts,
    },
  });
  expect(token.status).toBe(200);
  return async () =>
    (await authority.identity.sessions()).filter(({ revokedAtMs }) => revokedAtMs === undefined)
      .length;
}

describe('a token is refused with the code of RFC 8935', () => {
  const now = () => Math.floor(Date.now() / 1000);
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const unsigned = () =>
    `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'secevent+jwt' })).toString('base64url')}.${Buffer.from(JSON.stringify({ iss: IDP, aud: AUDIENCE })).toString('base64url')}.`;
  const cases: [string, string, () => Promise<string> | string][] = [
    ['no JWS', 'invalid_request', () => 'not a token'],
    ['sub', 'invalid_request', () => set('session-revoked', { claims: { sub: 'alice' } })],
    ['exp', 'invalid_request', () => set('session-revoked', { claims: { exp: now() + 60 } })],
    [
      'an exp that is over',
      'invalid_request',
      () => set('session-revoked', { claims: { exp: 1 } }),
    ],
    ['an empty exp', 'invalid_request', () => set('session-revoked', { claims: { exp: null } })],
    ['an empty sub', 'invalid_request', () => set('session-revoked', { claims: { sub: null } })],
    ['nbf', 'invalid_request', () => set('session-revoked', { claims: { nbf: now() - 60 } })],
    ['no typ', 'invalid_request', () => set('session-revoked', { header: { typ: undefined } })],
    [
      'two issuers',
      'invalid_issuer',
      () => set('session-revoked', { claims: { iss: [IDP, 'x'] } }),
    ],
    [
      'no audience',
      'invalid_audience',
      () => set('session-revoked', { claims: { aud: undefined } }),
    ],
    [
      'a subject of no format',
      'invalid_request',
      () => set('session-revoked', { claims: { sub_id: { sub: 'alice' } } }),
    ],
    [
      'another token in place of claims',
      'invalid_request',
      async () =>
        new CompactSign(Buffer.from(await set('session-revoked')))
          .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'secevent+jwt', cty: 'JWT' })
          .sign(keys.privateKey),
    ],
    ['another typ', 'invalid_request', () => set('session-revoked', { header: { typ: 'JWT' } })],
    ['no events', 'invalid_request', () => set('session-revoked', { claims: { events: {} } })],
    ['no jti', 'invalid_request', () => set('session-revoked', { claims: { jti: undefined } })],
    ['no iat', 'invalid_request', () => set('session-revoked', { claims: { iat: undefined } })],
    [
      'no subject',
      'invalid_request',
      () => set('session-revoked', { claims: { sub_id: undefined } }),
    ],
    [
      'from tomorrow',
      'invalid_request',
      () => set('session-revoked', { claims: { iat: now() + 86_400 } }),
    ],
    [
      'ten days old',
      'invalid_request',
      () => set('session-revoked', { claims: { iat: now() - 864_000 } }),
    ],
    [
      'critical header fields',
      'invalid_request',
      () => set('session-revoked', { header: { crit: ['b64'], b64: true } }),
    ],
    [
      'another issuer',
      'invalid_issuer',
      () => set('session-revoked', { claims: { iss: 'https://evil.example' } }),
    ],
    [
      'another audience',
      'invalid_audience',
      () => set('session-revoked', { claims: { aud: 'https://other.example' } }),
    ],
    [
      'an unknown key',
      'invalid_key',
      () => set('session-revoked', { header: { kid: 'k2' }, key: stranger.privateKey }),
    ],
    [
      'a stranger’s signature',
      'invalid_key',
      () => set('session-revoked', { key: stranger.privateKey }),
    ],
    ['no signature', 'invalid_key', unsigned],
    [
      'the public key as a secret',
      'invalid_key',
      () =>
        set('session-revoked', {
          header: { alg: 'HS256' },
          key: Buffer.from(keys.publicKey.export({ type: 'spki', format: 'pem' })),
        }),
    ],
    [
      'a key that the token brings',
      'invalid_key',
      () =>
        set('session-revoked', {
          header: { kid: 'k2', jwk: jwk(stranger.publicKey, 'k2') },
          key: stranger.privateKey,
        }),
    ],
    [
      'a state that nobody asked for',
      'invalid_state',
      () =>
        set('https://schemas.openid.net/secevent/ssf/event-type/verification', {
          event: { state: 'x' },
        }),
    ],
  ];
  test.each(cases)('%s: %s', async (_, err, make) => {
    const live = await alice();
    const { push } = await listening();
    const answer = await push(await make());
    expect([answer.status, answer.body]).toEqual([400, { err, description: expect.any(String) }]);
    expect(await live()).toBe(1);
    expect(authority.events).toContainEqual(
      expect.objectContaining({
        ...{ kind: 'authentication', result: 'refused' },
        reason: `signal-${err.replaceAll('_', '-')}`,
      }),
    );
  });

  test('without the secret that the transmitter was given: authentication_failed', async () => {
    const authorizationHash = createHash('sha256').update('Bearer s3cret').digest('base64url');
    const { push } = await listening([transmitter({ authorizationHash })]);
    const token = await set('session-revoked');
    expect((await push(token)).body).toMatchObject({ err: 'authentication_failed' });
    const wrong = await push(token, { authorization: 'Bearer other' });
    expect(wrong.body).toMatchObject({ err: 'authentication_failed' });
    expect(authority.events.at(-1)).toMatchObject({
      ...{ kind: 'authentication', result: 'refused', reason: 'signal-authentication-failed' },
    });
    expect((await push(token, { authorization: 'Bearer s3cret' })).status).toBe(202);
    expect((await push(token, {}, 'nobody')).status).toBe(404);
  });

  test.each([
    ['of another media type', async () => set('session-revoked'), 'text/plain'],
    ['of a media type that nobody reads', async () => set('session-revoked'), 'application/jwt'],
    [
      'in JSON',
      async () => JSON.stringify({ set: await set('session-revoked') }),
      'application/json',
    ],
    ['that is no JSON where it should be', async () => '{', 'application/json'],
    ['of 100 KB', async () => set('session-revoked', { claims: { filler: 'x'.repeat(100_000) } })],
    ['that is empty', async () => ''],
  ])(
    'what is no token at all, %s: invalid_request',
    async (_, make, type = 'application/secevent+jwt') => {
      const live = await alice();
      const { push } = await listening();
      const answer = await push(await make(), { 'content-type': type });
      expect([answer.status, answer.body]).toEqual([
        400,
        { err: 'invalid_request', description: expect.any(String) },
      ]);
      expect(await live()).toBe(1);
      expect(authority.events).toContainEqual(
        expect.objectContaining({ result: 'refused', reason: 'signal-invalid-request' }),
      );
    },
  );

  test('refusals of one kind are recorded once a minute, not each', async () => {
    const { push } = await listening();
    for (let count = 0; count < 20; count++) await push('not a token');
    const refused = () => authority.events.filter(({ kind }) => kind === 'authentication').length;
    expect(refused()).toBe(1);
    authority.advance(61_000);
    await push('not a token');
    expect(refused()).toBe(2);
  });
});

test('a session that the IdP revoked is over here, on the record, whoever is told twice', async () => {
  const live = await alice();
  const { push, responded } = await listening();
  const token = await set('session-revoked', {
    event: { initiating_entity: 'admin', reason_admin: { en: 'laptop stolen' } },
  });
  expect(await live()).toBe(1);
  expect((await push(token)).status).toBe(202);
  expect(await live()).toBe(0);
  expect(responded).toMatchObject([
    {
      ...{ type: 'session-revoked', subject: ALICE, initiatingEntity: 'admin' },
      reasonAdmin: 'idp: session-revoked: laptop stolen',
    },
  ]);
  const received = () =>
    authority.events.filter(
      (event) => event.kind === 'administration' && event.action === 'signal-received',
    );
  expect(received()).toMatchObject([
    { by: 'signals:idp', target: ALICE, detail: { outcome: 'ended 1 sessions' } },
  ]);
  expect((await push(token)).status).toBe(202);
  expect([received().length, responded.length]).toEqual([1, 1]);
});

test('what could not be recorded is not acknowledged, and is done when it comes again', async () => {
  const live = await alice();
  const { push } = await listening();
  const token = await set('session-revoked');
  const { push: pushOf } = { push };
  authority.failRecording(true);
  // The session's revocation itself is recorded by the authority: it is what fails.
  expect((await pushOf(token)).status).toBe(500);
  authority.failRecording(false);
  expect((await pushOf(token)).status).toBe(202);
  expect(await live()).toBe(0);
});

test('an address names the person too, a complex subject its session, and one of another issuer or domain nobody', async () => {
  const live = await alice();
  const { push } = await listening();
  const about = (sub_id: object) => set('session-revoked', { claims: { sub_id } });
  for (const nobody of [
    { format: 'iss_sub', iss: 'https://evil.example', sub: 'alice' },
    { format: 'email', email: 'alice@evil.example' },
    { format: 'email', email: 'alice@bank.example.evil.example' },
    { format: 'iss_sub', iss: IDP, sub: '../workload/payments/api' },
    { format: 'iss_sub', iss: IDP, sub: id('workload/payments/api') },
    { format: 'opaque', id: 'alice' },
    {
      format: 'complex',
      user: { format: 'iss_sub', iss: IDP, sub: 'alice' },
      session: { format: 'opaque', id: 'another-session' },
    },
  ]) {
    expect((await push(await about(nobody))).status).toBe(202);
    expect([nobody, await live()]).toEqual([nobody, 1]);
  }
  await push(await about({ format: 'email', email: 'Alice@BANK.example' }));
  expect(await live()).toBe(0);
});

test('an account that the IdP disabled is enabled by it, and by it alone only what it disabled', async () => {
  await alice();
  const { push } = await listening([
    transmitter(),
    transmitter({ name: 'watcher', may: ['end-sessions'] }),
  ]);
  const isRevoked = () => authority.identity.isRevoked('subject', ALICE);
  await push(await set('account-disabled'), {}, 'watcher');
  expect(isRevoked()).toBe(false);
  await push(await set('account-disabled'));
  expect(isRevoked()).toBe(true);
  await push(await set('account-enabled'), {}, 'watcher');
  expect(isRevoked()).toBe(true);
  await push(await set('account-enabled'));
  expect(isRevoked()).toBe(false);
  await authority.identity.revoke({
    ...{ target: 'subject', value: ALICE, reason: 'under investigation', by: 'local:uid=0' },
  });
  await push(await set('account-disabled'));
  await push(await set('account-enabled'));
  expect(isRevoked()).toBe(true);
});

test('an account-enabled that was issued before the account-disabled, and comes after it, enables nobody', async () => {
  await alice();
  const { push } = await listening();
  const iat = Math.floor(authority.now() / 1000);
  await push(await set('account-disabled'));
  expect((await push(await set('account-enabled', { claims: { iat: iat - 60 } }))).status).toBe(
    202,
  );
  expect(authority.identity.isRevoked('subject', ALICE)).toBe(true);
  expect(authority.events.at(-1)).toMatchObject({
    ...{ action: 'signal-received', target: ALICE },
    detail: { outcome: 'older than the last word on it' },
  });
});

test('risk is only raised from outside', async () => {
  await alice();
  const { push, responded } = await listening();
  const risk = (level: string) =>
    set('risk-level-change', { event: { principal: 'USER', current_level: level } });
  await push(await risk('LOW'));
  expect(responded).toEqual([]);
  await push(await risk('MEDIUM'));
  expect(responded).toMatchObject([{ type: 'risk-level-change', level: 'MEDIUM' }]);
  await authority.factLog.append({
    puts: [{ kind: 'risk', subject: ALICE, level: 'HIGH', score: 90, reasons: ['own'], atMs: 1 }],
  });
  await push(await risk('MEDIUM'));
  expect(responded).toHaveLength(1);
});

test('event types and members that are not known are taken and ignored', async () => {
  const live = await alice();
  const { push } = await listening();
  const unknown = await push(await set('https://example.com/event-type/new', { event: { a: 1 } }));
  expect(unknown.status).toBe(202);
  const extra = await set('session-revoked', {
    event: { unheard: { of: 1 } },
    claims: { sub_id: { format: 'iss_sub', iss: IDP, sub: 'alice', more: true }, other: 1 },
  });
  expect((await push(extra)).status).toBe(202);
  expect(await live()).toBe(0);
});

test('a transmitter’s new key is found with its first token, and it is not asked for each token of an unknown one', async () => {
  const [next, third] = [1, 2].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }));
  if (!next || !third) throw new Error('no keys');
  let published = [jwk(keys.publicKey, 'k1')];
  let asked = 0;
  const { push } = await listening([
    transmitter({
      keys: transmitterKeys({
        url: `${IDP}/jwks`,
        async getJson() {
          asked += 1;
          return { keys: published };
        },
        now: authority.now,
      }),
    }),
  ]);
  await push(await set('account-purged', { claims: { sub_id: { format: 'opaque', id: 'x' } } }));
  expect(asked).toBe(1);
  // Changed just behind it.
  published = [jwk(next.publicKey, 'k2')];
  const signedBy = ({ privateKey }: { privateKey: KeyObject }, kid: string) =>
    set('session-revoked', { header: { kid }, key: privateKey });
  expect((await push(await signedBy(next, 'k2'))).status).toBe(202);
  expect(asked).toBe(2);
  // Now it may not be asked; whether these are a stranger's nobody knows, and they come again.
  const early = await signedBy(third, 'k3');
  for (let count = 0; count < 5; count++) expect((await push(early)).status).toBe(503);
  expect(asked).toBe(2);
  authority.advance(31_000);
  const refused = await push(early);
  expect([refused.status, refused.body]).toMatchObject([400, { err: 'invalid_key' }]);
  published = [jwk(third.publicKey, 'k3')];
  authority.advance(31_000);
  expect((await push(early)).status).toBe(202);
  expect(asked).toBe(4);
});

describe('while a transmitter’s keys cannot be had, its tokens are neither taken nor refused', () => {
  const faults: [string, () => unknown][] = [
    ['it does not answer', () => Promise.reject(new Error('connect ECONNREFUSED'))],
    ['what it answers are no keys', () => ({ error: 'not now' })],
  ];
  const awaited = (fault: () => unknown) => {
    let isThere = false;
    const source = transmitter({
      keys: transmitterKeys({
        url: `${IDP}/jwks`,
        getJson: async () => (isThere ? { keys: [jwk(keys.publicKey, 'k1')] } : fault()),
        now: authority.now,
      }),
    });
    const untold = () =>
      authority.events.filter(
        (each) => each.kind === 'authentication' && each.reason === 'signal-keys-unavailable',
      );
    return { source, untold, back: () => (isThere = true) };
  };

  test.each(faults)('pushed, where %s', async (_, fault) => {
    const live = await alice();
    const { source, untold, back } = awaited(fault);
    const { push } = await listening([source]);
    const token = await set('session-revoked');
    for (let count = 0; count < 3; count++) expect((await push(token)).status).toBe(503);
    expect([await live(), untold().length]).toEqual([1, 1]);
    back();
    expect((await push(token)).status).toBe(202);
    expect(await live()).toBe(0);
  });

  test.each(faults)('polled, where %s', async (_, fault) => {
    const live = await alice();
    const { source, untold, back } = awaited(fault);
    const token = await set('session-revoked');
    const bodies: { ack?: string[]; setErrs?: object }[] = [];
    const poll = async (body: { ack?: string[]; setErrs?: object }) => {
      bodies.push(body);
      return { sets: bodies.some(({ ack }) => ack) ? {} : { j: token } };
    };
    const served = await serveSignals(authority, { pollSources: () => [{ ...source, poll }] });
    closers.push(() => served.close());
    await expect.poll(() => bodies.length, { timeout: 5000 }).toBeGreaterThan(1);
    expect([await live(), untold().length]).toEqual([1, 1]);
    back();
    await expect.poll(live, { timeout: 5000 }).toBe(0);
    await expect.poll(() => bodies.at(-1)?.ack, { timeout: 5000 }).toEqual(['j']);
    expect(bodies.filter(({ setErrs }) => setErrs)).toEqual([]);
  });
});

describe('as Keycloak 26 says it', () => {
  const reached = () => authority.events.at(-1);
  const user = { format: 'iss_sub', iss: IDP, sub: 'alice' };

  test('a session called ALL is every session of the person', async () => {
    const live = await alice();
    const { push } = await listening();
    const about = (id: string) =>
      set('session-revoked', {
        claims: { sub_id: { format: 'complex', user, session: { format: 'opaque', id } } },
        event: { initiating_entity: 'user', reason_admin: { en: 'User logout' } },
      });
    await push(await about('all-but-not-all'));
    expect(await live()).toBe(1);
    await push(await about('ALL'));
    expect(await live()).toBe(0);
  });

  test('the status of a stream is an object, and is in the record as one word', async () => {
    const { push } = await listening();
    const status = { stream_id: 's', status: 'paused', reason: 'maintenance' };
    for (const [said, outcome] of [
      [status, 'stream paused'],
      ['enabled', 'stream enabled'],
      [7, 'stream of unknown status'],
    ]) {
      const token = await set('https://schemas.openid.net/secevent/ssf/event-type/stream-updated', {
        event: { status: said, reason: 'maintenance' },
        claims: { sub_id: { format: 'opaque', id: 's' } },
      });
      expect((await push(token)).status).toBe(202);
      expect(reached()).toMatchObject({ action: 'signal-received', detail: { outcome } });
    }
  });
});

test('a polled token that is refused is told with its code, once, and recorded; the good one beside it counts', async () => {
  const live = await alice();
  const good = await set('session-revoked');
  const bad = await set('session-revoked', { claims: { aud: 'https://other.example' } });
  const asked: { ack?: string[]; setErrs?: Record<string, { err: string }> }[] = [];
  const poll = async (body: object, signal: AbortSignal) => {
    asked.push(body);
    if (asked.length === 1) return { sets: { one: good, two: bad } };
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('closed')));
      if (asked.length === 2) reject(new Error('away'));
    });
    return {};
  };
  const served = await serveSignals(authority, {
    pollSources: () => [{ ...transmitter(), poll }],
  });
  closers.push(() => served.close());
  // Told again when it was not heard.
  await expect.poll(() => asked.length, { timeout: 5000 }).toBe(3);
  for (const body of asked.slice(1)) expect(body.ack).toEqual(['one']);
  expect(asked[1]?.setErrs).toEqual({
    two: { err: 'invalid_audience', description: expect.any(String) },
  });
  expect(asked[2]?.setErrs).toEqual(asked[1]?.setErrs);
  expect(await live()).toBe(0);
  expect(authority.events).toContainEqual(
    expect.objectContaining({
      ...{ kind: 'authentication', result: 'refused', listener: 'signals' },
      reason: 'signal-invalid-audience',
    }),
  );
});

test('polled from our own transmitter: acted on once, acknowledged, and again after either side was away', async () => {
  const elsewhere = await startAuthority();
  closers.push(() => elsewhere.close());
  const log = testLog();
  const receivers: { client: string; audience: string; pushTo: string[] }[] = [];
  let idp = await serveSignals(elsewhere, { log, receivers });
  closers.push(() => idp.close());
  const bank = await newReceiver(elsewhere, { name: 'bank', url: idp.url });
  receivers.push({ client: bank.client, audience: AUDIENCE, pushTo: [] });
  await elsewhere.identity.applyRegistrations([bank.entry], []);
  const { body: stream } = await bank.call('POST', '/ssf/streams', {});

  const live = await alice();
  const responded: Signal[] = [];
  const source: SignalTransmitter = transmitter({
    issuer: idp.url,
    keys: transmitterKeys({
      url: `${idp.url}/ssf/jwks`,
      getJson: async () => (await bank.call('GET', '/ssf/jwks')).body,
      now: authority.now,
    }),
    subjectOf: (identifier) =>
      namedSubject(identifier, { trustDomain, kind: 'human', issuer: idp.url }),
  });
  const poll = async (body: object) => {
    const answer = await bank.call('POST', `/ssf/streams/${stream.stream_id}/poll`, {
      ...{ ...body, returnImmediately: true },
    });
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
    return answer.body;
  };
  const listen = () =>
    serveSignals(authority, { responded, pollSources: () => [{ ...source, poll }] });
  let here = await listen();
  const revoked = () =>
    log.write({
      ...{ kind: 'administration', action: 'session-revoked', by: 'system', target: 's' },
      detail: { subject: ALICE, reason: 'gone' },
    });
  // Alice's session there is none of ours: all of hers here are meant when it names none.
  log.write({ kind: 'administration', action: 'subject-revoked', by: 'system', target: ALICE });
  await expect
    .poll(() => authority.identity.isRevoked('subject', ALICE), { timeout: 10_000 })
    .toBe(true);
  await here.close();
  revoked();
  await idp.close();
  revoked();
  here = await listen();
  closers.push(() => here.close());
  await expect
    .poll(async () => (await here.signals.status()).sources[0]?.trouble?.attempts)
    .toBeGreaterThan(0);
  idp = await serveSignals(elsewhere, { log, receivers, port: idp.port });
  await expect.poll(() => responded.length, { timeout: 10_000 }).toBe(2);
  await expect
    .poll(async () => (await idp.signals.status()).streams, { timeout: 5000 })
    .toMatchObject([{ waiting: 0 }]);
  expect(await live()).toBe(1);
});
