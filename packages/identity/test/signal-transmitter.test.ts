import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { EVENT_TYPES, type SignalReceiver } from '@countersign/identity';
import { freePort } from '@countersign/test-support/free-port';
import { createRemoteJWKSet, customFetch, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { Agent, fetch, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { id, partner, registration, startAuthority, type TestAuthority } from './authority.ts';
import { ENTERPRISE, openDirectory, patch } from './people/directory.ts';
import { newReceiver, serveSignals, testLog } from './signal-authority.ts';

const ALICE = id('human/alice');
const POLL = 'urn:ietf:rfc:8936';
const PUSH = 'urn:ietf:rfc:8935';
const REVOKED = {
  ...{ kind: 'administration', action: 'session-revoked', by: 'local:uid=0', target: 'session-1' },
  detail: { reason: 'left the bank', subject: ALICE },
};

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

/** The SIEM and another receiver, registered; signals served. */
async function setUp(
  options: Partial<Parameters<typeof serveSignals>[1]> & { pushTo?: readonly string[] } = {},
) {
  const port = options.port ?? (await freePort());
  const url = `https://localhost:${port}`;
  const siem = await newReceiver(authority, { name: 'siem', url });
  const other = await newReceiver(authority, { name: 'other', url, scopes: ['ssf.read'] });
  await authority.identity.applyRegistrations([siem.entry, other.entry], []);
  const receivers: SignalReceiver[] = [siem, other].map(({ client }) => ({
    ...{ client, audience: `https://${client}.example` },
    pushTo: options.pushTo ?? [],
  }));
  const log = testLog();
  const start = async () => serveSignals(authority, { log, receivers, ...options, port });
  let served = await start();
  closers.push(() => served.close());
  return {
    ...{ url, siem, other, log },
    signals: () => served.signals,
    async restart() {
      await served.close();
      served = await start();
    },
  };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

/** Reads a token as a receiver would that knows nothing but the transmitter's address. */
async function readSet(token: string, { url }: SetUp, audience: string) {
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  try {
    const found = await request(`${url}/.well-known/ssf-configuration`, { dispatcher: agent });
    const { jwks_uri, issuer } = (await found.body.json()) as Record<string, string>;
    const keys = createRemoteJWKSet(new URL(jwks_uri ?? ''), {
      [customFetch]: ((to: string, init: object) =>
        fetch(to, { ...init, dispatcher: agent })) as never,
    });
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer: issuer ?? '', audience, typ: 'secevent+jwt', algorithms: ['RS256'] },
    });
    return payload;
  } finally {
    await agent.destroy();
  }
}

const poll = async (
  { siem }: SetUp,
  streamId: string,
  body: Record<string, unknown> = {},
): Promise<{ sets: Record<string, string>; moreAvailable?: boolean }> => {
  const path = `/ssf/streams/${streamId}/poll`;
  const answer = await siem.call('POST', path, { returnImmediately: true, ...body });
  expect(answer.status).toBe(200);
  return answer.body;
};

const newStream = async ({ siem }: SetUp, body: Record<string, unknown> = {}) => {
  const answer = await siem.call('POST', '/ssf/streams', body);
  expect([answer.status, answer.body]).toEqual([201, expect.anything()]);
  return answer.body;
};

test('metadata and keys are there for everybody, in the shape of SSF 1.0 section 7', async () => {
  const { url } = await setUp();
  const agent = new Agent({ connect: { ca: authority.authorityPem } });
  closers.push(() => agent.destroy());
  const { body } = await request(`${url}/.well-known/ssf-configuration`, { dispatcher: agent });
  expect(await body.json()).toEqual({
    spec_version: '1_0',
    issuer: url,
    jwks_uri: `${url}/ssf/jwks`,
    delivery_methods_supported: [PUSH, POLL],
    configuration_endpoint: `${url}/ssf/streams`,
    status_endpoint: `${url}/ssf/status`,
    add_subject_endpoint: `${url}/ssf/subjects:add`,
    remove_subject_endpoint: `${url}/ssf/subjects:remove`,
    verification_endpoint: `${url}/ssf/verify`,
    critical_subject_members: [],
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }, { spec_urn: 'urn:ietf:rfc:8705' }],
    default_subjects: 'ALL',
  });
  const keys = await request(`${url}/ssf/jwks`, { dispatcher: agent });
  const { keys: found } = (await keys.body.json()) as { keys: Record<string, string>[] };
  expect(found).toMatchObject([{ kty: 'RSA', alg: 'RS256', use: 'sig' }]);
  expect(found[0]).not.toHaveProperty('d');
});

