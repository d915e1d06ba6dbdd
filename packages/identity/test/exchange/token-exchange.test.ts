import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { RevocationRequest } from '@countersign/identity';
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose';
import * as client from 'openid-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { accounts, id, last, newKey, payments } from '../authority.ts';
import { alice } from '../login/login-bank.ts';
import { tokenKeyOf } from '../stolen-authority.ts';
import {
  ACCESS_TOKEN,
  type AgentBank,
  ASSISTANT,
  agentOf,
  assistant,
  BOOKER,
  booker,
  errorOf,
  forged,
  rule,
  startAgentBank,
  TOKEN_EXCHANGE,
} from './agent-bank.ts';

let agents: AgentBank;
beforeEach(async () => {
  agents = await startAgentBank();
});
afterEach(() => agents.close());

const events = () => agents.bank.authority.events;
const refusal = () => last(agents.bank.authority, 'authentication');
const issued = () =>
  events().findLast((event) => event.kind === 'administration' && event.action === 'token-issued');

describe('an agent that exchanges a token which was handed to it', () => {
  test('gets one in the same name and session, with itself as the actor, bound to its own key', async () => {
    const handed = await agents.handed();
    const token = await agents.assistant.exchange(handed);
    const [before, after] = [decodeJwt(handed), decodeJwt(token)];
    expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
    expect(after).toEqual({
      iss: agents.bank.authority.issuerUrl,
      sub: alice,
      aud: accounts,
      client_id: 'assistant',
      scope: 'accounts',
      act: { sub: assistant },
      sid: before['sid'],
      ...{ acr: before['acr'], amr: before['amr'], auth_time: before['auth_time'] },
      cnf: { jkt: agents.assistant.thumbprint },
      jti: expect.not.stringMatching(String(before.jti)),
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
    expect(after['cnf']).not.toEqual(before['cnf']);
    expect(Number(after.exp)).toBeLessThanOrEqual(Number(before.exp));
  });

  test('hands one on, and the next agent nests it: bound to a certificate this time', async () => {
    const first = await agents.assistant.exchange(await agents.handed(), { resource: BOOKER });
    const second = await agents.booker.exchange(first, {
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
    const claims = decodeJwt(second);
    expect(claims).toMatchObject({
      ...{ sub: alice, client_id: 'booker', aud: accounts },
      act: { sub: booker, act: { sub: assistant } },
      cnf: { 'x5t#S256': expect.any(String) },
      sid: decodeJwt(first)['sid'],
    });
    expect(Number(claims.exp)).toBeLessThanOrEqual(Number(decodeJwt(first).exp));
  });

  test('has none that outlives the token before, whatever second it is signed in', async () => {
    const handed = await agents.handed();
    const now = Date.now.bind(Date);
    let calls = 0;
    // Time goes on from one look at the clock to the next.
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 150 * ++calls);
    try {
      const after = decodeJwt(await agents.assistant.exchange(handed));
      expect(Number(after.exp)).toBeLessThanOrEqual(Number(decodeJwt(handed).exp));
    } finally {
      clock.mockRestore();
    }
  });

  test('is in the record before it has anything: who asked, in whose name, by whom, of which token', async () => {
    const first = await agents.assistant.exchange(await agents.handed(), { resource: BOOKER });
    const firstHash = (issued() as { detail?: Record<string, unknown> }).detail?.['jtiHash'];
    await agents.booker.exchange(first);
    expect(issued()).toMatchObject({
      ...{ by: booker, target: alice },
      detail: { client: 'booker', actors: [booker, assistant], subjectTokenHash: firstHash },
    });
    agents.bank.authority.failRecording(true);
    const unrecorded = errorOf(agents.booker.exchange(first));
    expect(await unrecorded).not.toBe('none');
    agents.bank.authority.failRecording(false);
  });

  test('may name the audience as RFC 8693 does', async () => {
    const handed = await agents.handed();
    const token = await agents.assistant.exchange(handed, { resource: '', audience: accounts });
    expect(decodeJwt(token).aud).toBe(accounts);
    const both = { resource: accounts, audience: BOOKER };
    expect(await errorOf(agents.assistant.exchange(handed, both))).toBe('invalid_target');
  });

  test('acts for a workload as for a person: the first subject stays', async () => {
    const key = newKey().privateKey;
    const more = { audiences: [ASSISTANT], scopes: ['accounts'] };
    await agents.set(
      { [assistant]: { client: { exchange: rule({ from: ['teller', 'nightly'] }) } } },
      [agentOf('nightly', key, more)],
    );
    const nightly = await agents.actor('nightly', key);
    const dpop = nightly.dpop ? { DPoP: nightly.dpop } : {};
    const own = await client.clientCredentialsGrant(
      nightly.config,
      { resource: ASSISTANT, scope: 'accounts' },
      dpop,
    );
    const claims = decodeJwt(await agents.assistant.exchange(own.access_token));
    expect(claims).toMatchObject({ sub: id('agent/nightly'), act: { sub: assistant } });
    expect(claims['acr']).toBeUndefined();
  });

  test('is told by the metadata that there is this grant', () => {
    expect(agents.assistant.config.serverMetadata().grant_types_supported).toContain(
      TOKEN_EXCHANGE,
    );
  });
});

describe('what is asked for only shrinks', () => {
  test.each([
    [
      'a scope that the subject token lacks',
      { scope: 'accounts payments' },
      'invalid_scope',
      { scope: 'openid accounts' },
    ],
    [
      'a scope that the client is not registered for',
      { scope: 'payments' },
      'invalid_scope',
      { scopes: ['accounts'] },
    ],
    ['no scope', { scope: '' }, 'invalid_scope', {}],
    [
      'an audience that the client may not ask for',
      { resource: 'https://api.bank.example/ledger' },
      'invalid_target',
      {},
    ],
    ['no audience, of several', { resource: '' }, 'invalid_target', {}],
    [
      'an ID token',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
      'invalid_request',
      {},
    ],
    [
      'a refresh token',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' },
      'invalid_request',
      {},
    ],
    [
      'a transaction token',
      { requested_token_type: 'urn:ietf:params:oauth:token-type:txn_token' },
      'invalid_request',
      {},
    ],
    [
      'an actor token beside the client',
      { actor_token: 'x', actor_token_type: ACCESS_TOKEN },
      'invalid_request',
      {},
    ],
    [
      'a subject token of another type',
      { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
      'invalid_request',
      {},
    ],
    ['no type', { subject_token_type: '' }, 'invalid_request', {}],
    ['no subject token', { subject_token: '' }, 'invalid_request', {}],
  ] as const)('%s is refused, and the record says so', async (_what, asked, code, handed) => {
    const { scopes = ['accounts', 'payments'], ...more } = handed as Handed;
    await agents.set({ [assistant]: { client: { scopes } } });
    const token = await agents.handed(more);
    expect(await errorOf(agents.assistant.exchange(token, asked))).toBe(code);
    expect(refusal()).toMatchObject({
      ...{ result: 'refused', reason: `issuer-${code.replace('_', '-')}`, listener: 'issuer' },
    });
  });

  test('a token lives no longer than the one that it was made from', async () => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    await agents.handed();
    const short = await forged(agents, { exp: nowSeconds + 20 });
    const { exp } = decodeJwt(await agents.assistant.exchange(short));
    expect(exp).toBeLessThanOrEqual(nowSeconds + 20);
    await agents.set({ [assistant]: { client: { tokenTtlSeconds: 5 } } });
    const own = decodeJwt(await agents.assistant.exchange(short));
    expect(Number(own.exp) - Number(own.iat)).toBeLessThanOrEqual(5);
  });

  test('the chain is as long as the last actor may make it, and holds nobody twice', async () => {
    const first = await agents.assistant.exchange(await agents.handed(), { resource: BOOKER });
    const exchange = (more: object) => rule({ from: ['assistant'], serves: [BOOKER], ...more });
    await agents.set({ [booker]: { client: { exchange: exchange({ depthMax: 1 }) } } });
    expect(await errorOf(agents.booker.exchange(first))).toBe('invalid_request');
    expect(refusal()).toMatchObject({
      detail: expect.stringContaining('at most 1'),
      ...{ subject: alice, actors: [booker, assistant] },
    });
    await agents.set({
      [booker]: { client: { exchange: exchange({ depthMax: 2 }), audiences: [ASSISTANT] } },
      [assistant]: { client: { exchange: rule({ from: ['teller', 'booker'] }) } },
    });
    const second = await agents.booker.exchange(first, { resource: ASSISTANT });
    expect(await errorOf(agents.assistant.exchange(second))).toBe('invalid_request');
    expect(refusal()).toMatchObject({ detail: expect.stringContaining('in the chain already') });
  });

  test('may_act is honoured, and stays in the token', async () => {
    await agents.handed();
    const forAnother = await forged(agents, { may_act: { sub: booker } });
    expect(await errorOf(agents.assistant.exchange(forAnother))).toBe('invalid_request');
    expect(refusal()).toMatchObject({ detail: expect.stringContaining('may_act') });
    expect(await errorOf(agents.assistant.exchange(await forged(agents, { may_act: {} })))).toBe(
      'invalid_request',
    );
    const forIt = await forged(agents, { may_act: { sub: assistant } });
    const token = await agents.assistant.exchange(forIt, { resource: BOOKER });
    expect(decodeJwt(token)['may_act']).toEqual({ sub: assistant });
    expect(await errorOf(agents.booker.exchange(token))).toBe('invalid_request');
  });
});

describe('a subject token that is not good for the client is refused, with a reason for the log alone', () => {
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const past = () => Math.floor(Date.now() / 1000) - 1;
  const rows: [string, string, () => Promise<string> | string][] = [
    ['no JWT', 'Invalid Compact JWS', () => 'abc'],
    ['alg none', 'does not verify', () => new UnsecuredJWT({ sub: alice }).encode()],
    [
      'signed with the public key as a secret',
      'does not verify',
      () => {
        const fact = agents.bank.authority.factLog.all().find((each) => each.kind === 'issuer-key');
        return new SignJWT({ sub: alice })
          .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: String(fact?.kid) })
          .sign(Buffer.from(JSON.stringify(fact?.jwk)));
      },
    ],
    [
      'signed by a stranger under our kid',
      'signature verification failed',
      () => forged(agents, {}, { key: foreign }),
    ],
    [
      'with a key in its header',
      'signature verification failed',
      () => forged(agents, {}, { key: foreign, header: { jwk: publicJwk(foreign) } }),
    ],
    [
      'of a key that is none of ours',
      'no applicable key',
      () => forged(agents, {}, { header: { kid: 'other' } }),
    ],
    ['of another issuer', '"iss"', () => forged(agents, { iss: 'https://evil.example' })],
    ['an ID token', '"typ"', () => forged(agents, {}, { header: { typ: 'JWT' } })],
    ['a transaction token', '"typ"', () => forged(agents, {}, { header: { typ: 'txntoken+jwt' } })],
    ['with a critical header', 'Extension Header', () => withCriticalHeader()],
    ['expired', '"exp"', () => forged(agents, { exp: past() })],
    ['not good yet', '"nbf"', () => forged(agents, { nbf: past() + 100 })],
    ['without an end', "no good 'exp'", () => forged(agents, { exp: undefined })],
    ['without a session', "no good 'sid'", () => forged(agents, { sid: undefined })],
    ['bound to no key', 'bound to no key', () => forged(agents, { cnf: {} })],
    ['without a binding', "no good 'cnf'", () => forged(agents, { cnf: undefined })],
    ['with a chain that is none', 'no chain', () => forged(agents, { act: { act: {} } })],
    [
      'with a chain that is longer than anybody reads',
      'no chain',
      () => forged(agents, { act: nested(6) }),
    ],
    ['longer than any', 'bytes', () => forged(agents, { padding: 'x'.repeat(9000) })],
    [
      'made for an API',
      "audience is 'https://api.bank.example/accounts'",
      () => forged(agents, { aud: accounts }),
    ],
    ['made for the next agent', 'which the client is not', () => forged(agents, { aud: BOOKER })],
    [
      'of a client that it takes none over from',
      'from which none is taken over',
      () => forged(agents, { client_id: 'booker' }),
    ],
    ['of a client that is gone', 'not registered', () => forged(agents, { client_id: 'gone' })],
    [
      'of a subject that is gone',
      'disabled or not registered',
      () => forged(agents, { sub: id('human/gone') }),
    ],
    [
      'by an actor that is gone',
      'disabled or not registered',
      () => forged(agents, { act: { sub: id('agent/gone') } }),
    ],
    [
      'bound to the key of the actor itself',
      'that the subject token is bound to',
      () => forged(agents, { cnf: { jkt: agents.assistant.thumbprint } }),
    ],
  ];
  test.each(rows)('%s', async (_what, detail, make) => {
    await agents.handed();
    const token = await make();
    const caught: unknown = await agents.assistant.exchange(token).catch((error: unknown) => error);
    expect(caught).toMatchObject({
      error: 'invalid_request',
      error_description: 'the subject_token is not accepted',
    });
    expect(refusal()).toMatchObject({
      reason: 'issuer-invalid-request',
      detail: expect.stringContaining(detail),
    });
  });

  test.each([
    ['its session', (claims: Claims) => ({ target: 'session', value: String(claims['sid']) })],
    ['it', (claims: Claims) => ({ target: 'token', value: String(claims.jti) })],
    ['the person', () => ({ target: 'subject', value: alice })],
    [
      'the application that handed it on',
      () => ({ target: 'subject', value: id('workload/teller') }),
    ],
    ['the actor', () => ({ target: 'subject', value: assistant })],
  ] as const)('when %s was revoked', async (_what, what) => {
    const handed = await agents.handed();
    const revocation = what(decodeJwt(handed)) as Pick<RevocationRequest, 'target' | 'value'>;
    await agents.bank.authority.identity.revoke({ ...revocation, reason: 'test', by: 'test' });
    expect(await errorOf(agents.assistant.exchange(handed))).not.toBe('none');
    expect(refusal()).toMatchObject({ result: 'refused', listener: 'issuer' });
  });

  test('when the certificate that it is bound to was revoked', async () => {
    await agents.handed();
    const value = 'c'.repeat(43);
    const token = await forged(agents, { cnf: { 'x5t#S256': value } });
    expect(await errorOf(agents.assistant.exchange(token))).toBe('none');
    const revocation = { target: 'certificate', value, reason: 'stolen', by: 'test' } as const;
    await agents.bank.authority.identity.revoke(revocation);
    expect(await errorOf(agents.assistant.exchange(token))).toBe('invalid_request');
  });

  test('when the key that signed it has ended', async () => {
    await agents.handed();
    const { factLog, now } = agents.bank.authority;
    const { kid: own } = await tokenKeyOf(agents.bank.authority);
    const fact = factLog.all().find((each) => each.kind === 'issuer-key' && each.kid === own);
    if (fact?.kind !== 'issuer-key') throw new Error('no key');
    const kid = 'before';
    await factLog.append({ puts: [{ ...fact, kid, notAfterMs: now() + 60_000 }] });
    const token = await forged(agents, {}, { header: { kid } });
    expect(await errorOf(agents.assistant.exchange(token))).toBe('none');
    await factLog.append({ puts: [{ ...fact, kid, notAfterMs: now() - 1 }] });
    expect(await errorOf(agents.assistant.exchange(token))).toBe('invalid_request');
  });

  test('when the actor before, whose it was, was revoked or disabled', async () => {
    const first = await agents.assistant.exchange(await agents.handed(), { resource: BOOKER });
    expect(await errorOf(agents.booker.exchange(first))).toBe('none');
    await agents.set({ [assistant]: { enabled: false } });
    expect(await errorOf(agents.booker.exchange(first))).toBe('invalid_request');
    await agents.set();
    const { identity } = agents.bank.authority;
    await identity.revoke({ target: 'subject', value: assistant, reason: 'test', by: 'test' });
    expect(await errorOf(agents.booker.exchange(first))).toBe('invalid_request');
  });
});

describe('the actor proves its own key', () => {
  test('without a proof, or with one that came before, there is no token', async () => {
    const handed = await agents.handed();
    const { config } = agents.assistant;
    const asked = {
      ...{ subject_token: handed, subject_token_type: ACCESS_TOKEN },
      ...{ resource: accounts, scope: 'accounts' },
    };
    expect(await errorOf(client.genericGrantRequest(config, TOKEN_EXCHANGE, asked))).toBe(
      'invalid_grant',
    );
    const proof = await new SignJWT({
      ...{ htm: 'POST', htu: `${agents.bank.authority.issuerUrl}/token`, jti: randomUUID() },
    })
      .setIssuedAt()
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicJwk(foreignKey) })
      .sign(foreignKey);
    const send = config[client.customFetch] as client.CustomFetch;
    config[client.customFetch] = (url, options) =>
      send(url, { ...options, headers: { ...options.headers, dpop: proof } });
    const again = () => errorOf(client.genericGrantRequest(config, TOKEN_EXCHANGE, asked));
    expect(await again()).toBe('none');
    expect(await again()).toBe('invalid_grant');
    expect(refusal()).toMatchObject({ result: 'refused', reason: 'issuer-invalid-grant' });
  });

  test('whoever found the token and is registered for nothing gets nothing by it', async () => {
    const key = newKey().privateKey;
    await agents.set({}, [agentOf('idle', key, {})]);
    const idle = await agents.actor('idle', key);
    expect(await errorOf(idle.exchange(await agents.handed()))).toBe('invalid_request');
    expect(refusal()).toMatchObject({ subject: id('agent/idle') });
  });

  test('an actor whose own session was ended acts for nobody', async () => {
    const handed = await agents.handed();
    await agents.assistant.exchange(handed);
    const { identity } = agents.bank.authority;
    const [session] = await identity.sessions();
    expect(session?.subject).toBe(assistant);
    const value = String(session?.id);
    await identity.revoke({ target: 'session', value, reason: 'stolen', by: 'test' });
    expect(await errorOf(agents.assistant.exchange(handed))).toBe('access_denied');
    expect(refusal()).toMatchObject({ result: 'refused', reason: 'issuer-access-denied' });
  });
});

