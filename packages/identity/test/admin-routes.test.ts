import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { adminRoutes } from '@countersign/identity';
import { type FastifyInstance, fastify } from 'fastify';
import { Client } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { softwareAuthenticator } from '../../sdk/test/software-authenticator.ts';
import {
  id,
  last,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from './authority.ts';

let authority: TestAuthority;
let app: FastifyInstance;
let client: Client;
let folder: string;
const alice = id('human/alice');

beforeEach(async () => {
  authority = await startAuthority();
  await authority.identity.applyRegistrations(
    [registration('human/alice'), registration('human/off', { enabled: false })],
    [],
  );
  folder = mkdtempSync(join(tmpdir(), 'admin-'));
  const path = join(folder, 'admin.sock');
  app = fastify();
  await app.register(adminRoutes({ identity: authority.identity, by: 'local:uid=0' }));
  await app.listen({ path });
  chmodSync(path, 0o600);
  client = new Client('http://localhost', { socketPath: path });
});
afterEach(async () => {
  await client.destroy();
  await app.close();
  await authority.close();
  rmSync(folder, { recursive: true });
});

async function call(method: 'GET' | 'POST' | 'DELETE', path: string, json?: unknown) {
  const { statusCode, headers, body } = await client.request({
    method,
    path,
    ...(json !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(json),
    }),
  });
  const text = await body.text();
  return {
    status: statusCode,
    type: String(headers['content-type']),
    body: text ? JSON.parse(text) : undefined,
  };
}

