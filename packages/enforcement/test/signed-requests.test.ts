import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
} from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '@countersign/enforcement';
import {
  contentDigest,
  isSignatureOf,
  keyThumbprint,
  receivedSignatures,
  signRequest,
} from '@countersign/sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type Bank,
  type Got,
  jws,
  LEDGERLY,
  openBank,
  PAYMENTS,
  type Presented,
  text,
} from './bank.ts';

const PATH = '/accounts-api/accounts/22289/debits';
const BODY = '{"amount":"5.00"}';

let bank: Bank;
let as: Presented;
let token: string;

async function open(surface: Parameters<typeof openBank>[0] = {}): Promise<void> {
  bank = await openBank(surface);
  // Until its clock is past the start, a point takes no signature that may be older.
  bank.later(2 * LIMITS.clockSkewMs);
  as = await bank.partner('ledgerly');
  token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  bank.resource.handler = async (_request, response) => {
    await bank.resource.seen.at(-1)?.body();
    response.end('ok');
  };
}

interface Pay {
  readonly body?: string | Buffer | null;
  /** What is sent in the place of what was signed. */
  readonly sentBody?: string | Buffer;
  readonly method?: string;
  readonly path?: string;
  readonly key?: Parameters<typeof signRequest>[1]['key'];
  readonly tag?: 'fapi-2-request';
  readonly change?: (headers: Record<string, string>) => Record<string, string>;
  readonly chunked?: boolean;
  /** The signer's clock. */
  readonly now?: () => number;
}

function signedHeaders(
  { body = BODY, method = 'POST', path = PATH, key = as.keyPem, tag, now = bank.now }: Pay,
  headers: Record<string, string>,
  port = bank.ports.partners,
): Record<string, string> {
  const url = `https://127.0.0.1:${port}${path}`;
  const options = { key, now, ...(tag && { tag }) };
  return { ...headers, ...signRequest({ method, url, headers, body }, options) };
}

async function pay(options: Pay = {}): Promise<Got> {
  const { body = BODY, method = 'POST', path = PATH, change = (given) => given } = options;
  const headers = change(signedHeaders(options, { Authorization: `Bearer ${token}` }));
  const sent = options.sentBody ?? body;
  return bank.call({
    as,
    method,
    path,
    headers: { ...headers, ...(options.chunked && { 'Transfer-Encoding': 'chunked' }) },
    ...(sent !== null && { body: sent }),
  });
}

const recordOf = async (got: Got) =>
  bank.record((got.headers['countersign-event-id'] as string) ?? got.problem.eventId);
const decisionOf = async (got: Got) => {
  const { decision } = await recordOf(got);
  if (!decision) throw new Error(`no decision: ${got.status} ${got.body}`);
  return decision;
};

afterEach(() => void vi.useRealTimers());