test('a polled stream gets what the record says, in tokens of CAEP, and again until they are acknowledged', async () => {
  const bank = await setUp();
  const stream = await newStream(bank, { description: 'SOC' });
  expect(stream).toMatchObject({
    iss: bank.url,
    aud: 'https://partner-siem.example',
    delivery: { method: POLL, endpoint_url: `${bank.url}/ssf/streams/${stream.stream_id}/poll` },
    events_delivered: expect.arrayContaining([EVENT_TYPES['session-revoked']]),
    description: 'SOC',
  });
  const written = bank.log.write(REVOKED);
  bank.log.write({ kind: 'administration', action: 'svid-issued', by: 'system' });
  const { sets } = await poll(bank, stream.stream_id, { returnImmediately: false });
  expect(Object.keys(sets)).toEqual([written.id]);
  const token = sets[written.id] ?? '';
  expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'secevent+jwt', alg: 'RS256' });
  const payload = await readSet(token, bank, 'https://partner-siem.example');
  expect(payload).not.toHaveProperty('sub');
  expect(payload).not.toHaveProperty('exp');
  expect(payload).toMatchObject({
    jti: written.id,
    sub_id: {
      format: 'complex',
      user: { format: 'iss_sub', iss: bank.url, sub: ALICE },
      session: { format: 'opaque', id: 'session-1' },
    },
    events: {
      [EVENT_TYPES['session-revoked']]: {
        event_timestamp: Math.floor(written.at / 1000),
        initiating_entity: 'admin',
        reason_admin: { en: 'left the bank' },
      },
    },
  });
  expect(Object.keys((await poll(bank, stream.stream_id)).sets)).toEqual([written.id]);
  expect(await poll(bank, stream.stream_id, { ack: [written.id] })).toEqual({ sets: {} });
  expect(await poll(bank, stream.stream_id)).toEqual({ sets: {} });
});

test('that scopes were taken from a session is told as a change of the claims of its tokens', async () => {
  const bank = await setUp();
  const { stream_id: streamId, aud } = await newStream(bank);
  const narrowed = (detail: Record<string, unknown>) =>
    bank.log.write({
      ...{ kind: 'administration', action: 'session-narrowed', by: 'system:risk' },
      ...{ target: 'session-1', detail: { reason: 'odd hour', subject: ALICE, ...detail } },
    });
  // No claim says so.
  narrowed({ readOnly: true });
  const written = narrowed({ readOnly: true, scopes: 'accounts' });
  const { sets } = await poll(bank, streamId, { returnImmediately: false });
  expect(Object.keys(sets)).toEqual([written.id]);
  expect(await readSet(sets[written.id] ?? '', bank, aud)).toMatchObject({
    sub_id: {
      format: 'complex',
      user: { format: 'iss_sub', iss: bank.url, sub: ALICE },
      session: { format: 'opaque', id: 'session-1' },
    },
    events: {
      [EVENT_TYPES['token-claims-change']]: {
        ...{ claims: { scope: 'accounts' }, initiating_entity: 'policy' },
        reason_admin: { en: 'odd hour' },
      },
    },
  });
});

