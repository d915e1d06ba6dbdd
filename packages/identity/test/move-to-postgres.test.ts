import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { moveState, openDatabase, openPostgres } from '@countersign/state';
import { type Postgres, postgresOrSkip, startPostgres } from '@countersign/test-support/postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { id, joinedPeer, registration, startAuthority, svidRequest } from './authority.ts';
import { openDirectory } from './people/directory.ts';

const by = 'local:uid=0';
const bin = postgresOrSkip();
const folder = mkdtempSync(join(tmpdir(), 'move-'));
let server: Postgres;
beforeAll(async () => {
  if (bin !== undefined) server = await startPostgres(bin);
}, 60_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

describe.skipIf(bin === undefined)('a state that moves from SQLite to PostgreSQL', () => {
  test('is the same authority there: its facts, its authorities, whom it knows', async () => {
    const file = join(folder, 'authority.db');
    const before = await startAuthority({}, { database: openDatabase({ file }) });
    await before.identity.applyRegistrations(
      [registration('workload/batch'), registration('human/alice')],
      [],
    );
    await before.identity.devices.enrolment({ name: 'laptop-1', by });
    const peer = await joinedPeer(before.identity, id('workload/batch'));
    await before.identity.revoke({ target: 'subject', value: id('human/alice'), reason: 'x', by });
    const [anchors, facts, { sequence }] = [
      before.identity.trustAnchors,
      before.factLog.all(),
      before.factLog,
    ];
    const history = await before.factLog.changesSince(0);
    await before.close();

    const place = await server.createDatabase();
    const to = await openPostgres(place);
    const moved = await moveState({ file, to });
    expect(moved.tables).toBeGreaterThan(25);
    expect(moved.rows).toBeGreaterThan(20);
    const { issuerUrl } = before;
    const after = await startAuthority({ issuerUrl }, { database: to });
    expect(await after.factLog.changesSince(0)).toEqual(history);
    expect(after.identity.trustAnchors).toEqual(anchors);
    const byText = (all: readonly object[]) => all.map((each) => JSON.stringify(each)).toSorted();
    expect(byText(after.factLog.all())).toEqual(byText(facts));
    expect(after.factLog.sequence).toBe(sequence);
    expect(after.identity.devices.has(id('device/laptop-1'))).toBe(true);
    expect(after.identity.isRevoked('subject', id('human/alice'))).toBe(true);
    expect(await after.identity.renew({ request: await svidRequest() }, peer)).toMatchObject({
      isGranted: true,
    });
    await after.close();
  });

  test('goes on counting where rows are numbered, and is moved whole or not at all', async () => {
    const file = join(folder, 'people.db');
    const before = await openDirectory({ database: openDatabase({ file }) });
    for (const name of ['ann', 'ben', 'cem']) await before.user(name);
    const names = (await before.identity.people.list({})).people.map(({ userName }) => userName);
    await before.close();

    const place = await server.createDatabase();
    const to = await openPostgres(place);
    await moveState({ file, to });
    await expect(moveState({ file, to })).rejects.toMatchObject({
      code: 'ERR_STATE_OPEN',
      message: expect.stringContaining('expected an empty database'),
    });
    const after = await openDirectory({ database: to });
    await after.user('dan');
    expect((await after.identity.people.list({})).people.map(({ userName }) => userName)).toEqual([
      ...names,
      'dan',
    ]);
    await after.close();
  });
});
