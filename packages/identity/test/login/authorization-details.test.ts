import { createHash } from 'node:crypto';
import type { DetailType } from '@countersign/model';
import { decodeJwt } from 'jose';
import * as client from 'openid-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accounts, id, newKey } from '../authority.ts';
import {
  type AgentBank,
  ASSISTANT,
  agentOf,
  assistant,
  errorOf,
  startAgentBank,
} from '../exchange/agent-bank.ts';
import { alice } from './login-bank.ts';
import type { SoftwareAuthenticator } from './software-authenticator.ts';

// Rich authorization requests (RFC 9396): what a person approves, in words, and what of it a token says.
const text = { kind: 'text', isOptional: false } as const;
const TYPES: readonly DetailType[] = [
  {
    ...{ type: 'purpose', title: 'Say what it is for', isForClients: true },
    fields: {
      code: {
        ...text,
        label: 'Purpose',
        values: { 'fraud-review': 'Review of a suspicion of fraud' },
      },
    },
  },
  {
    ...{ type: 'payment_initiation', title: 'Make a payment', isForClients: false },
    fields: {
      instructedAmount: {
        ...{ label: 'Amount', kind: 'record', isOptional: false },
        fields: {
          currency: { ...text, label: 'Currency', values: { EUR: 'EUR' } },
          amount: { label: 'Amount', kind: 'decimal', isOptional: false },
        },
      },
      creditorAccount: { ...text, label: 'To the account' },
      creditorName: { ...text, label: 'Of', isOptional: true },
      times: { label: 'Times', kind: 'integer', isOptional: true },
    },
  },
  {
    ...{ type: 'transfer', title: 'Make a transfer', isForClients: false },
    fields: {
      amount: { label: 'Amount', kind: 'decimal', isOptional: false },
      creditor: { ...text, label: 'To' },
      note: { ...text, label: 'Note', isOptional: true },
    },
    content: { amount: '/amounts/0', creditor: '/to/i~1ban', note: '/note' },
  },
  {
    ...{ type: 'limit_change', title: 'Change the limit', isForClients: false, acr: 'phrh' },
    fields: { limit: { label: 'Limit', kind: 'decimal', isOptional: false } },
  },
];
/** One whose content is held against what the person reads. */
const transfer = (content: unknown, amount = '123.50') => ({
  ...{ type: 'transfer', amount, creditor: 'DE02' },
  content: typeof content === 'string' ? content : JSON.stringify(content),
});
const sent = { to: { 'i/ban': 'DE02' }, amounts: ['123.50'], id: 7 };
const purpose = { type: 'purpose', code: 'fraud-review' };
const payment = {
  type: 'payment_initiation',
  instructedAmount: { currency: 'EUR', amount: '123.50' },
  creditorAccount: 'DE02100100109307118603',
};

let agents: AgentBank;
let key: SoftwareAuthenticator;
beforeEach(async () => {
  agents = await startAgentBank({ detailTypes: TYPES });
  key = agents.aliceKey;
  await set();
});
afterEach(() => agents.close());

const detailTypes = TYPES.map(({ type }) => type);
const teller = id('workload/teller');
const set = (more: Parameters<AgentBank['set']>[0] = {}) =>
  agents.set({
    [teller]: { client: { detailTypes, audiences: [accounts, ASSISTANT] } },
    [assistant]: { client: { detailTypes } },
    ...more,
  });
const asked = (...details: readonly unknown[]) => ({
  authorization_details: JSON.stringify(details),
});

/** Signs alice in with what is asked; gives what the page showed and the tokens. */
async function approved(parameters: Record<string, string>, browser = agents.bank.browser()) {
  const pending = await agents.teller.begin(parameters);
  const visited = await browser.go(pending.url);
  const { body } = await browser.answer(visited, key);
  const { url } = await browser.go(body.location);
  const tokens = await agents.teller.finish(url, pending);
  return { html: visited.page?.html ?? '', tokens, claims: decodeJwt(tokens.access_token) };
}