test('a device that became, or is no more, compliant is told of as a device', async () => {
  const bank = await setUp();
  const { stream_id: streamId, aud } = await newStream(bank);
  const device = id('device/alice-laptop');
  const written = bank.log.write({
    ...{ kind: 'signal', type: 'device-compliance-change', subject: device },
    ...{ compliance: 'not-compliant', reason: 'intune: compliant is false, was true' },
  });
  // One of a person, from a transmitter: whose device it is, nobody here knows.
  bank.log.write({
    ...{ kind: 'signal', type: 'device-compliance-change', subject: ALICE, reason: 'told' },
  });
  const { sets } = await poll(bank, streamId, { returnImmediately: false });
  expect(Object.keys(sets)).toEqual([written.id]);
  expect(await readSet(sets[written.id] ?? '', bank, aud)).toMatchObject({
    sub_id: { format: 'complex', device: { format: 'iss_sub', iss: bank.url, sub: device } },
    events: {
      [EVENT_TYPES['device-compliance-change']]: {
        ...{ previous_status: 'compliant', current_status: 'not-compliant' },
        reason_admin: { en: 'intune: compliant is false, was true' },
      },
    },
  });
});

test('joiners, movers and leavers of the directory are told of, and what becomes of their agents', async () => {
  const bank = await setUp();
  const { stream_id: streamId } = await newStream(bank);
  const directory = await openDirectory();
  closers.push(() => directory.close());
  const agent = id('agent/reconciler');
  await directory.identity.applyRegistrations(
    [registration('agent/reconciler', { owner: 'alice' })],
    [],
  );
  const person = await directory.user('alice', { [ENTERPRISE]: { department: 'Payments' } });
  const alice = await directory.spiffeIdOf(person);
  await directory.group('Clerks', [person]);
  const moved = { op: 'replace', path: `${ENTERPRISE}:department`, value: 'Risk' };
  const active = (value: boolean) => patch({ op: 'replace', path: 'active', value });
  for (const change of [patch(moved), active(false), active(true)]) {
    expect((await directory.call('PATCH', `/Users/${person}`, change)).status).toBe(200);
  }
  await directory.identity.people.disable('alice', { reason: 'incident 7', by: 'local:uid=0' });
  expect((await directory.call('DELETE', `/Users/${person}`)).status).toBe(204);

  const written = directory.events.map((event) => bank.log.write({ ...event }));
  const claims = async () =>
    Object.values((await poll(bank, streamId)).sets).map((token) => decodeJwt(token));
  await expect.poll(async () => (await claims()).length).toBe(10);
  const told = (await claims()).map(({ sub_id: subject, events }) => {
    const [[type, body]] = Object.entries(events as object) as [[string, object]];
    const { event_timestamp: _, ...rest } = body as { event_timestamp: number };
    return [(subject as { sub: string }).sub, type.slice(type.lastIndexOf('/') + 1), rest];
  });
  const by = (who: string, reason: string) => ({
    initiating_entity: who,
    reason_admin: { en: reason },
  });
  const left = by('system', 'active set to false by SCIM client entra');
  const held = by('admin', 'disabled by an operator: incident 7');
  expect(told).toEqual([
    [alice, 'token-claims-change', expect.objectContaining({ claims: { groups: ['clerks'] } })],
    [alice, 'token-claims-change', expect.objectContaining({ claims: { department: 'Risk' } })],
    [alice, 'account-disabled', left],
    [alice, 'session-revoked', left],
    [agent, 'account-disabled', left],
    [alice, 'account-enabled', by('system', 'active set to true by SCIM client entra')],
    [alice, 'account-disabled', held],
    [alice, 'session-revoked', held],
    [agent, 'account-disabled', held],
    [alice, 'account-purged', by('system', 'deleted by SCIM client entra')],
  ]);
  // What came of one entry says so, and has a name of its own that stays.
  const leaving = written.find(
    (event) => event.kind === 'administration' && event.action === 'person-disabled',
  );
  const ofLeaving = (await claims()).filter(({ txn }) => txn === leaving?.id);
  expect(ofLeaving.map(({ jti }) => jti)).toEqual([leaving?.id, `${leaving?.id}.1`]);
});