describe('the admin socket', () => {
  test('makes a join token that enrols', async () => {
    const { status, body } = await call('POST', '/v1/join-tokens', { spiffeId: alice });
    expect([status, body]).toEqual([
      201,
      { joinToken: expect.any(String), spiffeId: alice, expiresAtMs: expect.any(Number) },
    ]);
    expect(last(authority, 'administration')).toEqual({
      kind: 'administration',
      action: 'join-token-created',
      by: 'local:uid=0',
      target: alice,
      detail: { expiresAtMs: body.expiresAtMs },
    });
    expect(JSON.stringify(authority.events)).not.toContain(body.joinToken);
    const { joinToken } = body;
    const granted = await authority.identity.enrol({ joinToken, request: await svidRequest() });
    expect(granted.isGranted).toBe(true);
  });

  test.each([
    ['an unknown subject', { spiffeId: id('human/nobody') }, 404],
    ['a disabled subject', { spiffeId: id('human/off') }, 409],
    ['more than a day', { spiffeId: alice, ttlSeconds: 86_401 }, 400],
    ['no time at all', { spiffeId: alice, ttlSeconds: 0 }, 400],
    ['a field too many', { spiffeId: alice, admin: true }, 400],
    ['nobody', {}, 400],
  ])('makes no join token for %s', async (_, json, status) => {
    const answer = await call('POST', '/v1/join-tokens', json);
    expect([answer.status, answer.type, answer.body.status]).toEqual([
      status,
      expect.stringContaining('application/problem+json'),
      status,
    ]);
  });

  test('lists subjects, points and sessions', async () => {
    await authority.identity.registerPoints([{ name: 'edge', surfaces: ['a'] }]);
    const { body: subjects } = await call('GET', '/v1/subjects');
    expect(subjects.map(({ id: name }: { id: string }) => name).sort()).toEqual(
      [
        alice,
        id('human/off'),
        id('workload/countersign/authority'),
        id('workload/countersign/edge'),
      ].sort(),
    );
    expect((await call('GET', '/v1/points')).body).toEqual([
      { name: 'edge', surfaces: ['a'], spiffeId: id('workload/countersign/edge') },
    ]);
    expect((await call('GET', '/v1/sessions')).body).toEqual([]);
  });

  test('revokes a subject, and takes it back', async () => {
    const revoked = await call('POST', '/v1/revocations', {
      target: 'subject',
      value: alice,
      reason: 'left',
    });
    expect([revoked.status, revoked.body]).toEqual([
      201,
      { target: 'subject', value: alice, reason: 'left', untilMs: 8_640_000_000_000_000 },
    ]);
    expect(authority.identity.isRevoked('subject', alice)).toBe(true);
    expect(authority.factLog.get(`revocation subject ${alice}`)).toMatchObject({ reason: 'left' });
    const path = `/v1/revocations/subject/${encodeURIComponent(alice)}`;
    expect((await call('DELETE', path)).status).toBe(204);
    expect(authority.identity.isRevoked('subject', alice)).toBe(false);
    expect(last(authority, 'administration')).toMatchObject({
      action: 'subject-reinstated',
      by: 'local:uid=0',
      target: alice,
    });
    expect((await call('DELETE', path)).status).toBe(404);
  });

  test('narrows a session, shows it in the list, and widens it; what nobody can mean is told', async () => {
    const rows = authority.database.tables<{ session: Record<string, string | number | null> }>();
    const session = {
      ...{ id: 'session-1', client_id: 'robot', subject: alice, binding: 'dpop', thumbprint: 't' },
      ...{ started_ms: authority.now(), ends_ms: authority.now() + 60_000 },
      ...{ last_token_ms: authority.now(), revoked_ms: null, revoked_reason: null, narrowed: 0 },
    };
    await rows.insertInto('session').values(session).execute();
    const narrow = (more: object) =>
      call('POST', '/v1/narrowings', { session: 'session-1', reason: 'odd hour', ...more });
    expect((await narrow({})).body).toMatchObject({
      status: 400,
      detail: expect.stringContaining('nothing to narrow to'),
    });
    expect((await narrow({ scopes: ['x'] })).body).toMatchObject({
      ...{
        status: 422,
        detail:
          "request-malformed: found scope 'x', which no client may ask for, expected scopes of registered clients",
      },
    });
    expect((await narrow({ readOnly: true, session: 'nobody' })).status).toBe(404);
    const narrowed = await narrow({ readOnly: true });
    expect([narrowed.status, narrowed.body]).toEqual([
      201,
      { session: 'session-1', readOnly: true, untilMs: session.ends_ms + 60_000 },
    ]);
    expect((await call('GET', '/v1/sessions')).body).toMatchObject([
      { id: 'session-1', narrowed: { readOnly: true } },
    ]);
    expect((await call('DELETE', '/v1/narrowings/session-1')).status).toBe(204);
    expect((await call('DELETE', '/v1/narrowings/session-1')).status).toBe(404);
    const [back] = (await call('GET', '/v1/sessions')).body;
    expect(back).not.toHaveProperty('narrowed');
  });

  test('takes back the revocation of a name as long as names get', async () => {
    const path = `human/${'a'.repeat(2000)}`;
    const value = id(path);
    await authority.identity.applyRegistrations([registration(path)], []);
    await authority.identity.revoke({ target: 'subject', value, reason: 'x', by: 'test' });
    const url = `/v1/revocations/subject/${encodeURIComponent(value)}`;
    expect((await call('DELETE', url)).status).toBe(204);
  });

  test.each([
    ['a session that is not there', { target: 'session', value: 'x', reason: 'y' }, 404],
    [
      'a subject that is misspelt',
      { target: 'subject', value: id('human/alcie'), reason: 'y' },
      404,
    ],
    [
      'a certificate by its hex',
      { target: 'certificate', value: 'ab'.repeat(32), reason: 'y' },
      404,
    ],
    ['something else', { target: 'device', value: 'x', reason: 'y' }, 400],
    ['without reason', { target: 'subject', value: alice }, 400],
  ])('does not revoke %s', async (_, json, status) => {
    expect((await call('POST', '/v1/revocations', json)).status).toBe(status);
  });

  describe("a person's authenticator", () => {
    const { credential } = softwareAuthenticator('ES256', alice);
    const { credentialId, publicKey, rpId } = credential;
    const path = `/v1/credentials/${credentialId}`;

    test('is registered and withdrawn, each an event of its own, and a fact as long as it is registered', async () => {
      expect(await call('POST', '/v1/credentials', credential)).toMatchObject({
        status: 201,
        body: credential,
      });
      const detail = { credentialId, publicKey, rpId, origins: credential.origins };
      expect(last(authority, 'administration')).toEqual({
        ...{ kind: 'administration', action: 'credential-registered', by: 'local:uid=0' },
        ...{ target: alice, detail },
      });
      expect((await call('GET', '/v1/credentials')).body).toEqual([credential]);
      expect(authority.factLog.get(`credential ${credentialId}`)).toEqual({
        ...{ kind: 'credential', id: credentialId, subject: alice },
        ...{ publicKey, rpId, origins: credential.origins },
      });
      expect((await call('DELETE', path)).status).toBe(204);
      expect(last(authority, 'administration')).toEqual({
        ...{ kind: 'administration', action: 'credential-withdrawn', by: 'local:uid=0' },
        ...{ target: alice, detail: { credentialId } },
      });
      expect((await call('GET', '/v1/credentials')).body).toEqual([]);
      expect(authority.factLog.get(`credential ${credentialId}`)).toBeUndefined();
      expect((await call('DELETE', path)).status).toBe(404);
    });

    test('stays the one of its person until it is withdrawn', async () => {
      await authority.identity.applyRegistrations(
        [registration('human/alice'), registration('human/bob')],
        [],
      );
      await call('POST', '/v1/credentials', credential);
      const moved = { ...credential, subject: id('human/bob') };
      expect((await call('POST', '/v1/credentials', moved)).status).toBe(409);
      expect((await call('GET', '/v1/credentials')).body).toEqual([credential]);
      await call('DELETE', path);
      expect((await call('POST', '/v1/credentials', moved)).status).toBe(201);
    });

    test('is not registered when that cannot be recorded', async () => {
      authority.failRecording(true);
      expect((await call('POST', '/v1/credentials', credential)).status).toBe(500);
      expect((await call('GET', '/v1/credentials')).body).toEqual([]);
    });

    test.each<[string, Readonly<Record<string, unknown>>, number]>([
      ['of nobody', { subject: id('human/nobody') }, 404],
      ['of somebody who is disabled', { subject: id('human/off') }, 409],
      ['with a key that is none', { publicKey: 'AAAA' }, 422],
      ['with an ID that is no base64url', { credentialId: 'a b c d e f' }, 422],
      ['for no domain', { rpId: 'https://bank.example' }, 422],
      ['at no origin', { origins: [] }, 422],
      ['at an origin of another domain', { origins: ['https://evilbank.example'] }, 422],
      ['at an origin without TLS', { origins: ['http://bank.example'] }, 422],
      ['at an address with a path', { origins: ['https://bank.example/pay'] }, 422],
      ['with another member', { more: 1 }, 400],
    ])('%s is not registered', async (_what, change, status) => {
      const odd = { ...credential, ...change };
      expect((await call('POST', '/v1/credentials', odd)).status).toBe(status);
      expect((await call('GET', '/v1/credentials')).body).toEqual([]);
    });

    test('of a workload is not registered', async () => {
      const subject = id('workload/payments/api');
      await authority.identity.applyRegistrations([registration('workload/payments/api')], []);
      const { status, body } = await call('POST', '/v1/credentials', { ...credential, subject });
      expect([status, body.detail]).toEqual([
        422,
        `credential-malformed: found ${subject}, expected a person`,
      ]);
    });
  });

  test('shows nothing of what went wrong inside', async () => {
    authority.failRecording(true);
    const { status, body } = await call('POST', '/v1/join-tokens', { spiffeId: alice });
    expect([status, JSON.stringify(body)]).toEqual([
      500,
      expect.not.stringContaining('log is gone'),
    ]);
  });
});