describe('a surface that asks for E2', () => {
  beforeEach(() => open({ surface: { evidenceLevel: 'E2' } }));

  test('lets a signed request through, its content whole, and records what proves it', async () => {
    const got = await pay();
    expect(got.status).toBe(200);
    expect(await bank.resource.seen[0]?.body()).toBe(BODY);
    const decision = await decisionOf(got);
    expect(decision.evidence).toBe('E2');
    const { signature } = decision;
    if (!signature) throw new Error('no signature');
    const key = createPublicKey({ key: signature.key as never, format: 'jwk' });
    const value = Buffer.from(signature.value, 'base64');
    expect(isSignatureOf(signature.base, value, key)).toBe(true);
    expect(signature.base).toContain(`"content-digest": ${contentDigest(BODY)}\n`);
    expect(signature).toMatchObject({
      algorithm: 'ecdsa-p256-sha256',
      keyFrom: 'certificate',
      keyThumbprint: keyThumbprint(createPublicKey(as.keyPem)),
      certificate: as.certPem.replace(/-----[^-]+-----|\s/g, ''),
    });
    expect(JSON.stringify(await bank.events())).not.toContain(token);
  });

  test('keeps the signature from the resource: its target and its token end here', async () => {
    await pay();
    const headers = bank.resource.seen[0]?.headers ?? {};
    expect(Object.keys(headers)).not.toContain('signature');
    expect(Object.keys(headers)).not.toContain('signature-input');
    expect(Object.keys(headers)).not.toContain('token-digest');
    expect(headers['content-digest']).toBe(contentDigest(BODY));
  });

  test('tells who comes without one what to sign', async () => {
    const body = BODY;
    const got = await bank.call({ as, token, method: 'POST', path: PATH, body });
    expect(got.status).toBe(403);
    expect(got.problem.type).toBe('urn:countersign:problem:evidence');
    expect((await decisionOf(got)).reason).toBe('evidence-insufficient');
    const asked = got.headers['accept-signature'];
    expect(asked).toBe(
      'sig=("@method" "@target-uri" "token-digest" "content-digest");created;tag="countersign-request"',
    );
    expect(bank.resource.seen).toHaveLength(0);
  });

  test('takes a read without content', async () => {
    const options = { method: 'GET', path: '/accounts-api/accounts/22289', body: null };
    const got = await pay(options);
    expect([got.status, (await decisionOf(got)).evidence]).toEqual([200, 'E2']);
  });

  test('by FAPI keeps a hash where the token stood', async () => {
    const got = await pay({ tag: 'fapi-2-request' });
    expect(got.status).toBe(200);
    const { signature, tokenHash } = await decisionOf(got);
    expect(signature?.withheld).toEqual([{ field: 'authorization', sha256: tokenHash }]);
    expect(signature?.base).toContain(`"authorization": Bearer ${tokenHash}\n`);
    const whole = signature?.base.replace(tokenHash as string, token) as string;
    const value = Buffer.from(signature?.value as string, 'base64');
    expect(isSignatureOf(whole, value, createPublicKey(as.keyPem))).toBe(true);
    expect(JSON.stringify(await bank.events())).not.toContain(token);
  });

  test('takes content of unknown length, up to the limit', async () => {
    const body = Buffer.alloc(LIMITS.contentBytes, 'a');
    const got = await pay({ body, chunked: true });
    expect([got.status, (await decisionOf(got)).evidence]).toEqual([200, 'E2']);
    expect((await bank.resource.seen[0]?.body())?.length).toBe(body.length);
  });

  test.each([false, true])('refuses content beyond the limit, chunked: %s', async (chunked) => {
    const body = Buffer.alloc(LIMITS.contentBytes + 1, 'a');
    const got = await pay({ body, chunked });
    expect(got.status).toBe(413);
    expect((await decisionOf(got)).reason).toBe('content-too-large');
    expect(bank.resource.seen).toHaveLength(0);
  });

  test.each<[string, string, number, () => Promise<Got>]>([
    ['other content', 'content-mismatch', 400, () => pay({ sentBody: '{"amount":"9.00"}' })],
    [
      'another target',
      'signature-invalid',
      403,
      () => {
        const headers = signedHeaders({}, { Authorization: `Bearer ${token}` });
        return bank.call({ as, method: 'POST', path: `${PATH}?x=1`, headers, body: BODY });
      },
    ],
    [
      'the key of somebody else',
      'signature-invalid',
      403,
      () => pay({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }),
    ],
    [
      'a digest that was not signed',
      'signature-invalid',
      403,
      () =>
        pay({
          sentBody: 'x',
          change: (headers) => ({ ...headers, 'content-digest': contentDigest('x') }),
        }),
    ],
    [
      'another algorithm than its key has',
      'evidence-insufficient',
      403,
      () =>
        pay({
          change: (headers) => ({
            ...headers,
            'signature-input': `${headers['signature-input']};alg="ed25519"`,
          }),
        }),
    ],
    [
      'a signature that is too old',
      'evidence-insufficient',
      403,
      () => {
        const headers = signedHeaders({}, { Authorization: `Bearer ${token}` });
        bank.later(62_000);
        return bank.call({ as, method: 'POST', path: PATH, headers, body: BODY });
      },
    ],
    [
      'a signature by another token of the same key',
      'evidence-insufficient',
      403,
      () =>
        pay({
          change: (headers) => ({
            ...headers,
            Authorization: `Bearer ${bank.token({ cnf: { 'x5t#S256': as.thumbprint } })}`,
          }),
        }),
    ],
  ])('refuses %s', async (_what, reason, status, call) => {
    const got = await call();
    const decision = await decisionOf(got);
    expect([got.status, decision.reason, decision.evidence]).toEqual([status, reason, 'E1']);
    expect(got.headers['accept-signature']).toContain('"content-digest"');
    expect(bank.resource.seen).toHaveLength(0);
  });

  test('takes a signed request once, and one that was signed again', async () => {
    const headers = signedHeaders({}, { Authorization: `Bearer ${token}` });
    const send = () => bank.call({ as, method: 'POST', path: PATH, headers, body: BODY });
    expect((await send()).status).toBe(200);
    const again = await send();
    expect([again.status, (await decisionOf(again)).reason]).toEqual([403, 'signature-replayed']);
    // Of an ECDSA signature anybody can make a second one: s and n - s are both good.
    const [received] = receivedSignatures(Object.entries(headers).flat());
    const flipped = otherSignature(received?.signature as Uint8Array);
    const third = await bank.call({
      as,
      method: 'POST',
      path: PATH,
      headers: { ...headers, signature: `sig=:${flipped.toString('base64')}:` },
      body: BODY,
    });
    expect((await decisionOf(third)).reason).toBe('signature-replayed');
    expect((await pay()).status).toBe(200);
  });

  test('a signature that may have been used before the point started does not count', async () => {
    // The point starts between the two: it remembers nothing of what came before.
    const startedSeconds = Math.floor(Date.now() / 1000);
    bank = await openBank({ surface: { evidenceLevel: 'E2' } });
    const openSeconds = Math.ceil(Date.now() / 1000);
    as = await bank.partner('ledgerly');
    token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
    const skew = LIMITS.clockSkewMs / 1000;
    const payCreated = (seconds: number) => pay({ now: () => seconds * 1000 });
    const waits: number[] = [];
    // The last: by a clock as far ahead as is allowed.
    for (const seconds of [startedSeconds - 20, startedSeconds, startedSeconds + skew]) {
      const got = await payCreated(seconds);
      const { reason, detail, evidence } = await decisionOf(got);
      expect([got.status, reason, evidence]).toEqual([403, 'evidence-insufficient', 'E1']);
      expect(detail).toContain('from before this point started: sign again');
      expect(got.headers['accept-signature']).toContain('created');
      waits.push(Number(got.headers['retry-after']));
    }
    const [ofOld = 0, ofNow = 0, ofAhead = 0] = waits;
    expect(ofOld).toBeLessThanOrEqual(2 * skew + 2);
    expect(ofNow).toBeLessThanOrEqual(skew + 2);
    expect(ofAhead).toBeGreaterThanOrEqual(1);
    expect(ofAhead).toBeLessThanOrEqual(2);
    // Who waits so long and signs again is let in.
    bank.later(ofNow * 1000);
    expect((await payCreated(startedSeconds + ofNow)).status).toBe(200);
    // The first second that cannot be older is good also later, and without a wait.
    bank.later(2 * LIMITS.clockSkewMs);
    expect((await payCreated(openSeconds + skew + 1)).status).toBe(200);
    const missing = await bank.call({ as, token, method: 'POST', path: PATH, body: BODY });
    expect([missing.status, missing.headers['retry-after']]).toEqual([403, undefined]);
  });

  test.each([{ Connection: 'close, X-Idempotency-Key' }, { X_Idempotency_Key: 'another' }])(
    'refuses %j beside what it would change of a signed request',
    async (added) => {
      const headers = { Authorization: `Bearer ${token}`, 'X-Idempotency-Key': 'one' };
      const call = (more: object) =>
        bank.call({
          ...{ as, method: 'POST', path: PATH, body: BODY },
          headers: { ...signedHeaders({}, headers), ...more },
        });
      const got = await call(added);
      expect([got.status, (await decisionOf(got)).evidence]).toEqual([403, 'E1']);
      expect(bank.resource.seen).toHaveLength(0);
      expect((await call({ Connection: 'close' })).status).toBe(200);
      expect(bank.resource.seen[0]?.headers['x-idempotency-key']).toBe('one');
    },
  );

  test('asks the policy first: content of a refused request is not read', async () => {
    await bank.publish({}, [
      { id: 'none', text: '@id("none") forbid (principal, action, resource);' },
    ]);
    const got = await pay({ sentBody: 'not what was signed' });
    const { reason, evidence, signatureFault, signature } = await decisionOf(got);
    expect([got.status, reason, evidence, signatureFault]).toEqual([
      403,
      'policy-forbids',
      'E1',
      'the content was not read',
    ]);
    expect(signature).toBeDefined();
  });

  test('asks a caller that holds its content back for it', async () => {
    const got = await pay({ change: (headers) => ({ ...headers, Expect: '100-continue' }) });
    expect(got.status).toBe(200);
    expect(await bank.resource.seen[0]?.body()).toBe(BODY);
  });

  test('throttles a key whose signatures fail, and no other', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (let at = 0; at < LIMITS.failures; at++) await pay({ key: privateKey });
    expect((await pay()).status).toBe(429);
    as = await bank.partner('harvest');
    token = bank.token({ sub: LEDGERLY, cnf: { 'x5t#S256': as.thumbprint } });
    expect((await pay()).status).toBe(200);
  });

  test('takes the DPoP key of a token, and the proof names the token', async () => {
    const keys = generateKeyPairSync('ed25519');
    token = bank.token({ cnf: { jkt: keyThumbprint(keys.publicKey) } });
    const { headers, proof } = await proven(keys);
    const got = await bank.call({ method: 'POST', path: PATH, headers, body: BODY });
    expect(got.status).toBe(200);
    const { signature, evidence, dpop } = await decisionOf(got);
    expect([evidence, signature?.keyFrom, signature?.algorithm]).toEqual(['E2', 'dpop', 'ed25519']);
    expect(signature?.base).toContain(`"dpop": ${proof}\n`);
    // Once is enough.
    expect(dpop).toBeUndefined();
  });

  async function proven(keys: { privateKey: KeyObject; publicKey: KeyObject }) {
    const url = `https://127.0.0.1:${bank.ports.partners}${PATH}`;
    const proof = jws(
      { alg: 'EdDSA', typ: 'dpop+jwt', jwk: keys.publicKey.export({ format: 'jwk' }) },
      {
        htm: 'POST',
        htu: url,
        iat: Math.floor(bank.now() / 1000),
        jti: randomUUID(),
        ath: createHash('sha256').update(token).digest('base64url'),
      },
      keys.privateKey,
    );
    const base = { Authorization: `DPoP ${token}`, DPoP: proof };
    return { proof, headers: signedHeaders({ key: keys.privateKey }, base) };
  }

  test('takes the SVID of a workload that calls as itself', async () => {
    const svid = await bank.svid(PAYMENTS);
    const options = { method: 'GET', path: '/accounts-api/accounts/22289', body: null };
    const headers = signedHeaders({ ...options, key: svid.keyPem }, {}, bank.ports.mesh);
    const got = await bank.call({ as: svid, listener: 'mesh', path: options.path, headers });
    expect(got.status).toBe(200);
    const { evidence, signature, subject } = await decisionOf(got);
    expect([evidence, signature?.keyFrom, subject]).toEqual(['E2', 'svid', PAYMENTS]);
  });

  test('passes what the point before it vouches for, of this surface and from that point only', async () => {
    const inside = await bank.svid('spiffe://bank.example/workload/countersign/edge');
    const call = async (tctx: object, peer: Presented) => {
      const headers = { 'Txn-Token': bank.txnToken({ tctx }) };
      const path = '/accounts-api/accounts/22289';
      const got = await bank.call({ as: peer, listener: 'mesh', path, headers });
      const { evidence, evidenceVouched } = await decisionOf(got);
      return [got.status, evidence, evidenceVouched];
    };
    const vouched = { surface: 'accounts', evidence: 'E2' };
    expect(await call(vouched, inside)).toEqual([200, 'E1', 'E2']);
    expect(await call({ surface: 'accounts' }, inside)).toEqual([403, 'E1', undefined]);
    expect(await call(vouched, await bank.svid(PAYMENTS))).toEqual([403, 'E1', undefined]);
  });

  test('mints a transaction token that says so, for a signed request', async () => {
    await pay();
    const [, claims = ''] = String(bank.resource.seen[0]?.headers['txn-token']).split('.');
    const { tctx } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    expect(tctx).toMatchObject({ surface: 'accounts', evidence: 'E2' });
  });
});

