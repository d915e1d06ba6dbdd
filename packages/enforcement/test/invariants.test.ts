import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createCedarEngine, createEntityStore } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { openReplica } from '@countersign/decision';
import type { Fact } from '@countersign/model';
import { FACTS_TYPE, localSigner, POLICY_TYPE, signStatement } from '@countersign/state';
import { expect, test } from 'vitest';
import {
  AUDIENCE,
  INSIDE_ID,
  ISSUER,
  jws,
  LEDGERLY,
  openBank,
  POINT_ID,
  TRUST_DOMAIN,
} from './bank.ts';

// What the other tests leave open of docs/reference/invariants.md: mostly, the protection taken away.

test('in shadow nobody is asked who they are: the stranger that enforcing refuses is served', async () => {
  for (const [mode, status] of [
    ['enforce', 401],
    ['shadow', 200],
  ] as const) {
    const bank = await openBank({ surface: { mode } });
    expect((await bank.call({})).status).toBe(status);
    expect(bank.resource.seen).toHaveLength(mode === 'shadow' ? 1 : 0);
    await bank.close();
  }
});

test('by Cedar alone a forbid that errors lets the request through', async () => {
  const engine = createCedarEngine({ startThread: startNodeThread });
  const policies = [
    { id: 'all', text: '@id("all") permit (principal, action, resource);' },
    {
      id: 'no',
      text: '@id("no") forbid (principal, action, resource) when { context.amount * 9007199254740991 * 4 > 0 };',
    },
  ];
  const schema =
    'entity A; entity B; action "do" appliesTo { principal: A, resource: B, context: { amount: Long } };';
  const set = await engine.load(policies, schema);
  const answer = set.authorize(
    {
      principal: { type: 'A', id: 'a' },
      action: { type: 'Action', id: 'do' },
      resource: { type: 'B', id: 'b' },
      context: { amount: Number.MAX_SAFE_INTEGER },
    },
    createEntityStore(),
  );
  expect(answer).toMatchObject({ decision: 'allow', erroredForbids: ['no'] });
  await engine.close();
});

test('the same request to the same surface in enforce does not go on as it came', async () => {
  const sent = { 'x-b': '2', 'X-Forwarded-User': 'chief', Authorization: '', 'X-a': '1' };
  const seen: (readonly string[] | undefined)[] = [];
  for (const mode of ['shadow', 'enforce'] as const) {
    const bank = await openBank({ surface: { mode } });
    const as = await bank.partner('ledgerly');
    const token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
    await bank.call({ as, headers: { ...sent, Authorization: `Bearer ${token}` } });
    seen.push(bank.resource.seen[0]?.rawHeaders.map((each) => each.toLowerCase()));
    await bank.close();
  }
  const [shadow, enforce] = seen;
  expect(shadow).toEqual(expect.arrayContaining(['authorization', 'x-forwarded-user']));
  expect(shadow).not.toContain('txn-token');
  expect(enforce).toContain('txn-token');
  expect(enforce).not.toContain('authorization');
  expect(enforce).not.toContain('x-forwarded-user');
});

