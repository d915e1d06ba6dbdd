import { createHash } from 'node:crypto';
import { LIMITS } from '@countersign/enforcement';
import type { DetailType, Fact } from '@countersign/model';
import { signRequest } from '@countersign/sdk';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Bank, openBank, type Presented } from './bank.ts';

// What a token says was authorised (RFC 9396), and policies that hold what is asked against it.
const ALICE = 'spiffe://bank.example/human/alice';
const PAYMENT: DetailType = {
  ...{ type: 'payment_initiation', title: 'Make a payment', isForClients: false },
  fields: {
    instructedAmount: {
      ...{ label: 'Amount', kind: 'record', isOptional: false },
      fields: {
        currency: { label: 'Currency', kind: 'text', isOptional: false },
        amount: { label: 'Amount', kind: 'decimal', isOptional: false },
      },
    },
    creditorAccount: { label: 'To the account', kind: 'text', isOptional: false },
  },
  content: { 'instructedAmount.amount': '/amount', creditorAccount: '/creditor' },
};

const POLICIES = [
  {
    id: 'payments-as-approved',
    text: `@id("payments-as-approved") permit (principal is Human, action == Accounts::Action::"Debit", resource)
      when {
        context has authorizationDetails && context.authorizationDetails has payment_initiation &&
        context has contentDigest &&
        context.contentDigest == context.authorizationDetails.payment_initiation.contentDigest
      };`,
  },
  {
    id: 'small-payments',
    text: `@id("small-payments") forbid (principal, action == Accounts::Action::"Debit", resource)
      unless {
        context has authorizationDetails && context.authorizationDetails has payment_initiation &&
        context.authorizationDetails.payment_initiation.instructedAmount.currency == "EUR" &&
        context.authorizationDetails.payment_initiation.instructedAmount.amount.lessThanOrEqual(decimal("1000.00"))
      };`,
  },
  {
    id: 'secrets-for-fraud-review',
    text: `@id("secrets-for-fraud-review") permit (principal is Human, action == Accounts::Action::"GetSecret", resource)
      when { context has purpose && context.purpose == "fraud-review" };`,
  },
];

let bank: Bank;
let as: Presented;
beforeEach(async () => {
  bank = await openBank({ details: [PAYMENT], surface: { evidenceLevel: 'E1' } });
  bank.later(2 * LIMITS.clockSkewMs);
  const alice: Fact = {
    ...{ kind: 'subject', id: ALICE, enabled: true, owner: 'hr@bank.example' },
    ...{ attributes: {}, parents: [], certificates: [] },
  };
  bank.change([alice]);
  as = await bank.partner('teller');
  bank.resource.handler = async (_request, response) => {
    await bank.resource.seen.at(-1)?.body();
    response.end('ok');
  };
});

const tokenWith = (authorization_details: unknown) =>
  bank.token({
    ...{ sub: ALICE, cnf: { 'x5t#S256': as.thumbprint } },
    ...(authorization_details !== undefined && { authorization_details }),
  });
const decisionOf = async (got: Awaited<ReturnType<Bank['call']>>) =>
  (await bank.record(got.problem.eventId ?? String(got.headers['countersign-event-id']))).decision;

describe('a token with a purpose', () => {
  test.each([
    ['opens what wants it', [{ type: 'purpose', code: 'fraud-review' }], 200],
    ['opens nothing that wants another', [{ type: 'purpose', code: 'customer-request' }], 403],
    ['and one without open nothing that wants any', undefined, 403],
  ])('%s', async (_what, details, status) => {
    await bank.publish({}, POLICIES);
    const got = await bank.call({ as, token: tokenWith(details), path: '/accounts-api/secrets/7' });
    expect(got.status).toBe(status);
    const { context } = (await decisionOf(got)) ?? {};
    expect(context?.['purpose']).toBe(details?.[0]?.code);
  });
});

