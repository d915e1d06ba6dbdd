import { createHash, randomBytes } from 'node:crypto';
import { LIMITS } from '@countersign/enforcement';
import {
  formatTransactionAssertion,
  signRequest,
  type TransactionStatement,
  verifyAssertion,
} from '@countersign/sdk';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Behaviour, softwareAuthenticator } from '../../sdk/test/software-authenticator.ts';
import { type Bank, type Got, HARVEST, LEDGERLY, openBank, type Presented } from './bank.ts';

const PATH = '/accounts-api/accounts/22289/debits';
const BODY = '{"amount":"5.00"}';

const authenticator = softwareAuthenticator('ES256', LEDGERLY);
let bank: Bank;
let as: Presented;
let token: string;

const factOf = ({ credential }: typeof authenticator) => ({
  kind: 'credential' as const,
  id: credential.credentialId,
  subject: credential.subject,
  publicKey: credential.publicKey,
  rpId: credential.rpId,
  origins: [...credential.origins],
});

async function open(evidenceLevel: 'E2' | 'E3', laterMs = 2 * LIMITS.clockSkewMs): Promise<void> {
  bank = await openBank({ surface: { evidenceLevel } });
  bank.change([factOf(authenticator)]);
  bank.later(laterMs);
  as = await bank.partner('ledgerly');
  token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  bank.resource.handler = async (_request, response) => {
    await bank.resource.seen.at(-1)?.body();
    response.end('ok');
  };
}

const target = () => `https://127.0.0.1:${bank.ports.partners}${PATH}`;

const statement = (change: Partial<TransactionStatement> = {}): TransactionStatement => ({
  subject: LEDGERLY,
  method: 'POST',
  targetUri: target(),
  contentSha256: createHash('sha256').update(BODY).digest('base64'),
  amount: '5.00 EUR',
  createdSeconds: Math.floor(bank.now() / 1000),
  nonce: randomBytes(16).toString('base64url'),
  ...change,
});

interface Pay {
  readonly field?: string | undefined;
  readonly isSigned?: boolean;
  readonly sentBody?: string;
}

async function pay({ field, isSigned = true, sentBody = BODY }: Pay): Promise<Got> {
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  const request = { method: 'POST', url: target(), headers, body: BODY };
  const signature = isSigned ? signRequest(request, { key: as.keyPem, now: bank.now }) : {};
  return bank.call({
    as,
    method: 'POST',
    path: PATH,
    headers: {
      ...headers,
      ...signature,
      ...(field !== undefined && { 'Transaction-Assertion': field }),
    },
    body: sentBody,
  });
}

const approved = (change: Partial<TransactionStatement> = {}, behaviour: Behaviour = {}) =>
  formatTransactionAssertion(authenticator.approve(statement(change), behaviour));

async function decisionOf(got: Got) {
  const id = (got.headers['countersign-event-id'] as string) ?? got.problem.eventId;
  const { decision } = await bank.record(id);
  if (!decision) throw new Error(`no decision: ${got.status} ${got.body}`);
  return decision;
}