test('nothing is lost or comes twice when the authority starts again, and nobody is told of what was before', async () => {
  const bank = await setUp();
  bank.log.write(REVOKED);
  const { stream_id: streamId } = await newStream(bank);
  const first = bank.log.write(REVOKED);
  const { sets } = await poll(bank, streamId, { returnImmediately: false });
  expect(Object.keys(sets)).toEqual([first.id]);
  await bank.restart();
  const second = bank.log.write(REVOKED);
  await bank.restart();
  await expect
    .poll(async () => Object.keys((await poll(bank, streamId)).sets))
    .toEqual([first.id, second.id]);
  const some = await poll(bank, streamId, { maxEvents: 1 });
  expect([Object.keys(some.sets), some.moreAvailable]).toEqual([[first.id], true]);
  expect(await poll(bank, streamId, { maxEvents: 0, ack: [first.id] })).toEqual({ sets: {} });
  expect(Object.keys((await poll(bank, streamId)).sets)).toEqual([second.id]);
});

test('what a receiver cannot take is settled with its error, which is an alarm; what it does not know changes nothing', async () => {
  const bank = await setUp();
  const { stream_id: streamId } = await newStream(bank);
  const [first, second] = [bank.log.write(REVOKED), bank.log.write(REVOKED)];
  await expect
    .poll(async () => Object.keys((await poll(bank, streamId)).sets))
    .toEqual([first.id, second.id]);
  const setErrs = {
    [first.id]: { err: 'invalid_key', description: 'no such key' },
    unheard: { err: 'invalid_request', description: 'x' },
  };
  const left = await poll(bank, streamId, { setErrs, ack: ['another', 'another'] });
  expect(Object.keys(left.sets)).toEqual([second.id]);
  const refusals = () =>
    authority.events.filter((event) => event.kind === 'alarm' && event.alarm === 'signal-refused');
  expect(refusals()).toEqual([
    expect.objectContaining({ detail: expect.stringContaining(`${first.id}: invalid_key`) }),
  ]);
  // Said again, by a receiver that did not hear the answer, it is nothing new.
  await poll(bank, streamId, { setErrs });
  expect(refusals()).toHaveLength(1);
  for (const body of [{ ack: 'x' }, { maxEvents: -1 }, { setErrs: { a: 'b' } }, { ack: [1] }]) {
    const path = `/ssf/streams/${streamId}/poll`;
    const answer = await bank.siem.call('POST', path, { returnImmediately: true, ...body });
    expect([body, answer.status]).toEqual([body, 400]);
  }
  expect(Object.keys((await poll(bank, streamId)).sets)).toEqual([second.id]);
});

test('a receiver gets the events that it asked for, about whom it did not say no', async () => {
  const bank = await setUp();
  const { stream_id: streamId } = await newStream(bank, {
    events_requested: [EVENT_TYPES['session-revoked'], 'https://example.com/unknown'],
  });
  const subject = { format: 'iss_sub', iss: bank.url, sub: ALICE };
  const said = await bank.siem.call('POST', '/ssf/subjects:remove', {
    stream_id: streamId,
    subject,
  });
  expect(said.status).toBe(204);
  bank.log.write(REVOKED);
  bank.log.write({
    kind: 'administration',
    action: 'subject-revoked',
    by: 'system',
    target: ALICE,
  });
  const bob = { ...REVOKED, detail: { subject: id('human/bob') } };
  const wanted = bank.log.write(bob);
  await expect
    .poll(async () => Object.keys((await poll(bank, streamId)).sets))
    .toEqual([wanted.id]);
  const again = await bank.siem.call('POST', '/ssf/subjects:add', {
    ...{ stream_id: streamId, subject, verified: true },
  });
  expect(again.status).toBe(200);
  const alice = bank.log.write(REVOKED);
  await expect
    .poll(async () => Object.keys((await poll(bank, streamId)).sets))
    .toEqual([wanted.id, alice.id]);
});

