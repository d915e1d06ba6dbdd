import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  openCollector,
  openRecordIndex,
  openRecordKeyStore,
  openRetentionStore,
  openRollingLog,
  shardFolders,
} from '@countersign/audit';
import { dataFolder, retainedShards, startRetention } from '@countersign/cli';
import {
  ed25519NoteSigner,
  nodeDisk,
  PROOFS_FOLDER,
  parseVerifierKey,
  publishTiles,
  removedCheckpoint,
  tileFolder,
  verifierKey,
  verifyLog,
  verifyRemovedLog,
} from '@countersign/ledger';
import { compactId, DEFAULT_RETENTION, type Event, encodeEvent } from '@countersign/model';
import { openDatabase } from '@countersign/state';
import { expect, onTestFinished, test } from 'vitest';

const ORIGIN = 'bank.example/authority';
const { privateKey } = generateKeyPairSync('ed25519');
const VKEY = verifierKey(ORIGIN, privateKey);
const SECRET = Buffer.alloc(32, 7);
const YEARS_LATER = Date.UTC(2030, 0, 1);

/** An authority's parts around one log of two shards, the first of which is due; opened as often as it dies. */
function authority() {
  const root = mkdtempSync(join(tmpdir(), 'countersign-retention-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const folder = dataFolder(root);
  const clock = { ms: Date.UTC(2017, 0, 1) };
  const told: string[] = [];
  const openLog = () =>
    openRollingLog({
      ...{ origin: ORIGIN, storage: shardFolders(folder.authorityLog) },
      signer: (name) => ed25519NoteSigner({ name, privateKey }),
      ...{ length: () => 'year', now: () => clock.ms, newId: compactId },
      onTrouble: (detail) => {
        throw new Error(detail);
      },
      lookEveryMs: 2 ** 30,
    });

  async function fill(): Promise<void> {
    const log = await openLog();
    for (const ms of [clock.ms, Date.UTC(2018, 0, 1)]) {
      clock.ms = ms;
      await log.look();
      const place = { v: 1, id: 'x', at: ms, origin: log.origin, seq: log.nextIndex } as const;
      const event = { ...place, kind: 'alarm', alarm: 'test', detail: 'of old' } as Event;
      await log.durable(log.append(encodeEvent(event)));
    }
    await log.close();
    const database = openDatabase({ file: folder.stateFile });
    const keys = await openRecordKeyStore({
      ...{ database, secret: SECRET, now: () => Date.UTC(2017, 0, 1) },
    });
    await keys.keysFor('authority', ['evidence', 'reads']);
    await database.close();
    const published = tileFolder(join(folder.published, 'authority'));
    await publishTiles(nodeDisk(folder.authorityLog), published, { verifierKey: VKEY });
    clock.ms = YEARS_LATER;
  }

  /** Applies retention; with `dieAt`, the process is dead from that call to its parts on. */
  async function apply(dieAt = Number.POSITIVE_INFINITY) {
    let calls = 0;
    const step = <T>(work: () => Promise<T>): Promise<T> =>
      calls++ >= dieAt ? Promise.reject(new Error('dead')) : work();
    const log = await openLog();
    const database = openDatabase({ file: folder.stateFile });
    const store = await openRetentionStore(database);
    const keys = await openRecordKeyStore({ database, secret: SECRET, now: () => clock.ms });
    const index = openRecordIndex();
    const collector = await openCollector({
      ...{ folder: folder.mirrors, now: () => clock.ms, points: () => undefined },
      onEvents: () => undefined,
      onAlarm: () => undefined,
    });
    const first = log.shards().find(({ origin }) => origin === ORIGIN)?.log;
    if (first) {
      const indexFolder = join(folder.recordIndex, 'authority');
      const source = { name: 'authority', origin: ORIGIN, folder: folder.authorityLog };
      index.follow({ ...source, indexFolder, verifierKey: VKEY }, first.size);
      await index.ask({ where: [] }, { order: 'newest', limit: 0 });
    }
    const shards = { folder, log, logVerifierKey: VKEY, collector };
    const retention = startRetention({
      ...{ folder, logVerifierKey: VKEY, collector, now: () => clock.ms },
      log: { release: (origin) => step(() => log.release(origin)) },
      shards: retainedShards({ ...shards, identity: { points: () => [] } as never }),
      index: { forget: (name) => step(() => index.forget(name)) },
      store: {
        holds: () => store.holds(),
        removed: () => store.removed(),
        addHold: (hold) => store.addHold(hold),
        liftHold: (id, by) => store.liftHold(id, by),
        beginRemoval: (shard) => step(() => store.beginRemoval(shard)),
        finishRemoval: (name, atMs) => step(() => store.finishRemoval(name, atMs)),
        cancelRemoval: (name) => step(() => store.cancelRemoval(name)),
      },
      published: { isBehind: () => false, forget: async () => undefined },
      exports: () => [],
      classes: () => DEFAULT_RETENTION,
      recordKeys: {
        trees: () => keys.trees(),
        open: keys.open,
        pseudonymsOf: (person) => keys.pseudonymsOf(person),
        destroy: (of) => step(() => keys.destroy(of)),
        destroyPseudonyms: (year) => step(() => keys.destroyPseudonyms(year)),
      },
      personalKinds: () => [],
      record: (body) =>
        step(async () => {
          // What was recorded before anything went is there when it is gone.
          const isGone = (await removedCheckpoint(nodeDisk(folder.authorityLog))) !== undefined;
          const [action, target] =
            body.kind === 'administration' ? [body.action, body.target] : [body.kind];
          told.push(`${action} ${action.startsWith('keys') ? target : isGone}`);
          return body as Event;
        }),
      warn: () => undefined,
    });
    const applied = await retention.apply('test').catch((error: Error) => error.message);
    await retention.close();
    const removed = await store.removed();
    const left = [...keys.trees().map(({ period }) => period), ...keys.open.years];
    await index.close();
    await collector.close();
    await log.close();
    await database.close();
    return { applied, removed, calls, left };
  }
  return { folder, told, fill, apply };
}

test('a removal that is cut at any step goes on, and ends with everything removed and told', async () => {
  const whole = authority();
  await whole.fill();
  const { calls, applied, left: keysLeft } = await whole.apply();
  const destroyed = [
    ...['2017q1/evidence', '2017q1/reads', '2017q2/evidence', '2017q2/reads'],
    ...['2017q3/evidence', '2017q3/reads'],
    'pseudonyms/2017',
  ];
  expect(applied).toMatchObject({ removed: ['authority'], left: [], destroyed });
  expect(keysLeft).toEqual([]);
  expect(whole.told).toEqual([
    ...['log-removal-begun false', 'log-removed true'],
    ...destroyed.flatMap((name) => [`keys-removal-begun ${name}`, `keys-removed ${name}`]),
  ]);
  expect(calls).toBeGreaterThanOrEqual(6);

  for (let dieAt = 0; dieAt < calls; dieAt++) {
    const { folder, told, fill, apply } = authority();
    await fill();
    const { size, root } = await verifyLog(nodeDisk(folder.authorityLog), {
      verifiers: [parseVerifierKey(VKEY)],
    });
    const cut = await apply(dieAt);
    expect(cut.applied).toBe('dead');
    const isGone = (await removedCheckpoint(nodeDisk(folder.authorityLog))) !== undefined;
    if (isGone) expect(told).toContain('log-removal-begun false');
    else expect(readdirSync(folder.authorityLog)).toContain('00000000.log');

    const wasGone = told.includes('log-removed true') && cut.removed[0]?.removedAtMs !== undefined;
    const { applied, removed, left: none } = await apply();
    expect(applied).toMatchObject({ removed: wasGone ? [] : ['authority'], left: [] });
    expect(none).toEqual([]);
    for (const name of destroyed) expect(told).toContain(`keys-removal-begun ${name}`);
    expect(removed).toMatchObject([{ name: 'authority', size, removedAtMs: YEARS_LATER }]);
    expect(told).toContain('log-removed true');
    expect(told.slice(0, -1)).not.toContain('alarm false');
    expect(readdirSync(folder.authorityLog).sort()).toEqual(['lock', 'proofs', 'removed', 'vkey']);
    expect(existsSync(join(folder.recordIndex, 'authority'))).toBe(false);
    expect(readdirSync(join(folder.published, 'authority', 'tile')).sort()).toEqual(['0']);
    const proofs = tileFolder(join(folder.authorityLog, PROOFS_FOLDER)).read;
    const left = await verifyRemovedLog(nodeDisk(folder.authorityLog), proofs, {
      verifiers: [parseVerifierKey(VKEY)],
      atLeast: { size, root },
    });
    expect(left.problems).toEqual([]);
    // Once more finds nothing to do.
    expect((await apply()).applied).toMatchObject({ removed: [], left: [] });
  }
});
