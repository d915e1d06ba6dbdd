import { createHash, generateKeyPairSync } from 'node:crypto';
import { createX509Authority, encodePem, parseSpiffeId, softwareSigner } from '@countersign/spiffe';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Bank,
  HARVEST,
  INSIDE_ID,
  LEDGERLY,
  openBank,
  PAYMENTS,
  POINT_ID,
  type Presented,
} from './bank.ts';

let bank: Bank;
let payments: Presented;
let point: Presented;
beforeAll(async () => {
  bank = await openBank();
  payments = await bank.svid(PAYMENTS);
  point = await bank.svid(POINT_ID);
});

const listener = 'mesh' as const;
const seconds = () => Math.floor(bank.now() / 1000);

async function reasonOf(got: Awaited<ReturnType<Bank['call']>>): Promise<unknown[]> {
  const record = await bank.record(got.problem.eventId);
  expect(record.authentication).toMatchObject({ result: 'refused', listener });
  expect(record.outcome?.forwarded).toBe(false);
  return [got.status, record.decision?.reason];
}

test('a workload without a transaction is itself the principal, and has no caller', async () => {
  const got = await bank.call({ listener, as: payments });
  expect(got.status).toBe(200);
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({ subject: PAYMENTS, policies: ['workload-reads'] });
  expect(decision?.caller).toBeUndefined();
  expect(decision?.context?.['caller']).toBeUndefined();
});

test('within a transaction the principal is its subject, and the workload is the caller', async () => {
  const token = bank.txnToken({ txn: 'txn-42' });
  const got = await bank.call({ listener, as: payments, headers: { 'Txn-Token': token } });
  expect(got.status).toBe(200);
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({
    subject: LEDGERLY,
    caller: PAYMENTS,
    txn: 'txn-42',
    session: 'session-1',
    policies: ['partners'],
    tokenHash: createHash('sha256').update(token).digest('base64url'),
  });
  // Passed on unmodified, exactly once.
  const seen = bank.resource.seen.at(-1);
  expect(seen?.rawHeaders.filter((name) => name.toLowerCase() === 'txn-token')).toHaveLength(1);
  expect(seen?.headers['txn-token']).toBe(token);
});

test('a transaction that begins here gets a token that verifies, minted by this point', async () => {
  await bank.call({ listener, as: payments });
  const minted = String(bank.resource.seen.at(-1)?.headers['txn-token']);
  const got = await bank.call({ listener, as: point, headers: { 'Txn-Token': minted } });
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({ subject: PAYMENTS, caller: POINT_ID, effect: 'permit' });
});

describe('the peer is refused, and the record says why', () => {
  const stranger = () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return softwareSigner(keys);
  };
  async function svidOf(trustDomain: string, path: string): Promise<Presented> {
    const authority = await createX509Authority({ trustDomain, signer: stranger(), now: Date.now });
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chain } = await authority.issueSvid({
      spiffeId: parseSpiffeId(`spiffe://${trustDomain}${path}`),
      publicKey: keys.publicKey,
      ttlSeconds: 600,
    });
    const keyPem = keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    return { certPem: encodePem(chain), keyPem, thumbprint: '' };
  }
  const rows: [string, string, () => Promise<Presented | undefined>][] = [
    ['no certificate', 'certificate-missing', async () => undefined],
    ['a partner’s certificate', 'certificate-invalid', () => bank.partner('ledgerly')],
    [
      'our ID by somebody else’s authority',
      'certificate-invalid',
      () => svidOf('bank.example', '/workload/payments/api'),
    ],
    [
      'an SVID of a foreign trust domain',
      'certificate-invalid',
      () => svidOf('evil.example', '/workload/payments/api'),
    ],
    [
      'an SVID that nobody registered',
      'peer-unregistered',
      () => bank.svid('spiffe://bank.example/workload/rogue'),
    ],
    ['an SVID of a partner', 'peer-unregistered', () => bank.svid(LEDGERLY)],
  ];
  test.each(rows)('%s: %s', async (_name, reason, make) => {
    const got = await bank.call({ listener, as: await make() });
    expect(await reasonOf(got)).toEqual([401, reason]);
    expect(got.headers['www-authenticate']).toBe('Mutual-TLS');
  });

  test('a disabled workload: subject-disabled', async () => {
    const fact = bank.decision.facts.subject(PAYMENTS);
    bank.change(fact ? [{ ...fact, enabled: false }] : []);
    expect(await reasonOf(await bank.call({ listener, as: payments }))).toEqual([
      401,
      'subject-disabled',
    ]);
    bank.change(fact ? [fact] : []);
  });

  test('a revoked SVID: certificate-revoked', async () => {
    const atMs = bank.now();
    const fact = {
      kind: 'revocation',
      target: 'certificate',
      value: payments.thumbprint,
      reason: 'test',
      atMs,
      untilMs: atMs + 60_000,
    } as const;
    bank.change([fact]);
    expect(await reasonOf(await bank.call({ listener, as: payments }))).toEqual([
      401,
      'certificate-revoked',
    ]);
    bank.change([], [`revocation certificate ${payments.thumbprint}`]);
  });

  test('an enforcement point that lost the token: transaction-token-missing', async () => {
    expect(await reasonOf(await bank.call({ listener, as: point }))).toEqual([
      401,
      'transaction-token-missing',
    ]);
  });
});

