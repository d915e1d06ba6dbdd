import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect } from 'node:net';
import { dataFolder, EXIT } from '@countersign/cli';
import { workloadFromApi } from '@countersign/sdk';
import { encodePem, parseSpiffeId } from '@countersign/spiffe';
import { request as undiciRequest } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Partner, startPartner } from '../../identity/test/partner.ts';
import { all, one, wire } from '../../spiffe/test/wire.ts';
import { type FederatedBank, federatedBank } from './federated-banks.ts';
import {
  call,
  contextWith,
  declareEachOther,
  federatedRegistration,
  identityOf,
  open,
  until,
} from './federated-calls.ts';

// Two banks, each the other's partner by https_spiffe both ways, with real authorities, gateways and nodes; and a third trust
// domain whose authority a test can rotate.

let bank: FederatedBank;
let fintech: FederatedBank;
let acme: Partner;

beforeAll(async () => {
  [bank, fintech] = await Promise.all([
    federatedBank('bank.example'),
    federatedBank('fintech.example'),
  ]);
  acme = await startPartner('acme.example');
  await declareEachOther(bank, fintech);
  const { endpoint, initialBundle = '' } = acme.declared();
  if (endpoint.profile !== 'https_spiffe') throw new Error('not by https_spiffe');
  await bank.declare({ trustDomain: acme.trustDomain, ...endpoint }, initialBundle);
  await bank.write('identities/federated.yaml', federatedRegistration([fintech.mine, ACME]));
  await Promise.all([bank.apply(), fintech.apply()]);
}, 120_000);
afterAll(async () => {
  await Promise.all([bank, fintech].map((each) => each?.[Symbol.asyncDispose]()));
  await acme?.down();
});

const ACME = 'spiffe://acme.example/ns/payments/sa/api';

/** The bank's own authorities, as its partner's node hands them out. */
const bankAuthorities = async (): Promise<readonly Uint8Array[]> =>
  (await contextWith(fintech, 'bank.example')).bundles.get('bank.example') ?? [];

test('two banks fetch each other’s bundles by https_spiffe, and tell so', async () => {
  for (const one of [bank, fintech]) {
    await until(async () => (await one.onData('federation', 'list')).code === EXIT.ok);
    const status = await one.onData('status');
    expect(status.out).toMatch(
      /^ {2}own bundle {3}sequence \d+, https_spiffe at https:\/\/127\.0\.0\.1:\d+\/, served [1-9]\d* times$/m,
    );
    const other = one === bank ? fintech : bank;
    const line = new RegExp(`^  ${other.trustDomain} +trusted, sequence \\d+, heard 20`, 'm');
    expect(status.out).toMatch(line);
  }
  const { out } = await bank.onData('federation', 'show', 'fintech.example');
  expect(out).toContain(`https_spiffe of ${fintech.authorityId}\n`);
  expect(out).toContain(`  ${fintech.mine} is spiffe://bank.example/partner/federated\n`);
  expect(out).toContain('  spiffe://bank.example/workload/mine gets its bundle\n');
  const none = await bank.onData('federation', 'refresh', 'nobody.example');
  expect([none.code, none.err]).toEqual([
    EXIT.failed,
    expect.stringContaining('found no partner of that name, expected one of federation/'),
  ]);
});

test('a process of one bank calls the other with what its own node gave it, and is the partner that it is registered for', async () => {
  const context = await contextWith(fintech, 'bank.example');
  const authorities = context.bundles.get('bank.example') ?? [];
  const { status, body, eventId } = await call(bank, identityOf(context), authorities);
  expect([status, body]).toEqual([200, 'served /accounts-api/accounts/22289']);
  expect(await decisionOf('--id', eventId)).toMatchObject({
    subject: 'spiffe://bank.example/partner/federated',
    peer: fintech.mine,
    effect: 'permit',
    policies: ['partners-of-a-federation-read'],
  });
  expect((await decisionOf('--caller', fintech.mine)).peer).toBe(fintech.mine);
});

/** A decision of the bank's edge, whose log is collected a moment later. */
async function decisionOf(...asked: readonly string[]): Promise<{ readonly peer?: string }> {
  const find = async () => {
    const { out } = await bank.onData('find', ...asked, '--kind', 'decision', '--json');
    return JSON.parse(out).answer.rows[0]?.event;
  };
  await until(async () => (await find()) !== undefined);
  return find();
}

