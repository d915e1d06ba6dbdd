import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Fact } from '@countersign/model';
import { describe, expect, test } from 'vitest';
import { type Bank, LEDGERLY, openBank, PAYMENTS, POINT_ID, type Presented } from './bank.ts';
import { openStream, openWebSocket } from './open-streams.ts';

async function open(options: Parameters<typeof openBank>[0] = {}) {
  const bank = await openBank(options);
  const as = await bank.partner('ledgerly');
  return { bank, as };
}
const bound = (as: Presented, claims = {}) => ({ cnf: { 'x5t#S256': as.thumbprint }, ...claims });

function revocation(
  bank: Bank,
  target: 'session' | 'token' | 'subject' | 'certificate',
  value: string,
): Fact {
  const atMs = bank.now();
  return { kind: 'revocation', target, value, reason: 'test', atMs, untilMs: atMs + 600_000 };
}

describe('what a fact revokes is closed at once, on both sides', () => {
  const rows: [string, (bank: Bank, as: Presented) => Fact][] = [
    ['session', (bank) => revocation(bank, 'session', 'session-1')],
    ['token', (bank) => revocation(bank, 'token', 'jti-1')],
    ['subject', (bank) => revocation(bank, 'subject', LEDGERLY)],
    ['certificate', (bank, as) => revocation(bank, 'certificate', as.thumbprint)],
    [
      'registration',
      (bank) => ({
        ...(bank.decision.facts.subject(LEDGERLY) as Fact & { kind: 'subject' }),
        enabled: false,
      }),
    ],
  ];
  test.each(rows)('%s: a stream', async (_name, fact) => {
    const { bank, as } = await open();
    const { socket, resource, all } = await openStream(
      bank,
      as,
      bank.token(bound(as, { jti: 'jti-1' })),
    );
    const closed = Promise.all([once(socket, 'close'), once(resource, 'close')]);
    bank.change([fact(bank, as)]);
    await closed;
    // Cut off, not ended: there is no last chunk.
    expect(all()).not.toMatch(/0\r\n\r\n$/);
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({
      cause: 'revoked',
      subject: LEDGERLY,
      session: 'session-1',
      bytes: 9,
    });
    expect(bank.point.channels.counts().exchange).toBe(0);
  });

  test("the issuer's key that signed its token: a stream", async () => {
    const { bank, as } = await open();
    const { socket, resource } = await openStream(bank, as, bank.token(bound(as)));
    const closed = Promise.all([once(socket, 'close'), once(resource, 'close')]);
    bank.change([], ['issuer-key https://localhost:7402 issuer-1']);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'revoked', subject: LEDGERLY });
  });

  test('session: a WebSocket', async () => {
    const { bank, as } = await open();
    const { socket, resource } = await openWebSocket(bank, as, bank.token(bound(as)));
    expect(bank.point.channels.counts().upgrade).toBe(1);
    const closed = Promise.all([once(socket, 'close'), once(resource, 'close')]);
    bank.change([revocation(bank, 'session', 'session-1')]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'revoked', session: 'session-1' });
    expect(bank.point.channels.counts().upgrade).toBe(0);
  });

  test('session: a stream at an inner hop, by the transaction’s session', async () => {
    const { bank } = await open();
    const as = await bank.svid(PAYMENTS);
    const more = `Txn-Token: ${bank.txnToken()}\r\n`;
    const { socket } = await openStream(bank, as, '', more, 'mesh');
    const closed = once(socket, 'close');
    bank.change([revocation(bank, 'session', 'session-1')]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'revoked', txn: 'txn-1' });
  });

  test('certificate: an idle connection', async () => {
    const { bank, as } = await open();
    const socket = await bank.tls({ as });
    socket.resume();
    const closed = once(socket, 'close');
    // The client is through a TLS 1.3 handshake before the server is.
    while (bank.point.channels.counts().connection === 0) await new Promise(setImmediate);
    bank.change([revocation(bank, 'certificate', as.thumbprint)]);
    await closed;
  });

  test('the authority that vouched for a workload: its connections', async () => {
    const { bank } = await open();
    const socket = await bank.tls({ as: await bank.svid(PAYMENTS), listener: 'mesh' });
    socket.resume();
    const closed = once(socket, 'close');
    while (bank.point.channels.counts().connection === 0) await new Promise(setImmediate);
    bank.change([{ kind: 'trust-bundle', trustDomain: 'bank.example', x509Authorities: [] }]);
    await closed;
  });

  test('somebody else’s session: nothing here', async () => {
    const { bank, as } = await open();
    const { resource, socket } = await openStream(bank, as, bank.token(bound(as)));
    bank.change([revocation(bank, 'session', 'session-2')]);
    resource.write('data: 2\n\n');
    await once(socket, 'data');
    expect(bank.point.channels.counts().exchange).toBe(1);
  });
});

