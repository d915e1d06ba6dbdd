import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Fact, type FactChange, factKey } from '@countersign/model';
import {
  type Database,
  type FactLog,
  type FactStanding,
  openBundleStore,
  openFactLog,
} from '@countersign/state';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { onPostgres } from './engines.ts';

const trustDomain = 'bank.example';

function revocation(value: string): Fact {
  return { kind: 'revocation', target: 'session', value, reason: 'lost', atMs: 0, untilMs: 1 };
}

/** As a process has it. */
async function follow(database: Database, now = Date.now) {
  const seen: FactChange[] = [];
  const standings: FactStanding[] = [];
  const log = await openFactLog(database, {
    ...{ trustDomain, now },
    onStanding: (standing) => standings.push(standing),
  });
  log.subscribe((change) => seen.push(change));
  return { database, log, seen, standings };
}

const sorted = (log: FactLog) => log.all().map(factKey).toSorted();

onPostgres('a fact log of several processes', (engine) => {
  test('is one history: numbered without a gap, told to all in order, the same in every memory', async () => {
    const processes = [
      await follow(await engine.open()),
      await follow(await engine.openAgain()),
      await follow(await engine.openAgain()),
    ];
    const appended = await Promise.all(
      processes.flatMap(({ log }, who) =>
        Array.from({ length: 40 }, (_, index) =>
          log.append({ puts: [revocation(`${who} ${index}`)] }),
        ),
      ),
    );
    const numbers = Array.from({ length: 120 }, (_, index) => index + 1);
    expect(appended.map(({ sequence }) => sequence).toSorted((a, b) => a - b)).toEqual(numbers);
    for (const { log, seen } of processes) {
      await expect.poll(() => log.sequence, { timeout: 10_000 }).toBe(120);
      expect(seen.map(({ sequence }) => sequence)).toEqual(numbers);
      expect(seen.map(({ atMs }) => atMs)).toEqual(seen.map(({ atMs }) => atMs).toSorted());
      expect(sorted(log)).toEqual(sorted(processes[0]?.log as FactLog));
      expect(await log.changesSince(0)).toEqual(seen);
    }
  });

  test('works a change out from all that others have committed before it', async () => {
    const [one, two] = [await follow(await engine.open()), await follow(await engine.openAgain())];
    const count = () => ({ ...revocation('count'), untilMs: 0 });
    await one.log.append({ puts: [count() as Fact] });
    const increment = (log: FactLog) =>
      log.appendWith(async () => {
        const known = log.get('revocation session count') as Extract<Fact, { kind: 'revocation' }>;
        return { puts: [{ ...known, untilMs: known.untilMs + 1 }] };
      });
    await Promise.all(Array.from({ length: 60 }, (_, at) => increment((at % 2 ? one : two).log)));
    await expect.poll(() => [one.log.sequence, two.log.sequence]).toEqual([61, 61]);
    expect(one.log.get('revocation session count')).toMatchObject({ untilMs: 60 });
    expect(two.log.get('revocation session count')).toMatchObject({ untilMs: 60 });
  });

  test('gives no change a time before one that any process vouched for, whatever its clock says', async () => {
    const [one, two] = [
      await follow(await engine.open(), () => 1000),
      await follow(await engine.openAgain(), () => 5000),
    ];
    expect(await one.log.vouch()).toEqual({ sequence: 0, atMs: 5000 });
    expect(await two.log.vouch()).toEqual({ sequence: 0, atMs: 5000 });
    expect(await one.log.append({ puts: [revocation('a')] })).toMatchObject({ atMs: 5000 });
    expect(one.log.timestamp()).toBe(5000);
    expect(await two.log.vouch()).toEqual({ sequence: 1, atMs: 5000 });
  });

  test('vouches for nothing while the database is away, says so, and catches up', async () => {
    const [one, two] = [await follow(await engine.open()), await follow(await engine.openAgain())];
    await one.log.append({ puts: [revocation('before')] });
    const crashed = engine.server.crash({ downMilliseconds: 2500 });
    await expect.poll(() => two.standings.at(-1)?.isCurrent, { timeout: 10_000 }).toBe(false);
    await expect(two.log.vouch()).rejects.toMatchObject({ code: 'ERR_STATE_UNAVAILABLE' });
    await expect(one.log.append({ puts: [revocation('during')] })).rejects.toMatchObject({
      code: 'ERR_STATE_UNAVAILABLE',
    });
    await crashed;
    await expect
      .poll(
        () =>
          one.log.append({ puts: [revocation('after')] }).then(
            () => true,
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    await expect.poll(() => sorted(two.log), { timeout: 20_000 }).toEqual(sorted(one.log));
    expect(two.log.get('revocation session before')).toBeDefined();
    await two.log.vouch();
    expect(two.standings.at(-1)).toEqual({ isCurrent: true });
  }, 60_000);

  test('loses nothing acknowledged, and tells nothing twice, when connections end in the middle', async () => {
    const [one, two] = [await follow(await engine.open()), await follow(await engine.openAgain())];
    const acknowledged: string[] = [];
    let isOver = false;
    const writing = [one, two].map(async ({ log }, who) => {
      for (let index = 0; !isOver; index += 1) {
        const fact = revocation(`${who} ${index}`);
        await log.append({ puts: [fact] }).then(
          () => acknowledged.push(factKey(fact)),
          () => undefined,
        );
      }
    });
    const client = await engine.server.connect();
    let ended = 0;
    while (ended < 12 || acknowledged.length < 100) {
      const { rows } = await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign' and random() < 0.5",
      );
      ended += rows.length;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await client.end();
    isOver = true;
    await Promise.all(writing);
    await one.log.vouch();
    await two.log.vouch();
    for (const { log, seen } of [one, two]) {
      expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, index) => index + 1));
      const held = new Set(sorted(log));
      expect(acknowledged.filter((key) => !held.has(key))).toEqual([]);
    }
    expect(sorted(one.log)).toEqual(sorted(two.log));
  }, 60_000);

  test('has every change that killed processes had acknowledged, whole, and in one order', async () => {
    const { database, log } = await follow(await engine.open());
    const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(
      database.tables(),
    );
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const writers = [0, 1].map((who) => {
        const child = spawn(
          process.execPath,
          [
            ...[
              '--conditions=@countersign/source',
              join(import.meta.dirname, 'append-postgres.ts'),
            ],
            ...[engine.server.folder, rows[0]?.name ?? '', 'test', `${round}.${who}`],
          ],
          { stdio: ['ignore', 'pipe', 'inherit'] },
        );
        const lines = createInterface({ input: child.stdout });
        lines.on('line', (line) => acknowledged.push(line));
        return { child, ended: once(lines, 'close') };
      });
      const before = acknowledged.length;
      await expect
        .poll(() => acknowledged.length - before, { timeout: 20_000 })
        .toBeGreaterThan(20 + 40 * round);
      for (const { child } of writers) child.kill('SIGKILL');
      await Promise.all(writers.map(({ ended }) => ended));
    }
    // Their locks ended with them.
    await log.append({ puts: [revocation('last')] });
    expect(acknowledged.length).toBeGreaterThan(180);
    const changes: FactChange[] = [];
    while (changes.length < log.sequence) changes.push(...(await log.changesSince(changes.length)));
    expect(changes.map(({ sequence }) => sequence)).toEqual(changes.map((_, at) => at + 1));
    for (const line of acknowledged) {
      const [sequence, ...name] = line.split(' ');
      const { puts } = changes[Number(sequence) - 1] ?? { puts: [] };
      expect(puts.map((put) => 'value' in put && put.value)).toEqual(
        ['a', 'b'].map((half) => `${name.join(' ')} ${half}`),
      );
    }
  }, 90_000);

  test('ends, loudly, when the database went back behind what was told', async () => {
    const { database, log, standings } = await follow(await engine.open());
    await log.append({ puts: [revocation('a')] });
    await log.append({ puts: [revocation('b')] });
    const tables = database.tables<{ fact_history: { sequence: number } }>();
    await tables.deleteFrom('fact_history').where('sequence', '=', 2).execute();
    await expect(log.append({ puts: [revocation('c')] })).rejects.toMatchObject({
      code: 'ERR_STATE_HISTORY',
    });
    await expect(log.vouch()).rejects.toMatchObject({ code: 'ERR_STATE_HISTORY' });
    expect(standings.at(-1)).toMatchObject({ isCurrent: false });
    const other = await follow(await engine.openAgain());
    await other.log.append({ puts: [revocation('other')] });
    await expect(log.append({ puts: [revocation('c')] })).rejects.toMatchObject({
      code: 'ERR_STATE_HISTORY',
    });
  });

  test('has bundles that every process hears of', async () => {
    const one = await openBundleStore(await engine.open());
    const two = await openBundleStore(await engine.openAgain());
    const heard: number[] = [];
    two.subscribe(({ sequence }) => heard.push(sequence));
    await one.put({ sequence: 7, version: 'v', jws: 'j' });
    await expect.poll(() => two.current(), { timeout: 10_000 }).toMatchObject({ sequence: 7 });
    expect(heard).toEqual([7]);
    await expect(two.put({ sequence: 7, version: 'w', jws: 'j' })).rejects.toMatchObject({
      code: 'ERR_STATE_BUNDLE_SEQUENCE',
    });
  });
});