describe('a registration that would let too much through is refused', () => {
  test.each([
    ['of a person', id('human/bob'), rule({})],
    ['of an application that people sign in to', id('workload/teller'), rule({ from: ['booker'] })],
    ['from itself', assistant, rule({ from: ['assistant'] })],
    ['from nobody', assistant, rule({ from: [] })],
    ['that is no audience', assistant, rule({ serves: [] })],
    ['without an end', assistant, rule({ depthMax: 6 })],
    ['that is none', assistant, rule({ depthMax: 0 })],
  ])('%s', async (_what, subject, exchange) => {
    const whole = {
      id: 'x',
      authentication: 'private_key_jwt',
      jwks: [publicJwk(foreignKey)],
    } as const;
    const more = subject.includes('human')
      ? ({
          ...whole,
          binding: 'dpop',
          audiences: [payments],
          scopes: ['payments'],
          tokenTtlSeconds: 60,
        } as const)
      : {};
    const all = agents.bank.authority.identity;
    const others = [agentOf('x', foreignKey)];
    const [of] = others;
    const registrations = agents.bank.registrations().concat(of ? [of] : []);
    const next = registrations
      .concat(agentOf('assistant', newKey().privateKey))
      .filter((each) => !subject.includes('human') || each.subject.id !== id('agent/x'))
      .map((each) =>
        each.subject.id === subject
          ? {
              ...each,
              client: { ...each.client, ...more, exchange } as NonNullable<typeof each.client>,
            }
          : each,
      );
    await expect(all.applyRegistrations(next, [])).rejects.toMatchObject({
      code: 'ERR_IDENTITY_REGISTRATION',
    });
  });
});

type Handed = { scopes?: string[]; scope?: string };
type Claims = ReturnType<typeof decodeJwt>;
const foreignKey = newKey().privateKey;

function publicJwk(key: Parameters<typeof agentOf>[1]): Record<string, unknown> {
  const { d: _, ...jwk } = key.export({ format: 'jwk' });
  return jwk;
}

/** An `act` claim of so many actors. */
function nested(count: number): Record<string, unknown> {
  const sub = id(`agent/a${count}`);
  return count === 1 ? { sub } : { sub, act: nested(count - 1) };
}

/** Signed by the issuer's key, with an extension that whoever does not know it must refuse (RFC 7515 §4.1.11). */
async function withCriticalHeader(): Promise<string> {
  const [header = '', claims = ''] = (await forged(agents, {})).split('.');
  const more = { ...JSON.parse(Buffer.from(header, 'base64url').toString()), crit: ['x'], x: 1 };
  const input = `${Buffer.from(JSON.stringify(more)).toString('base64url')}.${claims}`;
  const { privateKey: key } = await tokenKeyOf(agents.bank.authority);
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}