describe('details of an authorization request', () => {
  test('are shown in words, approved with a passkey, and stand in the token', async () => {
    const { html, tokens, claims } = await approved(asked(purpose, payment));
    expect(html).toContain('You approve: Make a payment');
    expect(html).toContain('EUR 123.50');
    expect(html).toContain('DE02100100109307118603');
    expect(html).toContain('Review of a suspicion of fraud');
    expect(html).toContain('Approve with a passkey');
    expect(claims['authorization_details']).toEqual([purpose, payment]);
    expect(tokens['authorization_details']).toEqual([purpose, payment]);
    const actions = agents.bank.authority.events.flatMap((event) =>
      event.kind === 'administration' ? [event] : [],
    );
    expect(actions.slice(-2)).toMatchObject([
      {
        ...{ action: 'authorization-approved', by: alice, target: alice },
        detail: {
          client: 'teller',
          session: claims['sid'],
          authorizationDetails: [purpose, payment],
        },
      },
      { action: 'token-issued', detail: { authorizationDetails: [purpose, payment] } },
    ]);
  });

  test('are approved each time: who is signed in is asked again, and silence is no approval', async () => {
    const browser = agents.bank.browser();
    await approved(asked(purpose), browser);
    const again = await browser.go((await agents.teller.begin(asked(payment))).url);
    expect(again.page?.html).toContain('You approve: Make a payment');
    const silent = await browser.go(
      (await agents.teller.begin({ ...asked(payment), prompt: 'none' })).url,
    );
    expect(silent.url.searchParams.get('error')).toBe('login_required');
    // Without details nobody is asked again, and the token says nothing of those before.
    const plain = await agents.teller.begin();
    const { url } = await browser.go(plain.url);
    const token = (await agents.teller.finish(url, plain)).access_token;
    expect(decodeJwt(token)['authorization_details']).toBeUndefined();
  });

  test('that an application wrote to deceive are text on the page, or no text at all', async () => {
    const hostile = '"><script src="https://evil.example/x.js"></script>&amp;';
    const { html } = await approved(asked({ ...payment, creditorName: hostile }));
    expect(html).not.toContain('<script src="https://evil');
    expect(html).toContain('&#34;&#62;&#60;script');
    for (const creditorName of ['a\u202Eb', 'a\nb', 'a\u0000', '', 'x'.repeat(141), 'a\u2028b']) {
      expect(await errorOf(agents.teller.begin(asked({ ...payment, creditorName })))).toBe(
        'invalid_authorization_details',
      );
    }
  });

  test.each([
    ['no JSON', '{'],
    ['no list', JSON.stringify(purpose)],
    ['a type that nobody defined', JSON.stringify([{ type: 'transfer' }])],
    ['a name that every object has', JSON.stringify([{ type: 'constructor' }])],
    ['no type', JSON.stringify([{ code: 'fraud-review' }])],
    ['two of one type', JSON.stringify([purpose, purpose])],
    ['a field that nobody defined', JSON.stringify([{ ...payment, remittance: 'x' }])],
    ['a field less', JSON.stringify([{ ...payment, creditorAccount: undefined }])],
    ['a code that nobody defined', JSON.stringify([{ ...purpose, code: 'curiosity' }])],
    ['a code that every object has', JSON.stringify([{ ...purpose, code: 'toString' }])],
    ['a number for an amount', JSON.stringify([amount(123.5)])],
    ['an amount below nothing', JSON.stringify([amount('-1.00')])],
    ['an amount in another notation', JSON.stringify([amount('1e3')])],
    ['an amount that is none', JSON.stringify([amount({ __extn: { fn: 'decimal', arg: '1.0' } })])],
    ['half a time', JSON.stringify([{ ...payment, times: 1.5 }])],
    ['more than a token holds', JSON.stringify([{ ...payment, creditorName: 'x'.repeat(3000) }])],
  ])('with %s are refused where they are pushed', async (_what, authorization_details) => {
    expect(await errorOf(agents.teller.begin({ authorization_details }))).toBe(
      'invalid_authorization_details',
    );
  });

  test('of a type that the application is not registered for are refused', async () => {
    await set({ [teller]: { client: { detailTypes: ['purpose'] } } });
    expect(await errorOf(agents.teller.begin(asked(payment)))).toBe(
      'invalid_authorization_details',
    );
    await set({ [teller]: { client: {} } });
    expect(await errorOf(agents.teller.begin(asked(purpose)))).toBe(
      'invalid_authorization_details',
    );
  });

  test('of a type that came after the start are refused, and nothing else of the application', async () => {
    await set({
      [teller]: { client: { detailTypes: ['purpose', 'newcomer'], audiences: [accounts] } },
    });
    expect(await errorOf(agents.teller.begin(asked({ type: 'newcomer' })))).toBe(
      'invalid_authorization_details',
    );
    expect((await approved(asked(purpose))).claims['authorization_details']).toEqual([purpose]);
  });

  test('that take a hardware key are not approved with less', async () => {
    const pending = await agents.teller.begin(asked({ type: 'limit_change', limit: '5000.00' }));
    const browser = agents.bank.browser();
    const visited = await browser.go(pending.url);
    expect(visited.page?.html).toContain('security key');
    expect((await browser.answer(visited, key)).body).toEqual({ error: 'hardware-needed' });
  });

  test('are said to be supported', () => {
    const metadata = agents.assistant.config.serverMetadata();
    expect(metadata['authorization_details_types_supported']).toEqual(detailTypes);
  });
});

