import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { Fact } from '@countersign/model';
import { describe, expect, test } from 'vitest';
import { AUDIENCE, type Bank, jws, openBank, PAYMENTS, type Presented } from './bank.ts';

const ALICE = 'spiffe://bank.example/human/alice';
const BOB = 'spiffe://bank.example/human/bob';
const LAPTOP = 'spiffe://bank.example/device/alice-laptop';
const FOREVER_MS = 8_640_000_000_000_000;

const POLICIES = [
  {
    id: 'encrypted',
    text: `@id("encrypted") permit (principal is Human, action, resource)
      when { context has device && context.device.posture.diskEncrypted == "true" };`,
  },
  {
    id: 'workloads',
    text: `@id("workloads") permit (principal is Human, action, resource)
      when { context has caller && context has device && context.device.proof == "transaction" && context.device.posture.diskEncrypted == "true" };`,
  },
];

const subject = (id: string): Fact => ({
  ...{ kind: 'subject', id, enabled: true, owner: 'it@bank.example' },
  ...{ attributes: {}, parents: [], certificates: [] },
});

type DeviceFact = Extract<Fact, { kind: 'device' }>;

function laptop(more: Partial<DeviceFact> = {}): DeviceFact {
  return { kind: 'device', id: LAPTOP, ownership: 'corporate', posture: {}, ...more };
}

function encrypted(
  bank: Bank,
  { value = 'true' as 'true' | 'false', seconds = 3600 } = {},
): DeviceFact['posture'] {
  const observedAtMs = bank.now();
  const untilMs = observedAtMs + seconds * 1000;
  return {
    diskEncrypted: { value, source: 'fleet', observedAtMs, untilMs, assurance: 'managed' },
  };
}

async function open(fact?: (bank: Bank) => DeviceFact) {
  const bank = await openBank();
  await bank.publish({}, POLICIES);
  bank.change([subject(ALICE), subject(BOB), subject(LAPTOP)]);
  if (fact) bank.change([fact(bank)]);
  const as = await bank.svid(LAPTOP);
  return { bank, as };
}

const tokenOf = (bank: Bank, as: Presented, sub = ALICE) =>
  bank.token({ sub, cnf: { 'x5t#S256': as.thumbprint } });

async function decisionOf(bank: Bank, got: Awaited<ReturnType<Bank['call']>>) {
  const eventId = got.problem.eventId ?? String(got.headers['countersign-event'] ?? '');
  const found = eventId ? (await bank.record(eventId)).decision : undefined;
  return found ?? (await bank.events()).findLast((event) => event.kind === 'decision');
}