test('a stream is verified, paused, disabled, changed, replaced and removed, and says so itself', async () => {
  const bank = await setUp();
  const { stream_id: streamId } = await newStream(bank);
  const ask = { stream_id: streamId, state: 'VGhpcyBpcyBh' };
  expect((await bank.siem.call('POST', '/ssf/verify', ask)).status).toBe(204);
  expect((await bank.siem.call('POST', '/ssf/verify', ask)).status).toBe(429);
  const [[jti, token] = ['', '']] = Object.entries((await poll(bank, streamId)).sets);
  expect(await readSet(token, bank, 'https://partner-siem.example')).toMatchObject({
    sub_id: { format: 'opaque', id: streamId },
    events: {
      'https://schemas.openid.net/secevent/ssf/event-type/verification': { state: ask.state },
    },
  });
  await poll(bank, streamId, { ack: [jti] });

  const pause = { stream_id: streamId, status: 'paused', reason: 'maintenance' };
  expect((await bank.siem.call('POST', '/ssf/status', pause)).body).toEqual(pause);
  const held = bank.log.write(REVOKED);
  const [[updated, about] = ['', '']] = Object.entries((await poll(bank, streamId)).sets);
  expect(await readSet(about, bank, 'https://partner-siem.example')).toMatchObject({
    events: {
      'https://schemas.openid.net/secevent/ssf/event-type/stream-updated': { status: 'paused' },
    },
  });
  await poll(bank, streamId, { ack: [updated] });
  expect(await poll(bank, streamId)).toEqual({ sets: {} });
  await bank.siem.call('POST', '/ssf/status', { stream_id: streamId, status: 'enabled' });
  await expect.poll(async () => Object.keys((await poll(bank, streamId)).sets)).toContain(held.id);
  await bank.siem.call('POST', '/ssf/status', { stream_id: streamId, status: 'disabled' });
  expect(Object.keys((await poll(bank, streamId)).sets)).not.toContain(held.id);
  const status = await bank.siem.call('GET', `/ssf/status?stream_id=${streamId}`);
  expect(status.body).toEqual({ stream_id: streamId, status: 'disabled' });

  const patched = await bank.siem.call('PATCH', '/ssf/streams', {
    ...{ stream_id: streamId, description: 'two' },
  });
  expect(patched.body).toMatchObject({ stream_id: streamId, description: 'two' });
  const requested = [EVENT_TYPES['credential-change']];
  const put = await bank.siem.call('PUT', '/ssf/streams', {
    ...{ stream_id: streamId, events_requested: requested },
  });
  expect(put.body).toMatchObject({ events_requested: requested, events_delivered: requested });
  expect(put.body).not.toHaveProperty('description');
  expect((await bank.siem.call('GET', '/ssf/streams')).body).toHaveLength(1);
  expect((await bank.siem.call('DELETE', `/ssf/streams?stream_id=${streamId}`)).status).toBe(204);
  expect((await bank.siem.call('GET', `/ssf/streams?stream_id=${streamId}`)).status).toBe(404);
  const deeds = authority.events.flatMap((event) =>
    event.kind === 'administration' && event.action.startsWith('signal-') ? [event.action] : [],
  );
  expect(new Set(deeds)).toEqual(
    new Set([
      'signal-stream-created',
      'signal-stream-status',
      'signal-stream-changed',
      'signal-stream-removed',
    ]),
  );
});