describe('content that is to be sent', () => {
  test('is held against what the person reads, and its digest goes on', async () => {
    const { claims } = await approved(asked(transfer(sent)));
    const contentDigest = createHash('sha256').update(JSON.stringify(sent)).digest('base64');
    expect(claims['authorization_details']).toEqual([
      { type: 'transfer', amount: '123.50', creditor: 'DE02', contentDigest },
    ]);
  });

  test.each([
    ['with another amount', { ...sent, amounts: ['923.50'] }],
    ['with a number for an amount', { ...sent, amounts: [123.5] }],
    ['to somebody else', { ...sent, to: { 'i/ban': 'DE99' } }],
    ['with a note that nobody reads', { ...sent, note: 'x' }],
    ['without an amount', { ...sent, amounts: [] }],
    [
      'with an amount that comes twice',
      '{"amounts":["923.50"],"amounts":["123.50"],"to":{"i/ban":"DE02"}}',
    ],
    ['in another form', JSON.stringify(sent, undefined, 1)],
    ['that is no JSON', 'amount=123.50'],
    ['that is nothing', 'null'],
  ])('%s is refused', async (_what, content) => {
    expect(await errorOf(agents.teller.begin(asked(transfer(content))))).toBe(
      'invalid_authorization_details',
    );
  });

  test('is asked for by its type, and by no other; the digest is nobody’s to say', async () => {
    const { content, ...without } = transfer(sent);
    for (const detail of [
      without,
      { ...payment, content },
      { ...transfer(sent), contentDigest: 'x' },
    ]) {
      expect(await errorOf(agents.teller.begin(asked(detail)))).toBe(
        'invalid_authorization_details',
      );
    }
  });
});

describe('what was approved', () => {
  test('is had once: no refresh token comes with a payment; with a purpose one does, and keeps it', async () => {
    expect((await approved(asked(payment))).tokens.refresh_token).toBeUndefined();
    const { tokens } = await approved(asked(purpose));
    const refreshed = await agents.teller.refresh(String(tokens.refresh_token));
    expect(decodeJwt(refreshed.access_token)['authorization_details']).toEqual([purpose]);
  });

  test('cannot become something else at the token endpoint', async () => {
    const pending = await agents.teller.begin(asked(purpose));
    const callback = await agents.bank.browser().signIn(pending.url, key);
    const other = { ...asked({ ...payment, creditorAccount: 'DE00' }), resource: accounts };
    const { config, dpop } = agents.teller;
    const swapped = client.authorizationCodeGrant(config, callback, pending.checks, other, {
      DPoP: dpop,
    });
    expect(await errorOf(swapped)).toBe('invalid_authorization_details');
  });

  test('goes on whole to who acts, when it may know of such; and nothing else does', async () => {
    const { tokens } = await approved({ ...asked(purpose, payment), resource: ASSISTANT });
    const exchange = (more = {}) => agents.assistant.exchange(tokens.access_token, more);
    expect(decodeJwt(await exchange())['authorization_details']).toEqual([purpose, payment]);
    const same = await exchange(asked(payment, purpose));
    expect(decodeJwt(same)['authorization_details']).toEqual([purpose, payment]);
    for (const other of [asked(payment), asked(purpose), asked(purpose, amount('999.00'))]) {
      expect(await errorOf(exchange(other))).toBe('invalid_authorization_details');
    }
    await set({ [assistant]: { client: { detailTypes: ['purpose'] } } });
    expect(await errorOf(exchange())).toBe('invalid_request');
    const event = agents.bank.authority.events.findLast(({ kind }) => kind === 'authentication');
    expect(event).toMatchObject({
      detail: expect.stringContaining("details of type 'payment_initiation'"),
    });
  });

  test('a client may say a purpose in its own name, and pays nothing', async () => {
    const nightly = newKey().privateKey;
    await agents.set({}, [agentOf('nightly', nightly, { audiences: [accounts], detailTypes })]);
    const { config, dpop } = await agents.actor('nightly', nightly);
    const options = dpop ? { DPoP: dpop } : {};
    const ask = (details: unknown) =>
      client.clientCredentialsGrant(
        config,
        { resource: accounts, scope: 'accounts', ...asked(details) },
        options,
      );
    expect(decodeJwt((await ask(purpose)).access_token)['authorization_details']).toEqual([
      purpose,
    ]);
    expect(await errorOf(ask(payment))).toBe('invalid_authorization_details');
  });
});

function amount(value: unknown) {
  return { ...payment, instructedAmount: { currency: 'EUR', amount: value } };
}
