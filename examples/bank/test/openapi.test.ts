import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { consentBody, debitBody } from '../src/services/accounts/shapes.ts';
import { paymentBody, consentBody as paymentConsentBody } from '../src/services/payments/shapes.ts';
import { type Json, readDescription } from './openapi-document.ts';
import { type AskOptions, type RunningBank, startBank, transactionFor } from './running-bank.ts';

const SERVICES = ['accounts', 'payments', 'core', 'statements'] as const;
const BASE = {
  accounts: '/accounts-api',
  payments: '/payments-api',
  core: '/core',
  statements: '/statements-api',
} as const;
const descriptions = Object.fromEntries(SERVICES.map((name) => [name, readDescription(name)]));

let bank: RunningBank;
/** Ids that only a running service gives. */
const ids: Record<string, string> = {};
const headers = { 'txn-token': transactionFor('ledgerly') };

beforeAll(async () => {
  bank = await startBank();
  const post = async (path: string, body: unknown, key: string): Promise<Json> => {
    const answer = await bank.ask(path.startsWith('/accounts') ? 'accounts' : 'payments', path, {
      method: 'POST',
      headers: { ...headers, 'x-idempotency-key': key },
      body,
    });
    expect(answer.status).toBe(201);
    return answer.json.Data;
  };
  const examples = (surface: string, id: string): Json =>
    descriptions[surface]?.operations.find((operation) => operation.id === id)?.body.example;
  const access = examples('accounts', 'CreateAccountAccessConsent');
  const consent = examples('payments', 'CreateDomesticPaymentConsent');
  ids['accounts ConsentId'] = (
    await post('/accounts-api/account-access-consents', access, 'k')
  ).ConsentId;
  const { ConsentId } = await post('/payments-api/domestic-payment-consents', consent, 'k1');
  ids['payments ConsentId'] = ConsentId;
  const { Initiation } = consent.Data;
  const payment = await post(
    '/payments-api/domestic-payments',
    { Data: { ConsentId, Initiation } },
    'k2',
  );
  ids['payments DomesticPaymentId'] = payment.DomesticPaymentId;
});
afterAll(() => bank.close());

describe.each(SERVICES)('%s', (surface) => {
  const description = readDescription(surface);
  // Deleting comes last: it takes away what the others ask for.
  const operations = [...description.operations].sort(
    (a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'),
  );

  test.each(operations.map((operation) => [operation.id, operation] as const))(
    'answers %s as its description says',
    async (id, operation) => {
      const { method, path, parameters, body, responses } = operation;
      const concrete = path.replace(/\{([^}]+)\}/g, (_, name) => {
        const parameter = parameters.find((each) => each.name === name);
        return ids[`${surface} ${name}`] ?? parameter.example;
      });
      const query = id === 'ListAccountMasters' ? '?numbers=22289,22296' : '';
      const example: AskOptions = body === undefined ? {} : { body: await exampleOf(id, body) };
      const target = `${BASE[surface]}${concrete}${query}`;
      const asked = {
        method,
        headers: { ...headers, 'x-idempotency-key': `key-${id}` },
        ...example,
      };
      if (id === 'StreamAccountEvents') return expectStream(target);
      const answer = await bank.ask(surface, target, asked);
      const [status = ''] = Object.keys(responses);
      expect([id, answer.status]).toEqual([id, Number(status)]);
      const content = responses[status].content;
      if (content === undefined) return expect(answer.text).toBe('');
      const [type = ''] = Object.keys(content);
      expect(answer.type).toContain(type);
      const value = type === 'application/json' ? answer.json : answer.text;
      expect(description.faults(content[type].schema, value)).toEqual([]);
    },
  );

  test('examples fit their schemas', () => {
    for (const { body, responses } of description.operations) {
      if (body) expect(description.faults(body.schema, body.example)).toEqual([]);
      for (const { content = {} } of Object.values<Json>(responses)) {
        for (const { schema, example } of Object.values<Json>(content)) {
          if (example !== undefined) expect(description.faults(schema, example)).toEqual([]);
        }
      }
    }
  });

  test('every operation has an id of its own, and every path parameter an entity type', () => {
    const operationIds = description.operations.map(({ id }) => id);
    expect(new Set(operationIds).size).toBe(operationIds.length);
    for (const { parameters } of description.operations) {
      for (const parameter of parameters.filter((each) => each.in === 'path')) {
        expect(parameter['x-countersign-entity']).toMatch(/^[A-Z][A-Za-z]+$/);
      }
    }
  });

  test('an operation that is not described is not answered', async () => {
    expect((await bank.ask(surface, `${BASE[surface]}/admin`, { headers })).status).toBe(404);
    const described = description.operations[0]?.path.replace(/\{[^}]+\}/g, '22289');
    const answer = await bank.ask(surface, `${BASE[surface]}${described}`, {
      method: 'DELETE',
      headers,
    });
    expect([404, 405]).toContain(answer.status);
  });
});

test('services hold callers to the shapes of their descriptions', () => {
  const { document: accounts } = readDescription('accounts');
  const { document: payments } = readDescription('payments');
  const plain = (document: Json, name: string): Json =>
    inlined(document, document.components.schemas[name]);
  expect(plain(accounts, 'ConsentRequest')).toEqual(consentBody);
  expect(plain(accounts, 'DebitRequest')).toEqual(debitBody);
  expect(plain(payments, 'ConsentRequest')).toEqual(paymentConsentBody);
  expect(plain(payments, 'PaymentRequest')).toEqual(paymentBody);
});

/** A schema without references and without words for people. */
function inlined(document: Json, schema: Json): Json {
  if (Array.isArray(schema)) return schema.map((each) => inlined(document, each));
  if (typeof schema !== 'object' || schema === null) return schema;
  if (schema.$ref) {
    return inlined(
      document,
      schema.$ref
        .slice(2)
        .split('/')
        .reduce((at: Json, key: string) => at[key], document),
    );
  }
  const entries = Object.entries(schema).filter(([key]) => key !== 'description');
  return Object.fromEntries(entries.map(([key, value]) => [key, inlined(document, value)]));
}

async function exampleOf(id: string, body: Json): Promise<unknown> {
  if (id !== 'CreateDomesticPayment') return body.example;
  const { Initiation } = body.example.Data;
  const consent = await bank.ask('payments', '/payments-api/domestic-payment-consents', {
    method: 'POST',
    headers: { ...headers, 'x-idempotency-key': 'for-example' },
    body: { Data: { Initiation } },
  });
  return { Data: { ConsentId: consent.json.Data.ConsentId, Initiation } };
}

async function expectStream(target: string): Promise<void> {
  const abort = new AbortController();
  const answer = await bank.agentOf('accounts').request({
    origin: 'http://accounts',
    path: target,
    method: 'GET',
    headers,
    signal: abort.signal,
  });
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-type']).toBe('text/event-stream');
  answer.body.on('error', () => undefined);
  abort.abort();
}