test('with all keys of a point nobody makes an access token, facts, policy or another point’s transactions', async () => {
  const bank = await openBank();
  const ledgerly = await bank.partner('ledgerly');
  const payments = await bank.svid('spiffe://bank.example/workload/payments/api');
  const stolen = generateKeyPairSync('ed25519');
  holdTransactionKey(bank, stolen.publicKey);
  const sign = (kid: string, typ: string, claims: Record<string, unknown>) =>
    jws({ alg: 'EdDSA', typ, kid }, claims, stolen.privateKey);

  // An access token: as the issuer's key, and as the key that it is.
  for (const kid of ['issuer-1', 'txn-stolen']) {
    const token = sign(kid, 'at+jwt', accessClaims(bank, ledgerly.thumbprint));
    const got = await bank.call({ as: ledgerly, token });
    expect([kid, got.status]).toEqual([kid, 401]);
  }
  // A transaction of a surface that another point fronts, and one in the name of another point.
  for (const [surface, holder, status] of [
    ['accounts', INSIDE_ID, 401],
    ['core', POINT_ID, 401],
    ['core', INSIDE_ID, 200],
  ] as const) {
    const seconds = Math.floor(bank.now() / 1000);
    const token = sign('txn-stolen', 'txntoken+jwt', {
      iat: seconds,
      exp: seconds + 60,
      aud: TRUST_DOMAIN,
      txn: 'stolen',
      sub: LEDGERLY,
      scope: '',
      req_wl: holder,
      tctx: { surface },
    });
    const headers = { 'Txn-Token': token };
    const got = await bank.call({ listener: 'mesh', as: payments, headers });
    // The last is what the point may do anyway, so the two before it were refused for what they say.
    expect([surface, holder, got.status]).toEqual([surface, holder, status]);
  }
  await bank.close();

  const engine = createCedarEngine({ startThread: startNodeThread });
  const anchor = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as Record<
    string,
    string
  >;
  const signer = localSigner(stolen.privateKey, 'anchor');
  const replicaWith = (jwk: Readonly<Record<string, string>>) =>
    openReplica({
      anchors: {
        trustDomain: TRUST_DOMAIN,
        x509Authorities: [],
        factKeys: [{ ...jwk, kid: 'anchor' }],
        policyKeys: [{ ...jwk, kid: 'anchor' }],
      },
      engine,
      now: Date.now,
    });
  const snapshot = {
    kind: 'snapshot',
    trustDomain: TRUST_DOMAIN,
    sequence: 1,
    atMs: Date.now(),
    facts: [],
  };
  const facts = JSON.stringify({
    facts: await signStatement(snapshot, { type: FACTS_TYPE, signer }),
  });
  const policy = JSON.stringify({ policy: await signStatement({}, { type: POLICY_TYPE, signer }) });
  const replica = await replicaWith(anchor);
  expect(await replica.accept(facts)).toMatchObject({ taken: false, refusal: 'signature-invalid' });
  expect(await replica.accept(policy)).toMatchObject({
    taken: false,
    refusal: 'signature-invalid',
  });
  await replica.close();
  // Pinned as the authority's, the same key is believed: it was the key that was refused.
  const deceived = await replicaWith(signer.publicJwk);
  expect(await deceived.accept(facts)).toEqual({ taken: true });
  await deceived.close();
  await engine.close();
});

test('where the facts name a point’s key as an issuer’s, what it signs is served', async () => {
  const bank = await openBank();
  const ledgerly = await bank.partner('ledgerly');
  const stolen = generateKeyPairSync('ed25519');
  const token = jws(
    { alg: 'EdDSA', typ: 'at+jwt', kid: 'txn-stolen' },
    accessClaims(bank, ledgerly.thumbprint),
    stolen.privateKey,
  );
  expect((await bank.call({ as: ledgerly, token })).status).toBe(401);
  const jwk = stolen.publicKey.export({ format: 'jwk' }) as Record<string, string>;
  const notAfterMs = bank.now() + 60_000;
  bank.change([{ kind: 'issuer-key', issuer: ISSUER, kid: 'txn-stolen', jwk, notAfterMs }]);
  expect((await bank.call({ as: ledgerly, token })).status).toBe(200);
  await bank.close();
});

type Bank = Awaited<ReturnType<typeof openBank>>;

/** The point `inside`, which fronts `core` alone, registers this key. */
function holdTransactionKey(bank: Bank, publicKey: KeyObject): void {
  const fact: Fact = {
    kind: 'transaction-key',
    kid: 'txn-stolen',
    jwk: publicKey.export({ format: 'jwk' }) as Record<string, string>,
    holder: INSIDE_ID,
    surfaces: ['core'],
    notAfterMs: bank.now() + 60_000,
  };
  bank.change([fact]);
}

function accessClaims(bank: Bank, thumbprint: string): Record<string, unknown> {
  const seconds = Math.floor(bank.now() / 1000);
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: LEDGERLY,
    jti: 'forged',
    scope: 'accounts',
    iat: seconds,
    exp: seconds + 300,
    cnf: { 'x5t#S256': thumbprint },
  };
}