test('a service on the SDK calls the other bank as itself, and nobody of a trust domain whose bundle it was not given', async () => {
  await contextWith(fintech, 'bank.example');
  const workload = await workloadFromApi({ endpoint: `unix://${fintech.socket}` });
  try {
    const origin = `https://127.0.0.1:${bank.edgePort}`;
    const asked = (as: string) => ({ dispatcher: workload.dispatcherFor(origin, as) });
    const path = `${origin}/accounts-api/accounts/22289`;
    const { statusCode, body } = await undiciRequest(path, asked(bank.edgeId));
    expect([statusCode, await body.text()]).toEqual([200, 'served /accounts-api/accounts/22289']);
    const stranger = asked('spiffe://acme.example/workload/countersign/edge');
    await expect(undiciRequest(path, stranger)).rejects.toMatchObject({
      code: 'ERR_SDK_OPTIONS_INVALID',
    });
    // Nor does our own authority vouch for a name of theirs.
    const alike = asked(bank.edgeId.replace('bank.example', 'fintech.example'));
    await expect(undiciRequest(path, alike)).rejects.toThrow();
  } finally {
    await workload.close();
  }
});

test('a process of the partner’s that nobody registered is nobody', async () => {
  const authorities = await bankAuthorities();
  await until(async () => (await bank.onData('federation', 'list')).code === EXIT.ok);
  const stranger = await acme.identity(
    acme.authority,
    'spiffe://acme.example/ns/payments/sa/other',
  );
  expect((await call(bank, stranger, authorities)).status).toBe(401);
  // Nor is one that calls itself as we call ours: the name is of another trust domain.
  const alike = await acme.identity(acme.authority, 'spiffe://acme.example/workload/payments/api');
  expect((await call(bank, alike, authorities)).status).toBe(401);
  const asked = ['find', '--caller', 'spiffe://acme.example/ns/payments/sa/other', '--json'];
  const rows = async () => JSON.parse((await bank.onData(...asked)).out).answer.rows;
  // The edge's log is collected a moment later.
  await until(async () => (await rows()).length > 0);
  expect((await rows())[0].event).toMatchObject({ reason: 'peer-unregistered' });
});

test('a node hands out the bundles that the workload federates with, no others, each under its own name', async () => {
  const { bundles } = await contextWith(bank, 'fintech.example');
  // acme.example is a partner of the bank's, and none of this workload's.
  expect([...bundles.keys()].sort()).toEqual(['bank.example', 'fintech.example']);
  const own = bundles.get('bank.example') ?? [];
  const foreign = bundles.get('fintech.example') ?? [];
  expect([own.length, foreign.length]).toEqual([1, 1]);
  expect(Buffer.from(own[0] ?? []).equals(Buffer.from(foreign[0] ?? []))).toBe(false);
});

test('Envoy gets the same bundles by SDS, each held to its own trust domain', async () => {
  const { bundles } = await contextWith(bank, 'fintech.example');
  const pem = (name: string) => encodePem(bundles.get(name) ?? []);
  const { message } = await secretsOf(bank.socket, ['ALL', 'spiffe://fintech.example']);
  const secrets = new Map(
    all(message, 2).map((any) => {
      const secret = one(any, 2);
      // CustomCertValidatorConfig, SPIFFECertValidatorConfig, its trust domains.
      const domains = all(one(secret, 4, 12, 2, 2), 1);
      return [
        one(secret, 1).toString(),
        domains.map((domain) => [one(domain, 1).toString(), one(domain, 2, 2).toString()]),
      ];
    }),
  );
  const fintechs = ['fintech.example', pem('fintech.example')];
  expect(secrets.get('ALL')).toEqual([['bank.example', pem('bank.example')], fintechs]);
  expect(secrets.get('spiffe://fintech.example')).toEqual([fintechs]);
  const { status } = await secretsOf(bank.socket, ['spiffe://acme.example']);
  expect(status).toBe('3');
});

/** Asks once, as Envoy does: `FetchSecrets` of these names. */
async function secretsOf(socket: string, names: readonly string[]) {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status = '';
  const note = (headers: object) => {
    status = String((headers as Record<string, unknown>)['grpc-status'] ?? status);
  };
  stream.on('response', note).on('trailers', note);
  const asked = wire(...names.map((name) => [3, name] as const), [
    4,
    'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  ]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(asked.length, 1);
  stream.end(Buffer.concat([prefix, asked]));
  const answer = Buffer.concat(await stream.toArray());
  session.close();
  return { status, message: answer.subarray(5) };
}

test('the node validates a JWT-SVID of the partner’s by the partner’s bundle', async () => {
  await contextWith(bank, 'fintech.example');
  const [svid] = await fintech.client().fetchJwtSvids({ audiences: ['https://api.bank.example'] });
  const token = svid?.token ?? '';
  const here = bank.client();
  const { spiffeId, claims } = await here.validateJwtSvid({
    audience: 'https://api.bank.example',
    token,
  });
  expect(spiffeId.uri).toBe(fintech.mine);
  expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'sub']);
  const audience = 'https://api.bank.example';
  // acme.example is a partner of the bank's, and none of this workload's.
  const other = parseSpiffeId('spiffe://acme.example/ns/payments/sa/api');
  const acmes = await acme.jwt.issueSvid({
    ...{ spiffeId: other, audiences: [audience], ttlSeconds: 60 },
  });
  const [head, , signature] = acmes.token.split('.');
  const crossed = [head, token.split('.')[1], signature].join('.');
  for (const bad of [acmes.token, crossed, token.replace(/.{8}$/, 'AAAAAAAA')]) {
    await expect(here.validateJwtSvid({ audience, token: bad })).rejects.toMatchObject({
      code: 'ERR_SPIFFE_WORKLOAD_ARGUMENT',
    });
  }
});

