import { join } from 'node:path';
import { openCollector, openRollingLog, shardFolders } from '@countersign/audit';
import { ed25519NoteSigner, verifierKey } from '@countersign/ledger';
import { compactId, type Event, encodeEvent } from '@countersign/model';
import { expect, test } from 'vitest';
import { openLogKey, publicBytes } from '../src/point/point-keys.ts';
import { signalSource } from '../src/signals/signal-source.ts';
import { temporaryFolder } from './test-io.ts';

test('signals come from the authority’s log and from those of issuers, and from no point’s', async () => {
  await using folder = await temporaryFolder();
  const now = Date.now;
  const open = async (name: string) => {
    const origin = `bank.example/${name}`;
    const privateKey = await openLogKey(join(folder.path, `${name}-keys`));
    const log = await openRollingLog({
      origin,
      signer: (shard) => ed25519NoteSigner({ name: shard, privateKey }),
      storage: shardFolders(join(folder.path, name)),
      length: () => 'quarter',
      ...{ now, newId: compactId, onTrouble: () => undefined },
    });
    const vkey = verifierKey(origin, publicBytes(privateKey));
    return { log, registered: { origin, verifierKey: vkey, spiffeId: `spiffe://${origin}` } };
  };
  const [own, issuer, edge] = await Promise.all([
    open('authority'),
    open('issuer-b'),
    open('edge'),
  ]);
  const points = new Map([
    ['issuer-b', issuer.registered],
    ['edge', edge.registered],
  ]);
  const listeners = new Set<(name: string) => void>();
  const collector = await openCollector({
    folder: join(folder.path, 'mirrors'),
    now,
    points: (name) => points.get(name),
    onEvents: (name) => {
      for (const listener of listeners) listener(name);
    },
    onAlarm: ({ detail }) => {
      throw new Error(detail);
    },
  });
  const source = signalSource({
    ...{ log: own.log, collector, issuers: () => ['issuer-b'] },
    onCollected(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  });
  let woken = 0;
  const off = source.onCommit(() => {
    woken += 1;
  });
  const write = async ({ log }: typeof own, name: string) => {
    const event: Event = {
      ...{ v: 1, id: compactId(), at: now(), origin: log.origin, seq: log.nextIndex },
      ...{ retention: 'evidence', kind: 'administration', action: 'session-revoked', by: 'x' },
    };
    await log.durable(log.append(encodeEvent(event)));
    if (name === 'authority') return event.id;
    const [shard] = log.shards();
    if (!shard) throw new Error('no shard');
    const run = await shard.log.read(0, { count: 10, bytesMax: 1e6 });
    expect(await collector.accept(name, run)).toMatchObject({ kind: 'taken' });
    return event.id;
  };
  await write(edge, 'edge');
  expect(woken).toBe(0);
  const ids = [await write(own, 'authority'), await write(issuer, 'issuer-b')];
  expect(woken).toBe(2);
  const shards = await source.shards();
  expect(shards.map(({ origin, size }) => [origin, size])).toEqual([
    ['bank.example/authority', 1],
    ['bank.example/issuer-b', 1],
  ]);
  const read = await Promise.all(
    shards.map(async (shard) => {
      const { entries } = await shard.read(0, { count: 10, bytesMax: 1e6 });
      return entries.map((bytes) => JSON.parse(Buffer.from(bytes).toString('utf8')).id);
    }),
  );
  expect(read.flat()).toEqual(ids);
  off();
  expect(listeners.size).toBe(0);
  await Promise.all([own.log, issuer.log, edge.log].map((each) => each.close()));
  await collector.close();
});