describe('who may not', () => {
  test('without token, with one bound to another certificate, or without the scope, nothing is told', async () => {
    const bank = await setUp();
    const { stream_id: streamId } = await newStream(bank);
    const none = await bank.siem.call('GET', '/ssf/streams', undefined, { token: 'x' });
    expect([none.status, none.headers['www-authenticate']]).toEqual([
      401,
      'Bearer error="invalid_token"',
    ]);
    const stolen = await bank.siem.call('GET', '/ssf/streams', undefined, {
      ...{ token: await bank.siem.token(), client: bank.other.tls },
    });
    expect(stolen.status).toBe(401);
    const scope = await bank.siem.call(
      'POST',
      '/ssf/streams',
      {},
      {
        token: await bank.siem.token('ssf.read'),
      },
    );
    expect([scope.status, scope.headers['www-authenticate']]).toEqual([
      403,
      'Bearer error="insufficient_scope"',
    ]);
    const narrow = { token: await bank.siem.token() };
    const session = String(decodeJwt(narrow.token)['sid']);
    const order = { session, readOnly: true, reason: 'odd hour', by: 'test' };
    await authority.identity.narrow(order);
    const change = await bank.siem.call('POST', '/ssf/streams', {}, narrow);
    const look = await bank.siem.call('GET', '/ssf/streams', undefined, narrow);
    expect([change.status, look.status]).toEqual([403, 200]);
    await authority.identity.widen({ session, by: 'test' });
    const foreign = await bank.other.call('GET', `/ssf/streams?stream_id=${streamId}`);
    expect(foreign.status).toBe(404);
    const polled = await bank.other.call('POST', `/ssf/streams/${streamId}/poll`, {});
    expect(polled.status).toBe(404);
    expect(
      authority.events.filter(
        (event) => event.kind === 'authentication' && event.reason.startsWith('signals-'),
      ),
    ).toHaveLength(3);
    const token = await bank.siem.token();
    await authority.identity.revoke({
      ...{ target: 'subject', value: bank.siem.subject, reason: 'contract ended', by: 'system' },
    });
    const revoked = await bank.siem.call('GET', '/ssf/streams', undefined, { token });
    expect(revoked.status).toBe(401);
  });

  test('calls without a token leave one event a minute, which says how many they were', async () => {
    const bank = await setUp();
    const refusals = () =>
      authority.events.filter(
        (event) => event.kind === 'authentication' && event.reason === 'signals-invalid-token',
      );
    const ask = async () =>
      (await bank.siem.call('GET', '/ssf/streams', undefined, { token: 'x' })).status;
    for (let index = 0; index < 20; index += 1) expect(await ask()).toBe(401);
    expect(refusals()).toHaveLength(1);
    authority.advance(61_000);
    expect(await ask()).toBe(401);
    expect(refusals()).toMatchObject([
      {},
      { detail: expect.stringContaining('(20 since the last that was told)') },
    ]);
  });

  test('a stream pushes only where the bank said', async () => {
    const bank = await setUp({ pushTo: ['https://siem.example/events'] });
    for (const endpoint_url of [
      'https://localhost:7401/v1/svid',
      'https://siem.example/eventsource',
      'https://siem.example@evil.example/events',
      'https://evil.example/https://siem.example/events',
      'http://siem.example/events',
    ]) {
      const delivery = { method: PUSH, endpoint_url };
      const answer = await bank.siem.call('POST', '/ssf/streams', { delivery });
      expect([endpoint_url, answer.status]).toEqual([endpoint_url, 400]);
    }
    const good = { method: PUSH, endpoint_url: 'https://siem.example/events/soc' };
    const { delivery } = await newStream(bank, {
      delivery: { ...good, authorization_header: 'X y' },
    });
    // The receiver's secret is shown to nobody again.
    expect(delivery).toEqual(good);
  });
});

