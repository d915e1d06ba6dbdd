import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { LIMITS } from '@countersign/enforcement';
import { type Fact, factKey } from '@countersign/model';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Bank, jws, LEDGERLY, openBank, PAYMENTS, type Presented } from './bank.ts';

// Attacks by somebody who knows this code, each from where such a person would stand.

let bank: Bank;
let ledgerly: Presented;
let token: string;
beforeAll(async () => {
  bank = await openBank();
  ledgerly = await bank.partner('ledgerly');
  token = bank.token({ cnf: { 'x5t#S256': ledgerly.thumbprint } });
});
afterAll(() => bank.close());

const target = '/accounts-api/accounts/22289';
const credentials = () => `Host: a\r\nAuthorization: Bearer ${token}\r\n`;

/** Sends bytes as a partner and gives all that comes back until the connection closes or falls silent. */
async function raw(bytes: string, answers = 1): Promise<string> {
  const socket = await bank.tls({ as: ledgerly });
  socket.write(bytes, 'latin1');
  return collect(socket, answers);
}

async function collect(socket: TLSSocket, answers: number): Promise<string> {
  let got = '';
  socket.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
    if ((got.match(/HTTP\/1\.1 [2-5]\d\d/g) ?? []).length >= answers && got.endsWith('}')) {
      socket.destroy();
    }
  });
  await once(socket, 'close');
  return got;
}

describe('a request hidden in another is never seen by the resource', () => {
  const hidden = 'GET /accounts-api/secrets/1 HTTP/1.1\r\nHost: a\r\n\r\n';
  const post = `POST ${target}/debits HTTP/1.1\r\n`;
  const length = `Content-Length: ${hidden.length}\r\n`;
  test.each([
    ['both framings', `${length}Transfer-Encoding: chunked\r\n`],
    ['both, the other way', `Transfer-Encoding: chunked\r\n${length}`],
    ['two lengths', `Content-Length: 0\r\n${length}`],
    ['a list of lengths', `Content-Length: 0, ${hidden.length}\r\n`],
    ['a signed length', `Content-Length: +0\r\n`],
    ['a hexadecimal length', `Content-Length: 0x0\r\n`],
    ['a space before the colon', `Transfer-Encoding : chunked\r\n`],
    ['a coding that is not quite chunked', `Transfer-Encoding: xchunked\r\n`],
    ['chunked, and then another', `Transfer-Encoding: chunked, identity\r\n`],
    ['chunked twice', `Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`],
    ['a folded line', `X: 1\r\n Transfer-Encoding: chunked\r\n`],
    ['a bare line feed', `X: 1\nTransfer-Encoding: chunked\r\n`],
    ['a bare carriage return', `X: 1\rTransfer-Encoding: chunked\r\n`],
    ['a NUL in a name', `Transfer-Encoding\0: chunked\r\n`],
    ['an underscore', `Content_Length: 0\r\n${length}`],
    ['a length that Connection takes away', `Connection: content-length\r\n${length}`],
  ])('%s', async (_name, framing) => {
    const before = bank.resource.seen.length;
    const got = await raw(`${post}${credentials()}${framing}\r\n0\r\n\r\n${hidden}`);
    expect(got).not.toMatch(/^HTTP\/1\.1 2/);
    const seen = bank.resource.seen.slice(before);
    expect(seen).toEqual([]);
  });

  test('what stands behind a request on its connection is a request of its own, and judged', async () => {
    const before = bank.resource.seen.length;
    const good = `GET ${target} HTTP/1.1\r\n${credentials()}\r\n`;
    const got = await raw(`${good}GET ${target}?x=1 HTTP/1.1\r\nHost: a\r\n\r\n${good}`, 3);
    expect(got.match(/HTTP\/1\.1 \d\d\d/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 401',
      'HTTP/1.1 200',
    ]);
    expect(bank.resource.seen.slice(before).map((each) => each.target)).toEqual([target, target]);
  });

  test('what stands behind a WebSocket handshake is nothing while the resource has not agreed', async () => {
    bank.resource.server.once('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\n{}');
    });
    const before = bank.resource.seen.length;
    const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\n';
    const got = await raw(
      `GET /accounts-api/socket HTTP/1.1\r\n${credentials()}${upgrade}\r\n${hidden}`,
    );
    expect(got).toMatch(/^HTTP\/1\.1 426/);
    expect(bank.resource.seen.slice(before).map((each) => each.target)).toEqual([
      '/accounts-api/socket',
    ]);
  });
});

test('a head above its limit is refused by 431 and the connection closed; one below passes', async () => {
  const before = bank.resource.seen.length;
  const head = (bytes: number) => {
    const rest = `GET ${target} HTTP/1.1\r\n${credentials()}X: \r\n\r\n`;
    return rest.replace('X: ', `X: ${'a'.repeat(bytes - rest.length)}`);
  };
  expect(await raw(head(LIMITS.headBytes + 1024))).toMatch(/^HTTP\/1\.1 431/);
  expect(bank.resource.seen).toHaveLength(before);
  expect(await raw(head(LIMITS.headBytes - 1024))).toMatch(/^HTTP\/1\.1 200/);
});