describe('a surface that asks for E3', () => {
  beforeEach(() => open('E3'));

  test('lets a request through that its person approved, and records what proves it', async () => {
    const got = await pay({ field: approved() });
    expect([got.status, got.body]).toEqual([200, 'ok']);
    const { evidence, assertion, signature } = await decisionOf(got);
    expect([evidence, signature?.keyFrom]).toEqual(['E3', 'certificate']);
    const { publicKey = '', rpId = '', origins = [], ...signed } = assertion ?? {};
    const registered = { ...authenticator.credential, publicKey, rpId, origins };
    expect(registered).toEqual(authenticator.credential);
    expect(verifyAssertion(signed as never, registered)).toMatchObject({
      kind: 'verified',
      statement: { amount: '5.00 EUR', targetUri: target() },
    });
  });

  test('keeps the approval from the resource', async () => {
    await pay({ field: approved() });
    expect(bank.resource.seen).toHaveLength(1);
    expect(Object.keys(bank.resource.seen[0]?.headers ?? {})).not.toContain(
      'transaction-assertion',
    );
  });

  test('lets an approval through once', async () => {
    const field = approved();
    expect((await pay({ field })).status).toBe(200);
    const again = await pay({ field });
    expect(again.status).toBe(403);
    expect((await decisionOf(again)).detail).toContain(
      'the approval does not count: it was used before',
    );
    expect(bank.resource.seen).toHaveLength(1);
  });

  test('takes the second form of an ECDSA signature for the same approval', async () => {
    const made = authenticator.approve(statement());
    expect((await pay({ field: formatTransactionAssertion(made) })).status).toBe(200);
    const other = otherForm(Buffer.from(made.signature, 'base64url')).toString('base64url');
    const again = await pay({ field: formatTransactionAssertion({ ...made, signature: other }) });
    expect((await decisionOf(again)).detail).toContain('it was used before');
  });

  test.each<[string, () => Pay, string]>([
    ['without an approval', () => ({}), 'evidence E2, the surface asks for E3'],
    [
      'that its caller did not sign',
      () => ({ field: approved(), isSigned: false }),
      'it counts beside a signature of the caller only',
    ],
    ['whose approval cannot be read', () => ({ field: 'x' }), 'it cannot be read'],
    [
      'approved over another target',
      () => ({ field: approved({ targetUri: `${target()}?x=1` }) }),
      'it is over another target',
    ],
    [
      'approved over another method',
      () => ({ field: approved({ method: 'PUT' }) }),
      'it is over another method',
    ],
    [
      'approved over other content',
      () => ({
        field: approved({ contentSha256: createHash('sha256').update('x').digest('base64') }),
      }),
      'it is over other content',
    ],
    [
      'approved without content',
      () => ({ field: formatTransactionAssertion(authenticator.approve(withoutContent())) }),
      'it is over other content',
    ],
    [
      'approved for another person',
      () => ({ field: approved({ subject: HARVEST }) }),
      'it is for another person',
    ],
    [
      'approved too long ago',
      () => ({ field: approved({ createdSeconds: Math.floor(bank.now() / 1000) - 301 }) }),
      'it was made too long ago',
    ],
    [
      'approved in the future',
      () => ({ field: approved({ createdSeconds: Math.floor(bank.now() / 1000) + 6 }) }),
      'it was made in the future',
    ],
    [
      'approved before the point started',
      () => ({ field: approved({ createdSeconds: Math.floor(bank.now() / 1000) - 60 }) }),
      'it may be from before this point started',
    ],
    [
      'approved at another origin',
      () => ({ field: approved({}, { clientData: { origin: 'https://evil.example' } }) }),
      'it was made at another origin',
    ],
    [
      'approved for another domain',
      () => ({ field: approved({}, { rpId: 'evil.example' }) }),
      "it is not for 'bank.example'",
    ],
    [
      'approved by a person who was not verified',
      () => ({ field: approved({}, { flags: 0x01 }) }),
      'did not verify the person',
    ],
    [
      'approved by an authenticator that nobody registered',
      () => ({
        field: formatTransactionAssertion(
          softwareAuthenticator('ES256', LEDGERLY).approve(statement()),
        ),
      }),
      'its authenticator is not registered',
    ],
  ])('refuses a request %s', async (_what, options, detail) => {
    const got = await pay(options());
    expect(got.status).toBe(403);
    expect(await decisionOf(got)).toMatchObject({
      effect: 'deny',
      reason: 'evidence-insufficient',
      detail: expect.stringContaining(detail),
    });
    expect(bank.resource.seen).toHaveLength(0);
  });

  test('refuses what an authenticator of another person approved', async () => {
    const other = softwareAuthenticator('ES256', HARVEST);
    bank.change([factOf(other)]);
    const field = formatTransactionAssertion(other.approve(statement({ subject: HARVEST })));
    const { detail } = await decisionOf(await pay({ field }));
    expect(detail).toContain('its authenticator is of another person');
  });

  test('refuses an approval as soon as its authenticator is withdrawn', async () => {
    const { credentialId } = authenticator.credential;
    bank.change([], [`credential ${credentialId}`]);
    const { detail } = await decisionOf(await pay({ field: approved() }));
    expect(detail).toContain('its authenticator is not registered');
  });

  test('refuses other content than was approved, though head and approval agree', async () => {
    const got = await pay({ field: approved(), sentBody: BODY.replace('5', '6') });
    expect(got.status).toBe(400);
    expect(await decisionOf(got)).toMatchObject({ reason: 'content-mismatch', evidence: 'E1' });
    expect(bank.resource.seen).toHaveLength(0);
  });
});

test('a surface that asks for E2 lets a request through whose approval does not count, as E2', async () => {
  await open('E2');
  const got = await pay({ field: approved({ method: 'PUT' }) });
  expect(got.status).toBe(200);
  const { evidence, assertion, signatureFault } = await decisionOf(got);
  expect([evidence, assertion, signatureFault]).toEqual(['E2', undefined, undefined]);
});

function withoutContent(): TransactionStatement {
  const { contentSha256: _none, ...rest } = statement();
  return rest;
}

/** DER of (r, n - s): good by the same key over the same bytes. */
function otherForm(der: Buffer): Buffer {
  const rLength = der[3] as number;
  const r = der.subarray(4, 4 + rLength);
  const s = BigInt(`0x${der.subarray(6 + rLength).toString('hex')}`);
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const digits = (order - s).toString(16);
  const bytes = Buffer.from(digits.length % 2 ? `0${digits}` : digits, 'hex');
  const other = (bytes[0] as number) & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
  const body = Buffer.concat([Buffer.of(2, r.length), r, Buffer.of(2, other.length), other]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}