describe('a payment', () => {
  const body = (amount: string, creditor = 'DE02') => JSON.stringify({ amount, creditor });
  const detail = (approved: string, amount = '123.50') => ({
    type: 'payment_initiation',
    instructedAmount: { currency: 'EUR', amount },
    creditorAccount: 'DE02',
    contentDigest: createHash('sha256').update(approved).digest('base64'),
  });
  beforeEach(() => bank.publish({ evidenceLevel: 'E2' }, POLICIES));

  async function pay(details: unknown, { sent, signed = sent }: { sent: string; signed?: string }) {
    const path = '/accounts-api/accounts/22289/debits';
    const headers = { Authorization: `Bearer ${tokenWith(details)}` };
    const url = `https://127.0.0.1:${bank.ports.partners}${path}`;
    const request = { method: 'POST', url, headers, body: signed };
    const signature = signRequest(request, { key: as.keyPem, now: bank.now });
    const all = { ...headers, ...signature };
    return bank.call({ as, method: 'POST', path, headers: all, body: sent });
  }

  test('as it was approved is made, and the resource is told what was', async () => {
    const got = await pay([detail(body('123.50'))], { sent: body('123.50') });
    expect(got.status).toBe(200);
    const decision = await decisionOf(got);
    const { type: _, ...fields } = detail(body('123.50'));
    expect(decision).toMatchObject({ policies: ['payments-as-approved'] });
    expect(decision?.context).toMatchObject({
      authorizationDetails: { payment_initiation: fields },
      contentDigest: fields.contentDigest,
    });
    const [, claims = ''] = String(bank.resource.seen.at(-1)?.headers['txn-token']).split('.');
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString()).tctx).toMatchObject({
      authorization_details: [detail(body('123.50'))],
    });
  });

  test.each([
    ['of another amount', { sent: body('923.50') }],
    ['to somebody else', { sent: body('123.50', 'DE99') }],
  ])('%s than was approved is refused by policy', async (_what, request) => {
    const got = await pay([detail(body('123.50'))], request);
    expect([got.status, (await decisionOf(got))?.reason]).toEqual([403, 'policy-none-permits']);
    expect(bank.resource.seen).toHaveLength(0);
  });

  test('whose content is another than what was signed reaches nobody', async () => {
    const swapped = { sent: body('923.50'), signed: body('123.50') };
    const got = await pay([detail(body('123.50'))], swapped);
    expect((await decisionOf(got))?.reason).toBe('content-mismatch');
    expect(bank.resource.seen).toHaveLength(0);
  });

  test('beyond what policy allows is refused, whatever was approved', async () => {
    const large = body('5000.00');
    const got = await pay([detail(large, '5000.00')], { sent: large });
    expect((await decisionOf(got))?.policies).toEqual(['small-payments']);
  });

  test('that nobody approved is refused', async () => {
    const got = await pay(undefined, { sent: body('1.00') });
    expect(got.status).toBe(403);
  });

  test('is not compared where content need not be signed: there the digest is anybody’s word', async () => {
    await bank.publish({ evidenceLevel: 'E1' }, POLICIES);
    const got = await pay([detail(body('123.50'))], { sent: body('123.50') });
    expect([got.status, (await decisionOf(got))?.context?.['contentDigest']]).toEqual([
      403,
      undefined,
    ]);
  });
});

describe('details that our issuer gives nobody are refused', () => {
  test.each([
    ['no list', { type: 'purpose' }, 401],
    ['of no type', [{}], 401],
    ['of a name that objects have', [{ type: '__proto__' }], 401],
    ['two of one type', [{ type: 'purpose' }, { type: 'purpose' }], 401],
    ['more than ten', Array.from({ length: 11 }, (_, at) => ({ type: `t${at}` })), 401],
    ['of a type that the policy does not know', [{ type: 'transfer' }], 403],
    [
      'of a form that the policy does not know',
      [{ type: 'payment_initiation', creditorAccount: 7 }],
      403,
    ],
  ])('%s', async (_what, details, status) => {
    await bank.publish({}, POLICIES);
    const got = await bank.call({ as, token: tokenWith(details), path: '/accounts-api/secrets/7' });
    const expected = status === 401 ? 'token-malformed' : 'policy-error';
    expect([got.status, (await decisionOf(got))?.reason]).toEqual([status, expected]);
  });
});
