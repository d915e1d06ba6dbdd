import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXIT } from '@countersign/cli';
import { freePort } from '@countersign/test-support/free-port';
import {
  type Postgres,
  type PostgresPlace,
  postgresOrSkip,
  startPostgres,
} from '@countersign/test-support/postgres';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthorityAndEdge } from './authority-and-edge.ts';
import { countersign, temporaryFolder } from './test-io.ts';

const bin = postgresOrSkip();
let server: Postgres;
beforeAll(async () => {
  if (bin !== undefined) server = await startPostgres(bin);
}, 60_000);
afterAll(() => server?.stop());

/** Names the database in countersign.yaml. */
async function nameIn(bank: string, { host, database, user }: PostgresPlace): Promise<void> {
  const config = join(bank, 'countersign.yaml');
  const text = await readFile(config, 'utf8');
  const storage = `  storage: { postgres: { host: ${host}, database: ${database}, user: ${user} } }`;
  await writeFile(config, text.replace(/^authority:\n/m, `authority:\n${storage}\n`));
}

describe.skipIf(bin === undefined)('an authority whose state is in PostgreSQL', () => {
  test('serves points, is alone, and goes on after a crash of the database', {
    timeout: 90_000,
  }, async () => {
    const place = await server.createDatabase();
    await using bank = await startAuthorityAndEdge({ edit: (folder) => nameIn(folder, place) });
    const { data } = bank;
    expect(existsSync(join(data, 'authority/state.db'))).toBe(false);
    expect(JSON.parse(await readFile(join(data, 'authority/storage.json'), 'utf8'))).toMatchObject({
      ...{ kind: 'postgres', host: place.host, database: place.database },
    });
    const status = async () => {
      const { out } = await countersign(['status', '--json', '-d', data]);
      return JSON.parse(out);
    };
    const before = await status();
    const { host, database, user } = place;
    expect(before.storage).toEqual({ engine: 'postgres', host, port: 5432, database, user });
    const text = async () => (await countersign(['status', '-d', data])).out;
    expect(await text()).toMatch(/^state +PostgreSQL test@\S+:5432\/\S+, reached$/m);
    expect(before.points).toMatchObject([{ name: 'edge', connected: true }]);

    const second = await countersign(
      ['authority', '-C', join(bank.folder, 'bank'), '-d', join(bank.folder, 'second')],
      {},
    );
    expect(second.code).toBe(EXIT.failed);
    expect(second.err).toContain('another one runs on test@');

    const down = server.crash({ downMilliseconds: 4000 });
    await expect
      .poll(text, { timeout: 10_000, interval: 100 })
      .toMatch(/^state +PostgreSQL \S+, AWAY since 20\S+: \S/m);
    expect((await countersign(['status', '-d', data])).code).toBe(EXIT.negative);
    const ca = await readFile(join(data, 'trust.pem'), 'utf8');
    const agent = new Agent({ connect: { ca, servername: 'localhost' } });
    const ask = async (path: string, method: 'GET' | 'POST' = 'GET') => {
      const answer = await request(`${bank.issuerUrl}${path}`, { dispatcher: agent, method });
      await answer.body.dump();
      return [answer.statusCode, answer.headers['retry-after']];
    };
    expect([await ask('/token', 'POST'), await ask('/jwks')]).toEqual([
      [503, '10'],
      [200, undefined],
    ]);
    await agent.destroy();
    await down;
    await expect.poll(text, { timeout: 30_000 }).toMatch(/^state .*, reached$/m);
    const disable = () =>
      countersign(['revoke', 'subject', 'partner/example', '--reason', 'a test', '-d', data]);
    await expect.poll(async () => (await disable()).code, { timeout: 30_000 }).toBe(EXIT.ok);
    const { out: events } = await countersign(['events', '--kind', 'alarm', '-d', data, '--json']);
    expect(events).toContain('state-away');
  });

  test('had it in SQLite before: it is moved, and is the same authority', {
    timeout: 60_000,
  }, async () => {
    await using folder = await temporaryFolder();
    const [bank, data] = [join(folder.path, 'bank'), join(folder.path, 'data')];
    await countersign(['init', bank]);
    const config = join(bank, 'countersign.yaml');
    const [control, issuer] = await Promise.all([freePort(), freePort()]);
    const text = (await readFile(config, 'utf8'))
      .replaceAll('7401', `${control}`)
      .replaceAll('7402', `${issuer}`);
    await writeFile(config, text);
    const run = async () => {
      const stop = new AbortController();
      return countersign(['authority', '-C', bank, '-d', data], {
        stop: stop.signal,
        onOut: () => stop.abort(),
      });
    };
    expect(await run()).toMatchObject({ code: EXIT.ok });
    const trust = await readFile(join(data, 'trust.json'), 'utf8');
    expect(await countersign(['state', 'move', '-C', bank, '-d', data])).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('found no authority.storage'),
    });

    await nameIn(bank, await server.createDatabase());
    expect(await run()).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('move it there: countersign state move'),
    });
    const moved = await countersign(['state', 'move', '-C', bank, '-d', data, '--json']);
    expect(moved).toMatchObject({ code: EXIT.ok });
    expect(JSON.parse(moved.out).tables).toBeGreaterThan(25);
    expect(existsSync(join(data, 'authority/state.db'))).toBe(false);
    expect(await run()).toMatchObject({ code: EXIT.ok });
    const { x509Authorities } = JSON.parse(trust);
    const after = JSON.parse(await readFile(join(data, 'trust.json'), 'utf8'));
    expect(after.x509Authorities).toEqual(x509Authorities);

    await writeFile(config, text);
    expect(await run()).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('expected authority.storage to name that'),
    });
  });
});