describe('a surface that asks for less', () => {
  beforeEach(() => open());

  test('records a good signature as E2', async () => {
    const got = await pay();
    expect([got.status, (await decisionOf(got)).evidence]).toEqual([200, 'E2']);
  });

  test.each<[string, string, Pay]>([
    ['other content', 'the content is not what was signed', { sentBody: '{"amount":"9.00"}' }],
    [
      'content beyond the limit',
      'more than can be compared',
      { body: Buffer.alloc(LIMITS.contentBytes + 1) },
    ],
    ['content of unknown length', 'more than can be compared', { chunked: true }],
    [
      'a signature of somebody else',
      'not signed with the key',
      { key: generateKeyPairSync('ed25519').privateKey },
    ],
  ])('lets %s through as unsigned, and says why', async (_what, fault, options) => {
    const got = await pay(options);
    const { evidence, signatureFault } = await decisionOf(got);
    expect([got.status, evidence]).toEqual([200, 'E1']);
    expect(signatureFault).toContain(fault);
    const sent = options.sentBody ?? options.body ?? BODY;
    expect(await bank.resource.seen[0]?.body()).toBe(sent.toString());
  });
});

describe('in shadow', () => {
  beforeEach(() => open({ surface: { mode: 'shadow', evidenceLevel: 'E2' } }));

  test.each<[string, Pay, string, string]>([
    ['good', {}, 'E2', 'policy-permits'],
    [
      'good and large',
      { body: Buffer.alloc(3 * LIMITS.contentBytes, 'b') },
      'E2',
      'policy-permits',
    ],
    ['with other content', { sentBody: '{"amount":"9.00"}' }, 'E1', 'content-mismatch'],
    ['of unknown length', { chunked: true }, 'E2', 'policy-permits'],
  ])(
    'a signed request %s goes on as it came, and is only recorded',
    async (_what, options, evidence, reason) => {
      const got = await pay(options);
      expect([got.status, got.body]).toEqual([200, 'ok']);
      expect(got.headers['accept-signature']).toBeUndefined();
      const sent = options.sentBody ?? options.body ?? BODY;
      expect(await bank.resource.seen[0]?.body()).toBe(sent.toString());
      expect(bank.resource.seen[0]?.headers['signature']).toBeDefined();
      const decision = await bank.event(({ kind }) => kind === 'decision');
      expect(decision).toMatchObject({ evidence, reason });
    },
  );
});

