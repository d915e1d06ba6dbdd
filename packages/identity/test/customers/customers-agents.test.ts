import { ACTORS_MAX, type DetailType, type SubjectEntity } from '@countersign/model';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, id, last, newKey, registration } from '../authority.ts';
import {
  type AgentBank,
  ASSISTANT,
  agentOf,
  assistant,
  BOOKER,
  booker,
  errorOf,
  rule,
  startAgentBank,
} from '../exchange/agent-bank.ts';
import type { SoftwareAuthenticator } from '../login/software-authenticator.ts';

// A customer lets a partner in, whose agents act on: nothing of the three is known to the others, and all of it is in one token.
const NUMBER = '7f3a91';
const dora = id(`customer/${NUMBER}`);
const ledgerly = id('partner/ledgerly');
const by = id('workload/core/onboarding');
const account = (number: string) => ({ __entity: { type: 'Accounts::Account', id: number } });
const owner: SubjectEntity = { attributes: { accounts: [account('22289')] }, parents: [] };
const NOTE: DetailType = {
  ...{ type: 'payment', title: 'Make a payment', isForClients: false },
  fields: Object.fromEntries(
    Array.from({ length: 16 }, (_, n) => [
      `line${n}`,
      { label: `Line ${n}`, kind: 'text', isOptional: true } as const,
    ]),
  ),
};

let agents: AgentBank;
let key: SoftwareAuthenticator;
beforeEach(async () => {
  agents = await startAgentBank({ detailTypes: [NOTE] });
  await set();
  await write(true);
  key = await agents.bank.enrol(dora);
});
afterEach(() => agents.close());

const detailTypes = ['payment'];
const { client: _, ...asPartner } = registration('partner/ledgerly');
const set = (others: Parameters<AgentBank['set']>[1] = [], ofBooker = accounts) =>
  agents.set(
    {
      [id('workload/teller')]: {
        ...asPartner,
        client: { detailTypes, audiences: [accounts, ASSISTANT] },
      },
      [assistant]: { client: { detailTypes } },
      [booker]: { client: { detailTypes, audiences: [accounts, ofBooker] } },
    },
    others,
  );
const customers = () => agents.bank.authority.identity.customers;
const write = (enabled: boolean, entity = owner) =>
  customers().put([{ id: NUMBER, enabled, ...entity }] as never, by);

/** A token of the customer's that the partner got, and hands to the agent. */
async function handed(parameters: Record<string, string> = {}): Promise<string> {
  const pending = await agents.teller.begin({
    ...{ resource: ASSISTANT, scope: 'openid accounts', ...parameters },
  });
  const callback = await agents.bank.browser().signIn(pending.url, key);
  return (await agents.teller.finish(callback, pending)).access_token;
}

describe("a customer's token that a partner hands to an agent", () => {
  test('says who acts, the partner within the agent, and what is vouched of the customer now', async () => {
    const token = await handed();
    expect(decodeJwt(token)).toMatchObject({ act: { sub: ledgerly }, subject_entity: owner });
    const entity = {
      attributes: { accounts: [account('1')] },
      parents: [{ type: 'Group', id: 'x' }],
    };
    await write(true, entity);
    const claims = decodeJwt(await agents.assistant.exchange(token));
    expect(claims).toMatchObject({ sub: dora, subject_entity: entity, client_id: 'assistant' });
    expect(claims['act']).toEqual({ sub: assistant, act: { sub: ledgerly } });
    expect(last(agents.bank.authority, 'administration')).toMatchObject({
      ...{ action: 'token-issued', by: assistant, target: dora },
      detail: { actors: [assistant, ledgerly] },
    });
  });

  test.each([
    ['disabled', () => write(false), 'its session is revoked'],
    ['removed', () => customers().remove(NUMBER, by), 'its session is revoked'],
    [
      'disabled, and let in again',
      async () => {
        await write(false);
        await write(true);
      },
      'its session is revoked',
    ],
    [
      'removed, and somebody got the number',
      async () => {
        await customers().remove(NUMBER, by);
        await write(true);
      },
      'its session is revoked',
    ],
  ])('is exchanged for nothing once the customer is %s', async (_what, change, told) => {
    const token = await handed();
    const next = await agents.assistant.exchange(token, { resource: BOOKER });
    await change();
    for (const [actor, each] of [
      [agents.assistant, token],
      [agents.booker, next],
    ] as const) {
      expect(await errorOf(actor.exchange(each))).toBe('invalid_request');
      expect(last(agents.bank.authority, 'authentication')).toMatchObject({
        ...{ result: 'refused', subject: dora, detail: expect.stringContaining(told) },
      });
    }
  });

  test('is exchanged for nothing once the partner is cut off, by whomever it went on', async () => {
    const token = await handed();
    const next = await agents.assistant.exchange(token, { resource: BOOKER });
    await agents.bank.authority.identity.revoke({
      ...{ target: 'subject', value: ledgerly, reason: 'cut off', by: 'local:uid=0' },
    });
    expect(await errorOf(agents.assistant.exchange(token))).toBe('invalid_request');
    expect(await errorOf(agents.booker.exchange(next))).toBe('invalid_request');
  });
});