describe('while a partner rotates its authority', () => {
  test('no request fails, and who still shows the old one is refused and cut off in the end', async () => {
    const authorities = await bankAuthorities();
    const old = await acme.identity(acme.authority, ACME);
    let current = old;
    const statuses: number[] = [];
    let isOver = false;
    const requests = (async () => {
      while (!isOver) statuses.push((await call(bank, current, authorities)).status);
    })();
    const refresh = async (): Promise<void> => {
      const { code, out } = await bank.onData('federation', 'refresh', 'acme.example');
      if (code !== EXIT.ok) throw new Error(out);
    };
    const sequence = async (of: number): Promise<void> =>
      until(async () => {
        // The point has it a moment after the authority: ask as somebody who only the new bundle knows.
        const { out } = await bank.onData('federation', 'show', 'acme.example', '--json');
        return JSON.parse(out).held.sequence === of;
      });
    await refresh();
    const next = await acme.newAuthority();
    acme.publish({ x509Authorities: [acme.authority.certificate, next.certificate] });
    await refresh();
    await sequence(6);
    const renewed = await acme.identity(next, ACME);
    await until(async () => (await call(bank, renewed, authorities)).status === 200);
    current = renewed;
    const before = statuses.length;
    await until(async () => statuses.length > before + 5);
    const stream = await open(bank, old, authorities, '/accounts-api/accounts');
    expect(stream.statusCode).toBe(200);
    const cut = once(stream, 'error');
    stream.resume();
    acme.show(await acme.identity(next));
    acme.publish({ x509Authorities: [next.certificate] });
    await refresh();
    await sequence(7);
    await cut;
    expect((await call(bank, old, authorities)).status).toBe(401);
    expect((await call(bank, renewed, authorities)).status).toBe(200);
    isOver = true;
    await requests;
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(statuses.length).toBeGreaterThan(10);
  }, 60_000);
});

test('a partner that is removed is cut off at once, and comes back when it is declared again', async () => {
  const context = await contextWith(fintech, 'bank.example');
  const authorities = context.bundles.get('bank.example') ?? [];
  const svid = identityOf(context);
  const stream = await open(bank, svid, authorities, '/accounts-api/accounts');
  expect(stream.statusCode).toBe(200);
  const cut = once(stream, 'error');
  stream.resume();
  await bank.edit('federation/fintech.example.yaml', [
    'expires: 2099-12-31',
    'expires: 2020-01-01',
  ]);
  await bank.apply();
  await cut;
  expect((await call(bank, svid, authorities)).status).toBe(401);
  expect((await bank.onData('status')).out).toMatch(/^ {2}fintech\.example +ENDED/m);
  await until(async () => !(await bank.client().fetchX509Context()).bundles.has('fintech.example'));
  await bank.edit('federation/fintech.example.yaml', [
    'expires: 2020-01-01',
    'expires: 2099-12-31',
  ]);
  await bank.apply();
  await until(async () => (await call(bank, svid, authorities)).status === 200);
});

test('metrics tell how each bundle stands, and how often ours was served', async () => {
  const { adminSocket: socketPath } = dataFolder(bank.data);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ socketPath, path: '/v1/metrics' }, resolve).once('error', reject);
  });
  const text = Buffer.concat(await answer.toArray()).toString();
  for (const name of ['acme.example', 'fintech.example']) {
    expect(text).toContain(`countersign_federation_in_force{trust_domain="${name}"} 1\n`);
    expect(text).toContain(`countersign_federation_failing{trust_domain="${name}"} 0\n`);
    expect(text).toContain(`countersign_federation_bundle_age_seconds{trust_domain="${name}"} `);
  }
  expect(text).toMatch(
    /^countersign_bundle_endpoint_served_total\{profile="https_spiffe".* [1-9]/m,
  );
});

test('a bundle of ours that is asked for has its sequence and hint, and is not to be kept by caches', async () => {
  const { out } = await bank.onData('federation', 'bundle');
  const { keys, spiffe_sequence, spiffe_refresh_hint } = JSON.parse(out);
  expect(keys.map(({ use }: { use: string }) => use).sort()).toEqual(['jwt-svid', 'x509-svid']);
  expect([spiffe_sequence >= 1, spiffe_refresh_hint]).toEqual([true, 300]);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    // Whoever comes for the first time cannot verify it, and is served all the same.
    request(bank.endpointUrl, { rejectUnauthorized: false, agent: false }, resolve)
      .once('error', reject)
      .end();
  });
  const text = Buffer.concat(await answer.toArray()).toString();
  expect(JSON.parse(text)).toEqual(JSON.parse(out));
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json',
    'cache-control': 'no-store',
  });
});