describe('signed content that a point waits for', () => {
  const body = Buffer.alloc(LIMITS.contentBytes, 'c');
  let sockets: TLSSocket[];

  beforeEach(async () => {
    await open({ surface: { evidenceLevel: 'E2' } });
    sockets = [];
  });

  /** Announces `body` and sends so much of it. */
  async function begin(bytes: number, headers = signed()): Promise<TLSSocket> {
    const socket = await bank.tls({ as });
    const lines = Object.entries({
      Host: `127.0.0.1:${bank.ports.partners}`,
      'Content-Length': String(body.length),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`);
    socket.write(body.subarray(0, bytes));
    sockets.push(socket);
    return socket;
  }
  const signed = () => signedHeaders({ body }, { Authorization: `Bearer ${token}` });
  async function otherKey(): Promise<void> {
    as = await bank.partner('ledgerly');
    token = bank.token({ cnf: { 'x5t#S256': as.thumbprint } });
  }
  const heldOfOneKey = LIMITS.contentsOfOneKeyBytes / LIMITS.contentBytes;
  const overload = async () => {
    for (;;) {
      const got = await pay({ body: 'one more' });
      if (got.status === 503) return got;
    }
  };

  test('costs nothing before it comes: who only announces takes it from nobody', async () => {
    const count = LIMITS.contentsBytes / LIMITS.contentBytes;
    await untilWaiting(count, () => Promise.all(Array.from({ length: count }, () => begin(0))));
    expect((await pay()).status).toBe(200);
    expect((await pay({ body })).status).toBe(200);
  });

  test('is bounded for each key', async () => {
    for (let at = 0; at < heldOfOneKey; at++) await begin(body.length - 1);
    expect((await decisionOf(await overload())).reason).toBe('overloaded');
    await otherKey();
    expect((await pay({ body })).status).toBe(200);
    // And is given back when its caller leaves.
    await begin(1);
    for (const socket of sockets) socket.destroy();
    while ((await pay({ body })).status !== 200);
  });

  test('beyond the bound goes on whole and as unsigned, where it need not be signed', async () => {
    await open();
    for (let at = 0; at < heldOfOneKey; at++) await begin(body.length - 1);
    for (;;) {
      const got = await pay({ body: 'one more' });
      expect(got.status).toBe(200);
      expect(await bank.resource.seen.at(-1)?.body()).toBe('one more');
      const { evidence, signatureFault } = await decisionOf(got);
      if (evidence === 'E2') continue;
      expect(signatureFault).toBe('too much signed content is held already');
      break;
    }
  });

  test('is bounded for all together', async () => {
    const keys = LIMITS.contentsBytes / LIMITS.contentsOfOneKeyBytes;
    for (let key = 0; key < keys; key++) {
      await otherKey();
      for (let at = 0; at < heldOfOneKey; at++) await begin(body.length - 1);
    }
    await otherKey();
    expect((await decisionOf(await overload())).reason).toBe('overloaded');
    for (const socket of sockets) socket.destroy();
    while ((await pay()).status !== 200);
  });

  test('is waited for so long and no longer; then its connection closes', async () => {
    const socket = await untilWaiting(1, () => begin(1));
    const answered = text(socket as never);
    vi.advanceTimersByTime(LIMITS.contentTimeoutMs - 1);
    expect((await pay()).status).toBe(200);
    vi.advanceTimersByTime(1);
    const answer = await answered;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    const { eventId } = JSON.parse(answer.slice(answer.indexOf('{')));
    const { decision } = await bank.record(eventId);
    expect(decision).toMatchObject({ reason: 'content-timeout', evidence: 'E1' });
    expect(bank.resource.seen).toHaveLength(1);
  });

  test('is whole also when it comes in pieces of a byte', async () => {
    const small = 'd'.repeat(3000);
    const headers = signedHeaders({ body: small }, { Authorization: `Bearer ${token}` });
    const socket = await bank.tls({ as });
    const lines = Object.entries({
      Host: `127.0.0.1:${bank.ports.partners}`,
      'Transfer-Encoding': 'chunked',
      Connection: 'close',
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`);
    socket.write(`${'1\r\nd\r\n'.repeat(small.length)}0\r\n\r\n`);
    expect(await text(socket as never)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await bank.resource.seen.at(-1)?.body()).toBe(small);
  });
});