describe('push', () => {
  /** A receiver's endpoint that answers as a test says. */
  async function endpoint(answer: (token: string, tries: number) => [number, string?]) {
    const { tls } = await partner('receiver');
    const got: { token: string; authorization: string | undefined }[] = [];
    const server: Server = createServer(
      { cert: tls.certPem, key: tls.keyPem },
      async (incoming, response) => {
        let token = '';
        for await (const chunk of incoming) token += chunk;
        got.push({ token, authorization: incoming.headers.authorization });
        expect(incoming.headers['content-type']).toBe('application/secevent+jwt');
        const [status, body = ''] = answer(token, got.length);
        response.writeHead(status).end(body);
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    closers.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    const agent = new Agent({ connect: { rejectUnauthorized: false } });
    closers.push(() => agent.destroy());
    return {
      got,
      url: `https://localhost:${port}/events`,
      post: async (
        stream: { delivery: { method: string; url?: string } },
        body: string,
        { headers, signal }: { headers: Readonly<Record<string, string>>; signal: AbortSignal },
      ) => {
        const { statusCode, body: stream_ } = await request(stream.delivery.url ?? '', {
          ...{ dispatcher: agent, method: 'POST', headers, body, signal },
        });
        return { status: statusCode, body: await stream_.text() };
      },
    };
  }

  test('tokens come in order, with the receiver’s secret, again while it cannot take them, and not for ever when it will not', async () => {
    const receiver = await endpoint((_, tries) => {
      if (tries === 1) return [503];
      if (tries === 3) return [400, JSON.stringify({ err: 'invalid_request', description: 'no' })];
      return [202];
    });
    const bank = await setUp({ pushTo: [receiver.url], post: receiver.post });
    const delivery = {
      method: PUSH,
      endpoint_url: receiver.url,
      authorization_header: 'Bearer s3',
    };
    const { stream_id: streamId } = await newStream(bank, { delivery });
    const written = [1, 2, 3].map(() => bank.log.write(REVOKED).id);
    await expect.poll(() => receiver.got.length, { timeout: 10_000 }).toBe(4);
    const jtis: string[] = [];
    for (const { token, authorization } of receiver.got) {
      expect(authorization).toBe('Bearer s3');
      jtis.push(String((await readSet(token, bank, 'https://partner-siem.example')).jti));
    }
    expect(jtis).toEqual([written[0], ...written]);
    await expect
      .poll(async () => (await bank.signals().status()).streams)
      .toMatchObject([{ id: streamId, method: 'push', waiting: 0 }]);
    expect(authority.events).toContainEqual({
      ...{ kind: 'alarm', alarm: 'signal-refused' },
      detail: expect.stringContaining(`${written[1]}: HTTP 400 invalid_request: no`),
    });
  });

  test('nothing is lost, and nothing overtakes another, when either side is away in between', async () => {
    let isAway = true;
    const receiver = await endpoint(() => (isAway ? [503] : [202]));
    const bank = await setUp({ pushTo: [receiver.url], post: receiver.post });
    await newStream(bank, { delivery: { method: PUSH, endpoint_url: receiver.url } });
    const written = [bank.log.write(REVOKED).id];
    await expect.poll(() => receiver.got.length).toBeGreaterThan(0);
    await bank.restart();
    written.push(bank.log.write(REVOKED).id);
    await bank.restart();
    written.push(bank.log.write(REVOKED).id);
    isAway = false;
    const from = receiver.got.length;
    await expect
      .poll(async () => (await bank.signals().status()).streams, { timeout: 10_000 })
      .toMatchObject([{ waiting: 0 }]);
    await expect
      .poll(() => [
        ...new Set(receiver.got.slice(from).map(({ token }) => String(decodeJwt(token).jti))),
      ])
      .toEqual(written);
  });

  test('a stream whose receiver the bank no longer has is not pushed to, and says so', async () => {
    const receiver = await endpoint(() => [202]);
    const receivers: SignalReceiver[] = [];
    const bank = await setUp({ receivers, post: receiver.post });
    receivers.push({ client: bank.siem.client, audience: 'a', pushTo: [receiver.url] });
    await newStream(bank, { delivery: { method: PUSH, endpoint_url: receiver.url } });
    bank.log.write(REVOKED);
    await expect.poll(() => receiver.got.length).toBe(1);
    receivers[0] = { client: bank.siem.client, audience: 'a', pushTo: [] };
    bank.log.write(REVOKED);
    await bank.signals().verify((await bank.signals().status()).streams[0]?.id ?? '');
    await expect
      .poll(async () => (await bank.signals().status()).streams[0]?.trouble?.detail)
      .toContain('found no receiver registered');
    expect(receiver.got).toHaveLength(1);
  });
});