describe('what is open is decided again', () => {
  test('when a fact turns the policy against it', async () => {
    const { bank, as } = await open();
    const { socket } = await openStream(bank, as, bank.token(bound(as)));
    const closed = once(socket, 'close');
    const atMs = bank.now();
    bank.change([{ kind: 'risk', subject: LEDGERLY, level: 'HIGH', score: 99, reasons: [], atMs }]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed', detail: 'policy-forbids no-risk' });
  });

  test('also when that happened between its decision and its head', async () => {
    const { bank, as } = await open();
    bank.resource.handler = (_request, response) => {
      const atMs = bank.now();
      bank.change([
        { kind: 'risk', subject: LEDGERLY, level: 'HIGH', score: 99, reasons: [], atMs },
      ]);
      response.write('data: 1\n\n');
    };
    const got = bank.call({ as, token: bank.token(bound(as)), path: '/accounts-api/events' });
    await expect(got).rejects.toMatchObject({ code: 'ECONNRESET' });
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed' });
  });

  test('and not for facts that cannot concern it', async () => {
    let decided = 0;
    const { bank, as } = await open({
      rebuild: (options) => {
        const { point } = options.replica;
        const counting = Object.create(point, {
          decide: {
            value: (request: Parameters<typeof point.decide>[0]) => {
              decided++;
              return point.decide(request);
            },
          },
        });
        return { ...options, replica: { ...options.replica, point: counting } };
      },
    });
    await openStream(bank, as, bank.token(bound(as)));
    const before = decided;
    const atMs = bank.now();
    bank.change([{ kind: 'risk', subject: PAYMENTS, level: 'HIGH', score: 99, reasons: [], atMs }]);
    bank.change([revocation(bank, 'session', 'session-2')], [`risk ${PAYMENTS}`]);
    expect(decided).toBe(before);
    bank.change([], [`risk ${LEDGERLY}`]);
    expect(decided).toBe(before + 1);
    const uid = { type: 'Accounts::Account', id: '1' };
    bank.change([{ kind: 'entity', uid, attributes: {}, parents: [] }]);
    expect(decided).toBe(before + 2);
  });

  test('when the policy itself changes', async () => {
    const { bank, as } = await open();
    const { socket } = await openStream(bank, as, bank.token(bound(as)));
    const closed = once(socket, 'close');
    await bank.publish({}, [
      { id: 'none', text: '@id("none") permit (principal is Human, action, resource);' },
    ]);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed', detail: 'policy-none-permits' });
  });

  test('and a surface that turns from shadow to enforce closes what nobody permitted', async () => {
    const { bank, as } = await open({ surface: { mode: 'shadow' } });
    const { socket } = await openStream(bank, as, '');
    const closed = once(socket, 'close');
    bank.change([revocation(bank, 'certificate', as.thumbprint)]); // closes nothing in shadow
    await new Promise(setImmediate);
    expect(socket.destroyed).toBe(false);
    await bank.publish({ mode: 'enforce' });
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'policy-changed' });
  });
});

test('a short request that shadow let in ends by itself when its surface turns to enforce', async () => {
  const { bank, as } = await open({ surface: { mode: 'shadow' } });
  const answer = Promise.withResolvers<ServerResponse>();
  bank.resource.handler = (_request, response) => answer.resolve(response);
  const got = bank.call({ as });
  const response = await answer.promise;
  await bank.publish({ mode: 'enforce' });
  response.end('done');
  expect((await got).body).toBe('done');
});

describe('time ends what is open', () => {
  test('a stream when its token does', async () => {
    const { bank, as } = await open();
    const exp = Math.floor(bank.now() / 1000) + 50;
    const { socket } = await openStream(bank, as, bank.token(bound(as, { exp })));
    const closed = once(socket, 'close');
    bank.later(56_000);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'expired', detail: 'its token has ended' });
  });

  test('a stream when the facts are too old', async () => {
    const { bank, as } = await open();
    const { socket } = await openStream(bank, as, bank.token(bound(as)));
    const closed = once(socket, 'close');
    bank.skewMs += 61_000;
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({
      cause: 'expired',
      detail: expect.stringMatching(/^facts are 6\d s old/),
    });
  });

  test('a connection when its certificate does, and its stream with it', async () => {
    const { bank } = await open();
    const as = await bank.partner('brief', 40);
    const { socket } = await openStream(bank, as, bank.token(bound(as)));
    const closed = once(socket, 'close');
    bank.later(41_000);
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'expired', detail: 'its certificate has ended' });
  });

  test('an expired certificate does not come back, neither by handshake nor by resumption', async () => {
    const { bank } = await open();
    const as = await bank.svid(PAYMENTS, 40);
    const sessions: Buffer[] = [];
    const first = await bank.tls({ as, listener: 'mesh' });
    first.on('session', (session: Buffer) => sessions.push(session));
    first.write('GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n');
    const [answer] = (await once(first, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200/);
    const closed = once(first, 'close');
    bank.later(41_000);
    await closed;
    const again: TLSSocket = tlsConnect({
      host: '127.0.0.1',
      port: bank.ports.mesh,
      cert: as.certPem,
      key: as.keyPem,
      rejectUnauthorized: false,
      ...(sessions[0] && { session: sessions[0] }),
    });
    await once(again, 'secureConnect');
    expect(again.isSessionReused()).toBe(false);
    const got = await bank.call({ as, listener: 'mesh' });
    const { decision } = await bank.record(got.problem.eventId);
    expect([got.status, decision?.reason]).toEqual([401, 'certificate-expired']);
    again.destroy();
  });
});

