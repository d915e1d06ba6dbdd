import { setTimeout } from 'node:timers/promises';
import type { Identity } from '@countersign/identity';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, last } from './authority.ts';
import {
  type Actor,
  type AgentBank,
  assistant,
  errorOf,
  startAgentBank,
} from './exchange/agent-bank.ts';
import { alice } from './login/login-bank.ts';

// Sessions that are narrowed while they run: what the issuer knows of it, and holds against what it issues.

let agents: AgentBank;
let identity: Identity;
beforeEach(async () => {
  agents = await startAgentBank();
  ({ identity } = agents.bank.authority);
});
afterEach(() => agents.close());

const by = 'local:uid=0';
const reason = 'odd hour';
const sidOf = (token: string) => String(decodeJwt(token)['sid']);
const scopeOf = (token: string) => decodeJwt(token)['scope'];
const narrow = (session: string, limits: { scopes?: string[]; readOnly?: boolean }) =>
  identity.narrow({ session, ...limits, reason, by });
const factOf = (session: string) => agents.bank.authority.factLog.get(`narrowing ${session}`);

/** Alice at the teller, with a refresh token. */
async function signedIn() {
  const { bank, teller, aliceKey } = agents;
  const pending = await teller.begin({ scope: 'openid accounts payments' });
  const callback = await bank.browser().signIn(pending.url, aliceKey);
  const tokens = await teller.finish(callback, pending);
  const refresh = () => teller.refresh(String(tokens.refresh_token));
  return { session: sidOf(tokens.access_token), tokens, refresh };
}

/** A token of the agent's own; by another DPoP key than before where `isOther`. */
async function own(actor: Actor, isOther = false) {
  const dpop = isOther
    ? client.getDPoPHandle(actor.config, await client.randomDPoPKeyPair('ES256'))
    : actor.dpop;
  const asked = { scope: 'accounts payments', resource: accounts };
  return client.clientCredentialsGrant(actor.config, asked, dpop ? { DPoP: dpop } : {});
}

/** The first agent may ask for more than the usual. */
const withPayments = () =>
  agents.set({ [assistant]: { client: { scopes: ['accounts', 'payments'] } } });

describe("a person's session", () => {
  test('that is narrowed gets tokens with the scopes that are left, says so, and gets all again when it is widened', async () => {
    const { session, tokens, refresh } = await signedIn();
    expect(scopeOf(tokens.access_token)).toBe('accounts payments');
    expect(await narrow(session, { scopes: ['accounts'] })).toMatchObject({ isGranted: true });
    const less = await refresh();
    expect([scopeOf(less.access_token), less.scope]).toEqual(['accounts', 'accounts']);
    expect(sidOf(less.access_token)).toBe(session);
    expect(await identity.widen({ session, by })).toEqual({ isGranted: true });
    const all = await refresh();
    expect([scopeOf(all.access_token), all.scope]).toEqual([
      'accounts payments',
      'accounts payments',
    ]);
  });

  test('is a fact until no point takes its last token, is in the record with who did it and why, and is swept with its time', async () => {
    const { session } = await signedIn();
    const [{ endsAtMs = 0 } = {}] = (await identity.login?.sessions()) ?? [];
    // A point whose clock is behind takes its last token a little longer.
    const untilMs = endsAtMs + 60_000;
    await narrow(session, { scopes: ['accounts'], readOnly: true });
    expect(factOf(session)).toMatchObject({
      ...{ scopes: ['accounts'], readOnly: true, reason, untilMs },
    });
    expect(last(agents.bank.authority, 'administration')).toEqual({
      ...{ kind: 'administration', action: 'session-narrowed', by, target: session },
      detail: { reason, subject: alice, untilMs, readOnly: true, scopes: 'accounts' },
    });
    await identity.widen({ session, by });
    expect(factOf(session)).toBeUndefined();
    expect(last(agents.bank.authority, 'administration')).toMatchObject({
      ...{ action: 'session-widened', by, target: session, detail: { subject: alice } },
    });
    await narrow(session, { readOnly: true });
    agents.bank.authority.advance(3_600_000 * 24);
    await identity.sweep();
    expect(factOf(session)).toBeUndefined();
  });

  test('only gets narrower by being narrowed again', async () => {
    const { session, refresh } = await signedIn();
    await narrow(session, { scopes: ['payments'] });
    await narrow(session, { readOnly: true });
    expect(identity.narrowing(session)).toMatchObject({ scopes: ['payments'], readOnly: true });
    await narrow(session, { scopes: ['accounts', 'payments'] });
    expect(identity.narrowing(session)).toMatchObject({ scopes: ['payments'], readOnly: true });
    await narrow(session, { scopes: ['accounts'] });
    expect(identity.narrowing(session)).toMatchObject({ scopes: [], readOnly: true });
    // RFC 6749 §5.1: told also when nothing is left.
    const none = await refresh();
    expect([scopeOf(none.access_token), none.scope]).toEqual([undefined, '']);
  });

  test('in which nothing was asked for long is narrowed all the same: its last token may live on', async () => {
    agents.bank.set({ sessionIdleSeconds: 60 });
    const { session } = await signedIn();
    agents.bank.authority.advance(61_000);
    expect(await narrow(session, { readOnly: true })).toMatchObject({ isGranted: true });
  });

  test('is not widened when that cannot be recorded', async () => {
    const { session } = await signedIn();
    await narrow(session, { readOnly: true });
    agents.bank.authority.failRecording(true);
    await expect(identity.widen({ session, by })).rejects.toThrow();
    agents.bank.authority.failRecording(false);
    expect(identity.narrowing(session)).toMatchObject({ readOnly: true });
  });

  test('is not touched by what nobody can mean', async () => {
    const { session, refresh } = await signedIn();
    const events = agents.bank.authority.events.length;
    expect(await narrow(session, {})).toMatchObject({ code: 'request-malformed' });
    expect(await narrow(session, { scopes: ['acounts'] })).toMatchObject({
      ...{ code: 'request-malformed', detail: expect.stringContaining("'acounts'") },
    });
    expect(await narrow('nobody', { readOnly: true })).toMatchObject({ code: 'not-found' });
    expect(await identity.widen({ session, by })).toMatchObject({ code: 'not-found' });
    expect(agents.bank.authority.events).toHaveLength(events);
    expect(scopeOf((await refresh()).access_token)).toBe('accounts payments');
    await identity.revoke({ target: 'session', value: session, reason, by });
    expect(await narrow(session, { readOnly: true })).toMatchObject({ code: 'not-found' });
  });
});

