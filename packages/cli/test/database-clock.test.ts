import { generateKeyPairSync } from 'node:crypto';
import { createMetrics } from '@countersign/audit';
import { createX509Authority, encodePem, parseSpiffeId, softwareSigner } from '@countersign/spiffe';
import { openPostgres } from '@countersign/state';
import { freePort } from '@countersign/test-support/free-port';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveIssuer } from '../src/authority/serve-issuer.ts';
import { watchDatabaseClock } from '../src/watch/watch-database-clock.ts';

const bin = postgresOrSkip();

describe.skipIf(bin === undefined)('a clock beside that of the database', () => {
  let server: Postgres;
  beforeAll(async () => {
    if (bin !== undefined) server = await startPostgres(bin);
  }, 60_000);
  afterAll(() => server?.stop());

  test('is told beyond a second, a fault beyond five, and well again when it was set', async () => {
    const database = await openPostgres(await server.createDatabase());
    const alarms: string[] = [];
    const metrics = createMetrics();
    let offsetMs = 0;
    const clock = await watchDatabaseClock({
      ...{ database, metrics, lookEveryMs: 20 },
      now: () => Date.now() + offsetMs,
      alarm: (_, detail) => void alarms.push(detail),
    });
    expect([alarms, clock.fault()]).toEqual([[], undefined]);
    offsetMs = 3000;
    await expect.poll(() => alarms.at(-1)).toMatch(/our clock 3\d{3} ms ahead of the database's/);
    expect(clock.fault()).toBeUndefined();
    offsetMs = -7000;
    await expect
      .poll(() => clock.fault())
      .toMatch(/our clock [67]\d{3} ms behind .* at most 5000$/);
    expect(await metrics.text()).toMatch(/countersign_database_clock_offset_seconds -[67]/);
    offsetMs = 0;
    await expect.poll(() => clock.fault()).toBeUndefined();
    clock.close();
    await database.close();
  });
});

test('an issuer that may not issue says so to everybody, and hands nothing on', async () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authority = await createX509Authority({
    ...{ trustDomain: 'bank.example', signer: softwareSigner(keys), now: Date.now },
  });
  const { chain } = await authority.issueSvid({
    spiffeId: parseSpiffeId('spiffe://bank.example/workload/countersign/issuer-b'),
    ...{ publicKey: keys.publicKey, ttlSeconds: 3600, ipAddresses: ['127.0.0.1'] },
  });
  const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  let fault: string | undefined = 'found our clock 6000 ms ahead';
  let handled = 0;
  const port = await freePort();
  const listener = await serveIssuer(
    {
      handler(_, response) {
        handled += 1;
        response.end();
      },
    },
    {
      address: { host: '127.0.0.1', port },
      own: { current: () => ({ chain, keyPem }), onRenewed: () => undefined },
      fault: () => fault,
      now: Date.now,
    },
  );
  const dispatcher = new Agent({ connect: { ca: encodePem([authority.certificate]) } });
  const ask = () =>
    request(`https://127.0.0.1:${port}/token`, { dispatcher, method: 'POST', body: 'x' });
  const refused = await ask();
  expect([refused.statusCode, await refused.body.json()]).toEqual([
    503,
    { title: 'Service Unavailable', status: 503, detail: fault },
  ]);
  expect(handled).toBe(0);
  fault = undefined;
  const answered = await ask();
  await answered.body.dump();
  expect([answered.statusCode, handled]).toEqual([200, 1]);
  await dispatcher.destroy();
  await listener.close();
});