describe('well before its certificate ends, a connection takes its last request', () => {
  const ask = 'GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\n\r\n';

  async function answers(bank: Bank) {
    const socket = await bank.tls({ as: await bank.svid(PAYMENTS, 600), listener: 'mesh' });
    let all = '';
    socket.on('data', (chunk: Buffer) => {
      all += chunk.toString();
    });
    return {
      socket,
      async next(): Promise<string> {
        all = '';
        socket.write(ask);
        while (!/\r\n\r\n./.test(all)) await once(socket, 'data');
        return all;
      },
    };
  }

  test('and says so in its answer, after a third of what is left at the earliest, two thirds at the latest', async () => {
    const { bank } = await open();
    const { socket, next } = await answers(bank);
    expect(await next()).not.toMatch(/^connection: close/im);
    bank.later(190_000);
    expect(await next()).not.toMatch(/^connection: close/im);
    bank.later(211_000);
    const closed = once(socket, 'close');
    const last = await next();
    expect(last).toMatch(/^HTTP\/1.1 200/);
    expect(last).toMatch(/^connection: close/im);
    await closed;
  });

  test('but not in shadow, which changes no answer', async () => {
    const { bank } = await open({ surface: { mode: 'shadow' } });
    const { socket, next } = await answers(bank);
    await next();
    bank.later(590_000);
    expect(await next()).not.toMatch(/^connection: close/im);
    socket.destroy();
  });
});

test('a renewed SVID is shown to new connections, and open ones go on', async () => {
  const { bank, as } = await open();
  const before = await bank.tls({ as });
  const serial = before.getPeerCertificate().serialNumber;
  await bank.workload.rotate();
  const after = await bank.tls({ as });
  expect(after.getPeerCertificate().serialNumber).not.toBe(serial);
  const token = bank.token(bound(as));
  before.write(
    `GET /accounts-api/accounts/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  const [answer] = (await once(before, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1.1 200/);
});

describe('closing the point', () => {
  test('lets what is in flight end, takes nothing new', async () => {
    const { bank, as } = await open();
    const answer = Promise.withResolvers<ServerResponse>();
    bank.resource.handler = (_request, response) => answer.resolve(response);
    const got = bank.call({ as, token: bank.token(bound(as)) });
    const response = await answer.promise;
    const closing = bank.point.close({ graceMs: 5_000 });
    await expect(bank.call({ as })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    response.end('done');
    expect((await got).body).toBe('done');
    await closing;
  });

  test('cuts off what does not end in time, and records why', async () => {
    const { bank, as } = await open();
    const { socket } = await openStream(bank, as, bank.token(bound(as)));
    const closed = once(socket, 'close');
    await bank.point.close({ graceMs: 10 });
    await closed;
    const closure = await bank.event((event) => event.kind === 'closure');
    expect(closure).toMatchObject({ cause: 'shutdown' });
    expect(bank.point.channels.size).toBe(0);
    await expect(bank.point.listen()).rejects.toMatchObject({ code: 'ERR_ENFORCEMENT_STATE' });
  });
});

test('failed handshakes are events, and beyond twenty a minute they are counted', async () => {
  const { bank } = await open();
  for (let count = 0; count < 23; count++) {
    const socket = tlsConnect({ host: '127.0.0.1', port: bank.ports.mesh, maxVersion: 'TLSv1.2' });
    await once(socket, 'error');
  }
  bank.later(61_000);
  const counted = await bank.event(
    (event) => event.kind === 'authentication' && /^3 more/.test(event.detail ?? ''),
  );
  expect(counted).toMatchObject({
    result: 'refused',
    reason: 'handshake-failed',
    ip: '127.0.0.1',
    listener: 'mesh',
  });
  const single = (await bank.events()).filter(
    (event) => event.kind === 'authentication' && event.reason === 'handshake-failed',
  );
  expect(single).toHaveLength(21);
  expect(bank.point.stats().handshakesRefused).toBe(23);
  expect(POINT_ID).toContain('/countersign/');
});
