import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk, PROOFS_FOLDER, removeEntries, tileFolder } from '@countersign/ledger';
import { encodeEvent } from '@countersign/model';
import { expect, onTestFinished, test } from 'vitest';
import { START_MS, writeLog } from './records.ts';
import { countersign as run } from './test-io.ts';

/** A log of 20 events whose entries were removed. */
async function removed() {
  const data = mkdtempSync(join(tmpdir(), 'countersign-removed-'));
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const log = await writeLog(
    data,
    'edge',
    Array.from({ length: 20 }, (_, at) => ({
      ...{ id: `e${at}`, at: START_MS + at, kind: 'administration' as const },
      ...{ action: 'subject-registered', by: 'system', target: `customer ${at}` },
    })),
  );
  await removeEntries(nodeDisk(log.folder), tileFolder(join(log.folder, PROOFS_FOLDER)), {
    verifierKey: log.vkey,
  });
  return { data, log };
}

test('ledger verify says that entries were removed, and verifies what is left', async () => {
  const { data } = await removed();
  const verified = await run(['ledger', 'verify', '--data', data]);
  expect(verified.code).toBe(0);
  expect(verified.out).toContain('edge: 20 entries');
  expect(verified.out).toContain('entries removed: its 20 leaf hashes make the root');
});

test('ledger verify is bad when a hash that is left was changed', async () => {
  const { data, log } = await removed();
  writeFileSync(join(log.folder, PROOFS_FOLDER, 'tile/0/000.p/20'), Buffer.alloc(20 * 32));
  const verified = await run(['ledger', 'verify', '--data', data, '--json']);
  expect(verified.code).toBe(1);
  const { logs } = JSON.parse(verified.out);
  expect(logs).toMatchObject([{ name: 'edge', ok: false, entriesRemoved: true }]);
  expect(logs[0].problems[0]).toMatch(/checkpoint/);
});

test('who kept an event proves it to a stranger after it was removed', async () => {
  const { data, log } = await removed();
  const kept = join(data, 'kept.json');
  writeFileSync(kept, encodeEvent(log.events[7] as never));
  const evidence = join(data, 'evidence.json');
  const command = ['ledger', 'evidence', '7', '--data', data, '--log', 'edge'];
  const made = await run([...command, '--entry', kept, '--out', evidence]);
  expect(made).toMatchObject({ code: 0 });
  const verify = ['ledger', 'verify', '--evidence', evidence, '--vkey', log.vkey];
  expect((await run(verify)).out).toContain("event: administration 'e7'");

  writeFileSync(kept, encodeEvent(log.events[8] as never));
  const other = await run([...command, '--entry', kept, '--out', evidence]);
  expect(other.code).not.toBe(0);
  expect(other.err).toContain('could not verify');
  const none = await run(command);
  expect(none.code).not.toBe(0);
  expect(none.err).toContain('its entries were removed');
});