describe("a client's session", () => {
  beforeEach(withPayments);

  test('that is narrowed cannot be left by taking another DPoP key, and the record says of each', async () => {
    const session = sidOf((await own(agents.assistant)).access_token);
    await narrow(session, { scopes: ['accounts'], readOnly: true });
    const other = await own(agents.assistant, true);
    expect([scopeOf(other.access_token), other.scope]).toEqual(['accounts', 'accounts']);
    const second = sidOf(other.access_token);
    expect(second).not.toBe(session);
    expect(identity.narrowing(second)).toMatchObject({ scopes: ['accounts'], readOnly: true });
    const narrowed = agents.bank.authority.events.filter(
      (event) => event.kind === 'administration' && event.action === 'session-narrowed',
    );
    expect(narrowed).toMatchObject([
      { target: session, by },
      { target: second, by: 'system', detail: { subject: assistant, reason } },
    ]);
  });

  test('of another key of the client that ran before is narrowed with its next token', async () => {
    const session = sidOf((await own(agents.assistant)).access_token);
    const dpop = client.getDPoPHandle(
      agents.assistant.config,
      await client.randomDPoPKeyPair('ES256'),
    );
    const actor = { ...agents.assistant, dpop };
    const other = sidOf((await own(actor)).access_token);
    await narrow(session, { readOnly: true });
    expect(identity.narrowing(other)).toBeUndefined();
    expect(sidOf((await own(actor)).access_token)).toBe(other);
    expect(identity.narrowing(other)).toMatchObject({ readOnly: true });
  });

  test('gives back with itself what others got of it, and leaves those that were narrowed by themselves', async () => {
    const session = sidOf((await own(agents.assistant)).access_token);
    await narrow(session, { scopes: ['accounts'] });
    const heir = sidOf((await own(agents.assistant, true)).access_token);
    await identity.widen({ session, by });
    expect(identity.narrowing(heir)).toBeUndefined();
    expect(scopeOf((await own(agents.assistant, true)).access_token)).toBe('accounts payments');
    await narrow(heir, { readOnly: true });
    await narrow(session, { scopes: ['accounts'] });
    await identity.widen({ session, by });
    expect(identity.narrowing(heir)).toMatchObject({ readOnly: true });
  });

  test('that two others narrowed keeps, when one of them is widened, what the other leaves', async () => {
    const [first, second] = [
      sidOf((await own(agents.assistant)).access_token),
      sidOf((await own(agents.assistant, true)).access_token),
    ];
    await narrow(first, { scopes: ['accounts'] });
    await narrow(second, { readOnly: true });
    const heir = sidOf((await own(agents.assistant, true)).access_token);
    expect(identity.narrowing(heir)).toMatchObject({ scopes: ['accounts'], readOnly: true });
    await identity.widen({ session: first, by });
    expect(identity.narrowing(heir)).toMatchObject({ readOnly: true });
    expect(identity.narrowing(heir)?.scopes).toBeUndefined();
    await identity.widen({ session: second, by });
    expect(identity.narrowing(heir)).toBeUndefined();
  });

  test('that another narrowed can be widened by itself, which gives nothing to a third', async () => {
    const session = sidOf((await own(agents.assistant)).access_token);
    await narrow(session, { readOnly: true });
    const [one, other] = [
      sidOf((await own(agents.assistant, true)).access_token),
      sidOf((await own(agents.assistant, true)).access_token),
    ];
    expect(await identity.widen({ session: one, by })).toEqual({ isGranted: true });
    expect(identity.narrowing(one)).toBeUndefined();
    expect(identity.narrowing(other)).toMatchObject({ readOnly: true });
  });

  test('that is narrowed while it takes over what narrows another of the client keeps both', async () => {
    const dpop = client.getDPoPHandle(
      agents.assistant.config,
      await client.randomDPoPKeyPair('ES256'),
    );
    const actor = { ...agents.assistant, dpop };
    const session = sidOf((await own(actor)).access_token);
    await narrow(sidOf((await own(agents.assistant)).access_token), { scopes: ['accounts'] });
    const held = agents.bank.authority.holdRecording(
      (event) => event.kind === 'administration' && event.by === 'system',
    );
    const asked = own(actor);
    await held.reached;
    const narrowed = narrow(session, { readOnly: true });
    await Promise.race([narrowed, setTimeout(50)]);
    held.release();
    await Promise.all([asked, narrowed]);
    expect(identity.narrowing(session)).toMatchObject({ scopes: ['accounts'], readOnly: true });
  });

  test('is not pushed out by a thousand others of the client', async () => {
    const session = sidOf((await own(agents.assistant)).access_token);
    await narrow(session, { readOnly: true });
    const { database, now } = agents.bank.authority;
    const rows = database.tables<{ session: Record<string, string | number | null> }>();
    const of = () => rows.selectFrom('session').selectAll().where('id', '=', session);
    const copy = await of().executeTakeFirstOrThrow();
    for (let index = 1; index < 1000; index += 1) {
      const one = { ...copy, id: `s${index}`, thumbprint: `t${index}`, narrowed: 0 };
      await rows.insertInto('session').values(one).execute();
    }
    const idleMs = now() - 400_000;
    await rows.updateTable('session').set({ last_token_ms: idleMs }).execute();
    const oldest = { last_token_ms: idleMs - 1 };
    await rows.updateTable('session').set(oldest).where('id', '=', session).execute();
    const next = sidOf((await own(agents.assistant, true)).access_token);
    expect(identity.narrowing(next)).toMatchObject({ readOnly: true });
    expect(await of().execute()).toHaveLength(1);
  });
});

