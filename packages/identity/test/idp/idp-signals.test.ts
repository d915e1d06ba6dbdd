import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { EVENT_TYPES, linkedPerson, type PushSource, transmitterKeys } from '@countersign/identity';
import { decodeJwt, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LoginBank, startLoginBank } from '../login/login-bank.ts';
import type { Teller } from '../login/teller.ts';
import { serveSignals } from '../signal-authority.ts';
import { type HostileIdp, startHostileIdp } from './hostile-idp.ts';

const AUDIENCE = 'https://signals.bank.example';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
let bank: LoginBank;
let idp: HostileIdp;
let teller: Teller;
let served: Awaited<ReturnType<typeof serveSignals>>;
let agent: Agent;

beforeEach(async () => {
  bank = await startLoginBank();
  idp = await startHostileIdp(bank);
  bank.set({ identityProviders: [idp.provider] });
  await bank.apply(bank.registrations({ acr: 'idp' }));
  teller = await bank.teller();
  const { identity } = bank.authority;
  const source: PushSource = {
    ...{ name: 'idp', issuer: idp.server.url, audience: AUDIENCE, may: ['end-sessions'] },
    keys: transmitterKeys({
      url: `${idp.server.url}/ssf`,
      getJson: async () => ({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1' }] }),
      now: bank.authority.now,
    }),
    subjectOf: (identifier) =>
      linkedPerson(identifier, {
        ...{ issuer: idp.server.url, kind: 'human', links: identity.login?.providers },
      }),
  };
  served = await serveSignals(bank.authority, { pushSources: [source] });
  agent = new Agent({ connect: { ca: bank.authority.authorityPem } });
});
afterEach(async () => {
  await agent.destroy();
  await served.close();
  await idp.close();
  await bank.close();
});

async function session(claims: Record<string, unknown>): Promise<string> {
  const browser = bank.browser();
  const pending = await teller.begin();
  const page = await browser.go(pending.url);
  const { url } = await browser.go(`${page.url.pathname}/idp?with=other`);
  const { searchParams } = url;
  idp.idToken = await idp.token({ nonce: searchParams.get('nonce'), ...claims });
  const query = new URLSearchParams({ code: 'c', state: searchParams.get('state') ?? '' });
  const visited = await browser.go(`/idp/other/callback?${query}`);
  return String(decodeJwt((await teller.finish(visited.url, pending)).access_token)['sid']);
}

async function tell(subject: object): Promise<void> {
  const token = await new SignJWT({
    ...{ iss: idp.server.url, aud: AUDIENCE, jti: randomUUID(), sub_id: subject },
    iat: Math.floor(Date.now() / 1000),
    events: { [EVENT_TYPES['session-revoked']]: {} },
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'secevent+jwt' })
    .sign(keys.privateKey);
  const answer = await request(`${served.url}/signals/idp`, {
    ...{ dispatcher: agent, method: 'POST', body: token },
    headers: { 'content-type': 'application/secevent+jwt' },
  });
  await answer.body.dump();
  expect(answer.statusCode).toBe(202);
}

const isOver = (id: string) => bank.authority.identity.isRevoked('session', id);

test('a transmitter names people by their account at the provider, and sessions by their names there', async () => {
  const [one, two] = [await session({ sid: 's1' }), await session({ sid: 's2' })];
  const bobs = await session({ sub: 'b-1', sid: 's3', preferred_username: 'bob' });
  const user = { format: 'iss_sub', iss: idp.server.url, sub: 'a-1' };
  await tell({ format: 'complex', user, session: { format: 'opaque', id: 's1' } });
  expect([one, two, bobs].map(isOver)).toEqual([true, false, false]);
  // Of somebody else's account it ends none of theirs.
  await tell({ format: 'complex', user, session: { format: 'opaque', id: 's3' } });
  expect(isOver(bobs)).toBe(false);
  await tell({ format: 'iss_sub', iss: 'https://idp.evil.example', sub: 'a-1' });
  expect(isOver(two)).toBe(false);
  await tell(user);
  expect([one, two, bobs].map(isOver)).toEqual([true, true, false]);
});