describe('the transaction token is refused', () => {
  const { privateKey: stranger, publicKey } = generateKeyPairSync('ed25519');
  const strangers = publicKey.export({ format: 'jwk' });
  const rows: [string, string, () => string][] = [
    ['no JWS', 'transaction-token-invalid', () => 'abc'],
    [
      'another typ',
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { typ: 'at+jwt' } }),
    ],
    [
      'a key nobody knows',
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { kid: 'txn-x' } }),
    ],
    [
      'another’s signature',
      'transaction-token-invalid',
      () => bank.txnToken({}, { key: stranger }),
    ],
    [
      'the key that it brings',
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { jwk: strangers }, key: stranger }),
    ],
    [
      'a key that lies elsewhere (jku, x5u)',
      'transaction-token-invalid',
      () => {
        const url = `http://127.0.0.1:${bank.ports.mesh}/jwks`;
        return bank.txnToken({}, { header: { kid: 'x', jku: url, x5u: url }, key: stranger });
      },
    ],
    ...[
      '../../../../dev/null',
      "x' or '1'='1",
      '__proto__',
      'issuer-1',
      ['txn-edge'],
      undefined,
    ].map((kid): (typeof rows)[number] => [
      `the kid ${JSON.stringify(kid)}`,
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { kid }, key: stranger }),
    ]),
    [
      'no signature (alg none)',
      'transaction-token-invalid',
      () => {
        const [, claims] = bank.txnToken().split('.');
        const header = Buffer.from('{"alg":"none","typ":"txntoken+jwt","kid":"txn-edge"}');
        return `${header.toString('base64url')}.${claims}.`;
      },
    ],
    [
      'another algorithm than its key has',
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { alg: 'HS256' } }),
    ],
    [
      'a critical header field',
      'transaction-token-invalid',
      () => bank.txnToken({}, { header: { crit: ['x'], x: 1 } }),
    ],
    [
      'another token in place of claims',
      'transaction-token-invalid',
      () => {
        const [head, , signature] = bank.txnToken().split('.');
        return `${head}.${Buffer.from(bank.txnToken()).toString('base64url')}.${signature}`;
      },
    ],
    ['five parts', 'transaction-token-invalid', () => `${bank.txnToken()}.AAAA.AAAA`],
    [
      'an access token',
      'transaction-token-invalid',
      () => bank.token({ cnf: { 'x5t#S256': payments.thumbprint } }),
    ],
    [
      'another trust domain',
      'transaction-token-invalid',
      () => bank.txnToken({ aud: 'evil.example' }),
    ],
    ['no scope', 'transaction-token-invalid', () => bank.txnToken({ scope: undefined })],
    ['no txn', 'transaction-token-invalid', () => bank.txnToken({ txn: undefined })],
    [
      'a life of more than a minute',
      'transaction-token-invalid',
      () => bank.txnToken({ exp: seconds() + 62 }),
    ],
    [
      'a workload that does not hold the key',
      'transaction-token-invalid',
      () => bank.txnToken({ req_wl: INSIDE_ID }),
    ],
    [
      'a surface that its holder does not front',
      'transaction-token-invalid',
      () => bank.txnToken({ tctx: { surface: 'core' } }),
    ],
    ['no surface', 'transaction-token-invalid', () => bank.txnToken({ tctx: {} })],
    [
      'from the future',
      'transaction-token-invalid',
      () => bank.txnToken({ iat: seconds() + 30, exp: seconds() + 60 }),
    ],
    [
      'past its end and the skew',
      'transaction-token-expired',
      () => bank.txnToken({ iat: seconds() - 60, exp: seconds() - 6 }),
    ],
    [
      'a subject nobody registered',
      'token-subject',
      () => bank.txnToken({ sub: 'spiffe://bank.example/partner/nobody' }),
    ],
  ];
  test.each(rows)('%s: %s', async (_name, reason, make) => {
    bank.later(10_000);
    const headers = { 'Txn-Token': make() };
    expect(await reasonOf(await bank.call({ listener, as: payments, headers }))).toEqual([
      401,
      reason,
    ]);
  });

  test('two tokens: request-ambiguous', async () => {
    const headers = { 'Txn-Token': [bank.txnToken(), bank.txnToken({ sub: HARVEST })] };
    const got = await bank.call({ listener, as: payments, headers });
    const { decision } = await bank.record(got.problem.eventId);
    expect([got.status, decision?.reason]).toEqual([400, 'request-ambiguous']);
  });

  test('one of a session that is revoked: session-revoked', async () => {
    const atMs = bank.now();
    const value = 'session-1';
    const fact = { target: 'session', value, reason: 'x', atMs, untilMs: atMs + 9000 } as const;
    bank.change([{ kind: 'revocation', ...fact }]);
    const headers = { 'Txn-Token': bank.txnToken() };
    expect(await reasonOf(await bank.call({ listener, as: payments, headers }))).toEqual([
      401,
      'session-revoked',
    ]);
    bank.change([], ['revocation session session-1']);
  });
});

test('an access token does not count inside, and is not passed on', async () => {
  const token = bank.token({ cnf: { 'x5t#S256': payments.thumbprint } });
  const got = await bank.call({ listener, as: payments, token });
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision?.subject).toBe(PAYMENTS);
  expect(bank.resource.seen.at(-1)?.headers['authorization']).toBeUndefined();
});

test('what was authorised where the transaction came in is what is decided by inside', async () => {
  const call = async (authorization_details: unknown) => {
    const headers = {
      'Txn-Token': bank.txnToken({ tctx: { surface: 'accounts', authorization_details } }),
    };
    const got = await bank.call({ listener, as: payments, headers });
    const eventId = got.problem.eventId ?? String(got.headers['countersign-event-id']);
    return { status: got.status, decision: (await bank.record(eventId)).decision };
  };
  const { decision } = await call([{ type: 'purpose', code: 'fraud-review' }]);
  expect(decision?.context).toMatchObject({ purpose: 'fraud-review' });
  const twice = await call([{ type: 'purpose' }, { type: 'purpose' }]);
  expect([twice.status, twice.decision?.reason]).toEqual([401, 'transaction-token-invalid']);
});