/** A stream that is open and has delivered one event. */
async function openStream(bank: Bank, as: Presented) {
  bank.resource.handler = (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const socket = await bank.tls({ as });
  socket.write(
    `GET /accounts-api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${tokenOf(bank, as)}\r\n\r\n`,
  );
  let all = '';
  socket.on('data', (chunk: Buffer) => {
    all += chunk.toString();
  });
  while (!all.includes('data: 1')) await once(socket, 'data');
  return socket;
}

describe('a request from a device', () => {
  test('is permitted while its posture says so, and refused when that is false, unknown or over', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const ask = () => bank.call({ as, token: tokenOf(bank, as) });
    expect((await ask()).status).toBe(200);
    bank.change([laptop({ posture: encrypted(bank, { value: 'false' }) })]);
    expect((await ask()).status).toBe(403);
    bank.change([laptop()]);
    expect((await ask()).status).toBe(403);
    bank.change([laptop({ posture: encrypted(bank, { seconds: 50 }) })]);
    expect((await ask()).status).toBe(200);
    // Nothing was told: time alone made it unknown.
    bank.later(50_000);
    const refused = await ask();
    const { context } = (await decisionOf(bank, refused)) as { context?: Record<string, unknown> };
    expect([refused.status, context?.['device']]).toMatchObject([
      403,
      { proof: 'mtls', ownership: 'corporate', posture: { diskEncrypted: 'unknown' } },
    ]);
  });

  test('without a device that is known there is none in the context', async () => {
    const { bank } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const as = await bank.partner('byod');
    const got = await bank.call({ as, token: tokenOf(bank, as) });
    const decision = await decisionOf(bank, got);
    expect([
      got.status,
      decision?.kind === 'decision' && 'device' in (decision.context ?? {}),
    ]).toEqual([403, false]);
  });

  test('that is revoked or disabled is refused, whoever uses it', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    bank.change([{ ...subject(LAPTOP), enabled: false } as Fact]);
    const disabled = await bank.call({ as, token: tokenOf(bank, as) });
    expect(disabled.status).toBe(401);
    bank.change([subject(LAPTOP), revoked(bank)]);
    expect(
      (await bank.call({ as, token: tokenOf(bank, as) }).catch(() => ({ status: 401 }))).status,
    ).toBe(401);
    bank.change([], [`revocation subject ${LAPTOP}`]);
    expect((await bank.call({ as, token: tokenOf(bank, as) })).status).toBe(200);
  });

  test('speaks for its owner and nobody else; a shared one for everybody', async () => {
    const { bank, as } = await open((bank) => laptop({ owner: ALICE, posture: encrypted(bank) }));
    expect((await bank.call({ as, token: tokenOf(bank, as) })).status).toBe(200);
    const got = await bank.call({ as, token: tokenOf(bank, as, BOB) });
    expect((await decisionOf(bank, got)) as object).toMatchObject({ reason: 'token-subject' });
    bank.change([laptop({ posture: encrypted(bank) })]);
    expect((await bank.call({ as, token: tokenOf(bank, as, BOB) })).status).toBe(200);
  });

  test('needs the token of this very certificate: one of another device is refused', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const other = await bank.svid(LAPTOP);
    const got = await bank.call({ as: other, token: tokenOf(bank, as) });
    expect((await decisionOf(bank, got)) as object).toMatchObject({ reason: 'token-binding' });
  });

  test('a workload of ours still speaks for itself alone', async () => {
    const { bank } = await open();
    const as = await bank.svid(PAYMENTS);
    const got = await bank.call({ as, token: tokenOf(bank, as) });
    expect((await decisionOf(bank, got)) as object).toMatchObject({ reason: 'token-subject' });
  });

  test('is known by its DPoP key, too; of two devices that claim the key it is neither', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { crv, kty, x, y } = keys.publicKey.export({ format: 'jwk' });
    const jkt = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
    const { bank } = await open((bank) => laptop({ keyThumbprint: jkt, posture: encrypted(bank) }));
    const ask = async (as?: Presented, nonce?: string): ReturnType<Bank['call']> => {
      const token = bank.token({ sub: ALICE, cnf: { jkt } });
      const ath = createHash('sha256').update(token).digest('base64url');
      const htu = `https://127.0.0.1:${bank.ports.partners}/accounts-api/accounts/22289`;
      const proof = jws(
        { alg: 'ES256', typ: 'dpop+jwt', jwk: { crv, kty, x, y } },
        {
          ...{ jti: `${Math.random()}`, htm: 'GET', htu, ath },
          ...{ iat: Math.floor(bank.now() / 1000), ...(nonce && { nonce }) },
        },
        keys.privateKey,
      );
      const host = `127.0.0.1:${bank.ports.partners}`;
      const got = await bank.call({
        ...{ token, scheme: 'DPoP', as },
        headers: ['Host', host, 'DPoP', proof],
      });
      const asked = got.headers['dpop-nonce'] as string | undefined;
      return asked !== undefined && nonce === undefined ? ask(as, asked) : got;
    };
    const got = await ask();
    expect(got.status).toBe(200);
    const decision = (await bank.events()).findLast((event) => event.kind === 'decision');
    expect(decision).toMatchObject({ context: { device: { proof: 'dpop' } } });
    // Over the certificate of the same device, and of another one, from which this key never can come.
    const own = await ask(await bank.svid(LAPTOP));
    const last = (await bank.events()).findLast((event) => event.kind === 'decision');
    expect([own.status, last]).toMatchObject([200, { context: { device: { proof: 'mtls' } } }]);
    bank.change([
      subject(`${LAPTOP}-2`),
      { ...laptop({ posture: encrypted(bank) }), id: `${LAPTOP}-2` },
    ]);
    const carried = await ask(await bank.svid(`${LAPTOP}-2`));
    expect((await decisionOf(bank, carried)) as object).toMatchObject({ reason: 'token-binding' });
    const twin = `${LAPTOP}-twin`;
    bank.change([
      subject(twin),
      { ...laptop({ keyThumbprint: jkt, posture: encrypted(bank) }), id: twin },
    ]);
    expect((await ask()).status).toBe(403);
    bank.change([], [`device ${twin}`]);
    expect((await ask()).status).toBe(200);
    expect(AUDIENCE).toContain('accounts');
  });
});

