import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { RunningBank } from '@countersign/cli';
import { LIMITS } from '@countersign/enforcement';
import {
  AUDIENCES,
  authorization,
  type BankEnvironment,
  type Caller,
  followEvents,
  openCaller,
} from '@countersign/example-bank';
import type { DecisionEvent } from '@countersign/model';
import { encodePem } from '@countersign/spiffe';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFolder } from './support/data-folder.ts';
import { environmentOf, prepareBank, startBank, tokenOf } from './support/prepared-bank.ts';
import { logOf, readLog } from './support/read-log.ts';
import { takenOver } from './support/taken-over.ts';
import { until } from './support/until.ts';

// Attacks on the bank that runs, by a caller outside, a workload that was taken over, and whoever
// has a point's whole folder.

const accounts = { scope: 'accounts', resource: AUDIENCES.accounts };
const READ = '/accounts-api/accounts/22289';
const folder = makeFolder('attack');
const data = folder.path;
let bank: RunningBank;
let env: BankEnvironment;
let ledgerly: Caller;

beforeAll(async () => {
  await prepareBank(data, [{ file: 'countersign.yaml', find: /svidTtl: 2m/, put: 'svidTtl: 1h' }]);
  bank = await startBank(data);
  env = environmentOf(bank);
  ledgerly = openCaller(env, 'ledgerly');
}, 240_000);

afterAll(async () => {
  await ledgerly?.close();
  await bank?.stop();
  const left = folder.processes();
  await folder.remove();
  expect(left).toEqual([]);
}, 60_000);

describe('from outside', () => {
  test('callers that never finish what they began are let go, and nobody waits for them', async () => {
    const host = '127.0.0.1';
    const closed: Promise<unknown>[] = [];
    // Connections that say nothing, some that speak garbage, and heads that come a byte at a time.
    for (let each = 0; each < 50; each++) {
      const silent = connect({ host, port: bank.ports.edge });
      silent.on('error', () => {});
      closed.push(once(silent.resume(), 'close'));
      const garbage = connect({ host, port: bank.ports.edge });
      garbage.on('error', () => {});
      garbage.write('\x16\x03\x01\xff\xffgarbage');
      closed.push(once(garbage.resume(), 'close'));
    }
    const drips: NodeJS.Timeout[] = [];
    for (let each = 0; each < 20; each++) {
      const slow = connectTls({ host, port: bank.ports.edge, rejectUnauthorized: false });
      slow.on('error', () => {});
      await once(slow, 'secureConnect');
      slow.write(`GET ${READ} HTTP/1.1\r\nX: `);
      drips.push(setInterval(() => slow.write('a'), 500));
      closed.push(once(slow.resume(), 'close'));
    }
    const token = await tokenOf(ledgerly, accounts);
    const startedMs = Date.now();
    const all = Promise.all(closed);
    let isOver = false;
    void all.then(() => {
      isOver = true;
    });
    let served = 0;
    await until(async () => {
      expect((await ledgerly.call({ path: READ, token })).status).toBe(200);
      served++;
      return isOver;
    }, 120_000);
    for (const drip of drips) clearInterval(drip);
    console.log(
      `120 idlers were gone after ${Date.now() - startedMs} ms (limits ${LIMITS.handshakeTimeoutMs}, ${LIMITS.headersTimeoutMs}); ${served} calls were served meanwhile`,
    );
  }, 180_000);

  test('a proof that was used before the edge was killed is not taken by the one that follows it', async () => {
    const pocketwise = openCaller(env, 'pocketwise');
    const token = await tokenOf(pocketwise, accounts);
    // What a thief of one whole request has: the token and its proof.
    const path = '/accounts-api/accounts/22310';
    const headers = authorization(env, env.edgeOrigin, {
      token,
      path,
      partner: pocketwise.partner,
    });
    const send = () => pocketwise.call({ path, headers });
    expect((await send()).status).toBe(200);
    expect((await send()).status).toBe(401);
    const edge = bank.children.get('edge');
    edge?.kill();
    await edge?.exited;
    await bank.restart('edge');
    const replayed = await until(() => send().catch(() => undefined), 30_000);
    expect(replayed.status).toBe(401);
    expect((await decision('edge', replayed.eventId))?.reason).toBe('dpop-nonce');
    expect((await pocketwise.call({ path, token })).status).toBe(200);
    await pocketwise.close();
  }, 120_000);

  test('a session that is revoked ends its stream, and its token with it', async () => {
    const harvest = openCaller(env, 'harvest');
    const token = await tokenOf(harvest, accounts);
    const stream = await followEvents(env, harvest, token);
    expect(stream.status).toBe(200);
    const { session } = (await decision('edge', stream.eventId)) ?? {};
    await bank.admin.call('POST', '/v1/revocations', {
      target: 'session',
      value: session,
      reason: 'stolen',
    });
    await stream.ended;
    const ask = () => harvest.call({ path: '/accounts-api/accounts', token });
    const answer = await ask().catch(ask);
    expect(answer.status).toBe(401);
    expect((await decision('edge', answer.eventId))?.reason).toBe('session-revoked');
    await harvest.close();
  }, 60_000);
});