describe('a token of a customer with as much as one can carry', () => {
  /** JSON of exactly so many bytes. */
  const filled = <T>(bytes: number, make: (text: string) => T): T =>
    make('x'.repeat(bytes - Buffer.byteLength(JSON.stringify(make('')))));
  const largest = filled(2048, (note) => ({ ...owner, attributes: { note } }));
  const lines = (count: number, text: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`line${n}`, text]));
  const details = filled(2048, (line13) => [
    { type: 'payment', ...lines(13, 'x'.repeat(140)), line13 },
  ]);
  const asked = (value: unknown) => ({ authorization_details: JSON.stringify(value) });
  const serves = (name: string) => `https://agents.bank.example/${name}`;
  /** The agent that takes over from `from`, and hands on to whom `to` names. */
  const next = (
    name: string,
    { from, to, path = name }: { readonly from: string; readonly to: string; path?: string },
  ) => {
    const { privateKey } = newKey();
    const registered = agentOf(path, privateKey, {
      ...{ id: name, detailTypes, audiences: [accounts, serves(to)] },
      exchange: rule({ from: [from], serves: [serves(name)], depthMax: ACTORS_MAX }),
    });
    return { registered, open: () => agents.actor(name, privateKey) };
  };
  const issued = () =>
    agents.bank.authority.events.filter(
      (each) => each.kind === 'administration' && each.action === 'token-issued',
    ).length;

  test('goes over five actors, and points can read it, with what they add', async () => {
    await write(true, largest);
    const third = next('third', { from: 'booker', to: 'fourth' });
    const fourth = next('fourth', { from: 'third', to: 'fifth' });
    await set([third.registered, fourth.registered], serves('third'));
    let token = await handed(asked(details));
    token = await agents.assistant.exchange(token, { resource: BOOKER });
    token = await agents.booker.exchange(token, { resource: serves('third') });
    token = await (await third.open()).exchange(token, { resource: serves('fourth') });
    token = await (await fourth.open()).exchange(token);
    const claims = decodeJwt(token);
    expect(claims).toMatchObject({ subject_entity: largest, authorization_details: details });
    expect(JSON.stringify(claims['act']).match(/"sub"/g)).toHaveLength(ACTORS_MAX);
    console.log(`the largest token with names as banks have them: ${token.length} characters`);
    expect(token.length).toBeLessThanOrEqual(7168);
  });

  test('that would be longer than points read is not issued, and that is recorded', async () => {
    await write(true, largest);
    const long = next('third', { from: 'booker', to: 'fourth', path: 'n'.repeat(500) });
    await set([long.registered], serves('third'));
    let token = await handed(asked(details));
    token = await agents.assistant.exchange(token, { resource: BOOKER });
    token = await agents.booker.exchange(token, { resource: serves('third') });
    const before = issued();
    expect(await errorOf((await long.open()).exchange(token))).toBe('invalid_request');
    expect(last(agents.bank.authority, 'authentication')).toMatchObject({
      ...{ result: 'refused', reason: 'issuer-invalid-request', subject: dora },
      detail: expect.stringMatching(/the token would have 7\d+ characters, and at most 7168/),
    });
    expect(issued()).toBe(before);
  });

  test('has no more bytes of details than that, in whatever letters they are written', async () => {
    for (const letter of ['ß', '銀', '🏦']) {
      const text = letter.repeat(140 / letter.length);
      const bytes = Buffer.byteLength(JSON.stringify([{ type: 'payment', ...lines(14, text) }]));
      expect(bytes).toBeGreaterThan(2048);
      const pushed = agents.teller.begin(asked([{ type: 'payment', ...lines(14, text) }]));
      expect(await errorOf(pushed)).toBe('invalid_authorization_details');
    }
  });
});