describe('what is open from a device', () => {
  test('ends when its posture turns against the policy', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const socket = await openStream(bank, as);
    const closed = once(socket, 'close');
    bank.change([laptop({ posture: encrypted(bank, { value: 'false' }) })]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed', detail: 'policy-none-permits' });
  });

  test('ends when what is known of it gets too old, without any news', async () => {
    const { bank, as } = await open((bank) =>
      laptop({ posture: encrypted(bank, { seconds: 20 }) }),
    );
    const socket = await openStream(bank, as);
    const closed = once(socket, 'close');
    bank.skewMs += 20_000;
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed', detail: 'policy-none-permits' });
  });

  test('goes on when news prolongs what is known, and when it is about another device', async () => {
    const { bank, as } = await open((bank) =>
      laptop({ posture: encrypted(bank, { seconds: 20 }) }),
    );
    const socket = await openStream(bank, as);
    bank.change([laptop({ posture: encrypted(bank, { seconds: 50 }) })]);
    const other = { ...laptop({ posture: encrypted(bank, { value: 'false' }) }) };
    bank.change([{ ...other, id: `${LAPTOP}-2` }]);
    bank.skewMs += 25_000;
    expect(bank.point.channels.sweep(bank.now())).toBe(0);
    expect(socket.destroyed).toBe(false);
    expect(bank.point.channels.counts().exchange).toBe(1);
  });

  test('ends with the device: its connections and streams', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const socket = await openStream(bank, as);
    const closed = once(socket, 'close');
    bank.change([revoked(bank)]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'revoked' });
    expect(bank.point.channels.counts()).toMatchObject({ exchange: 0, connection: 0 });
  });
});

describe('at an inner hop', () => {
  test('the device is that of the transaction, and its posture is asked again', async () => {
    const { bank } = await open((bank) => laptop({ posture: encrypted(bank) }));
    const as = await bank.svid(PAYMENTS);
    const token = () => bank.txnToken({ sub: ALICE, rctx: { sid: 's', device: LAPTOP } });
    const ask = () => bank.call({ as, listener: 'mesh', headers: { 'Txn-Token': token() } });
    expect((await ask()).status).toBe(200);
    bank.change([laptop({ posture: encrypted(bank, { value: 'false' }) })]);
    expect((await ask()).status).toBe(403);
    bank.change([laptop({ posture: encrypted(bank) }), revoked(bank)]);
    expect((await ask()).status).toBe(401);
  });

  test('the edge tells it on', async () => {
    const { bank, as } = await open((bank) => laptop({ posture: encrypted(bank) }));
    await bank.call({ as, token: tokenOf(bank, as) });
    const token = String(bank.resource.seen.at(-1)?.headers['txn-token']);
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims.rctx.device).toBe(LAPTOP);
  });
});

function revoked(bank: Bank): Fact {
  const atMs = bank.now();
  return {
    ...{ kind: 'revocation', target: 'subject', value: LAPTOP, reason: 'lost', atMs },
    untilMs: FOREVER_MS,
  };
}
