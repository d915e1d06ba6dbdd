import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Bank, LEDGERLY, openBank, POINT_ID, type Presented, TRUST_DOMAIN } from './bank.ts';

let bank: Bank;
let as: Presented;
beforeAll(async () => {
  bank = await openBank();
  as = await bank.partner('ledgerly');
});

const good = () => bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
const seen = () => {
  const last = bank.resource.seen.at(-1);
  if (!last) throw new Error('nothing reached the resource');
  return last;
};
const names = () => seen().rawHeaders.filter((_, index) => index % 2 === 0);

describe('identity headers from outside never reach the resource', () => {
  test.each([
    'Proxy-Authorization',
    'DPoP',
    'Txn-Token',
    'Client-Cert',
    'Client-Cert-Chain',
    'X-Client-Cert',
    'X-Client-Cert-Subject',
    'X-SSL-Client-S-DN',
    'X-Forwarded-For',
    'X-Forwarded-User',
    'Forwarded',
    'X-Forwarded-Client-Cert',
    'X-Real-IP',
    'X-User',
    'X-User-Id',
    'X-Auth-Request-User',
    'X-Authenticated-User',
    'X-Remote-User',
    'Remote-User',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X-Countersign-Subject',
    'Workload-Identity-Token',
    'Workload-Proof-Token',
    'X-Customer-Id',
    'x_forwarded_user',
    'X_Customer_Id',
    'REMOTE_USER',
    'Remote.User',
    'X.Customer.Id',
    'x!forwarded!user',
    'x-FORWARDED-client-CERT',
  ])('%s', async (name) => {
    const value = 'spiffe://bank.example/human/chief';
    const got = await bank.call({ as, token: good(), headers: { [name]: value, 'X-Kept': 'yes' } });
    expect(got.status).toBe(200);
    expect(JSON.stringify(seen().rawHeaders)).not.toContain('chief');
    expect(seen().headers['x-kept']).toBe('yes');
  });

  test('not even when Connection names them, and not our own either', async () => {
    const headers = {
      Connection: 'X-Forwarded-User, X-Other',
      'X-Forwarded-User': 'chief',
      'X-Other': '1',
    };
    await bank.call({ as, token: good(), headers });
    expect(JSON.stringify(seen().rawHeaders)).not.toContain('chief');
    expect(seen().headers['x-other']).toBeUndefined();
    expect(names().filter((name) => name.toLowerCase() === 'txn-token')).toHaveLength(1);
  });

  test('the access token is not passed on; a cookie is', async () => {
    const token = good();
    await bank.call({ as, token, headers: { Cookie: 'a=b' } });
    expect(JSON.stringify(seen().rawHeaders)).not.toContain(token);
    expect(seen().headers['cookie']).toBe('a=b');
  });
});

test('other headers keep order, case and number', async () => {
  const headers = ['Host', `127.0.0.1:${bank.ports.partners}`, 'X-b', '1', 'x-A', '2', 'X-B', '3'];
  await bank.call({ as, token: good(), headers });
  const own = seen().rawHeaders.filter((_, i, raw) => /^x-[ab]$/i.test(raw[i - (i % 2)] ?? ''));
  expect(own).toEqual(['X-b', '1', 'x-A', '2', 'X-B', '3']);
  expect(seen().headers['host']).toBe(`127.0.0.1:${bank.ports.partners}`);
});

test('the transaction token says what happened here, and holds no access token', async () => {
  const act = { sub: 'spiffe://bank.example/agent/reconciler' };
  const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint }, act, acr: 'phr', sid: 's9' });
  const got = await bank.call({
    as,
    token,
    method: 'POST',
    path: '/accounts-api/accounts/7/debits',
  });
  expect(got.status).toBe(200);
  const txnToken = String(seen().headers['txn-token']);
  const fact = bank.decision.facts.get('transaction-key txn-edge');
  const key = await importJWK(fact?.kind === 'transaction-key' ? (fact.jwk as never) : {}, 'EdDSA');
  // jose as an independent oracle.
  const { payload, protectedHeader } = await jwtVerify(txnToken, key, {
    audience: TRUST_DOMAIN,
    typ: 'txntoken+jwt',
    algorithms: ['EdDSA'],
    currentDate: new Date(bank.now()),
  });
  expect(protectedHeader).toEqual({ alg: 'EdDSA', kid: 'txn-edge', typ: 'txntoken+jwt' });
  const { iat = 0, exp = 0, txn, ...rest } = payload;
  expect(exp - iat).toBeLessThanOrEqual(60);
  expect(rest).toEqual({
    aud: TRUST_DOMAIN,
    sub: LEDGERLY,
    scope: 'accounts payments',
    req_wl: POINT_ID,
    act,
    tctx: {
      surface: 'accounts',
      action: 'Debit',
      resource: { type: 'Accounts::Account', id: '7' },
    },
    rctx: { req_ip: '127.0.0.1', authn: 'mtls', sid: 's9', acr: 'phr' },
  });
  const { decision } = await bank.record(got.headers['countersign-event-id'] as string);
  expect(decision).toMatchObject({ txn, actors: [act.sub] });
});

test('a transaction token ends no later than the token that began it', async () => {
  const exp = Math.floor(bank.now() / 1000) + 10;
  await bank.call({ as, token: bank.token({ cnf: { 'x5t#S256': as.thumbprint }, exp }) });
  const claims = decodeJwt(String(seen().headers['txn-token']));
  expect(claims.exp).toBeLessThanOrEqual(exp + 5);
  expect(decodeProtectedHeader(String(seen().headers['txn-token'])).typ).toBe('txntoken+jwt');
});

test('each request begins a transaction of its own', async () => {
  const token = good();
  await bank.call({ as, token });
  const first = decodeJwt(String(seen().headers['txn-token']));
  await bank.call({ as, token });
  expect(decodeJwt(String(seen().headers['txn-token']))['txn']).not.toBe(first['txn']);
});

test('a transaction token that the resource echoes does not leave the edge; inside it may', async () => {
  bank.resource.handler = (request, response) => {
    response.setHeader('Txn-Token', String(request.headers['txn-token']));
    response.setHeader('Countersign-Event-Id', 'of an inner hop');
    response.end('ok');
  };
  const edge = await bank.call({ as, token: good() });
  expect(edge.headers['txn-token']).toBeUndefined();
  expect(edge.headers['countersign-event-id']).toMatch(/^[\w-]{22}$/);
});
