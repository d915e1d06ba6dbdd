import { randomUUID } from 'node:crypto';
import type { ClientRegistration, Registration } from '@countersign/model';
import { SignJWT } from 'jose';
import { Agent, fetch } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, newKey, registration, startAuthority, type TestAuthority } from './authority.ts';

// What clients in a loop and strangers cost: signatures, rows, and events that are kept for years.
let authority: TestAuthority;
let agent: Agent;
const keys = { robot: newKey(), reporter: newKey() };
type Name = keyof typeof keys;

beforeEach(async () => {
  authority = await startAuthority();
  await authority.identity.applyRegistrations(registrations(), []);
  agent = new Agent({ connect: { ca: authority.authorityPem } });
});
afterEach(async () => {
  await agent.destroy();
  await authority.close();
});

function registrations(): Registration[] {
  return (Object.keys(keys) as Name[]).map((name) => {
    const client: Partial<ClientRegistration> = {
      ...{ id: name, authentication: 'private_key_jwt', binding: 'dpop' },
      jwks: [{ ...keys[name].publicKey.export({ format: 'jwk' }), kid: 'k' }],
      ...{ audiences: [accounts], scopes: ['accounts'] },
    };
    return registration(`agent/${name}`, { client });
  });
}

async function ask(
  name: Name,
  { key = keys[name], scope = 'accounts', sub = name as string } = {},
): Promise<Response> {
  const seconds = Math.floor(Date.now() / 1000);
  const dpop = newKey();
  const assertion = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setIssuer(sub)
    .setSubject(sub)
    .setAudience(authority.issuerUrl)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 60)
    .sign(key.privateKey);
  const proof = await new SignJWT({
    ...{ htm: 'POST', htu: `${authority.issuerUrl}/token`, jti: randomUUID(), iat: seconds },
  })
    .setProtectedHeader({
      ...{ alg: 'ES256', typ: 'dpop+jwt', jwk: dpop.publicKey.export({ format: 'jwk' }) },
    })
    .sign(dpop.privateKey);
  return fetch(`${authority.issuerUrl}/token`, {
    method: 'POST',
    dispatcher: agent,
    headers: { DPoP: proof },
    body: new URLSearchParams({
      ...{ grant_type: 'client_credentials', scope, resource: accounts },
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  }) as unknown as Promise<Response>;
}

async function many(count: number, asked: () => Promise<Response>): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  for (let done = 0; done < count; done += 20) {
    const answers = await Promise.all(Array.from({ length: Math.min(20, count - done) }, asked));
    for (const answer of answers) {
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      await answer.body?.cancel();
    }
  }
  return statuses;
}

const refusals = () =>
  authority.events.flatMap((event) =>
    event.kind === 'authentication' && event.result === 'refused' ? [event] : [],
  );
const stranger = () => ask('robot', { key: newKey() });

describe('strangers', () => {
  test('that fail 120 times in a minute wait, unseen, and are one event when it is over', async () => {
    const statuses = await many(200, stranger);
    expect([...statuses.keys()].toSorted()).toEqual([401, 429]);
    expect(refusals().length).toBeLessThanOrEqual(140);
    const late = await stranger();
    expect(late.status).toBe(429);
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(late.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(await late.json()).toMatchObject({ error: 'temporarily_unavailable' });
    const before = refusals().length;
    authority.advance(61_000);
    await authority.identity.sweep();
    expect(refusals().slice(before)).toEqual([
      expect.objectContaining({
        ...{ reason: 'request-rate', listener: 'issuer', ip: '127.0.0.1' },
        detail: expect.stringMatching(
          /^found more than 120 refusals in a minute from '127\.0\.0\.1': \d+ more/,
        ),
      }),
    ]);
    expect((await stranger()).status).toBe(401);
  }, 30_000);

  test('do not keep out a client that is known at their address, also when they take its name', async () => {
    expect((await ask('robot')).status).toBe(200);
    await many(140, () => ask('robot', { key: newKey(), sub: 'nobody' }));
    expect((await stranger()).status).toBe(401);
    expect((await ask('robot')).status).toBe(200);
    // One that was never good from there waits with them.
    expect((await ask('reporter')).status).toBe(429);
    await many(140, stranger);
    expect((await ask('robot')).status).toBe(429);
  }, 30_000);

  test('whose requests are too long, or are none, are bounded as well', async () => {
    const long = () =>
      fetch(`${authority.issuerUrl}/token`, {
        ...{ method: 'POST', dispatcher: agent, body: 'x=y' },
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      }) as unknown as Promise<Response>;
    const statuses = await many(200, long);
    expect([...statuses.keys()].toSorted()).toEqual([400, 429]);
    expect(refusals().length).toBeLessThanOrEqual(140);
  }, 30_000);
});

describe('a client that is known', () => {
  test('in a loop waits, leaves one event a minute, and holds up nobody', async () => {
    // 1,024 at once, and 32 a second while it asks.
    const statuses = await many(1600, () => ask('robot', { scope: 'none' }));
    expect(statuses.get(429)).toBeGreaterThan(0);
    expect(refusals().filter(({ reason }) => reason === 'issuer-temporarily-unavailable')).toEqual([
      expect.objectContaining({
        subject: 'spiffe://bank.example/agent/robot',
        detail: expect.stringContaining(
          "found more than 1024 at once, or one in 0.03 s: client 'robot'",
        ),
      }),
    ]);
    // Nor do refusals of its own fill the record.
    expect(refusals().length).toBeLessThanOrEqual(121);
    expect((await ask('reporter')).status).toBe(200);
    const late = await ask('robot');
    expect(late.status === 429 ? late.headers.get('retry-after') : '1').toBe('1');
    authority.advance(10_000);
    expect((await ask('robot')).status).toBe(200);
    authority.advance(60_000);
    await authority.identity.sweep();
    expect(refusals().at(-1)).toMatchObject({
      ...{ reason: 'request-rate', detail: expect.stringContaining("from 'client robot'") },
    });
  }, 60_000);
});
