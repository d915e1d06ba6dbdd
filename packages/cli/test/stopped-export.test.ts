import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRollingLog, shardFolders } from '@countersign/audit';
import { type EventBody, type RunExportsOptions, runExports } from '@countersign/cli';
import { ed25519NoteSigner } from '@countersign/ledger';
import { type Event, encodeEvent } from '@countersign/model';
import { expect, test } from 'vitest';
import { temporaryFolder } from './test-io.ts';

const ORIGIN = 'bank.example/authority';
const DAMAGED = '{"v":1,"logs":{"bank.exa';

test('an export with a damaged cursor is stopped alone, told of once with how to mend it, and goes on when that was done', async () => {
  await using folder = await temporaryFolder();
  const { privateKey } = generateKeyPairSync('ed25519');
  const log = await openRollingLog({
    origin: ORIGIN,
    signer: (name) => ed25519NoteSigner({ name, privateKey }),
    storage: shardFolders(join(folder.path, 'log')),
    ...{ length: () => 'year', now: Date.now, newId: () => 'turn', lookEveryMs: 2 ** 30 },
    onTrouble: (detail) => {
      throw new Error(detail);
    },
  });
  const append = async (): Promise<void> => {
    const event = {
      ...{ v: 1, id: 'e', at: 1, origin: ORIGIN, seq: log.nextIndex },
      ...{ kind: 'administration', action: 'x', by: 'system' },
    } as Event;
    await log.durable(log.append(encodeEvent(event)));
  };
  await append();
  const cursor = join(folder.path, 'exports/one/cursor.json');
  await mkdir(join(folder.path, 'exports/one'), { recursive: true });
  await writeFile(cursor, DAMAGED);
  const recorded: EventBody[] = [];
  const config = (name: string) => ({
    ...{ name, kind: 'files' as const, folder: join(folder.path, 'out', name) },
    ...{ maxLagSeconds: 300, omit: [] },
  });
  const exports = await runExports([config('one'), config('two')], {
    folder: join(folder.path, 'exports'),
    collector: { names: () => [] } as unknown as RunExportsOptions['collector'],
    identity: { points: () => [] },
    async record(body) {
      recorded.push(body);
      return body as unknown as Event;
    },
    againMs: 20,
    now: Date.now,
    warn: () => undefined,
    log,
  });
  const until = async (name: string, taken: number): Promise<void> => {
    while (exports.status().find((each) => each.name === name)?.taken !== taken) await sleep(5);
  };
  try {
    await until('two', 1);
    await append();
    await until('two', 2);
    expect(exports.status()).toMatchObject([
      { name: 'one', taken: 0, trouble: { code: 'ERR_AUDIT_CURSOR_INVALID' } },
      { name: 'two', taken: 2, trouble: undefined },
    ]);
    await sleep(100);
    expect(recorded).toEqual([
      {
        ...{ kind: 'alarm', alarm: 'export-stopped' },
        detail: `one: could not read ${cursor}: found '${DAMAGED}', expected {"v":1,"logs":{<origin>:<index>}}; put the file of a backup there, or remove it to export everything again; the other exports run`,
      },
    ]);
    // Nothing was changed that a person may want to look at.
    expect(await readFile(cursor, 'utf8')).toBe(DAMAGED);
    await rm(cursor);
    await until('one', 2);
    await append();
    await until('one', 3);
    expect(exports.status()[0]?.trouble).toBeUndefined();
  } finally {
    await exports.close();
    await log.close();
  }
  expect(await readdir(join(folder.path, 'out/one'))).not.toEqual([]);
});