describe('an exchange', () => {
  beforeEach(withPayments);

  test('has no scope that the session of the person has not any more', async () => {
    const handed = await agents.handed();
    const asked = (scope: string) => agents.assistant.exchange(handed, { scope });
    expect(scopeOf(await asked('accounts payments'))).toBe('accounts payments');
    await narrow(sidOf(handed), { scopes: ['accounts'] });
    expect(await errorOf(asked('accounts payments'))).toBe('invalid_scope');
    const token = await asked('accounts');
    expect([scopeOf(token), sidOf(token)]).toEqual(['accounts', sidOf(handed)]);
  });

  test('has none that the session of the one who acts has not, and there is none when that is read-only', async () => {
    const handed = await agents.handed();
    const session = sidOf((await own(agents.assistant)).access_token);
    await narrow(session, { scopes: ['payments'] });
    expect(await errorOf(agents.assistant.exchange(handed))).toBe('invalid_scope');
    expect(scopeOf(await agents.assistant.exchange(handed, { scope: 'payments' }))).toBe(
      'payments',
    );
    await narrow(session, { readOnly: true });
    expect(await errorOf(agents.assistant.exchange(handed, { scope: 'payments' }))).toBe(
      'access_denied',
    );
  });
});

test("what an agent's own session is narrowed to does not touch the person whose tokens it is handed", async () => {
  await withPayments();
  const session = sidOf((await own(agents.assistant)).access_token);
  await narrow(session, { scopes: [], readOnly: true });
  const handed = await agents.handed();
  expect(scopeOf(handed)).toBe('accounts payments');
  expect(identity.narrowing(sidOf(handed))).toBeUndefined();
});
