import { decodeJwt } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { accounts, id, last, registration } from '../authority.ts';
import {
  type AgentBank,
  ASSISTANT,
  assistant,
  errorOf,
  startAgentBank,
} from '../exchange/agent-bank.ts';
import { alice } from '../login/login-bank.ts';
import { REDIRECT } from '../login/teller.ts';
import { type HostileIdp, startHostileIdp } from './hostile-idp.ts';

// Agents that act for people who came by an identity provider: what it proved goes on as it was, and ends when it says so.
const ledgerly = id('partner/ledgerly');
const dora = id('customer/7f3a91');
const owner = { attributes: { tier: 'retail' }, parents: [] };

let agents: AgentBank;
let idp: HostileIdp;
beforeEach(async () => {
  agents = await startAgentBank();
  idp = await startHostileIdp(agents.bank);
  agents.bank.set({ identityProviders: [idp.provider] });
  await set();
});
afterEach(async () => {
  await idp.close();
  await agents.close();
});

const set = (more: Parameters<AgentBank['set']>[0] = {}) =>
  agents.set({
    [id('workload/teller')]: {
      ...more[id('workload/teller')],
      client: {
        audiences: [accounts, ASSISTANT],
        people: { redirectUris: [REDIRECT], acr: 'idp', refresh: true },
      },
    },
  });

/** A token of who comes by the provider, which the application hands to the agent. */
async function handed(claims: Record<string, unknown>): Promise<string> {
  const browser = agents.bank.browser();
  const pending = await agents.teller.begin({ resource: ASSISTANT });
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=other`);
  idp.idToken = await idp.token({ nonce: url.searchParams.get('nonce'), ...claims });
  const state = url.searchParams.get('state') ?? '';
  const visited = await browser.go(
    `/idp/other/callback?${new URLSearchParams({ code: 'c', state })}`,
  );
  return (await agents.teller.finish(visited.url, pending)).access_token;
}

const logout = async (claims: Record<string, unknown>) =>
  agents.bank.fetch(`${agents.bank.authority.issuerUrl}/idp/other/backchannel-logout`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `${new URLSearchParams({ logout_token: await idp.logoutToken(claims) })}`,
  });

test('the agent’s token says of the sign-in what the provider proved, and no more', async () => {
  const token = await handed({ sid: 's1' });
  const before = decodeJwt(token);
  expect(before).toMatchObject({ sub: alice, acr: 'idp' });
  const after = decodeJwt(await agents.assistant.exchange(token));
  const { sid, acr, amr, auth_time } = before;
  expect(after).toMatchObject({ sub: alice, act: { sub: assistant }, sid, acr, amr, auth_time });
});

test('a logout at the provider ends what agents hold, and nothing is exchanged after it', async () => {
  const token = await handed({ sid: 's1' });
  const other = await handed({ sid: 's2' });
  const { sid } = decodeJwt(await agents.assistant.exchange(token));
  expect((await logout({ sid: 's1' })).status).toBe(200);
  expect(agents.bank.authority.factLog.all()).toContainEqual(
    expect.objectContaining({ kind: 'revocation', target: 'session', value: sid }),
  );
  expect(await errorOf(agents.assistant.exchange(token))).toBe('invalid_request');
  expect(last(agents.bank.authority, 'authentication')).toMatchObject({
    detail: expect.stringContaining('its session is revoked'),
  });
  expect(await errorOf(agents.assistant.exchange(other))).toBe('none');
});

test('a customer who comes by a provider to a partner is vouched for through the agent', async () => {
  await agents.bank.authority.identity.customers.put(
    [{ id: '7f3a91', enabled: true, ...owner }] as never,
    id('workload/core/onboarding'),
  );
  const { client: _, ...asPartner } = registration('partner/ledgerly');
  await set({ [id('workload/teller')]: asPartner });
  const person = { claim: 'customer', matches: 'id' } as const;
  const provider = { ...idp.provider, person, subjects: 'customer' } as const;
  agents.bank.set({ identityProviders: [provider] });
  const token = await handed({ sub: 'c-1', customer: '7f3a91' });
  expect(decodeJwt(token)).toMatchObject({ sub: dora, act: { sub: ledgerly } });
  expect(decodeJwt(await agents.assistant.exchange(token))).toMatchObject({
    ...{ sub: dora, acr: 'idp', subject_entity: owner },
    act: { sub: assistant, act: { sub: ledgerly } },
  });
});