describe('a credential of one place is none in another', () => {
  test('an SVID at the edge, though a token of somebody else names its thumbprint', async () => {
    const svid = await bank.svid(PAYMENTS);
    const bound = bank.token({ cnf: { 'x5t#S256': svid.thumbprint } });
    const got = await bank.call({ as: svid, token: bound });
    const { decision } = await bank.record(got.problem.eventId);
    expect([got.status, decision?.reason]).toEqual([401, 'token-subject']);
  });

  test('a partner’s certificate and access token at a mesh listener', async () => {
    const got = await bank.call({ as: ledgerly, token, listener: 'mesh' });
    const { decision } = await bank.record(got.problem.eventId);
    expect([got.status, decision?.reason]).toEqual([401, 'certificate-invalid']);
  });

  test('a transaction token at the edge, in its own field or as a Bearer', async () => {
    const txn = bank.txnToken();
    for (const call of [{ headers: { 'Txn-Token': txn } }, { token: txn }]) {
      const got = await bank.call({ as: ledgerly, ...call });
      const { decision } = await bank.record(got.problem.eventId);
      expect([got.status, decision?.effect]).toEqual([401, 'deny']);
      expect(['token-missing', 'token-type']).toContain(decision?.reason);
    }
    await bank.call({ as: ledgerly, token, headers: { 'Txn-Token': txn } });
    expect(bank.resource.seen.at(-1)?.headers['txn-token']).not.toBe(txn);
  });
});

test('of two that show the same proof at the same moment one is served', async () => {
  bank.later(2 * LIMITS.clockSkewMs); // no nonce is asked for any more
  // Both verify before either is remembered, if remembering could be overtaken.
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = keys.publicKey.export({ format: 'jwk' }) as Record<string, string>;
  const bound = bank.token({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
  const ath = createHash('sha256').update(bound).digest('base64url');
  const htu = `https://127.0.0.1:${bank.ports.partners}${target}`;
  const iat = Math.floor(bank.now() / 1000);
  const proof = jws(
    { typ: 'dpop+jwt', alg: 'ES256', jwk },
    { jti: 'same', htm: 'GET', htu, iat, ath },
    keys.privateKey,
  );
  const one = () =>
    bank.call({ token: bound, scheme: 'DPoP', headers: { DPoP: proof }, path: target });
  const statuses = (await Promise.all([one(), one(), one(), one()])).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 401, 401, 401]);
});

test('a transaction token that the resource puts into its trailers does not leave the edge', async () => {
  bank.resource.handler = (request, response) => {
    response.writeHead(200, { Trailer: 'Txn-Token, X-Sum' });
    response.write('{');
    response.addTrailers({ 'Txn-Token': String(request.headers['txn-token']), 'X-Sum': '7' });
    response.end('}');
  };
  try {
    const got = await bank.call({ as: ledgerly, token });
    expect(got.trailers).toEqual({ 'x-sum': '7' });
  } finally {
    bank.resource.handler = (_request, response) => void response.end('{"ok":true}');
  }
});

test('a clock that was set back does not keep facts young', async () => {
  const own = await openBank();
  const reason = async () => {
    const got = await own.call({});
    const { decision } = await own.record(got.problem.eventId);
    return [got.status, decision?.reason];
  };
  own.skewMs = -LIMITS.factsAheadMs + 5_000;
  expect(await reason()).toEqual([401, 'token-missing']);
  own.skewMs = -LIMITS.factsAheadMs - 5_000;
  expect(await reason()).toEqual([503, 'facts-stale']);
  await own.close();
});

test('a fact that comes right behind a decision is not recorded as what was decided by', async () => {
  const risk: Fact = {
    kind: 'risk',
    subject: LEDGERLY,
    level: 'HIGH',
    score: 90,
    reasons: ['test'],
    atMs: 1,
  };
  let change: (() => void) | undefined;
  const own = await openBank({
    rebuild: (options) => {
      const { point } = options.replica;
      const racing = Object.create(point, {
        decide: {
          value: (request: Parameters<typeof point.decide>[0]) => {
            // The feed's next line is taken between two steps of the same request.
            queueMicrotask(() => change?.());
            return point.decide(request);
          },
        },
      });
      return { ...options, replica: { ...options.replica, point: racing } };
    },
  });
  const as = await own.partner('ledgerly');
  const bound = own.token({ cnf: { 'x5t#S256': as.thumbprint } });
  change = () => {
    change = undefined;
    own.decision.facts.apply({
      sequence: own.decision.facts.sequence + 1,
      atMs: own.now(),
      puts: [risk],
      removes: [],
    });
  };
  await own.call({ as, token: bound }).catch(() => undefined);
  const decision = await own.event((event) => event.kind === 'decision');
  expect(own.decision.facts.get(factKey(risk))).toEqual(risk);
  expect(decision).toMatchObject({ effect: 'permit', context: { risk: 'unknown' } });
  await own.close();
});