test('content that cannot be held goes on whole, where it need not be signed', async () => {
  await open();
  const body = Buffer.alloc(LIMITS.contentBytes, 'e');
  const headers = signedHeaders({ body }, { Authorization: `Bearer ${token}` });
  const socket = await untilWaiting(1, async () => {
    const opened = await bank.tls({ as });
    const lines = Object.entries({
      Host: `127.0.0.1:${bank.ports.partners}`,
      'Content-Length': String(body.length),
      Connection: 'close',
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    opened.write(`POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`);
    opened.write(body.subarray(0, 100_000));
    return opened;
  });
  vi.advanceTimersByTime(LIMITS.contentTimeoutMs);
  socket.write(body.subarray(100_000));
  expect(await text(socket as never)).toMatch(/^HTTP\/1\.1 200 /);
  expect(await bank.resource.seen[0]?.body()).toBe(body.toString());
  const decision = await bank.event(({ kind }) => kind === 'decision');
  expect(decision).toMatchObject({
    evidence: 'E1',
    signatureFault: 'the content did not come in time',
  });
});

/**
 * Stops the clock by which content is waited for, until the end of the test, and resolves when so many requests wait.
 * Only ours: Node's own timeouts go by another clock.
 */
async function untilWaiting<T>(count: number, begin: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const before = vi.getTimerCount();
  const begun = await begin();
  while (vi.getTimerCount() < before + count) await new Promise((resolve) => setImmediate(resolve));
  return begun;
}

/** RFC 9421 takes ECDSA as r and s side by side; with s also n - s verifies. */
function otherSignature(signature: Uint8Array): Buffer {
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const bytes = Buffer.from(signature);
  const s = order - BigInt(`0x${bytes.toString('hex', 32)}`);
  return Buffer.concat([
    bytes.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
  ]);
}