describe('a workload that was taken over', () => {
  test('may neither read the feed, nor push another’s log, nor renew for another', async () => {
    const { chain, keyPem: key } = await takenOver(data, 'payments-api');
    const agent = agentOf({ cert: encodePem(chain), key });
    const control = `https://127.0.0.1:${bank.ports.control}`;
    const call = async (method: 'GET' | 'POST', path: string, body?: string) => {
      const headers = { 'content-type': 'application/octet-stream' };
      const answer = await request(control + path, {
        dispatcher: agent,
        method,
        ...(body !== undefined && { body, headers }),
      });
      await answer.body.dump();
      return answer.statusCode;
    };
    expect(await call('GET', '/v1/feed?facts=0&policy=0')).toBe(403);
    expect(await call('POST', '/v1/logs/edge', 'x')).toBe(403);
    expect(await call('GET', '/v1/logs/edge/size')).toBe(403);
    // The record is for those whom the bank names as its readers.
    expect(await call('GET', '/v1/published/authority/checkpoint')).toBe(403);
    expect(await call('POST', '/v1/record/questions', '{}')).toBe(403);
    expect(await call('POST', '/v1/record/evidence', '{}')).toBe(403);
    // What the operator asks, nobody asks over the network.
    for (const path of [
      '/v1/status',
      '/v1/sessions',
      '/v1/events',
      '/v1/points',
      '/v1/record/readings',
    ]) {
      expect([path, await call('GET', path)]).toEqual([path, 404]);
    }
    await agent.destroy();
  }, 60_000);
});

describe('whoever has a point’s whole folder', () => {
  test('makes no transaction of a surface that it does not front, and what it may make is decided', async () => {
    const keys = join(data, 'points', 'core', 'keys');
    const key = createPrivateKey(readFileSync(join(keys, 'transaction.pem')));
    const { x = '' } = key.export({ format: 'jwk' });
    const kid = createHash('sha256')
      .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
      .digest('base64url');
    const mint = (surface: string) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const seconds = Math.floor(Date.now() / 1000);
      const input = `${part({ alg: 'EdDSA', kid, typ: 'txntoken+jwt' })}.${part({
        iat: seconds,
        exp: seconds + 60,
        aud: 'bank.example',
        txn: 'minted-by-a-thief',
        sub: 'spiffe://bank.example/partner/ledgerly',
        scope: 'accounts payments',
        req_wl: 'spiffe://bank.example/workload/countersign/core',
        tctx: { surface },
      })}`;
      return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`;
    };
    const agent = agentOf(svidOf(join(data, 'points', 'core', 'svid')));
    const debit = async (surface: string) => {
      const answer = await request(
        `https://127.0.0.1:${bank.ports.accounts}/accounts-api/accounts/22289/debits`,
        {
          dispatcher: agent,
          method: 'POST',
          headers: { 'content-type': 'application/json', 'txn-token': mint(surface) },
          body: JSON.stringify({
            Data: {
              Reference: 'theft',
              Amount: { Amount: '1.00', Currency: 'GBP' },
              Text: 'theft',
            },
          }),
        },
      );
      await answer.body.dump();
      const id = String(answer.headers['countersign-event-id']);
      return [answer.statusCode, (await decision('accounts', id))?.reason];
    };
    expect(await debit('payments')).toEqual([401, 'transaction-token-invalid']);
    expect(await debit('core')).toEqual([403, 'policy-none-permits']);
    await agent.destroy();
  }, 60_000);

  test('other users of the machine read no key, no log and no state of it', () => {
    const open: string[] = [];
    const walk = (at: string): void => {
      for (const name of readdirSync(at)) {
        const path = join(at, name);
        const { mode } = statSync(path);
        if ((mode & 0o077) === 0) continue; // whatever is in it is out of reach
        if (statSync(path).isDirectory()) walk(path);
        else open.push(path.slice(data.length + 1));
      }
    };
    walk(data);
    // The folder itself is closed here (mkdtemp); it is what lies in it that must not rest on that.
    const secret = open.filter((path) => /^(authority|points|services)\//.test(path));
    expect(secret).toEqual([]);
  });
});

interface Svid {
  readonly cert: string;
  readonly key: string;
}

function svidOf(path: string): Svid {
  const { chain, keyPem } = JSON.parse(readFileSync(join(path, 'svid.json'), 'utf8'));
  const ders: Buffer[] = chain.map((der: string) => Buffer.from(der, 'base64'));
  expect(new X509Certificate(ders[0] as Buffer).subjectAltName).toContain('spiffe://bank.example/');
  return { cert: encodePem(ders), key: keyPem };
}

/** Whoever breaks in does not mind whom he talks to. */
function agentOf(svid: Svid): Agent {
  return new Agent({ connect: { ...svid, rejectUnauthorized: false, minVersion: 'TLSv1.3' } });
}

async function decision(point: string, id: string | undefined): Promise<DecisionEvent | undefined> {
  const events = await readLog(logOf(data, point));
  return events.find((event) => event.kind === 'decision' && event.id === id) as
    | DecisionEvent
    | undefined;
}
